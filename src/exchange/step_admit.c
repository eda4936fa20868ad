/* May it run now: the limits of its client and of its model, of which what it will use is reserved;
 * and its turn in its class, for which it may wait. */
#include "exchange/estimating.h"
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

/* False where one of them refuses. */
static bool take_limits(struct exchange *x)
{
    uint64_t answer, tokens = estimating_guess(x, &x->route.targets[0], &answer);
    struct admission_verdict verdict =
        admission_begin(&x->admit.admission, x->auth.client->limiter, x->route.limiter, tokens,
                        loop_now_us(exchange_loop(x)));

    x->admit.nearest = verdict.nearest;
    x->admit.is_admitted = verdict.is_admitted;
    if (verdict.is_admitted)
        return true;
    x->respond.retry_after_us = verdict.wait_us;
    exchange_refuse(x, failure_of(&verdict.nearest), span_of(NULL, 0), span_of(NULL, 0));
    return false;
}

/* Its limits first: who is over them displaces nobody in its class, and says nothing of how long
 * places are held there. Whom the class then refuses at once has used none of them. */
static enum turn begin(struct exchange *x)
{
    enum turn turn;

    if (!take_limits(x))
        return TURN_REFUSED;
    turn = turn_begin(x);
    if (turn == TURN_REFUSED) {
        admission_cancel(&x->admit.admission, loop_now_us(exchange_loop(x)));
        x->admit.is_admitted = false;
    }
    return turn;
}

struct move step_admit(struct exchange *x)
{
    switch (x->admit.is_admitted ? turn_go_on(x) : begin(x)) {
    case TURN_HERE:
        return move_done(STEP_SELECT);
    case TURN_LATER:
        return turn_park(x);
    case TURN_REFUSED:
        break;
    }
    return move_done(STEP_RESPOND);
}
