/*
 * How often something happened within a sliding window, in eight buckets: what counts reaches back
 * between seven eighths and the whole of the window. A tally with one writer is counted without any
 * shared write and may be read by everybody (a worker's successes); one with many is counted by
 * compare-and-swap (failures, which are rare).
 */
#ifndef LIMITS_TALLY_H
#define LIMITS_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum { TALLY_BUCKETS = 8 };

struct tally {
    _Atomic uint64_t buckets[TALLY_BUCKETS]; /* turn (32 bits), count (32 bits) */
};

void tally_init(struct tally *tally);

/* One more, by the only writer. */
void tally_add(struct tally *tally, uint64_t window_us, uint64_t now_us);

/* One more, by any of several writers. */
void tally_add_shared(struct tally *tally, uint64_t window_us, uint64_t now_us);

/* How many within the window. */
uint64_t tally_sum(const struct tally *tally, uint64_t window_us, uint64_t now_us);

/* Forgets all, by any writer. */
void tally_clear(struct tally *tally);

#endif
