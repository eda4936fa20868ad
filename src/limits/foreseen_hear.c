/* What answers teach of a limit: its kind, its period, and the ends of its windows. */
#include "limits/foreseen_state.h"

enum {
    FADE_PERIODS = 10,
    EVIDENCE = 8,     /* resets like a bucket's before a window is taken for one */
    SLIDES = 2,       /* ends that moved before a window is taken to slide */
    SLIDES_MAX = 8,   /* so that as many refusals undo it */
    JITTER_PART = 32, /* of the limit: what is told in our favour by less is the order of arrival */
    LEAN_DOWN = 24,   /* of FORESEEN_LEAN_WHOLE, after a try that was too early */
    LEAN_UP_SHORT = 12,
    LEAN_UP_LONG = 2,
    DOUBTS = 6,           /* refusals after a reset of 0 until it says nothing */
    ROUNDED_FROM = 10000, /* larger numbers of units are told in thousands by some */
    ROUNDED_TO = 1000,
};

#define HOUR_US     (60 * FORESEEN_MINUTE_US)
#define DAY_US      (24 * HOUR_US)
#define FADE_MAX_US (2 * HOUR_US)
#define BLIND_US    (2 * FORESEEN_SECOND_US)
#define SHORT_US    (16 * FORESEEN_SECOND_US) /* in such a window a lost second counts */
#define WAY_MAX_US  (FORESEEN_SECOND_US / 4)
#define FINE_US     (FORESEEN_SECOND_US / 50) /* how exact resets are that are told in milliseconds */
#define WHOLE_US    (FORESEEN_SECOND_US + FORESEEN_SECOND_US / 10) /* the same for seconds */

/* An answer, and when its request left and it came. */
struct answer {
    struct foreseen_told told;
    const struct foreseen_stamp *stamp;
    uint64_t sent_us, now_us;
    bool is_coarse;
};

/* ---- a window's end ---- */

/* The span in which the window ends that the answer speaks of. */
struct ends {
    uint64_t begin_us, end_us;
    uint64_t long_us; /* the longest it may take from the moment that the answer speaks of */
};

static struct ends find_ends(const struct foreseen *foreseen, const struct answer *answer)
{
    uint64_t round_us = answer->is_coarse ? FORESEEN_SECOND_US : 0;
    uint64_t reset_us = answer->told.reset_us;
    /* Of a second or two nothing is known, and one later would be too late. */
    uint64_t long_us = reset_us + (reset_us > BLIND_US ? round_us : 0);

    if (long_us < round_us)
        long_us = round_us;
    return (struct ends){
        .begin_us = answer->sent_us + (reset_us > round_us ? reset_us - round_us : 0),
        .end_us = answer->now_us + long_us,
        .long_us = long_us,
    };
}

/* The answer may speak of the window that is known to run. A bucket's ends move on. */
static bool is_same_window(const struct foreseen *foreseen, const struct answer *answer)
{
    struct foreseen_state old = foreseen_read(foreseen);
    struct ends ends = find_ends(foreseen, answer);

    return foreseen_is_held(&old, answer->now_us) && ends.begin_us <= old.held_us &&
           ends.end_us >= foreseen->begin_us;
}

/* ---- the kind ---- */

/* Whether a bucket that comes back in that period would tell such a reset. What remains is told in
 * whole units, so that up to one more may have come back; of hours and days a unit is too long to
 * tell anything apart, unless they are known. */
static bool fits(const struct answer *answer, uint64_t period_us, bool is_known)
{
    const struct foreseen_told *told = &answer->told;
    uint64_t used = told->limit - told->remaining, units = 1;
    uint64_t like_us = (uint64_t)((foreseen_wide)used * period_us / told->limit);
    uint64_t slack_us = like_us / 10 + (answer->is_coarse ? WHOLE_US : FINE_US);

    if (told->reset_us >= like_us)
        return told->reset_us - like_us <= slack_us;
    if (told->limit >= ROUNDED_FROM && told->remaining % ROUNDED_TO == 0)
        units = ROUNDED_TO;
    if (is_known || period_us <= FORESEEN_MINUTE_US)
        slack_us += (uint64_t)((foreseen_wide)units * period_us / told->limit);
    return like_us - told->reset_us <= slack_us;
}

