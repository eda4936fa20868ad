#include "limits/rates.h"

static uint64_t number(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static struct gcra_rate request_rate(const struct rates *rates)
{
    return gcra_rate_of_requests(number(&rates->rpm), number(&rates->burst));
}

static struct gcra_rate token_rate(const struct rates *rates)
{
    return gcra_rate_of_tokens(number(&rates->tpm));
}

void rates_init(struct rates *rates)
{
    atomic_init(&rates->rpm, 0);
    atomic_init(&rates->burst, 0);
    atomic_init(&rates->tpm, 0);
    latch_init(&rates->latch);
    gcra_init(&rates->requests);
    gcra_init(&rates->tokens);
}

void rates_set(struct rates *rates, const struct rates_rules *rules)
{
    latch_take(&rates->latch);
    atomic_store_explicit(&rates->rpm, rules->rpm, memory_order_relaxed);
    atomic_store_explicit(&rates->burst, rules->burst, memory_order_relaxed);
    atomic_store_explicit(&rates->tpm, rules->tpm, memory_order_relaxed);
    if (!rules->rpm)
        atomic_store_explicit(&rates->requests.arrival_ns, 0, memory_order_relaxed);
    if (!rules->tpm)
        atomic_store_explicit(&rates->tokens.arrival_ns, 0, memory_order_relaxed);
    latch_give(&rates->latch);
}

/* --- taking --- */

uint64_t rates_cut(const struct rates *rates, uint64_t tokens)
{
    uint64_t tpm = number(&rates->tpm), most = tpm ? tpm : GCRA_MAX_UNITS;

    return tokens < most ? tokens : most;
}

/* Under the latch. */
static bool take_both(struct rates *rates, uint64_t tokens, uint64_t now_us,
                      struct rates_taken *ret_taken, uint64_t *ret_wait_us)
{
    struct gcra_rate by_request = request_rate(rates), by_token = token_rate(rates);
    struct rates_taken taken = {by_request.per_minute, by_token.per_minute, 0};
    struct gcra_verdict verdict;

    if (by_request.per_minute) {
        verdict = gcra_take(&rates->requests, &by_request, 1, now_us);
        *ret_wait_us = verdict.wait_us;
        if (!verdict.is_allowed)
            return false;
    }
    if (by_token.per_minute) {
        taken.tokens = tokens < by_token.burst ? tokens : by_token.burst;
        verdict = gcra_take(&rates->tokens, &by_token, taken.tokens, now_us);
        *ret_wait_us = verdict.wait_us;
        if (!verdict.is_allowed && by_request.per_minute)
            gcra_settle(&rates->requests, &by_request, 1, 0, now_us);
        if (!verdict.is_allowed)
            return false;
    }
    *ret_taken = taken;
    return true;
}

bool rates_take(struct rates *rates, uint64_t tokens, uint64_t now_us,
                struct rates_taken *ret_taken, uint64_t *ret_wait_us)
{
    enum rates_what what;
    uint64_t wait_us = rates_wait_us(rates, &(struct rates_before){0}, tokens, now_us, &what);
    bool is_taken = false;

    /* A class far beyond its rate does not have the workers pass its line around. */
    if (wait_us == 0) {
        latch_take(&rates->latch);
        is_taken = take_both(rates, tokens, now_us, ret_taken, &wait_us);
        latch_give(&rates->latch);
    }
    if (!is_taken)
        *ret_wait_us = wait_us;
    return is_taken;
}

/* The time that was taken by their rates: by another one it would be another time. */
void rates_give_back(struct rates *rates, struct rates_taken *taken, uint64_t now_us)
{
    const struct gcra_rate by_request = {taken->rpm, 1}, by_token = {taken->tpm, taken->tpm};

    if (!taken->rpm && !taken->tpm)
        return;
    latch_take(&rates->latch);
    if (taken->rpm)
        gcra_settle(&rates->requests, &by_request, 1, 0, now_us);
    if (taken->tpm)
        gcra_settle(&rates->tokens, &by_token, taken->tokens, 0, now_us);
    latch_give(&rates->latch);
    *taken = (struct rates_taken){0};
}

void rates_settle(struct rates *rates, const struct rates_taken *taken, uint64_t used,
                  uint64_t now_us)
{
    const struct gcra_rate by_token = {taken->tpm, taken->tpm};

    /* Where there is no limit any more, the next one begins with nothing used. */
    if (!taken->tpm || !number(&rates->tpm))
        return;
    latch_take(&rates->latch);
    gcra_settle(&rates->tokens, &by_token, taken->tokens, used, now_us);
    latch_give(&rates->latch);
}

/* --- what it says --- */

uint64_t rates_wait_us(const struct rates *rates, const struct rates_before *before,
                       uint64_t tokens, uint64_t now_us, enum rates_what *ret_what)
{
    struct gcra_rate by_request = request_rate(rates), by_token = token_rate(rates);
    uint64_t for_request = 0, for_token = 0;

    if (by_request.per_minute)
        for_request = gcra_wait_us(&rates->requests, &by_request, before->requests, 1, now_us);
    if (by_token.per_minute)
        for_token = gcra_wait_us(&rates->tokens, &by_token, before->tokens, tokens, now_us);
    if (for_request == 0 && for_token == 0)
        return 0;
    *ret_what = for_token > for_request ? RATES_TOKENS : RATES_REQUESTS;
    return for_token > for_request ? for_token : for_request;
}

static struct rates_reading read_bucket(const struct gcra *bucket, const struct gcra_rate *rate,
                                        uint64_t now_us)
{
    struct gcra_verdict verdict;

    if (!rate->per_minute)
        return (struct rates_reading){0};
    verdict = gcra_peek(bucket, rate, 1, now_us);
    return (struct rates_reading){rate->per_minute, verdict.remaining, verdict.reset_us};
}

struct rates_reading rates_read(const struct rates *rates, enum rates_what what, uint64_t now_us)
{
    struct gcra_rate rate;

    switch (what) {
    case RATES_REQUESTS:
        rate = request_rate(rates);
        return read_bucket(&rates->requests, &rate, now_us);
    case RATES_TOKENS:
        rate = token_rate(rates);
        return read_bucket(&rates->tokens, &rate, now_us);
    }
    return (struct rates_reading){0};
}
