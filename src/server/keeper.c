#include "server/keeper.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "store/key_states.h"

enum { ROWS_MAX = 262144, ROOM_BYTES = 256 << 20, PRUNE_MAX = 4096 };

#define TICK_US  US_PER_SEC
#define AGAIN_US (5 * US_PER_SEC) /* after trouble */

/* One key of which the store has a row, or is about to. */
struct row {
    uint8_t identity[STORE_IDENTITY_BYTES];
    uint64_t fingerprint;            /* of what it was written with; 0: nobody knows */
    const struct key_state *pending; /* as it was read, until a key of a pool is given it; NULL */
    uint64_t changed_wall_us;
};

/* How far a pool was looked through. */
struct seat {
    const struct keypool *pool; /* to be compared only */
    uint64_t changes;
};

struct keeper {
    struct keeper_options options;
    struct arena_pool pool;
    struct arena read; /* what is pending */
    struct map by_identity;
    size_t pending;
    struct seat *seats;
    size_t seat_count;
    struct loop_timer tick;
    struct store_ask load, put;
    bool is_read, is_hurried;
    bool is_giving; /* give_all_back is on the stack */

    /* Of the put under way. */
    struct arena scratch;
    struct key_state *states;
    struct row **rows;
    size_t count;
    struct keypool *scanned;
    int err; /* of the scan */
};

static uint64_t now_us(const struct keeper *keeper)
{
    return loop_now_us(keeper->options.loop);
}

static uint64_t wall_us(const struct keeper *keeper)
{
    return loop_wall_us(keeper->options.loop);
}

/* Reserved: it cannot fail. */
static void wait(struct keeper *keeper, uint64_t us)
{
    (void)loop_timer_set(&keeper->tick, now_us(keeper) + us);
}

static struct span identity_span(const uint8_t *identity)
{
    return span_of((const char *)identity, STORE_IDENTITY_BYTES);
}

/* ---- the two clocks ---- */

static uint64_t to_wall(const struct keeper *keeper, uint64_t at_us)
{
    uint64_t now = now_us(keeper), wall = wall_us(keeper);

    if (!at_us)
        return 0;
    if (at_us >= now)
        return wall + (at_us - now);
    return now - at_us < wall ? wall - (now - at_us) : 1;
}

/* What has passed is 0: neither clock knows how long ago it was. */
static uint64_t from_wall(const struct keeper *keeper, uint64_t at_wall_us)
{
    uint64_t wall = wall_us(keeper);

    return at_wall_us > wall ? now_us(keeper) + (at_wall_us - wall) : 0;
}

/* ---- giving back ---- */

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

static void give_back(struct keeper *keeper, struct row *row)
{
    struct keypool_effect effect;
    struct kept_key kept;
    struct keypool *pool;

    take(keeper, row->pending, &kept);
    for (size_t at = 0; (pool = keeper->options.pool(keeper->options.owner, at)); at++) {
        if (!span_is_equal(keypool_provider(pool), row->pending->provider) ||
            !keypool_restore(pool, &kept, now_us(keeper), &effect))
            continue;
        row->pending = NULL;
        keeper->pending--;
        if (keeper->options.on_effect)
            keeper->options.on_effect(keeper->options.owner, pool, &effect);
        return;
    }
}

static void give_all_back(struct keeper *keeper)
{
    struct span identity;
    struct row *row;
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

static struct row *add_row(struct keeper *keeper, const uint8_t *identity)
{
    struct row *row = mem_zalloc(1, sizeof(*row));

    if (!row)
        return NULL;
    memcpy(row->identity, identity, sizeof(row->identity));
    if (map_add(&keeper->by_identity, identity_span(row->identity), row))
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
    struct row *row = map_find(&keeper->by_identity, identity_span(state->identity));

    if (!row)
        row = add_row(keeper, state->identity);
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
        give_all_back(keeper);
    }
    keeper->options.on_read(keeper->options.owner, err, answer->count);
    wait(keeper, err ? AGAIN_US : TICK_US);
}

static void load(struct keeper *keeper)
{
    if (!keeper->load.op && key_states_load(keeper->options.store, &keeper->load))
        wait(keeper, AGAIN_US);
}

/* ---- writing ---- */

/* What rotation asks of the key is not the operator's. */
static void leave_rotation_out(const struct keeper *keeper, struct kept_key *kept)
{
    struct keeper_word word;

    if (!keeper->options.rotation_says(keeper->options.owner, keeper->scanned, kept->identity,
                                       &word))
        return;
    if (kept->wish == word.wish)
        kept->wish = KEY_ENABLED;
    if (kept->weight_milli == word.weight_milli)
        kept->weight_milli = kept->said_milli;
}

