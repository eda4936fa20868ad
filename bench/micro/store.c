/*
 * What the durable store takes with 10,000 keys: milliseconds to open its file, to write them all
 * anew, to write the hundredth of them that changed, to find that none has, and to load them; how
 * long the loop is held up by asking; and what one acknowledged step of a rotation waits for the
 * disk. The file lies in the folder named, by default the one that it is called in: a disk that is
 * none (tmpfs) has no syncs to wait for.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/loop.h"
#include "store/key_states.h"
#include "store/meta.h"
#include "store/rotations.h"

enum { KEYS = 10000, NAME_BYTES = 16, STEPS = 200 };

struct scene {
    char folder[512], path[544];
    struct loop *loop;
    struct store *store;
    struct store_ask ask;
    bool is_done;
    size_t count;
    struct key_state *keys;
    char (*names)[NAME_BYTES];
    struct key_state_aside asides[2];
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void on_done(struct store_ask *ask, const struct store_answer *answer)
{
    struct scene *scene = container_of(ask, struct scene, ask);

    must(answer->err == 0);
    scene->is_done = true;
    scene->count = answer->count;
}

static double ms_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e6;
}

/* Waits for the ask that was begun at start_ns, and says how long it took. */
static double wait_for(struct scene *scene, uint64_t start_ns)
{
    while (!scene->is_done)
        must(loop_turn(scene->loop, US_PER_SEC) == 0);
    scene->is_done = false;
    return ms_since(start_ns);
}

static void open_store(struct scene *scene)
{
    const struct store_options options = {.loop = scene->loop, .path = scene->path};
    uint64_t start_ns = clock_now_ns();

    scene->store = store_new(&options);
    must(scene->store && meta_set(scene->store, &scene->ask, SPAN("opened"), SPAN("")) == 0);
    printf("  opened, with a first write   %8.2f ms\n", wait_for(scene, start_ns));
}

static void put(struct scene *scene, const char *what, size_t expected)
{
    uint64_t start_ns = clock_now_ns();
    double asked_ms;

    must(key_states_put(scene->store, &scene->ask, scene->keys, KEYS) == 0);
    asked_ms = ms_since(start_ns);
    printf("  %-28s %8.2f ms, of which the loop %.2f\n", what, wait_for(scene, start_ns), asked_ms);
    must(scene->count == expected);
}

static void load(struct scene *scene)
{
    uint64_t start_ns = clock_now_ns();

    must(key_states_load(scene->store, &scene->ask) == 0);
    printf("  all loaded                   %8.2f ms\n", wait_for(scene, start_ns));
    must(scene->count == KEYS);
}

static void step_a_rotation(struct scene *scene)
{
    struct rotation_row row = {.id = SPAN("r"),
                               .provider = SPAN("p"),
                               .cause = SPAN("schedule"),
                               .state = SPAN("canary"),
                               .started_wall_us = 1};
    uint64_t start_ns;

    must(rotations_add(scene->store, &scene->ask, &row) == 0);
    wait_for(scene, clock_now_ns());
    start_ns = clock_now_ns();
    for (uint32_t i = 0; i < STEPS; i++) {
        row.step++;
        must(rotations_update(scene->store, &scene->ask, &row, i) == 0);
        wait_for(scene, start_ns);
    }
    printf("  a rotation's step            %8.2f ms\n", ms_since(start_ns) / STEPS);
}

static void make_keys(struct scene *scene)
{
    scene->keys = calloc(KEYS, sizeof(*scene->keys));
    scene->names = calloc(KEYS, sizeof(*scene->names));
    must(scene->keys && scene->names);
    scene->asides[0] = (struct key_state_aside){SPAN("gpt-4.1"), SPAN("limited"), 1};
    scene->asides[1] = (struct key_state_aside){SPAN("o3"), SPAN("forbidden"), 2};
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t mixed = i * 2654435761u; /* as a digest would be: in no order */

        snprintf(scene->names[i], NAME_BYTES, "key-%u", i);
        scene->keys[i] = (struct key_state){.provider = SPAN("openai"),
                                            .name = span_from_text(scene->names[i]),
                                            .wish = SPAN("enabled"),
                                            .health = SPAN("healthy"),
                                            .breaker = SPAN("closed"),
                                            .weight_milli = 1000,
                                            .asides = scene->asides,
                                            .aside_count = i % 10 ? 0 : 2};
        memcpy(scene->keys[i].identity, &mixed, sizeof(mixed));
    }
}

static void clean_up(struct scene *scene)
{
    DIR *folder = opendir(scene->folder);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(scene->folder);
    free(scene->keys);
    free(scene->names);
}

int main(int argc, char **argv)
{
    struct scene scene = {.ask.on_done = on_done};

    snprintf(scene.folder, sizeof(scene.folder), "%s/bw-store-XXXXXX", argc > 1 ? argv[1] : ".");
    must(mkdtemp(scene.folder));
    snprintf(scene.path, sizeof(scene.path), "%s/bellwether.db", scene.folder);
    scene.loop = loop_new();
    must(scene.loop);
    make_keys(&scene);
    printf("%d keys, a tenth of them with two models set aside\n", KEYS);
    open_store(&scene);
    put(&scene, "all written, new", KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        scene.keys[i].failures++;
    put(&scene, "all written, changed", KEYS);
    for (uint32_t i = 0; i < KEYS; i += 100)
        scene.keys[i].failures++;
    put(&scene, "a hundredth written", KEYS / 100);
    put(&scene, "none had changed", 0);
    load(&scene);
    step_a_rotation(&scene);
    store_free(&scene.store);
    open_store(&scene);
    load(&scene);
    store_free(&scene.store);
    loop_free(&scene.loop);
    clean_up(&scene);
    return 0;
}
