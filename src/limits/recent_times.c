#include "limits/recent_times.h"

#include <string.h>

enum { FIRST_OCTAVE = 10, EIGHTHS = 3 }; /* 2^10 us is about 1 ms */

static uint32_t bucket_of(uint64_t us)
{
    uint32_t octave, eighth;

    if (us < (UINT64_C(1) << FIRST_OCTAVE))
        return 0;
    octave = 63 - (uint32_t)__builtin_clzll(us);
    if (octave >= FIRST_OCTAVE + RECENT_TIMES_OCTAVES)
        return RECENT_TIMES_BUCKETS - 1;
    eighth = (uint32_t)(us >> (octave - EIGHTHS)) & 7;
    return (octave - FIRST_OCTAVE) * 8 + eighth;
}

/* The first time that is beyond the bucket. */
static uint64_t end_of(uint32_t bucket)
{
    uint32_t octave = FIRST_OCTAVE + bucket / 8;

    return (UINT64_C(9) + bucket % 8) << (octave - EIGHTHS);
}

/* A generation that nobody added to for as long as two of them take is of no use either. */
static void turn(struct recent_times *times, uint64_t now_us)
{
    uint64_t age_us = now_us > times->begun_us ? now_us - times->begun_us : 0;

    if (age_us < RECENT_TIMES_TURN_US ||
        (age_us < RECENT_TIMES_LONG_US && times->now.total < RECENT_TIMES_MANY))
        return;
    times->before = times->now;
    if (age_us >= 2 * RECENT_TIMES_LONG_US)
        memset(&times->before, 0, sizeof(times->before));
    memset(&times->now, 0, sizeof(times->now));
    times->begun_us = now_us;
}

void recent_times_note(struct recent_times *times, uint64_t took_us, uint64_t now_us)
{
    if (!times->begun_us)
        times->begun_us = now_us;
    turn(times, now_us);
    times->now.counts[bucket_of(took_us)]++;
    times->now.total++;
}

bool recent_times_quantile(struct recent_times *times, uint32_t percent, uint32_t least,
                           uint64_t now_us, uint64_t *ret_us)
{
    uint64_t total, seen = 0;
    uint32_t bucket = 0;

    turn(times, now_us);
    total = (uint64_t)times->now.total + times->before.total;
    if (total == 0 || total < least)
        return false;
    for (; bucket < RECENT_TIMES_BUCKETS - 1; bucket++) {
        seen += (uint64_t)times->now.counts[bucket] + times->before.counts[bucket];
        if (seen * 100 >= total * percent)
            break;
    }
    *ret_us = end_of(bucket);
    return true;
}
