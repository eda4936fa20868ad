#include "exchange/shadow_body.h"

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "base/err.h"
#include "base/rand.h"
#include "io/outbox.h"

enum { ARENA_MAX_BYTES = 32 << 20, HEAD_MAX_BYTES = 16 << 10 };

void shadows_init(struct shadows *shadows)
{
    list_init(&shadows->under_way);
    shadows->count = 0;
}

/* ---- the draw ---- */

static struct shadow *new_shadow(struct exchange *x, struct shadow_entry *entry,
                                 const struct plan_shadow *plan)
{
    struct shadow *shadow = mem_zalloc(1, sizeof(*shadow));

    if (!shadow)
        return NULL;
    shadow->host = x->host;
    shadow->entry = entry;
    shadow->plan = plan;
    shadow->least_milli = plan->conf->min_similarity_ppm / 1000;
    list_init(&shadow->link);
    arena_pool_init(&shadow->pool, 0);
    arena_init(&shadow->arena, &shadow->pool, ARENA_MAX_BYTES);
    body_lease_init(&shadow->lease, &x->host->registry->shadow_bodies);
    buf_init(&shadow->told, HOST_TOLD_MAX_BYTES);
    buf_init(&shadow->head, HEAD_MAX_BYTES);
    buf_init(&shadow->real.bytes, SHADOW_KEPT_BYTES);
    buf_init(&shadow->own.bytes, SHADOW_KEPT_BYTES);
    x->host->shadows.count++;
    return shadow;
}

static bool is_comparable(const struct exchange *x)
{
    return form_row(x->head.facts.form)->purpose == PURPOSE_CONVERSE &&
           x->body.body->len <= SHADOW_BODY_BYTES;
}

void shadow_draw(struct exchange *x, const struct plan_shadow *plan)
{
    struct shadow_entry *entry;

    if (rand_below(&x->host->rand, CONF_PPM) >= plan->conf->share_ppm)
        return;
    entry = shadow_board_entry(x->host->registry->shadows, plan->model, plan->name);
    if (!entry)
        return;
    shadow_entry_draw(entry);
    if (!is_comparable(x)) {
        shadow_entry_skip(entry, SHADOW_SKIP_REQUEST);
        return;
    }
    if (x->host->shadows.count < SHADOWS_AT_ONCE)
        x->shadow = new_shadow(x, entry, plan);
    if (!x->shadow)
        shadow_entry_skip(entry, SHADOW_SKIP_BUSY);
}

/* ---- what is heard ---- */

void shadow_keep(struct shadow_heard *heard, const char *data, size_t len, uint64_t now_us)
{
    if (len == 0)
        return;
    if (!heard->first_us)
        heard->first_us = now_us;
    heard->last_us = now_us;
    if (!heard->is_long && buf_append(&heard->bytes, data, len))
        heard->is_long = true;
    if (heard->is_long)
        buf_fini(&heard->bytes);
}

void shadow_note_attempt(struct exchange *x)
{
    struct shadow_heard *real = &x->shadow->real;

    buf_fini(&real->bytes);
    buf_init(&real->bytes, SHADOW_KEPT_BYTES);
    real->is_long = false;
    real->begun_us = shadow_now_us(x->shadow);
    real->first_us = real->last_us = 0;
}

void shadow_hear(struct exchange *x, const char *data, size_t len)
{
    shadow_keep(&x->shadow->real, data, len, shadow_now_us(x->shadow));
}

/* Out of the budget of requests, into that of shadows. */
static bool rehome(struct body *body, struct body_lease *lease)
{
    if (body_lease_take(lease, body->held))
        return false;
    body_lease_give(body->lease, body->held);
    body->lease = lease;
    return true;
}

void shadow_take_body(struct exchange *x)
{
    struct shadow *shadow = x->shadow;

    if (!x->body.body || shadow->body)
        return;
    if (!rehome(x->body.body, &shadow->lease)) {
        shadow->is_body_lost = true;
        return;
    }
    shadow->body = x->body.body;
    x->body.body = NULL;
}

