/* The time-outs of a provider, each to the millisecond, and what the client gets. */
#include "scene.h"

/* A stream's first byte: 60 s, tried again once, then told. */
static void test_first_byte_of_a_stream(void **state)
{
    struct scene scene;

    (void)state;
    scene_open_stream(&scene, road_one_key);
    road_pass_ms(&scene.road, 59999);
    assert_int_equal(road_try_accept(&scene.road, 'a'), -1);
    road_pass_ms(&scene.road, 101); /* and the backoff */
    road_expect_closed(&scene.road, scene.upstream);
    scene_attempt(&scene, "key-one");
    road_pass_ms(&scene.road, 59890);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 110);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    assert_int_equal(road_attempts(&scene.road, "first_byte_timeout"), 2);
    scene_end(&scene);
}

/* Comments and blank lines are no first byte; nor is the head. */
static void test_first_byte_is_no_comment(void **state)
{
    struct scene scene;

    (void)state;
    scene_open_stream(
        &scene,
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  timeouts: {first_byte: 10s}, keys: [{name: one, secret: key-one}]}}\n"
        "clients: {open: true}\nretry: {timeouts: 0}\n");
    road_pass_ms(&scene.road, 5000);
    scene_stream_head(&scene);
    road_pass_ms(&scene.road, 4000);
    scene_stream(&scene, ": queueing\n\n");
    road_pass_ms(&scene.road, 999);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    scene_end(&scene);
}

/* Not streamed: ten minutes by themselves, but the total comes at the same time. */
static void test_first_byte_of_an_object(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene,
               "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
               "  timeouts: {first_byte: {streamed: 10s, whole: 20s}},\n"
               "  keys: [{name: one, secret: key-one}]}}\n"
               "clients: {open: true}\nretry: {timeouts: 0}\n");
    road_pass_ms(&scene.road, 19999);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    scene_end(&scene);
}

/* The answer begins and stalls before the commit. */
static void test_idle(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    wire_say(scene.road.loop, scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":1");
    road_pass_ms(&scene.road, 200000);
    wire_say(scene.road.loop, scene.upstream, ",");
    road_pass_ms(&scene.road, 299999);
    assert_int_equal(road_try_accept(&scene.road, 'a'), -1);
    road_pass_ms(&scene.road, 101);
    assert_int_equal(road_attempts(&scene.road, "idle_timeout"), 1);
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

/* Sending: what counts is progress, not the whole. */
static void test_send(void **state)
{
    struct scene scene;
    struct buf body;
    char piece[65536];

    (void)state;
    scene_begin(
        &scene,
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  keys: [{name: one, secret: key-one}]}}\n"
        "clients: {open: true}\nretry: {timeouts: 0}\n");
    buf_init(&body, 16 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"x\":\"");
    while (body.len < (8 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\"}");
    road_post(&scene.road, scene.client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    scene.upstream = road_accept(&scene.road, 'a');
    for (int i = 0; i < 5; i++) {
        road_pass_ms(&scene.road, 29000);
        assert_true(read(scene.upstream, piece, sizeof(piece)) > 0);
    }
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 61000);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    assert_int_equal(road_attempts(&scene.road, "send_timeout"), 1);
    scene_end(&scene);
}

/* No attempt of its own ends the exchange, but all of them together. */
static void test_total(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(
        &scene,
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  timeouts: {first_byte: 4s, total: 10s}, keys: [{name: one, secret: key-one}]}}\n"
        "clients: {open: true}\nretry: {timeouts: 5, attempts: 5}\n");
    scene_chat(&scene);
    for (int i = 0; i < 3; i++) {
        scene_attempt(&scene, "key-one");
        if (i < 2)
            road_pass_ms(&scene.road, 4400);
    }
    road_pass_ms(&scene.road, 1199);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    assert_int_equal(road_attempts(&scene.road, "total_timeout"), 1);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"deadline\"}"), 1);
    scene_end(&scene);
}

/* An answer that is held when the total is over is not held any longer. */
static void test_total_while_held(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    wire_say(scene.road.loop, scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":1");
    for (int i = 0; i < 5; i++) {
        road_pass_ms(&scene.road, 119999);
        road_expect_silence(&scene.road, scene.client);
        wire_say(scene.road.loop, scene.upstream, " ");
    }
    road_pass_ms(&scene.road, 6);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* TLS towards somebody who says nothing: five seconds, tried three times within the wait. */
static void test_connect(void **state)
{
    struct scene scene;
    int listener;

    (void)state;
    listener = scene_begin_deaf(&scene, "timeouts: {connect: 2s},");
    road_pass_ms(&scene.road, 1999);
    assert_int_equal(road_attempts(&scene.road, "connect_timeout"), 0);
    road_pass_ms(&scene.road, 2);
    assert_int_equal(road_attempts(&scene.road, "connect_timeout"), 1);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 4198);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    road_expect_error(&scene.road, scene.client, 504, "timeout");
    assert_int_equal(road_attempts(&scene.road, "connect_timeout"), 3);
    scene_end(&scene);
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
