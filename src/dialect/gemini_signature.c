/*
 * thoughtSignature is bytes in Base64. Gemini's own stand there as they are. What another provider
 * signed travels through a Gemini client in the same place: "bellwether:" and who signed it
 * (a letter), what it is (t: a thought or a call; r: a redacted thought), and the signature.
 */
#include "base/base64.h"
#include "dialect/gemini.h"
#include "dialect/gemini_inner.h"

static const struct span mark = SPAN_INIT("bellwether:");
static const char signers[DIALECT_COUNT] = {'o', 'a', 'g'};

enum { MARK_TAIL = 3 }; /* "at:" */

void gemini_write_signature(struct buf *out, const struct chat_part *part)
{
    bool is_redacted = part->kind == CHAT_PART_REDACTED;
    struct span signature = is_redacted ? part->text : part->signature;
    const char tail[MARK_TAIL] = {signers[part->signer], is_redacted ? 'r' : 't', ':'};
    struct buf marked;

    if (part->signer == DIALECT_GEMINI) {
        (void)json_write_string(out, signature);
        return;
    }
    buf_init(&marked, mark.len + MARK_TAIL + signature.len);
    (void)buf_append_span(&marked, mark);
    (void)buf_append(&marked, tail, MARK_TAIL);
    (void)buf_append_span(&marked, signature);
    (void)buf_append_byte(out, '"');
    (void)base64_write(out, buf_span(&marked));
    (void)buf_append_byte(out, '"');
    if (marked.err)
        (void)buf_fail(out, marked.err);
    buf_fini(&marked);
}

/* The Base64 of "bellwethe", whatever follows. */
#define MARKED SPAN("YmVsbHdldGhl")

bool gemini_has_foreign_signature(struct span body)
{
    return span_find(body, MARKED) != SIZE_MAX;
}

/* What stands behind the mark, in the arena; NULL ptr where there is none. */
static struct span unmark(struct arena *arena, struct span text)
{
    struct span bytes = span_of(NULL, 0);
    size_t len;
    char *out;

    if (!span_has_prefix(text, MARKED))
        return bytes;
    out = arena_alloc(arena, text.len);
    if (out && base64_read(text, out, &len) && len >= mark.len + MARK_TAIL &&
        span_has_prefix(span_of(out, len), mark))
        bytes = span_skip(span_of(out, len), mark.len);
    return bytes;
}

void gemini_read_signature(struct arena *arena, struct span text, struct chat_part *part)
{
    struct span foreign = unmark(arena, text);

    part->signer = DIALECT_GEMINI;
    part->signature = text;
    if (!foreign.ptr)
        return;
    for (int signer = 0; signer < DIALECT_COUNT; signer++) {
        if (foreign.ptr[0] == signers[signer])
            part->signer = (enum dialect_id)signer;
    }
    part->signature = span_skip(foreign, MARK_TAIL);
    if (foreign.ptr[1] == 'r' && part->kind == CHAT_PART_THINKING) {
        part->kind = CHAT_PART_REDACTED;
        part->text = part->signature;
        part->signature = span_of(NULL, 0);
    }
}
