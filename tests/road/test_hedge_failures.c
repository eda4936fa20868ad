/* A second attempt beside a slow one, where either fails or the exchange ends before them. */
#include "hedge_race.h"

/* --- who fails --- */

/* A failure of one is booked with its key, and the other goes on: no retry, no wait. */
static void test_first_fails(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_reply(&race.scene, 401, "", "{\"error\":{\"code\":\"invalid_api_key\"}}");
    road_expect_silence(road, race.scene.client);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    stream_whole(road, race.second);
    expect_answer(&race.scene, "two", "2");
    expect_hedge(road, "won");
    assert_int_equal(road_attempts(road, "invalid_key"), 1);
    assert_int_equal(road_metric(road, "bellwether_hedge_cost_usd_total{provider=\"up\"}"), 0);
    /* Its key is out. */
    scene_chat(&race.scene);
    close(road_attempt_with(road, 'a', race.second, "key-two"));
    race.second = -1;
    race_end(&race);
}

static void test_hedge_fails(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_reply(road, race.second, 503, "", "{\"error\":{\"message\":\"busy\"}}");
    road_expect_silence(road, race.scene.client);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, road_chunk);
    stream_whole(road, race.scene.upstream);
    expect_answer(&race.scene, "one", "2");
    expect_hedge(road, "failed");
    race_end(&race);
}

/* Only when both have failed is there a retry, and it counts both: of three attempts one is left,
 * and no further hedge. */
static void test_both_fail(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;

    (void)state;
    race_begin(&race, after_a_second, false);
    road_reply(road, race.second, 500, "", "{\"error\":{\"message\":\"second\"}}");
    road_expect_silence(road, race.scene.client);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"first\"}}");
    road_pass_ms(road, 1000);
    race.scene.upstream = road_attempt_with(road, 'a', race.scene.upstream, "key-one");
    road_pass_ms(road, 1500);
    assert_int_equal(road_try_accept(road, 'a'), -1);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"third\"}}");
    road_hear(road, race.scene.client, &answer);
    assert_int_equal(answer.status, 500);
    assert_non_null(strstr(road_body(&answer), "third"));
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "3");
    road_answer_free(&answer);
    expect_hedge(road, "failed");
    race_end(&race);
}

/* The first that fails may be the first attempt: then the hedge is the last hope, and what comes
 * after it is tried on its connection's place. */
static void test_both_fail_the_other_way(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"first\"}}");
    road_reply(road, race.second, 500, "", "{\"error\":{\"message\":\"second\"}}");
    road_pass_ms(road, 1000);
    race.second = road_attempt_with(road, 'a', race.second, "key-one");
    road_reply_ok(road, race.second);
    road_expect(road, race.scene.client, 200, road_ok);
    expect_hedge(road, "failed");
    race_end(&race);
}

/* retry.timeouts is 1: the first attempt takes it, and when the hedge hangs too that is the end. */
static void test_both_time_out(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race,
               "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
               "  health: {validate_new: false}, timeouts: {first_byte: 5s, total: 60s},\n"
               "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
               "clients: {open: true}\nmodels: {m: up/m}\n"
               "retry: {timeouts: 1, hedge: {after: 1s, budget: 100%}}\n",
               false);
    road_pass_ms(road, 4000);
    road_expect_closed(road, race.scene.upstream);
    road_expect_silence(road, race.scene.client);
    road_pass_ms(road, 1000);
    road_expect_closed(road, race.second);
    road_expect_error(road, race.scene.client, 504, "timeout");
    assert_int_equal(road_attempts(road, "first_byte_timeout"), 2);
    expect_hedge(road, "failed");
    race_end(&race);
}

static const char no_such_file[] = "{\"error\":{\"message\":\"no such file\"}}";

static void expect_refusal(struct scene *scene, const char *key)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_body(&answer), no_such_file);
    assert_string_equal(road_field(&answer, "x-bellwether-key"), key);
    road_answer_free(&answer);
}

