#include "keypool/quota.h"

#include "base/alloc.h"

void quota_init(struct quota *quota)
{
    atomic_init(&quota->rpm, 0);
    atomic_init(&quota->concurrent, 0);
    atomic_init(&quota->tpm, 0);
    concurrency_init(&quota->places);
    window_init(&quota->requests);
    window_init(&quota->tokens);
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

static uint32_t rpm_of(const struct quota *quota)
{
    return atomic_load_explicit(&quota->rpm, memory_order_relaxed);
}

static uint64_t tpm_of(const struct quota *quota)
{
    return atomic_load_explicit(&quota->tpm, memory_order_relaxed);
}

static uint32_t concurrent_of(const struct quota *quota)
{
    return atomic_load_explicit(&quota->concurrent, memory_order_relaxed);
}

enum quota_verdict quota_look(const struct quota *quota, uint64_t now_us, uint64_t *ret_wait_us)
{
    uint32_t rpm = rpm_of(quota), concurrent = concurrent_of(quota);
    uint64_t tpm = tpm_of(quota);

    *ret_wait_us = 0;
    if (rpm)
        *ret_wait_us = window_wait_us(&quota->requests, rpm, 1, now_us);
    if (*ret_wait_us)
        return QUOTA_REQUESTS;
    if (tpm)
        *ret_wait_us = window_wait_us(&quota->tokens, tpm, 1, now_us);
    if (*ret_wait_us)
        return QUOTA_TOKENS;
    if (concurrent && concurrency_used(&quota->places) >= concurrent)
        return QUOTA_PLACES;
    return QUOTA_OK;
}

static void undo(struct window *window, struct window_stamp *stamp, uint64_t now_us,
                 uint64_t *shared_writes)
{
    if (stamp->units == 0)
        return;
    window_settle(window, stamp, 0, now_us);
    ++*shared_writes;
}

static bool leave(struct quota *quota, struct quota_hold *hold, uint64_t *shared_writes)
{
    uint32_t concurrent = concurrent_of(quota);

    if (!hold->has_place)
        return false;
    hold->has_place = false;
    ++*shared_writes;
    return concurrency_leave(&quota->places, concurrent);
}

enum quota_verdict quota_take(struct quota *quota, uint64_t tokens, uint64_t now_us,
                              struct quota_hold *ret_hold, uint64_t *ret_wait_us,
                              uint64_t *shared_writes)
{
    uint32_t rpm = rpm_of(quota), concurrent = concurrent_of(quota);
    uint64_t tpm = tpm_of(quota);
    struct quota_hold hold = {.has_place = false};

    *ret_wait_us = 0;
    if (concurrent) {
        if (!concurrency_enter(&quota->places, concurrent))
            return QUOTA_PLACES;
        hold.has_place = true;
        ++*shared_writes;
    }
    if (rpm) {
        if (!window_take(&quota->requests, rpm, 1, now_us, &hold.requests, ret_wait_us)) {
            leave(quota, &hold, shared_writes);
            return QUOTA_REQUESTS;
        }
        ++*shared_writes;
    }
    if (tpm && tokens) {
        if (!window_take(&quota->tokens, tpm, tokens, now_us, &hold.tokens, ret_wait_us)) {
            undo(&quota->requests, &hold.requests, now_us, shared_writes);
            leave(quota, &hold, shared_writes);
            return QUOTA_TOKENS;
        }
        ++*shared_writes;
    }
    *ret_hold = hold;
    return QUOTA_OK;
}

static void move(struct window *window, struct window_stamp *stamp, uint64_t now_us,
                 uint64_t *shared_writes)
{
    uint32_t before = stamp->second;

    window_move(window, stamp, now_us);
    *shared_writes += before == stamp->second ? 0 : 2;
}

void quota_move(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                uint64_t *shared_writes)
{
    move(&quota->requests, &hold->requests, now_us, shared_writes);
    move(&quota->tokens, &hold->tokens, now_us, shared_writes);
}

bool quota_settle(struct quota *quota, struct quota_hold *hold, uint64_t tokens, uint64_t now_us,
                  uint64_t *shared_writes)
{
    if (tpm_of(quota) && tokens && tokens != hold->tokens.units) {
        window_settle(&quota->tokens, &hold->tokens, tokens, now_us);
        ++*shared_writes;
    }
    hold->requests.units = hold->tokens.units = 0;
    return leave(quota, hold, shared_writes);
}

bool quota_give_back(struct quota *quota, struct quota_hold *hold, uint64_t now_us,
                     uint64_t *shared_writes)
{
    undo(&quota->requests, &hold->requests, now_us, shared_writes);
    undo(&quota->tokens, &hold->tokens, now_us, shared_writes);
    return leave(quota, hold, shared_writes);
}