/* ---- its request ---- */

/* An exchange that asks the shadow's target for what the real one asked for: only to be looked at,
 * by those who write requests. Nothing of the client's own head goes with it. */
static struct exchange view_of(const struct exchange *x, const struct shadow *shadow,
                               const struct snapshot_provider *row)
{
    struct exchange view = *x;

    view.route.targets = &shadow->plan->target;
    view.route.target_count = 1;
    view.select.target = 0;
    view.select.site = (uint32_t)shadow->site;
    view.head.has_content_type = view.head.has_user_agent = false;
    view.head.fields = span_of(NULL, 0);
    view.send.body = NULL;
    view.send.drops = NULL;
    view.body.translation = NULL;
    view.send.form = way_form(&view, row);
    if (view.send.form != FORM_COUNT)
        view.send.is_usage_asked = send_asks_usage(&view, row);
    return view;
}

/* What a helper needs to tell the body anew, apart from the exchange. */
static int describe_rewrite(struct shadow *shadow, struct exchange *view,
                            const struct snapshot_provider *row)
{
    struct rewrite *rewrite = &shadow->rewrite;

    *rewrite = way_rewrite(view, row);
    rewrite->body = shadow->body;
    rewrite->arenas = &shadow->pool;
    rewrite->lease = &shadow->lease;
    rewrite->told = &shadow->told;
    rewrite->drops = &shadow->drops;
    rewrite->arena = NULL;
    rewrite->facts.model = arena_copy(&shadow->arena, rewrite->facts.model);
    /* The snapshot may be gone while a helper works for a shadow that was dropped. */
    rewrite->target.model = arena_copy(&shadow->arena, rewrite->target.model);
    return rewrite->facts.model.ptr && rewrite->target.model.ptr ? 0 : ERR_NOMEM;
}

/* All that it takes of the real exchange, which is gone afterwards. */
static int describe(struct shadow *shadow, struct exchange *x, struct exchange *view,
                    const struct snapshot_provider *row)
{
    struct span model = shadow->plan->target.model;
    int err;

    shadow->own.form = view->send.form;
    shadow->is_streaming = x->body.is_streaming;
    shadow->prompt_tokens = x->body.prompt_tokens;
    shadow->most_tokens = x->body.prompt_tokens + request_scan_max_tokens(x->body.request);
    shadow->client_pool = x->auth.client->pool;
    shadow->is_rewritten =
        !way_is_same_form(view) ||
        rewrite_is_thinkable(view->send.form, row->traits.quirks, view->body.thoughts);
    shadow->request_id = arena_copy(&shadow->arena, x->head.request_id);
    send_put_head(view, row, &shadow->head);
    err = shadow->head.err ? shadow->head.err : describe_rewrite(shadow, view, row);
    if (err || !way_is_same_form(view))
        return err;
    if (form_row(view->send.form)->dialect == DIALECT_GEMINI ||
        span_is_equal(model, request_scan_model(x->body.request)))
        model = span_of(NULL, 0);
    return request_scan_edit(x->body.request, model, view->send.is_usage_asked, &shadow->edits);
}

/* ---- its attempt ---- */

static struct shadow *shadow_of(struct attempt *attempt)
{
    return container_of(attempt, struct shadow, attempt);
}

static void on_sent(struct attempt *attempt)
{
    struct shadow *shadow = shadow_of(attempt);

    shadow->is_sent = true;
    shadow->own.begun_us = shadow_now_us(shadow);
    shadow->sent_wall_us = loop_wall_us(shadow->host->loop);
    keypool_sent(shadow_outlet(shadow)->view, &shadow->grant, shadow->own.begun_us);
}

