/*
 * How long something took lately: a histogram that forgets, for quantiles. Times fall into buckets
 * of an eighth of an octave, from 1 ms to 18 min (what is shorter or longer counts in the first or
 * the last), so that a quantile is told at most an eighth too long, never too short. Two
 * generations are kept. A new one begins after a minute where the last has RECENT_TIMES_MANY times,
 * else after five: a busy service is followed within two minutes, a quiet one within ten. Embedded
 * in its owner; one thread. Pure.
 */
#ifndef LIMITS_RECENT_TIMES_H
#define LIMITS_RECENT_TIMES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RECENT_TIMES_OCTAVES = 20,
    RECENT_TIMES_BUCKETS = 8 * RECENT_TIMES_OCTAVES,
    RECENT_TIMES_MANY = 200,
};

#define RECENT_TIMES_TURN_US UINT64_C(60000000)
#define RECENT_TIMES_LONG_US UINT64_C(300000000)

struct recent_times {
    struct {
        uint32_t counts[RECENT_TIMES_BUCKETS];
        uint32_t total;
    } now, before;
    uint64_t begun_us; /* of `now`; 0: nothing was noted yet */
};

/* One that took so long, now. A zeroed one is empty. */
void recent_times_note(struct recent_times *times, uint64_t took_us, uint64_t now_us);

/* The time within which `percent` (1 to 99) of a hundred were done: true with *ret_us, or false
 * where fewer than `least` are known. */
bool recent_times_quantile(struct recent_times *times, uint32_t percent, uint32_t least,
                           uint64_t now_us, uint64_t *ret_us);

#endif
