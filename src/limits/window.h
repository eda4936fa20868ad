/*
 * A strict sliding window: never more than `limit` units in any 60 seconds, whenever those begin.
 * Units stand in buckets of a second; what is counted reaches back 61 whole seconds and the running
 * one, so that up to a second of travel to the upstream cannot push two windows into one. Embedded
 * in whoever is limited, which keeps those apart who write (a latch); any thread may read.
 */
#ifndef LIMITS_WINDOW_H
#define LIMITS_WINDOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { WINDOW_BUCKETS = 64, WINDOW_SPAN = 62 };

#define WINDOW_MAX_UNITS (UINT64_C(1) << 38)

struct window {
    _Atomic uint64_t buckets[WINDOW_BUCKETS]; /* second (24 bits), units (40 bits) */
};

/* Where a take was booked: needed to move or settle it. */
struct window_stamp {
    uint32_t second;
    uint64_t units;
};

void window_init(struct window *window);

/* 0 where `units` would pass now, else the time until they would if nobody else takes any. Units
 * above the limit are cut to it, so that they pass alone in an empty window. */
uint64_t window_wait_us(const struct window *window, uint64_t limit, uint64_t units,
                        uint64_t now_us);

/* Takes units that pass, as window_wait_us has told. */
struct window_stamp window_take(struct window *window, uint64_t limit, uint64_t units,
                                uint64_t now_us);

/* True where window_move would do anything. */
bool window_is_stale(const struct window_stamp *stamp, uint64_t now_us);

/* The request leaves only now: books it in this second instead. */
void window_move(struct window *window, struct window_stamp *stamp, uint64_t now_us);

/* For how long it has been booked, in whole seconds. */
uint64_t window_age_us(const struct window_stamp *stamp, uint64_t now_us);

/* The true number of units is known: less is given back where it was booked, more is booked now. */
void window_settle(struct window *window, struct window_stamp *stamp, uint64_t units,
                   uint64_t now_us);

/* How many units would pass then, if nobody takes any until then. at_us: not in the past. */
uint64_t window_left_at(const struct window *window, uint64_t limit, uint64_t at_us);
/* What was booked in `from` counts in this window too: on top of what it has (is_sum), else as much
 * of each second as the larger of both has. */
void window_merge(struct window *window, const struct window *from, bool is_sum, uint64_t now_us);

/* Units that count now. */
uint64_t window_used(const struct window *window, uint64_t now_us);

#endif