/* That the request itself is wrong is the answer: the other would be told the same. */
static void test_a_refusal_is_final(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    scene_reply(&race.scene, 400, "", no_such_file);
    road_expect_closed(road, race.second);
    expect_refusal(&race.scene, "one");
    expect_hedge(road, "lost");
    race_end(&race);
}

/* But what the request names may be the first key's alone: a file, an earlier answer. That the
 * hedge's account does not know it is not told. */
static void test_a_refusal_of_the_hedge_is_not(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    road_reply(road, race.second, 400, "", no_such_file);
    road_expect_silence(road, race.scene.client);
    scene_reply(&race.scene, 200, "", road_ok);
    expect_answer(&race.scene, "one", "2");
    expect_hedge(road, "failed");
    race_end(&race);
}

/* Where the first attempt has failed before, it is all that there is. */
static void test_a_refusal_of_the_hedge_alone(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"first\"}}");
    road_reply(road, race.second, 400, "", no_such_file);
    expect_refusal(&race.scene, "two");
    expect_hedge(road, "won");
    race_end(&race);
}

/* How soon a target answers is told from the first attempt's sending on, whoever answers: three
 * times five seconds, of which the hedge was under way for four. */
static void test_latency_is_that_of_both(void **state)
{
    struct pace *pace;
    struct scene scene;

    (void)state;
    scene_begin(&scene, BARE "models: {m: {optimise: latency, among: [up/m]}}\n" AFTER_A_SECOND);
    assert_int_equal(pace_book_get(scene.road.registry.paces, SPAN("up/m"), &pace), 0);
    for (int i = 0; i < PACE_KNOWN_FROM; i++) {
        int second;

        road_post(&scene.road, scene.client, "/v1/chat/completions", "",
                  "{\"model\":\"m\",\"stream\":true,\"messages\":[]}");
        scene_attempt(&scene, "key-one");
        road_pass_ms(&scene.road, 1000);
        second = road_attempt_with(&scene.road, 'a', -1, "key-two");
        road_pass_ms(&scene.road, 4000);
        scene_stream_head(&scene);
        scene_stream(&scene, road_chunk);
        road_expect_closed(&scene.road, second);
        stream_whole(&scene.road, scene.upstream);
        expect_answer(&scene, "one", "2");
        close(second);
    }
    assert_in_range(pace_us(pace), 4999000, 5001000);
    pace_unref(&pace);
    scene_end(&scene);
}

/* --- the end of it all --- */

static void test_client_leaves(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_leave(&race.scene);
    road_expect_closed(road, race.scene.upstream);
    road_expect_closed(road, race.second);
    expect_hedge(road, "cut");
    assert_int_equal(road_metric(road, "bellwether_requests_cancelled_total{by=\"client\"}"), 1);
    race_end(&race);
}

static void test_deadline(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, KEYS "retry: {timeouts: 0, hedge: {after: 1s, budget: 100%}}\n", false);
    road_pass_ms(road, 59000);
    road_expect_error(road, race.scene.client, 504, "timeout");
    road_expect_closed(road, race.scene.upstream);
    road_expect_closed(road, race.second);
    expect_hedge(road, "cut");
    race_end(&race);
}

static void test_shutdown(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    exchange_host_cut(&road->host);
    road_expect_closed(road, race.scene.upstream);
    road_expect_closed(road, race.second);
    road_expect_error(road, race.scene.client, 503, "shutting_down");
    expect_hedge(road, "cut");
    race_end(&race);
}

/* A configuration without hedging, or without the second key, leaves what is under way as it is. */
static void test_reload_meanwhile(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_reload(road, road_one_key);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    stream_whole(road, race.second);
    expect_answer(&race.scene, "two", "2");
    race_end(&race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_fails),
        cmocka_unit_test(test_hedge_fails),
        cmocka_unit_test(test_both_fail),
        cmocka_unit_test(test_both_fail_the_other_way),
        cmocka_unit_test(test_both_time_out),
        cmocka_unit_test(test_a_refusal_is_final),
        cmocka_unit_test(test_a_refusal_of_the_hedge_is_not),
        cmocka_unit_test(test_a_refusal_of_the_hedge_alone),
        cmocka_unit_test(test_latency_is_that_of_both),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_reload_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
