/*
 * For how long something is held, of late: a mean that follows, in one word. Embedded in whoever
 * lends it out, which keeps those apart who write (a latch), or can bear a lost update; any thread
 * may read. Pure.
 */
#ifndef LIMITS_HOLD_TIME_H
#define LIMITS_HOLD_TIME_H

#include <stdatomic.h>
#include <stdint.h>

struct hold_time {
    _Atomic uint64_t mean_us; /* 0: not known */
};

void hold_time_init(struct hold_time *time);

/* One was held for so long, and is given back. A load and a store. */
void hold_time_note(struct hold_time *time, uint64_t held_us);

/* 0: not known. */
static inline uint64_t hold_time_us(const struct hold_time *time)
{
    return atomic_load_explicit(&time->mean_us, memory_order_relaxed);
}

#endif
