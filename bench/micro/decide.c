/*
 * What a decision costs as the configuration grows: nanoseconds (the best of many rounds) to pick a
 * key and report how it went, to find a client, to plan a model's targets, with 3 and with 10,000
 * of each; and how many words shared with other workers one exchange writes.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/clients.h"
#include "base/clock.h"
#include "base/map.h"
#include "keypool/keypool.h"
#include "route/plan.h"

enum { ROUNDS = 400, CALLS = 500, MOST = 10000, NAME_BYTES = 24 };

struct scene {
    struct config config;
    struct conf_provider provider;
    struct conf_key *keys;
    struct conf_client *clients;
    struct conf_model *models;
    struct conf_target target;
    char (*names)[NAME_BYTES];

    struct secret_arena *secrets;
    struct keypool *pool;
    struct keypool_view *view;
    struct limiter_book *book;
    struct purse_book *purses;
    struct clients *known;
    struct routes *routes;
    struct rand rand;
    uint64_t now_us;
    uint64_t shared_writes; /* of admissions */
    size_t at, count;
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

/* ---- a pool ---- */

static void declare_keys(struct scene *scene, size_t count, const struct conf_limits *limits)
{
    for (size_t i = 0; i < count; i++) {
        struct conf_key *key = &scene->keys[i];

        *key = (struct conf_key){
            .name = span_from_text(scene->names[i]), .weight = 1, .limits = *limits};
        must(secret_new(scene->secrets, key->name, &key->secret) == 0);
        memcpy(key->identity, &i, sizeof(i));
    }
    scene->provider = (struct conf_provider){
        .name = SPAN("bench"),
        .kind = PROVIDER_COMPATIBLE,
        .keys = {scene->keys, count},
        .health = {.max_failures = 3, .cooldown_us = 60 * US_PER_SEC, .ttl_us = 60 * US_PER_SEC},
        .breaker = {5, 500000, 10 * US_PER_SEC, 30 * US_PER_SEC, 3},
    };
}

static void open_pool(struct scene *scene, size_t count, enum conf_selection selection,
                      const struct conf_limits *limits)
{
    bool is_locked;

    scene->secrets = secret_arena_new(8 << 20, &is_locked);
    scene->pool = keypool_new(SPAN("bench"), 1, scene->secrets);
    must(scene->secrets && scene->pool);
    declare_keys(scene, count, limits);
    scene->provider.selection = selection;
    scene->now_us = 1000 * US_PER_SEC;
    must(keypool_apply(scene->pool, &scene->provider, NULL, scene->now_us, 0) == 0);
    scene->view = keypool_view_new(scene->pool, 0, 0);
    must(scene->view);
    scene->count = count;
}

static void close_pool(struct scene *scene)
{
    keypool_view_free(&scene->view);
    keypool_free(&scene->pool);
    for (size_t i = 0; i < scene->count; i++)
        secret_unref(&scene->keys[i].secret);
    secret_arena_free(&scene->secrets);
}

static void pick_and_end(struct scene *scene, enum outcome outcome, uint64_t hint_us)
{
    const struct keypool_ask ask = {.model = SPAN("gpt-4.1-mini"), .model_hash = 77, .tokens = 100};
    const struct keypool_end end = {
        .outcome = outcome_row(outcome), .hint_us = hint_us, .tokens = 120};
    struct keypool_grant grant;

    must(keypool_select(scene->view, &ask, scene->now_us, &grant).verdict == KEYPOOL_CHOSEN);
    keypool_sent(scene->view, &grant, scene->now_us);
    keypool_end(scene->view, &grant, &end, scene->now_us);
    scene->now_us += 100;
}

