/* The time-outs of a provider, each to the millisecond, and what the client gets. */
#include "road.h"

#include <netinet/in.h>

#include "base/alloc.h"

/* A stream's first byte: 60 s, tried again once, then told. */
static void test_first_byte_of_a_stream(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat_stream(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 59999);
    assert_int_equal(road_try_accept(&road, 'a'), -1);
    road_pass_ms(&road, 101); /* and the backoff */
    road_expect_closed(&road, upstream);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_pass_ms(&road, 59890);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 110);
    road_expect_error(&road, client, 504, "timeout");
    assert_int_equal(road_attempts(&road, "first_byte_timeout"), 2);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Comments and blank lines are no first byte; nor is the head. */
static void test_first_byte_is_no_comment(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  timeouts: {first_byte: 10s}, keys: [{name: one, secret: key-one}]}}\n"
               "clients: {open: true}\nretry: {timeouts: 0}\n");
    client = road_connect(&road);
    road_chat_stream(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 5000);
    road_stream_head(&road, upstream);
    road_pass_ms(&road, 4000);
    road_stream(&road, upstream, ": queueing\n\n");
    road_pass_ms(&road, 999);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 2);
    road_expect_error(&road, client, 504, "timeout");
    close(upstream);
    close(client);
    road_end(&road);
}

/* Not streamed: ten minutes by themselves, but the total comes at the same time. */
static void test_first_byte_of_an_object(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  timeouts: {first_byte: {streamed: 10s, whole: 20s}},\n"
               "  keys: [{name: one, secret: key-one}]}}\n"
               "clients: {open: true}\nretry: {timeouts: 0}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 19999);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 2);
    road_expect_error(&road, client, 504, "timeout");
    close(upstream);
    close(client);
    road_end(&road);
}

/* The answer begins and stalls before the commit. */
static void test_idle(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    wire_say(road.loop, upstream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":1");
    road_pass_ms(&road, 200000);
    wire_say(road.loop, upstream, ",");
    road_pass_ms(&road, 299999);
    assert_int_equal(road_try_accept(&road, 'a'), -1);
    road_pass_ms(&road, 101);
    assert_int_equal(road_attempts(&road, "idle_timeout"), 1);
    upstream = road_attempt_with(&road, 'a', upstream, "key-one");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Sending: what counts is progress, not the whole. */
static void test_send(void **state)
{
    struct road road;
    struct buf body;
    char piece[65536];
    int client, upstream;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  keys: [{name: one, secret: key-one}]}}\n"
               "clients: {open: true}\nretry: {timeouts: 0}\n");
    client = road_connect(&road);
    buf_init(&body, 16 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"x\":\"");
    while (body.len < (8 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\"}");
    road_post(&road, client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    upstream = road_accept(&road, 'a');
    for (int i = 0; i < 5; i++) {
        road_pass_ms(&road, 29000);
        assert_true(read(upstream, piece, sizeof(piece)) > 0);
    }
    road_expect_silence(&road, client);
    road_pass_ms(&road, 61000);
    road_expect_error(&road, client, 504, "timeout");
    assert_int_equal(road_attempts(&road, "send_timeout"), 1);
    close(upstream);
    close(client);
    road_end(&road);
}

/* No attempt of its own ends the exchange, but all of them together. */
static void test_total(void **state)
{
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  timeouts: {first_byte: 4s, total: 10s}, keys: [{name: one, secret: key-one}]}}\n"
               "clients: {open: true}\nretry: {timeouts: 5, attempts: 5}\n");
    client = road_connect(&road);
    road_chat(&road, client);
    for (int i = 0; i < 3; i++) {
        upstream = road_attempt_with(&road, 'a', upstream, "key-one");
        if (i < 2)
            road_pass_ms(&road, 4400);
    }
    road_pass_ms(&road, 1199);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 2);
    road_expect_error(&road, client, 504, "timeout");
    assert_int_equal(road_attempts(&road, "total_timeout"), 1);
    assert_int_equal(road_metric(&road, "bellwether_requests_cancelled_total{by=\"deadline\"}"), 1);
    close(upstream);
    close(client);
    road_end(&road);
}

/* An answer that is held when the total is over is not held any longer. */
static void test_total_while_held(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    wire_say(road.loop, upstream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":1");
    for (int i = 0; i < 5; i++) {
        road_pass_ms(&road, 119999);
        road_expect_silence(&road, client);
        wire_say(road.loop, upstream, " ");
    }
    road_pass_ms(&road, 6);
    road_expect_error(&road, client, 504, "timeout");
    road_expect_closed(&road, upstream);
    close(upstream);
    close(client);
    road_end(&road);
}

/* TLS towards somebody who says nothing: five seconds, tried three times within the wait. */
static void test_connect(void **state)
{
    struct road road;
    struct addr addr;
    char yaml[512];
    int client, listener = wire_listen(false, &addr);

    (void)state;
    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, base_url: 'https://127.0.0.1:%u/v1',\n"
             "  timeouts: {connect: 2s}, tls: {verify: false}, health: {validate_new: false},\n"
             "  keys: [{name: one, secret: key-one}]}}\nclients: {open: true}\n",
             ntohs(((struct sockaddr_in *)&addr.storage)->sin_port));
    road_begin(&road, yaml);
    client = road_connect(&road);
    road_chat(&road, client);
    road_pass_ms(&road, 1999);
    assert_int_equal(road_attempts(&road, "connect_timeout"), 0);
    road_pass_ms(&road, 2);
    assert_int_equal(road_attempts(&road, "connect_timeout"), 1);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 4198);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 2);
    road_expect_error(&road, client, 504, "timeout");
    assert_int_equal(road_attempts(&road, "connect_timeout"), 3);
    close(client);
    road_end(&road);
    close(listener);
}

/* --- the client's own time --- */

static void test_slow_head(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    wire_say(road.loop, client, "POST /v1/chat/completions HTTP/1.1\r\nHo");
    road_pass_ms(&road, 9999);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 2);
    road_expect_error(&road, client, 408, "request_timeout");
    close(client);
    road_end(&road);
}

static void test_slow_body(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    wire_say(road.loop, client,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\n{");
    for (int i = 0; i < 3; i++) {
        road_pass_ms(&road, 59999);
        wire_say(road.loop, client, " ");
    }
    road_pass_ms(&road, 59999);
    road_expect_silence(&road, client);
    road_pass_ms(&road, 2);
    road_expect_error(&road, client, 408, "request_timeout");
    road_pass_ms(&road, 3000);
    road_expect_closed(&road, client);
    close(client);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_byte_of_a_stream),
        cmocka_unit_test(test_first_byte_is_no_comment),
        cmocka_unit_test(test_first_byte_of_an_object),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_total_while_held),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_slow_head),
        cmocka_unit_test(test_slow_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
