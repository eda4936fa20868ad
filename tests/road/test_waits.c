/* Waiting: for a key that rests, for an endpoint that refuses, for a key that is new; how long. */
#include "scene.h"

#include <stdlib.h>

/* Refused with so many milliseconds to wait, and the same in whole seconds; what the pool adds to
 * be on the safe side is no further second. */
static void expect_refusal(struct road *road, int client, int status, const char *code, uint64_t ms)
{
    struct road_answer answer;
    char member[64];

    road_hear(road, client, &answer);
    snprintf(member, sizeof(member), "\"code\":\"%s\"", code);
    if (answer.status != status || !strstr(road_body(&answer), member))
        print_message("%s%s\n", answer.head, road_body(&answer));
    assert_int_equal(answer.status, status);
    assert_non_null(strstr(road_body(&answer), member));
    assert_int_equal(strtoull(road_field(&answer, "retry-after"), NULL, 10), (ms + 999) / 1000);
    assert_in_range(strtoull(road_field(&answer, "retry-after-ms"), NULL, 10), ms, ms + 2);
    road_answer_free(&answer);
}

/* The only key is limited for less than retry.wait: the exchange waits, and not a moment longer. */
static void test_limited_for_a_while(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_reply(&scene, 429, "Retry-After: 3\r\n", "{}");
    road_pass_ms(&scene.road, 2999);
    scene_expect_no_attempt(&scene);
    assert_int_equal(road_metric(&scene.road, "bellwether_waiting_requests"), 1);
    road_pass_ms(&scene.road, 2);
    scene_attempt(&scene, "key-one");
    assert_int_equal(road_metric(&scene.road, "bellwether_waiting_requests"), 0);
    scene_serve(&scene);
    scene_end(&scene);
}

/* A second 429 does not start the wait anew. */
static void test_limited_again(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_reply(&scene, 429, "retry-after-ms: 3000\r\n", "{}");
    road_pass_ms(&scene.road, 3001);
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 429, "retry-after-ms: 3000\r\n", "{}");
    expect_refusal(&scene.road, scene.client, 429, "rate_limit_exceeded", 3000);
    scene_end(&scene);
}

/* Too far off: refused at once, with the time as it is; and so is the next, without an attempt. */
static void test_limited_for_long(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_reply(&scene, 429, "Retry-After: 20\r\n", "{}");
    expect_refusal(&scene.road, scene.client, 429, "rate_limit_exceeded", 20000);
    road_pass_ms(&scene.road, 7500);
    scene_chat(&scene);
    expect_refusal(&scene.road, scene.client, 429, "rate_limit_exceeded", 12500);
    scene_expect_no_attempt(&scene);
    /* What the key may not do for one model it may for another. */
    road_post(&scene.road, scene.client, "/v1/chat/completions", "",
              "{\"model\":\"up/n\",\"messages\":[]}");
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

static void test_depleted(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_reply(&scene, 402, "", "{}");
    expect_refusal(&scene.road, scene.client, 503, "upstream_depleted", 600000);
    close(scene.client);
    road_pass_ms(&scene.road, 100000);
    scene.client = road_connect(&scene.road);
    scene_chat(&scene);
    expect_refusal(&scene.road, scene.client, 503, "upstream_depleted", 500000);
    close(scene.client);
    road_pass_ms(&scene.road, 500001);
    scene.client = road_connect(&scene.road);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

/* A Retry-After of the last answer is kept to the millisecond where the same key is all there is.
 */
static void test_retry_after_of_a_5xx(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_reply(&scene, 503, "Retry-After: 30\r\n", "{}");
    road_pass_ms(&scene.road, 29999);
    scene_expect_no_attempt(&scene);
    road_pass_ms(&scene.road, 2);
    scene_attempt(&scene, "key-one");
    /* One beyond retry.max_delay is not waited for, and told. */
    scene_reply(&scene, 503, "Retry-After: 90\r\n", "{\"error\":{\"code\":\"busy\"}}");
    expect_refusal(&scene.road, scene.client, 503, "busy", 90000);
    scene_end(&scene);
}

/* Full jitter below 100 ms, then below 200 ms. */
static void test_backoff(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, road_one_key);
    for (int i = 0; i < 5; i++) {
        uint64_t begun_ms = road_now_ms(&scene.road);

        scene_chat(&scene);
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 409, "", "{}");
        road_pass_ms(&scene.road, 100);
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 409, "", "{}");
        road_pass_ms(&scene.road, 200);
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 409, "", "{}");
        road_expect(&scene.road, scene.client, 409, "{}");
        assert_int_equal(road_now_ms(&scene.road) - begun_ms, 300);
        road_pass_ms(&scene.road, 20000);
    }
    scene_end(&scene);
}

