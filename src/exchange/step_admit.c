/* May it run now: the budgets of its client and its pool; the limits of its client and of its
 * model, of which what it will use is reserved; and its turn in its class, for which it may wait.
 */
#include "base/clock.h"
#include "base/datetime.h"
#include "exchange/estimating.h"
#include "exchange/turn.h"
#include "ledger/budget.h"

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

/* False where that purse is empty, in which the client is told of which period, and until when. */
static bool look_into(struct exchange *x, const struct purse *purse,
                      const struct conf_budget *budget, enum failure failure)
{
    uint64_t wait_us, until_wall_us;
    char until[RFC3339_BYTES];
    struct span pool, message;

    if (!purse_is_spent(purse, loop_now_us(exchange_loop(x)), &wait_us))
        return true;
    pool = failure == FAILURE_POOL_BUDGET ? x->auth.client->pool_name : span_of(NULL, 0);
    /* Periods begin with a second; the two clocks were read a moment apart. */
    until_wall_us = loop_wall_us(exchange_loop(x)) + wait_us + US_PER_SEC / 2;
    datetime_write_rfc3339(until_wall_us - until_wall_us % US_PER_SEC, until);
    message = arena_printf(
        &x->arena, "The budget of %s%.*s for the %s is spent; the next one begins at %.*s.",
        pool.len ? "the pool " : "this API key", SPAN_ARG(pool),
        budget_period_word((enum budget_period)budget->per), RFC3339_BYTES, until);
    x->respond.retry_after_us = wait_us;
    x->admit.is_out_of_budget = true;
    exchange_refuse(x, failure, message, span_of(NULL, 0));
    return false;
}

static bool has_budget_left(struct exchange *x)
{
    const struct client *client = x->auth.client;

    return (!client->purse || look_into(x, client->purse, client->budget, FAILURE_CLIENT_BUDGET)) &&
           (!client->pool_purse ||
            look_into(x, client->pool_purse, client->pool_budget, FAILURE_POOL_BUDGET));
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

/* Its budget and its limits first: who is over them displaces nobody in its class, and says nothing
 * of how long places are held there. Whom the class then refuses at once has used none of them. */
static enum turn begin(struct exchange *x)
{
    enum turn turn;

    if (!has_budget_left(x) || !take_limits(x))
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
        if (x->admit.waiter && !has_budget_left(x))
            break;
        return move_done(STEP_SELECT);
    case TURN_LATER:
        return turn_park(x);
    case TURN_REFUSED:
        break;
    }
    return move_done(STEP_RESPOND);
}
