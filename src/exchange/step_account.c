/* What it came to: reservations settled, the key told, numbers counted, one line in the access log.
 * Always runs. */
#include "access/issued.h"
#include "base/clock.h"
#include "exchange/cross.h"
#include "exchange/estimating.h"
#include "exchange/select.h"
#include "exchange/turn.h"
#include "ledger/price.h"
#include "ledger/uses.h"

static const struct outcome_row *outcome_of(const struct exchange *x)
{
    /* Cut by the client or by the end of the process: says nothing about the key. Of a stream that
     * had ended but for its upstream's last byte the shutdown cut nothing. */
    if (!x->relay.is_whole || x->account.cut_by || x->respond.has_failure)
        return NULL;
    return outcome_row(OUTCOME_SUCCESS);
}

void account_note_produced(struct exchange *x)
{
    if (x->relay.mode == RELAY_JSON)
        relay_json_usage(x);
    else if (x->relay.mode == RELAY_STREAM && x->relay.reader.stream)
        openai_stream_usage(x->relay.reader.stream, x->body.prompt_tokens, &x->account.usage);
    else if (x->relay.mode == RELAY_EVENTS && x->relay.translator)
        relay_translator_usage(x);
}

void account_note_cut(struct exchange *x)
{
    if (!x->account.usage.is_known && x->relay.is_committed)
        account_note_produced(x);
}

void account_note_left(struct exchange *x)
{
    struct dialect_usage *usage = &x->account.usage;
    bool has_head = x->relay.status != 0;

    if (!exchange_attempt(x)->is_request_sent || (has_head && x->relay.mode == RELAY_ERROR))
        return;
    if (has_head && !usage->is_known)
        account_note_produced(x);
    if (usage->is_known)
        return;
    *usage = (struct dialect_usage){.prompt_tokens = x->body.prompt_tokens,
                                    .total_tokens = x->body.prompt_tokens,
                                    .is_known = true,
                                    .is_estimated = true};
}

void account_note_interrupted(struct exchange *x)
{
    if (!x->relay.is_committed && x->body.prompt_tokens)
        account_note_left(x);
}

/* Before the commit an estimate is of the prompt, and of the answer as far as it came: less than
 * what was used, by what nobody saw. Sums take it, as the least that is billed; limits keep what
 * they have reserved. */
uint64_t account_tokens(const struct exchange *x)
{
    const struct dialect_usage *usage = &x->account.usage;

    if (!usage->is_known || (usage->is_estimated && !x->relay.is_committed))
        return 0;
    return usage->total_tokens;
}

static const char *failure_name(const struct exchange *x)
{
    if (x->respond.has_failure)
        return failure_row(x->respond.failure)->label;
    return x->respond.is_passed_on ? "passed_on" : NULL;
}

static const char *cutter(enum interrupt interrupt)
{
    switch (interrupt) {
    case INTERRUPT_CLIENT_GONE:
        return "client";
    case INTERRUPT_DEADLINE:
        return "deadline";
    case INTERRUPT_SHUTDOWN:
        return "shutdown";
    case INTERRUPT_NONE:
        break;
    }
    return NULL;
}

static struct snapshot_client_series series_of_client(const struct exchange *x)
{
    const struct issued_client *issued = issued_of(x->auth.client);

    if (!issued)
        return x->binding->snapshot->client_series[x->auth.client->index];
    return (struct snapshot_client_series){issued->requests, issued->tokens, issued->cost};
}

static void count_tokens(struct exchange *x, const struct snapshot_series *series)
{
    const struct dialect_usage *usage = &x->account.usage;
    struct metrics *metrics = x->host->metrics;
    uint32_t client = series_of_client(x).tokens;

    if (!usage->is_known)
        return;
    metrics_add(metrics, series->tokens + METRIC_TOKENS_PROMPT, usage->prompt_tokens);
    metrics_add(metrics, series->tokens + METRIC_TOKENS_COMPLETION, usage->completion_tokens);
    metrics_add(metrics, series->tokens + METRIC_TOKENS_CACHED, usage->cached_tokens);
    metrics_add(metrics, client + METRIC_TOKENS_PROMPT, usage->prompt_tokens);
    metrics_add(metrics, client + METRIC_TOKENS_COMPLETION, usage->completion_tokens);
    if (usage->is_estimated)
        metrics_add(metrics, series->estimated, 1);
}