/* The same, with an answer that tells of the key's limits, as most providers' do. */
static void pick_and_hear(struct scene *scene)
{
    const struct keypool_ask ask = {.model = SPAN("gpt-4.1-mini"), .model_hash = 77, .tokens = 100};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = 120};
    struct limits_told told = {.account = {NULL, 0}};
    struct keypool_grant grant;

    for (int i = 0; i < 2; i++) {
        told.items[i].limit = 1000000;
        told.items[i].remaining = 400000 + scene->now_us % 600000;
        told.items[i].reset_us = (1000000 - told.items[i].remaining) * 60;
    }
    must(keypool_select(scene->view, &ask, scene->now_us, &grant).verdict == KEYPOOL_CHOSEN);
    keypool_sent(scene->view, &grant, scene->now_us);
    keypool_hear(scene->view, &grant, &told, scene->now_us);
    keypool_end(scene->view, &grant, &end, scene->now_us);
    scene->now_us += 100;
}

/* Takes and gives back: the pick alone. */
static void pick_alone(struct scene *scene)
{
    const struct keypool_ask ask = {.model = SPAN("gpt-4.1-mini"), .model_hash = 77, .tokens = 100};
    struct keypool_grant grant;

    must(keypool_select(scene->view, &ask, scene->now_us, &grant).verdict == KEYPOOL_CHOSEN);
    keypool_cancel(scene->view, &grant, scene->now_us);
    scene->now_us += 100;
}

static void pick(struct scene *scene)
{
    pick_and_end(scene, OUTCOME_SUCCESS, 0);
}

/* ---- measuring ---- */

static double best_ns(struct scene *scene, void (*step)(struct scene *))
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock_now_ns();
        double each;

        for (int i = 0; i < CALLS; i++)
            step(scene);
        each = (double)(clock_now_ns() - start) / CALLS;
        best = each < best ? each : best;
    }
    return best;
}

static void say(const char *what, size_t count, double ns, double writes)
{
    printf("%-44s %6zu  %7.0f ns  %5.2f\n", what, count, ns, writes);
}

static void measure_pool(struct scene *scene, const char *what, size_t count,
                         enum conf_selection selection, const struct conf_limits *limits,
                         size_t aside)
{
    uint64_t before;
    double ns;

    open_pool(scene, count, selection, limits);
    for (size_t i = 0; i < count; i++) /* all have answered once: none is on trial */
        pick(scene);
    for (size_t i = 0; i < aside; i++)
        pick_and_end(scene, OUTCOME_RATE_LIMITED, 3600 * US_PER_SEC);
    before = keypool_view_shared_writes(scene->view);
    ns = best_ns(scene, pick);
    say(what, count, ns,
        (double)(keypool_view_shared_writes(scene->view) - before) / ROUNDS / CALLS);
    close_pool(scene);
}

static void measure_headroom(struct scene *scene, size_t count)
{
    const struct conf_limits none = {0};
    uint64_t before;
    double ns;

    open_pool(scene, count, CONF_SELECTION_HEADROOM, &none);
    for (size_t i = 0; i < 2 * count; i++)
        pick_and_hear(scene);
    before = keypool_view_shared_writes(scene->view);
    ns = best_ns(scene, pick_and_hear);
    say("key: headroom, limits told", count, ns,
        (double)(keypool_view_shared_writes(scene->view) - before) / ROUNDS / CALLS);
    say("key: headroom, taken and given back", count, best_ns(scene, pick_alone), 0);
    close_pool(scene);
}

static void measure_pools(struct scene *scene, size_t count)
{
    const struct conf_limits none = {0}, all = {.rpm = 100000000, .tpm = 1u << 31, .concurrent = 9};

    measure_pool(scene, "key: round robin", count, CONF_SELECTION_ROUND_ROBIN, &none, 0);
    measure_pool(scene, "key: weighted", count, CONF_SELECTION_WEIGHTED, &none, 0);
    measure_pool(scene, "key: least used", count, CONF_SELECTION_LEAST_USED, &none, 0);
    measure_pool(scene, "key: headroom, nothing told", count, CONF_SELECTION_HEADROOM, &none, 0);
    measure_headroom(scene, count);
    measure_pool(scene, "key: priority", count, CONF_SELECTION_PRIORITY, &none, 0);
    measure_pool(scene, "key: least used, two thirds set aside", count, CONF_SELECTION_LEAST_USED,
                 &none, count * 2 / 3);
    measure_pool(scene, "key: least used, rpm, tpm and concurrent", count,
                 CONF_SELECTION_LEAST_USED, &all, 0);
}

