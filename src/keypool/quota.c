#include "keypool/quota.h"

#include "base/alloc.h"

void quota_init(struct quota *quota)
{
    atomic_init(&quota->rpm, 0);
    atomic_init(&quota->concurrent, 0);
    atomic_init(&quota->tpm, 0);
    atomic_init(&quota->found, 0);
    latch_init(&quota->latch);
    concurrency_init(&quota->places);
    window_init(&quota->requests);
    window_init(&quota->tokens);
    reservations_init(&quota->reserved);
    adaptive_init(&quota->adaptive);
    gradient_init(&quota->gradient);
}

struct quota *quota_new(void)
{
    struct quota *quota = mem_zalloc(1, sizeof(*quota));

    if (quota)
        quota_init(quota);
    return quota;
}

void quota_free(struct quota **quota)
{
    MEM_CLEAR(*quota);
}

static uint64_t less_margin(uint64_t limit, uint32_t margin_ppm)
{
    uint64_t kept = limit / CONF_PPM * margin_ppm + limit % CONF_PPM * margin_ppm / CONF_PPM;

    if (limit == 0)
        return 0;
    return limit > kept ? limit - kept : 1;
}

void quota_set(struct quota *quota, const struct conf_limits *limits, uint32_t margin_ppm)
{
    uint32_t rpm = (uint32_t)less_margin(limits->rpm, margin_ppm);
    uint32_t concurrent = (uint32_t)less_margin(limits->concurrent, margin_ppm);

    atomic_store_explicit(&quota->rpm, rpm, memory_order_relaxed);
    atomic_store_explicit(&quota->concurrent, concurrent, memory_order_relaxed);
    atomic_store_explicit(&quota->tpm, less_margin(limits->tpm, margin_ppm), memory_order_relaxed);
}

static struct gradient_settings gradient_settings_of(const struct conf_adaptive *conf)
{
    if (!conf || !conf->concurrency)
        return (struct gradient_settings){.max = 0};
    return (struct gradient_settings){.initial = conf->concurrency->initial,
                                      .min = conf->concurrency->min,
                                      .max = conf->concurrency->max,
                                      .backoff_milli = conf->backoff_milli};
}

/* Under the latch. */
static void tell_found(struct quota *quota)
{
    atomic_store_explicit(&quota->found, gradient_limit(&quota->gradient), memory_order_relaxed);
}

void quota_adapt(struct quota *quota, const struct conf_adaptive *conf, uint64_t now_us)
{
    struct adaptive_settings settings = {.max_rpm = 0};
    struct gradient_settings at_once = gradient_settings_of(conf);

    if (conf)
        settings = (struct adaptive_settings){.initial_rpm = conf->initial_rpm,
                                              .min_rpm = conf->min_rpm,
                                              .max_rpm = conf->max_rpm,
                                              .backoff_milli = conf->backoff_milli,
                                              .growth_milli = conf->growth_milli};
    latch_take(&quota->latch);
    adaptive_set(&quota->adaptive, &settings, now_us);
    gradient_set(&quota->gradient, &at_once);
    tell_found(quota);
    latch_give(&quota->latch);
}

