/*
 * What the end of an attempt means: it is booked with its key and its endpoint, and then another
 * try follows, or the client gets what there is.
 */
#include "dialect/openai_error.h"
#include "dialect/reset.h"
#include "exchange/cross.h"
#include "exchange/exchange.h"
#include "ledger/price.h"
#include "exchange/notice.h"
#include "exchange/sites.h"
#include "exchange/retry.h"
#include "exchange/select.h"

/* The key may be gone when the log line is written. */
static void keep_name(struct exchange *x, struct span name)
{
    if (name.len > ACCOUNT_NAME_BYTES)
        name.len = ACCOUNT_NAME_BYTES;
    if (!span_is_equal(name, x->account.key_name))
        x->account.key_name = arena_copy(&x->arena, name);
}

/* Operators are told what the attempt has changed. */
static void notice(struct exchange *x, const struct key *key, const struct keypool_effect *effect,
                   const struct outcome_row *row)
{
    const struct snapshot_provider *provider = exchange_outlet(x)->row;
    const struct notice notice = notice_of(x, provider, row->label);

    notice_key(&notice, key, exchange_target(x)->model, effect);
    notice_endpoint(&notice, exchange_site(x)->row->endpoint);
}

void relay_follow(struct exchange *x, const struct key *key, const struct keypool_effect *effect,
                  const struct outcome_row *row)
{
    const struct snapshot_provider *provider = exchange_outlet(x)->row;

    /* A connection that came about has closed the endpoint's breaker without a word. */
    if (effect->key_moved || effect->breaker_moved || effect->account_moved ||
        effect->model_moved || row->scope == SCOPE_ENDPOINT ||
        !endpoint_news_is_calm(endpoint_news_of(exchange_site(x)->row->endpoint)))
        notice(x, key, effect, row);
    exchange_host_follow(x->host, provider->provider, *effect);
}

void relay_book(struct exchange *x, const struct outcome_row *row, uint64_t hint_us)
{
    const struct outcome_row *told = row ? row : outcome_row(OUTCOME_CLIENT_GONE);
    struct keypool_end end = {.outcome = row,
                              .hint_us = hint_us,
                              .tokens = account_tokens(x),
                              .is_elsewhere_tried = x->select.has_other_site};
    const struct key *key = x->select.grant.key; /* the view keeps it */
    struct keypool_effect effect;
    struct outlet *outlet;
    uint64_t picousd;

    if (!key)
        return;
    outlet = exchange_outlet(x);
    if (exchange_cost(x, &picousd))
        end.cost_nanousd = price_nano(picousd);
    keep_name(x, key_name(key));
    metrics_add(x->host->metrics, outlet->row->attempts + told->outcome, 1);
    effect = keypool_end(outlet->view, &x->select.grant, &end, loop_now_us(exchange_loop(x)));
    relay_follow(x, key, &effect, told);
}

static uint64_t find_hint(const struct exchange *x, const struct outcome_row *row)
{
    struct reset_question question = {
        .headers = x->relay.fields,
        .header_count = x->relay.field_count,
        .error = x->relay.error,
        .wall_us = loop_wall_us(exchange_loop(x)),
        .max_us = KEYPOOL_MAX_REST_US,
    };
    struct reset_hint hint;

    if (!x->relay.status)
        return 0;
    if (row->class == CLASS_RATE_LIMIT || row->class == CLASS_OVERLOADED)
        return reset_find(&question).wait_us;
    if (row->class != CLASS_SERVER_ERROR)
        return 0;
    /* Limits that stand in a server error were not what failed. */
    hint = reset_find(&question);
    return hint.source <= RESET_RETRY_AFTER ? hint.wait_us : 0;
}

/* An answer that blames the key alone takes it out of this exchange; after any other it is only the
 * last choice. One that was refused for its rate is such a last choice too: it may be waited for.
 */
static void remember_key(struct exchange *x, const struct key *key, const struct outcome_row *row)
{
    bool is_rotation = !outcome_is_attempt(row->class) && row->remedy == REMEDY_NEXT_KEY;
    /* A key that gets another token in place of a refused one may be asked again with that. */
    bool is_renewed = key_token(key, loop_now_us(exchange_loop(x))) == KEY_TOKEN_AWAITED;
    bool is_final = is_rotation && row->class != CLASS_RATE_LIMIT && !is_renewed;
    bool is_news = true; /* where there is no room to remember it, each one counts */
    struct keypool_tried **tried = select_tried(x, x->select.target);

    if (!*tried)
        *tried = arena_zalloc(&x->arena, sizeof(**tried));
    if (*tried && (*tried)->count < KEYPOOL_MAX_TRIED)
        is_news = keypool_tried_add(*tried, key, is_final);
    x->select.rotations += is_rotation && is_news;
}

/* A provider that does not know stream_options says so: it is asked again without, and remembered.
 */
static bool is_usage_refused(struct exchange *x)
{
    const struct snapshot_provider *row = exchange_outlet(x)->row;

    if (!x->send.is_usage_asked || row->include_usage != INCLUDE_USAGE_TRY)
        return false;
    if (x->relay.status != 400 && x->relay.status != 422)
        return false;
    if (!openai_error_names_stream_options(x->relay.error))
        return false;
    endpoint_set_usage(exchange_site(x)->row->endpoint, ENDPOINT_USAGE_REFUSED);
    return true;
}

static struct move try_again(struct exchange *x)
{
    x->send.is_begun = false;
    x->select.has_backed_off = false;
    x->route.sent_us = 0;
    return move_done(STEP_SELECT);
}

