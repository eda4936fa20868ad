/* What is told of the tries, and what bounds or spares them. */
#include "scene.h"

#include "base/alloc.h"

/* What the last answer was decides what the client gets; the rest is told in fields. */
static void test_fields_of_a_refusal(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_begin(&scene, road_one_key);
    scene_chat(&scene);
    for (int i = 0; i < 3; i++) {
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 503,
                    "Retry-After: 0\r\nx-request-id: up-7\r\nServer: secret\r\n"
                    "x-ratelimit-limit-requests: 5\r\nSet-Cookie: a=b\r\n",
                    "{\"error\":{\"message\":\"busy\"}}");
        road_pass_ms(&scene.road, 1000);
    }
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 503);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "3");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "up-7");
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    assert_string_not_equal(road_field(&answer, "retry-after"), "");
    assert_string_equal(road_field(&answer, "server"), "");
    assert_string_equal(road_field(&answer, "set-cookie"), "");
    assert_string_equal(road_field(&answer, "x-ratelimit-limit-requests"), "");
    road_answer_free(&answer);
    scene_end(&scene);
}

/* The provider's own x-should-retry passes where no try of ours was made. */
static void test_should_retry_passes(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_reply(&scene, 400, "x-should-retry: false\r\nopenai-processing-ms: 12\r\n", "{}");
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    assert_string_equal(road_field(&answer, "openai-processing-ms"), "12");
    road_answer_free(&answer);
    scene_end(&scene);
}

/* A field of absurd length is dropped, and does not spoil the head that goes to the client. */
static void test_absurd_fields(void **state)
{
    struct scene scene;
    struct road_answer answer;
    struct buf lines;

    (void)state;
    scene_open(&scene, road_one_key);
    buf_init(&lines, 1 << 17);
    buf_printf(&lines, "x-request-id: ");
    while (lines.len < 60000)
        buf_append_byte(&lines, 'x');
    buf_printf(&lines, "\r\nopenai-processing-ms: 7\r\n");
    scene_reply(&scene, 200, buf_text(&lines), road_ok);
    buf_fini(&lines);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "openai-processing-ms"), "7");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "");
    road_answer_free(&answer);
    scene_end(&scene);
}

/* Asked once with stream_options, refused by name, asked again without, and remembered. */
static void test_usage_refused(void **state)
{
    struct scene scene;
    char *heard;

    (void)state;
    scene_begin(&scene, road_one_key);
    scene_chat_stream(&scene);
    scene_attempt_at(&scene, 'a', &heard);
    assert_non_null(strstr(heard, "stream_options"));
    mem_free(heard);
    scene_reply(&scene, 400, "", "{\"error\":{\"message\":\"Unknown field: stream_options\"}}");
    scene_attempt_at(&scene, 'a', &heard);
    assert_null(strstr(heard, "stream_options"));
    mem_free(heard);
    assert_int_equal(road_now_ms(&scene.road), 0);
    scene_stream_head(&scene);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    road_expect(&scene.road, scene.client, 200, NULL);
    scene_chat_stream(&scene);
    scene_attempt_at(&scene, 'a', &heard);
    assert_null(strstr(heard, "stream_options"));
    mem_free(heard);
    scene_end(&scene);
}

/* retry.on without a class: the first such failure is the last. */
static void test_retry_on(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                       "  health: {validate_new: false},\n"
                       "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                       "clients: {open: true}\nretry: {on: [connect]}\n");
    scene_reply(&scene, 500, "", "{\"error\":{\"message\":\"oops\"}}");
    road_expect(&scene.road, scene.client, 500, "{\"error\":{\"message\":\"oops\"}}");
    scene_end(&scene);
}

/* A kept connection that died while idle is replaced by a fresh one: neither attempt nor failure.
 */
static void test_kept_connection_died(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_open(&scene, road_one_key);
    scene_serve(&scene);
    scene_chat(&scene);
    road_take(&scene.road, scene.upstream); /* it has taken the request, and dies before any byte */
    scene_break(&scene);
    scene_attempt(&scene, "key-one");
    /* Once: a fresh one that dies is a failure. */
    road_reply_ok(&scene.road, scene.upstream);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "1");
    road_answer_free(&answer);
    assert_int_equal(road_attempts(&scene.road, "reset"), 0);
    assert_int_equal(road_attempts(&scene.road, "success"), 2);
    scene_end(&scene);
}

/* The answer came before the request was sent whole: it counts, and the connection is not kept. */
static void test_early_answer(void **state)
{
    struct scene scene;
    struct buf body;

    (void)state;
    scene_begin(&scene, road_one_key);
    buf_init(&body, 8 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"messages\":[],\"x\":\"");
    while (body.len < (4 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\"}");
    road_post(&scene.road, scene.client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    scene.upstream = road_accept(&scene.road, 'a');
    scene_reply(&scene, 413, "", "{\"error\":{\"message\":\"too large\"}}");
    road_expect(&scene.road, scene.client, 413, "{\"error\":{\"message\":\"too large\"}}");
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* The retry budget: of many that fail at once only a share is tried again. */
static void test_budget(void **state)
{
    enum { CLIENTS = 40 };
    struct road road;
    int clients[CLIENTS], upstreams[CLIENTS];
    unsigned again = 0;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
               "  health: {validate_new: false, max_failures: 1000}, breaker: {failures: 1000},\n"
               "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
               "clients: {open: true}\nretry: {budget: 10%}\n");
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = road_connect(&road);
        road_chat(&road, clients[i]);
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    }
    for (int i = 0; i < CLIENTS; i++) {
        char *heard;

        close(upstreams[i]);
        wire_settle(road.loop);
        upstreams[i] = road_try_accept(&road, 'a');
        if (upstreams[i] < 0) {
            road_expect_error(&road, clients[i], 502, "upstream_failed");
            continue;
        }
        again++;
        heard = road_request(&road, upstreams[i]);
        assert_non_null(strstr(heard, "key-two"));
        mem_free(heard);
        road_reply_ok(&road, upstreams[i]);
        road_expect(&road, clients[i], 200, road_ok);
        close(upstreams[i]);
    }
    /* A tenth of the 40, or three a second over ten seconds, whichever is more. */
    assert_in_range(again, 4, 30);
    scene_close_all(clients, CLIENTS);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_of_a_refusal),
        cmocka_unit_test(test_should_retry_passes),
        cmocka_unit_test(test_absurd_fields),
        cmocka_unit_test(test_usage_refused),
        cmocka_unit_test(test_retry_on),
        cmocka_unit_test(test_kept_connection_died),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
