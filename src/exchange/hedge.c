#include "exchange/hedge.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "exchange/estimating.h"
#include "exchange/exchange.h"
#include "exchange/retry.h"
#include "exchange/select.h"
#include "ledger/price.h"
#include "limits/recent_times.h"

/* What the parts of the exchange hold of one attempt. */
struct lane {
    enum step step;
    struct keypool_grant grant;
    struct part_relay relay;
    struct arena attempt_arena, scan_arena;
    struct dialect_usage usage;
};

struct hedge {
    struct exchange *x;
    struct attempt attempt;
    struct lane aside; /* of the attempt that is not at hand */
    struct loop_timer ping_timer;
    enum hedge_result result; /* HEDGE_NONE: it is under way */
};

/* ---- how long first tokens take ---- */

enum { TIMES_PLACES = 64, TIMES_LOOKS = 4 };

/* Of each target that answered lately, streams apart from whole answers. What has no place any more
 * begins anew. */
struct hedge_times {
    struct {
        uint64_t id; /* 0: free */
        uint64_t used_us;
        struct recent_times times;
    } places[TIMES_PLACES];
};

static uint64_t id_of(struct exchange *x)
{
    uint64_t id = exchange_target(x)->model_hash * 2 + x->body.is_streaming;

    id ^= (uint64_t)(uintptr_t)exchange_outlet(x)->row->provider * UINT64_C(0x9e3779b97f4a7c15);
    return id ? id : 1;
}

/* NULL without memory. */
static struct recent_times *times_of(struct exchange *x)
{
    struct hedge_times *all = x->host->hedge_times;
    uint64_t id = id_of(x), now_us = loop_now_us(exchange_loop(x));
    size_t oldest = (id >> 32) % TIMES_PLACES;

    if (!all)
        all = x->host->hedge_times = mem_zalloc(1, sizeof(*all));
    if (!all)
        return NULL;
    for (size_t i = 0; i < TIMES_LOOKS; i++) {
        size_t at = ((id >> 32) + i) % TIMES_PLACES;

        if (all->places[at].id == id) {
            all->places[at].used_us = now_us;
            return &all->places[at].times;
        }
        if (all->places[at].used_us < all->places[oldest].used_us)
            oldest = at;
    }
    memset(&all->places[oldest], 0, sizeof(all->places[oldest]));
    all->places[oldest].id = id;
    all->places[oldest].used_us = now_us;
    return &all->places[oldest].times;
}

void hedge_times_free(struct hedge_times **times)
{
    MEM_CLEAR(*times);
}

/* The watched attempt has come so far, or has taken so long without. */
static void note_time(struct exchange *x)
{
    bool is_measured = exchange_config(x)->retry.hedge->after.percent && !x->hedge.is_noted;
    struct recent_times *times = is_measured ? times_of(x) : NULL;
    uint64_t now_us = loop_now_us(exchange_loop(x));

    x->hedge.is_noted = true;
    if (times)
        recent_times_note(times, now_us - x->hedge.sent_us, now_us);
}

/* ---- the two attempts ---- */

static bool is_hedge_at_hand(const struct exchange *x)
{
    return x->hedge.other && x->send.live == &x->hedge.other->attempt;
}

static struct attempt *attempt_aside(struct exchange *x)
{
    return is_hedge_at_hand(x) ? &x->send.attempt : &x->hedge.other->attempt;
}

bool hedge_is_racing(struct exchange *x)
{
    return x->hedge.other && attempt_is_live(attempt_aside(x));
}

/* Without memory for a timer pings are held until more comes. */
static void swap_timers(struct loop_timer *a, struct loop_timer *b)
{
    uint64_t a_us = a->deadline_us, b_us = b->deadline_us;

    loop_timer_clear(a);
    loop_timer_clear(b);
    if (b_us)
        (void)loop_timer_set(a, b_us);
    if (a_us)
        (void)loop_timer_set(b, a_us);
}

static void swap_arenas(struct arena *a, struct arena *b)
{
    struct arena other = *a;

    *a = *b;
    *b = other;
}

static void change_places(struct exchange *x)
{
    struct hedge *hedge = x->hedge.other;
    struct lane *aside = &hedge->aside;
    struct keypool_grant grant = x->select.grant;
    struct part_relay relay = x->relay;
    struct dialect_usage usage = x->account.usage;

    x->send.live = attempt_aside(x);
    exchange_swap_step(x, &aside->step);
    x->select.grant = aside->grant;
    aside->grant = grant;
    x->account.usage = aside->usage;
    aside->usage = usage;
    swap_arenas(&x->attempt_arena, &aside->attempt_arena);
    swap_arenas(&x->scan_arena, &aside->scan_arena);
    x->relay = aside->relay;
    aside->relay = relay;
}

