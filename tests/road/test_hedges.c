/* A second attempt beside a slow one: who wins, what is told and counted. */
#include "hedge_race.h"

#include "base/alloc.h"

/* --- who wins --- */

/* The hedge's answer streams to the client; the first attempt is cancelled upstream, and billed: an
 * estimate of its prompt. */
static void test_hedge_wins(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    char *log;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    road_expect_closed(road, race.scene.upstream);
    stream_whole(road, race.second);
    expect_answer(&race.scene, "two", "2");
    expect_hedge(road, "won");
    assert_int_equal(road_attempts(road, "success"), 1);
    assert_int_equal(road_attempts(road, "client_gone"), 1);
    assert_true(
        road_metric(road, "bellwether_hedge_tokens_total{provider=\"up\",kind=\"prompt\"}") > 0);
    assert_true(road_metric(road, "bellwether_hedge_cost_usd_total{provider=\"up\"}") > 0);
    log = road_log(road);
    assert_non_null(strstr(log, "\"hedge\":\"won\""));
    assert_non_null(strstr(log, "\"key\":\"two\""));
    assert_non_null(strstr(log, "\"attempts\":2"));
    assert_null(strstr(log, "\"retries\""));
    mem_free(log);
    race_end(&race);
}

/* What the loser costs stands in the exchange's own cost, for the client too: 3 tokens in and 5 out
 * of the winner, at one USD each, and the prompt of the other. */
static void test_both_are_billed(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    uint64_t lost, all;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    stream_whole(road, race.second);
    road_expect(road, race.scene.client, 200, NULL);
    lost = road_metric(road, "bellwether_hedge_cost_usd_total{provider=\"up\"}");
    all = road_metric(road, "bellwether_client_cost_usd_total{client=\"anonymous\"}");
    assert_true(lost > 0);
    assert_int_equal(all, 8 + lost);
    race_end(&race);
}

static void test_first_wins(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, road_chunk);
    road_expect_closed(road, race.second);
    stream_whole(road, race.scene.upstream);
    expect_answer(&race.scene, "one", "2");
    expect_hedge(road, "lost");
    race_end(&race);
}

/* Whole answers race as well; the loser's head and half of its body have come already. */
static void test_whole_answers(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    wire_say(road->loop, race.scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
             "Content-Length: 4000\r\n\r\n{\"id\":");
    road_reply_ok(road, race.second);
    road_expect_closed(road, race.scene.upstream);
    expect_answer(&race.scene, "two", "2");
    expect_hedge(road, "won");
    race_end(&race);
}

/* A head and pings are no answer: the other's first event is. Then pings stand in nobody's way. */
static void test_pings_do_not_win(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, ": queued\n\n");
    road_stream_head(road, race.second);
    road_stream(road, race.second, ": queued too\n\n");
    road_expect_silence(road, race.scene.client);
    road_stream(road, race.second, road_chunk);
    road_expect_closed(road, race.scene.upstream);
    stream_whole(road, race.second);
    road_hear(road, race.scene.client, &answer);
    assert_non_null(strstr(road_body(&answer), ": queued too"));
    assert_null(strstr(road_body(&answer), ": queued\n"));
    road_answer_free(&answer);
    expect_hedge(road, "won");
    race_end(&race);
}

/* Pings that were held for 15 s go out, whoever's event came last; that commits. */
static void test_held_pings_commit(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, ": first\n\n");
    road_pass_ms(road, 5000);
    road_stream_head(road, race.second);
    road_stream(road, race.second, ": second\n\n");
    road_pass_ms(road, 9999);
    road_expect_silence(road, race.scene.client);
    road_pass_ms(road, 1);
    road_expect_closed(road, race.second);
    scene_stream(&race.scene, road_chunk);
    stream_whole(road, race.scene.upstream);
    road_hear(road, race.scene.client, &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), ": first"));
    road_answer_free(&answer);
    expect_hedge(road, "lost");
    race_end(&race);
}

