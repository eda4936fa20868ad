/* The head of an answer: which of the provider's fields pass, and those that tell of the gateway's
 * own work. */
#include "base/clock.h"
#include "base/decimal.h"
#include "exchange/exchange.h"
#include "ledger/price.h"

/* A client's JSON can name a model with line breaks in it. */
static bool breaks_lines(struct span value)
{
    return span_find_byte(value, '\r') != SIZE_MAX || span_find_byte(value, '\n') != SIZE_MAX ||
           span_find_byte(value, '\0') != SIZE_MAX;
}

/* A value that holds no line break: of our own, of the configuration, or read as a field. */
static void put_field(struct buf *out, struct span name, struct span value)
{
    size_t len = name.len + 2 + value.len + 2;
    char *at;

    if (buf_reserve(out, len))
        return;
    at = out->data + out->len;
    memcpy(at, name.ptr, name.len);
    memcpy(at + name.len, ": ", 2);
    if (value.len)
        memcpy(at + name.len + 2, value.ptr, value.len);
    memcpy(at + len - 2, "\r\n", 2);
    out->len += len;
}

/* A value that a client's body may have brought. */
static void put_foreign(struct buf *out, struct span name, struct span value)
{
    if (!breaks_lines(value))
        put_field(out, name, value);
}

static void put_number(struct buf *out, struct span name, uint64_t value)
{
    char digits[DECIMAL_BYTES];

    put_field(out, name, decimal_text(value, digits));
}

static struct span kept_field(const struct exchange *x, enum field_id id, struct span name)
{
    if (!(x->relay.kept & UINT64_C(1) << id))
        return span_of(NULL, 0);
    return dialect_header_find(x->relay.fields, x->relay.field_count, name);
}

static void put_kept(struct exchange *x, struct buf *out, enum field_id id, struct span name)
{
    struct span value = kept_field(x, id, name);

    if (value.ptr)
        put_field(out, name, value);
}

/* The provider's word on trying again passes, but where the gateway has its own (step_respond.c).
 */
static void put_retry_hints(struct exchange *x, struct buf *out)
{
    int status = x->relay.status;

    if (!respond_tells_wait(status))
        put_kept(x, out, FIELD_RETRY_AFTER, SPAN("Retry-After"));
    if (!respond_judges_retry(x, status))
        put_kept(x, out, FIELD_X_SHOULD_RETRY, SPAN("x-should-retry"));
}

static void put_limits(struct exchange *x, struct buf *out)
{
    const struct limiter_reading *nearest = &x->admit.nearest;
    uint64_t reset_us = loop_wall_us(exchange_loop(x)) + nearest->reset_us;

    if (nearest->what == LIMITER_NONE)
        return;
    put_number(out, SPAN("X-RateLimit-Limit"), nearest->limit);
    put_number(out, SPAN("X-RateLimit-Remaining"), nearest->remaining);
    put_number(out, SPAN("X-RateLimit-Reset"), (reset_us + US_PER_SEC - 1) / US_PER_SEC);
}

struct span answer_upstream_id(const struct exchange *x)
{
    struct span id = kept_field(x, FIELD_X_REQUEST_ID, SPAN("x-request-id"));

    if (!id.ptr)
        id = kept_field(x, FIELD_REQUEST_ID, SPAN("request-id"));
    if (!id.ptr)
        id = kept_field(x, FIELD_APIM_REQUEST_ID, SPAN("apim-request-id"));
    return id;
}

/* Of a stream it is not known yet. */
static void put_cost(struct exchange *x, struct buf *out)
{
    uint64_t picousd;

    if (x->body.is_streaming || !exchange_cost(x, &picousd))
        return;
    buf_append_span(out, SPAN("X-Bellwether-Cost-Usd: "));
    price_write_usd(out, exchange_whole_cost(x, picousd));
    buf_append_span(out, SPAN("\r\n"));
}

/* Which way the exchange went. */
static void put_way(struct exchange *x, struct buf *out)
{
    const struct plan_target *target = exchange_target(x);
    struct span key = x->select.grant.key ? key_name(x->select.grant.key) : x->account.key_name;
    struct span upstream_id;

    if (!target || x->select.attempts == 0)
        return;
    upstream_id = answer_upstream_id(x);
    put_field(out, SPAN("X-Bellwether-Provider"), target->provider->name);
    put_foreign(out, SPAN("X-Bellwether-Model"), target->model);
    if (key.len)
        put_field(out, SPAN("X-Bellwether-Key"), key);
    if (exchange_site(x)->row->name.len)
        put_field(out, SPAN("X-Bellwether-Region"), exchange_site(x)->row->name);
    put_number(out, SPAN("X-Bellwether-Attempts"), x->select.attempts);
    put_number(out, SPAN("X-Bellwether-Overhead-Us"), x->account.overhead_ns / 1000);
    put_cost(x, out);
    if (target->retired.len)
        put_foreign(out, SPAN("X-Bellwether-Retired-Model"), target->retired);
    if (x->send.drops && x->send.drops->len)
        put_foreign(out, SPAN("X-Bellwether-Dropped-Params"),
                    span_of(x->send.drops->text, x->send.drops->len));
    if (upstream_id.ptr)
        put_field(out, SPAN("X-Bellwether-Upstream-Request-ID"), upstream_id);
}

/* What the client's SDK expects of an answer that is told anew. */
static struct span told_type(const struct exchange *x)
{
    if (!x->body.is_streaming || x->head.facts.is_array)
        return SPAN("application/json");
    return SPAN("text/event-stream; charset=utf-8");
}

static struct span content_type(const struct exchange *x, bool is_own)
{
    bool is_error = x->relay.mode == RELAY_ERROR; /* which passes as it is */

    if (is_own)
        return SPAN("application/json");
    if (!is_error && (x->send.is_told || x->head.facts.is_array))
        return told_type(x);
    return x->relay.content_type.len ? x->relay.content_type : SPAN("application/json");
}

struct span answer_fields(struct exchange *x, bool is_own)
{
    struct buf out = exchange_scratch(x);

    put_field(&out, SPAN("Content-Type"), content_type(x, is_own));
    put_field(&out, SPAN("X-Request-ID"), x->head.request_id);
    if (x->head.dialect == DIALECT_ANTHROPIC)
        put_field(&out, SPAN("request-id"), x->head.request_id);
    if (!is_own) {
        if (x->relay.content_encoding.len)
            put_field(&out, SPAN("Content-Encoding"), x->relay.content_encoding);
        if (x->head.dialect == DIALECT_OPENAI)
            put_kept(x, &out, FIELD_OPENAI_PROCESSING_MS, SPAN("openai-processing-ms"));
        put_retry_hints(x, &out);
    }
    put_limits(x, &out);
    put_way(x, &out);
    return buf_span(&out);
}