void hedge_turn_to(struct exchange *x, struct attempt *attempt)
{
    if (x->send.live == attempt)
        return;
    swap_timers(&x->ping_timer, &x->hedge.other->ping_timer);
    change_places(x);
}

static void on_ping_held(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct hedge, ping_timer)->x;

    hedge_turn_to(x, attempt_aside(x));
    x->relay.is_ping_due = true;
    exchange_run(x);
}

static struct exchange *exchange_of(struct attempt *attempt)
{
    struct exchange *x = container_of(attempt, struct hedge, attempt)->x;

    hedge_turn_to(x, attempt);
    return x;
}

static void on_sent(struct attempt *attempt)
{
    exchange_note_sent(exchange_of(attempt));
}

static void on_head(struct attempt *attempt, const struct http_head *head)
{
    exchange_take_head(exchange_of(attempt), head);
}

static void on_data(struct attempt *attempt, char *data, size_t len, bool is_last)
{
    exchange_take_data(exchange_of(attempt), data, len, is_last);
}

static void on_fail(struct attempt *attempt, enum outcome outcome)
{
    exchange_take_failure(exchange_of(attempt), outcome);
}

static const struct attempt_ops attempt_ops = {
    .on_sent = on_sent,
    .on_head = on_head,
    .on_data = on_data,
    .on_fail = on_fail,
};

/* ---- numbers ---- */

const char *hedge_result_text(enum hedge_result result)
{
    switch (result) {
    case HEDGE_WON:
        return "won";
    case HEDGE_LOST:
        return "lost";
    case HEDGE_FAILED:
        return "failed";
    case HEDGE_CUT:
        return "cut";
    case HEDGE_NONE:
    case HEDGE_NO_BUDGET:
    case HEDGE_NO_KEY:
    case HEDGE_NO_CONNECTION:
        break;
    }
    return NULL;
}

enum hedge_result hedge_result_of(const struct exchange *x)
{
    return x->hedge.other ? x->hedge.other->result : HEDGE_NONE;
}

uint32_t hedge_attempts(const struct exchange *x)
{
    return x->hedge.other && x->hedge.other->result != HEDGE_NO_CONNECTION;
}

/* The values of the metric stand in the same order, and have no "none". */
_Static_assert((int)METRIC_HEDGE_WON == (int)HEDGE_WON - 1 &&
                   (int)METRIC_HEDGE_NO_CONNECTION == (int)HEDGE_NO_CONNECTION - 1,
               "one value of the metric for each result");

static void count(struct exchange *x, enum hedge_result result)
{
    metrics_add(x->host->metrics, exchange_outlet(x)->row->hedges + (uint32_t)result - 1, 1);
}

/* Its result is told once: what the exchange tries later is no hedge. */
static void settle(struct exchange *x, enum hedge_result result)
{
    struct hedge *hedge = x->hedge.other;

    if (!hedge || hedge->result != HEDGE_NONE)
        return;
    hedge->result = result;
    count(x, result);
}

/* ---- the end of one of them ---- */

static void count_loss(struct exchange *x)
{
    const struct snapshot_provider *row = exchange_outlet(x)->row;
    const struct dialect_usage *usage = &x->account.usage;
    struct metrics *metrics = x->host->metrics;
    uint64_t picousd;

    if (!usage->is_known)
        return;
    metrics_add(metrics, row->hedge_tokens + METRIC_TOKENS_PROMPT, usage->prompt_tokens);
    metrics_add(metrics, row->hedge_tokens + METRIC_TOKENS_COMPLETION, usage->completion_tokens);
    metrics_add(metrics, row->hedge_tokens + METRIC_TOKENS_CACHED, usage->cached_tokens);
    if (!exchange_cost(x, &picousd))
        return;
    x->hedge.lost_picousd = exchange_whole_cost(x, picousd);
    metrics_add(metrics, row->hedge_cost, price_nano(picousd));
}

/* The attempt at hand is given up for the other one. A key that was not sent to has not been used.
 */
static void cancel(struct exchange *x, bool is_billed)
{
    if (exchange_attempt(x)->is_head_sent) {
        if (is_billed)
            account_note_left(x);
        count_loss(x);
        attempt_end(exchange_attempt(x));
        relay_book(x, NULL, 0);
    } else {
        attempt_end(exchange_attempt(x));
        select_give_back(x);
    }
    relay_reset(x);
}