/* Another region, with whichever key: neither is to blame, and there is nothing to wait for. */
static struct move go_to_other_site(struct exchange *x)
{
    struct move move = try_again(x);

    x->select.has_other_site = false;
    x->select.hint_us = 0;
    x->select.has_backed_off = true;
    return move;
}

/* The old side is asked as if it had been the first: for what the new one said it neither waits nor
 * is refused. */
static struct move go_back(struct exchange *x)
{
    struct move move = try_again(x);

    x->send.media_err = 0;
    x->select.rotations = 0;
    x->select.hint_us = 0;
    x->respond.retry_after_us = 0;
    x->select.has_backed_off = true;
    return move;
}

static bool is_retry_in_budget(struct exchange *x, const struct outcome_row *row)
{
    struct retry_budget *budget = x->host->registry->retry_budget;
    bool is_try = retry_counts_try(row);
    uint32_t series = exchange_outlet(x)->row->retries;

    if (is_try && !retry_budget_take(budget, exchange_config(x)->retry.budget_ppm,
                                     loop_now_us(exchange_loop(x))))
        return false;
    metrics_add(x->host->metrics, x->host->series.writes + METRIC_WRITES_RETRIES, is_try);
    metrics_add(x->host->metrics, series + (is_try ? METRIC_RETRY_ATTEMPT : METRIC_RETRY_ROTATION),
                1);
    return true;
}

static struct move decide(struct exchange *x, const struct outcome_row *row, bool was_sent)
{
    struct retry_facts facts = {
        .conf = &exchange_config(x)->retry,
        .row = row,
        .rotations = x->select.rotations,
        .timeouts = x->select.timeouts,
        .was_sent = was_sent,
        .has_other_target =
            select_has_other_target(x, x->select.target) || x->select.has_other_site,
        .is_committed = x->relay.is_committed,
    };
    enum retry_verdict verdict;

    facts.tries = x->select.tries + retry_counts_try(row);
    verdict = retry_decide(&facts);
    if (x->route.crossing && cross_goes_back(x, row, verdict != RETRY_NO))
        return go_back(x);
    x->select.tries = facts.tries;
    if (verdict == RETRY_NO || !is_retry_in_budget(x, row))
        return respond_with_last(x);
    x->select.timeouts += row->class == CLASS_TIMEOUT && was_sent;
    /* A target that refuses connections is passed over by its own gate, and may be back in time. */
    if (verdict == RETRY_TARGET && row->class != CLASS_CONNECT && !x->select.has_other_site)
        x->select.excluded |= 1u << x->select.target;
    return x->select.has_other_site ? go_to_other_site(x) : try_again(x);
}

struct move relay_failed(struct exchange *x, const struct outcome_row *row)
{
    struct attempt *attempt = exchange_attempt(x);
    bool was_sent = attempt->is_head_sent, is_refused;
    struct key *key = x->select.grant.key ? key_ref(x->select.grant.key) : NULL;

    loop_timer_clear(&x->ping_timer);
    attempt_end(attempt);
    if (exchange_target(x)->pace && outcome_is_attempt(row->class))
        pace_note(exchange_target(x)->pace, PACE_FAILED_US);
    x->relay.in.failed = OUTCOME_SUCCESS;
    x->select.hint_us = find_hint(x, row);
    x->respond.last = row;
    x->respond.last_status = x->relay.status;
    if (row->outcome == OUTCOME_TOTAL_TIMEOUT && was_sent)
        account_note_interrupted(x);
    account_note_cut(x);
    x->select.has_other_site = sites_note_failure(x, row) && !x->relay.is_committed;
    relay_book(x, row, x->select.hint_us);
    is_refused = is_usage_refused(x);
    if (key && !is_refused && row->remedy != REMEDY_LATER && !x->select.has_other_site)
        remember_key(x, key, row);
    key_unref(&key);
    if (row->outcome == OUTCOME_TOTAL_TIMEOUT)
        x->account.cut_by = INTERRUPT_DEADLINE;
    if (x->relay.is_committed)
        return relay_break(x, row);
    if (x->hedge.sent_us) {
        if (!is_refused && hedge_goes_on(x, row, was_sent))
            return move_park();
        hedge_leave(x);
    }
    return is_refused ? try_again(x) : decide(x, row, was_sent);
}

struct move relay_give_up(struct exchange *x, enum failure failure)
{
    attempt_end(exchange_attempt(x));
    relay_book(x, NULL, 0);
    if (select_has_other_target(x, x->select.target) && cross_gives_way(x))
        return go_back(x);
    return exchange_refuse(x, failure, span_of(NULL, 0), span_of(NULL, 0));
}

struct move relay_break(struct exchange *x, const struct outcome_row *row)
{
    enum failure failure =
        row->failure == PASSED_ON ? FAILURE_UPSTREAM_FAILED : (enum failure)row->failure;

    return exchange_refuse(x, failure, span_of(NULL, 0), span_of(NULL, 0));
}

struct move respond_with_last(struct exchange *x)
{
    const struct outcome_row *row = x->respond.last;
    const struct span none = {NULL, 0};

    if (row->failure != PASSED_ON) {
        if (!x->respond.retry_after_us)
            x->respond.retry_after_us = x->select.hint_us;
        return exchange_refuse(x, (enum failure)row->failure, none, none);
    }
    if (x->relay.mode == RELAY_ERROR && x->relay.status >= 400) {
        x->respond.is_passed_on = true;
        return move_done(STEP_RESPOND);
    }
    /* An error that stood inside a success: told again with a status that fits. */
    return exchange_refuse(x, FAILURE_UPSTREAM_FAILED,
                           arena_copy(&x->arena, dialect_error_message(x->relay.error)), none);
}