/* The period of the bucket that tells such a reset; 0: none does. */
static uint64_t find_period(const struct answer *answer, uint64_t known_us)
{
    static const uint64_t periods[] = {FORESEEN_MINUTE_US, HOUR_US, DAY_US, FORESEEN_SECOND_US,
                                       10 * FORESEEN_SECOND_US};

    if (fits(answer, known_us, true))
        return known_us;
    for (unsigned i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
        if (fits(answer, periods[i], false))
            return periods[i];
    }
    return 0;
}

/* More has come back since the last answer than of a minute's limit would have. */
static bool is_quick(const struct foreseen *foreseen, const struct answer *answer)
{
    const struct foreseen_told *told = &answer->told;
    uint64_t back = told->remaining + 1 - foreseen->remained;
    uint64_t since_us = answer->sent_us - foreseen_load(&foreseen->heard_us);

    return told->remaining > foreseen->remained &&
           (foreseen_wide)back * FORESEEN_MINUTE_US > (foreseen_wide)since_us * told->limit * 4;
}

/* A reset of 0 means less than a second, unless it leads to one refusal after the other. */
static bool says_nothing(struct foreseen *foreseen, const struct answer *answer)
{
    const struct foreseen_told *told = &answer->told;

    if (told->reset_us > DAY_US || told->remaining == told->limit)
        return true;
    if (told->reset_us) {
        foreseen->doubts = 0;
        return false;
    }
    if (told->is_refused)
        foreseen->doubts += foreseen->doubts < DOUBTS && answer->stamp->is_try;
    else if (is_quick(foreseen, answer))
        foreseen->doubts = 0;
    return !answer->is_coarse || foreseen->doubts == DOUBTS;
}

/* Learns from the reset of which kind the limit is. True where it is a window. */
static bool learn_kind(struct foreseen *foreseen, const struct answer *answer,
                       uint64_t *ret_period_us)
{
    const struct foreseen_told *told = &answer->told;
    bool is_window = foreseen->evidence != 0 && told->reset_us <= FORESEEN_WINDOW_US;
    uint64_t known_us = *ret_period_us, period_us = find_period(answer, known_us);

    if (says_nothing(foreseen, answer)) {
        if (told->reset_us == 0 && foreseen->doubts == DOUBTS && known_us < FORESEEN_MINUTE_US)
            *ret_period_us = FORESEEN_MINUTE_US;
        return is_window && (told->reset_us || foreseen->doubts < DOUBTS);
    }
    /* Too short to be told apart but by a refusal: of a bucket it would have been foreseen. */
    if (period_us == FORESEEN_SECOND_US && known_us == period_us && told->is_refused &&
        answer->sent_us >= foreseen->known_us)
        foreseen->evidence = EVIDENCE;
    else if (!period_us)
        foreseen->evidence = EVIDENCE;
    else if (is_window && told->remaining > told->limit / 10 && !is_same_window(foreseen, answer))
        foreseen->evidence--; /* a window that is used up early tells what an empty bucket does */
    *ret_period_us = period_us ? period_us : FORESEEN_MINUTE_US;
    if (told->reset_us <= FORESEEN_WINDOW_US)
        return foreseen->evidence != 0;
    if (!period_us)
        *ret_period_us = told->reset_us <= HOUR_US ? HOUR_US : DAY_US;
    return false;
}

/* A try says how early in the span the next one may be. The shorter windows are, the more it is
 * worth a refusal to be early; of windows of a second or two whole seconds tell nothing. */
static void learn_lean(struct foreseen *foreseen, const struct answer *answer)
{
    uint64_t long_us = foreseen_length_us(foreseen);
    uint32_t lean = foreseen->lean;

    if (answer->is_coarse && long_us <= BLIND_US)
        lean = FORESEEN_LEAN_WHOLE;
    else if (answer->stamp->is_try && answer->told.is_refused)
        lean = lean > LEAN_DOWN ? lean - LEAN_DOWN : 0;
    else if (answer->stamp->is_try)
        lean += long_us <= SHORT_US ? LEAN_UP_SHORT : LEAN_UP_LONG;
    foreseen->lean = (uint16_t)(lean < FORESEEN_LEAN_WHOLE ? lean : FORESEEN_LEAN_WHOLE);
}

/* ---- the state ---- */

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

