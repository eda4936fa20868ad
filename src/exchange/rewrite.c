#include "exchange/rewrite.h"

#include "base/err.h"
#include "dialect/anthropic.h"
#include "dialect/gemini.h"
#include "dialect/openai_chat.h"

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

static bool find_foreign_thoughts(const struct rewrite *rewrite)
{
    struct buf joined;
    struct span whole;
    bool is_foreign = false;

    buf_init(&joined, rewrite->body->len);
    if (whole_body(rewrite->body, &joined, &whole) == 0)
        is_foreign = rewrite->form == FORM_MESSAGES ? anthropic_has_foreign_signature(whole)
                                                    : gemini_has_foreign_signature(whole);
    buf_fini(&joined);
    return is_foreign;
}

static bool can_hold_thoughts(enum form form)
{
    return form == FORM_MESSAGES || form == FORM_GENERATE;
}

/* A conversation that has met another provider may bring thoughts back that this one did not sign:
 * looked for once, in the client's own form. */
static bool has_foreign_thoughts(struct rewrite *rewrite)
{
    if (!can_hold_thoughts(rewrite->form) || !rewrite->body)
        return false;
    if (rewrite->thoughts == THOUGHTS_UNKNOWN)
        rewrite->thoughts = find_foreign_thoughts(rewrite) ? THOUGHTS_FOREIGN : THOUGHTS_OWN;
    return rewrite->thoughts == THOUGHTS_FOREIGN;
}

/* Gemini's bodies for embeddings and counts repeat the model of the path, as the client calls it.
 */
static bool can_repeat_model(enum form form)
{
    const struct form_row *row = form_row(form);

    return row->dialect == DIALECT_GEMINI && row->purpose != PURPOSE_CONVERSE;
}

bool rewrite_is_thinkable(enum form form, uint32_t quirks, enum thoughts thoughts)
{
    if (form == FORM_CHAT)
        return openai_has_rewrites(quirks);
    return can_repeat_model(form) || (can_hold_thoughts(form) && thoughts != THOUGHTS_OWN);
}

/* Whether a provider of the client's own dialect could stumble over the client's own bytes. */
static bool may_stumble(struct rewrite *rewrite)
{
    if (rewrite->form == FORM_CHAT)
        return openai_has_rewrites(rewrite->target.quirks);
    return (can_repeat_model(rewrite->form) &&
            !span_is_equal(rewrite->target.model, rewrite->facts.model)) ||
           has_foreign_thoughts(rewrite);
}

/* Whether it would. */
static bool would_stumble(const struct rewrite *rewrite)
{
    if (rewrite->form != FORM_CHAT)
        return true;
    return openai_chat_needs_rewrite(translation_root(rewrite->translation),
                                     rewrite->target.quirks);
}

/* The request as a tree: read once, whatever number of targets is tried. */
static int open_translation(struct rewrite *rewrite, struct chat_refusal *refusal)
{
    struct buf joined;
    struct span whole;
    int err;

    if (rewrite->translation)
        return 0;
    if (!rewrite->body)
        return ERR_NOMEM; /* given back when an answer was committed */
    buf_init(&joined, rewrite->body->len);
    err = whole_body(rewrite->body, &joined, &whole);
    if (!err)
        err =
            translate_open(&rewrite->facts, whole, rewrite->arenas, &rewrite->translation, refusal);
    buf_fini(&joined);
    return err;
}

/* The request in neutral form, made once too. */
static int understand(struct rewrite *rewrite, struct chat_refusal *refusal)
{
    int err = translate_understand(rewrite->translation, refusal);

    if (err)
        translate_free(&rewrite->translation);
    return err;
}

static int keep_told(struct rewrite *rewrite)
{
    struct body *body = body_new(rewrite->lease, rewrite->told->len);
    int err = body ? body_append(body, buf_span(rewrite->told)) : ERR_NOMEM;

    if (err)
        body_unref(&body);
    rewrite->written = body;
    return err;
}

static int write_body(struct rewrite *rewrite, struct chat_refusal *refusal)
{
    int err;

    if (!rewrite->drops)
        rewrite->drops = arena_alloc(rewrite->arena, sizeof(*rewrite->drops));
    if (!rewrite->drops)
        return ERR_NOMEM;
    rewrite->drops->len = 0;
    /* Mostly it does not grow by more in the other dialect. */
    if (rewrite->body)
        (void)buf_reserve(rewrite->told, rewrite->body->len + rewrite->body->len / 8 + 512);
    err = translate_write(rewrite->translation, rewrite->form, &rewrite->target, rewrite->told,
                          rewrite->drops, refusal);
    return err ? err : keep_told(rewrite);
}

int rewrite_run(struct rewrite *rewrite, struct chat_refusal *ret_refusal)
{
    bool is_same = rewrite->form == rewrite->facts.form;
    int err;

    if (is_same && !may_stumble(rewrite))
        return 0;
    err = open_translation(rewrite, ret_refusal);
    if (!err && is_same && !would_stumble(rewrite))
        return 0;
    if (!err)
        err = understand(rewrite, ret_refusal);
    /* What we cannot read is for a provider of the client's own dialect to judge. */
    if (err == ERR_SYNTAX && is_same)
        return 0;
    if (!err)
        err = translate_media(rewrite->translation, rewrite->form, rewrite->target.quirks,
                              ret_refusal);
    return err ? err : write_body(rewrite, ret_refusal);
}