static void on_head(struct attempt *attempt, const struct http_head *head)
{
    struct shadow_heard *own = &shadow_of(attempt)->own;

    own->status = head->status;
    own->is_stream = relay_is_event_stream(http_head_get(head, FIELD_CONTENT_TYPE));
    own->is_coded = relay_is_coded(head);
}

/* An answer without good sense is an answer: what it says is found when it is read. */
static void judge(struct shadow *shadow)
{
    struct shadow_heard *own = &shadow->own;

    own->is_good = own->status >= 200 && own->status <= 299;
    attempt_end(&shadow->attempt);
    if (own->is_coded)
        shadow_end(shadow, SHADOW_SKIP_UNREAD);
    else if (own->is_good || shadow_is_refusal(own->status))
        shadow_compare(shadow);
    else
        shadow_end(shadow, SHADOW_SKIP_FAILED);
}

static void on_data(struct attempt *attempt, char *data, size_t len, bool is_last)
{
    struct shadow *shadow = shadow_of(attempt);

    attempt_note_first_byte(attempt);
    shadow_keep(&shadow->own, data, len, shadow_now_us(shadow));
    if (shadow->own.is_long)
        shadow_end(shadow, SHADOW_SKIP_LONG);
    else if (is_last)
        judge(shadow);
}

static void on_fail(struct attempt *attempt, enum outcome outcome)
{
    shadow_end(shadow_of(attempt),
               outcome == OUTCOME_NO_CONNECTION ? SHADOW_SKIP_CONNECTION : SHADOW_SKIP_FAILED);
}

static const struct attempt_ops attempt_ops = {
    .on_sent = on_sent,
    .on_head = on_head,
    .on_data = on_data,
    .on_fail = on_fail,
};

static bool select_key(struct shadow *shadow)
{
    const struct plan_target *target = &shadow->plan->target;
    struct outlet *outlet = shadow_outlet(shadow);
    const struct keypool_ask ask = {
        .model = target->model,
        .model_hash = target->model_hash,
        .pool = shadow->client_pool,
        .tokens = shadow->most_tokens,
        .endpoint = endpoint_health_of(outlet->row->sites[shadow->site].endpoint),
        .endpoint_tally = outlet->sites[shadow->site].tally,
    };

    return waiting_count(provider_waiting(outlet->row->provider)) == 0 &&
           keypool_select_spare(outlet->view, &ask, shadow->plan->conf->key, shadow_now_us(shadow),
                                &shadow->grant);
}

static void begin_attempt(struct shadow *shadow)
{
    struct outlet *outlet = shadow_outlet(shadow);
    const struct conf_provider_timeouts *times = &outlet->row->conf->timeouts;
    const struct body *body = shadow->rewrite.written ? shadow->rewrite.written : shadow->body;
    uint64_t now_us = shadow_now_us(shadow);
    struct attempt_request request = {
        .head = buf_span(&shadow->head),
        .lines = {keypool_line(&shadow->grant), outlet->row->fields},
        .body = body,
        .edits = shadow->edits.at,
        .edit_count = shadow->rewrite.written ? 0 : shadow->edits.count,
        .is_spare = true,
        .send_us = times->send_us,
        .first_byte_us =
            shadow->is_streaming ? times->first_byte.streamed_us : times->first_byte.whole_us,
        .idle_us = times->idle_us,
        .wait_until_us = now_us,
        .deadline_us = now_us + times->total_us,
    };

    attempt_begin(&shadow->attempt, outlet->sites[shadow->site].pool, shadow->host->loop, &request);
    if (attempt_is_waiting(&shadow->attempt))
        shadow_end(shadow, SHADOW_SKIP_CONNECTION);
}

/* Half of the connections are left to real exchanges. */
static bool has_connections(const struct shadow *shadow)
{
    const struct outlet *outlet = shadow_outlet(shadow);

    return endpoint_pool_count(outlet->sites[shadow->site].pool) <=
           outlet->row->conf->connections.max / 2;
}