static void cancel_other(struct exchange *x, bool is_billed)
{
    struct attempt *winner = exchange_attempt(x);
    struct span key_name = x->account.key_name;

    hedge_turn_to(x, attempt_aside(x));
    loop_timer_clear(&x->ping_timer);
    cancel(x, is_billed);
    hedge_turn_to(x, winner);
    x->account.key_name = key_name;
}

static void disarm(struct exchange *x)
{
    if (x->hedge.is_armed)
        loop_timer_clear(&x->select.timer);
    x->hedge.is_armed = false;
}

/* ---- the beginning ---- */

/* 0: not known yet. */
static uint64_t delay_of(struct exchange *x)
{
    const struct conf_hedge *conf = exchange_config(x)->retry.hedge;
    struct recent_times *times;
    uint64_t us = 0;

    if (conf->after.us)
        return conf->after.us;
    times = times_of(x);
    if (times && !recent_times_quantile(times, conf->after.percent, HEDGE_LEAST_TIMES,
                                        loop_now_us(exchange_loop(x)), &us))
        us = 0;
    return us;
}

void hedge_watch(struct exchange *x)
{
    uint64_t now_us = loop_now_us(exchange_loop(x)), delay_us;

    if (hedge_is_racing(x))
        return;
    disarm(x);
    x->hedge.sent_us = now_us;
    x->hedge.is_noted = false;
    if (x->hedge.other || x->shadow || x->route.crossing || x->select.grant.trial)
        return;
    delay_us = delay_of(x);
    x->hedge.is_armed = delay_us && loop_timer_set(&x->select.timer, now_us + delay_us) == 0;
}

static bool select_key(struct exchange *x, uint64_t now_us, struct keypool_grant *ret_grant)
{
    const struct plan_target *target = exchange_target(x);
    struct outlet *outlet = exchange_outlet(x);
    uint64_t answer, tokens = estimating_guess(x, target, &answer);
    struct keypool_tried *const *before = select_tried(x, x->select.target);
    struct keypool_tried tried = {.count = 0};
    const struct keypool_ask ask = {
        .model = target->model,
        .model_hash = target->model_hash,
        .pool = x->auth.client->pool,
        .tokens = tokens,
        .tokens_out = answer,
        .is_streamed = x->body.is_streaming,
        .tried = &tried,
        .endpoint = endpoint_health_of(exchange_site(x)->row->endpoint),
        .endpoint_tally = exchange_site(x)->tally,
    };

    if (*before)
        tried = **before;
    if (tried.count == KEYPOOL_MAX_TRIED)
        return false;
    keypool_tried_add(&tried, x->select.grant.key, true);
    return waiting_count(provider_waiting(outlet->row->provider)) == 0 &&
           keypool_select_beside(outlet->view, &ask, now_us, ret_grant);
}

static struct hedge *new_hedge(struct exchange *x)
{
    struct hedge *hedge = arena_zalloc(&x->arena, sizeof(*hedge));
    struct lane *lane;

    if (!hedge)
        return NULL;
    lane = &hedge->aside;
    hedge->x = x;
    attempt_init(&hedge->attempt, &attempt_ops);
    loop_timer_init(&hedge->ping_timer, exchange_loop(x), on_ping_held);
    lane->step = STEP_SEND;
    arena_init(&lane->attempt_arena, x->attempt_arena.pool, x->attempt_arena.max);
    arena_init(&lane->scan_arena, x->scan_arena.pool, x->scan_arena.max);
    buf_init(&lane->relay.held, RELAY_HELD_MAX);
    lane->relay.error = &dialect_no_error;
    return hedge;
}

static void give_back(struct exchange *x, struct keypool_grant *grant, uint64_t now_us)
{
    struct outlet *outlet = exchange_outlet(x);

    exchange_host_follow(x->host, outlet->row->provider,
                         keypool_cancel(outlet->view, grant, now_us));
}

/* The same bytes, so to the same region, with another key. It waits for no connection. */
static void begin_attempt(struct exchange *x, struct hedge *hedge)
{
    struct attempt_request request = exchange_attempt(x)->request;

    request.lines[0] = keypool_line(&hedge->aside.grant);
    request.is_spare = true;
    request.wait_until_us = loop_now_us(exchange_loop(x));
    x->hedge.other = hedge;
    if (exchange_site(x)->seen)
        hedge->aside.relay.begun_us = request.wait_until_us;
    attempt_begin(&hedge->attempt, exchange_site(x)->pool, exchange_loop(x), &request);
    if (attempt_is_waiting(&hedge->attempt)) {
        attempt_end(&hedge->attempt);
        give_back(x, &hedge->aside.grant, request.wait_until_us);
        settle(x, HEDGE_NO_CONNECTION);
        return;
    }
    x->select.attempts++;
}

