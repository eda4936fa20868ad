/*
 * The way of a request to the target at hand: in which form it is asked, at which path, and with
 * which body: the client's own bytes where the target speaks the client's dialect, else what the
 * neutral form says in the target's.
 */
#include "base/err.h"
#include "base/percent.h"
#include "exchange/exchange.h"

/* --- the form --- */

/* A form that only some providers of the dialect know is told to the others in its usual one. */
enum form way_form(const struct exchange *x, const struct snapshot_provider *row)
{
    enum form form = form_at(row->traits.dialect, x->head.facts.form);

    if (form == FORM_RESPONSES && !(row->traits.quirks & QUIRK_RESPONSES))
        return FORM_CHAT;
    return form;
}

bool way_is_same_form(const struct exchange *x)
{
    return x->send.form == x->head.facts.form;
}

/* --- the body --- */

/* Azure's deployments are whole segments of the path; these two are none (RFC 3986 5.2.4). */
bool way_leads_elsewhere(const struct conf_provider *conf, struct span model)
{
    return conf->kind == PROVIDER_AZURE && conf->api_version.len &&
           (span_is_equal(model, SPAN(".")) || span_is_equal(model, SPAN("..")));
}

/* Another key of the same target is told the same. */
static bool is_settled(const struct exchange *x)
{
    return x->send.body && x->send.settled_target == x->select.target &&
           x->send.is_settled_asking == x->send.is_usage_asked;
}

struct rewrite way_rewrite(struct exchange *x, const struct snapshot_provider *row)
{
    return (struct rewrite){.facts = {.form = x->head.facts.form,
                                      .model = x->head.facts.model,
                                      .is_streaming = x->head.facts.is_streaming,
                                      .is_array = x->head.facts.is_array},
                            .target = {.model = exchange_target(x)->model,
                                       .quirks = row->traits.quirks,
                                       .is_usage_asked = x->send.is_usage_asked ||
                                                         (x->body.wants_usage &&
                                                          row->include_usage != INCLUDE_USAGE_NO)},
                            .form = x->send.form,
                            .body = x->body.body,
                            .thoughts = x->body.thoughts,
                            .translation = x->body.translation,
                            .arenas = &x->host->arenas,
                            .lease = &x->host->lease,
                            .told = &x->host->told,
                            .drops = x->send.drops,
                            .arena = &x->arena};
}

void way_take(struct exchange *x, const struct rewrite *rewrite)
{
    x->body.thoughts = rewrite->thoughts;
    x->body.translation = rewrite->translation;
    x->send.drops = rewrite->drops;
    x->send.body = rewrite->written;
    if (!x->send.body)
        return;
    x->send.settled_target = x->select.target;
    x->send.is_settled_asking = x->send.is_usage_asked;
    /* A chat that was suited to its provider is answered as a chat. */
    x->send.is_told = !way_is_same_form(x) || x->send.form != FORM_CHAT;
}

int way_settle(struct exchange *x, const struct snapshot_provider *row,
               struct chat_refusal *ret_refusal)
{
    struct rewrite rewrite;
    int err;

    chat_refusal_init(ret_refusal, FAILURE_UNSUPPORTED);
    if (is_settled(x))
        return 0;
    body_unref(&x->send.body);
    if (x->send.drops)
        x->send.drops->len = 0;
    x->send.is_told = false;
    if (x->send.form == FORM_COUNT)
        return chat_refuse(ret_refusal, FAILURE_UNSUPPORTED, NULL,
                           "The provider of this model has nothing like '%.*s'.",
                           SPAN_ARG(x->head.path));
    if (way_leads_elsewhere(row->conf, exchange_target(x)->model))
        return chat_refuse(ret_refusal, FAILURE_MODEL_NOT_FOUND, "model",
                           "The model '%.*s' does not exist here.",
                           SPAN_ARG(exchange_target(x)->model));
    if (way_is_same_form(x) &&
        !rewrite_is_thinkable(x->send.form, row->traits.quirks, x->body.thoughts))
        return 0;
    rewrite = way_rewrite(x, row);
    if (x->body.bytes + x->body.media_bytes >= AWAY_LARGE_BYTES)
        return rewrite_send(x, &rewrite);
    err = rewrite_run(&rewrite, ret_refusal);
    exchange_host_clear_told(x->host);
    way_take(x, &rewrite);
    return err;
}

/* --- the path --- */

/* One segment of a path (RFC 3986 3.3), so that no name of a model leads elsewhere. */
static void put_segment(struct span text, struct buf *out)
{
    percent_write(out, text, "@");
}

/* Azure's deployments stand in the path, but for its newer v1 API and for Responses, which has no
 * other. */
static void put_azure(struct exchange *x, const struct conf_provider *conf, struct buf *out)
{
    if (!conf->api_version.len || x->send.form == FORM_RESPONSES) {
        buf_append_span(out, SPAN("/openai/v1"));
        buf_append_span(out, form_row(x->send.form)->path);
        return;
    }
    buf_append_span(out, SPAN("/openai/deployments/"));
    put_segment(exchange_target(x)->model, out);
    buf_append_span(out, form_row(x->send.form)->path);
    buf_append_span(out, SPAN("?api-version="));
    put_segment(conf->api_version, out);
}

static void put_gemini(struct exchange *x, struct buf *out)
{
    struct span model = exchange_target(x)->model;
    const struct span prefix = SPAN("models/");

    if (span_has_prefix(model, prefix))
        model = span_skip(model, prefix.len);
    buf_append_span(out, SPAN("/v1beta/models/"));
    put_segment(model, out);
    if (x->send.form == FORM_GENERATE && x->body.is_streaming)
        buf_append_span(out, SPAN(":streamGenerateContent?alt=sse"));
    else
        buf_append_span(out, form_row(x->send.form)->path);
}

void way_write_path(struct exchange *x, const struct snapshot_provider *row, struct buf *out)
{
    buf_append_span(out, endpoint_path(exchange_site(x)->row->endpoint));
    if (row->conf->kind == PROVIDER_AZURE)
        put_azure(x, row->conf, out);
    else if (row->traits.dialect == DIALECT_GEMINI)
        put_gemini(x, out);
    else
        buf_append_span(out, form_row(x->send.form)->path);
}
