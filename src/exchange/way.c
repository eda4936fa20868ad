/*
 * The way of a request to the target at hand: in which form it is asked, at which path, and with
 * which body: the client's own bytes where the target speaks the client's dialect, else what the
 * neutral form says in the target's.
 */
#include "base/err.h"
#include "dialect/anthropic.h"
#include "dialect/gemini.h"
#include "dialect/openai_chat.h"
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

/* The body as one run of bytes: its only block, or all joined in `joined`. */
static int whole_body(const struct body *body, struct buf *joined, struct span *ret_whole)
{
    if (body->first && !body->first->next) {
        *ret_whole = span_of(body->first->data, body->first->len);
        return 0;
    }
    (void)buf_reserve(joined, body->len);
    for (const struct body_block *block = body->first; block; block = block->next)
        buf_append(joined, block->data, block->len);
    *ret_whole = buf_span(joined);
    return joined->err;
}

static bool find_foreign_thoughts(const struct exchange *x)
{
    struct buf joined;
    struct span whole;
    bool is_foreign = false;

    buf_init(&joined, x->body.body->len);
    if (whole_body(x->body.body, &joined, &whole) == 0)
        is_foreign = x->send.form == FORM_MESSAGES ? anthropic_has_foreign_signature(whole)
                                                   : gemini_has_foreign_signature(whole);
    buf_fini(&joined);
    return is_foreign;
}

/* A conversation that has met another provider may bring thoughts back that this one did not sign:
 * looked for once, in the client's own form. */
static bool has_foreign_thoughts(struct exchange *x)
{
    if ((x->send.form != FORM_MESSAGES && x->send.form != FORM_GENERATE) || !x->body.body)
        return false;
    if (x->body.thoughts == THOUGHTS_UNKNOWN)
        x->body.thoughts = find_foreign_thoughts(x) ? THOUGHTS_FOREIGN : THOUGHTS_OWN;
    return x->body.thoughts == THOUGHTS_FOREIGN;
}

/* The request as a tree: read once, whatever number of targets is tried. */
static int open_translation(struct exchange *x, struct chat_refusal *refusal)
{
    struct translate_facts facts = {.form = x->head.facts.form,
                                    .model = x->head.facts.model,
                                    .is_streaming = x->head.facts.is_streaming,
                                    .is_array = x->head.facts.is_array};
    struct buf joined;
    struct span whole;
    int err;

    if (x->body.translation)
        return 0;
    if (!x->body.body)
        return ERR_NOMEM; /* given back when an answer was committed */
    buf_init(&joined, x->body.body->len);
    err = whole_body(x->body.body, &joined, &whole);
    if (!err)
        err = translate_open(&facts, whole, &x->host->arenas, &x->body.translation, refusal);
    buf_fini(&joined);
    return err;
}

/* The request in neutral form, made once too. */
static int understand(struct exchange *x, struct chat_refusal *refusal)
{
    int err = translate_understand(x->body.translation, refusal);

    if (err)
        translate_free(&x->body.translation);
    return err;
}

/* Gemini's bodies for embeddings and counts repeat the model of the path, as the client calls it.
 */
static bool repeats_model(const struct exchange *x)
{
    const struct form_row *row = form_row(x->send.form);

    return row->dialect == DIALECT_GEMINI && row->purpose != PURPOSE_CONVERSE &&
           !span_is_equal(exchange_target(x)->model, x->head.facts.model);
}

/* Whether a provider of the client's own dialect could stumble over the client's own bytes. */
static bool may_rewrite(struct exchange *x, const struct traits *traits)
{
    if (x->send.form == FORM_CHAT)
        return openai_has_rewrites(traits->quirks);
    return repeats_model(x) || has_foreign_thoughts(x);
}

/* Whether it would. */
static bool is_to_rewrite(const struct exchange *x, const struct traits *traits)
{
    if (x->send.form != FORM_CHAT)
        return true;
    return openai_chat_needs_rewrite(translation_root(x->body.translation), traits->quirks);
}

static int keep_told(struct exchange *x)
{
    struct body *body = body_new(&x->host->lease, x->host->told.len);
    int err = body ? body_append(body, buf_span(&x->host->told)) : ERR_NOMEM;

    if (err)
        body_unref(&body);
    x->send.body = body;
    return err;
}

static int write_body(struct exchange *x, const struct snapshot_provider *row,
                      struct chat_refusal *refusal)
{
    struct chat_target target = {
        .model = exchange_target(x)->model,
        .quirks = row->traits.quirks,
        .is_usage_asked = x->send.is_usage_asked ||
                          (x->body.wants_usage && row->include_usage != INCLUDE_USAGE_NO)};
    int err;

    if (!x->send.drops)
        x->send.drops = arena_alloc(&x->arena, sizeof(*x->send.drops));
    if (!x->send.drops)
        return ERR_NOMEM;
    x->send.drops->len = 0;
    /* Mostly it does not grow by more in the other dialect. */
    if (x->body.body)
        (void)buf_reserve(&x->host->told, x->body.body->len + x->body.body->len / 8 + 512);
    err = translate_write(x->body.translation, x->send.form, &target, &x->host->told, x->send.drops,
                          refusal);
    if (!err)
        err = keep_told(x);
    exchange_host_clear_told(x->host);
    return err;
}

/* Azure's deployments are whole segments of the path; these two are none (RFC 3986 5.2.4). */
static bool leads_elsewhere(const struct conf_provider *conf, struct span model)
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

int way_settle(struct exchange *x, const struct snapshot_provider *row,
               struct chat_refusal *ret_refusal)
{
    const struct traits *traits = &row->traits;
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
    if (leads_elsewhere(row->conf, exchange_target(x)->model))
        return chat_refuse(ret_refusal, FAILURE_MODEL_NOT_FOUND, "model",
                           "The model '%.*s' does not exist here.",
                           SPAN_ARG(exchange_target(x)->model));
    if (way_is_same_form(x) && !may_rewrite(x, traits))
        return 0;
    err = open_translation(x, ret_refusal);
    if (!err && way_is_same_form(x) && !is_to_rewrite(x, traits))
        return 0;
    if (!err)
        err = understand(x, ret_refusal);
    /* What we cannot read is for a provider of the client's own dialect to judge. */
    if (err == ERR_SYNTAX && way_is_same_form(x))
        return 0;
    if (!err)
        err = translate_media(x->body.translation, x->send.form, traits->quirks, ret_refusal);
    if (!err)
        err = write_body(x, row, ret_refusal);
    if (err)
        return err;
    x->send.settled_target = x->select.target;
    x->send.is_settled_asking = x->send.is_usage_asked;
    /* A chat that was suited to its provider is answered as a chat. */
    x->send.is_told = !way_is_same_form(x) || x->send.form != FORM_CHAT;
    return 0;
}

/* --- the path --- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '@';
}

/* One segment of a path (RFC 3986 3.3), so that no name of a model leads elsewhere. */
static void put_segment(struct span text, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (is_plain((char)c)) {
            buf_append_byte(out, (char)c);
        } else {
            char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

            buf_append(out, escaped, sizeof(escaped));
        }
    }
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
    buf_append_span(out, endpoint_path(row->endpoint));
    if (row->conf->kind == PROVIDER_AZURE)
        put_azure(x, row->conf, out);
    else if (row->traits.dialect == DIALECT_GEMINI)
        put_gemini(x, out);
    else
        buf_append_span(out, form_row(x->send.form)->path);
}