static bool is_worth_it(const struct exchange *x)
{
    return x->conn && x->select.grant.key && !x->relay.is_committed && !x->host->is_terminating;
}

void hedge_begin(struct exchange *x)
{
    uint32_t budget_ppm = exchange_config(x)->retry.hedge->budget_ppm;
    struct retry_budget *budget = x->host->registry->retry_budget;
    uint64_t now_us = loop_now_us(exchange_loop(x));
    struct keypool_grant grant;
    struct hedge *hedge;

    x->hedge.is_armed = false;
    if (!is_worth_it(x))
        return;
    if (!retry_budget_has_hedge(budget, budget_ppm, now_us)) {
        count(x, HEDGE_NO_BUDGET);
        return;
    }
    if (!select_key(x, now_us, &grant)) {
        count(x, HEDGE_NO_KEY);
        return;
    }
    hedge = new_hedge(x);
    if (!hedge || !retry_budget_take_hedge(budget, budget_ppm, now_us)) {
        give_back(x, &grant, now_us);
        count(x, HEDGE_NO_BUDGET);
        return;
    }
    metrics_add(x->host->metrics, x->host->series.writes + METRIC_WRITES_RETRIES, 1);
    hedge->aside.grant = grant;
    begin_attempt(x, hedge);
}

/* ---- what comes of it ---- */

void hedge_note_head(struct exchange *x, int status)
{
    if (x->body.is_streaming || status < 200 || status > 299)
        return;
    /* It answers: another would not be faster. */
    disarm(x);
    if (!is_hedge_at_hand(x))
        note_time(x);
}

void hedge_note_commit(struct exchange *x)
{
    bool has_won = is_hedge_at_hand(x);

    disarm(x);
    /* Of a hedge that won the first attempt's time is known to be longer than this: left out, the
     * p95 would sink with each of them. A hedge's own time says less than those of first attempts,
     * since it is not known of those that lost. */
    if (!has_won || hedge_is_racing(x))
        note_time(x);
    if (hedge_is_racing(x))
        cancel_other(x, true);
    settle(x, has_won ? HEDGE_WON : HEDGE_LOST);
    x->hedge.sent_us = 0;
}

/* Another attempt would be told the same, or has no time left. But what a request names may belong
 * to the account it was made with (a file, an earlier answer): where the hedge's does not know it,
 * the first attempt's may. */
static bool is_final(struct exchange *x, const struct outcome_row *row)
{
    if (row->class == CLASS_BAD_REQUEST && is_hedge_at_hand(x) && hedge_is_racing(x))
        return false;
    return row->remedy == REMEDY_GIVE_UP && row->class != CLASS_NONE;
}

bool hedge_goes_on(struct exchange *x, const struct outcome_row *row, bool was_sent)
{
    disarm(x);
    if (is_final(x, row))
        return false;
    if (is_hedge_at_hand(x))
        settle(x, HEDGE_FAILED);
    if (!hedge_is_racing(x))
        return false;
    x->select.tries += retry_counts_try(row);
    x->select.timeouts += row->class == CLASS_TIMEOUT && was_sent;
    relay_reset(x);
    hedge_turn_to(x, attempt_aside(x));
    return true;
}

/* What an attempt has brought when it is the answer, though nothing of it has gone out yet. */
static enum hedge_result result_at_hand(const struct exchange *x)
{
    if (x->account.cut_by || !x->relay.status)
        return HEDGE_CUT;
    return is_hedge_at_hand(x) ? HEDGE_WON : HEDGE_LOST;
}

void hedge_leave(struct exchange *x)
{
    enum hedge_result result = result_at_hand(x);

    disarm(x);
    x->hedge.sent_us = 0;
    if (!x->hedge.other)
        return;
    if (hedge_is_racing(x))
        cancel_other(x, result != HEDGE_CUT);
    settle(x, result);
}

void hedge_fini(struct exchange *x)
{
    struct hedge *hedge = x->hedge.other;

    bug_fatal_unless(!attempt_is_live(&hedge->attempt));
    loop_timer_fini(&hedge->ping_timer);
    buf_fini(&hedge->aside.relay.held);
    arena_fini(&hedge->aside.scan_arena);
    arena_fini(&hedge->aside.attempt_arena);
}
