/* May it run now: the limits of its client and of its model, of which what it will use is reserved;
 * and its turn in its class, for which it may wait. */
#include "exchange/turn.h"

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

static struct move take_limits(struct exchange *x)
{
    uint64_t tokens = x->body.prompt_tokens + request_scan_max_tokens(x->body.request);
    struct admission_verdict verdict =
        admission_begin(&x->admit.admission, x->auth.client->limiter, x->route.limiter, tokens,
                        loop_now_us(exchange_loop(x)));

    x->admit.nearest = verdict.nearest;
    x->admit.is_admitted = verdict.is_admitted;
    if (verdict.is_admitted)
        return move_more();
    x->respond.retry_after_us = verdict.wait_us;
    return exchange_refuse(x, failure_of(&verdict.nearest), span_of(NULL, 0), span_of(NULL, 0));
}

struct move step_admit(struct exchange *x)
{
    bool is_new = !x->admit.is_admitted;
    enum turn turn = is_new ? turn_begin(x) : turn_go_on(x);

    if (turn == TURN_REFUSED)
        return move_done(STEP_RESPOND);
    if (is_new) {
        struct move move = take_limits(x);

        if (move.kind == MOVE_DONE)
            return move;
    }
    return turn == TURN_HERE ? move_done(STEP_SELECT) : turn_park(x);
}
