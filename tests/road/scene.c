#include "scene.h"

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