/* Our own count, as time; none where it was kept of another limit or period. */
static uint64_t own_ns(const struct foreseen_state *old, const struct answer *answer,
                       uint64_t period_us)
{
    if (old->limit != answer->told.limit || old->period_us != period_us)
        return 0;
    return foreseen_used_ns(old, answer->now_us);
}

/* Where our own count lies between the two it is right. */
static uint64_t judge(uint64_t own, uint64_t sure, uint64_t most)
{
    if (own < sure)
        return sure;
    return own < most ? own : most;
}

static void learn_length(struct foreseen *foreseen, uint64_t long_us, bool is_new)
{
    if (is_new) {
        foreseen->before_us = foreseen->longest_us;
        foreseen->longest_us = 0;
    }
    if (long_us > foreseen->longest_us)
        foreseen->longest_us = long_us;
}

/* Of the same window the span narrows with each answer. One whose end moves while it runs, and of
 * which nothing has come back, slides. */
static void set_span(struct foreseen *foreseen, const struct answer *answer)
{
    struct foreseen_state old = foreseen_read(foreseen);
    bool is_same = is_same_window(foreseen, answer);
    bool is_tried = foreseen_load(&foreseen->try_us) >= old.held_us && !answer->stamp->is_try;
    struct ends ends = find_ends(foreseen, answer);

    if (foreseen_is_held(&old, answer->now_us) && ends.begin_us > old.held_us &&
        !foreseen->is_believed && answer->told.remaining <= foreseen->remained &&
        foreseen->slides < SLIDES_MAX)
        foreseen->slides++;
    if (is_same) {
        if (foreseen->begin_us > ends.begin_us)
            ends.begin_us = foreseen->begin_us;
        if (old.held_us < ends.end_us)
            ends.end_us = old.held_us;
    }
    if (ends.long_us < answer->told.window_us)
        ends.long_us = answer->told.window_us;
    learn_length(foreseen, ends.long_us, foreseen->is_believed || !is_same);
    foreseen->is_believed = false;
    foreseen_set_span(foreseen, ends.begin_us, ends.end_us);
    if (answer->told.is_refused)
        foreseen_store(&foreseen->try_us, answer->now_us); /* its own hint says when */
    else if (is_same && is_tried)
        foreseen_store(&foreseen->try_us, ends.end_us);
}

static void set_window(struct foreseen *foreseen, const struct answer *answer, struct used used)
{
    struct foreseen_state old = foreseen_read(foreseen);
    uint64_t unit_q16 = foreseen_unit_of(answer->told.limit, FORESEEN_MINUTE_US);
    uint64_t now_us = answer->now_us, own = own_ns(&old, answer, FORESEEN_MINUTE_US);
    uint64_t round_us = answer->is_coarse ? FORESEEN_SECOND_US : 0;

    if (answer->sent_us + answer->told.reset_us + round_us < now_us &&
        old.limit == answer->told.limit) {
        /* It took so long that the window it speaks of is over. */
        learn_length(foreseen, find_ends(foreseen, answer).long_us, false);
        return;
    }
    own = judge(own, foreseen_span_ns(unit_q16, used.sure), foreseen_span_ns(unit_q16, used.most));
    set_span(foreseen, answer);
    foreseen_store(&foreseen->since_us, now_us);
    foreseen_store(&foreseen->arrival_ns, now_us * FORESEEN_NS + own);
}

/* What remains is told in whole units: a part of one that has come back is seen by a reset that is
 * told in less than seconds, of the moment when the request arrived. */
static uint64_t part_back_ns(const struct foreseen *foreseen, const struct answer *answer,
                             uint64_t unit_q16)
{
    uint64_t units = answer->told.limit - answer->told.remaining;
    uint64_t used_ns = foreseen_span_ns(unit_q16, units);
    uint64_t full_ns = (answer->told.reset_us + foreseen->way_us) * FORESEEN_NS;

    if (answer->told.reset_us == 0 || answer->told.is_whole || full_ns >= used_ns)
        return 0;
    return used_ns - full_ns < foreseen_span_ns(unit_q16, 1) ? used_ns - full_ns : 0;
}

