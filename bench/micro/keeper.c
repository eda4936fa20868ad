/*
 * What it takes that 10,000 keys outlive a restart, from their pool to the disk and back:
 * milliseconds until all that has changed is on the disk, and until a start has read it and given
 * it back; and how long the control thread itself is held up by it, also by the look, once a
 * second, at a pool in which a key has changed, or none. The file lies in the folder named, by
 * default the one that it is called in: a disk that is none (tmpfs) has no syncs to wait for.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/keeper.h"

enum { KEYS = 10000, NAME_BYTES = 16 };

struct scene {
    char folder[512], path[544];
    struct loop *loop;
    struct store *store;
    struct keeper *keeper;
    struct secret_arena *secrets;
    struct keypool *pool;
    struct keypool_view *view;
    struct conf_provider provider;
    struct conf_key *keys;
    char (*names)[NAME_BYTES];
    size_t read;
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static double ms_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e6;
}

static struct keypool *pool_at(void *owner, size_t at)
{
    return at == 0 ? ((struct scene *)owner)->pool : NULL;
}

static bool rotation_says(void *owner, struct keypool *pool, const uint8_t *identity,
                          struct keeper_word *ret_word)
{
    (void)owner, (void)pool, (void)identity, (void)ret_word;
    return false;
}

static void on_read(void *owner, int err, size_t count)
{
    must(err == 0);
    ((struct scene *)owner)->read = count;
}

static void open_pool(struct scene *scene)
{
    bool is_locked;

    scene->secrets = secret_arena_new(8 << 20, &is_locked);
    scene->pool = keypool_new(SPAN("bench"), 1, scene->secrets);
    must(scene->secrets && scene->pool);
    for (size_t i = 0; i < KEYS; i++) {
        struct conf_key *key = &scene->keys[i];
        uint32_t mixed = (uint32_t)i * 2654435761u; /* as a digest would be: in no order */

        snprintf(scene->names[i], NAME_BYTES, "key-%zu", i);
        *key = (struct conf_key){.name = span_from_text(scene->names[i]), .weight = 1};
        must(secret_new(scene->secrets, key->name, &key->secret) == 0);
        memcpy(key->identity, &mixed, sizeof(mixed));
    }
    scene->provider = (struct conf_provider){
        .name = SPAN("bench"),
        .kind = PROVIDER_COMPATIBLE,
        .keys = {scene->keys, KEYS},
        .health = {.max_failures = 3,
                   .cooldown_us = 3600 * US_PER_SEC,
                   .depleted_us = 3600 * US_PER_SEC,
                   .ttl_us = 60 * US_PER_SEC},
        .breaker = {5, 500000, 10 * US_PER_SEC, 30 * US_PER_SEC, 3},
    };
    must(keypool_apply(scene->pool, &scene->provider, NULL, loop_now_us(scene->loop), 0) == 0);
    scene->view = keypool_view_new(scene->pool, 0, 0);
    must(scene->view);
}

static void open_all(struct scene *scene, const char *what)
{
    const struct store_options options = {.loop = scene->loop, .path = scene->path};
    struct keeper_options keeper = {.loop = scene->loop,
                                    .pool = pool_at,
                                    .rotation_says = rotation_says,
                                    .on_read = on_read,
                                    .owner = scene};
    uint64_t start_ns;

    open_pool(scene);
    start_ns = clock_now_ns();
    scene->store = store_new(&options);
    keeper.store = scene->store;
    must(scene->store);
    scene->keeper = keeper_new(&keeper);
    must(scene->keeper && store_await(scene->store, 60 * US_PER_SEC));
    printf("  %-34s %8.2f ms (%zu keys)\n", what, ms_since(start_ns), scene->read);
}

static void close_all(struct scene *scene)
{
    keeper_free(&scene->keeper);
    store_free(&scene->store);
    keypool_view_free(&scene->view);
    keypool_free(&scene->pool);
    for (size_t i = 0; i < KEYS; i++)
        secret_unref(&scene->keys[i].secret);
    secret_arena_free(&scene->secrets);
}

/* So many keys fail for a reason that lasts. */
static void fail_keys(struct scene *scene, size_t count)
{
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_DEPLETED)};
    const struct keypool_ask ask = {.model = SPAN("m")};
    uint64_t now_us = loop_now_us(scene->loop);

    for (size_t i = 0; i < count; i++) {
        struct keypool_grant grant;

        must(keypool_select(scene->view, &ask, now_us, &grant).verdict == KEYPOOL_CHOSEN);
        keypool_end(scene->view, &grant, &end, now_us);
    }
}

/* What has changed is asked to be written, as by an order, and waited for. */
static void save(struct scene *scene, const char *what)
{
    uint64_t start_ns = clock_now_ns();
    double asked_ms;

    keeper_hurry(scene->keeper);
    asked_ms = ms_since(start_ns);
    must(store_await(scene->store, 60 * US_PER_SEC));
    printf("  %-34s %8.2f ms, of which the control thread %.2f\n", what, ms_since(start_ns),
           asked_ms);
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
    struct scene scene = {.read = 0};

    snprintf(scene.folder, sizeof(scene.folder), "%s/bw-keeper-XXXXXX", argc > 1 ? argv[1] : ".");
    must(mkdtemp(scene.folder));
    snprintf(scene.path, sizeof(scene.path), "%s/bellwether.db", scene.folder);
    scene.loop = loop_new();
    scene.keys = calloc(KEYS, sizeof(*scene.keys));
    scene.names = calloc(KEYS, sizeof(*scene.names));
    must(scene.loop && scene.keys && scene.names);
    printf("a pool of %d keys\n", KEYS);
    open_all(&scene, "opened, nothing known");
    save(&scene, "nothing to write");
    fail_keys(&scene, KEYS - 101);
    save(&scene, "all but 101 written, new");
    fail_keys(&scene, 100);
    save(&scene, "a hundredth written");
    save(&scene, "nothing has changed");
    fail_keys(&scene, 1);
    save(&scene, "one written");
    close_all(&scene);
    open_all(&scene, "opened, all read and given back");
    close_all(&scene);
    loop_free(&scene.loop);
    clean_up(&scene);
    return 0;
}
