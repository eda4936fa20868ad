#include "exchange/turn.h"
#include "exchange/select.h"

#include "conf/hours.h"

/* Of its time, the part that one from outside the windows has left when it is held no more. */
enum { NEAR_PART = 10 };

/* What few exchanges need: as which it waits, or waited. In the arena. */
struct turn_wait {
    struct bulkhead_waiter waiter; /* x->admit.waiter */
    struct list watched;           /* among the host's windows */
};

static const struct snapshot_class *class_of(const struct exchange *x)
{
    return &x->binding->snapshot->classes[x->auth.priority];
}

static struct bulkhead *bulkhead_of(const struct exchange *x)
{
    return x->host->registry->bulkheads[x->auth.priority];
}

static struct turn_wait *wait_of(const struct exchange *x)
{
    return container_of(x->admit.waiter, struct turn_wait, waiter);
}

static void grant_later(void *owner, uint64_t at_us)
{
    exchange_host_grant_turns_at(owner, at_us);
}

static struct bulkhead_caller caller_of(struct exchange_host *host)
{
    return (struct bulkhead_caller){exchange_host_call, host, grant_later, loop_now_us(host->loop)};
}

static bool is_rated(const struct conf_class *conf)
{
    return conf->limits.rpm || conf->limits.tpm;
}

static void count(const struct exchange *x, const uint32_t series[PRIORITIES], uint64_t n)
{
    metrics_add(x->host->metrics, series[x->auth.priority], n);
}

static void count_writes(const struct exchange *x, uint64_t n)
{
    metrics_add(x->host->metrics, x->host->series.writes + METRIC_WRITES_LIMITS, n);
}

/* --- its turn has come, or never will --- */

static enum turn begin_to_run(struct exchange *x, bool is_limited)
{
    uint64_t now_us = loop_now_us(exchange_loop(x));

    x->admit.since_us = now_us;
    count(x, x->host->series.class_running, 1);
    if (is_limited)
        metrics_observe(x->host->metrics, x->host->series.class_wait[x->auth.priority],
                        &metrics_bounds_ms, now_us - x->admit.asked_us);
    return TURN_HERE;
}

static void end_wait(struct exchange *x)
{
    if (!x->admit.is_waiting)
        return;
    x->admit.is_waiting = false;
    window_watch_remove(&x->host->windows, &wait_of(x)->watched);
    loop_timer_clear(&x->select.timer);
    select_note_wait_over(x);
    count(x, x->host->series.class_waiting, (uint64_t)-1);
}

static enum turn refuse(struct exchange *x, enum metric_refusal reason, const char *why)
{
    struct span name = priority_name(x->auth.priority);
    struct span message = arena_printf(&x->arena, "%s the class '%.*s'.", why, SPAN_ARG(name));

    metrics_add(x->host->metrics,
                x->host->series.class_refused[x->auth.priority] + (uint32_t)reason, 1);
    exchange_refuse(x, FAILURE_OVERLOADED, message, span_of(NULL, 0));
    return TURN_REFUSED;
}

/* A limit of the class rather than its places. */
static enum turn refuse_limited(struct exchange *x, const struct bulkhead_refusal *refusal)
{
    struct span name = priority_name(x->auth.priority);
    bool is_of_tokens = refusal->what == RATES_TOKENS;
    struct span message = arena_printf(&x->arena, "The %s limit of the class '%.*s' is reached.",
                                       is_of_tokens ? "token" : "request", SPAN_ARG(name));

    x->admit.nearest = (struct limiter_reading){
        is_of_tokens ? LIMITER_TOKENS : LIMITER_REQUESTS, LIMITER_CLASS, refusal->reading.limit,
        refusal->reading.remaining, refusal->reading.reset_us};
    metrics_add(x->host->metrics,
                x->host->series.class_refused[x->auth.priority] + METRIC_REFUSAL_LIMIT, 1);
    exchange_refuse(x, is_of_tokens ? FAILURE_CLASS_TOKENS : FAILURE_CLASS_LIMIT, message,
                    span_of(NULL, 0));
    return TURN_REFUSED;
}

static enum turn refuse_full(struct exchange *x, const struct bulkhead_refusal *refusal)
{
    x->respond.retry_after_us = refusal->retry_us;
    return refusal->is_limited ? refuse_limited(x, refusal)
                               : refuse(x, METRIC_REFUSAL_FULL, "As many requests wait as may in");
}

