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

bool quota_counts_tokens(const struct quota *quota)
{
    return atomic_load_explicit(&quota->tpm, memory_order_relaxed) != 0;
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
        return QUOTA_TOKENS;
    return has_room(quota, max) ? QUOTA_OK : QUOTA_PLACES;
}

enum quota_verdict quota_look(const struct quota *quota, uint64_t now_us, uint64_t *ret_wait_us)
{
    return look(quota, numbers_of(quota), 1, now_us, ret_wait_us);
}

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
    uint32_t least = share_left(max.concurrent, concurrency_used(&quota->places));
    uint32_t requests =
        max.rpm ? share_left(max.rpm, window_used(&quota->requests, now_us)) : QUOTA_WHOLE;
    uint32_t tokens =
        max.tpm ? share_left(max.tpm, window_used(&quota->tokens, now_us)) : QUOTA_WHOLE;

    least = requests < least ? requests : least;
    return tokens < least ? tokens : least;
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
    if (max.tpm && tokens)
        hold.tokens = window_take(&quota->tokens, max.tpm, tokens, now_us);
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
    latch_give(&quota->latch);
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

bool quota_settle(struct quota *quota, struct quota_hold *hold, uint64_t tokens, uint64_t now_us,
                  uint64_t *shared_writes)
{
    bool differs = numbers_of(quota).tpm && tokens && tokens != hold->tokens.units;
    bool has_freed = false;

    if (differs || hold->has_place) {
        enter(quota, shared_writes);
        if (differs)
            window_settle(&quota->tokens, &hold->tokens, tokens, now_us);
        has_freed = leave(quota, hold);
        latch_give(&quota->latch);
    }
    hold->requests.units = hold->tokens.units = 0;
    return has_freed;
}

bool quota_give_back(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                     uint64_t *shared_writes)
{
    bool has_freed;

    if (!hold->has_place && !hold->requests.units && !hold->tokens.units && !hold->is_adaptive)
        return false;
    enter(quota, shared_writes);
    if (hold->is_adaptive)
        adaptive_give_back(&quota->adaptive, now_us);
    hold->is_adaptive = false;
    window_settle(&quota->requests, &hold->requests, 0, now_us);
    window_settle(&quota->tokens, &hold->tokens, 0, now_us);
    has_freed = leave(quota, hold);
    latch_give(&quota->latch);
    return has_freed;
}
