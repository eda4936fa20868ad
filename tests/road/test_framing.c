/* How an upstream may frame its answer, and what of it reaches the client. */
#include "scene.h"

#include <sys/socket.h>

static void say(struct scene *scene, const char *text)
{
    wire_say(scene->road.loop, scene->upstream, text);
}

/* The try that follows is answered well. */
static void expect_another_try(struct scene *scene)
{
    road_pass_ms(&scene->road, 100);
    scene_attempt(scene, "key-one");
    scene_serve(scene);
}

/* Without a length the end of the connection ends the answer. */
static void test_object_until_close(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
    say(&scene, road_ok);
    road_expect_silence(&scene.road, scene.client);
    scene_break(&scene);
    road_expect(&scene.road, scene.client, 200, road_ok);
    scene_end(&scene);
}

/* There it is the object itself that tells whether all of it came. */
static void test_half_an_object_until_close(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.1 200 OK\r\n\r\n{\"id\":\"c1\",");
    scene_break(&scene);
    expect_another_try(&scene);
    scene_end(&scene);
}

static void test_old_version(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    road_expect(&scene.road, scene.client, 200, "{}");
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* A stream until the end of the connection, its last event without a blank line. */
static void test_stream_until_close(void **state)
{
    struct scene scene;
    char body[1024];

    (void)state;
    scene_open_stream(&scene, road_one_key);
    say(&scene, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n");
    say(&scene, road_chunk);
    snprintf(body, sizeof(body), "%s", road_finish);
    body[strlen(body) - 1] = '\0';
    say(&scene, body);
    scene_break(&scene);
    /* A blank line too many is none to anybody. */
    snprintf(body, sizeof(body), "%s%s\n%s", road_chunk, road_finish, road_done);
    road_expect(&scene.road, scene.client, 200, body);
    scene_end(&scene);
}

/* Interim answers, chunk extensions and trailers stay behind. */
static void test_what_is_dropped(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                "HTTP/1.1 100 Continue\r\n\r\n"
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n"
                "X-Secret: 1\r\n\r\n"
                "1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX-Late: 1\r\n\r\n");
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_false(answer.is_chunked);
    assert_string_equal(road_body(&answer), "{}");
    assert_string_equal(road_field(&answer, "link"), "");
    assert_string_equal(road_field(&answer, "trailer"), "");
    assert_string_equal(road_field(&answer, "x-secret"), "");
    road_answer_free(&answer);
    scene_end(&scene);
}

/* A success without a body is none. */
static void test_no_content(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_another_try(&scene);
    scene_end(&scene);
}

static void test_both_lengths(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}");
    road_expect_closed(&scene.road, scene.upstream);
    scene_break(&scene);
    expect_another_try(&scene);
    scene_end(&scene);
}

/* What nobody asked for ends the connection, and never reaches the next client. */
static void test_unasked_bytes(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, road_one_key);
    say(&scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\"another\"");
    road_expect(&scene.road, scene.client, 200, "{}");
    road_expect_closed(&scene.road, scene.upstream);
    road_chat(&scene.road, scene.client);
    scene_break(&scene);
    scene.upstream = road_attempt_with(&scene.road, 'a', -1, "key-one");
    road_reply_ok(&scene.road, scene.upstream);
    road_expect(&scene.road, scene.client, 200, road_ok);
    scene_end(&scene);
}

/* The answer streams while the request is still on its way: both go on, to their ends. */
static void test_answer_before_the_request_is_sent(void **state)
{
    struct scene scene;
    struct buf body, heard;
    char whole[1024];

    (void)state;
    scene_begin(&scene, road_one_key);
    buf_init(&body, 8 << 20);
    buf_init(&heard, 8 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"stream\":true,\"x\":\"");
    while (body.len < (4 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\",\"end\":1}");
    road_post(&scene.road, scene.client, "/v1/chat/completions", "", buf_text(&body));
    scene.upstream = road_accept(&scene.road, 'a');
    scene_stream_head(&scene);
    scene_stream(&scene, road_chunk);
    while (!heard.len || span_find(buf_span(&heard), SPAN("\"end\":1")) == SIZE_MAX) {
        wire_settle(scene.road.loop);
        assert_int_equal(wire_read(scene.upstream, &heard), WIRE_OPEN);
    }
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    snprintf(whole, sizeof(whole), "%s%s%s", road_chunk, road_finish, road_done);
    road_expect(&scene.road, scene.client, 200, whole);
    assert_int_equal(scene.road.host.lease.used, 0);
    /* Nothing is wrong with the connection. */
    scene_chat(&scene);
    road_take(&scene.road, scene.upstream);
    buf_fini(&body);
    buf_fini(&heard);
    scene_end(&scene);
}

/* A client of HTTP/1.0 gets its stream until the end of the connection. */
static void test_old_client(void **state)
{
    static const char body[] = "{\"model\":\"up/m\",\"stream\":true,\"messages\":[]}";
    struct scene scene;
    struct buf heard;
    char request[256], whole[1024];

    (void)state;
    scene_begin(&scene, road_one_key);
    snprintf(request, sizeof(request),
             "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    wire_say(scene.road.loop, scene.client, request);
    scene_attempt(&scene, "key-one");
    scene_stream_head(&scene);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    buf_init(&heard, 1 << 16);
    wire_settle(scene.road.loop);
    assert_int_equal(wire_read(scene.client, &heard), WIRE_EOF);
    assert_int_equal(strncmp(buf_text(&heard), "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_null(strstr(buf_text(&heard), "chunked"));
    snprintf(whole, sizeof(whole), "\r\n\r\n%s%s", road_finish, road_done);
    assert_non_null(strstr(buf_text(&heard), whole));
    buf_fini(&heard);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object_until_close),
        cmocka_unit_test(test_half_an_object_until_close),
        cmocka_unit_test(test_old_version),
        cmocka_unit_test(test_stream_until_close),
        cmocka_unit_test(test_what_is_dropped),
        cmocka_unit_test(test_no_content),
        cmocka_unit_test(test_both_lengths),
        cmocka_unit_test(test_unasked_bytes),
        cmocka_unit_test(test_answer_before_the_request_is_sent),
        cmocka_unit_test(test_old_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