static void ask(struct shadow *shadow)
{
    const struct body *body = shadow->rewrite.written ? shadow->rewrite.written : shadow->body;
    char digits[DECIMAL_BYTES];

    buf_append_span(&shadow->head, SPAN("Content-Length: "));
    buf_append_span(
        &shadow->head,
        decimal_text(body_edited_length(body, shadow->edits.at,
                                        shadow->rewrite.written ? 0 : shadow->edits.count),
                     digits));
    buf_append_span(&shadow->head, SPAN("\r\n"));
    if (shadow->head.err)
        shadow_end(shadow, SHADOW_SKIP_REQUEST);
    else if (!has_connections(shadow))
        shadow_end(shadow, SHADOW_SKIP_CONNECTION);
    else if (!select_key(shadow))
        shadow_end(shadow, SHADOW_SKIP_KEY);
    else
        begin_attempt(shadow);
}

/* ---- the body told anew ---- */

static void write_body(struct helper_job *job)
{
    struct shadow *shadow = container_of(job, struct shadow, job);

    chat_refusal_init(&shadow->refusal, FAILURE_UNSUPPORTED);
    shadow->err = rewrite_run(&shadow->rewrite, &shadow->refusal);
    buf_fini(&shadow->told);
}

static void on_written(struct helper_job *job, int err)
{
    struct shadow *shadow = container_of(job, struct shadow, job);

    shadow->is_away = false;
    if (!err)
        err = shadow->err;
    if (shadow->phase == SHADOW_DROPPED) {
        shadow_end(shadow, SHADOW_SKIP_YIELDED);
        return;
    }
    shadow->phase = SHADOW_ASKING;
    if (err == ERR_SYNTAX)
        shadow_end(shadow, SHADOW_SKIP_TARGET);
    else if (err)
        shadow_end(shadow, err == ERR_AGAIN ? SHADOW_SKIP_REQUEST : SHADOW_SKIP_BUSY);
    else
        ask(shadow);
}

/* ---- the beginning ---- */

/* The shadow's target has served the real exchange, as it does more and more in a migration: there
 * is nothing to compare it with, but where it is a key that is tried. */
static bool is_same(const struct exchange *x, const struct plan_shadow *plan)
{
    const struct plan_target *target = exchange_target(x);

    return !plan->conf->key.len && target &&
           target->provider_index == plan->target.provider_index &&
           span_is_equal(target->model, plan->target.model);
}

/* SHADOW_SKIPS: the real exchange came to something that can be compared. */
static enum shadow_skip judge_real(const struct exchange *x, const struct plan_shadow *plan,
                                   struct shadow_heard *real)
{
    real->status = x->relay.status ? x->relay.status : x->respond.last_status;
    real->form = x->send.form;
    real->is_stream = relay_is_event_stream(x->relay.content_type);
    real->is_good = x->relay.is_whole && !x->respond.has_failure && x->relay.is_committed;
    if (x->account.cut_by || x->select.attempts == 0)
        return SHADOW_SKIP_REAL;
    if (!real->is_good && !(x->respond.is_passed_on && shadow_is_refusal(real->status)))
        return SHADOW_SKIP_REAL;
    if (is_same(x, plan))
        return SHADOW_SKIP_SAME;
    if (real->is_good && x->relay.mode == RELAY_RAW)
        return SHADOW_SKIP_UNREAD;
    if (real->is_long)
        return SHADOW_SKIP_LONG;
    return shadow_can_read(real->form) ? SHADOW_SKIPS : SHADOW_SKIP_REQUEST;
}

static void tell_budget(const struct shadow *shadow, uint64_t wall_us)
{
    uint64_t end_us = period_end_us((enum period)shadow->plan->conf->budget.per, wall_us);
    char text[RFC3339_BYTES];

    datetime_write_rfc3339(end_us, text);
    log_write(shadow->host->registry->log, LOG_LEVEL_WARNING,
              "the budget of a shadow is used up: nothing is mirrored until its period ends",
              LOG_SPAN("model", shadow->plan->model), LOG_SPAN("to", shadow->plan->name),
              LOG_SPAN("until", span_of(text, sizeof(text))));
}

