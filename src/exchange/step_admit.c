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

/* The client is told of which period it is spent, and until when. */
static void refuse_spent(struct exchange *x, const struct conf_budget *budget, uint64_t wait_us,
                         enum failure failure)
{
    uint64_t until_wall_us;
    char until[RFC3339_BYTES];
    struct span pool, message;

    pool = failure == FAILURE_POOL_BUDGET ? x->auth.client->pool_name : span_of(NULL, 0);
    /* Periods begin with a second; the two clocks were read a moment apart. */
    until_wall_us = loop_wall_us(exchange_loop(x)) + wait_us + US_PER_SEC / 2;
    datetime_write_rfc3339(until_wall_us - until_wall_us % US_PER_SEC, until);
    message = arena_printf(
        &x->arena, "The budget of %s%.*s for the %s is spent; the next one begins at %.*s.",
        pool.len ? "the pool " : "this API key", SPAN_ARG(pool),
        budget_period_word((enum budget_period)budget->per), RFC3339_BYTES, until);
    x->respond.retry_after_us = wait_us;
    exchange_refuse(x, failure, message, span_of(NULL, 0));
}

/* False where one is empty. Where both are, it is the one that stays so for longer that counts. */
static bool has_budget_left(struct exchange *x)
{
    const struct client *client = x->auth.client;
    uint64_t now_us = loop_now_us(exchange_loop(x)), own_us = 0, pool_us = 0;
    bool is_own_spent = purse_is_spent(client->purse, now_us, &own_us);
    bool is_pool_spent = purse_is_spent(client->pool_purse, now_us, &pool_us);

    if (!is_own_spent && !is_pool_spent)
        return true;
    if (is_own_spent && (!is_pool_spent || own_us >= pool_us))
        refuse_spent(x, client->budget, own_us, FAILURE_CLIENT_BUDGET);
    else
        refuse_spent(x, client->pool_budget, pool_us, FAILURE_POOL_BUDGET);
    return false;
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
