/* What of the pools is to be written, and what came of it. */
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "server/keeper_inner.h"

static uint64_t to_wall(const struct keeper *keeper, uint64_t at_us)
{
    uint64_t now = keeper_now_us(keeper), wall = keeper_wall_us(keeper);

    if (!at_us)
        return 0;
    if (at_us >= now)
        return wall + (at_us - now);
    return now - at_us < wall ? wall - (now - at_us) : 1;
}

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
static void look_at_key(void *owner, struct kept_key *kept)
{
    struct keeper *keeper = owner;
    struct keeper_row *row = map_find(&keeper->by_identity, keeper_identity(kept->identity));
    uint64_t fingerprint;

    leave_rotation_out(keeper, kept);
    if (keeper->err || (!row && kept_is_plain(kept)))
        return;
    fingerprint = kept_fingerprint(kept);
    if (row && row->fingerprint == fingerprint)
        return;
    if (keeper->count == KEY_STATES_MAX)
        keeper->err = ERR_FULL;
    else if (!row && !(row = keeper_add_row(keeper, kept->identity)))
        keeper->err = ERR_NOMEM;
    if (keeper->err)
        return;
    write_state(keeper, kept, &keeper->states[keeper->count]);
    if (keeper->err)
        return;
    row->fingerprint = fingerprint;
    row->changed_wall_us = keeper_wall_us(keeper);
    keeper->rows[keeper->count++] = row;
}

/* How far that pool was looked through; NULL without memory. */
static struct keeper_seat *seat_of(struct keeper *keeper, const struct keypool *pool, size_t at)
{
    struct keeper_seat *seats;

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
        keeper->seats[at] = (struct keeper_seat){.pool = pool, .changes = UINT64_MAX};
    return &keeper->seats[at];
}

static void look_at_pool(struct keeper *keeper, struct keypool *pool, size_t at)
{
    struct keeper_seat *seat = seat_of(keeper, pool, at);
    uint64_t changes = keypool_changes(pool); /* before what it stands for is read */

    if (!seat || seat->changes == changes)
        return;
    keeper->scanned = pool;
    keypool_keep(pool, keeper_now_us(keeper), look_at_key, keeper);
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

void keeper_end_put(struct keeper *keeper)
{
    arena_fini(&keeper->scratch);
    MEM_CLEAR(keeper->states);
    MEM_CLEAR(keeper->rows);
    keeper->count = 0;
}

void keeper_on_put(struct store_ask *ask, const struct store_answer *answer)
{
    struct keeper *keeper = container_of(ask, struct keeper, put);
    bool is_hurried = keeper->is_hurried && !answer->err;

    if (answer->err)
        doubt_put(keeper);
    keeper_end_put(keeper);
    if (is_hurried)
        keeper_save(keeper);
    else
        keeper_wait(keeper, answer->err ? KEEPER_AGAIN_US : KEEPER_TICK_US);
}

static bool make_room(struct keeper *keeper)
{
    keeper->states = mem_zalloc(KEY_STATES_MAX, sizeof(*keeper->states));
    keeper->rows = mem_zalloc(KEY_STATES_MAX, sizeof(*keeper->rows));
    if (keeper->states && keeper->rows)
        return true;
    keeper_end_put(keeper);
    return false;
}

static bool has_changes(struct keeper *keeper)
{
    struct keypool *pool;

    for (size_t at = 0; (pool = keeper->options.pool(keeper->options.owner, at)); at++) {
        const struct keeper_seat *seat = seat_of(keeper, pool, at);

        if (seat && seat->changes != keypool_changes(pool))
            return true;
    }
    return false;
}

void keeper_save(struct keeper *keeper)
{
    struct keypool *pool;

    if (!keeper->is_read || keeper->put.op)
        return;
    keeper->is_hurried = false;
    keeper_wait(keeper, KEEPER_TICK_US);
    if (!has_changes(keeper) || !make_room(keeper))
        return;
    keeper->err = 0;
    /* A key that has just come is not to be written before it was given what is known of it. */
    keeper_give_all_back(keeper);
    for (size_t at = 0; (pool = keeper->options.pool(keeper->options.owner, at)); at++)
        look_at_pool(keeper, pool, at);
    if (keeper->count &&
        key_states_put(keeper->options.store, &keeper->put, keeper->states, keeper->count) != 0)
        doubt_put(keeper);
    /* Copied: only whose they are is asked once it was answered. */
    arena_fini(&keeper->scratch);
    MEM_CLEAR(keeper->states);
    if (!keeper->put.op)
        keeper_end_put(keeper);
}
