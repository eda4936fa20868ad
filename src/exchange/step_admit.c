/* May it run now: the limits of its client and of its model; what it will use is reserved. */
#include "exchange/exchange.h"

static enum failure failure_of(const struct limiter_reading *reading)
{
    if (reading->kind == LIMITER_MODEL)
        return FAILURE_MODEL_LIMIT;
    switch (reading->what) {
    case LIMITER_TOKENS:
        return FAILURE_CLIENT_TOKENS;
    case LIMITER_CONCURRENT:
        return FAILURE_CLIENT_CONCURRENT;
    case LIMITER_REQUESTS:
    case LIMITER_NONE:
        break;
    }
    return FAILURE_CLIENT_LIMIT;
}

struct move step_admit(struct exchange *x)
{
    uint64_t tokens = x->body.prompt_tokens + request_scan_max_tokens(x->body.request);
    struct admission_verdict verdict =
        admission_begin(&x->admit.admission, x->auth.client->limiter, x->route.limiter, tokens,
                        loop_now_us(exchange_loop(x)));

    x->admit.nearest = verdict.nearest;
    x->admit.is_admitted = verdict.is_admitted;
    if (verdict.is_admitted)
        return move_done(STEP_SELECT);
    x->respond.retry_after_us = verdict.wait_us;
    return exchange_refuse(x, failure_of(&verdict.nearest), span_of(NULL, 0), span_of(NULL, 0));
}