/* Both answers are read in one turn: one goes to the client, whole and once. */
static void test_both_in_one_turn(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    char raw[1024];

    (void)state;
    race_begin(&race, after_a_second, false);
    snprintf(raw, sizeof(raw),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(road_ok), road_ok);
    assert_int_equal(write(race.scene.upstream, raw, strlen(raw)), strlen(raw));
    assert_int_equal(write(race.second, raw, strlen(raw)), strlen(raw));
    wire_settle(road->loop);
    road_expect(road, race.scene.client, 200, road_ok);
    assert_int_equal(hedges(road, "won") + hedges(road, "lost"), 1);
    assert_int_equal(road_attempts(road, "success"), 1);
    assert_int_equal(road_attempts(road, "client_gone"), 1);
    race_end(&race);
}

/* Answers that are told anew race as well: each has a translator of its own. */
static void test_told_answers(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;
    char *heard;

    (void)state;
    scene_begin(&race.scene,
                "providers: {up: {kind: anthropic, base_url: '@a', selection: priority,\n"
                "  health: {validate_new: false},\n"
                "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                "clients: {open: true}\n" AFTER_A_SECOND);
    scene_chat_stream(&race.scene);
    scene_expect_attempt(&race.scene, 'a', "x-api-key: key-one", "/v1/messages");
    road_pass_ms(road, 1000);
    race.second = road_attempt(road, 'a', -1, &heard);
    assert_non_null(strstr(heard, "x-api-key: key-two"));
    assert_non_null(strstr(heard, "Hello"));
    mem_free(heard);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    road_stream_head(road, race.second);
    road_stream(
        road, race.second,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\","
        "\"role\":\"assistant\",\"content\":[],\"model\":\"m\",\"usage\":{\"input_tokens\":3,"
        "\"output_tokens\":1}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    road_stream_end(road, race.second);
    road_expect_closed(road, race.scene.upstream);
    road_hear(road, race.scene.client, &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), "Hello"));
    assert_non_null(strstr(road_body(&answer), "[DONE]"));
    road_answer_free(&answer);
    expect_hedge(road, "won");
    race_end(&race);
}

/* A large answer is whole when it goes to a helper thread, with what the request said: the other
 * attempt ends then, and the client has the answer when the helper has read it. */
static void test_large_answers(void **state)
{
    enum { TEXT_BYTES = AWAY_LARGE_BYTES + 50000, HEARD_MAX = 4 << 20 };
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;
    struct buf body, heard;

    (void)state;
    scene_begin(&race.scene, after_a_second);
    road_post(road, race.scene.client, "/v1/messages", "",
              "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
              "\"Hi\"}]}");
    scene_attempt(&race.scene, "key-one");
    road_pass_ms(road, 1000);
    race.second = road_attempt_with(road, 'a', -1, "key-two");
    buf_init(&body, HEARD_MAX);
    buf_printf(&body, "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":"
                      "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (size_t i = 0; i < TEXT_BYTES; i++)
        buf_append_byte(&body, "lorem ipsum "[i % 12]);
    buf_printf(&body, "\"},\"finish_reason\":\"stop\"}]}");
    road_reply(road, race.second, 200, "", buf_text(&body));
    buf_fini(&body);
    assert_int_equal(road_jobs(road), 1);
    road_expect_closed(road, race.scene.upstream);
    road_expect_silence(road, race.scene.client);
    road_help(road);
    buf_init(&heard, HEARD_MAX);
    scene_hear_all(&race.scene, &heard);
    road_read_answer(buf_span(&heard), &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "x-bellwether-key"), "two");
    assert_in_range(answer.body.len, TEXT_BYTES, TEXT_BYTES + 1000);
    road_answer_free(&answer);
    buf_fini(&heard);
    expect_hedge(road, "won");
    race_end(&race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hedge_wins),       cmocka_unit_test(test_both_are_billed),
        cmocka_unit_test(test_first_wins),       cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_pings_do_not_win), cmocka_unit_test(test_held_pings_commit),
        cmocka_unit_test(test_both_in_one_turn), cmocka_unit_test(test_told_answers),
        cmocka_unit_test(test_large_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
