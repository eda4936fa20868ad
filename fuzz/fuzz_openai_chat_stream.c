/*
 * Answers of chat completions: whatever comes, the reader keeps the promises of
 * dialect/chat_answer.h, and every form's writer can tell it; what the chat writer tells is read
 * again. The first byte says in which form the client hears it, and whether it is one answer.
 */
#include "fuzz.h"

#include "stream.h"

enum { OUT_MAX = 64 << 20 };

/* What came out in the client's form, in `out`. */
static void translate(struct span text, enum form to, bool is_whole, struct buf *out)
{
    struct chat chat = {.form = to, .wants_usage = text.len % 2};
    struct translator_plan plan = {.from = FORM_CHAT, .to = to, .choices = 1, .out = out};

    plan.frame.chat = &chat;
    stream_translate(&plan, text, is_whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum form to;
    bool is_whole;
    struct span text;
    struct buf out;

    if (size < 1)
        return 0;
    to = stream_forms[data[0] % STREAM_FORMS];
    is_whole = data[0] & 64;
    text = span_of((const char *)data + 1, size - 1);
    buf_init(&out, OUT_MAX);
    stream_hold(FORM_CHAT, text, false);
    translate(text, to, is_whole, &out);
    if (to == FORM_CHAT && !is_whole)
        stream_hold(FORM_CHAT, buf_span(&out), true);
    buf_fini(&out);
    return 0;
}
