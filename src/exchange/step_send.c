/* The request on its way upstream: its head in the target's dialect, its body with the few edits it
 * needs. */
#include "base/clock.h"
#include "base/decimal.h"
#include "base/err.h"
#include "exchange/exchange.h"
#include "exchange/select.h"

/* To count what a stream used, its provider is asked to tell, where it allows that: then the extra
 * chunk is hidden from a client that did not ask. */
bool send_asks_usage(const struct exchange *x, const struct snapshot_provider *row)
{
    /* Only OpenAI's two older forms have to be asked. */
    if (!x->body.is_streaming || x->body.wants_usage ||
        (x->send.form != FORM_CHAT && x->send.form != FORM_COMPLETIONS))
        return false;
    switch (row->include_usage) {
    case INCLUDE_USAGE_YES:
        return true;
    case INCLUDE_USAGE_TRY:
        return endpoint_usage(exchange_site(x)->row->endpoint) != ENDPOINT_USAGE_REFUSED;
    case INCLUDE_USAGE_NO:
        break;
    }
    return false;
}

/* The few changes that the client's own bytes need. */
static int edit_body(struct exchange *x)
{
    struct span model = exchange_target(x)->model;
    bool is_in_path = form_row(x->send.form)->dialect == DIALECT_GEMINI;

    x->send.edits = arena_alloc(&x->attempt_arena, sizeof(*x->send.edits));
    if (!x->send.edits)
        return ERR_NOMEM;
    x->send.edits->count = 0;
    if (x->send.body)
        return 0;
    if (is_in_path || span_is_equal(model, request_scan_model(x->body.request)))
        model = span_of(NULL, 0);
    return request_scan_edit(x->body.request, model, x->send.is_usage_asked, x->send.edits);
}

static void put_extras(struct exchange *x, const struct conf_provider *conf, struct buf *head)
{
    for (size_t i = 0; i < x->head.extra_count; i++) {
        const struct dialect_header *extra = &x->head.extras[i];

        for (size_t k = 0; k < conf->forward_headers.count; k++) {
            if (!span_is_equal(conf->forward_headers.items[k], extra->name))
                continue;
            buf_append_span(head, extra->name);
            buf_append_span(head, SPAN(": "));
            buf_append_span(head, extra->value);
            buf_append_span(head, SPAN("\r\n"));
            break;
        }
    }
}

/* Fields of one dialect. A body that was written here is of the version that stands here. */
static void put_own_fields(struct exchange *x, const struct snapshot_provider *row,
                           struct buf *head)
{
    bool is_own = way_is_same_form(x);

    if (is_own)
        buf_append_span(head, x->head.own_fields);
    if (row->traits.dialect == DIALECT_ANTHROPIC && !(is_own && x->head.has_version))
        buf_append_span(head, SPAN("anthropic-version: 2023-06-01\r\n"));
}

void send_put_head(struct exchange *x, const struct snapshot_provider *row, struct buf *head)
{
    buf_append_span(head, SPAN("POST "));
    way_write_path(x, row, head);
    buf_append_span(head, SPAN(" HTTP/1.1\r\nHost: "));
    buf_append_span(head, endpoint_authority(exchange_site(x)->row->endpoint));
    buf_append_span(head, SPAN("\r\n"));
    put_extras(x, row->conf, head);
    put_own_fields(x, row, head);
    if (!x->head.has_content_type)
        buf_append_span(head, SPAN("Content-Type: application/json\r\n"));
    if (!x->head.has_user_agent)
        buf_append_span(head, SPAN("User-Agent: bellwether/" BW_VERSION "\r\n"));
    buf_append_span(head, SPAN("Accept-Encoding: identity\r\n"));
}

/* Into the loop's scratch, then into the attempt's arena: the request may have to be sent again on
 * a fresh connection. */
static struct span write_head(struct exchange *x, const struct snapshot_provider *row,
                              uint64_t length)
{
    char digits[DECIMAL_BYTES];
    struct buf head = exchange_scratch(x);

    send_put_head(x, row, &head);
    buf_append_span(&head, SPAN("Content-Length: "));
    buf_append_span(&head, decimal_text(length, digits));
    buf_append_span(&head, SPAN("\r\n"));
    return head.err ? span_of(NULL, 0) : arena_copy(&x->attempt_arena, buf_span(&head));
}

static void describe(struct exchange *x, const struct snapshot_provider *row,
                     struct attempt_request *ret_request)
{
    const struct conf_provider_timeouts *times = &row->conf->timeouts;
    const struct config *config = exchange_config(x);
    uint64_t now_us = loop_now_us(exchange_loop(x));

