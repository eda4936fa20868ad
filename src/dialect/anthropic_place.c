/* Where in a request something stands, for messages; and signatures with their signers. */
#include "dialect/anthropic_inner.h"

#include <stdio.h>

#include "dialect/form.h"

/* --- places --- */

static size_t tell_place(const struct anthropic_place *place, char *out, size_t cap)
{
    size_t at = place->up ? tell_place(place->up, out, cap) : 0;
    int len = snprintf(out + at, cap - at, "%s%s[%zu]", at ? "." : "", place->list, place->index);

    return len > 0 && (size_t)len < cap - at ? at + (size_t)len : at;
}

int anthropic_refuse(struct chat_refusal *refusal, enum failure failure,
                     const struct anthropic_place *place, const char *member, const char *message)
{
    char param[sizeof(refusal->param)] = "";
    size_t at = place ? tell_place(place, param, sizeof(param)) : 0;

    if (member)
        snprintf(param + at, sizeof(param) - at, "%s%s", at ? "." : "", member);
    return chat_refuse(refusal, failure, param, "%s", message);
}

/* --- signatures --- */

static const struct span tags[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = SPAN_INIT("openai#"),
    [DIALECT_ANTHROPIC] = SPAN_INIT("anthropic#"),
    [DIALECT_GEMINI] = SPAN_INIT("gemini#"),
};
static const struct span unsigned_tag = SPAN_INIT("unsigned#");

struct span anthropic_read_signature(struct span told, enum dialect_id *ret_signer)
{
    *ret_signer = DIALECT_ANTHROPIC;
    if (span_has_prefix(told, unsigned_tag))
        return span_of(NULL, 0);
    for (unsigned i = 0; i < DIALECT_COUNT; i++) {
        if (!span_has_prefix(told, tags[i]))
            continue;
        *ret_signer = (enum dialect_id)i;
        return span_skip(told, tags[i].len);
    }
    return told;
}

/* One string of two texts. */
static void write_joined(struct buf *out, struct span head, struct span tail)
{
    size_t seam;

    (void)json_write_string(out, head);
    seam = out->len;
    (void)json_write_string(out, tail);
    if (out->err)
        return;
    /* The quotes where they meet. */
    memmove(out->data + seam - 1, out->data + seam + 1, out->len - seam - 1);
    out->len -= 2;
}

void anthropic_write_signature(struct buf *out, enum dialect_id signer, struct span signature)
{
    if (signature.len == 0)
        (void)json_write_string(out, unsigned_tag);
    else if (signer == DIALECT_ANTHROPIC)
        (void)json_write_string(out, signature);
    else
        write_joined(out, tags[signer], signature);
}

bool anthropic_has_foreign_signature(struct span body)
{
    return span_find(body, SPAN("\"unsigned#")) != SIZE_MAX ||
           span_find(body, SPAN("\"gemini#")) != SIZE_MAX ||
           span_find(body, SPAN("\"openai#")) != SIZE_MAX;
}
