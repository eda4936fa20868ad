/*
 * Which key: the targets of the plan are asked in order; where none has a key now, the exchange
 * waits in the room of the provider that is free first, as long as retry.wait allows; a second 429
 * does not start the wait anew. The room knows whose turn it is when a key comes free, or back by
 * time; an exchange's own timer ends its wait.
 */
#include "base/err.h"
#include "exchange/cross.h"
#include "exchange/estimating.h"
#include "exchange/exchange.h"
#include "exchange/notice.h"
#include "exchange/session.h"
#include "exchange/sites.h"
#include "limits/backoff.h"

/* Odd, its bits spread by the golden ratio: needs that differ little lie far apart. */
#define MIX UINT64_C(0x9e3779b97f4a7c15)

/* What asking all targets came to. */
struct survey {
    struct keypool_choice choice; /* of the target to wait for, or of the last that refused */
    uint32_t target;
    uint64_t turn_us; /* as turn_in_line has it; 0: not asked for yet */
};

static bool is_excluded(const struct exchange *x, uint32_t target)
{
    return (x->select.excluded & (1u << target)) != 0;
}

bool select_has_other_target(const struct exchange *x, uint32_t target)
{
    for (uint32_t i = 0; i < x->route.target_count; i++) {
        if (i != target && !is_excluded(x, i))
            return true;
    }
    return false;
}

struct keypool_tried **select_tried(struct exchange *x, uint32_t target)
{
    return cross_is_apart(x, target) ? &x->select.tried_apart : &x->select.tried;
}

static bool is_limited(const struct keypool_choice *choice)
{
    return choice->verdict == KEYPOOL_LATER &&
           (choice->reason == KEYPOOL_AT_LIMIT || choice->reason == KEYPOOL_FULL);
}

static struct keypool_choice ask_site(struct exchange *x, struct outlet *outlet,
                                      struct keypool_ask *question, uint32_t site, bool is_last,
                                      uint64_t now_us)
{
    struct keypool_choice choice;

    question->endpoint = endpoint_health_of(outlet->row->sites[site].endpoint);
    question->endpoint_tally = outlet->sites[site].tally;
    question->is_last_endpoint = is_last;
    choice = keypool_select(outlet->view, question, now_us, &x->select.grant);
    /* Before it goes elsewhere, or waits: shadows may hold what it needs. */
    if (is_limited(&choice) && !list_is_empty(&x->host->shadows.under_way)) {
        shadows_yield_keys(x->host, outlet->row->provider);
        choice = keypool_select(outlet->view, question, now_us, &x->select.grant);
    }
    if (choice.verdict == KEYPOOL_CHOSEN)
        x->select.site = site;
    return choice;
}

/* A session stays where its prompts are cached. A site may close between looking and going. */
static struct keypool_choice ask_sites(struct exchange *x, uint32_t target,
                                       struct keypool_ask *question, bool is_last, uint64_t now_us)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct sites sites = {.x = x, .outlet = outlet, .target = target, .now_us = now_us};
    uint64_t random = question->session ? question->session : rand_u64(&x->host->rand);
    uint32_t site;

    while (sites_next(&sites, random, &site)) {
        struct keypool_choice choice = ask_site(x, outlet, question, site, false, now_us);

        if (choice.verdict != KEYPOOL_LATER ||
            (choice.reason != KEYPOOL_ENDPOINT_OPEN && choice.reason != KEYPOOL_ENDPOINT_RESTING))
            return choice;
        sites.shut |= UINT64_C(1) << site;
    }
    return ask_site(x, outlet, question, site, is_last, now_us);
}

static struct keypool_ask question_of(struct exchange *x, uint32_t target, uint64_t now_us)
{
    const struct plan_target *row = &x->route.targets[target];
    uint64_t wait_until_us = x->select.wait_until_us;
    uint64_t answer, tokens = estimating_guess(x, row, &answer);