static enum turn refuse_for_memory(struct exchange *x)
{
    exchange_refuse(x, FAILURE_OVERLOADED, span_of(NULL, 0), span_of(NULL, 0));
    return TURN_REFUSED;
}

/* timeouts.total covers the wait. */
static enum turn run_out_of_time(struct exchange *x)
{
    x->account.cut_by = INTERRUPT_DEADLINE;
    exchange_refuse(x, FAILURE_TIMEOUT, span_of(NULL, 0), span_of(NULL, 0));
    return TURN_REFUSED;
}

static enum turn refuse_late(struct exchange *x, const struct bulkhead_refusal *refusal)
{
    x->respond.retry_after_us = refusal->retry_us;
    if (refusal->is_limited)
        return refuse_limited(x, refusal);
    return refuse(x, METRIC_REFUSAL_LATE,
                  "Too many requests wait for this one to have its turn in time in");
}

/* --- its windows --- */

/* From then on it is held no more. */
static uint64_t near_us(const struct exchange *x)
{
    return x->admit.until_us - (x->admit.until_us - x->admit.asked_us) / NEAR_PART;
}

/* Of the loop's clock, as the others: 0 where one of them is open, or there are none. */
static uint64_t opens_us(const struct exchange *x, uint64_t now_us)
{
    const struct snapshot_class *class = class_of(x);
    uint64_t wall_us = loop_wall_us(exchange_loop(x));
    uint64_t at_us = hours_begin_us(class->windows, class->window_count, wall_us);

    return at_us ? now_us + (at_us - wall_us) : 0;
}

/* UINT64_MAX: they don't. */
static uint64_t closes_us(const struct exchange *x, uint64_t now_us)
{
    const struct snapshot_class *class = class_of(x);
    uint64_t wall_us = loop_wall_us(exchange_loop(x));
    uint64_t at_us = hours_end_us(class->windows, class->window_count, wall_us);

    return at_us == UINT64_MAX ? UINT64_MAX : now_us + (at_us - wall_us);
}

/* Until the next window opens, or until what is left of its time is just enough; 0: it is not held
 * now. */
static uint64_t held_until(const struct exchange *x, uint64_t now_us)
{
    uint64_t at_us;

    if (class_of(x)->window_count == 0 || now_us >= near_us(x))
        return 0;
    at_us = opens_us(x, now_us);
    return at_us < near_us(x) ? at_us : near_us(x);
}

uint64_t turn_opens_wall_us(const struct exchange *x)
{
    const struct snapshot_class *class = class_of(x);
    uint64_t now_us = x->head.start_wall_us, at_us, near_us;

    if (class->window_count == 0)
        return now_us;
    at_us = hours_begin_us(class->windows, class->window_count, now_us);
    near_us = now_us + class->conf->wait_us - class->conf->wait_us / NEAR_PART;
    if (at_us == 0)
        return now_us;
    return at_us < near_us ? at_us : near_us;
}

/* It is asked again as they change; what comes when its time is near is nothing to it. */
static void note_change(struct exchange *x, uint64_t now_us)
{
    struct window_watch *windows = &x->host->windows;

    if (now_us >= near_us(x))
        window_watch_remove(windows, &wait_of(x)->watched);
    else if (x->admit.held_until_us == 0)
        window_watch_note(windows, closes_us(x, now_us));
    else if (x->admit.held_until_us < near_us(x))
        window_watch_note(windows, x->admit.held_until_us);
}

/* --- asking --- */

static struct bulkhead_ask ask_of(const struct exchange *x, uint64_t now_us)
{
    return (struct bulkhead_ask){.client = x->auth.client->name,
                                 .worker = x->host->worker,
                                 .now_us = now_us,
                                 .until_us = x->admit.until_us,
                                 .held_until_us = x->admit.held_until_us,
                                 .tokens = x->admit.admission.tokens};
}

/* What it would be told if it came only now, and stood nowhere. */
static struct bulkhead_refusal refusal_now(struct exchange *x, uint64_t now_us, bool is_late)
{
    struct bulkhead_caller caller = caller_of(x->host);
    struct bulkhead_ask ask = ask_of(x, now_us);

    ask.until_us = now_us + (x->admit.until_us - x->admit.asked_us);
    ask.held_until_us = 0;
    return bulkhead_refuse(bulkhead_of(x), x->admit.waiter, &ask, is_late, &caller);
}

