/*
 * A limit of requests a minute that is found by trying, where a provider tells of none: additive
 * patience, multiplicative decrease. A 429 takes it down at once by `backoff`, once for all
 * requests that were sent before; each second in which it was really used, and nothing was refused,
 * takes it up by the factor `growth`. What was refused is remembered: up to nearly there it grows
 * so, beyond with a fiftieth of the pace, and freely again once it is well past. At most one
 * second's worth passes at once. Embedded in its owner, which keeps those apart who write (a
 * latch); any thread may read. Pure.
 */
#ifndef LIMITS_ADAPTIVE_H
#define LIMITS_ADAPTIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "limits/gcra.h"

/* All zeros: off. */
struct adaptive_settings {
    uint32_t initial_rpm, min_rpm, max_rpm; /* min <= initial <= max */
    uint32_t backoff_milli;                 /* in thousandths, below one */
    uint32_t growth_milli;                  /* the same, above one */
};

enum { ADAPTIVE_SLOTS = 12 /* of a minute */, ADAPTIVE_WHOLE = 1 << 16 };

struct adaptive {
    _Atomic uint32_t rpm; /* as it is now; 0: off */
    struct gcra gcra;
    /* Under the owner's latch. */
    struct adaptive_settings settings;
    double rate;     /* requests a minute; rpm is the same, rounded */
    double ceiling;  /* what seems to be allowed; 0: none is known */
    uint64_t cut_us; /* the last cut */
    uint64_t step_us;
    uint32_t used; /* taken since */
    /* Read without the latch too: a look that falls into a change is wrong by one request. */
    _Atomic uint32_t passed[ADAPTIVE_SLOTS]; /* taken and not refused */
    _Atomic uint64_t slot;                   /* the last one that was written to */
};

/* Off. */
void adaptive_init(struct adaptive *adaptive);

/* From now on by these settings; what was found stays, within their bounds. Under the latch. */
void adaptive_set(struct adaptive *adaptive, const struct adaptive_settings *settings,
                  uint64_t now_us);

static inline bool adaptive_is_on(const struct adaptive *adaptive)
{
    return atomic_load_explicit(&adaptive->rpm, memory_order_relaxed) != 0;
}

/* 0 where a request would pass now, else how long until it would. Reads only. */
uint64_t adaptive_wait_us(const struct adaptive *adaptive, uint64_t now_us);

/* The share of the limit that was not used in the last minute, in 2^-16; all where it is off. Reads
 * only. */
uint32_t adaptive_share(const struct adaptive *adaptive, uint64_t now_us);

/* One passes, which adaptive_wait_us allowed under the same latch. */
void adaptive_take(struct adaptive *adaptive, uint64_t now_us);

/* It never was. Under the latch. */
void adaptive_give_back(struct adaptive *adaptive, uint64_t now_us);

/* One that left at sent_us was refused for its rate. True where that cut the limit. Under the
 * latch. */
bool adaptive_refuse(struct adaptive *adaptive, uint64_t sent_us, uint64_t now_us);

struct adaptive_reading {
    uint64_t rpm;       /* 0: off */
    uint64_t remaining; /* that would pass now */
    uint64_t reset_us;  /* until all of one second's worth would */
};

struct adaptive_reading adaptive_read(const struct adaptive *adaptive, uint64_t now_us);

#endif