/* About as much as the real one used; but what that provider had in its cache says nothing of the
 * other's. */
static struct dialect_usage likely_usage(const struct exchange *x)
{
    struct dialect_usage usage = {.prompt_tokens = x->body.prompt_tokens};

    if (x->account.usage.is_known)
        usage = x->account.usage;
    usage.cached_tokens = usage.cache_write_tokens = usage.cache_write_long_tokens = 0;
    return usage;
}

static bool is_within_budget(struct shadow *shadow, const struct exchange *x)
{
    const struct conf_shadow_budget *budget = &shadow->plan->conf->budget;
    const struct shadow_cap cap = {.most = {.pico_usd = budget->micro_usd * SHADOW_PICO_IN_MICRO,
                                            .requests = budget->requests,
                                            .tokens = budget->tokens},
                                   .per = (enum period)budget->per};
    uint64_t wall_us = loop_wall_us(shadow->host->loop);
    enum shadow_skip skip;
    bool is_news, is_within;

    shadow->likely = likely_usage(x);
    shadow->estimate = shadow_spend_of(shadow, x->binding, &shadow->likely);
    is_within = shadow_entry_begin(shadow->entry, &cap, &shadow->estimate, shadow_now_us(shadow),
                                   wall_us, &skip, &is_news);
    if (is_news)
        tell_budget(shadow, wall_us);
    return is_within;
}

/* Clients have what the turn made for them before anything is done for a shadow. */
static void on_start(struct loop_task *task)
{
    struct shadow *shadow = container_of(task, struct shadow, start);

    outbox_flush(loop_outbox(shadow->host->loop));
    shadow->phase = SHADOW_ASKING;
    if (shadow->is_rewritten)
        shadow_send_job(shadow, SHADOW_WRITING, write_body, on_written);
    else
        ask(shadow);
}

static void begin(struct shadow *shadow, struct exchange *x)
{
    const struct snapshot_provider *row =
        x->binding->outlets[shadow->plan->target.provider_index].row;
    struct exchange view;
    bool can_be_told;

    shadow->site = outlet_home(&x->binding->outlets[shadow->plan->target.provider_index]);
    view = view_of(x, shadow, row);
    can_be_told = view.send.form != FORM_COUNT && shadow_can_read(view.send.form) &&
                  !way_leads_elsewhere(row->conf, shadow->plan->target.model);
    shadow->binding = binding_ref(x->binding);
    shadow->phase = SHADOW_READY;
    loop_task_init(&shadow->start, on_start);
    attempt_init(&shadow->attempt, &attempt_ops);
    list_push_back(&shadow->host->shadows.under_way, &shadow->link);
    if (!can_be_told)
        shadow_end(shadow, SHADOW_SKIP_TARGET);
    else if (describe(shadow, x, &view, row))
        shadow_end(shadow, SHADOW_SKIP_REQUEST);
    else
        loop_defer(shadow->host->loop, &shadow->start);
}

void shadow_follow(struct exchange *x)
{
    struct shadow *shadow = x->shadow;
    enum shadow_skip skip;

    x->shadow = NULL;
    skip = judge_real(x, shadow->plan, &shadow->real);
    if (skip == SHADOW_SKIPS && x->host->is_terminating)
        skip = SHADOW_SKIP_YIELDED;
    if (skip == SHADOW_SKIPS) {
        x->shadow = shadow;
        shadow_take_body(x);
        x->shadow = NULL;
        if (!shadow->body)
            skip = SHADOW_SKIP_BUSY;
    }
    if (skip != SHADOW_SKIPS)
        shadow_discard(shadow, skip);
    else if (!is_within_budget(shadow, x))
        shadow_discard(shadow, SHADOW_SKIPS);
    else
        begin(shadow, x);
}
