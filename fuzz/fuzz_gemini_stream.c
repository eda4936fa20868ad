/*
 * Streams of Gemini: whatever comes, the reader keeps the promises of dialect/chat_answer.h, and
 * every dialect's writer can tell it; whole answers likewise. The first byte says in which form the
 * client hears it, and whether it is one answer.
 */
#include "fuzz.h"

#include "stream.h"

enum { OUT_MAX = 64 << 20 };

static void translate(struct span text, enum form to, bool is_whole)
{
    struct chat chat = {.form = to};
    struct translator_plan plan = {.from = FORM_GENERATE, .to = to, .choices = 1};
    struct buf out;

    buf_init(&out, OUT_MAX);
    plan.out = &out;
    plan.frame.chat = &chat;
    stream_translate(&plan, text, is_whole);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text;

    if (size < 1)
        return 0;
    text = span_of((const char *)data + 1, size - 1);
    translate(text, stream_forms[data[0] / 2 % STREAM_FORMS], data[0] % 2);
    stream_hold(FORM_GENERATE, text, false);
    return 0;
}