static void set_bucket(struct foreseen *foreseen, const struct answer *answer, struct used used,
                       uint64_t period_us)
{
    struct foreseen_state old = foreseen_read(foreseen);
    uint64_t unit_q16 = foreseen_unit_of(answer->told.limit, period_us);
    uint64_t from_ns = answer->sent_us * FORESEEN_NS - part_back_ns(foreseen, answer, unit_q16);
    uint64_t own = answer->now_us * FORESEEN_NS + own_ns(&old, answer, period_us);
    uint64_t arrival = judge(own, from_ns + foreseen_span_ns(unit_q16, used.sure),
                             from_ns + foreseen_span_ns(unit_q16, used.most));
    bool is_same = old.limit == answer->told.limit && old.period_us == period_us && !old.held_us;

    /* Who left first need not arrive first: so small a difference is no news. */
    if (is_same && arrival < old.arrival_ns &&
        old.arrival_ns - arrival < period_us * FORESEEN_NS / JITTER_PART)
        return;
    foreseen_store(&foreseen->held_us, 0);
    foreseen_store(&foreseen->arrival_ns, arrival);
}

/* A window that slides gives back what was taken as evenly as it was taken: it is paced so, and
 * what remains is told. One that ends soon after it was used does not slide. */
static bool is_sliding(struct foreseen *foreseen, const struct answer *answer)
{
    if (!answer->told.is_refused && answer->told.reset_us < foreseen->longest_us / 2)
        foreseen->slides = 0;
    return foreseen->slides >= SLIDES && foreseen->longest_us;
}

/* How long a word of such a limit is believed. */
static uint64_t fade_of(uint64_t period_us)
{
    return FADE_PERIODS * period_us < FADE_MAX_US ? FADE_PERIODS * period_us : FADE_MAX_US;
}

static void learn(struct foreseen *foreseen, const struct answer *answer)
{
    struct used used = count_used(foreseen, &answer->told, answer->stamp);
    uint64_t way_us = answer->now_us - answer->sent_us;
    uint64_t period_us = foreseen_load(&foreseen->period_us);
    bool is_window = learn_kind(foreseen, answer, &period_us);

    learn_lean(foreseen, answer);
    if (way_us < foreseen->way_us || foreseen->way_us == 0)
        foreseen->way_us = way_us < WAY_MAX_US ? way_us : WAY_MAX_US;
    if (is_window && is_sliding(foreseen, answer)) {
        is_window = false;
        period_us = foreseen->longest_us;
    }
    if (is_window) {
        period_us = FORESEEN_MINUTE_US;
        set_window(foreseen, answer, used);
    } else {
        set_bucket(foreseen, answer, used, period_us);
    }
    if (foreseen_load(&foreseen->limit) == 0)
        foreseen->known_us = answer->now_us;
    foreseen->remained = answer->told.remaining;
    foreseen->told_taken = answer->stamp->taken ? answer->stamp->taken : foreseen->taken;
    foreseen_store(&foreseen->period_us, period_us);
    foreseen_store(&foreseen->unit_q16, foreseen_unit_of(answer->told.limit, period_us));
    foreseen_store(&foreseen->part_q64, UINT64_MAX / (period_us * FORESEEN_NS));
    foreseen_store(&foreseen->limit, answer->told.limit);
    foreseen_store(&foreseen->heard_us, answer->sent_us);
    foreseen_store(&foreseen->fades_us, answer->sent_us + fade_of(period_us));
}

void foreseen_hear(struct foreseen *foreseen, const struct foreseen_told *told,
                   const struct foreseen_stamp *stamp, uint64_t sent_us, uint64_t now_us)
{
    struct answer answer = {
        .told = *told,
        .stamp = stamp,
        .sent_us = sent_us < now_us ? sent_us : now_us,
        .now_us = now_us,
    };
    uint64_t heard_us = foreseen_load(&foreseen->heard_us);

    /* A word from the future is from before a clock jumped. */
    if (told->limit == 0 || (answer.sent_us < heard_us && heard_us <= now_us))
        return;
    if (answer.told.limit > FORESEEN_MAX_UNITS)
        answer.told.limit = FORESEEN_MAX_UNITS;
    if (answer.told.remaining > answer.told.limit)
        answer.told.remaining = answer.told.limit;
    if (told->reset_us && !told->is_whole)
        foreseen->is_precise = true;
    answer.is_coarse = told->is_whole && !foreseen->is_precise;
    learn(foreseen, &answer);
}
