#include "server/keeper.h"

#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "server/keeper_inner.h"

enum { ROWS_MAX = 262144, ROOM_BYTES = 256 << 20, PRUNE_MAX = 4096 };

/* ---- giving back ---- */

/* What has passed is 0: neither clock knows how long ago it was. */
static uint64_t from_wall(const struct keeper *keeper, uint64_t at_wall_us)
{
    uint64_t wall = keeper_wall_us(keeper);

    return at_wall_us > wall ? keeper_now_us(keeper) + (at_wall_us - wall) : 0;
}

static void take_models(const struct keeper *keeper, const struct key_state *state,
                        struct kept_key *kept)
{
    kept->model_count = 0;
    for (size_t i = 0; i < state->aside_count && kept->model_count < KEPT_MODELS; i++) {
        const struct key_state_aside *aside = &state->asides[i];
        struct kept_model *model = &kept->models[kept->model_count];

        if (aside->model.len >= KEPT_NAME_BYTES || !kept_read_aside(aside->state, &model->aside))
            continue;
        memcpy(model->name, aside->model.ptr, aside->model.len);
        model->name[aside->model.len] = '\0';
        model->until_us = from_wall(keeper, aside->until_wall_us);
        kept->model_count++;
    }
}

/* A word of a later version says nothing to this one: the key begins as any does. */
static void take(const struct keeper *keeper, const struct key_state *state, struct kept_key *kept)
{
    memcpy(kept->identity, state->identity, sizeof(kept->identity));
    kept->name = state->name;
    kept->weight_milli = state->weight_milli;
    kept->said_milli = state->said_milli;
    kept->failures = state->failures;
    kept->until_us = from_wall(keeper, state->until_wall_us);
    kept->breaker_until_us = from_wall(keeper, state->breaker_until_wall_us);
    if (!kept_read_wish(state->wish, &kept->wish))
        kept->wish = KEY_ENABLED;
    if (!kept_read_health(state->health, &kept->health))
        kept->health = KEY_HEALTHY;
    if (!kept_read_breaker(state->breaker, &kept->breaker))
        kept->breaker = BREAKER_CLOSED;
    take_models(keeper, state, kept);
}

static void give_back(struct keeper *keeper, struct keeper_row *row)
{
    struct keypool_effect effect;
    struct kept_key kept;
    struct keypool *pool;

    take(keeper, row->pending, &kept);
    for (size_t at = 0; (pool = keeper->options.pool(keeper->options.owner, at)); at++) {
        if (!span_is_equal(keypool_provider(pool), row->pending->provider) ||
            !keypool_restore(pool, &kept, keeper_now_us(keeper), &effect))
            continue;
        row->pending = NULL;
        keeper->pending--;
        if (keeper->options.on_effect)
            keeper->options.on_effect(keeper->options.owner, pool, &effect);
        return;
    }
}

void keeper_give_all_back(struct keeper *keeper)
{
    struct span identity;
    struct keeper_row *row;
    size_t at = 0;

    /* Whoever hears of one key may ask whether there are others. */
    if (keeper->is_giving)
        return;
    keeper->is_giving = true;
    while (keeper->pending && (row = map_next(&keeper->by_identity, &at, &identity))) {
        if (row->pending)
            give_back(keeper, row);
    }
    keeper->is_giving = false;
}

/* ---- reading ---- */

struct keeper_row *keeper_add_row(struct keeper *keeper, const uint8_t *identity)
{
    struct keeper_row *row = mem_zalloc(1, sizeof(*row));

    if (!row)
        return NULL;
    memcpy(row->identity, identity, sizeof(row->identity));
    if (map_add(&keeper->by_identity, keeper_identity(row->identity), row))
        MEM_CLEAR(row);
    return row;
}

/* A copy of what was read, with texts of its own; NULL without memory. */
static const struct key_state *copy_state(struct arena *arena, const struct key_state *from)
{
    struct key_state *to = arena_alloc(arena, sizeof(*to));
    struct key_state_aside *asides = NULL;
    bool is_whole = to != NULL;

    if (from->aside_count && is_whole)
        asides = arena_alloc(arena, from->aside_count * sizeof(*asides));
    if (!is_whole || (from->aside_count && !asides))
        return NULL;
    *to = *from;
    to->asides = asides;
    to->provider = arena_copy(arena, from->provider);
    to->name = arena_copy(arena, from->name);
    to->wish = arena_copy(arena, from->wish);
    to->health = arena_copy(arena, from->health);
    to->breaker = arena_copy(arena, from->breaker);
    is_whole =
        to->provider.ptr && to->name.ptr && to->wish.ptr && to->health.ptr && to->breaker.ptr;
    for (size_t i = 0; i < from->aside_count; i++) {
        asides[i] = from->asides[i];
        asides[i].model = arena_copy(arena, from->asides[i].model);
        asides[i].state = arena_copy(arena, from->asides[i].state);
        is_whole = is_whole && asides[i].model.ptr && asides[i].state.ptr;
    }
    return is_whole ? to : NULL;
}

