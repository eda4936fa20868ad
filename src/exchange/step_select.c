/*
 * Which key: the targets of the plan are asked in order; where none has a key now, the exchange
 * waits in the room of the provider that is free first, as long as retry.wait allows; a second 429
 * does not start the wait anew. The room knows whose turn it is when a key comes free, or back by
 * time; an exchange's own timer ends its wait.
 */
#include "exchange/notice.h"
#include "exchange/select_body.h"
#include "limits/backoff.h"

/* What was refused for its rate, or refused the connection, has been waited for already: the pool
 * holds it back until its time. What was refused for now waits whichever key comes next. */
static bool needs_backoff(struct exchange *x)
{
    const struct outcome_row *last = x->respond.last;

    if (x->select.has_backed_off)
        return false;
    if (last && last->remedy == REMEDY_LATER)
        return true;
    if (!select_was_tried(x, x->select.target))
        return false;
    return !last || (last->class != CLASS_RATE_LIMIT && last->class != CLASS_CONNECT);
}

/* The same key again at once would meet the same trouble: exponential backoff with full jitter; a
 * Retry-After of the last answer wins, and one that is too far off ends the exchange. */
static struct move back_off(struct exchange *x, uint64_t now_us)
{
    const struct conf_retry *conf = &exchange_config(x)->retry;
    uint64_t delay_us = x->select.hint_us;

    select_give_back(x);
    if (!delay_us)
        delay_us = backoff_delay_us(conf->base_delay_us, conf->max_delay_us,
                                    x->select.tries ? x->select.tries - 1 : 0, &x->host->rand);
    if (delay_us > conf->max_delay_us || now_us + delay_us >= exchange_deadline_us(x)) {
        x->respond.retry_after_us = delay_us;
        return respond_with_last(x);
    }
    x->select.has_backed_off = true;
    x->select.not_before_us = now_us + delay_us;
    return select_park(x, x->select.not_before_us);
}

static void tell_no_shortage(const struct exchange *x, uint32_t target)
{
    const struct plan_target *row = &x->route.targets[target];
    const struct snapshot_provider *provider = x->binding->outlets[row->provider_index].row;
    struct notice notice;

    if (!shortage_is_there(provider_shortage(provider->provider)))
        return;
    notice = notice_of(x, provider, NULL);
    notice_key_found(&notice, provider->provider, row);
}

static struct move take(struct exchange *x, uint32_t target, uint64_t now_us)
{
    select_leave_room(x, true);
    select_use_grant(x, target);
    tell_no_shortage(x, target);
    x->select.target = target;
    if (needs_backoff(x))
        return back_off(x, now_us);
    return move_done(STEP_SEND);
}

/* timeouts.total covers the waits too. */
static struct move run_out_of_time(struct exchange *x)
{
    select_leave_room(x, false);
    select_pass_grant(x);
    x->account.cut_by = INTERRUPT_DEADLINE;
    return exchange_refuse(x, FAILURE_TIMEOUT, span_of(NULL, 0), span_of(NULL, 0));
}

/* Behind a test that is under way one waits to the end, however late that may be answered: its
 * key's time is over. */
static bool is_worth_waiting(const struct exchange *x, const struct keypool_choice *choice,
                             uint64_t now_us)
{
    if (choice->verdict == KEYPOOL_NEVER || now_us >= x->select.wait_until_us)
        return false;
    return choice->reason == KEYPOOL_TESTING || choice->free_at_us <= x->select.wait_until_us;
}

/* Its room has its turn come; its own timer ends the wait, and asks only where the room does not.
 */
static struct move wait_for_turn(struct exchange *x, const struct survey *survey)
{
    uint64_t free_at_us = survey->choice.free_at_us, until_us = x->select.wait_until_us;

    if (waiting_tell(x->select.room, x->select.place, free_at_us))
        exchange_host_look_at(x->host, free_at_us);
    else if (free_at_us < until_us)
        until_us = free_at_us;
    return select_park(x, until_us);
}

/* Who stands in line already has its place there. */
static bool is_line_too_long(struct exchange *x, struct survey *survey, uint64_t now_us)
{
    if (x->select.room || x->select.granted.stood_in == select_room(x, survey->target))
        return false;
    return select_turn_in_line(x, survey, now_us) > x->select.wait_until_us;
}

struct move step_select(struct exchange *x)
{
    uint64_t now_us = loop_now_us(exchange_loop(x));
    struct survey survey;
    int err;

    if (now_us >= exchange_deadline_us(x))
        return run_out_of_time(x);
    if (now_us < x->select.not_before_us)
        return select_park(x, x->select.not_before_us);
    survey = select_ask_all(x, now_us);
    if (survey.choice.verdict == KEYPOOL_CHOSEN)
        return take(x, survey.target, now_us);
    if (!x->select.wait_until_us)
        x->select.wait_until_us = now_us + exchange_config(x)->retry.wait_us;
    if (!is_worth_waiting(x, &survey.choice, now_us) || is_line_too_long(x, &survey, now_us)) {
        select_leave_room(x, false);
        select_pass_grant(x);
        return select_refuse(x, &survey, now_us);
    }
    exchange_host_miss(x->host, &x->select.granted, survey.choice.free_at_us);
    if (x->select.room)
        return wait_for_turn(x, &survey);
    /* Asked once more after entering, or a key that came free in between would wake nobody. */
    err = select_enter_room(x, survey.target);
    return err ? select_refuse_entry(x, survey.target, err) : move_more();
}
