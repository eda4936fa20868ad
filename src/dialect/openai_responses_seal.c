#include "dialect/openai_responses_inner.h"

/* Beside the dialects: a thought that nobody signed. */
static const struct span names[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = SPAN_INIT("openai"),
    [DIALECT_ANTHROPIC] = SPAN_INIT("anthropic"),
    [DIALECT_GEMINI] = SPAN_INIT("gemini"),
};

static const struct span kinds[] = {
    [SEAL_NONE] = SPAN_INIT(""),
    [SEAL_THOUGHT] = SPAN_INIT("thought"),
    [SEAL_REDACTED] = SPAN_INIT("redacted"),
    [SEAL_CALL] = SPAN_INIT("call"),
};

/* What stands before the next '#', which is passed too. */
static bool next_field(struct span *rest, struct span *ret_field)
{
    size_t at = span_find_byte(*rest, '#');

    if (at == SIZE_MAX)
        return false;
    *ret_field = span_of(rest->ptr, at);
    *rest = span_skip(*rest, at + 1);
    return true;
}

static bool read_signer(struct span name, enum dialect_id *ret_signer)
{
    for (int i = 0; i < DIALECT_COUNT; i++) {
        if (span_is_equal(name, names[i])) {
            *ret_signer = (enum dialect_id)i;
            return true;
        }
    }
    *ret_signer = DIALECT_OPENAI;
    return span_is_equal(name, SPAN("none"));
}

bool seal_read(struct span text, struct seal *ret_seal)
{
    struct seal seal = {.kind = SEAL_NONE};
    struct span signer, kind;

    if (!next_field(&text, &signer) || !next_field(&text, &kind) ||
        !read_signer(signer, &seal.signer))
        return false;
    for (int i = SEAL_THOUGHT; i <= SEAL_CALL; i++) {
        if (span_is_equal(kind, kinds[i]))
            seal.kind = (enum seal_kind)i;
    }
    if (seal.kind == SEAL_NONE)
        return false;
    if (seal.kind != SEAL_REDACTED && !next_field(&text, &seal.signature))
        return false;
    seal.text = text;
    *ret_seal = seal;
    return true;
}

bool seal_can_hold(struct span signature)
{
    return span_find_byte(signature, '#') == SIZE_MAX;
}

void seal_write(struct buf *out, const struct seal *seal)
{
    bool is_signed = seal->signature.len || seal->kind == SEAL_REDACTED;

    (void)buf_append_byte(out, '"');
    (void)buf_append_span(out, is_signed ? names[seal->signer] : SPAN("none"));
    (void)buf_append_byte(out, '#');
    (void)buf_append_span(out, kinds[seal->kind]);
    (void)buf_append_byte(out, '#');
    if (seal->kind != SEAL_REDACTED) {
        (void)buf_append_span(out, seal->signature);
        (void)buf_append_byte(out, '#');
    }
    (void)buf_append_span(out, seal->text);
    (void)buf_append_byte(out, '"');
}