static int take_row(struct keeper *keeper, const struct key_state *state)
{
    struct keeper_row *row = map_find(&keeper->by_identity, keeper_identity(state->identity));

    if (!row)
        row = keeper_add_row(keeper, state->identity);
    if (!row)
        return ERR_NOMEM;
    if (row->pending)
        return 0; /* from a reading that memory ended */
    row->pending = copy_state(&keeper->read, state);
    row->changed_wall_us = state->changed_wall_us;
    keeper->pending += row->pending != NULL;
    return row->pending ? 0 : ERR_NOMEM;
}

static void on_loaded(struct store_ask *ask, const struct store_answer *answer)
{
    struct keeper *keeper = container_of(ask, struct keeper, load);
    int err = answer->err;

    for (size_t i = 0; i < answer->count && !err; i++)
        err = take_row(keeper, &key_states_told(answer)[i]);
    if (!err) {
        keeper->is_read = true;
        keeper_give_all_back(keeper);
    }
    keeper->options.on_read(keeper->options.owner, err, answer->count);
    keeper_wait(keeper, err ? KEEPER_AGAIN_US : KEEPER_TICK_US);
}

static void load(struct keeper *keeper)
{
    if (!keeper->load.op && key_states_load(keeper->options.store, &keeper->load))
        keeper_wait(keeper, KEEPER_AGAIN_US);
}

/* ---- when ---- */

static void on_tick(struct loop_timer *timer)
{
    struct keeper *keeper = container_of(timer, struct keeper, tick);

    if (keeper->is_read)
        keeper_save(keeper);
    else
        load(keeper);
}

void keeper_look(struct keeper *keeper)
{
    if (keeper->is_read)
        keeper_give_all_back(keeper);
}

void keeper_hurry(struct keeper *keeper)
{
    keeper->is_hurried = true;
    keeper_save(keeper);
}

void keeper_end(struct keeper *keeper)
{
    store_cancel(&keeper->put);
    keeper_end_put(keeper);
    keeper_save(keeper);
}

/* ---- forgetting ---- */

static bool is_in_a_pool(struct keeper *keeper, const struct keeper_row *row)
{
    struct keypool *pool;
    struct key *key = NULL;

    for (size_t at = 0; !key && (pool = keeper->options.pool(keeper->options.owner, at)); at++)
        key = keypool_find_identity(pool, keeper_identity(row->identity));
    if (!key)
        return false;
    key_unref(&key);
    return true;
}

size_t keeper_prune(struct keeper *keeper, uint64_t before_wall_us)
{
    uint8_t(*gone)[STORE_IDENTITY_BYTES] = mem_zalloc(PRUNE_MAX, sizeof(*gone));
    size_t count = 0, at = 0;
    struct span identity;
    struct keeper_row *row;

    while (gone && count < PRUNE_MAX && (row = map_next(&keeper->by_identity, &at, &identity))) {
        if (row->changed_wall_us < before_wall_us && !is_in_a_pool(keeper, row))
            memcpy(gone[count++], row->identity, STORE_IDENTITY_BYTES);
    }
    if (keeper->put.op || !count ||
        key_states_forget(keeper->options.store, NULL, (const uint8_t(*)[STORE_IDENTITY_BYTES])gone,
                          count))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        row = map_remove(&keeper->by_identity, keeper_identity(gone[i]));
        keeper->pending -= row->pending != NULL;
        mem_free(row);
    }
    mem_free(gone);
    return count;
}

/* ---- life ---- */

struct keeper *keeper_new(const struct keeper_options *options)
{
    struct keeper *keeper = mem_zalloc(1, sizeof(*keeper));

    if (!keeper)
        return NULL;
    keeper->options = *options;
    keeper->load.on_done = on_loaded;
    keeper->put.on_done = keeper_on_put;
    map_init(&keeper->by_identity, ROWS_MAX);
    arena_pool_init(&keeper->pool, 0);
    arena_init(&keeper->read, &keeper->pool, ROOM_BYTES);
    arena_init(&keeper->scratch, &keeper->pool, ROOM_BYTES);
    loop_timer_init(&keeper->tick, options->loop, on_tick);
    if (loop_timer_reserve(&keeper->tick)) {
        keeper_free(&keeper);
        return NULL;
    }
    load(keeper);
    return keeper;
}

void keeper_free(struct keeper **place)
{
    struct keeper *keeper = *place;
    struct span identity;
    struct keeper_row *row;
    size_t at = 0;

    *place = NULL;
    if (!keeper)
        return;
    store_cancel(&keeper->load);
    store_cancel(&keeper->put);
    loop_timer_fini(&keeper->tick);
    keeper_end_put(keeper);
    while ((row = map_next(&keeper->by_identity, &at, &identity)))
        mem_free(row);
    map_fini(&keeper->by_identity);
    arena_fini(&keeper->read);
    arena_pool_fini(&keeper->pool);
    mem_free(keeper->seats);
    mem_free(keeper);
}
