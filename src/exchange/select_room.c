/*
 * Waiting for a key: in the room of one provider, in a line with those who need the same, until
 * somebody's end or the time brings one back.
 */
#include "exchange/estimating.h"
#include "exchange/select_body.h"

/* Odd, its bits spread by the golden ratio: needs that differ little lie far apart. */
#define MIX UINT64_C(0x9e3779b97f4a7c15)

void select_note_wait(struct exchange *x)
{
    if (x->select.parked_us)
        return;
    x->select.parked_us = loop_now_us(exchange_loop(x));
    metrics_add(x->host->metrics, x->host->series.waiting, 1);
}

void select_note_wait_over(struct exchange *x)
{
    if (!x->select.parked_us)
        return;
    x->select.waited_us += loop_now_us(exchange_loop(x)) - x->select.parked_us;
    x->select.parked_us = 0;
    metrics_add(x->host->metrics, x->host->series.waiting, (uint64_t)-1);
}

void select_leave_room(struct exchange *x, bool has_use)
{
    struct waiting_room *room = x->select.room;

    loop_timer_clear(&x->select.timer);
    select_note_wait_over(x);
    if (!room)
        return;
    parking_leave(&x->host->parking, x->select.ticket);
    x->select.room = NULL;
    /* A grant that is on its way and of no use here is somebody else's. */
    if (!waiting_leave(room, &x->select.place, &x->select.granted) && !has_use)
        exchange_host_pass(x->host, &x->select.granted);
}

void select_note_grant(struct exchange *x, const struct waiting_ticket *granted)
{
    parking_leave(&x->host->parking, x->select.ticket);
    x->select.room = NULL;
    x->select.granted = *granted;
}

struct waiting_room *select_room(const struct exchange *x, uint32_t target)
{
    const struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];

    return provider_waiting(outlet->row->provider);
}

void select_pass_grant(struct exchange *x)
{
    exchange_host_pass(x->host, &x->select.granted);
}

void select_use_grant(struct exchange *x, uint32_t target)
{
    if (x->select.granted.room == select_room(x, target))
        exchange_host_use(x->host, &x->select.granted);
    else
        select_pass_grant(x);
}

/* By a factor of four: what is too much for one finds room mostly nowhere for all. */
static uint64_t size_class(uint64_t tokens)
{
    return tokens ? (uint64_t)(64 - __builtin_clzll(tokens) + 1) / 2 : 0;
}

/* The same keys serve those who ask for the same model on behalf of the same pool, and, where
 * tokens are limited, for about as many. Who may go elsewhere leaves the line as it likes: who may
 * not does not count on it. */
static uint64_t need_of(struct exchange *x, uint32_t target)
{
    const struct plan_target *row = &x->route.targets[target];
    struct outlet *outlet = &x->binding->outlets[row->provider_index];
    uint64_t answer, need = x->auth.client->pool;

    need =
        need * 64 +
        (keypool_limits_tokens(outlet->view) ? size_class(estimating_guess(x, row, &answer)) : 0);
    need = row->model_hash ^ (need * 2 + select_has_other_target(x, target)) * MIX;
    return need ? need : 1;
}

int select_enter_room(struct exchange *x, uint32_t target)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct waiting_room *room = select_room(x, target);
    struct waiting_ticket *ticket = &x->select.ticket;
    int err = parking_enter(&x->host->parking, x, ticket);

    if (err)
        return err;
    ticket->priority = x->auth.priority;
    ticket->need = need_of(x, target);
    /* Where it stood before it asked in vain. */
    ticket->stood_in = x->select.granted.stood_in;
    ticket->order = x->select.granted.order;
    ticket->round = x->select.granted.round;
    err = waiting_enter(room, *ticket, &x->select.place);
    if (err) {
        parking_leave(&x->host->parking, *ticket);
        return err;
    }
    x->select.room = room;
    shadows_yield_keys(x->host, outlet->row->provider);
    return 0;
}

struct move select_park(struct exchange *x, uint64_t until_us)
{
    uint64_t deadline_us = exchange_deadline_us(x);

    /* Untold of the time it could wait for ever. */
    if (loop_timer_set(&x->select.timer, until_us < deadline_us ? until_us : deadline_us))
        return exchange_refuse(x, FAILURE_OVERLOADED, span_of(NULL, 0), span_of(NULL, 0));
    select_note_wait(x);
    return move_park();
}

/* When it would have its turn, where it is certain how long those before it in the line take; 0
 * where nobody knows: it waits, and may be lucky. */
static uint64_t find_turn(struct exchange *x, const struct survey *survey, uint64_t now_us)
{
    uint32_t target = survey->target, ahead;
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct keypool_ask question;

    if (survey->choice.verdict != KEYPOOL_LATER || survey->choice.reason != KEYPOOL_AT_LIMIT ||
        select_has_other_target(x, target))
        return 0;
    ahead = waiting_ahead(select_room(x, target), need_of(x, target), x->auth.priority);
    if (ahead == 0)
        return 0;
    question = select_question(x, target, now_us);
    return keypool_supply_us(outlet->view, &question, ahead, now_us);
}

uint64_t select_turn_in_line(struct exchange *x, struct survey *survey, uint64_t now_us)
{
    if (survey->turn_us == 0)
        survey->turn_us = find_turn(x, survey, now_us);
    return survey->turn_us;
}
