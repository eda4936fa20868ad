/* The client leaves, or the gateway ends, at every place where an exchange can stand: the upstream
 * is cancelled, everything is given back, and the key serves the next. */
#include "road.h"

#include <sys/socket.h>

#include "base/alloc.h"

struct scene {
    struct road road;
    int client, upstream; /* of the exchange that it is about; upstream -1: it has none */
    int other, listener;  /* what else is open */
};

/* --- the places --- */

static void stand_in_body(struct scene *scene)
{
    wire_say(scene->road.loop, scene->client,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 5000\r\n\r\n"
             "{\"model\":\"up/m\",");
}

static void stand_in_line(struct scene *scene)
{
    char *heard;

    scene->other = road_connect(&scene->road);
    road_chat(&scene->road, scene->other);
    scene->listener = road_attempt(&scene->road, 'a', -1, &heard);
    mem_free(heard);
    road_chat(&scene->road, scene->client);
    road_expect_no_attempt(&scene->road, 'a', scene->listener);
}

static void stand_in_backoff(struct scene *scene)
{
    int upstream;

    road_chat(&scene->road, scene->client);
    upstream = road_attempt_with(&scene->road, 'a', -1, "key-one");
    road_reply(&scene->road, upstream, 503, "Retry-After: 20\r\n", "{}");
    scene->listener = upstream;
}

static void stand_refused(struct scene *scene)
{
    road_unlisten(&scene->road, 'a');
    road_chat(&scene->road, scene->client);
    road_listen(&scene->road, 'a');
}

static void stand_unanswered(struct scene *scene)
{
    road_chat(&scene->road, scene->client);
    scene->upstream = road_attempt_with(&scene->road, 'a', -1, "key-one");
}

/* The upstream takes nothing of a body that is larger than its socket holds. */
static void stand_half_sent(struct scene *scene)
{
    struct buf body;

    buf_init(&body, 8 << 20);
    buf_printf(&body, "{\"model\":\"up/m\",\"x\":\"");
    while (body.len < (2 << 20))
        buf_append_span(&body, SPAN("0123456789012345678901234567890123456789"));
    buf_printf(&body, "\"}");
    road_post(&scene->road, scene->client, "/v1/chat/completions", "", buf_text(&body));
    buf_fini(&body);
    scene->upstream = road_accept(&scene->road, 'a');
}

static void stand_with_head(struct scene *scene)
{
    road_chat_stream(&scene->road, scene->client);
    scene->upstream = road_attempt_with(&scene->road, 'a', -1, "key-one");
    road_stream_head(&scene->road, scene->upstream);
}

static void stand_with_pings(struct scene *scene)
{
    stand_with_head(scene);
    road_stream(&scene->road, scene->upstream, ": queueing\n\ndata: {");
}

