#include "limits/foreseen_state.h"

enum { SHARE_BITS = 16 };

#define OVERTAKEN_US                                                                               \
    (FORESEEN_SECOND_US / 20) /* so shortly after each other requests may change order */

void foreseen_init(struct foreseen *foreseen)
{
    atomic_init(&foreseen->fades_us, 0); /* first: from here on nothing is known */
    atomic_init(&foreseen->limit, 0);
    atomic_init(&foreseen->period_us, FORESEEN_MINUTE_US);
    atomic_init(&foreseen->unit_q16, 0);
    atomic_init(&foreseen->part_q64, 0);
    atomic_init(&foreseen->arrival_ns, 0);
    atomic_init(&foreseen->held_us, 0);
    atomic_init(&foreseen->since_us, 0);
    atomic_init(&foreseen->heard_us, 0);
    atomic_init(&foreseen->try_us, 0);
    foreseen->taken = foreseen->told_taken = 0;
    foreseen->mark_us = foreseen->mark_taken = foreseen->old_taken = 0;
    foreseen->begin_us = foreseen->longest_us = foreseen->before_us = foreseen->remained = 0;
    foreseen->known_us = foreseen->way_us = 0;
    foreseen->lean = FORESEEN_LEAN_WHOLE;
    foreseen->evidence = foreseen->slides = foreseen->doubts = 0;
    foreseen->is_precise = foreseen->is_believed = false;
}

bool foreseen_is_known(const struct foreseen *foreseen, uint64_t now_us)
{
    return now_us < foreseen_load(&foreseen->fades_us);
}

/* Until a window that is used up opens; 0 for the one that may try whether it has. What is kept
 * free as a margin is no reason to try. */
static uint64_t wait_for_window(const struct foreseen *foreseen, const struct foreseen_state *state,
                                bool is_used_up, uint64_t now_us)
{
    uint64_t try_us = is_used_up ? foreseen_load(&foreseen->try_us) : state->held_us;

    if (try_us > state->held_us)
        try_us = state->held_us;
    return try_us > now_us ? try_us - now_us : 0;
}

/* In 64 bits, wherever that is exact: a pick asks it several times. */
static uint64_t part_of(uint64_t limit, uint32_t ppm)
{
    uint64_t product;

    if (!__builtin_mul_overflow(limit, ppm, &product))
        return product / 1000000;
    return (uint64_t)((foreseen_wide)limit * ppm / 1000000);
}

uint64_t foreseen_wait_us(const struct foreseen *foreseen, uint64_t units, uint32_t margin_ppm,
                          uint64_t now_us)
{
    struct foreseen_state state;
    uint64_t usable, need_ns, whole_ns, usable_ns, used;

    if (!foreseen_is_known(foreseen, now_us))
        return 0;
    state = foreseen_read(foreseen);
    usable = state.limit;
    usable_ns = whole_ns = state.period_us * FORESEEN_NS;
    if (margin_ppm) {
        usable -= part_of(state.limit, margin_ppm);
        usable += usable == 0;
        usable_ns = foreseen_span_ns(state.unit_q16, usable);
    }
    need_ns = foreseen_span_ns(state.unit_q16, units < usable ? units : usable);
    used = foreseen_used_ns(&state, now_us);
    if (used + need_ns <= usable_ns)
        return 0;
    if (foreseen_is_held(&state, now_us))
        return wait_for_window(foreseen, &state, used + need_ns > whole_ns, now_us);
    return (used + need_ns - usable_ns + FORESEEN_NS - 1) / FORESEEN_NS;
}

uint64_t foreseen_remaining(const struct foreseen *foreseen, uint64_t now_us)
{
    struct foreseen_state state = foreseen_read(foreseen);
    uint64_t whole_ns = state.period_us * FORESEEN_NS, used = foreseen_used_ns(&state, now_us);

    if (used >= whole_ns)
        return 0;
    return (uint64_t)((foreseen_wide)(whole_ns - used) * state.limit / whole_ns);
}

uint64_t foreseen_reset_us(const struct foreseen *foreseen, uint64_t now_us)
{
    struct foreseen_state state = foreseen_read(foreseen);

    if (foreseen_is_held(&state, now_us))
        return state.held_us - now_us;
    return foreseen_used_ns(&state, now_us) / FORESEEN_NS;
}

uint32_t foreseen_share(const struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    struct foreseen_state state;
    uint64_t whole_ns, used;

    if (!foreseen_is_known(foreseen, now_us))
        return 1 << SHARE_BITS;
    state = foreseen_read(foreseen);
    whole_ns = state.period_us * FORESEEN_NS;
    used = foreseen_used_ns(&state, now_us) + foreseen_span_ns(state.unit_q16, units);
    if (used >= whole_ns)
        return 0;
    return (uint32_t)((foreseen_wide)(whole_ns - used) * foreseen_load(&foreseen->part_q64) >>
                      (64 - SHARE_BITS));
}

void foreseen_set_span(struct foreseen *foreseen, uint64_t begin_us, uint64_t end_us)
{
    uint64_t width_us = end_us > begin_us ? end_us - begin_us : 0;

    foreseen->begin_us = begin_us < end_us ? begin_us : end_us;
    foreseen_store(&foreseen->held_us, end_us);
    foreseen_store(&foreseen->try_us, end_us - width_us * foreseen->lean / FORESEEN_LEAN_WHOLE);
}

