/* What is told of the tries, and what bounds or spares them. */
#include "road.h"

#include "base/alloc.h"

/* What the last answer was decides what the client gets; the rest is told in fields. */
static void test_fields_of_a_refusal(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    for (int i = 0; i < 3; i++) {
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        road_reply(&road, upstream, 503,
                   "Retry-After: 0\r\nx-request-id: up-7\r\nServer: secret\r\n"
                   "x-ratelimit-limit-requests: 5\r\nSet-Cookie: a=b\r\n",
                   "{\"error\":{\"message\":\"busy\"}}");
        road_pass_ms(&road, 1000);
    }
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 503);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "3");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "up-7");
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    assert_string_not_equal(road_field(&answer, "retry-after"), "");
    assert_string_equal(road_field(&answer, "server"), "");
    assert_string_equal(road_field(&answer, "set-cookie"), "");
    assert_string_equal(road_field(&answer, "x-ratelimit-limit-requests"), "");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* The provider's own x-should-retry passes where no try of ours was made. */
static void test_should_retry_passes(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 400, "x-should-retry: false\r\nopenai-processing-ms: 12\r\n", "{}");
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_field(&answer, "x-should-retry"), "false");
    assert_string_equal(road_field(&answer, "openai-processing-ms"), "12");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* A field of absurd length is dropped, and does not spoil the head that goes to the client. */
static void test_absurd_fields(void **state)
{
    struct road road;
    struct road_answer answer;
    struct buf lines;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    buf_init(&lines, 1 << 17);
    buf_printf(&lines, "x-request-id: ");
    while (lines.len < 60000)
        buf_append_byte(&lines, 'x');
    buf_printf(&lines, "\r\nopenai-processing-ms: 7\r\n");
    road_reply(&road, upstream, 200, buf_text(&lines), road_ok);
    buf_fini(&lines);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "openai-processing-ms"), "7");
    assert_string_equal(road_field(&answer, "x-bellwether-upstream-request-id"), "");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Asked once with stream_options, refused by name, asked again without, and remembered. */
static void test_usage_refused(void **state)
{
    struct road road;
    int client, upstream;
    char *heard;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat_stream(&road, client);
    upstream = road_attempt(&road, 'a', -1, &heard);
    assert_non_null(strstr(heard, "stream_options"));
    mem_free(heard);
    road_reply(&road, upstream, 400, "",
               "{\"error\":{\"message\":\"Unknown field: stream_options\"}}");
    upstream = road_attempt(&road, 'a', upstream, &heard);
    assert_null(strstr(heard, "stream_options"));
    mem_free(heard);
    assert_int_equal(road_now_ms(&road), 0);
    road_stream_head(&road, upstream);
    road_stream(&road, upstream, road_finish);
    road_stream(&road, upstream, road_done);
    road_stream_end(&road, upstream);
    road_expect(&road, client, 200, NULL);
    road_chat_stream(&road, client);
    upstream = road_attempt(&road, 'a', upstream, &heard);
    assert_null(strstr(heard, "stream_options"));
    mem_free(heard);
    close(upstream);
    close(client);
    road_end(&road);
}

/* retry.on without a class: the first such failure is the last. */
static void test_retry_on(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                      "  health: {validate_new: false},\n"
                      "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                      "clients: {open: true}\nretry: {on: [connect]}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 500, "", "{\"error\":{\"message\":\"oops\"}}");
    road_expect(&road, client, 500, "{\"error\":{\"message\":\"oops\"}}");
    close(upstream);
    close(client);
    road_end(&road);
}

/* A kept connection that died while idle is replaced by a fresh one: neither attempt nor failure.
 */
static void test_kept_connection_died(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    road_chat(&road, client);
    road_take(&road, upstream); /* it has taken the request, and dies before any byte */
    close(upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    /* Once: a fresh one that dies is a failure. */
    road_reply_ok(&road, upstream);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "1");
    road_answer_free(&answer);
    assert_int_equal(road_attempts(&road, "reset"), 0);
    assert_int_equal(road_attempts(&road, "success"), 2);
    close(upstream);
    close(client);
    road_end(&road);
}

/* The answer came before the request was sent whole: it counts, and the connection is not kept. */
static void test_early_answer(void **state)
{
    struct road road;
    struct buf body;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    buf_init(&body, 8 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"messages\":[],\"x\":\"");
    while (body.len < (4 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\"}");
    road_post(&road, client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    upstream = road_accept(&road, 'a');
    road_reply(&road, upstream, 413, "", "{\"error\":{\"message\":\"too large\"}}");
    road_expect(&road, client, 413, "{\"error\":{\"message\":\"too large\"}}");
    road_expect_closed(&road, upstream);
    close(upstream);
    close(client);
    road_end(&road);
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
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
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
