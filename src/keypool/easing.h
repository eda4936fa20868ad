/*
 * How a key that a provider had refused for its rate comes back once the provider's own time is
 * over: one request tests it, and while that one is not refused a further one may after half the
 * time of the one before, until none has to wait. A 429 comes quickly, a good answer may take
 * seconds: whoever waited for the first good byte alone would keep everybody out for as long, and
 * whoever let all in at once would send them into the same refusal. Plain values; any thread.
 */
#ifndef KEYPOOL_EASING_H
#define KEYPOOL_EASING_H

#include <stdint.h>

#include "base/clock.h"

/* Kept in four bits of a word of state. */
enum {
    EASING_NONE, /* no easing: each test has the same lease, until one is answered */
    EASING_OVER, /* tested for long enough without a refusal: it is free */
    EASING_LAST, /* one more test, of 1 ms; each step before lasts twice as long */
    EASING_FIRST_MAX = EASING_LAST + 8, /* 256 ms for the first, half a second in all */
};

/* Where it begins after a rest: with about a sixteenth of it, as a short rest is followed by a
 * short trial. */
static inline uint8_t easing_begin(uint64_t rest_us)
{
    uint8_t step = EASING_LAST;

    while (step < EASING_FIRST_MAX &&
           (UINT64_C(16) * US_PER_MS << (step - EASING_LAST + 1)) <= rest_us)
        step++;
    return step;
}

/* How long the test of that step may stay unanswered before the next step. Only for EASING_LAST and
 * above. */
static inline uint64_t easing_lease_us(uint8_t step)
{
    return US_PER_MS << (step - EASING_LAST);
}

#endif
