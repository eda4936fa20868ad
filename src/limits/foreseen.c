#include "limits/foreseen.h"

/* Products of units and nanoseconds pass 64 bits. */
__extension__ typedef unsigned __int128 wide;

enum {
    EVIDENCE = 8,     /* resets like a bucket's before a window is taken for one */
    JITTER_PART = 32, /* of the limit: what is told in our favour by less is the order of arrival */
    SHARE_BITS = 16,
    UNIT_BITS = 16,
    FADE_PERIODS = 10,
};

#define NS_PER_US     UINT64_C(1000)
#define SECOND_US     UINT64_C(1000000)
#define MINUTE_US     (60 * SECOND_US)
#define HOUR_US       (60 * MINUTE_US)
#define DAY_US        (24 * HOUR_US)
#define WINDOW_MAX_US (MINUTE_US + MINUTE_US / 10) /* a longer reset is no window of a minute */
#define ROUNDING_US   (SECOND_US + SECOND_US / 10) /* resets are often told in whole seconds */
#define FADE_MAX_US   (2 * HOUR_US)
#define OVERTAKEN_US  (SECOND_US / 20) /* requests that leave within this may change their order */

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The words as they are now; each may be a moment older than the next, which the next answer mends.
 */
struct state {
    uint64_t limit, period_us, unit_q16, arrival_ns, held_us, since_us;
};

static struct state read_state(const struct foreseen *foreseen)
{
    return (struct state){load(&foreseen->limit),    load(&foreseen->period_us),
                          load(&foreseen->unit_q16), load(&foreseen->arrival_ns),
                          load(&foreseen->held_us),  load(&foreseen->since_us)};
}

/* The time in which a unit comes back, in 2^-16 ns, so that looking divides nothing. A period is a
 * day at most. */
static uint64_t unit_of(uint64_t limit, uint64_t period_us)
{
    return (period_us * NS_PER_US << UNIT_BITS) / limit;
}

/* The time in which so many units come back. */
static uint64_t span_ns(uint64_t unit_q16, uint64_t units)
{
    uint64_t cut = units < FORESEEN_MAX_UNITS ? units : FORESEEN_MAX_UNITS;

    return (uint64_t)((wide)cut * unit_q16 >> UNIT_BITS);
}

/* True while a window runs; a clock that jumped cannot prolong it. */
static bool is_held(const struct state *state, uint64_t now_us)
{
    return state->held_us > now_us && state->held_us - now_us <= WINDOW_MAX_US;
}

/* What is used up, as time. */
static uint64_t used_ns(const struct state *state, uint64_t now_us)
{
    uint64_t clock_ns = (is_held(state, now_us) ? state->since_us : now_us) * NS_PER_US;
    uint64_t whole_ns = state->period_us * NS_PER_US;
    uint64_t used;

    if (state->held_us && !is_held(state, now_us))
        return 0;
    used = state->arrival_ns > clock_ns ? state->arrival_ns - clock_ns : 0;
    return used < 2 * whole_ns ? used : 2 * whole_ns;
}

void foreseen_init(struct foreseen *foreseen)
{
    atomic_init(&foreseen->limit, 0);
    atomic_init(&foreseen->period_us, MINUTE_US);
    atomic_init(&foreseen->unit_q16, 0);
    atomic_init(&foreseen->part_q64, 0);
    atomic_init(&foreseen->arrival_ns, 0);
    atomic_init(&foreseen->held_us, 0);
    atomic_init(&foreseen->since_us, 0);
    atomic_init(&foreseen->heard_us, 0);
    foreseen->taken = foreseen->mark_us = foreseen->mark_taken = foreseen->old_taken = 0;
    foreseen->evidence = 0;
}

bool foreseen_is_known(const struct foreseen *foreseen, uint64_t now_us)
{
    uint64_t heard_us, fade_us;

    if (load(&foreseen->limit) == 0)
        return false;
    heard_us = load(&foreseen->heard_us);
    fade_us = FADE_PERIODS * load(&foreseen->period_us);
    return now_us < heard_us || now_us - heard_us < (fade_us < FADE_MAX_US ? fade_us : FADE_MAX_US);
}

uint64_t foreseen_wait_us(const struct foreseen *foreseen, uint64_t units, uint32_t margin_ppm,
                          uint64_t now_us)
{
    struct state state;
    uint64_t usable, need_ns, whole_ns, used;

    if (!foreseen_is_known(foreseen, now_us))
        return 0;
    state = read_state(foreseen);
    usable = state.limit;
    whole_ns = state.period_us * NS_PER_US;
    if (margin_ppm) {
        usable -= (uint64_t)((wide)state.limit * margin_ppm / 1000000);
        usable += usable == 0;
        whole_ns = span_ns(state.unit_q16, usable);
    }
    need_ns = span_ns(state.unit_q16, units < usable ? units : usable);
    used = used_ns(&state, now_us);
    if (used + need_ns <= whole_ns)
        return 0;
    if (is_held(&state, now_us))
        return state.held_us - now_us;
    return (used + need_ns - whole_ns + NS_PER_US - 1) / NS_PER_US;
}