void quota_inherit(struct quota *quota, struct quota *from, bool is_whole, uint64_t now_us)
{
    struct window requests, tokens;

    /* Under one latch at a time, as there is no order between two. */
    latch_take(&from->latch);
    window_init(&requests);
    window_init(&tokens);
    window_merge(&requests, &from->requests, true, now_us);
    window_merge(&tokens, &from->tokens, true, now_us);
    if (is_whole) {
        window_init(&from->requests);
        window_init(&from->tokens);
    }
    latch_give(&from->latch);
    latch_take(&quota->latch);
    window_merge(&quota->requests, &requests, is_whole, now_us);
    window_merge(&quota->tokens, &tokens, is_whole, now_us);
    latch_give(&quota->latch);
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

struct conf_limits quota_merge(const struct conf_limits *a, const struct conf_limits *b)
{
    return (struct conf_limits){
        .rpm = (uint32_t)lesser(a->rpm, b->rpm),
        .tpm = lesser(a->tpm, b->tpm),
        .concurrent = (uint32_t)lesser(a->concurrent, b->concurrent),
    };
}

bool quota_is_declared(const struct conf_limits *limits)
{
    return limits->rpm || limits->tpm || limits->concurrent;
}

uint32_t quota_places(const struct quota *quota)
{
    return (uint32_t)lesser(atomic_load_explicit(&quota->concurrent, memory_order_relaxed),
                            quota_found(quota));
}

/* The limits as they are now, but for the requests a minute that are found by trying. */
struct numbers {
    uint32_t rpm, concurrent;
    uint64_t tpm;
};

static struct numbers numbers_of(const struct quota *quota)
{
    return (struct numbers){
        .rpm = atomic_load_explicit(&quota->rpm, memory_order_relaxed),
        .concurrent = quota_places(quota),
        .tpm = atomic_load_explicit(&quota->tpm, memory_order_relaxed),
    };
}

static bool has_room(const struct quota *quota, struct numbers max)
{
    return max.concurrent == 0 || concurrency_used(&quota->places) < max.concurrent;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether there would be room for them with what is expected back from requests under way. */
static bool will_come_back(const struct quota *quota, uint64_t tpm, uint64_t tokens,
                           uint64_t now_us)
{
    uint64_t expected = reservations_expected(&quota->reserved);
    uint64_t used = window_used(&quota->tokens, now_us);

    return expected && used - smaller(expected, used) + smaller(tokens, tpm) <= tpm;
}

/* *ret_wait_us: until the window itself has room. */
static enum quota_verdict look(const struct quota *quota, struct numbers max, uint64_t tokens,
                               uint64_t now_us, uint64_t *ret_wait_us)
{
    *ret_wait_us = 0;
    if (max.rpm)
        *ret_wait_us = window_wait_us(&quota->requests, max.rpm, 1, now_us);
    if (*ret_wait_us == 0)
        *ret_wait_us = adaptive_wait_us(&quota->adaptive, now_us);
    if (*ret_wait_us)
        return QUOTA_REQUESTS;
    if (max.tpm && tokens)
        *ret_wait_us = window_wait_us(&quota->tokens, max.tpm, tokens, now_us);
    if (*ret_wait_us)
        return will_come_back(quota, max.tpm, tokens, now_us) ? QUOTA_RESERVED : QUOTA_TOKENS;
    return has_room(quota, max) ? QUOTA_OK : QUOTA_PLACES;
}

/* The first of those under way may be over sooner than the window turns. */
static uint64_t wait_of(const struct quota *quota, enum quota_verdict verdict, uint64_t window_us)
{
    uint64_t held_us = hold_time_us(&quota->reserved.held);

    return verdict == QUOTA_RESERVED && held_us ? smaller(held_us, window_us) : window_us;
}

enum quota_verdict quota_look_for(const struct quota *quota, uint64_t tokens, uint64_t now_us,
                                  uint64_t *ret_wait_us)
{
    enum quota_verdict verdict = look(quota, numbers_of(quota), tokens, now_us, ret_wait_us);

    *ret_wait_us = wait_of(quota, verdict, *ret_wait_us);
    return verdict;
}

enum quota_verdict quota_look(const struct quota *quota, uint64_t now_us, uint64_t *ret_wait_us)
{
    return quota_look_for(quota, 1, now_us, ret_wait_us);
}

_Static_assert((int)QUOTA_WHOLE == (int)ADAPTIVE_WHOLE, "shares of either can be compared");

static bool is_within_half(uint64_t max, uint64_t used, uint64_t more)
{
    return max == 0 || used + more <= max / 2;
}

static uint32_t share_left(uint64_t max, uint64_t used)
{
    if (max == 0)
        return QUOTA_WHOLE;
    return used < max ? (uint32_t)((max - used) * QUOTA_WHOLE / max) : 0;
}

uint32_t quota_share(const struct quota *quota, uint64_t now_us)
{
    struct numbers max = numbers_of(quota);
    uint32_t shares[] = {
        share_left(max.concurrent, concurrency_used(&quota->places)),
        max.rpm ? share_left(max.rpm, window_used(&quota->requests, now_us)) : QUOTA_WHOLE,
        max.tpm ? share_left(max.tpm, window_used(&quota->tokens, now_us)) : QUOTA_WHOLE,
        adaptive_share(&quota->adaptive, now_us),
    };
    uint32_t least = QUOTA_WHOLE;

    for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
        least = shares[i] < least ? shares[i] : least;
    return least;
}

bool quota_has_half(const struct quota *quota, uint64_t tokens, uint64_t now_us)
{
    struct numbers max = numbers_of(quota);

    return adaptive_wait_us(&quota->adaptive, now_us) == 0 &&
           is_within_half(max.concurrent, concurrency_used(&quota->places), 1) &&
           (!max.rpm || is_within_half(max.rpm, window_used(&quota->requests, now_us), 1)) &&
           (!max.tpm || is_within_half(max.tpm, window_used(&quota->tokens, now_us), tokens));
}

static void enter(struct quota *quota, uint64_t *shared_writes)
{
    latch_take(&quota->latch);
    ++*shared_writes;
}

/* What passed `look`, under the latch. */
static struct quota_hold take(struct quota *quota, struct numbers max, uint64_t tokens,
                              uint64_t now_us)
{
    struct quota_hold hold = {.has_place = false};

    if (max.concurrent)
        hold.has_place = concurrency_enter(&quota->places, max.concurrent);
    if (max.rpm)
        hold.requests = window_take(&quota->requests, max.rpm, 1, now_us);
    if (max.tpm && tokens) {
        hold.tokens = window_take(&quota->tokens, max.tpm, tokens, now_us);
        reservations_take(&quota->reserved, hold.tokens.units);
    }
    hold.is_adaptive = adaptive_is_on(&quota->adaptive);
    if (hold.is_adaptive)
        adaptive_take(&quota->adaptive, now_us);
    return hold;
}

enum quota_verdict quota_take(struct quota *quota, uint64_t tokens, uint64_t now_us,
                              struct quota_hold *ret_hold, uint64_t *ret_wait_us,
                              uint64_t *shared_writes)
{
    struct numbers max = numbers_of(quota);
    enum quota_verdict verdict;

    *ret_wait_us = 0;
    *ret_hold = (struct quota_hold){.has_place = false};
    /* Plainly full, or without limits: no write. */
    if (!has_room(quota, max))
        return QUOTA_PLACES;
    if (!max.rpm && !max.concurrent && !(max.tpm && tokens) && !adaptive_is_on(&quota->adaptive))
        return QUOTA_OK;
    enter(quota, shared_writes);
    verdict = look(quota, max, tokens, now_us, ret_wait_us);
    if (verdict == QUOTA_OK)
        *ret_hold = take(quota, max, tokens, now_us);
    else if (verdict == QUOTA_TOKENS || verdict == QUOTA_RESERVED)
        reservations_note_refused(&quota->reserved, smaller(tokens, max.tpm),
                                  now_us + *ret_wait_us);
    latch_give(&quota->latch);
    *ret_wait_us = wait_of(quota, verdict, *ret_wait_us);
    return verdict;
}

bool quota_refuse(struct quota *quota, uint64_t sent_us, uint64_t now_us, uint64_t *shared_writes)
{
    if (!adaptive_is_on(&quota->adaptive) && !quota_found(quota))
        return false;
    enter(quota, shared_writes);
    (void)adaptive_refuse(&quota->adaptive, sent_us, now_us);
    (void)gradient_refuse(&quota->gradient, sent_us, now_us);
    tell_found(quota);
    latch_give(&quota->latch);
    return true;
}

void quota_overload(struct quota *quota, uint64_t sent_us, uint64_t now_us, uint64_t *shared_writes)
{
    if (!quota_found(quota))
        return;
    enter(quota, shared_writes);
    (void)gradient_refuse(&quota->gradient, sent_us, now_us);
    tell_found(quota);
    latch_give(&quota->latch);
}

uint32_t quota_note(struct quota *quota, const struct quota_hold *hold,
                    const struct gradient_sample *sample, uint64_t now_us, uint64_t *shared_writes)
{
    uint32_t grown;

    /* Who holds no place is not among those under way. */
    if (!hold->has_place || !quota_found(quota))
        return 0;
    enter(quota, shared_writes);
    grown = gradient_note(&quota->gradient, sample, concurrency_used(&quota->places), now_us);
    tell_found(quota);
    latch_give(&quota->latch);
    return grown;
}

void quota_move(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                uint64_t *shared_writes)
{
    if (!window_is_stale(&hold->requests, now_us) && !window_is_stale(&hold->tokens, now_us))
        return;
    enter(quota, shared_writes);
    window_move(&quota->requests, &hold->requests, now_us);
    window_move(&quota->tokens, &hold->tokens, now_us);
    latch_give(&quota->latch);
}

/* Under the latch. */
static bool leave(struct quota *quota, struct quota_hold *hold)
{
    if (!hold->has_place)
        return false;
    hold->has_place = false;
    return concurrency_leave(&quota->places, numbers_of(quota).concurrent);
}

/* Whether a request of one token finds nothing in its way but, perhaps, places. */
static bool is_at_limit(const struct quota *quota, uint64_t now_us)
{
    uint64_t wait_us;

    (void)quota_look(quota, now_us, &wait_us);
    return wait_us != 0;
}

static uint32_t more(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Under the latch. What it had reserved becomes what it used; how many may be woken. */
static uint32_t settle_tokens(struct quota *quota, struct quota_hold *hold, uint64_t tokens,
                              uint64_t now_us)
{
    uint64_t reserved = hold->tokens.units;
    uint64_t held_us = tokens ? window_age_us(&hold->tokens, now_us) : RESERVATIONS_UNTIMED;
    uint64_t back = tokens && tokens < reserved ? reserved - tokens : 0;
    uint64_t tpm = numbers_of(quota).tpm;
    bool was_full, is_freed;

    reservations_end(&quota->reserved, reserved, back, held_us);
    if (tpm == 0 || tokens == 0 || tokens == reserved)
        return 0;
    was_full = back && window_used(&quota->tokens, now_us) >= tpm;
    window_settle(&quota->tokens, &hold->tokens, tokens, now_us);
    is_freed = was_full && window_used(&quota->tokens, now_us) < tpm;
    return more(is_freed, reservations_wakes(&quota->reserved, back, now_us));
}

uint32_t quota_settle(struct quota *quota, struct quota_hold *hold, uint64_t tokens,
                      uint64_t now_us, uint64_t *shared_writes)
{
    bool counts_tokens = hold->tokens.units || (numbers_of(quota).tpm && tokens);
    uint32_t woken = 0;

    if (counts_tokens || hold->has_place) {
        enter(quota, shared_writes);
        if (counts_tokens)
            woken = settle_tokens(quota, hold, tokens, now_us);
        woken = more(woken, leave(quota, hold));
        latch_give(&quota->latch);
    }
    *hold = (struct quota_hold){.has_place = false};
    return woken;
}

uint32_t quota_give_back(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                         uint64_t *shared_writes)
{
    uint64_t tokens = hold->tokens.units;
    bool was_at_limit, is_freed;
    uint32_t woken;

    if (!hold->has_place && !hold->requests.units && !tokens && !hold->is_adaptive)
        return 0;
    enter(quota, shared_writes);
    was_at_limit = is_at_limit(quota, now_us);
    if (hold->is_adaptive)
        adaptive_give_back(&quota->adaptive, now_us);
    window_settle(&quota->requests, &hold->requests, 0, now_us);
    window_settle(&quota->tokens, &hold->tokens, 0, now_us);
    reservations_cancel(&quota->reserved, tokens);
    is_freed = was_at_limit && !is_at_limit(quota, now_us);
    woken = more(is_freed, reservations_wakes(&quota->reserved, tokens, now_us));
    woken = more(woken, leave(quota, hold));
    latch_give(&quota->latch);
    *hold = (struct quota_hold){.has_place = false};
    return woken;
}