    return (struct keypool_ask){
        .model = row->model,
        .model_hash = row->model_hash,
        .pool = x->auth.client->pool,
        .session = row->provider->selection == CONF_SELECTION_STICKY ? session_of(x) : 0,
        .tokens = tokens,
        .tokens_out = answer,
        .is_streamed = x->body.is_streaming,
        .wait_until_us = wait_until_us ? wait_until_us : now_us + exchange_config(x)->retry.wait_us,
        .tried = *select_tried(x, target),
        .is_urgent = wait_until_us && now_us >= wait_until_us,
    };
}

static struct keypool_choice ask(struct exchange *x, uint32_t target, bool is_last, uint64_t now_us)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct keypool_ask question = question_of(x, target, now_us);

    return outlet->row->regions ? ask_sites(x, target, &question, is_last, now_us)
                                : ask_site(x, outlet, &question, 0, is_last, now_us);
}

static bool was_tried(struct exchange *x, uint32_t target)
{
    const struct keypool_tried *tried = *select_tried(x, target);

    for (uint32_t i = 0; tried && i < tried->count; i++) {
        if (tried->items[i].key == x->select.grant.key)
            return true;
    }
    return false;
}

static void give_back(struct exchange *x, uint32_t target, uint64_t now_us)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];

    exchange_host_follow(x->host, outlet->row->provider,
                         keypool_cancel(outlet->view, &x->select.grant, now_us));
}

void select_give_back(struct exchange *x)
{
    give_back(x, x->select.target, loop_now_us(exchange_loop(x)));
}

/* Asks in order until a target has a key; else tells which is free first. A target that has only
 * keys that failed already is exhausted: it is asked again when the others have none either. */
static struct survey ask_all(struct exchange *x, uint64_t now_us)
{
    struct survey survey = {.choice = {.verdict = KEYPOOL_NEVER, .reason = KEYPOOL_TRIED}};
    uint32_t exhausted = UINT32_MAX;

    for (uint32_t i = 0; i < x->route.target_count; i++) {
        struct keypool_choice choice;

        if (is_excluded(x, i))
            continue;
        choice = ask(x, i, !select_has_other_target(x, i), now_us);
        if (choice.verdict == KEYPOOL_CHOSEN) {
            if (!was_tried(x, i) || !select_has_other_target(x, i))
                return (struct survey){choice, i};
            give_back(x, i, now_us);
            exhausted = exhausted == UINT32_MAX ? i : exhausted;
            continue;
        }
        if (choice.verdict == KEYPOOL_LATER && (survey.choice.verdict != KEYPOOL_LATER ||
                                                choice.free_at_us < survey.choice.free_at_us))
            survey = (struct survey){choice, i};
        else if (survey.choice.verdict == KEYPOOL_NEVER && survey.choice.reason == KEYPOOL_TRIED)
            survey = (struct survey){choice, i};
    }
    if (exhausted != UINT32_MAX)
        return (struct survey){ask(x, exhausted, false, now_us), exhausted};
    /* Breakers never exclude the last way: where they stand before all targets, the one that
     * recovers first is tried before its time. */
    if (survey.choice.verdict == KEYPOOL_LATER && survey.choice.reason == KEYPOOL_ENDPOINT_OPEN)
        survey.choice = ask(x, survey.target, true, now_us);
    return survey;
}

/* --- waiting --- */

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

static struct waiting_room *room_of(const struct exchange *x, uint32_t target)
{
    const struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];

    return provider_waiting(outlet->row->provider);
}

/* It waits no longer: those behind it may have a use for what came free. */
static void pass_grant(struct exchange *x)
{
    exchange_host_pass(x->host, &x->select.granted);
}

