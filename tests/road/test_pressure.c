/* Bounds: of what is buffered for a slow client or a slow upstream, of bodies, of their memory. */
#include "scene.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/alloc.h"

enum { FLOOD_BYTES = 32 << 20, WINDOW_BYTES = 1 << 20, STALLED_ROUNDS = 20 };

/* What the gateway itself holds for the only client at the moment. */
static size_t held_bytes(struct road *road)
{
    struct exchange *x = container_of(road->host.exchanges.next, struct exchange, link);

    assert_int_equal(road->host.exchange_count, 1);
    return http_server_pending(x->conn) + x->relay.held.len;
}

static void expect_little_held(struct scene *scene)
{
    assert_in_range(held_bytes(&scene->road), 0, WINDOW_BYTES / 4);
}

/* The upstream floods, the client takes nothing: the upstream is stopped, and what stands in
 * between is bounded. Then the client reads, and all of it comes, in order. */
static void play_flood(bool is_stream)
{
    struct scene scene;
    struct buf said, heard;
    size_t at;
    char lines[128];

    scene_begin(
        &scene,
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  timeouts: {idle: 5s}, keys: [{name: one, secret: key-one}]}}\n"
        "clients: {open: true}\n");
    if (is_stream)
        scene_chat_stream(&scene);
    else
        scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    buf_init(&said, FLOOD_BYTES + 65536);
    buf_init(&heard, FLOOD_BYTES + (8 << 20));
    for (unsigned i = 0; is_stream && said.len < FLOOD_BYTES; i++)
        buf_printf(&said,
                   "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                   "\"%u\"},\"finish_reason\":null}]}\n\n",
                   i);
    if (!is_stream)
        buf_printf(&said, "{\"id\":\"");
    for (unsigned i = 0; !is_stream && said.len < FLOOD_BYTES; i++)
        buf_printf(&said, "%u,", i);
    buf_printf(&said, is_stream ? "data: [DONE]\n\n" : "\"}");
    snprintf(lines, sizeof(lines),
             "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
             is_stream ? "text/event-stream" : "application/json", said.len);
    wire_say(scene.road.loop, scene.upstream, lines);
    at = scene_flood(&scene, buf_span(&said));
    assert_in_range(at, 1, 2 * WINDOW_BYTES);
    assert_in_range(held_bytes(&scene.road), 1, WINDOW_BYTES / 4);
    /* The pause is the client's: it is no idle upstream. */
    road_pass_ms(&scene.road, 50000);
    scene_flood_on(&scene, span_skip(buf_span(&said), at), expect_little_held, &heard);
    scene_expect_heard(&heard, buf_span(&said));
    buf_fini(&said);
    buf_fini(&heard);
    scene_end(&scene);
}

static void test_flood_of_events(void **state)
{
    (void)state;
    play_flood(true);
}

static void test_flood_of_an_object(void **state)
{
    (void)state;
    play_flood(false);
}

/* A client that takes nothing for a minute is given up, and the upstream with it. */
static void test_stuck_client(void **state)
{
    struct scene scene;
    struct buf said;

    (void)state;
    scene_open_stream(&scene, road_one_key);
    scene_stream_head(&scene);
    buf_init(&said, 8 << 20);
    while (said.len < (4 << 20))
        buf_printf(&said, "%zx\r\n%s\r\n", strlen(road_chunk), road_chunk);
    scene_flood(&scene, buf_span(&said));
    buf_fini(&said);
    road_pass_ms(&scene.road, 59000);
    assert_int_equal(scene.road.host.exchange_count, 1);
    road_pass_ms(&scene.road, 62000);
    assert_int_equal(scene.road.host.exchange_count, 0);
    assert_int_equal(road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"client\"}"),
                     1);
    road_expect_closed(&scene.road, scene.upstream);
    scene_end(&scene);
}

/* --- bodies --- */

static const char bounded[] =
    "server: {max_body: 64KiB, body_memory: 2MiB}\n"
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  keys: [{name: one, secret: key-one}]}}\n"
    "clients: {open: true}\n";

static void test_body_too_large(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, bounded);
    /* Announced: refused at the head, and the connection is not used any more. */
    client = road_connect(&road);
    wire_say(road.loop, client,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 65537\r\n\r\n{");
    road_expect_error(&road, client, 413, "request_too_large");
    close(client);
    /* Not announced: as soon as it is seen. */
    client = road_connect(&road);
    wire_say(road.loop, client,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\n"
             "Transfer-Encoding: chunked\r\n\r\n8000\r\n{\"x\":\"");
    for (int i = 0; i < 0x8000 - 6; i++)
        (void)!send(client, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), loop_turn(road.loop, 0);
    wire_say(road.loop, client, "\r\n8000\r\n");
    road_expect_silence(&road, client);
    for (int i = 0; i < 0x8000; i++)
        (void)!send(client, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), loop_turn(road.loop, 0);
    wire_say(road.loop, client, "\r\n");
    road_expect_silence(&road, client);
    wire_say(road.loop, client, "1\r\nx");
    road_expect_error(&road, client, 413, "request_too_large");
    close(client);
    road_expect_no_attempt(&road, 'a', -1);
    road_end(&road);
}

/* What all bodies hold together: over it 503, and room again when one is gone. */
static void test_body_memory(void **state)
{
    enum { CLIENTS = 60 };
    struct road road;
    struct buf body;
    int clients[CLIENTS], upstream;
    unsigned refused = 0, first_refused = CLIENTS;

    (void)state;
    road_begin(&road, bounded);
    buf_init(&body, 1 << 20);
    while (body.len < 60000)
        buf_append_span(&body, SPAN("          "));
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct road_answer answer;

        clients[i] = road_connect(&road);
        wire_say(road.loop, clients[i],
                 "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 60001\r\n\r\n");
        wire_write(road.loop, clients[i], body.data, body.len);
        road_hear(&road, clients[i], &answer);
        if (answer.status) {
            assert_int_equal(answer.status, 503);
            assert_non_null(strstr(road_body(&answer), "\"code\":\"overloaded\""));
            assert_string_equal(road_field(&answer, "retry-after"), "1");
            first_refused = refused++ ? first_refused : i;
        }
        road_answer_free(&answer);
    }
    assert_in_range(first_refused, 25, 34);
    assert_int_equal(refused, CLIENTS - first_refused);
    close(clients[0]);
    clients[0] = road_connect(&road);
    road_chat(&road, clients[0]);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    for (unsigned i = 0; i < CLIENTS; i++)
        close(clients[i]);
    wire_settle(road.loop);
    assert_int_equal(road.host.lease.used, 0);
    close(upstream);
    buf_fini(&body);
    road_end(&road);
}