/* It stands in line, or is held. */
static enum turn begin_to_wait(struct exchange *x, uint64_t now_us)
{
    x->admit.is_waiting = true;
    count(x, x->host->series.class_waiting, 1);
    if (class_of(x)->window_count) {
        window_watch_add(&x->host->windows, &wait_of(x)->watched);
        note_change(x, now_us);
    }
    return TURN_LATER;
}

static enum turn enter(struct exchange *x, uint64_t now_us)
{
    struct bulkhead_caller caller = caller_of(x->host);
    struct turn_wait *wait = arena_alloc(&x->arena, sizeof(*wait));
    struct bulkhead_ask ask = ask_of(x, now_us);
    struct bulkhead_refusal refusal = {0};

    if (!wait)
        return refuse_for_memory(x);
    *wait = (struct turn_wait){.waiter.owner = x};
    switch (bulkhead_enter(bulkhead_of(x), &wait->waiter, &ask, &caller, &refusal)) {
    case BULKHEAD_FREE:
        return begin_to_run(x, false);
    case BULKHEAD_TAKEN:
        x->admit.has_place = true;
        x->admit.taken = wait->waiter.taken;
        return begin_to_run(x, true);
    case BULKHEAD_WAITS:
        x->admit.waiter = &wait->waiter;
        return begin_to_wait(x, now_us);
    case BULKHEAD_FULL:
        /* Those before it are held as well. */
        if (ask.held_until_us > now_us)
            refusal = (struct bulkhead_refusal){.retry_us = ask.held_until_us - now_us};
        return refuse_full(x, &refusal);
    case BULKHEAD_LATE:
        return refuse_late(x, &refusal);
    case BULKHEAD_NOMEM:
        break;
    }
    return refuse_for_memory(x);
}

/* A class that is not in the file has no bulkhead to ask; one that was in it until a moment ago may
 * have rules for an exchange of the old file, which then knows how long to wait, or not wait. */
enum turn turn_begin(struct exchange *x)
{
    const struct conf_class *conf = class_of(x)->conf;
    uint64_t now_us = loop_now_us(exchange_loop(x)), deadline_us;
    enum bulkhead_verdict verdict;

    if (!conf)
        return begin_to_run(x, false);
    deadline_us = exchange_deadline_us(x);
    if (now_us >= deadline_us)
        return run_out_of_time(x);
    x->admit.asked_us = now_us;
    x->admit.until_us = now_us + conf->wait_us < deadline_us ? now_us + conf->wait_us : deadline_us;
    x->admit.held_until_us = held_until(x, now_us);
    count_writes(x, is_rated(conf) ? 2 : 1);
    if (x->admit.held_until_us)
        return enter(x, now_us);
    verdict = bulkhead_try(bulkhead_of(x), x->admit.admission.tokens, now_us, &x->admit.taken);
    x->admit.has_place = verdict == BULKHEAD_TAKEN;
    return verdict == BULKHEAD_WAITS ? enter(x, now_us)
                                     : begin_to_run(x, verdict == BULKHEAD_TAKEN);
}

/* --- waiting --- */

/* Whom it displaced while it was held is told what one is that finds the queue full then. */
static enum turn refuse_in_vain(struct exchange *x, uint64_t now_us)
{
    struct bulkhead_refusal refusal;

    if (x->admit.held_until_us > now_us)
        refusal = (struct bulkhead_refusal){.retry_us = x->admit.held_until_us - now_us};
    else
        refusal = refusal_now(x, now_us, false);
    if (x->admit.is_displaced)
        return refuse_full(x, &refusal);
    x->respond.retry_after_us = refusal.retry_us;
    if (refusal.is_limited)
        return refuse_limited(x, &refusal);
    return refuse(x, METRIC_REFUSAL_WAITED, "The request had no turn within the wait of");
}

/* It is held while all of them are shut, unless its time is near; where it is let go, its turn may
 * be too far off by now. */
static enum turn ask_windows(struct exchange *x, uint64_t now_us)
{
    struct bulkhead_caller caller = caller_of(x->host);
    bool was_held = x->admit.held_until_us != 0;
    struct bulkhead_refusal refusal;
    struct bulkhead_ask ask;

