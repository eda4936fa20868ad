/*
 * Which of a provider's regions has its traffic: plain code over what is known of each, looked at
 * by the control thread every REGIONS_LOOK_EVERY_US. The order of the array is the prior: the
 * region of our own zone, the default one, then as in the file. The prior decides until something
 * is known of both; then
 *
 *   - like is compared with like: real traffic where both have enough of it, else probes;
 *   - another one takes over where it is better by REGIONS_MARGIN_PERCENT (more where little is
 *     known of one) for REGIONS_HOLD_US, and the nearer one has the traffic back once it is within
 *     REGIONS_BACK_PERCENT: in between nothing moves, so that two that are alike do not take turns;
 *   - each of the others keeps REGIONS_EXPLORE_PPM of the traffic, so that they stay known;
 *   - one that fails, or is far slower than the rest, is ejected for REGIONS_EJECTION_US, the next
 *     time for twice as long, up to REGIONS_EJECTIONS_MAX times; never more than half of them, and
 *     never the only one (after Envoy's outlier detection);
 *   - one that comes back begins with a tenth of what it may have, and has all of it after
 *     REGIONS_RAMP_US.
 *
 * What is ejected is still asked where no other can: an ejection never excludes the last way.
 *
 *   state      | may become                       | what it is
 *   -----------+----------------------------------+------------------------------------------------
 *   standby    | serving, ejected                 | has its small share
 *   serving    | standby, ejected                 | is home: has the traffic
 *   ejected    | returning: after its time, and   | has no share
 *              | not before a probe goes well     |
 *   returning  | serving, standby: after its ramp;| has a part of what it could have
 *              | ejected                          |
 */
#ifndef REGIONS_REGIONS_H
#define REGIONS_REGIONS_H

#include <stddef.h>

#include "regions/region.h"

enum { REGIONS_MAX = 64, REGIONS_PPM = 1000000 };

#define REGIONS_LOOK_EVERY_US UINT64_C(250000)
#define REGIONS_HOLD_US       UINT64_C(5000000)
#define REGIONS_EJECTION_US   UINT64_C(30000000)
#define REGIONS_RAMP_US       UINT64_C(60000000)

enum {
    REGIONS_MARGIN_PERCENT = 20,
    REGIONS_DOUBT_PERCENT = 100, /* and so much through the root of how much is known */
    REGIONS_MARGIN_US = 5000,    /* and at least so much: nobody notices less */
    REGIONS_BACK_PERCENT = 5,    /* worse than the other, and still the nearer one */
    REGIONS_EXPLORE_PPM = 20000,
    REGIONS_EXPLORE_MAX_PPM = 100000, /* of all the others together */
    REGIONS_ENOUGH_TRAFFIC = 8,       /* samples, before they tell something */
    REGIONS_ENOUGH_PROBES = 3,
    REGIONS_PROBES_REACH = 16, /* intervals in which a probe counts */
    REGIONS_FAILURES = 5,      /* in a row */
    REGIONS_PROBE_FAILURES = 3,
    REGIONS_ENOUGH_ERRORS = 20,    /* requests, before their share tells something */
    REGIONS_ERRORS_PERCENT = 20,   /* of them failed: and so much more than of the others */
    REGIONS_SLOW_TIMES = 3,        /* as slow as the others, */
    REGIONS_SLOW_US = 100000,      /* and by so much, */
    REGIONS_EJECTIONS_MAX = 10,    /* times REGIONS_EJECTION_US */
    REGIONS_FORGIVE_EJECTIONS = 2, /* so many of those times in use forgive one */
};

/* Gathers what was counted, moves their states, and tells the workers their shares. At most
 * REGIONS_MAX. */
void regions_look(struct region *const *regions, size_t count, uint64_t probe_interval_us,
                  uint64_t now_us);

/* The one that an attempt goes to: drawn by the shares with a random number, or, where that one is
 * among `without` (bit by index), the first in order of those that are not; `count` where there is
 * none. Any thread. */
size_t regions_pick(struct region *const *regions, size_t count, uint64_t without, uint64_t random);

/* The first in order that is not among `without`: home, where that is not; `count` where there is
 * none. Any thread. */
size_t regions_first(struct region *const *regions, size_t count, uint64_t without);

#endif