/* ---- clients and models ---- */

static void find_client(struct scene *scene)
{
    const struct client *client;

    scene->at = (scene->at + 7919) % scene->count;
    must(clients_find(scene->known, NULL, NULL, span_from_text(scene->names[scene->at]), 1,
                      &client) == CLIENTS_OK);
}

static void admit(struct scene *scene)
{
    const struct client *client = clients_at(scene->known, 1 + scene->at);
    struct admission admission;

    scene->at = (scene->at + 7919) % scene->count;
    must(admission_begin(&admission, client->limiter, NULL, 100, scene->now_us).is_admitted);
    admission_end(&admission, 120, scene->now_us);
    scene->shared_writes += admission.shared_writes;
    scene->now_us += 1000000;
}

static void plan(struct scene *scene)
{
    struct plan plan;

    scene->at = (scene->at + 7919) % scene->count;
    must(plan_make(scene->routes, span_from_text(scene->names[scene->at]), &scene->rand, &plan) ==
         PLAN_OK);
}

static void measure_names(struct scene *scene, size_t count)
{
    double admit_ns;

    scene->count = count;
    scene->at = 0;
    scene->target = (struct conf_target){&scene->provider, SPAN("gpt-4.1-mini"), 1};
    scene->config.providers = (struct conf_providers){&scene->provider, 1};
    scene->config.clients.keys = (struct conf_client_list){scene->clients, count};
    scene->config.models = (struct conf_models){scene->models, count};
    for (size_t i = 0; i < count; i++) {
        struct span name = span_from_text(scene->names[i]);

        scene->clients[i] = (struct conf_client){
            .name = name, .limits = {.rpm = 6000, .burst = 600, .tpm = 1000000, .concurrent = 50}};
        crypto_hash_sha256(scene->clients[i].sha256, (const unsigned char *)name.ptr, name.len);
        scene->models[i] = (struct conf_model){.name = name, .targets = {&scene->target, 1}};
    }
    scene->book = limiter_book_new();
    scene->purses = purse_book_new();
    must(clients_new(&scene->config, scene->book, scene->purses, &scene->known) == 0);
    must(routes_new(&scene->config, scene->book, &scene->routes) == 0);
    say("client: found by its secret", count, best_ns(scene, find_client), 0);
    scene->shared_writes = 0;
    admit_ns = best_ns(scene, admit);
    say("client: rpm, tpm and concurrent", count, admit_ns,
        (double)scene->shared_writes / ROUNDS / CALLS);
    say("model: plan of its targets", count, best_ns(scene, plan), 0);
    clients_free(&scene->known);
    routes_free(&scene->routes);
    limiter_book_free(&scene->book);
    purse_book_free(&scene->purses);
}

int main(void)
{
    static struct scene scene;

    scene.keys = calloc(MOST, sizeof(*scene.keys));
    scene.clients = calloc(MOST, sizeof(*scene.clients));
    scene.models = calloc(MOST, sizeof(*scene.models));
    scene.names = calloc(MOST, sizeof(*scene.names));
    must(scene.keys && scene.clients && scene.models && scene.names);
    rand_init(&scene.rand, 1);
    for (size_t i = 0; i < MOST; i++)
        snprintf(scene.names[i], NAME_BYTES, "name-%zu", i);
    printf("%-44s %6s  %10s  %s\n", "decision", "of", "each", "shared writes");
    for (size_t count = 3; count <= MOST; count = count == 3 ? 100 : count * 100) {
        measure_pools(&scene, count);
        measure_names(&scene, count);
    }
    free(scene.keys);
    free(scene.clients);
    free(scene.models);
    free(scene.names);
    return 0;
}