    x->admit.held_until_us = held_until(x, now_us);
    note_change(x, now_us);
    if (x->admit.held_until_us) {
        bulkhead_hold(bulkhead_of(x), x->admit.waiter, &caller);
        return TURN_LATER;
    }
    ask = ask_of(x, now_us);
    if (!was_held ||
        bulkhead_release(bulkhead_of(x), x->admit.waiter, &ask, &caller) != BULKHEAD_LATE)
        return TURN_LATER;
    refusal = refusal_now(x, now_us, true);
    return refuse_late(x, &refusal);
}

/* Its time is over in the very moment in which its turn comes, as it does where it came back when
 * it was told to: of two timers either may be the first. */
static bool has_turn_at_last(struct exchange *x)
{
    struct bulkhead_caller caller = caller_of(x->host);

    if (is_rated(class_of(x)->conf))
        bulkhead_grant(bulkhead_of(x), &caller);
    return bulkhead_claim(bulkhead_of(x), x->admit.waiter);
}

enum turn turn_go_on(struct exchange *x)
{
    uint64_t now_us = loop_now_us(exchange_loop(x));

    if (!x->admit.has_place && !x->admit.is_displaced && now_us >= x->admit.until_us &&
        now_us < exchange_deadline_us(x))
        x->admit.has_place = has_turn_at_last(x);
    if (x->admit.has_place) {
        end_wait(x);
        return begin_to_run(x, true);
    }
    if (now_us >= exchange_deadline_us(x))
        return run_out_of_time(x);
    if (x->admit.is_displaced || now_us >= x->admit.until_us)
        return refuse_in_vain(x, now_us);
    return class_of(x)->window_count ? ask_windows(x, now_us) : TURN_LATER;
}

void turn_look_at_windows(struct list *link)
{
    struct turn_wait *wait = container_of(link, struct turn_wait, watched);

    exchange_run(wait->waiter.owner);
}

struct move turn_park(struct exchange *x)
{
    uint64_t until_us = x->admit.held_until_us ? near_us(x) : x->admit.until_us;

    /* Untold of the time it could wait for ever. */
    if (loop_timer_set(&x->select.timer, until_us))
        return exchange_refuse(x, FAILURE_OVERLOADED, span_of(NULL, 0), span_of(NULL, 0));
    select_note_wait(x);
    return move_park();
}

static const struct rates_taken *taken_of(const struct exchange *x)
{
    return x->admit.waiter ? &x->admit.waiter->taken : &x->admit.taken;
}

bool turn_counts_tokens(const struct exchange *x)
{
    return x->admit.has_place && taken_of(x)->tpm;
}

/* What it took with its turn is mostly more than it has used. */
static void settle(struct exchange *x, uint64_t tokens)
{
    const struct rates_taken *taken = taken_of(x);

    if (taken->tpm == 0 || tokens == 0 || tokens == taken->tokens)
        return;
    count_writes(x, 1);
    bulkhead_settle(bulkhead_of(x), taken, tokens, loop_now_us(exchange_loop(x)));
}

void turn_leave(struct exchange *x, uint64_t tokens)
{
    struct bulkhead_caller caller = caller_of(x->host);

    end_wait(x);
    if (x->admit.has_place) {
        settle(x, tokens);
        count_writes(x, 1);
        bulkhead_leave(bulkhead_of(x), x->admit.waiter, x->admit.since_us,
                       loop_now_us(exchange_loop(x)), &caller);
    } else if (x->admit.waiter) {
        bulkhead_quit(bulkhead_of(x), x->admit.waiter, &caller);
    }
    x->admit.has_place = false;
    x->admit.waiter = NULL;
    if (x->admit.since_us)
        count(x, x->host->series.class_running, (uint64_t)-1);
}

size_t turn_look(struct exchange_host *host, size_t max)
{
    size_t count = 0;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        while (count < max) {
            bool has_place = false;
            struct bulkhead_waiter *waiter =
                bulkhead_take(host->registry->bulkheads[p], host->worker, &has_place);
            struct exchange *x = waiter ? waiter->owner : NULL;

            if (!x)
                break;
            x->admit.has_place = has_place;
            x->admit.is_displaced = !has_place;
            exchange_run(x);
            count++;
        }
    }
    return count;
}

void turn_grant(struct exchange_host *host)
{
    struct bulkhead_caller caller = caller_of(host);

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        bulkhead_grant(host->registry->bulkheads[p], &caller);
}