static void stand_with_half_json(struct scene *scene)
{
    stand_unanswered(scene);
    wire_say(scene->road.loop, scene->upstream,
             "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":1,");
}

static void stand_with_half_error(struct scene *scene)
{
    stand_unanswered(scene);
    wire_say(scene->road.loop, scene->upstream,
             "HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n{\"error\":");
}

static void stand_streaming(struct scene *scene)
{
    stand_with_head(scene);
    road_stream(&scene->road, scene->upstream, road_chunk);
    road_stream(&scene->road, scene->upstream, "data: {\"half\":");
}

static void stand_streaming_json(struct scene *scene)
{
    char piece[8193];

    stand_unanswered(scene);
    wire_say(scene->road.loop, scene->upstream,
             "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n{\"id\":\"");
    memset(piece, 'x', 8192);
    piece[8192] = '\0';
    for (int i = 0; i < 33; i++)
        wire_say(scene->road.loop, scene->upstream, piece);
}

/* What the client hears when the gateway ends then. */
enum farewell { REFUSED, ERROR_EVENT, CUT };

static const struct place {
    const char *name;
    void (*stand)(struct scene *scene);
    const char *yaml;
    enum farewell farewell;
    unsigned cut; /* attempts that end with the gateway, and say nothing of their keys */
} places[] = {
    {"body", stand_in_body, road_one_at_once, REFUSED, 0},
    {"in line for a key", stand_in_line, road_one_at_once, REFUSED, 1},
    {"in line for a connection", stand_in_line, road_one_connection, REFUSED, 2},
    {"backoff", stand_in_backoff, road_one_at_once, REFUSED, 0},
    {"refused", stand_refused, road_one_at_once, REFUSED, 0},
    {"sending", stand_half_sent, road_one_at_once, REFUSED, 1},
    {"sent", stand_unanswered, road_one_at_once, REFUSED, 1},
    {"answer's head", stand_with_head, road_one_at_once, REFUSED, 1},
    {"pings", stand_with_pings, road_one_at_once, REFUSED, 1},
    {"half an object", stand_with_half_json, road_one_at_once, REFUSED, 1},
    {"half an error", stand_with_half_error, road_one_at_once, REFUSED, 1},
    {"stream", stand_streaming, road_one_at_once, ERROR_EVENT, 1},
    {"large object", stand_streaming_json, road_one_at_once, CUT, 1},
};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

static void scene_begin(struct scene *scene, const struct place *place)
{
    print_message("           %s\n", place->name);
    scene->upstream = scene->other = scene->listener = -1;
    road_begin(&scene->road, place->yaml);
    scene->client = road_connect(&scene->road);
    place->stand(scene);
    wire_settle(scene->road.loop);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Nothing is left of it: the key and the connections serve the next. */
static void scene_end(struct scene *scene)
{
    struct road *road = &scene->road;
    int client, upstream;

    wire_settle(road->loop);
    if (scene->upstream >= 0)
        road_expect_closed(road, scene->upstream);
    if (scene->other >= 0)
        close(scene->other);
    wire_settle(road->loop);
    assert_int_equal(road->host.exchange_count, 0);
    assert_int_equal(road->host.lease.used, 0);
    road_pass_ms(road, 1000);
    client = road_connect(road);
    road_chat(road, client);
    upstream = road_attempt_with(road, 'a', scene->listener, "key-one");
    road_reply_ok(road, upstream);
    road_expect(road, client, 200, road_ok);
    close(client);
    close(upstream);
    close_if_open(scene->upstream);
    road_end(road);
}

/* The client leaves, and the log says this of it, that as well (NULL: nothing), and not the other.
 */
static void play_leaving(struct scene *scene, const char *said, const char *too, const char *unsaid)
{
    char *log;

    close(scene->client);
    wire_settle(scene->road.loop);
    close(scene->upstream);
    log = road_log(&scene->road);
    assert_non_null(strstr(log, said));
    assert_true(!too || strstr(log, too));
    assert_true(!unsaid || !strstr(log, unsaid));
    mem_free(log);
    road_end(&scene->road);
}

static void test_client_leaves(void **state)
{
    struct scene scene;

    (void)state;
    for (size_t i = 0; i < PLACES; i++) {
        scene_begin(&scene, &places[i]);
        close(scene.client);
        wire_settle(scene.road.loop);
        assert_int_equal(scene.road.host.exchange_count, scene.other >= 0);
        assert_int_equal(
            road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"client\"}"), 1);
        scene_end(&scene);
    }
    scene_begin(&scene, &places[6]);
    play_leaving(&scene, "\"cancelled_by\":\"client\"", NULL, "\"status\":");
}

/* half_close: abort, as the default is. */
static void test_client_ends_its_side(void **state)
{
    struct scene scene;

    (void)state;
    for (size_t i = 0; i < PLACES; i++) {
        scene_begin(&scene, &places[i]);
        shutdown(scene.client, SHUT_WR);
        wire_settle(scene.road.loop);
        assert_int_equal(scene.road.host.exchange_count, scene.other >= 0);
        scene_end(&scene);
        close(scene.client);
    }
}

static void expect_farewell(struct scene *scene, enum farewell farewell)
{
    struct road_answer answer;

    switch (farewell) {
    case REFUSED:
        road_expect_error(&scene->road, scene->client, 503, "shutting_down");
        break;
    case ERROR_EVENT:
        road_hear(&scene->road, scene->client, &answer);
        assert_int_equal(answer.status, 200);
        assert_true(answer.is_whole);
        assert_int_equal(strncmp(road_body(&answer), road_chunk, strlen(road_chunk)), 0);
        assert_int_equal(strncmp(road_body(&answer) + strlen(road_chunk), "data: {\"error\":{", 16),
                         0);
        assert_non_null(strstr(road_body(&answer), "\"code\":\"shutting_down\""));
        assert_null(strstr(road_body(&answer), "[DONE]"));
        road_answer_free(&answer);
        break;
    case CUT:
        road_hear(&scene->road, scene->client, &answer);
        assert_int_equal(answer.status, 200);
        assert_false(answer.is_whole);
        assert_int_not_equal(answer.end, WIRE_OPEN);
        road_answer_free(&answer);
        break;
    }
}

static void test_gateway_ends(void **state)
{
    struct scene scene;

    (void)state;
    for (size_t i = 0; i < PLACES; i++) {
        scene_begin(&scene, &places[i]);
        exchange_host_cut(&scene.road.host);
        assert_int_equal(scene.road.host.exchange_count, 0);
        expect_farewell(&scene, places[i].farewell);
        assert_int_equal(
            road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"shutdown\"}"),
            1 + (scene.other >= 0));
        assert_int_equal(road_attempts(&scene.road, "client_gone"), places[i].cut);
        /* What comes later is refused, and the connection lives until it is closed. */
        if (places[i].farewell == ERROR_EVENT) {
            road_chat(&scene.road, scene.client);
            road_expect_error(&scene.road, scene.client, 503, "shutting_down");
        }
        close(scene.client);
        scene.road.host.is_terminating = false;
        scene_end(&scene);
    }
}