static void count_cost(struct exchange *x, const struct snapshot_series *series)
{
    struct metrics *metrics = x->host->metrics;
    uint64_t picousd = 0;

    x->account.has_cost = exchange_cost(x, &picousd);
    if (x->account.usage.is_known && !x->account.has_cost)
        metrics_add(metrics, series->unpriced, 1);
    /* What a hedge has cost is spent, whatever is known of the rest. */
    x->account.cost_nanousd = price_nano(exchange_whole_cost(x, picousd));
    if (!x->account.cost_nanousd)
        return;
    metrics_add(metrics, series->cost, x->account.cost_nanousd);
    metrics_add(metrics, series_of_client(x).cost, x->account.cost_nanousd);
    if (x->auth.client->purse)
        purse_add(x->auth.client->purse, x->account.cost_nanousd);
    if (x->auth.client->pool_purse)
        purse_add(x->auth.client->pool_purse, x->account.cost_nanousd);
}

/* For the sums that outlive the process: what came to an attempt. Once, whatever was tried before:
 * no provider tells what a failed attempt has cost. */
static void note_use(struct exchange *x, const struct plan_target *target)
{
    const struct dialect_usage *usage = &x->account.usage;
    const struct use_of of = {
        .client = x->auth.client->name,
        .model = snapshot_model_of(x->binding->snapshot, x->route.label_index, target),
        .provider = target->provider->name,
        .key = x->account.key_name};
    struct use use = {.requests = 1};

    if (usage->is_known) {
        use.input_tokens = usage->prompt_tokens;
        use.cached_tokens = usage->cached_tokens;
        use.output_tokens = usage->completion_tokens;
        use.reasoning_tokens = usage->reasoning_tokens;
    }
    use.cost_nanousd = x->account.cost_nanousd;
    if (!x->account.has_cost)
        use.unpriced = usage->is_known || x->relay.is_committed;
    uses_note(x->host->uses, &of, &use);
}

static void count(struct exchange *x, uint64_t duration_us)
{
    const struct plan_target *target = x->select.attempts ? exchange_target(x) : NULL;
    const struct snapshot_series *series =
        snapshot_series_of(x->binding->snapshot, x->route.label_index, target);
    struct metrics *metrics = x->host->metrics;

    metrics_add(metrics, series->requests + metrics_status((unsigned)x->account.status), 1);
    metrics_observe(metrics, series->latency, &metrics_bounds_ms, duration_us);
    if (x->respond.has_failure)
        metrics_add(metrics, series->errors + x->respond.failure, 1);
    else if (x->respond.is_passed_on)
        metrics_add(metrics, series->errors + METRIC_FAILURE_PASSED_ON, 1);
    if (x->relay.is_committed) {
        metrics_observe(metrics, series->ttfb, &metrics_bounds_ms,
                        x->relay.committed_us - x->head.start_us);
        metrics_observe(metrics, x->host->series.overhead, &metrics_bounds_us,
                        x->account.overhead_ns / 1000);
    }
    if (x->account.cut_by)
        metrics_add(metrics, x->host->series.cancelled + (uint32_t)x->account.cut_by - 1, 1);
    metrics_add(metrics, x->host->series.bytes + METRIC_FLOW_FROM_CLIENT, x->body.bytes);
    metrics_add(metrics, x->host->series.bytes + METRIC_FLOW_TO_CLIENT, x->relay.bytes_out);
    if (!x->auth.client)
        return;
    metrics_add(metrics, series_of_client(x).requests + metrics_status((unsigned)x->account.status),
                1);
    if (x->auth.issued)
        issued_note_use(issued_of(x->auth.client), x->head.start_wall_us);
    count_tokens(x, series);
    count_cost(x, series);
    if (target)
        note_use(x, target);
}

