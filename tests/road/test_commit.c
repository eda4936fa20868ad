/* The commit of a stream: what is held before it, what is beyond help after it, how it ends. */
#include "scene.h"

static const char error_event[] =
    "data: {\"error\":{\"message\":\"Boom\",\"type\":\"server_error\",\"code\":null}}\n\n";

/* A streamed request on its way, its answer's head given. */
static void begin(struct scene *scene)
{
    scene_open_stream(scene, road_one_key);
    road_stream_head(&scene->road, scene->upstream);
}

/* The same, and the first chunk. */
static void begin_with_chunk(struct scene *scene)
{
    begin(scene);
    road_stream(&scene->road, scene->upstream, road_chunk);
}

/* The whole answer's body is this, properly ended, and the connection lives on. */
static void expect_stream(struct scene *scene, const char *body)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_body(&answer), body);
    assert_true(answer.is_whole);
    assert_int_equal(answer.end, WIRE_OPEN);
    road_answer_free(&answer);
}

/* As far as it has come. */
static void expect_begun(struct scene *scene, const char *body)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_body(&answer), body);
    assert_false(answer.is_whole);
    road_answer_free(&answer);
}

/* What comes after the first events: chunks that end with an error event of ours and a proper last
 * chunk, no terminal event. */
static void expect_broken_off(struct scene *scene, const char *code)
{
    struct buf heard;
    char event[64];

    buf_init(&heard, 1 << 20);
    wire_settle(scene->road.loop);
    assert_int_equal(wire_read(scene->client, &heard), WIRE_OPEN);
    snprintf(event, sizeof(event), "\"code\":\"%s\"", code);
    assert_non_null(strstr(buf_text(&heard), "data: {\"error\":{"));
    assert_non_null(strstr(buf_text(&heard), event));
    assert_null(strstr(buf_text(&heard), "[DONE]"));
    assert_int_equal(strcmp(heard.data + heard.len - 7, "\r\n0\r\n\r\n") && heard.len, 0);
    buf_fini(&heard);
}

/* Another try comes, and what it streams is all that the client hears. */
static void expect_another_try(struct scene *scene)
{
    scene_attempt(scene, "key-one");
    road_stream_head(&scene->road, scene->upstream);
    road_stream(&scene->road, scene->upstream, road_chunk);
    expect_begun(scene, road_chunk);
}

/* The stream came whole, with its end. */
static void expect_finished(struct scene *scene)
{
    char body[2048];

    snprintf(body, sizeof(body), "%s%s%s", road_chunk, road_finish, road_done);
    expect_stream(scene, body);
}

