#include "sim/world.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"

enum { MAX_KEYS = 65536 };

/* --- accounts --- */

static void set_limits(struct sim_account *account, const struct sim_limits *limits)
{
    account->limits = *limits;
    sim_window_init(&account->requests, limits->window, limits->rpm, limits->period_us);
    sim_window_init(&account->tokens, limits->window, limits->tpm, limits->period_us);
}

/* The account that a key has for itself. Its name stands in answers, so it is not the key. */
static void init_own_account(struct sim_key *key)
{
    snprintf(key->own.name.text, sizeof(key->own.name.text), "org-%08x", (unsigned)key->hash);
    set_limits(&key->own, &key->behaviour->limits);
}

static void fini_account(struct sim_account *account)
{
    sim_window_fini(&account->requests);
    sim_window_fini(&account->tokens);
}

/* The name fits: it was a struct sim_name. */
static int add_account(struct sim_world *world, struct span name, const struct sim_limits *limits,
                       struct sim_account **ret_account)
{
    struct sim_account *account = mem_zalloc(1, sizeof(*account));
    int err;

    if (!account)
        return ERR_NOMEM;
    memcpy(account->name.text, name.ptr, name.len);
    set_limits(account, limits);
    err = map_add(&world->accounts, sim_name_span(&account->name), account);
    if (err)
        mem_free(account);
    else
        *ret_account = account;
    return err;
}

/* An account that nobody declared has the limits that the scenario gives to all. */
static int find_account(struct sim_world *world, struct sim_key *key,
                        struct sim_account **ret_account)
{
    struct span name = sim_name_span(&key->behaviour->account);

    *ret_account = name.len ? map_find(&world->accounts, name) : &key->own;
    if (*ret_account)
        return 0;
    return add_account(world, name, &world->scenario->defaults->limits, ret_account);
}

static bool is_same_limits(const struct sim_limits *a, const struct sim_limits *b)
{
    return a->rpm == b->rpm && a->tpm == b->tpm && a->concurrent == b->concurrent &&
           a->period_us == b->period_us && a->window == b->window;
}

static void refuse(const struct sim_window *window, uint64_t units, uint64_t wait_us,
                   enum sim_failure_kind kind, struct sim_failure *failure)
{
    failure->kind = kind;
    failure->limit = window->limit;
    failure->requested = units;
    failure->retry_after_us = wait_us == UINT64_MAX ? 0 : wait_us;
}

bool sim_account_admit(struct sim_account *account, uint64_t tokens, uint64_t now_us,
                       struct sim_failure *ret_failure)
{
    struct sim_limits *limits = &account->limits;
    uint64_t wait_us;

    if (limits->concurrent && account->in_flight > limits->concurrent) {
        ret_failure->kind = SIM_FAILURE_CONCURRENT;
        return false;
    }
    wait_us = sim_window_wait_us(&account->tokens, tokens, now_us);
    if (wait_us) {
        refuse(&account->tokens, tokens, wait_us,
               wait_us == UINT64_MAX ? SIM_FAILURE_RATE_SIZE : SIM_FAILURE_RATE_TOKENS,
               ret_failure);
        ret_failure->used = limits->tpm - sim_window_remaining(&account->tokens, now_us);
        return false;
    }
    wait_us = sim_window_wait_us(&account->requests, 1, now_us);
    if (wait_us) {
        refuse(&account->requests, 1, wait_us, SIM_FAILURE_RATE_REQUESTS, ret_failure);
        ret_failure->used = limits->rpm - sim_window_remaining(&account->requests, now_us);
        return false;
    }
    /* Without memory for a sliding window's notes, passing uncounted would betray its promise. */
    if (sim_window_take(&account->requests, 1, now_us) ||
        sim_window_take(&account->tokens, tokens, now_us)) {
        ret_failure->kind = SIM_FAILURE_OVERLOADED;
        return false;
    }
    return true;
}

struct sim_meter sim_account_meter(struct sim_window *window, uint64_t now_us)
{
    if (!window->limit)
        return (struct sim_meter){0};
    return (struct sim_meter){
        .limit = window->limit,
        .remaining = sim_window_remaining(window, now_us),
        .reset_us = sim_window_reset_us(window, now_us),
    };
}

