/*
 * A latch: keeps threads apart for the few instructions in which several shared words change
 * together. Taking one is a single read-modify-write and giving it back a plain store, so that an
 * exchange pays once for however many words it writes. Whoever finds it taken reads it until it is
 * free, and yields its core where the other one seems to have lost its own. Embedded in what it
 * guards; any thread; nothing is called under it that waits, allocates or takes another.
 */
#ifndef BASE_LATCH_H
#define BASE_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>

/* Zeroed: free. */
struct latch {
    atomic_bool is_taken;
};

void latch_init(struct latch *latch);

/* For latch_take, which found it taken. */
void latch_wait(struct latch *latch);

static inline void latch_take(struct latch *latch)
{
    if (atomic_exchange_explicit(&latch->is_taken, true, memory_order_acquire))
        latch_wait(latch);
}

static inline void latch_give(struct latch *latch)
{
    atomic_store_explicit(&latch->is_taken, false, memory_order_release);
}

#endif