    *ret_request = (struct attempt_request){
        .fields = x->head.fields,
        .lines = {keypool_line(&x->select.grant), row->fields},
        .body = x->send.body ? x->send.body : x->body.body,
        .edits = x->send.edits->at,
        .edit_count = x->send.edits->count,
        .ahead = span_of((const char *)x, sizeof(*x)),
        .send_us = times->send_us,
        .first_byte_us =
            x->body.is_streaming ? times->first_byte.streamed_us : times->first_byte.whole_us,
        .idle_us = times->idle_us,
        .wait_until_us =
            x->select.wait_until_us ? x->select.wait_until_us : now_us + config->retry.wait_us,
        .deadline_us = exchange_deadline_us(x),
    };
}

/* No target is left. That one failed before may pass, so that the client hears of that. */
static struct move refuse_last_target(struct exchange *x, const struct chat_refusal *refusal)
{
    if (x->respond.last && x->respond.last->failure != PASSED_ON)
        return respond_with_last(x);
    relay_give_up(x, refusal->failure);
    x->respond.message = arena_copy(&x->arena, span_from_text(refusal->message));
    x->respond.param = arena_copy(&x->arena, span_from_text(refusal->param));
    return move_done(STEP_RESPOND);
}

/* Another target may understand what this one cannot be told; where none is left, the client hears
 * why.
 */
static struct move refuse_target(struct exchange *x, const struct chat_refusal *refusal)
{
    select_give_back(x);
    if (!select_has_other_target(x, x->select.target))
        return refuse_last_target(x, refusal);
    x->select.excluded |= 1u << x->select.target;
    return move_done(STEP_SELECT);
}

/* The body for the target is settled: err as way_settle says. */
static struct move begin_attempt(struct exchange *x, int err, const struct chat_refusal *refusal)
{
    const struct snapshot_provider *row = exchange_outlet(x)->row;
    struct outlet_site *site = exchange_site(x);
    const struct body *body;
    struct attempt_request request;

    if (!err)
        err = edit_body(x);
    if (err == ERR_SYNTAX)
        return refuse_target(x, refusal);
    if (err == ERR_AGAIN)
        return media_fetch(x);
    if (err)
        return relay_give_up(x, err == ERR_FULL ? FAILURE_BODY_TOO_LARGE : FAILURE_OVERLOADED);
    describe(x, row, &request);
    body = request.body;
    request.head = write_head(x, row, body_edited_length(body, request.edits, request.edit_count));
    if (!request.head.ptr)
        return relay_give_up(x, FAILURE_OVERLOADED);
    if (x->select.attempts++ == 0) {
        x->account.sent_wall_us = loop_wall_us(exchange_loop(x));
        retry_budget_note(x->host->registry->retry_budget, x->host->worker,
                          loop_now_us(exchange_loop(x)));
    }
    x->send.is_begun = true;
    if (site->seen)
        x->relay.begun_us = loop_now_us(exchange_loop(x));
    attempt_begin(exchange_attempt(x), site->pool, exchange_loop(x), &request);
    if (x->shadow)
        shadow_note_attempt(x);
    if (attempt_is_waiting(exchange_attempt(x))) {
        select_note_wait(x);
        shadows_yield_connections(x->host, site->pool);
    }
    if (x->select.attempts == 1) {
        uint64_t waited_ns = x->select.waited_us * 1000,
                 spent_ns = clock_now_ns() - x->body.whole_ns;

        x->account.overhead_ns = spent_ns > waited_ns ? spent_ns - waited_ns : 0;
    }
    return move_park();
}

static struct move begin(struct exchange *x)
{
    const struct snapshot_provider *row = exchange_outlet(x)->row;
    struct chat_refusal refusal;
    int err;

    relay_reset(x);
    arena_fini(&x->attempt_arena);
    x->send.form = way_form(x, row);
    x->send.is_usage_asked = send_asks_usage(x, row);
    err = way_settle(x, row, &refusal);
    return x->send.rewrite ? move_more() : begin_attempt(x, err, &refusal);
}

/* A large body is back. */
static struct move begin_rewritten(struct exchange *x)
{
    struct chat_refusal refusal;
    int err = rewrite_take(x, &refusal);

    return begin_attempt(x, err, &refusal);
}

struct move step_send(struct exchange *x)
{
    if (x->send.errand || (x->send.rewrite && !x->send.rewrite->away.is_back))
        return exchange_await(x);
    if (x->send.rewrite)
        return begin_rewritten(x);
    if (x->send.media_err)
        return relay_give_up(x, FAILURE_OVERLOADED);
    /* It was given back while media were fetched. */
    if (!x->send.is_begun && !x->select.grant.key)
        return move_done(STEP_SELECT);
    if (!x->send.is_begun)
        return begin(x);
    if (x->relay.in.failed)
        return relay_failed(x, outcome_row(x->relay.in.failed));
    return x->relay.status ? move_done(STEP_RELAY) : move_park();
}