/* All that counts has been sent, and only the upstream's own end is missing: a good end. */
static void test_gateway_ends_behind_the_stream(void **state)
{
    struct scene scene;
    char body[1024];

    (void)state;
    for (int has_done = 0; has_done < 2; has_done++) {
        scene_begin(&scene, &places[7]);
        road_stream(&scene.road, scene.upstream, road_finish);
        if (has_done)
            road_stream(&scene.road, scene.upstream, road_done);
        exchange_host_cut(&scene.road.host);
        snprintf(body, sizeof(body), "%s%s", road_finish, road_done);
        road_expect(&scene.road, scene.client, 200, body);
        assert_int_equal(road_attempts(&scene.road, "success"), 1);
        assert_int_equal(road_attempts(&scene.road, "client_gone"), 0);
        close(scene.client);
        scene.road.host.is_terminating = false;
        scene_end(&scene);
    }
}

/* The client closes when it has read the terminal event, before the last chunk is there: nothing
 * was cut. With the finish reason alone it was. */
static void test_client_leaves_behind_the_stream(void **state)
{
    struct scene scene;
    char *log;

    (void)state;
    for (int has_done = 0; has_done < 2; has_done++) {
        scene_begin(&scene, &places[7]);
        road_stream(&scene.road, scene.upstream, road_finish);
        if (has_done)
            road_stream(&scene.road, scene.upstream, road_done);
        /* As TCP tells a close; that of a socket pair would break it. */
        shutdown(scene.client, SHUT_WR);
        wire_settle(scene.road.loop);
        assert_int_equal(road_attempts(&scene.road, "success"), has_done);
        assert_int_equal(road_attempts(&scene.road, "client_gone"), !has_done);
        assert_int_equal(
            road_metric(&scene.road, "bellwether_requests_cancelled_total{by=\"client\"}"),
            !has_done);
        log = road_log(&scene.road);
        assert_int_equal(strstr(log, "\"cancelled_by\":\"client\"") != NULL, !has_done);
        mem_free(log);
        close(scene.client);
        scene_end(&scene);
    }
}

/* What was produced before the client left is counted. */
static void test_usage_of_what_was_produced(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, &places[11]);
    for (int i = 0; i < 10; i++)
        road_stream(&scene.road, scene.upstream, i ? road_chunk : "1}\n\n");
    play_leaving(&scene, "\"is_estimated\":true", NULL, "\"completion_tokens\":0");
}

/* The same of an object that was let go before its end. */
static void test_usage_of_a_cut_object(void **state)
{
    struct scene scene;
    struct buf piece;

    (void)state;
    print_message("           large object\n");
    scene.upstream = scene.other = scene.listener = -1;
    road_begin(&scene.road, road_one_at_once);
    scene.client = road_connect(&scene.road);
    stand_unanswered(&scene);
    buf_init(&piece, 1 << 20);
    buf_printf(&piece, "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"
                       "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"");
    while (piece.len < 300000)
        buf_append_span(&piece, SPAN("0123456789"));
    wire_write(scene.road.loop, scene.upstream, piece.data, piece.len);
    buf_fini(&piece);
    wire_settle(scene.road.loop);
    play_leaving(&scene, "\"is_estimated\":true", "\"completion_tokens\":7", NULL);
}

/* Only what was read of a body is counted. */
static void test_bytes_of_half_a_body(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, &places[0]);
    close(scene.client);
    wire_settle(scene.road.loop);
    assert_int_equal(road_metric(&scene.road, "bellwether_bytes_total{flow=\"from_client\"}"),
                     strlen("{\"model\":\"up/m\","));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_client_leaves_behind_the_stream),
        cmocka_unit_test(test_client_ends_its_side),
        cmocka_unit_test(test_gateway_ends),
        cmocka_unit_test(test_gateway_ends_behind_the_stream),
        cmocka_unit_test(test_usage_of_what_was_produced),
        cmocka_unit_test(test_usage_of_a_cut_object),
        cmocka_unit_test(test_bytes_of_half_a_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
