/*
 * What the parts of a keeper share: keeper.c reads, gives back and forgets, keeper_put.c writes.
 * Included by these alone; the control thread's.
 */
#ifndef SERVER_KEEPER_INNER_H
#define SERVER_KEEPER_INNER_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "server/keeper.h"
#include "store/key_states.h"

#define KEEPER_TICK_US  US_PER_SEC
#define KEEPER_AGAIN_US (5 * US_PER_SEC) /* after trouble */

/* One key of which the store has a row, or is about to. */
struct keeper_row {
    uint8_t identity[STORE_IDENTITY_BYTES];
    uint64_t fingerprint;            /* of what it was written with; 0: nobody knows */
    const struct key_state *pending; /* as it was read, until a key of a pool is given it; NULL */
    uint64_t changed_wall_us;
};

/* How far a pool was looked through. */
struct keeper_seat {
    const struct keypool *pool; /* to be compared only */
    uint64_t changes;
};

struct keeper {
    struct keeper_options options;
    struct arena_pool pool;
    struct arena read; /* what is pending */
    struct map by_identity;
    size_t pending;
    struct keeper_seat *seats;
    size_t seat_count;
    struct loop_timer tick;
    struct store_ask load, put;
    bool is_read, is_hurried;
    bool is_giving; /* give_all_back is on the stack */

    /* Of the put under way. */
    struct arena scratch;
    struct key_state *states;
    struct keeper_row **rows;
    size_t count;
    struct keypool *scanned;
    int err; /* of the scan */
};

static inline uint64_t keeper_now_us(const struct keeper *keeper)
{
    return loop_now_us(keeper->options.loop);
}

static inline uint64_t keeper_wall_us(const struct keeper *keeper)
{
    return loop_wall_us(keeper->options.loop);
}

/* Until the next look. Reserved: it cannot fail. */
static inline void keeper_wait(struct keeper *keeper, uint64_t us)
{
    (void)loop_timer_set(&keeper->tick, keeper_now_us(keeper) + us);
}

static inline struct span keeper_identity(const uint8_t *identity)
{
    return span_of((const char *)identity, STORE_IDENTITY_BYTES);
}

/* A row for a key that has none; NULL without memory. */
struct keeper_row *keeper_add_row(struct keeper *keeper, const uint8_t *identity);

/* Keys of the pools that are given what was read of them. */
void keeper_give_all_back(struct keeper *keeper);

/* What came of a put. */
void keeper_on_put(struct store_ask *ask, const struct store_answer *answer);

/* One put at a time, of all that has changed since the last. */
void keeper_save(struct keeper *keeper);

/* Nothing is known any more of what was put last. */
void keeper_end_put(struct keeper *keeper);

#endif
