#include "exchange/cross.h"

#include "ledger/price.h"

/* Of the plan of an exchange that is counted: the side that it is counted on. */
enum { DRAWN_TARGET = 0 };

void cross_begin(struct exchange *x, struct plan *plan)
{
    struct plan_turn turn = plan_cross(plan, x->host->worker);

    if (!turn.is_counted)
        return;
    x->route.crossing = plan->crossing;
    x->route.side = turn.side;
}

void cross_note_sent(struct exchange *x)
{
    x->route.sent_us = loop_now_us(exchange_loop(x));
}

/* ---- the way to the old side ---- */

bool cross_is_apart(const struct exchange *x, uint32_t target)
{
    return x->route.crossing && x->route.side == CROSSING_NEW && target == DRAWN_TARGET;
}

/* Ends that another target would not mend, or that are nobody's fault. */
static bool is_final(enum outcome outcome)
{
    return outcome == OUTCOME_CLIENT_GONE || outcome == OUTCOME_TOTAL_TIMEOUT;
}

bool cross_goes_back(struct exchange *x, const struct outcome_row *row, bool may_try_again)
{
    if (x->select.target != DRAWN_TARGET)
        return false;
    x->route.blame = row;
    if (x->route.side != CROSSING_NEW || is_final(row->outcome) ||
        (x->select.excluded & (1u << DRAWN_TARGET)))
        return false;
    /* What blames one key is tried with the side's others first, as long as there are any. */
    if (may_try_again && !outcome_is_attempt(row->class))
        return false;
    x->select.excluded |= 1u << DRAWN_TARGET;
    return true;
}

bool cross_gives_way(struct exchange *x)
{
    if (!cross_is_apart(x, x->select.target))
        return false;
    x->select.excluded |= 1u << DRAWN_TARGET;
    return true;
}

/* ---- what came of it ---- */

/* Whether a failure, after which nobody else did better, is the target's own. */
static bool is_fault(const struct outcome_row *row)
{
    return row && row->class != CLASS_BAD_REQUEST && !is_final(row->outcome);
}

/* The side had the request, and let the exchange's whole time pass: nobody else could be asked. */
static bool is_hung(const struct exchange *x)
{
    const struct outcome_row *blame = x->route.blame;

    return blame && blame->outcome == OUTCOME_TOTAL_TIMEOUT && x->route.sent_us;
}

static void note_failed(struct exchange *x, bool is_broken)
{
    const struct outcome_row *blame = x->route.blame;
    bool is_refused = !is_broken && blame && blame->trial == TRIAL_REFUSED;

    crossing_note_failed(x->route.crossing, x->host->worker, x->route.side, is_refused, is_broken);
}

void cross_note_commit(struct exchange *x, uint64_t now_us)
{
    uint64_t sent_us = x->route.sent_us;

    /* Who answers in its place shows that it could be answered: whatever kept the side from it. */
    if (x->select.target != DRAWN_TARGET)
        note_failed(x, false);
    else
        crossing_note_good(x->route.crossing, x->host->worker, x->route.side,
                           now_us > sent_us ? now_us - sent_us : 0);
}

static void note_whole(struct exchange *x, uint64_t duration_us)
{
    const struct dialect_usage *usage = &x->account.usage;
    struct crossing_answer answer = {
        .total_us = duration_us,
        .has_usage = usage->is_known,
        .prompt_tokens = usage->prompt_tokens,
        .completion_tokens = usage->completion_tokens,
    };
    uint64_t picousd;

    answer.has_cost = exchange_cost(x, &picousd);
    if (answer.has_cost)
        answer.cost_nano = price_nano(picousd);
    crossing_note_whole(x->route.crossing, x->host->worker, x->route.side, &answer);
}

void cross_end(struct exchange *x, uint64_t duration_us)
{
    bool is_cut = x->account.cut_by != INTERRUPT_NONE;

    if (!x->relay.is_committed) {
        if (is_hung(x) || (x->select.attempts > 0 && !is_cut && is_fault(x->route.blame)))
            note_failed(x, false);
        return;
    }
    if (x->select.target != DRAWN_TARGET || is_cut)
        return;
    if (x->relay.is_whole && !x->respond.has_failure)
        note_whole(x, duration_us);
    else
        note_failed(x, true);
}
