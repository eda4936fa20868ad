#include "policy_provider.h"

#include <string.h>

#include "base/clock.h"

/* Requests and tokens a minute of each account: two short of tokens, two of requests. */
static const struct {
    double rpm, tpm;
} limits[POLICY_ACCOUNTS] = {{500, 200000}, {1000, 450000}, {300, 1000000}, {500, 2000000}};

static const uint64_t minute_us = 60 * US_PER_SEC;

void policy_provider_init(struct policy_provider *provider, bool has_windows, bool is_whole,
                          uint64_t now_us)
{
    memset(provider, 0, sizeof(*provider));
    provider->has_windows = has_windows;
    provider->is_whole = is_whole;
    provider->start_us = now_us;
    for (int i = 0; i < POLICY_ACCOUNTS; i++) {
        provider->accounts[i].requests = (struct policy_limit){limits[i].rpm, limits[i].rpm};
        provider->accounts[i].tokens = (struct policy_limit){limits[i].tpm, limits[i].tpm};
        provider->accounts[i].at_us = now_us;
    }
}

double policy_provider_allows(const struct policy_provider *provider, double mean_tokens)
{
    double sum = 0;

    for (int i = 0; i < POLICY_ACCOUNTS; i++) {
        double by_tokens = provider->accounts[i].tokens.limit / mean_tokens;
        double by_requests = provider->accounts[i].requests.limit;

        sum += by_requests < by_tokens ? by_requests : by_tokens;
    }
    return sum;
}

/* ---- time ---- */

static uint64_t into_window(const struct policy_provider *provider, uint64_t now_us)
{
    return (now_us - provider->start_us) % minute_us;
}

static void refill_limit(struct policy_limit *limit, double minutes)
{
    limit->level += limit->limit * minutes;
    if (limit->level > limit->limit)
        limit->level = limit->limit;
}

static void refill(const struct policy_provider *provider, struct policy_account *account,
                   uint64_t now_us)
{
    double minutes = (double)(now_us - account->at_us) / (double)minute_us;

    if (provider->has_windows)
        minutes = now_us - account->at_us > into_window(provider, now_us) ? 1 : 0;
    refill_limit(&account->requests, minutes);
    refill_limit(&account->tokens, minutes);
    account->at_us = now_us;
}

static uint64_t wait_of(const struct policy_provider *provider, const struct policy_limit *limit,
                        double units, uint64_t now_us)
{
    if (limit->level >= units)
        return 0;
    if (provider->has_windows)
        return minute_us - into_window(provider, now_us);
    return (uint64_t)((units - limit->level) / limit->limit * (double)minute_us);
}

uint64_t policy_provider_opened_us(const struct policy_provider *provider, uint64_t now_us)
{
    if (!provider->has_windows || now_us - provider->start_us < minute_us)
        return UINT64_MAX;
    return into_window(provider, now_us);
}

/* ---- requests ---- */

uint64_t policy_provider_take(struct policy_provider *provider, unsigned account, double tokens,
                              uint64_t now_us)
{
    struct policy_account *of = &provider->accounts[account];
    uint64_t wait_us, longer_us;

    refill(provider, of, now_us);
    wait_us = wait_of(provider, &of->requests, 1, now_us);
    longer_us = wait_of(provider, &of->tokens, tokens, now_us);
    if (longer_us > wait_us)
        wait_us = longer_us;
    if (wait_us)
        return wait_us;
    of->requests.level -= 1;
    of->tokens.level -= tokens;
    of->served_requests += 1;
    of->served_tokens += tokens;
    return 0;
}

static void tell(const struct policy_provider *provider, const struct policy_limit *limit,
                 uint64_t now_us, struct limits_told *ret_told, enum limits_kind kind)
{
    double used = (limit->limit - limit->level) / limit->limit;
    uint64_t reset_us = (uint64_t)(used * (double)minute_us);

    if (provider->has_windows)
        reset_us = minute_us - into_window(provider, now_us);
    if (provider->is_whole)
        reset_us = (reset_us + US_PER_SEC - 1) / US_PER_SEC * US_PER_SEC;
    ret_told->items[kind].limit = (uint64_t)limit->limit;
    ret_told->items[kind].remaining = (uint64_t)limit->level;
    ret_told->items[kind].reset_us = reset_us;
    ret_told->items[kind].is_whole = provider->is_whole;
}

void policy_provider_tell(const struct policy_provider *provider, unsigned account, uint64_t now_us,
                          struct limits_told *ret_told)
{
    memset(ret_told, 0, sizeof(*ret_told));
    tell(provider, &provider->accounts[account].requests, now_us, ret_told, LIMITS_REQUESTS);
    tell(provider, &provider->accounts[account].tokens, now_us, ret_told, LIMITS_TOKENS);
}

bool policy_provider_has_room(struct policy_provider *provider, double tokens, uint64_t now_us)
{
    for (int i = 0; i < POLICY_ACCOUNTS; i++) {
        struct policy_account *account = &provider->accounts[i];

        refill(provider, account, now_us);
        if (account->requests.level >= 1 + account->requests.limit / 20 &&
            account->tokens.level >= tokens + account->tokens.limit / 20)
            return true;
    }
    return false;
}

void policy_provider_halve(struct policy_provider *provider, unsigned account, uint64_t now_us)
{
    struct policy_account *of = &provider->accounts[account];

    refill(provider, of, now_us);
    of->requests.limit /= 2;
    of->tokens.limit /= 2;
    refill_limit(&of->requests, 0);
    refill_limit(&of->tokens, 0);
}

/* ---- counting ---- */

void policy_provider_begin_count(struct policy_provider *provider)
{
    for (int i = 0; i < POLICY_ACCOUNTS; i++) {
        provider->accounts[i].before_requests = provider->accounts[i].served_requests;
        provider->accounts[i].before_tokens = provider->accounts[i].served_tokens;
    }
}

double policy_provider_counted(const struct policy_provider *provider, double seconds, double full)
{
    double used = 0, all = 0;

    for (int i = 0; i < POLICY_ACCOUNTS; i++) {
        const struct policy_account *account = &provider->accounts[i];
        double minutes = seconds / 60 + full;
        double requests = (account->served_requests - account->before_requests) /
                          (account->requests.limit * minutes);
        double tokens =
            (account->served_tokens - account->before_tokens) / (account->tokens.limit * minutes);

        used += (requests > tokens ? requests : tokens) * account->requests.limit;
        all += account->requests.limit;
    }
    return used / all;
}
