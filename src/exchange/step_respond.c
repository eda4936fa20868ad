/*
 * An answer made here: an error in the client's dialect, the provider's own refusal passed on, a
 * list of models, the state of the gateway; or, after commit, the end of an answer that failed.
 */
#include "base/clock.h"
#include "dialect/error_write.h"
#include "dialect/token_count.h"
#include "exchange/exchange.h"
#include "exchange/select.h"

/* The pool's times lie a little behind the moment that a provider told, which shall cost the client
 * no further second. */
enum { RESPOND_MAX_BYTES = 8 << 20, WAIT_SLACK_MS = 2 };

/* Sends a body of our own with the usual fields and some more. */
static void send_own(struct exchange *x, int status, struct span more, struct span body)
{
    struct http_answer answer = {.status = status, .length = (int64_t)body.len};
    struct buf fields = exchange_scratch(x);

    fields.len = answer_fields(x, true).len;
    buf_append_span(&fields, more);
    answer.fields = buf_span(&fields);
    x->account.status = status;
    x->relay.bytes_out += body.len;
    http_server_answer(x->conn, &answer, body, true);
}

/* --- errors --- */

static bool is_closing(enum failure failure)
{
    return failure == FAILURE_BODY_TOO_LARGE || failure == FAILURE_HEAD_TOO_LARGE ||
           failure == FAILURE_REQUEST_TIMEOUT || failure == FAILURE_BAD_FRAMING;
}

bool respond_tells_wait(int status)
{
    return status == 429 || status == 503 || status == 529;
}

bool respond_judges_retry(const struct exchange *x, int status)
{
    return x->select.attempts > 1 && ((status >= 502 && status <= 504) || status == 529);
}

/* Every 429 and 503 tells when to come back; and after tries of our own a client's SDK is not to
 * begin anew. `cause`: the status before it was told in the client's dialect. */
static void put_retry(struct exchange *x, int status, int cause, bool may_retry, struct buf *out)
{
    uint64_t wait_us = x->respond.retry_after_us ? x->respond.retry_after_us : US_PER_SEC;
    uint64_t wait_ms = (wait_us + US_PER_MS - 1) / US_PER_MS;

    if (respond_tells_wait(status))
        buf_printf(
            out, "Retry-After: %llu\r\nretry-after-ms: %llu\r\n",
            (unsigned long long)(wait_ms > 1000 ? (wait_ms + 999 - WAIT_SLACK_MS) / 1000 : 1),
            (unsigned long long)wait_ms);
    if (respond_judges_retry(x, cause) || (!may_retry && (status >= 500 || status == 429)))
        buf_append_span(out, SPAN("x-should-retry: false\r\n"));
}

static void put_allow(struct exchange *x, struct buf *out)
{
    if (x->respond.failure == FAILURE_METHOD && x->head.row)
        buf_printf(out, "Allow: %s\r\n", x->head.row->method == METHOD_GET ? "GET, HEAD" : "POST");
    if (failure_row(x->respond.failure)->status == 401)
        buf_append_span(out, SPAN("WWW-Authenticate: Bearer\r\n"));
}

static struct error_ours own_error(const struct exchange *x)
{
    return (struct error_ours){.row = failure_row(x->respond.failure),
                               .message = x->respond.message,
                               .param = x->respond.param,
                               .request_id = x->head.request_id,
                               .wait_us = x->respond.retry_after_us};
}

/* Built in the scratch alone: it may be memory that is short. */
static void send_failure(struct exchange *x)
{
    const struct failure_row *row = failure_row(x->respond.failure);
    struct error_ours error = own_error(x);
    struct http_answer answer = {.status = error_status(x->head.dialect, row->status),
                                 .is_closing = is_closing(x->respond.failure)};
    struct buf out = exchange_scratch(x);
    struct span body;

    out.len = answer_fields(x, true).len;
    put_retry(x, row->status, row->status, row->may_retry, &out);
    put_allow(x, &out);
    answer.fields = buf_span(&out);
    error_write(&out, x->head.dialect, &error);
    body = span_skip(buf_span(&out), answer.fields.len);
    answer.length = (int64_t)body.len;
    x->account.status = answer.status;
    x->relay.bytes_out += body.len;
    http_server_answer(x->conn, &answer, body, true);
}

/* The provider's answer as it is, with its own hint where it gave one; in the client's words where
 * they speak different dialects. */
static void send_passed_on(struct exchange *x)
{
    struct error_told told = {.upstream = x->relay.dialect,
                              .status = x->relay.status,
                              .error = x->relay.error,
                              .request_id = x->head.request_id,
                              .wait_us = x->select.hint_us};
    bool is_told = x->relay.dialect != x->head.dialect;
    struct http_answer answer = {.status = x->relay.status};
    struct span body = buf_span(&x->relay.held);
    struct buf fields = exchange_scratch(x);

    if (!x->respond.retry_after_us)
        x->respond.retry_after_us = x->select.hint_us;
    if (is_told)
        answer.status = error_status_told(x->head.dialect, &told);
    fields.len = answer_fields(x, is_told).len;
    put_retry(x, answer.status, x->relay.status, true, &fields);
    answer.fields = buf_span(&fields);
    if (is_told) {
        error_write_told(&fields, x->head.dialect, &told);
        body = span_skip(buf_span(&fields), answer.fields.len);
    }
    answer.length = (int64_t)body.len;
    x->account.status = answer.status;
    x->relay.bytes_out += body.len;
    http_server_answer(x->conn, &answer, body, true);
}

