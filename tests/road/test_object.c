/* An answer that is one object: held until its end or its first 256 KiB, then beyond help. */
#include "scene.h"

/* A request on its way, its answer's head given with these lines. */
static void begin(struct scene *scene, const char *lines)
{
    char head[256];

    scene_open(scene, road_one_key);
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s\r\n",
             lines);
    wire_say(scene->road.loop, scene->upstream, head);
}

/* Nothing is shown before the end; then another try is possible. */
static void test_json_cut_before_commit(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, "Content-Length: 300\r\n");
    wire_say(scene.road.loop, scene.upstream, "{\"id\":\"c1\",\"choices\":[");
    road_expect_silence(&scene.road, scene.client);
    scene_break(&scene);
    road_pass_ms(&scene.road, 200);
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

static void test_json_in_pieces(void **state)
{
    struct scene scene;
    char lines[64];

    (void)state;
    snprintf(lines, sizeof(lines), "Content-Length: %zu\r\n", strlen(road_ok));
    begin(&scene, lines);
    for (const char *at = road_ok; *at; at++) {
        char one[2] = {*at, '\0'};

        road_expect_silence(&scene.road, scene.client);
        wire_say(scene.road.loop, scene.upstream, one);
    }
    road_expect(&scene.road, scene.client, 200, road_ok);
    scene_end(&scene);
}

static void say_much(struct scene *scene, size_t bytes)
{
    char piece[4097];

    memset(piece, 'x', 4096);
    piece[4096] = '\0';
    for (size_t i = 0; i < bytes; i += 4096)
        wire_say(scene->road.loop, scene->upstream, piece);
}

/* Beyond 256 KiB it goes out as it comes, and a failure cuts the connection. */
static void test_json_beyond_the_hold(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    begin(&scene, "Content-Length: 1000000\r\n");
    wire_say(scene.road.loop, scene.upstream, "{\"id\":\"");
    say_much(&scene, 60 * 4096);
    road_expect_silence(&scene.road, scene.client);
    say_much(&scene, 4 * 4096);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "content-length"), "1000000");
    assert_int_equal(answer.body.len, 7 + 64 * 4096);
    assert_int_equal(answer.end, WIRE_OPEN);
    road_answer_free(&answer);
    scene_break(&scene);
    road_expect_closed(&scene.road, scene.client);
    scene_expect_no_attempt(&scene);
    scene_end(&scene);
}

/* The same of unknown length: the last chunk never comes. */
static void test_chunked_json_beyond_the_hold(void **state)
{
    struct scene scene;
    struct road_answer answer;
    char piece[8193];

    (void)state;
    begin(&scene, "Transfer-Encoding: chunked\r\n");
    scene_stream(&scene, "{\"id\":\"");
    memset(piece, 'x', 8192);
    piece[8192] = '\0';
    for (int i = 0; i < 32; i++)
        scene_stream(&scene, piece);
    scene_break(&scene);
    road_hear(&scene.road, scene.client, &answer);
    assert_true(answer.is_chunked);
    assert_false(answer.is_whole);
    assert_int_equal(answer.body.len, 7 + 32 * 8192);
    assert_int_not_equal(answer.end, WIRE_OPEN);
    road_answer_free(&answer);
    scene_end(&scene);
}

static void test_large_json_to_its_end(void **state)
{
    struct scene scene;
    struct road_answer answer;
    struct buf whole;
    char lines[64];

    (void)state;
    buf_init(&whole, 1 << 20);
    buf_printf(&whole, "{\"id\":\"");
    while (whole.len < 400000)
        buf_append_span(&whole, SPAN("0123456789"));
    buf_printf(&whole, "\",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9,"
                       "\"total_tokens\":16}}");
    snprintf(lines, sizeof(lines), "Content-Length: %zu\r\n", whole.len);
    begin(&scene, lines);
    wire_write(scene.road.loop, scene.upstream, whole.data, whole.len);
    road_hear(&scene.road, scene.client, &answer);
    assert_true(answer.is_whole);
    assert_int_equal(answer.body.len, whole.len);
    assert_memory_equal(answer.body.data, whole.data, whole.len);
    assert_int_equal(
        road_metric(&scene.road,
                    "bellwether_tokens_total{provider=\"up\",model=\"other\",kind=\"prompt\"}"),
        7);
    road_answer_free(&answer);
    buf_fini(&whole);
    scene_end(&scene);
}

/* An error inside a 200 is no answer. */
static void test_error_in_success(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, "Content-Length: 30\r\n");
    wire_say(scene.road.loop, scene.upstream, "{\"error\":{\"message\":\"broken!\"}}");
    road_pass_ms(&scene.road, 200);
    scene_attempt(&scene, "key-one");
    scene_serve(&scene);
    scene_end(&scene);
}

/* Blank lines in front of the object are pings. */
static void test_json_pings(void **state)
{
    struct scene scene;
    struct road_answer answer;
    struct buf heard;

    (void)state;
    begin(&scene, "Transfer-Encoding: chunked\r\n");
    scene_stream(&scene, "\n\n");
    road_pass_ms(&scene.road, 14999);
    road_expect_silence(&scene.road, scene.client);
    road_pass_ms(&scene.road, 2);
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_body(&answer), "\n\n");
    road_answer_free(&answer);
    scene_stream(&scene, "{\"id\":1}");
    scene_stream_end(&scene);
    buf_init(&heard, 4096);
    assert_int_equal(wire_read(scene.client, &heard), WIRE_OPEN);
    assert_string_equal(buf_text(&heard), "8\r\n{\"id\":1}\r\n0\r\n\r\n");
    buf_fini(&heard);
    scene_end(&scene);
}

/* What came coded passes unread. */
static void test_coded(void **state)
{
    struct scene scene;
    struct road_answer answer;

    (void)state;
    begin(&scene, "Content-Encoding: gzip\r\nContent-Length: 5\r\n");
    wire_say(scene.road.loop, scene.upstream, "\x1f\x8b!!!");
    road_hear(&scene.road, scene.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "content-encoding"), "gzip");
    assert_string_equal(road_body(&answer), "\x1f\x8b!!!");
    assert_true(answer.is_whole);
    road_answer_free(&answer);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_cut_before_commit),
        cmocka_unit_test(test_json_in_pieces),
        cmocka_unit_test(test_json_beyond_the_hold),
        cmocka_unit_test(test_chunked_json_beyond_the_hold),
        cmocka_unit_test(test_large_json_to_its_end),
        cmocka_unit_test(test_error_in_success),
        cmocka_unit_test(test_json_pings),
        cmocka_unit_test(test_coded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
