#include "scene.h"

#include <sys/socket.h>

#include "base/alloc.h"

/* Rounds in which nothing moved, after which nothing will. */
enum { STALLED_ROUNDS = 20 };

void scene_begin(struct scene *scene, const char *yaml)
{
    road_begin(&scene->road, yaml);
    scene->client = road_connect(&scene->road);
    scene->upstream = -1;
}

void scene_open(struct scene *scene, const char *yaml)
{
    scene_begin(scene, yaml);
    scene_chat(scene);
    scene_attempt(scene, "key-one");
}

void scene_open_stream(struct scene *scene, const char *yaml)
{
    scene_begin(scene, yaml);
    scene_chat_stream(scene);
    scene_attempt(scene, "key-one");
}

int scene_begin_deaf(struct scene *scene, const char *settings)
{
    struct addr addr;
    char yaml[512];
    int listener = wire_listen(false, &addr);

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, base_url: 'https://127.0.0.1:%u/v1', %s\n"
             "  tls: {verify: false}, health: {validate_new: false},\n"
             "  keys: [{name: one, secret: key-one}]}}\nclients: {open: true}\n",
             addr_port(&addr), settings);
    scene_begin(scene, yaml);
    scene_chat(scene);
    return listener;
}

void scene_end(struct scene *scene)
{
    if (scene->upstream >= 0)
        close(scene->upstream);
    if (scene->client >= 0)
        close(scene->client);
    road_end(&scene->road);
}

void scene_chat(struct scene *scene)
{
    road_chat(&scene->road, scene->client);
}

void scene_chat_stream(struct scene *scene)
{
    road_chat_stream(&scene->road, scene->client);
}

void scene_attempt(struct scene *scene, const char *key)
{
    scene->upstream = road_attempt_with(&scene->road, 'a', scene->upstream, key);
}

void scene_attempt_at(struct scene *scene, char name, char **ret_heard)
{
    char *heard;

    scene->upstream = road_attempt(&scene->road, name, scene->upstream, &heard);
    if (ret_heard)
        *ret_heard = heard;
    else
        mem_free(heard);
}

void scene_expect_attempt(struct scene *scene, char name, const char *line, const char *part)
{
    char *heard;

    scene_attempt_at(scene, name, &heard);
    if (!strstr(heard, line) || !strstr(heard, part))
        print_message("%s\n", heard);
    assert_non_null(strstr(heard, line));
    assert_non_null(strstr(heard, part));
    mem_free(heard);
}

void scene_expect_no_attempt(struct scene *scene)
{
    road_expect_no_attempt(&scene->road, 'a', scene->upstream);
}

void scene_reply(struct scene *scene, int status, const char *lines, const char *body)
{
    road_reply(&scene->road, scene->upstream, status, lines, body);
}

void scene_serve(struct scene *scene)
{
    road_reply_ok(&scene->road, scene->upstream);
    road_expect(&scene->road, scene->client, 200, road_ok);
}

void scene_stream_head(struct scene *scene)
{
    road_stream_head(&scene->road, scene->upstream);
}

void scene_stream(struct scene *scene, const char *events)
{
    road_stream(&scene->road, scene->upstream, events);
}

void scene_stream_end(struct scene *scene)
{
    road_stream_end(&scene->road, scene->upstream);
}

size_t scene_flood(struct scene *scene, struct span text)
{
    size_t at = 0;
    int idle = 0;

    while (at < text.len && idle < STALLED_ROUNDS) {
        ssize_t n =
            send(scene->upstream, text.ptr + at, text.len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

        idle = n > 0 ? 0 : idle + 1;
        at += n > 0 ? (size_t)n : 0;
        assert_int_equal(loop_turn(scene->road.loop, 0), 0);
    }
    return at;
}

void scene_flood_on(struct scene *scene, struct span text, void (*held)(struct scene *scene),
                    struct buf *heard)
{
    for (int stalled = 0; text.len;) {
        size_t was_heard = heard->len, said;

        wire_read(scene->client, heard);
        said = scene_flood(scene, text);
        text = span_skip(text, said);
        if (scene->road.host.exchange_count)
            held(scene);
        stalled = said || heard->len > was_heard ? 0 : stalled + 1;
        assert_true(stalled < STALLED_ROUNDS);
    }
    scene_hear_all(scene, heard);
}

void scene_expect_heard(const struct buf *heard, struct span body)
{
    struct road_answer answer;

    road_read_answer(buf_span(heard), &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_int_equal(answer.body.len, body.len);
    assert_memory_equal(answer.body.data, body.ptr, body.len);
    road_answer_free(&answer);
}

void scene_hear_all(struct scene *scene, struct buf *heard)
{
    for (size_t len = SIZE_MAX; heard->len != len;) {
        len = heard->len;
        wire_settle(scene->road.loop);
        wire_read(scene->client, heard);
    }
}

void scene_leave(struct scene *scene)
{
    close(scene->client);
    scene->client = -1;
    wire_settle(scene->road.loop);
}

void scene_break(struct scene *scene)
{
    close(scene->upstream);
    scene->upstream = -1;
    wire_settle(scene->road.loop);
}

void scene_chat_all(struct road *road, int *clients, int count, unsigned interval_ms)
{
    for (int i = 0; i < count; i++) {
        clients[i] = road_connect(road);
        road_chat(road, clients[i]);
        if (interval_ms)
            road_pass_ms(road, interval_ms);
    }
}

void scene_close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

void scene_serve_all(struct road *road, const int *clients, const int *upstreams, int count)
{
    for (int i = 0; i < count; i++)
        road_reply_ok(road, upstreams[i]);
    for (int i = 0; i < count; i++) {
        road_expect(road, clients[i], 200, road_ok);
        close(clients[i]);
        close(upstreams[i]);
    }
}