/* A lock or a replay guard is there for the other key as well: nothing is tried before its time,
 * and no key is passed over for it. */
static void test_conflict(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                       "  health: {validate_new: false},\n"
                       "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                       "clients: {open: true}\n");
    scene_reply(&scene, 409, "retry-after-ms: 700\r\n", "{}");
    road_pass_ms(&scene.road, 699);
    scene_expect_no_attempt(&scene);
    road_pass_ms(&scene.road, 2);
    scene_attempt(&scene, "key-one");
    scene_reply(&scene, 409, "", "{}");
    road_pass_ms(&scene.road, 200);
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

/* --- an endpoint that refuses --- */

/* One connect is tried every 100 ms; the attempts are not used up by it. */
static void test_refused_then_back(void **state)
{
    struct road road;
    int clients[3], upstreams[3];

    (void)state;
    road_begin(&road, road_one_key);
    road_unlisten(&road, 'a');
    scene_chat_all(&road, clients, 3, 0);
    road_pass_ms(&road, 3050);
    for (int i = 0; i < 3; i++)
        road_expect_silence(&road, clients[i]);
    assert_in_range(
        road_metric(&road, "bellwether_attempts_total{provider=\"up\",outcome=\"connect_failed\"}"),
        29, 35);
    road_listen(&road, 'a');
    road_pass_ms(&road, 150);
    for (int i = 0; i < 3; i++)
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    /* All of retry.attempts is left. */
    road_reply(&road, upstreams[0], 500, "", "{}");
    road_pass_ms(&road, 100);
    upstreams[0] = road_attempt_with(&road, 'a', upstreams[0], "key-one");
    road_reply(&road, upstreams[0], 500, "", "{}");
    road_pass_ms(&road, 200);
    upstreams[0] = road_attempt_with(&road, 'a', upstreams[0], "key-one");
    scene_serve_all(&road, clients, upstreams, 3);
    road_end(&road);
}

/* The one connect that comes about opens the way for all, at once. */
static void test_back_for_all(void **state)
{
    struct road road;
    int clients[3], upstreams[3];
    uint64_t since_ms;

    (void)state;
    road_begin(&road, road_one_key);
    road_unlisten(&road, 'a');
    scene_chat_all(&road, clients, 3, 0);
    road_pass_ms(&road, 1050);
    road_listen(&road, 'a');
    since_ms = road_now_ms(&road);
    while ((upstreams[0] = road_try_accept(&road, 'a')) < 0) {
        road_pass_ms(&road, 1);
        assert_true(road_now_ms(&road) - since_ms <= 101);
    }
    since_ms = road_now_ms(&road);
    for (int i = 1; i < 3; i++)
        upstreams[i] = road_accept(&road, 'a');
    assert_int_equal(road_now_ms(&road), since_ms);
    for (int i = 0; i < 3; i++)
        road_take(&road, upstreams[i]);
    scene_serve_all(&road, clients, upstreams, 3);
    road_end(&road);
}

static void test_refused_for_good(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, road_one_key);
    road_unlisten(&road, 'a');
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 4900);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 200);
    road_expect_error(&road, client, 503, "upstream_open");
    close(client);
    road_end(&road);
}

/* --- validation at start --- */

static void test_new_key(void **state)
{
    struct road road;
    struct provider *provider;
    struct keypool_effect effect;
    struct key *key;
    uint64_t next_us;
    int client, upstream;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a',\n"
                      "  keys: [{name: one, secret: key-one}]}}\nclients: {open: true}\n");
    provider = road.snapshot->providers[0].provider;
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 700);
    road_expect_no_attempt(&road, 'a', -1);
    key = keypool_probe_take(provider_keys(provider), loop_now_us(road.loop), &next_us);
    assert_non_null(key);
    effect = keypool_probe_end(provider_keys(provider), &key, PROBE_KNOWN, loop_now_us(road.loop));
    exchange_host_follow(&road.host, provider, effect);
    /* Told at once. */
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(road_now_ms(&road), 700);
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limited_for_a_while),
        cmocka_unit_test(test_limited_again),
        cmocka_unit_test(test_limited_for_long),
        cmocka_unit_test(test_depleted),
        cmocka_unit_test(test_retry_after_of_a_5xx),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_refused_then_back),
        cmocka_unit_test(test_back_for_all),
        cmocka_unit_test(test_refused_for_good),
        cmocka_unit_test(test_new_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