/* --- keys --- */

static void free_key(struct sim_key *key)
{
    fini_account(&key->own);
    sim_behaviour_unref(&key->behaviour);
    mem_free(key->name);
    mem_free(key);
}

/* A key as it begins its life; the behaviour's reference is taken over in any case. */
static int add_key(struct sim_world *world, struct span name, struct sim_behaviour *behaviour,
                   struct sim_key **ret_key)
{
    struct sim_key *key = mem_zalloc(1, sizeof(*key));
    int err = ERR_NOMEM;

    if (!key) {
        sim_behaviour_unref(&behaviour);
        return ERR_NOMEM;
    }
    key->behaviour = behaviour;
    key->hash = sim_hash(name);
    key->name = mem_strdup(name.ptr, name.len);
    if (!key->name)
        goto out;
    init_own_account(key);
    err = find_account(world, key, &key->account);
    if (!err)
        err = map_add(&world->keys, span_of(key->name, name.len), key);
    if (!err)
        *ret_key = key;
out:
    if (err)
        free_key(key);
    return err;
}

static bool is_pattern(const char *name)
{
    return strchr(name, '*') != NULL;
}

/* What the scenario says of a key that it does not name: the first pattern, or the defaults. */
static struct sim_behaviour *behaviour_of_unknown(const struct sim_world *world, struct span name)
{
    const struct sim_scenario *scenario = world->scenario;

    for (size_t i = 0; i < scenario->key_count; i++) {
        const struct sim_scenario_key *row = &scenario->keys[i];

        if (is_pattern(row->name) && span_matches(name, span_from_text(row->name)))
            return row->behaviour;
    }
    return scenario->unknown_keys == SIM_ACCEPT ? scenario->defaults : NULL;
}

struct sim_key *sim_world_key(struct sim_world *world, struct span name)
{
    struct sim_key *key = map_find(&world->keys, name);
    struct sim_behaviour *behaviour;

    if (key || !name.len || name.len >= SIM_KEY_BYTES)
        return key;
    behaviour = behaviour_of_unknown(world, name);
    if (!behaviour || add_key(world, name, sim_behaviour_ref(behaviour), &key))
        return NULL;
    return key;
}

const struct sim_behaviour *sim_world_behaviour(struct sim_world *world, struct span name)
{
    struct sim_key *key = sim_world_key(world, name);

    return key ? key->behaviour : world->scenario->defaults;
}

int sim_world_set_key(struct sim_world *world, struct span name, struct sim_behaviour *behaviour)
{
    struct sim_key *key = map_find(&world->keys, name);
    struct sim_behaviour *before;
    struct sim_account *account;
    int err;

    if (!name.len || name.len >= SIM_KEY_BYTES) {
        sim_behaviour_unref(&behaviour);
        return ERR_RANGE;
    }
    if (!key)
        return add_key(world, name, behaviour, &key);
    before = key->behaviour;
    key->behaviour = behaviour;
    err = find_account(world, key, &account);
    if (err) {
        key->behaviour = before;
        sim_behaviour_unref(&behaviour);
        return err;
    }
    /* What is under way stays counted where it began. */
    if (account != key->account && key->counts.in_flight) {
        key->account->in_flight -= key->counts.in_flight;
        account->in_flight += key->counts.in_flight;
    }
    key->account = account;
    if (!is_same_limits(&key->own.limits, &behaviour->limits)) {
        fini_account(&key->own);
        set_limits(&key->own, &behaviour->limits);
    }
    key->own.limits = behaviour->limits;
    key->memory = (struct sim_fate_memory){0};
    sim_behaviour_unref(&before);
    return 0;
}

/* --- the world --- */