uint64_t foreseen_remaining(const struct foreseen *foreseen, uint64_t now_us)
{
    struct state state = read_state(foreseen);
    uint64_t whole_ns = state.period_us * NS_PER_US, used = used_ns(&state, now_us);

    if (used >= whole_ns)
        return 0;
    return (uint64_t)((wide)(whole_ns - used) * state.limit / whole_ns);
}

uint64_t foreseen_reset_us(const struct foreseen *foreseen, uint64_t now_us)
{
    struct state state = read_state(foreseen);

    if (is_held(&state, now_us))
        return state.held_us - now_us;
    return used_ns(&state, now_us) / NS_PER_US;
}

uint32_t foreseen_share(const struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    struct state state;
    uint64_t whole_ns, used;

    if (!foreseen_is_known(foreseen, now_us))
        return 1 << SHARE_BITS;
    state = read_state(foreseen);
    whole_ns = state.period_us * NS_PER_US;
    used = used_ns(&state, now_us) + span_ns(state.unit_q16, units);
    if (used >= whole_ns)
        return 0;
    return (uint32_t)((wide)(whole_ns - used) * load(&foreseen->part_q64) >> (64 - SHARE_BITS));
}

/* A window that has ended is a full bucket until an answer tells of the next one. */
static struct state settle_window(struct foreseen *foreseen, uint64_t now_us)
{
    struct state state = read_state(foreseen);