static void test_cut_after_commit(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    expect_begun(&scene, road_chunk);
    scene_break(&scene);
    expect_broken_off(&scene, "upstream_failed");
    assert_int_equal(road_try_accept(&scene.road, 'a'), -1);
    /* The client's connection is as good as before. */
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

static void test_stall_after_commit(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    expect_begun(&scene, road_chunk);
    road_pass_ms(&scene.road, 299999);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    expect_broken_off(&scene, "timeout");
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* Comments keep an idle stream alive. */
static void test_comments_after_commit(void **state)
{
    struct scene scene;
    char body[2048];

    (void)state;
    begin_with_chunk(&scene);
    for (int i = 0; i < 3; i++) {
        road_pass_ms(&scene.road, 200000);
        scene_stream(&scene, ": ping\n\n");
    }
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    snprintf(body, sizeof(body), "%s: ping\n\n: ping\n\n: ping\n\n%s%s", road_chunk, road_finish,
             road_done);
    expect_stream(&scene, body);
    scene_end(&scene);
}

/* The provider's own error event passes, the stream ends there, and nothing follows it. */
static void test_error_event_after_commit(void **state)
{
    struct scene scene;
    char body[2048];

    (void)state;
    begin_with_chunk(&scene);
    scene_stream(&scene, error_event);
    snprintf(body, sizeof(body), "%s%s", road_chunk, error_event);
    expect_stream(&scene, body);
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* The same where one read brings all of it. */
static void test_error_event_behind_first(void **state)
{
    struct scene scene;
    char events[4096], body[2048];

    (void)state;
    begin(&scene);
    snprintf(events, sizeof(events), "%s%s%s%s", road_chunk, error_event, road_chunk, road_done);
    scene_stream(&scene, events);
    snprintf(body, sizeof(body), "%s%s", road_chunk, error_event);
    expect_stream(&scene, body);
    scene_end(&scene);
}

static void test_done_missing(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    scene_stream(&scene, road_finish);
    scene_stream_end(&scene);
    expect_finished(&scene);
    scene_end(&scene);
}

/* All that counts was said; that the connection broke behind it takes nothing away. */
static void test_finished_then_cut(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    scene_stream(&scene, road_finish);
    scene_break(&scene);
    expect_finished(&scene);
    assert_int_equal(
        road_metric(&scene.road, "bellwether_attempts_total{provider=\"up\",outcome=\"success\"}"),
        1);
    scene_end(&scene);
}

static void test_done_then_cut(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_break(&scene);
    expect_finished(&scene);
    scene_end(&scene);
}

/* An upstream that leaves the connection open behind its [DONE] holds the client up for a second at
 * most. */
static void test_done_then_silence(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    road_pass_ms(&scene.road, 1001);
    expect_finished(&scene);
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* Neither a terminal event nor a finish reason: cut short, told as an error. */
static void test_ended_unfinished(void **state)
{
    struct scene scene;

    (void)state;
    begin_with_chunk(&scene);
    expect_begun(&scene, road_chunk);
    scene_stream_end(&scene);
    expect_broken_off(&scene, "upstream_failed");
    scene_end(&scene);
}

static void test_pings_are_held(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    scene_stream(&scene, ": queueing\n\n");
    road_pass_ms(&scene.road, 10000);
    scene_stream(&scene, ": queueing\n\n");
    road_pass_ms(&scene.road, 4999);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    expect_begun(&scene, ": queueing\n\n: queueing\n\n");
    /* That committed: a failure now is told in the stream. */
    scene_break(&scene);
    expect_broken_off(&scene, "upstream_failed");
    scene_end(&scene);
}

/* Pings that are followed in time go out in front of the first event. */
static void test_pings_then_event(void **state)
{
    struct scene scene;
    char body[2048];

    (void)state;
    begin(&scene);
    scene_stream(&scene, ": queueing\n\n");
    road_pass_ms(&scene.road, 14000);
    scene_stream(&scene, road_chunk);
    snprintf(body, sizeof(body), ": queueing\n\n%s", road_chunk);
    expect_begun(&scene, body);
    scene_end(&scene);
}

/* Held pings are no answer: an error behind them can still be tried elsewhere. */
static void test_pings_then_error(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    scene_stream(&scene, ": queueing\n\n");
    road_pass_ms(&scene.road, 5000);
    scene_stream(&scene, error_event);
    road_pass_ms(&scene.road, 200);
    expect_another_try(&scene);
    scene_end(&scene);
}

static void test_pings_and_half_an_event(void **state)
{
    struct scene scene;
    struct buf heard;

    (void)state;
    begin(&scene);
    scene_stream(&scene, ": q\n\ndata: {\"id\":\"c1\",");
    road_pass_ms(&scene.road, 15001);
    expect_begun(&scene, ": q\n\n");
    scene_stream(&scene, "\"choices\":[]}\n\ndata: x");
    buf_init(&heard, 1 << 20);
    assert_int_equal(wire_read(scene.client, &heard), WIRE_OPEN);
    assert_string_equal(buf_text(&heard), "20\r\ndata: {\"id\":\"c1\",\"choices\":[]}\n\n\r\n");
    buf_fini(&heard);
    scene_end(&scene);
}

/* A first event that is an error: another try, and the client never sees it. */
static void test_first_event_error(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    scene_stream(&scene, error_event);
    road_pass_ms(&scene.road, 200);
    road_expect_closed(&scene.road, scene.upstream);
    expect_another_try(&scene);
    scene_end(&scene);
}

static void test_event_split_at_every_byte(void **state)
{
    struct scene scene;
    char events[2048];

    (void)state;
    begin(&scene);
    snprintf(events, sizeof(events), ": q\n\n%s%s%s", road_chunk, road_finish, road_done);
    for (const char *at = events; *at; at++) {
        char one[2] = {*at, '\0'};

        scene_stream(&scene, one);
    }
    scene_stream_end(&scene);
    expect_stream(&scene, events);
    scene_end(&scene);
}

/* An event beyond 64 KiB flows on before its end is there. */
static void test_giant_event(void **state)
{
    struct scene scene;
    struct road_answer answer;
    struct buf event;

    (void)state;
    begin(&scene);
    buf_init(&event, 1 << 20);
    buf_printf(&event, "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
    while (event.len < 100000)
        buf_append_span(&event, SPAN("0123456789"));
    scene_stream(&scene, buf_text(&event));
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_body(&answer), buf_text(&event));
    road_answer_free(&answer);
    scene_stream(&scene, "\"},\"finish_reason\":\"stop\"}]}\n\n");
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    buf_clear(&event);
    assert_int_equal(wire_read(scene.client, &event), WIRE_OPEN);
    assert_string_equal(buf_text(&event), "1e\r\n\"},\"finish_reason\":\"stop\"}]}\n\n\r\n"
                                          "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    buf_fini(&event);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_after_commit),
        cmocka_unit_test(test_stall_after_commit),
        cmocka_unit_test(test_comments_after_commit),
        cmocka_unit_test(test_error_event_after_commit),
        cmocka_unit_test(test_error_event_behind_first),
        cmocka_unit_test(test_done_missing),
        cmocka_unit_test(test_finished_then_cut),
        cmocka_unit_test(test_done_then_cut),
        cmocka_unit_test(test_done_then_silence),
        cmocka_unit_test(test_ended_unfinished),
        cmocka_unit_test(test_pings_are_held),
        cmocka_unit_test(test_pings_then_event),
        cmocka_unit_test(test_pings_then_error),
        cmocka_unit_test(test_pings_and_half_an_event),
        cmocka_unit_test(test_first_event_error),
        cmocka_unit_test(test_event_split_at_every_byte),
        cmocka_unit_test(test_giant_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