/* It has a key; a grant of another provider's room was not for this one. */
static void use_grant(struct exchange *x, uint32_t target)
{
    if (x->select.granted.room == room_of(x, target))
        exchange_host_use(x->host, &x->select.granted);
    else
        pass_grant(x);
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

static int enter_room(struct exchange *x, uint32_t target)
{
    struct outlet *outlet = &x->binding->outlets[x->route.targets[target].provider_index];
    struct waiting_room *room = room_of(x, target);
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

static struct move park(struct exchange *x, uint64_t until_us)
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
    ahead = waiting_ahead(room_of(x, target), need_of(x, target), x->auth.priority);
    if (ahead == 0)
        return 0;
    question = question_of(x, target, now_us);
    return keypool_supply_us(outlet->view, &question, ahead, now_us);
}

static uint64_t turn_in_line(struct exchange *x, struct survey *survey, uint64_t now_us)
{
    if (survey->turn_us == 0)
        survey->turn_us = find_turn(x, survey, now_us);
    return survey->turn_us;
}

/* --- no key --- */

static enum failure failure_of(enum keypool_reason reason)
{
    switch (reason) {
    case KEYPOOL_LIMITED:
    case KEYPOOL_AT_LIMIT:
    case KEYPOOL_FULL:
    case KEYPOOL_TESTING:
    case KEYPOOL_ENDPOINT_RESTING:
    case KEYPOOL_COOLING:
        return FAILURE_KEYS_COOLING;
    case KEYPOOL_VALIDATING:
    case KEYPOOL_ENDPOINT_OPEN:
    case KEYPOOL_DISABLED:
        return FAILURE_UPSTREAM_OPEN;
    case KEYPOOL_DEPLETED:
        return FAILURE_UPSTREAM_DEPLETED;
    case KEYPOOL_FORBIDDEN:
    case KEYPOOL_INVALID:
        return FAILURE_UPSTREAM_AUTH;
    case KEYPOOL_NO_MODEL:
        return FAILURE_MODEL_NOT_FOUND;
    case KEYPOOL_NO_CAPACITY:
    case KEYPOOL_NO_REASON:
    case KEYPOOL_REASONS:
        return FAILURE_OVERLOADED;
    case KEYPOOL_TRIED:
        break;
    }
    return FAILURE_UPSTREAM_FAILED;
}

/* The last try's own answer says more than that its key now rests, where it was an answer that
 * blames no key. That a model is missing is said only where nobody is left who may have it. */
static bool is_last_telling(const struct exchange *x, enum keypool_reason reason)
{
    const struct outcome_row *last = x->respond.last;

    if (!last)
        return false;
    if (last->class == CLASS_MODEL_MISSING)
        return reason == KEYPOOL_TRIED || reason == KEYPOOL_NO_MODEL;
    /* A connection that was refused tells no more than that the endpoint is shut. */
    if (last->class == CLASS_CONNECT)
        return reason == KEYPOOL_TRIED;
    return reason == KEYPOOL_TRIED || outcome_is_attempt(last->class);
}

/* That this exchange has tried them all, or that a model is unknown, is no shortage of keys. */
static void tell_shortage(const struct exchange *x, const struct survey *survey)
{
    const struct keypool_choice *choice = &survey->choice;
    const struct plan_target *target = &x->route.targets[survey->target];
    const struct snapshot_provider *row = x->binding->outlets[target->provider_index].row;
    struct notice notice = notice_of(x, row, keypool_reason_text(choice->reason));

    if (choice->reason != KEYPOOL_TRIED && choice->reason != KEYPOOL_NO_MODEL)
        notice_no_key(&notice, row->provider, target,
                      choice->verdict == KEYPOOL_LATER ? choice->free_at_us : 0);
}

static struct move refuse(struct exchange *x, struct survey *survey, uint64_t now_us)
{
    enum keypool_reason reason = survey->choice.reason;
    uint64_t turn_us = turn_in_line(x, survey, now_us);
    const struct span none = {NULL, 0};

    /* Those who wait come before it when it is back. */
    if (turn_us > survey->choice.free_at_us)
        survey->choice.free_at_us = turn_us;
    tell_shortage(x, survey);
    if (survey->choice.verdict == KEYPOOL_LATER)
        x->respond.retry_after_us = survey->choice.free_at_us - now_us;
    if (is_last_telling(x, reason))
        return respond_with_last(x);
    if (reason == KEYPOOL_NO_MODEL)
        return exchange_refuse(
            x, FAILURE_MODEL_NOT_FOUND,
            arena_printf(&x->arena, "No key serves the model '%.*s'.", SPAN_ARG(x->route.model)),
            SPAN("model"));
    return exchange_refuse(x, failure_of(reason), none, none);
}

/* A room that is full, or for which there is no memory. */
static struct move refuse_entry(struct exchange *x, uint32_t target, int err)
{
    const struct plan_target *row = &x->route.targets[target];
    struct span name = provider_name(x->binding->outlets[row->provider_index].row->provider);
    struct span message = span_of(NULL, 0);

    if (err == ERR_FULL)
        message = arena_printf(
            &x->arena, "%d requests wait for a key of the provider '%.*s', and no more may.",
            PROVIDER_MAX_WAITING, SPAN_ARG(name));
    return exchange_refuse(x, FAILURE_OVERLOADED, message, span_of(NULL, 0));
}

/* --- the choice --- */

/* What was refused for its rate, or refused the connection, has been waited for already: the pool
 * holds it back until its time. What was refused for now waits whichever key comes next. */
static bool needs_backoff(struct exchange *x)
{
    const struct outcome_row *last = x->respond.last;

    if (x->select.has_backed_off)
        return false;
    if (last && last->remedy == REMEDY_LATER)
        return true;
    if (!was_tried(x, x->select.target))
        return false;
    return !last || (last->class != CLASS_RATE_LIMIT && last->class != CLASS_CONNECT);
}

/* The same key again at once would meet the same trouble: exponential backoff with full jitter; a
 * Retry-After of the last answer wins, and one that is too far off ends the exchange. */
static struct move back_off(struct exchange *x, uint64_t now_us)
{
    const struct conf_retry *conf = &exchange_config(x)->retry;
    uint64_t delay_us = x->select.hint_us;

    give_back(x, x->select.target, now_us);
    if (!delay_us)
        delay_us = backoff_delay_us(conf->base_delay_us, conf->max_delay_us,
                                    x->select.tries ? x->select.tries - 1 : 0, &x->host->rand);
    if (delay_us > conf->max_delay_us || now_us + delay_us >= exchange_deadline_us(x)) {
        x->respond.retry_after_us = delay_us;
        return respond_with_last(x);
    }
    x->select.has_backed_off = true;
    x->select.not_before_us = now_us + delay_us;
    return park(x, x->select.not_before_us);
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
    use_grant(x, target);
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
    pass_grant(x);
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
    return park(x, until_us);
}

/* Who stands in line already has its place there. */
static bool is_line_too_long(struct exchange *x, struct survey *survey, uint64_t now_us)
{
    if (x->select.room || x->select.granted.stood_in == room_of(x, survey->target))
        return false;
    return turn_in_line(x, survey, now_us) > x->select.wait_until_us;
}

struct move step_select(struct exchange *x)
{
    uint64_t now_us = loop_now_us(exchange_loop(x));
    struct survey survey;
    int err;

    if (now_us >= exchange_deadline_us(x))
        return run_out_of_time(x);
    if (now_us < x->select.not_before_us)
        return park(x, x->select.not_before_us);
    survey = ask_all(x, now_us);
    if (survey.choice.verdict == KEYPOOL_CHOSEN)
        return take(x, survey.target, now_us);
    if (!x->select.wait_until_us)
        x->select.wait_until_us = now_us + exchange_config(x)->retry.wait_us;
    if (!is_worth_waiting(x, &survey.choice, now_us) || is_line_too_long(x, &survey, now_us)) {
        select_leave_room(x, false);
        pass_grant(x);
        return refuse(x, &survey, now_us);
    }
    exchange_host_miss(x->host, &x->select.granted, survey.choice.free_at_us);
    if (x->select.room)
        return wait_for_turn(x, &survey);
    /* Asked once more after entering, or a key that came free in between would wake nobody. */
    err = enter_room(x, survey.target);
    return err ? refuse_entry(x, survey.target, err) : move_more();
}