static void count_shared_writes(struct exchange *x)
{
    struct exchange_host *host = x->host;

    metrics_add(host->metrics, host->series.writes + METRIC_WRITES_LIMITS,
                x->admit.admission.shared_writes);
    metrics_add(host->metrics, host->series.writes + METRIC_WRITES_BODIES,
                host->lease.shared_writes);
    host->lease.shared_writes = 0;
}

static void fill_way(const struct exchange *x, struct access_record *record)
{
    const struct plan_target *target = exchange_target(x);
    int status = x->relay.status ? x->relay.status : x->respond.last_status;

    if (!target || x->select.attempts == 0)
        return;
    record->provider = target->provider->name;
    if (!span_is_equal(target->model, x->route.model))
        record->target_model = target->model;
    record->key = x->account.key_name;
    record->region = exchange_site(x)->row->name;
    record->attempts = x->select.attempts;
    record->retries = x->select.attempts - 1 - hedge_attempts(x);
    record->hedge = span_from_text(hedge_result_text(hedge_result_of(x)));
    if (status != x->account.status)
        record->upstream_status = (uint64_t)status;
    record->upstream_request_id = answer_upstream_id(x);
}

static void write_line(struct exchange *x, uint64_t duration_us)
{
    const struct dialect_usage *usage = &x->account.usage;
    uint64_t ttfb_us = x->relay.is_committed ? x->relay.committed_us - x->head.start_us : 0;
    struct access_record record = {
        .wall_us = x->head.start_wall_us,
        .request_id = x->head.request_id,
        .remote = span_of(x->account.remote, x->account.remote_len),
        .method = span_is_equal(x->head.method, SPAN("POST")) ? span_of(NULL, 0) : x->head.method,
        .path = x->head.path,
        .model = x->route.model,
        .status = (uint64_t)x->account.status,
        .failure = span_from_text(failure_name(x)),
        .cancelled_by = span_from_text(cutter(x->account.cut_by)),
        .is_stream = x->body.is_streaming,
        .bytes_in = x->body.bytes,
        .bytes_out = x->relay.bytes_out,
        .has_usage = usage->is_known,
        .prompt_tokens = usage->prompt_tokens,
        .completion_tokens = usage->completion_tokens,
        .cached_tokens = usage->cached_tokens,
        .is_estimated = usage->is_estimated,
        .has_cost = x->account.has_cost,
        .cost_usd = x->account.cost_nanousd,
        .duration_us = duration_us,
        .ttfb_us = ttfb_us == duration_us ? 0 : ttfb_us,
        .waited_us = x->select.waited_us,
        .overhead_us = x->account.overhead_ns / 1000,
    };

    if (x->auth.client) {
        record.client = x->auth.client->name;
        if (x->auth.priority != PRIORITY_STANDARD)
            record.class = priority_name(x->auth.priority);
    }
    fill_way(x, &record);
    access_write(x->host->log, &record);
}

/* What its limits are told; 0: unknown. One of which nothing went upstream has used next to
 * nothing.
 */
static uint64_t tokens_used(const struct exchange *x)
{
    uint64_t tokens = account_tokens(x);

    if (tokens)
        return tokens;
    return x->account.has_left ? 0 : 1;
}

struct move step_account(struct exchange *x)
{
    uint64_t now_us = loop_now_us(exchange_loop(x));
    uint64_t duration_us = now_us > x->head.start_us ? now_us - x->head.start_us : 0;

    select_leave_room(x, false);
    exchange_leave(x);
    if (x->hedge.sent_us)
        hedge_leave(x);
    account_note_cut(x);
    if (x->route.crossing)
        cross_end(x, duration_us);
    estimating_tell(x);
    relay_book(x, outcome_of(x), 0);
    attempt_end(exchange_attempt(x));
    if (x->admit.is_admitted)
        admission_end(&x->admit.admission, tokens_used(x), now_us);
    turn_leave(x, tokens_used(x));
    /* Orchestrators ask for the state every second: that is no traffic. */
    if (x->head.row && x->head.row->access == ACCESS_OPEN)
        return move_done(STEP_END);
    count(x, duration_us);
    count_shared_writes(x);
    if (x->host->log)
        write_line(x, duration_us);
    if (x->shadow)
        shadow_follow(x);
    return move_done(STEP_END);
}
