/*
 * The words of a learned limit as they are now: for foreseen.c, which keeps the count, and
 * foreseen_hear.c, which learns. Internal to limits/. Any thread reads; whoever writes holds the
 * owner's latch.
 */
#ifndef LIMITS_FORESEEN_STATE_H
#define LIMITS_FORESEEN_STATE_H

#include "limits/foreseen.h"

/* Products of units and nanoseconds pass 64 bits. */
__extension__ typedef unsigned __int128 foreseen_wide;

enum {
    FORESEEN_UNIT_BITS = 16,
    FORESEEN_LEAN_WHOLE = 256, /* one tries at the begin of the span in which a window may end */
};

#define FORESEEN_NS        UINT64_C(1000) /* a microsecond */
#define FORESEEN_SECOND_US UINT64_C(1000000)
#define FORESEEN_MINUTE_US (60 * FORESEEN_SECOND_US)
#define FORESEEN_WINDOW_US                                                                         \
    (FORESEEN_MINUTE_US + FORESEEN_MINUTE_US / 10) /* longer is no window                          \
                                                    */

/* Each word may be a moment older than the next, which the next answer mends. */
struct foreseen_state {
    uint64_t limit, period_us, unit_q16, arrival_ns, held_us, since_us;
};

static inline uint64_t foreseen_load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void foreseen_store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline struct foreseen_state foreseen_read(const struct foreseen *foreseen)
{
    return (struct foreseen_state){
        foreseen_load(&foreseen->limit),    foreseen_load(&foreseen->period_us),
        foreseen_load(&foreseen->unit_q16), foreseen_load(&foreseen->arrival_ns),
        foreseen_load(&foreseen->held_us),  foreseen_load(&foreseen->since_us)};
}

/* The time in which a unit comes back, in 2^-16 ns, so that looking divides nothing. A period is a
 * day at most. */
static inline uint64_t foreseen_unit_of(uint64_t limit, uint64_t period_us)
{
    return (period_us * FORESEEN_NS << FORESEEN_UNIT_BITS) / limit;
}

/* The time in which so many units come back. */
static inline uint64_t foreseen_span_ns(uint64_t unit_q16, uint64_t units)
{
    uint64_t cut = units < FORESEEN_MAX_UNITS ? units : FORESEEN_MAX_UNITS;

    return (uint64_t)((foreseen_wide)cut * unit_q16 >> FORESEEN_UNIT_BITS);
}

/* True while a window runs; a clock that jumped cannot prolong it. */
static inline bool foreseen_is_held(const struct foreseen_state *state, uint64_t now_us)
{
    return state->held_us > now_us && state->held_us - now_us <= FORESEEN_WINDOW_US;
}

/* What is used up, as time. */
static inline uint64_t foreseen_used_ns(const struct foreseen_state *state, uint64_t now_us)
{
    uint64_t clock_ns = (foreseen_is_held(state, now_us) ? state->since_us : now_us) * FORESEEN_NS;
    uint64_t whole_ns = state->period_us * FORESEEN_NS;
    uint64_t used;

    if (state->held_us && !foreseen_is_held(state, now_us))
        return 0;
    used = state->arrival_ns > clock_ns ? state->arrival_ns - clock_ns : 0;
    return used < 2 * whole_ns ? used : 2 * whole_ns;
}

/* The longest that was told of this window and the one before. */
static inline uint64_t foreseen_length_us(const struct foreseen *foreseen)
{
    return foreseen->longest_us > foreseen->before_us ? foreseen->longest_us : foreseen->before_us;
}

/* The window is believed to end within that span; one tries as early in it as experience says. */
void foreseen_set_span(struct foreseen *foreseen, uint64_t begin_us, uint64_t end_us);

#endif