/* The next attempt says this, that as well, and not the other (NULL: nothing); it goes well. Its
 * connection. */
static int serve_next(struct road *road, int client, int upstream, const char *said,
                      const char *too, const char *unsaid)
{
    char *heard;

    upstream = road_attempt(road, 'a', upstream, &heard);
    assert_non_null(strstr(heard, said));
    assert_true(!too || strstr(heard, too));
    assert_true(!unsaid || !strstr(heard, unsaid));
    mem_free(heard);
    road_reply_ok(road, upstream);
    road_expect(road, client, 200, road_ok);
    return upstream;
}

/* A body that arrives byte by byte, with a length or in chunks, is the same body. */
static void test_body_split_at_every_byte(void **state)
{
    static const char whole[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 43\r\n\r\n"
        "{\"stream\": false, \"model\":\"up/m\",\"x\":[1,2]}";
    static const char chunks[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n"
        "10\r\n{\"stream\": false\r\n1b\r\n, \"model\":\"up/m\",\"x\":[1,2]}\r\n0\r\n\r\n";
    const char *texts[] = {whole, chunks};
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, road_one_key);
    for (int i = 0; i < 2; i++) {
        client = road_connect(&road);
        for (const char *at = texts[i]; *at; at++) {
            char one[2] = {*at, '\0'};

            wire_say(road.loop, client, one);
        }
        upstream = serve_next(&road, client, upstream, "Content-Length: 40\r\n",
                              "\r\n\r\n{\"stream\": false, \"model\":\"m\",\"x\":[1,2]}", NULL);
        close(client);
    }
    close(upstream);
    road_end(&road);
}

/* The same cut in two at every place, and followed at once by the next request. */
static void test_two_requests_in_two_pieces(void **state)
{
    static const char text[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 26\r\n\r\n"
        "{\"model\":\"up/m\",\"x\":[1,2]}"
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 26\r\n\r\n"
        "{\"model\":\"up/m\",\"y\":[1,2]}";
    struct road road;
    int client, upstream = -1;

    (void)state;
    road_begin(&road, road_one_key);
    for (size_t cut = 1; cut < strlen(text); cut++) {
        client = road_connect(&road);
        wire_write(road.loop, client, text, cut);
        wire_settle(road.loop);
        wire_say(road.loop, client, text + cut);
        upstream = serve_next(&road, client, upstream, "\"x\"", NULL, "\"y\"");
        upstream = serve_next(&road, client, upstream, "\"y\"", NULL, "\"x\"");
        close(client);
    }
    close(upstream);
    road_end(&road);
}

/* A body larger than any socket's buffer, to an upstream that reads slowly, arrives as it was. */
static void test_large_body_to_slow_upstream(void **state)
{
    struct scene scene;
    struct buf body, heard;
    int stalled = 0;

    (void)state;
    scene_begin(&scene, road_one_key);
    buf_init(&body, 16 << 20);
    buf_init(&heard, 16 << 20);
    buf_printf(&body, "{\"x\":\"");
    for (unsigned i = 0; body.len < (6 << 20); i++)
        buf_printf(&body, "%u,", i);
    buf_printf(&body, "\",\"model\":\"up/m\"}");
    road_post(&scene.road, scene.client, "/v1/chat/completions", "", buf_text(&body));
    scene.upstream = road_accept(&scene.road, 'a');
    while (!heard.len || span_find(buf_span(&heard), SPAN("\"model\":\"m\"}")) == SIZE_MAX) {
        char piece[30000];
        ssize_t n = recv(scene.upstream, piece, sizeof(piece), MSG_DONTWAIT);

        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        stalled = n > 0 ? 0 : stalled + 1;
        assert_true(stalled < STALLED_ROUNDS);
        if (n > 0)
            assert_int_equal(buf_append(&heard, piece, (size_t)n), 0);
        else
            wire_settle(scene.road.loop);
    }
    buf_drop_front(&heard, span_find(buf_span(&heard), SPAN("\r\n\r\n")) + 4);
    assert_int_equal(heard.len, body.len - 3);
    assert_memory_equal(heard.data, body.data, body.len - 20);
    scene_serve(&scene);
    /* A new request may follow on the same connection. */
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    buf_fini(&body);
    buf_fini(&heard);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_of_events),
        cmocka_unit_test(test_flood_of_an_object),
        cmocka_unit_test(test_stuck_client),
        cmocka_unit_test(test_body_too_large),
        cmocka_unit_test(test_body_memory),
        cmocka_unit_test(test_body_split_at_every_byte),
        cmocka_unit_test(test_two_requests_in_two_pieces),
        cmocka_unit_test(test_large_body_to_slow_upstream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
