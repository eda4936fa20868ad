/* What is held of answers that are read whole or event by event: for slow clients, of large ones,
 * and of the requests that were written for them. */
#include "scene.h"

#include "base/alloc.h"

enum { LARGE_BYTES = 12 << 20, FLOOD_BYTES = 6 << 20, WINDOW_BYTES = 1 << 20 };

static const char two[] =
    "providers:\n"
    "  up: {kind: gemini, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "models:\n"
    "  g: {targets: [{to: up/gem}]}\n"
    "  o: {targets: [{to: other/gpt}]}\n"
    "clients: {open: true}\n";

static void ask(struct scene *scene, const char *path, const char *body, char name)
{
    road_post(&scene->road, scene->client, path, "", body);
    scene_attempt_at(scene, name, NULL);
}

/* A stream that is told anew, from OpenAI's form in Anthropic's. */
static void begin_told_anew(struct scene *scene)
{
    scene_begin(scene, two);
    ask(scene, "/v1/messages",
        "{\"model\":\"o\",\"max_tokens\":9,\"stream\":true,\"messages\":[{\"role\":\"user\","
        "\"content\":\"Hi\"}]}",
        'b');
}

static void expect_little_held(struct scene *scene)
{
    const struct exchange *x = container_of(scene->road.host.exchanges.next, struct exchange, link);

    assert_in_range(x->relay.answer_arena->held, 1, WINDOW_BYTES / 4);
}

/* An image of many megabytes, in one object or one event, comes whole to a client that had not
 * begun to read. */
static void play_large(const char *path, bool is_stream)
{
    struct scene scene;
    struct buf said, heard;
    char head[160];

    scene_begin(&scene, two);
    ask(&scene, path, "{\"contents\":[{\"parts\":[{\"text\":\"Paint.\"}]}]}", 'a');
    buf_init(&said, 2 * LARGE_BYTES);
    buf_init(&heard, 2 * LARGE_BYTES);
    buf_printf(&said,
               "%s{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{"
               "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"",
               is_stream ? "data: " : "");
    while (said.len < LARGE_BYTES)
        buf_append_span(&said,
                        SPAN("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"));
    buf_printf(&said, "\"}}]},\"finishReason\":\"STOP\"}]}%s", is_stream ? "\r\n\r\n" : "");
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
             is_stream ? "text/event-stream" : "application/json", said.len);
    wire_say(scene.road.loop, scene.upstream, head);
    assert_int_equal(scene_flood(&scene, buf_span(&said)), said.len);
    /* One object is looked at by a helper, events as they come. */
    assert_int_equal(road_jobs(&scene.road), !is_stream);
    road_help(&scene.road);
    scene_hear_all(&scene, &heard);
    scene_expect_heard(&heard, buf_span(&said));
    buf_fini(&said);
    buf_fini(&heard);
    scene_end(&scene);
}

static void test_large_answers(void **state)
{
    (void)state;
    play_large("/v1beta/models/g:generateContent", false);
    play_large("/v1beta/models/g:streamGenerateContent?alt=sse", true);
}

/* The upstream floods, the client takes nothing: the upstream is stopped, and what is held is
 * bounded; then the client reads, and nothing is lost. */
static void test_flood_that_is_told_anew(void **state)
{
    struct scene scene;
    struct road_answer answer;
    struct exchange *x;
    struct buf said, heard;
    struct span rest;
    char text[64];
    size_t at;
    unsigned count = 0;

    (void)state;
    begin_told_anew(&scene);
    buf_init(&said, FLOOD_BYTES + 65536);
    buf_init(&heard, 4 * FLOOD_BYTES);
    for (; said.len < FLOOD_BYTES; count++)
        buf_printf(&said,
                   "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                   "\"<%u>\"},\"finish_reason\":null}]}\n\n",
                   count);
    buf_printf(&said, "%s%s", road_finish, road_done);
    snprintf(text, sizeof(text), "Content-Length: %zu\r\n\r\n", said.len);
    wire_say(scene.road.loop, scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
    wire_say(scene.road.loop, scene.upstream, text);
    at = scene_flood(&scene, buf_span(&said));
    assert_in_range(at, 1, 2 * WINDOW_BYTES);
    x = container_of(scene.road.host.exchanges.next, struct exchange, link);
    assert_in_range(http_server_pending(x->conn) + x->relay.held.len, 1, WINDOW_BYTES / 4);
    expect_little_held(&scene);
    road_pass_ms(&scene.road, 50000);
    scene_flood_on(&scene, span_skip(buf_span(&said), at), expect_little_held, &heard);
    road_read_answer(buf_span(&heard), &answer);
    assert_true(answer.is_whole);
    rest = buf_span(&answer.body);
    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "\"<%u>\"", i);
        at = span_find(rest, span_from_text(text));
        assert_int_not_equal(at, SIZE_MAX);
        rest = span_skip(rest, at);
    }
    road_answer_free(&answer);
    buf_fini(&said);
    buf_fini(&heard);
    scene_end(&scene);
}

/* Once an answer has begun, neither the client's body nor what was written of it is needed. */
static void test_bodies_are_given_back(void **state)
{
    struct scene scene;

    (void)state;
    begin_told_anew(&scene);
    assert_true(scene.road.host.lease.used > 0);
    scene_stream_head(&scene);
    scene_stream(&scene, road_chunk);
    assert_int_equal(scene.road.host.exchange_count, 1);
    assert_int_equal(scene.road.host.lease.used, 0);
    scene_end(&scene);
}

/* However many keys are tried, what is written for each is no more than once there. */
static void test_many_tries(void **state)
{
    enum { KEYS = 30 };
    struct road road;
    struct buf yaml, body;
    int client, upstream = -1;

    (void)state;
    buf_init(&yaml, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_printf(&yaml, "retry: {rotations: 100}\nproviders: {up: {kind: compatible, base_url: "
                      "'@a', health: {validate_new: false}, keys: [");
    for (int i = 0; i < KEYS; i++)
        buf_printf(&yaml, "{name: k%d, secret: secret-of-%d}, ", i, i);
    buf_printf(&yaml, "]}}\nclients: {open: true}\n");
    road_begin(&road, buf_text(&yaml));
    buf_printf(
        &body,
        "{\"model\":\"up/m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
        "{\"role\":\"assistant\",\"content\":[");
    for (int i = 0; i < 2; i++) {
        buf_printf(&body, "%s{\"type\":\"text\",\"text\":\"", i ? "," : "");
        for (int k = 0; k < 100000; k++)
            buf_append_byte(&body, 'x');
        buf_printf(&body, "\"}");
    }
    buf_printf(&body, "]},{\"role\":\"user\",\"content\":\"So?\"}]}");
    client = road_connect(&road);
    road_post(&road, client, "/v1/messages", "", buf_text(&body));
    for (int i = 0; i < KEYS; i++) {
        char *heard;

        upstream = road_attempt(&road, 'a', upstream, &heard);
        mem_free(heard);
        if (i < KEYS - 1)
            road_reply(&road, upstream, 401, "", "{\"error\":{\"message\":\"No.\"}}");
    }
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, NULL);
    close(upstream);
    close(client);
    buf_fini(&yaml);
    buf_fini(&body);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_flood_that_is_told_anew),
        cmocka_unit_test(test_bodies_are_given_back),
        cmocka_unit_test(test_many_tries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