    if (state.held_us && !is_held(&state, now_us)) {
        state.arrival_ns = 0;
        state.held_us = 0;
        store(&foreseen->arrival_ns, 0);
        store(&foreseen->held_us, 0);
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

struct foreseen_stamp foreseen_take(struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    struct state state = settle_window(foreseen, now_us);
    uint64_t clock_us = is_held(&state, now_us) ? state.since_us : now_us;
    uint64_t start = clock_us * NS_PER_US, before = taken_before(foreseen, now_us);

    if (units > FORESEEN_MAX_UNITS)
        units = FORESEEN_MAX_UNITS;
    foreseen->taken += units;
    if (state.limit)
        store(&foreseen->arrival_ns, (state.arrival_ns > start ? state.arrival_ns : start) +
                                         span_ns(state.unit_q16, units));
    return (struct foreseen_stamp){foreseen->taken, before + units, units};
}

static void put_back(struct foreseen *foreseen, uint64_t units, uint64_t now_us)
{
    struct state state = settle_window(foreseen, now_us);
    uint64_t span = span_ns(state.unit_q16, units);

    store(&foreseen->arrival_ns, state.arrival_ns > span ? state.arrival_ns - span : 0);
}

void foreseen_give_back(struct foreseen *foreseen, struct foreseen_stamp *stamp, uint64_t now_us)
{
    put_back(foreseen, stamp->units, now_us);
    foreseen->taken -= stamp->units < foreseen->taken ? stamp->units : foreseen->taken;
    *stamp = (struct foreseen_stamp){0, 0, 0};
}

void foreseen_settle(struct foreseen *foreseen, struct foreseen_stamp *stamp, uint64_t actual,
                     uint64_t sent_us, uint64_t now_us)
{
    if (actual && stamp->units && load(&foreseen->heard_us) < sent_us) {
        if (actual < stamp->units)
            put_back(foreseen, stamp->units - actual, now_us);
        else
            (void)foreseen_take(foreseen, actual - stamp->units, now_us);
    }
    *stamp = (struct foreseen_stamp){0, 0, 0};
}

/* ---- what an answer says ---- */

/* Whether a bucket that comes back in that period would tell such a reset. */
static bool fits(const struct foreseen_told *told, uint64_t period_us)
{
    uint64_t used = told->limit - told->remaining;
    uint64_t like_us = (uint64_t)((wide)used * period_us / told->limit);
    uint64_t slack_us = like_us / 10 > ROUNDING_US ? like_us / 10 : ROUNDING_US;
    uint64_t apart_us =
        like_us > told->reset_us ? like_us - told->reset_us : told->reset_us - like_us;

    return apart_us <= slack_us;
}

/* The period of the bucket that tells such a reset; 0: none does. */
static uint64_t find_period(const struct foreseen_told *told, uint64_t known_us)
{
    static const uint64_t periods[] = {MINUTE_US, HOUR_US, DAY_US, SECOND_US};

    if (fits(told, known_us))
        return known_us;
    for (unsigned i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
        if (fits(told, periods[i]))
            return periods[i];
    }
    return 0;
}

/* Learns from the reset of which kind the limit is. True where it is a window of a minute. */
static bool learn_kind(struct foreseen *foreseen, const struct foreseen_told *told,
                       uint64_t *ret_period_us)
{
    uint64_t period_us = find_period(told, *ret_period_us);

    if (told->reset_us == 0 || told->reset_us > DAY_US || told->remaining == told->limit)
        return false; /* says nothing, or a lie */
    if (period_us) {
        *ret_period_us = period_us;
        /* A window that is used up early tells what an empty bucket does. */
        if (foreseen->evidence && told->reset_us > 2 * SECOND_US &&
            told->remaining > told->limit / 10)
            foreseen->evidence--;
        return foreseen->evidence != 0 && told->reset_us <= WINDOW_MAX_US;
    }
    if (told->reset_us > WINDOW_MAX_US) {
        *ret_period_us = told->reset_us <= HOUR_US ? HOUR_US : DAY_US;
        return false;
    }
    *ret_period_us = MINUTE_US;
    foreseen->evidence = EVIDENCE;
    return true;
}

/* A window's end: of the same window the earlier end that was told, for an answer takes its time.
 */
static uint64_t find_end(const struct state *old, uint64_t reset_us, uint64_t sent_us,
                         uint64_t now_us)
{
    uint64_t end_us = now_us + reset_us;

    if (is_held(old, now_us) && end_us > old->held_us &&
        end_us - old->held_us <= now_us - sent_us + ROUNDING_US)
        return old->held_us;
    return end_us;
}

/* What an answer comes to: units used for sure, and at most. */
struct used {
    uint64_t sure, most;
};

static struct used count_used(const struct foreseen *foreseen, const struct foreseen_told *told,
                              const struct foreseen_stamp *stamp)
{
    uint64_t sure = told->limit - told->remaining, most = sure;

    if (stamp->taken == 0) /* not taken here: nobody knows what came after it */
        return (struct used){sure, sure};
    sure += foreseen->taken > stamp->taken ? foreseen->taken - stamp->taken : 0;
    most += foreseen->taken > stamp->before ? foreseen->taken - stamp->before : 0;
    return (struct used){sure < 2 * told->limit ? sure : 2 * told->limit,
                         most < 2 * told->limit ? most : 2 * told->limit};
}

/* Where our own count lies between the two it is right. */
static uint64_t judge(uint64_t own, uint64_t sure, uint64_t most)
{
    if (own < sure)
        return sure;
    return own < most ? own : most;
}

static void set_window(struct foreseen *foreseen, const struct foreseen_told *told,
                       struct used used, uint64_t sent_us, uint64_t now_us)
{
    struct state old = read_state(foreseen);
    uint64_t unit_q16 = unit_of(told->limit, MINUTE_US);
    uint64_t own = old.limit ? used_ns(&old, now_us) : 0;

    if (sent_us + told->reset_us < now_us && old.limit == told->limit)
        return; /* it took so long that the window it speaks of may be over */
    own = judge(own, span_ns(unit_q16, used.sure), span_ns(unit_q16, used.most));
    store(&foreseen->held_us, find_end(&old, told->reset_us, sent_us, now_us));
    store(&foreseen->since_us, now_us);
    store(&foreseen->arrival_ns, now_us * NS_PER_US + own);
}

static void set_bucket(struct foreseen *foreseen, const struct foreseen_told *told,
                       struct used used, uint64_t period_us, uint64_t sent_us, uint64_t now_us)
{
    struct state old = read_state(foreseen);
    uint64_t unit_q16 = unit_of(told->limit, period_us), sent_ns = sent_us * NS_PER_US;
    uint64_t own = old.limit ? now_us * NS_PER_US + used_ns(&old, now_us) : 0;
    uint64_t arrival =
        judge(own, sent_ns + span_ns(unit_q16, used.sure), sent_ns + span_ns(unit_q16, used.most));
    bool is_same = old.limit == told->limit && old.period_us == period_us && !old.held_us;

    /* Who left first need not arrive first: so small a difference is no news. */
    if (is_same && arrival < old.arrival_ns &&
        old.arrival_ns - arrival < period_us * NS_PER_US / JITTER_PART)
        return;
    store(&foreseen->held_us, 0);
    store(&foreseen->arrival_ns, arrival);
}

void foreseen_hear(struct foreseen *foreseen, const struct foreseen_told *told,
                   const struct foreseen_stamp *stamp, uint64_t sent_us, uint64_t now_us)
{
    struct foreseen_told cut = *told;
    uint64_t period_us = load(&foreseen->period_us);
    uint64_t heard_us = load(&foreseen->heard_us);
    struct used used;

    if (sent_us > now_us)
        sent_us = now_us;
    /* A word from the future is from before a clock jumped. */
    if (told->limit == 0 || (sent_us < heard_us && heard_us <= now_us))
        return;
    if (cut.limit > FORESEEN_MAX_UNITS)
        cut.limit = FORESEEN_MAX_UNITS;
    if (cut.remaining > cut.limit)
        cut.remaining = cut.limit;
    used = count_used(foreseen, &cut, stamp);
    if (learn_kind(foreseen, &cut, &period_us))
        set_window(foreseen, &cut, used, sent_us, now_us);
    else
        set_bucket(foreseen, &cut, used, period_us, sent_us, now_us);
    store(&foreseen->period_us, period_us);
    store(&foreseen->unit_q16, unit_of(cut.limit, period_us));
    store(&foreseen->part_q64, UINT64_MAX / (period_us * NS_PER_US));
    store(&foreseen->limit, cut.limit);
    store(&foreseen->heard_us, sent_us);
}
