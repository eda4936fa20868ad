/*
 * What a pick among many keys costs, all of them in use and, for headroom, with limits that answers
 * tell: nanoseconds of keypool_select alone, the best and the middle of many batches, of the round
 * that was disturbed least by what else the machine does; shared machines are disturbed for
 * seconds, so the rounds are spread over some. What comes before and after (answers, ends) is
 * played and not timed, so that caches are as in use.
 *
 *     micro-pick [KEYS]                       the table; 10,000 keys
 *     micro-pick KEYS SELECTION BATCHES      one of them, for a profiler
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "keypool/keypool.h"

enum { MOST = 65536, NAME_BYTES = 32, BATCH = 200, BATCHES = 300, ROUNDS = 32, PAUSE_MS = 250 };

struct scene {
    struct conf_provider provider;
    struct conf_key *keys;
    char (*names)[NAME_BYTES];
    struct secret_arena *secrets;
    struct keypool *pool;
    struct keypool_view *view;
    struct keypool_grant grants[BATCH];
    size_t count;
    uint64_t now_us, turn;
};

static const struct {
    const char *name;
    enum conf_selection selection;
    bool tells;
} rows[] = {
    {"headroom", CONF_SELECTION_HEADROOM, true},
    {"headroom-untold", CONF_SELECTION_HEADROOM, false},
    {"least_used", CONF_SELECTION_LEAST_USED, false},
    {"round_robin", CONF_SELECTION_ROUND_ROBIN, false},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void open_pool(struct scene *scene, enum conf_selection selection)
{
    bool is_locked;

    scene->secrets = secret_arena_new(32 << 20, &is_locked);
    scene->pool = keypool_new(SPAN("bench"), 1, scene->secrets);
    must(scene->secrets && scene->pool);
    for (size_t i = 0; i < scene->count; i++) {
        struct conf_key *key = &scene->keys[i];

        snprintf(scene->names[i], NAME_BYTES, "key-%zu", i);
        *key = (struct conf_key){.name = span_from_text(scene->names[i]), .weight = 1};
        must(secret_new(scene->secrets, key->name, &key->secret) == 0);
        memcpy(key->identity, &i, sizeof(i));
    }
    scene->provider = (struct conf_provider){
        .name = SPAN("bench"),
        .kind = PROVIDER_COMPATIBLE,
        .keys = {scene->keys, scene->count},
        .selection = selection,
        .health = {.max_failures = 3, .cooldown_us = 60 * US_PER_SEC, .ttl_us = 60 * US_PER_SEC},
        .breaker = {5, 500000, 10 * US_PER_SEC, 30 * US_PER_SEC, 3},
    };
    scene->now_us = 1000 * US_PER_SEC;
    must(keypool_apply(scene->pool, &scene->provider, NULL, scene->now_us, 0) == 0);
    scene->view = keypool_view_new(scene->pool, 0, 0);
    must(scene->view);
}

static void close_pool(struct scene *scene)
{
    keypool_view_free(&scene->view);
    keypool_free(&scene->pool);
    for (size_t i = 0; i < scene->count; i++)
        secret_unref(&scene->keys[i].secret);
    secret_arena_free(&scene->secrets);
}

/* The same key is told about the same share left whenever it answers, another each. */
static void answer(struct scene *scene, struct keypool_grant *grant, bool tells)
{
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = 120};
    struct limits_told told = {.account = {NULL, 0}};
    uint64_t left = 400000 + scene->turn++ * 7919 % 600000;

    for (int i = 0; i < 2; i++) {
        told.items[i].limit = 1000000;
        told.items[i].remaining = left;
        told.items[i].reset_us = (1000000 - left) * 60;
    }
    if (tells)
        keypool_hear(scene->view, grant, &told, scene->now_us);
    keypool_good(scene->view, grant, scene->now_us);
    keypool_end(scene->view, grant, &end, scene->now_us);
}

/* Nanoseconds a pick. */
static double batch(struct scene *scene, bool tells)
{
    const struct keypool_ask ask = {
        .model = SPAN("gpt-4.1-mini"), .model_hash = 77, .tokens = 900, .tokens_out = 200};
    uint64_t start_ns = clock_now_ns(), ns;

    for (int i = 0; i < BATCH; i++) {
        must(keypool_select(scene->view, &ask, scene->now_us, &scene->grants[i]).verdict ==
             KEYPOOL_CHOSEN);
        scene->now_us += 20;
    }
    ns = clock_now_ns() - start_ns;
    for (int i = 0; i < BATCH; i++) {
        keypool_sent(scene->view, &scene->grants[i], scene->now_us);
        scene->now_us += 20;
    }
    for (int i = 0; i < BATCH; i++)
        answer(scene, &scene->grants[i], tells);
    return (double)ns / BATCH;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct times {
    double best, middle;
};

static struct times round_of(struct scene *scene, unsigned row, unsigned batches)
{
    static double each[BATCHES];

    for (unsigned i = 0; i < batches; i++)
        each[i] = batch(scene, rows[row].tells);
    qsort(each, batches, sizeof(*each), compare);
    return (struct times){each[0], each[batches / 2]};
}

static void pause_between(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    nanosleep(&pause, NULL);
}

static void measure(struct scene *scene, unsigned row, unsigned batches, unsigned rounds)
{
    struct times least;

    open_pool(scene, rows[row].selection);
    for (size_t i = 0; i < 2 * scene->count; i += BATCH) /* all have answered */
        batch(scene, rows[row].tells);
    least = round_of(scene, row, batches);
    for (unsigned i = 1; i < rounds; i++) {
        struct times times;

        pause_between();
        times = round_of(scene, row, batches);

        if (times.middle < least.middle)
            least = times;
    }
    printf("%-18s %6zu  %6.0f ns  %6.0f ns\n", rows[row].name, scene->count, least.best,
           least.middle);
    close_pool(scene);
}

int main(int argc, char **argv)
{
    static struct scene scene;
    unsigned batches = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : BATCHES;
    unsigned rounds = argc > 3 ? 1 : ROUNDS;

    scene.count = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 10000;
    must(scene.count > 0 && scene.count <= MOST && batches > 0 && batches <= BATCHES);
    scene.keys = calloc(scene.count, sizeof(*scene.keys));
    scene.names = calloc(scene.count, sizeof(*scene.names));
    must(scene.keys && scene.names);
    printf("%-18s %6s  %9s  %9s\n", "pick", "of", "best", "middle");
    for (unsigned i = 0; i < ROWS; i++) {
        if (argc <= 2 || strcmp(argv[2], rows[i].name) == 0)
            measure(&scene, i, batches, rounds);
    }
    free(scene.keys);
    free(scene.names);
    return 0;
}