/* The next window begins with the request that is taken now, and lasts as long as those before. */
static void begin_window(struct foreseen *foreseen, uint64_t now_us)
{
    uint64_t long_us = foreseen_length_us(foreseen);
    uint64_t round_us = foreseen->is_precise ? 0 : FORESEEN_SECOND_US;

    foreseen_store(&foreseen->arrival_ns, 0);
    foreseen_store(&foreseen->since_us, now_us);
    foreseen->told_taken = foreseen->taken;
    foreseen->is_believed = true;
    foreseen->remained = foreseen_load(&foreseen->limit);
    foreseen_set_span(foreseen, now_us + (long_us > round_us ? long_us - round_us : 0),
                      now_us + long_us + foreseen->way_us);
}

/* After a window has ended the whole limit is there. */
static struct foreseen_state settle_window(struct foreseen *foreseen, uint64_t now_us)
{
    struct foreseen_state state = foreseen_read(foreseen);

    if (state.held_us && !foreseen_is_held(&state, now_us)) {
        begin_window(foreseen, now_us);
        state = foreseen_read(foreseen);
    }
    return state;
}

/* What had been taken OVERTAKEN_US ago, or somewhat earlier. */
static uint64_t taken_before(struct foreseen *foreseen, uint64_t now_us)
{
    uint64_t apart_us = now_us > foreseen->mark_us ? now_us - foreseen->mark_us : 0;

    if (apart_us >= OVERTAKEN_US) {
        foreseen->old_taken = apart_us < 2 * OVERTAKEN_US ? foreseen->mark_taken : foreseen->taken;
        foreseen->mark_taken = foreseen->taken;
        foreseen->mark_us = now_us;
    } else if (now_us < foreseen->mark_us) {
        foreseen->mark_us = now_us;
    }
    return foreseen->old_taken;
}

/* So much is used from now on. True where it was there. */
static bool use(struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    struct foreseen_state state = settle_window(foreseen, now_us);
    uint64_t clock_us = foreseen_is_held(&state, now_us) ? state.since_us : now_us;
    uint64_t start = clock_us * FORESEEN_NS;

    foreseen->taken += units;
    if (!state.limit)
        return true;
    start = (state.arrival_ns > start ? state.arrival_ns : start) +
            foreseen_span_ns(state.unit_q16, units);
    foreseen_store(&foreseen->arrival_ns, start);
    return start <= (clock_us + state.period_us) * FORESEEN_NS;
}

struct foreseen_stamp foreseen_take(struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    uint64_t before = taken_before(foreseen, now_us), held_us;
    uint64_t cut = units < FORESEEN_MAX_UNITS ? units : FORESEEN_MAX_UNITS;
    bool is_there = use(foreseen, cut, now_us);
    struct foreseen_stamp stamp = {foreseen->taken, before + cut, cut, false};

    if (is_there)
        return stamp;
    held_us = foreseen_load(&foreseen->held_us);
    if (held_us > now_us && foreseen_load(&foreseen->try_us) <= now_us) {
        stamp.is_try = true; /* those behind it wait for its answer, or for the end */
        foreseen_store(&foreseen->try_us, held_us);
    }
    return stamp;
}

static void put_back(struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    struct foreseen_state state = settle_window(foreseen, now_us);
    uint64_t span = foreseen_span_ns(state.unit_q16, units);

    foreseen_store(&foreseen->arrival_ns, state.arrival_ns > span ? state.arrival_ns - span : 0);
}

/* They are no longer among what came after another request, where nobody has come since: of who
 * has, the place in the order must stay. */
static void untake(struct foreseen *foreseen, const struct foreseen_stamp *stamp)
{
    if (stamp->taken != foreseen->taken || stamp->units > foreseen->taken)
        return;
    foreseen->taken -= stamp->units;
    if (foreseen->mark_taken > foreseen->taken)
        foreseen->mark_taken = foreseen->taken;
    if (foreseen->old_taken > foreseen->taken)
        foreseen->old_taken = foreseen->taken;
    if (foreseen->told_taken > foreseen->taken)
        foreseen->told_taken = foreseen->taken;
}

void foreseen_give_back(struct foreseen *foreseen, struct foreseen_stamp *stamp, uint64_t now_us)
{
    uint64_t held_us = foreseen_load(&foreseen->held_us);
    bool is_over = held_us && held_us <= now_us;

    if (stamp->units && stamp->taken > foreseen->told_taken && !is_over)
        put_back(foreseen, stamp->units, now_us);
    if (stamp->is_try && !is_over)
        foreseen_store(&foreseen->try_us, now_us);
    untake(foreseen, stamp);
    *stamp = (struct foreseen_stamp){.units = 0};
}

void foreseen_settle(struct foreseen *foreseen, struct foreseen_stamp *stamp, uint64_t actual,
                     uint64_t sent_us, uint64_t now_us)
{
    if (actual && stamp->units && foreseen_load(&foreseen->heard_us) < sent_us) {
        if (actual < stamp->units)
            put_back(foreseen, stamp->units - actual, now_us);
        else
            (void)use(foreseen, actual - stamp->units, now_us);
    }
    *stamp = (struct foreseen_stamp){.units = 0};
}
