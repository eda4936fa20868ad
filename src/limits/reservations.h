/*
 * What requests under way have reserved of a limit, most of them more than they will use: how much
 * of it is to be expected back and in how long, and what was last refused for want of it. Whether a
 * refusal is final depends on the first, who is woken by what comes back on the last. Embedded in
 * whoever is limited, which keeps those apart who write (a latch); any thread may read. Pure.
 */
#ifndef LIMITS_RESERVATIONS_H
#define LIMITS_RESERVATIONS_H

#include <stdatomic.h>
#include <stdint.h>

#include "limits/hold_time.h"

/* No more are woken at once: each that finds nothing costs the others their order. */
enum { RESERVATIONS_WAKES = 16 };

struct reservations {
    _Atomic uint64_t units;    /* of who is under way */
    _Atomic uint32_t back_q16; /* the share of such that comes back; all, until it is known */
    struct hold_time held;
    _Atomic uint64_t wanted;          /* units that were refused last, */
    _Atomic uint64_t wanted_until_us; /* for which one may wait until then */
    uint64_t reserved, returned;      /* of late, in sum; of the writers alone */
};

void reservations_init(struct reservations *reservations);

/* So many are reserved; reservations_end or reservations_cancel follows. */
void reservations_take(struct reservations *reservations, uint64_t units);

/* For who has failed: how long that took says nothing. */
#define RESERVATIONS_UNTIMED UINT64_MAX

/* After so long it is over, and `back` of them come back. */
void reservations_end(struct reservations *reservations, uint64_t units, uint64_t back,
                      uint64_t held_us);

/* They come back because nothing came of it: that teaches nothing. */
void reservations_cancel(struct reservations *reservations, uint64_t units);

/* So many were refused; there will be room for them at that time at the latest. */
void reservations_note_refused(struct reservations *reservations, uint64_t units,
                               uint64_t until_us);

/* Units that may be expected back of what is reserved now. */
uint64_t reservations_expected(const struct reservations *reservations);

/* How many of those who were refused may be served of `back` units that came back; 0: nobody waits
 * for any. */
uint32_t reservations_wakes(const struct reservations *reservations, uint64_t back,
                            uint64_t now_us);

#endif