static void write_models(struct keeper *keeper, const struct kept_key *kept,
                         struct key_state *state)
{
    struct key_state_aside *asides =
        arena_alloc(&keeper->scratch, (kept->model_count + 1) * sizeof(*asides));

    if (!asides) {
        keeper->err = ERR_NOMEM;
        return;
    }
    state->asides = asides;
    state->aside_count = kept->model_count;
    for (size_t i = 0; i < kept->model_count; i++) {
        asides[i] = (struct key_state_aside){
            .model = arena_copy(&keeper->scratch, span_from_text(kept->models[i].name)),
            .state = span_from_text(kept_aside_word(kept->models[i].aside)),
            .until_wall_us = to_wall(keeper, kept->models[i].until_us),
        };
        if (!asides[i].model.ptr)
            keeper->err = ERR_NOMEM;
    }
}

static void write_state(struct keeper *keeper, const struct kept_key *kept, struct key_state *state)
{
    *state = (struct key_state){
        .provider = keypool_provider(keeper->scanned),
        .name = arena_copy(&keeper->scratch, kept->name),
        .wish = span_from_text(key_wish_text(kept->wish)),
        .health = span_from_text(kept_health_word(kept->health)),
        .breaker = span_from_text(breaker_state_text(kept->breaker)),
        .weight_milli = kept->weight_milli,
        .said_milli = kept->said_milli,
        .failures = kept->failures,
        .until_wall_us = to_wall(keeper, kept->until_us),
        .breaker_until_wall_us = to_wall(keeper, kept->breaker_until_us),
    };
    memcpy(state->identity, kept->identity, sizeof(state->identity));
    if (!state->name.ptr)
        keeper->err = ERR_NOMEM;
    write_models(keeper, kept, state);
}

/* Those of one put fill the room; the others' turn comes with the next. */
static void look_at_key(void *owner, const struct kept_key *told)
{
    struct keeper *keeper = owner;
    struct row *row = map_find(&keeper->by_identity, identity_span(told->identity));
    struct kept_key kept = *told;
    uint64_t fingerprint;

    leave_rotation_out(keeper, &kept);
    if (keeper->err || (!row && kept_is_plain(&kept)))
        return;
    fingerprint = kept_fingerprint(&kept);
    if (row && row->fingerprint == fingerprint)
        return;
    if (keeper->count == KEY_STATES_MAX)
        keeper->err = ERR_FULL;
    else if (!row && !(row = add_row(keeper, kept.identity)))
        keeper->err = ERR_NOMEM;
    if (keeper->err)
        return;
    write_state(keeper, &kept, &keeper->states[keeper->count]);
    if (keeper->err)
        return;
    row->fingerprint = fingerprint;
    row->changed_wall_us = wall_us(keeper);
    keeper->rows[keeper->count++] = row;
}

/* How far that pool was looked through; NULL without memory. */
static struct seat *seat_of(struct keeper *keeper, const struct keypool *pool, size_t at)
{
    struct seat *seats;

    if (at >= keeper->seat_count) {
        seats = mem_zalloc(at + 1, sizeof(*seats));
        if (!seats)
            return NULL;
        if (keeper->seat_count)
            memcpy(seats, keeper->seats, keeper->seat_count * sizeof(*seats));
        mem_free(keeper->seats);
        keeper->seats = seats;
        keeper->seat_count = at + 1;
    }
    if (keeper->seats[at].pool != pool)
        keeper->seats[at] = (struct seat){.pool = pool, .changes = UINT64_MAX};
    return &keeper->seats[at];
}

static void look_at_pool(struct keeper *keeper, struct keypool *pool, size_t at)
{
    struct seat *seat = seat_of(keeper, pool, at);
    uint64_t changes = keypool_changes(pool); /* before what it stands for is read */

    if (!seat || seat->changes == changes)
        return;
    keeper->scanned = pool;
    keypool_keep(pool, now_us(keeper), look_at_key, keeper);
    if (!keeper->err)
        seat->changes = changes;
}

/* All pools are looked through again. */
static void look_anew(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->seat_count; i++)
        keeper->seats[i].changes = UINT64_MAX;
}

/* What was asked to be written is not known to be. */
static void doubt_put(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->count; i++)
        keeper->rows[i]->fingerprint = 0;
    look_anew(keeper);
}