/* A stream that is told anew ends in the words of its writer, which knows what it has told so far.
 */
static void fail_events(struct exchange *x)
{
    struct error_ours ours = own_error(x);
    struct dialect_error error;

    error_from_ours(x->head.dialect, &ours, &error);
    relay_events_fail(x, &error);
}

static void end_failed_stream(struct exchange *x)
{
    struct error_ours error = own_error(x);

    if (x->relay.is_broken)
        relay_pass(x, span_of(NULL, 0), true);
    else if (x->send.is_told)
        fail_events(x);
    else
        relay_events_break(x, &error);
}

/* After commit: a stream gets an error event and a proper end, any other answer is cut, so that the
 * client sees it. */
static void end_committed(struct exchange *x)
{
    if (x->relay.mode != RELAY_STREAM && x->relay.mode != RELAY_EVENTS) {
        http_server_abort(x->conn);
        return;
    }
    if (relay_is_over(x)) {
        x->respond.has_failure = false;
        x->account.cut_by = INTERRUPT_NONE;
        relay_end(x);
        if (x->relay.is_whole)
            return;
    }
    end_failed_stream(x);
}

/* --- what the gateway answers of itself --- */

static void send_state(struct exchange *x)
{
    bool is_up = x->head.kind == INBOUND_HEALTH || x->host->is_ready;

    send_own(x, is_up ? 200 : 503,
             is_up ? SPAN("Cache-Control: no-store\r\n")
                   : SPAN("Retry-After: 1\r\nretry-after-ms: 1000\r\n"),
             is_up ? SPAN("{\"status\":\"ok\"}\n") : SPAN("{\"status\":\"not ready\"}\n"));
}

/* A body that was written to its end; half of one would be a lie. */
static void send_body(struct exchange *x, const struct buf *body)
{
    if (!body->err) {
        send_own(x, 200, span_of(NULL, 0), buf_span(body));
        return;
    }
    exchange_refuse(x, FAILURE_OVERLOADED, span_of(NULL, 0), span_of(NULL, 0));
    send_failure(x);
}

static void send_models(struct exchange *x)
{
    struct buf body;

    buf_init(&body, RESPOND_MAX_BYTES);
    models_write_list(x, &body);
    send_body(x, &body);
    buf_fini(&body);
}

static void send_model(struct exchange *x)
{
    struct span name = x->head.facts.model;
    struct buf body;

    buf_init(&body, RESPOND_MAX_BYTES);
    if (models_write_one(x, name, &body)) {
        send_body(x, &body);
    } else {
        exchange_refuse(
            x, FAILURE_MODEL_NOT_FOUND,
            arena_printf(&x->arena, "The model '%.*s' does not exist here.", SPAN_ARG(name)),
            SPAN("model"));
        send_failure(x);
    }
    buf_fini(&body);
}

/* How many tokens the request has, as it is estimated for limits. */
static void send_count(struct exchange *x)
{
    struct buf body;

    buf_init(&body, RESPOND_MAX_BYTES);
    token_count_write(&body, x->head.facts.form, x->body.prompt_tokens);
    send_body(x, &body);
    buf_fini(&body);
}

static void send_local(struct exchange *x)
{
    switch (x->head.kind) {
    case INBOUND_HEALTH:
    case INBOUND_READY:
        send_state(x);
        break;
    case INBOUND_MODELS:
    case INBOUND_GEMINI_MODELS:
        send_models(x);
        break;
    case INBOUND_MODEL:
    case INBOUND_GEMINI_MODEL:
        send_model(x);
        break;
    case INBOUND_COUNT_TOKENS:
    case INBOUND_GEMINI:
    case INBOUND_GEMINI_BARE:
    case INBOUND_GEMINI_V1:
        send_count(x);
        break;
    case INBOUND_CHAT:
    case INBOUND_COMPLETIONS:
    case INBOUND_RESPONSES:
    case INBOUND_EMBEDDINGS:
    case INBOUND_MESSAGES:
    case INBOUND_COUNT:
        exchange_refuse(x, FAILURE_INTERNAL, span_of(NULL, 0), span_of(NULL, 0));
        send_failure(x);
        break;
    }
}

/* --- the step --- */

struct move step_respond(struct exchange *x)
{
    select_leave_room(x, false);
    if (x->hedge.sent_us)
        hedge_leave(x);
    attempt_end(exchange_attempt(x));
    if (!x->conn)
        return move_done(STEP_ACCOUNT);
    if (x->relay.is_committed)
        end_committed(x);
    else if (x->respond.is_passed_on)
        send_passed_on(x);
    else if (x->respond.has_failure)
        send_failure(x);
    else
        send_local(x);
    return relay_finish(x);
}