static int fill(struct sim_world *world)
{
    const struct sim_scenario *scenario = world->scenario;
    int err = 0;

    for (size_t i = 0; !err && i < scenario->account_count; i++) {
        struct sim_account *account;

        err = add_account(world, sim_name_span(&scenario->accounts[i].name),
                          &scenario->accounts[i].limits, &account);
    }
    for (size_t i = 0; !err && i < scenario->key_count; i++) {
        const struct sim_scenario_key *row = &scenario->keys[i];
        struct sim_key *key;

        if (!is_pattern(row->name))
            err =
                add_key(world, span_from_text(row->name), sim_behaviour_ref(row->behaviour), &key);
    }
    return err;
}

int sim_world_new(struct sim_scenario *scenario, uint64_t seed, struct sim_world **ret_world)
{
    struct sim_world *world = mem_zalloc(1, sizeof(*world));
    int err;

    if (!world)
        return ERR_NOMEM;
    world->refs = 1;
    world->scenario = sim_scenario_ref(scenario);
    world->seed = seed ? seed : scenario->seed;
    world->nobody.behaviour = sim_behaviour_ref(scenario->defaults);
    world->nobody.account = &world->nobody.own;
    sim_issuing_init(&world->issuing, &scenario->issuing);
    map_init(&world->keys, MAX_KEYS);
    map_init(&world->accounts, MAX_KEYS);
    if (scenario->counts_repeats)
        world->repeat_slots = mem_zalloc(SIM_REPEAT_SLOTS, sizeof(*world->repeat_slots));
    err = scenario->counts_repeats && !world->repeat_slots ? ERR_NOMEM : fill(world);
    if (err)
        sim_world_unref(&world);
    else
        *ret_world = world;
    return err;
}

struct sim_world *sim_world_ref(struct sim_world *world)
{
    world->refs++;
    return world;
}

void sim_world_unref(struct sim_world **world)
{
    struct sim_world *w = *world;
    size_t at = 0;
    void *value;

    *world = NULL;
    if (!w || --w->refs)
        return;
    while ((value = map_next(&w->keys, &at, NULL)))
        free_key(value);
    at = 0;
    while ((value = map_next(&w->accounts, &at, NULL))) {
        fini_account(value);
        mem_free(value);
    }
    map_fini(&w->keys);
    map_fini(&w->accounts);
    sim_issuing_fini(&w->issuing);
    sim_behaviour_unref(&w->nobody.behaviour);
    mem_free(w->repeat_slots);
    sim_scenario_unref(&w->scenario);
    mem_free(w);
}

/* --- counts --- */

void sim_key_begin(struct sim_key *key, enum sim_op op)
{
    struct sim_counts *counts = &key->counts;

    counts->requests++;
    counts->lookups += !sim_op_is_generation(op);
    key->account->in_flight++;
    if (++counts->in_flight > counts->max_in_flight)
        counts->max_in_flight = counts->in_flight;
}

static void count_status(struct sim_counts *counts, int status)
{
    for (unsigned i = 0; i < SIM_MAX_STATUSES; i++) {
        if (counts->statuses[i].status && counts->statuses[i].status != status)
            continue;
        counts->statuses[i].status = status;
        counts->statuses[i].count++;
        return;
    }
}

void sim_key_end(struct sim_key *key, enum sim_op op, enum sim_end end, int status)
{
    key->counts.in_flight--;
    key->account->in_flight--;
    key->counts.ends[end]++;
    if (sim_op_is_generation(op))
        key->counts.generation_ends[end]++;
    if (status)
        count_status(&key->counts, status);
}

/* Open addressing by the hash itself; kept half empty, past that no new body is noted. */
void sim_world_note_answer(struct sim_world *world, uint64_t body_hash)
{
    uint64_t hash = body_hash ? body_hash : 1;
    size_t at = (size_t)hash & (SIM_REPEAT_SLOTS - 1);

    if (!world->repeat_slots)
        return;
    while (world->repeat_slots[at] && world->repeat_slots[at] != hash)
        at = (at + 1) & (SIM_REPEAT_SLOTS - 1);
    if (world->repeat_slots[at]) {
        world->repeats++;
    } else if (world->repeat_count < SIM_REPEAT_SLOTS / 2) {
        world->repeat_slots[at] = hash;
        world->repeat_count++;
    }
}