static void end_put(struct keeper *keeper)
{
    arena_fini(&keeper->scratch);
    MEM_CLEAR(keeper->states);
    MEM_CLEAR(keeper->rows);
    keeper->count = 0;
}

static void save(struct keeper *keeper);

static void on_put(struct store_ask *ask, const struct store_answer *answer)
{
    struct keeper *keeper = container_of(ask, struct keeper, put);
    bool is_hurried = keeper->is_hurried && !answer->err;

    if (answer->err)
        doubt_put(keeper);
    end_put(keeper);
    if (is_hurried)
        save(keeper);
    else
        wait(keeper, answer->err ? AGAIN_US : TICK_US);
}

static bool make_room(struct keeper *keeper)
{
    keeper->states = mem_zalloc(KEY_STATES_MAX, sizeof(*keeper->states));
    keeper->rows = mem_zalloc(KEY_STATES_MAX, sizeof(*keeper->rows));
    if (keeper->states && keeper->rows)
        return true;
    end_put(keeper);
    return false;
}

static bool has_changes(struct keeper *keeper)
{
    struct keypool *pool;

    for (size_t at = 0; (pool = keeper->options.pool(keeper->options.owner, at)); at++) {
        const struct seat *seat = seat_of(keeper, pool, at);

        if (seat && seat->changes != keypool_changes(pool))
            return true;
    }
    return false;
}

/* One put at a time, of all that has changed since the last. */
static void save(struct keeper *keeper)
{
    struct keypool *pool;

    if (!keeper->is_read || keeper->put.op)
        return;
    keeper->is_hurried = false;
    wait(keeper, TICK_US);
    if (!has_changes(keeper) || !make_room(keeper))
        return;
    keeper->err = 0;
    /* A key that has just come is not to be written before it was given what is known of it. */
    give_all_back(keeper);
    for (size_t at = 0; (pool = keeper->options.pool(keeper->options.owner, at)); at++)
        look_at_pool(keeper, pool, at);
    if (keeper->count &&
        key_states_put(keeper->options.store, &keeper->put, keeper->states, keeper->count) != 0)
        doubt_put(keeper);
    /* Copied: only whose they are is asked once it was answered. */
    arena_fini(&keeper->scratch);
    MEM_CLEAR(keeper->states);
    if (!keeper->put.op)
        end_put(keeper);
}

static void on_tick(struct loop_timer *timer)
{
    struct keeper *keeper = container_of(timer, struct keeper, tick);

    if (keeper->is_read)
        save(keeper);
    else
        load(keeper);
}

void keeper_look(struct keeper *keeper)
{
    if (keeper->is_read)
        give_all_back(keeper);
}

void keeper_hurry(struct keeper *keeper)
{
    keeper->is_hurried = true;
    save(keeper);
}

void keeper_end(struct keeper *keeper)
{
    store_cancel(&keeper->put);
    end_put(keeper);
    save(keeper);
}

/* ---- forgetting ---- */

static bool is_in_a_pool(struct keeper *keeper, const struct row *row)
{
    struct keypool *pool;
    struct key *key = NULL;

    for (size_t at = 0; !key && (pool = keeper->options.pool(keeper->options.owner, at)); at++)
        key = keypool_find_identity(pool, identity_span(row->identity));
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
    struct row *row;

    while (gone && count < PRUNE_MAX && (row = map_next(&keeper->by_identity, &at, &identity))) {
        if (row->changed_wall_us < before_wall_us && !is_in_a_pool(keeper, row))
            memcpy(gone[count++], row->identity, STORE_IDENTITY_BYTES);
    }
    if (keeper->put.op || !count ||
        key_states_forget(keeper->options.store, NULL, (const uint8_t(*)[STORE_IDENTITY_BYTES])gone,
                          count))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        row = map_remove(&keeper->by_identity, identity_span(gone[i]));
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
    keeper->put.on_done = on_put;
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
    struct row *row;
    size_t at = 0;

    *place = NULL;
    if (!keeper)
        return;
    store_cancel(&keeper->load);
    store_cancel(&keeper->put);
    loop_timer_fini(&keeper->tick);
    end_put(keeper);
    while ((row = map_next(&keeper->by_identity, &at, &identity)))
        mem_free(row);
    map_fini(&keeper->by_identity);
    arena_fini(&keeper->read);
    arena_pool_fini(&keeper->pool);
    mem_free(keeper->seats);
    mem_free(keeper);
}
