/*
 * Answers of chat completions: whatever comes, the reader keeps the promises of
 * dialect/chat_answer.h, and every form's writer can tell it; what the chat writer tells is read
 * again. The first byte says in which form the client hears it, and whether it is one answer.
 */
#include <stdlib.h>

#include "../tests/dialect/promise.h"
#include "base/err.h"
#include "dialect/translator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 64 << 20, ARENA_MAX = 16 << 20 };

static const enum form forms[] = {FORM_CHAT, FORM_RESPONSES, FORM_MESSAGES, FORM_GENERATE,
                                  FORM_COMPLETIONS};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static struct arena *made(struct arena *arena, struct arena_pool *pool)
{
    arena_pool_init(pool, 4);
    arena_init(arena, pool, ARENA_MAX);
    return arena;
}

static void tell(struct translator *translator, struct span rest)
{
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    while (sse_next(&sse, rest, &event)) {
        (void)translator_take(translator, &event);
        rest = span_skip(rest, event.raw.len);
    }
    if (sse_finish(&sse, rest, &event))
        (void)translator_take(translator, &event);
    translator_end(translator);
    if (!translator_is_over(translator))
        translator_fail(translator, &dialect_no_error);
}

/* What came out in the client's form, in `out`. */
static void translate(struct span text, enum form to, bool is_whole, struct buf *out)
{
    struct chat chat = {.form = to, .wants_usage = text.len % 2};
    struct translator_plan plan = {.from = FORM_CHAT, .to = to, .choices = 1, .out = out};
    struct translator *translator;
    struct arena_pool pool;
    struct arena arena;

    plan.frame.chat = &chat;
    translator = translator_new(made(&arena, &pool), &plan);
    if (translator && is_whole)
        (void)translator_answer(translator, text, OUT_MAX);
    else if (translator)
        tell(translator, text);
    translator_fini(&translator);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

static void hold_to_promises(struct span rest, bool is_ours)
{
    const struct form_ops *ops = form_ops(FORM_CHAT);
    struct promise *promise = promise_new(NULL);
    struct arena_pool pool;
    struct arena arena;
    struct chat_reader *reader = arena_zalloc(made(&arena, &pool), ops->reader_size);
    struct sse_event event;
    struct sse sse;

    must(promise && reader);
    reader->sink = &promise->sink;
    reader->arena = &arena;
    sse_init(&sse);
    while (sse_next(&sse, rest, &event)) {
        int err = event.data_lines > 1 ? 0 : ops->read_event(reader, &event);

        /* What we write is read without complaint. */
        must(!is_ours || err == 0);
        rest = span_skip(rest, event.raw.len);
    }
    ops->read_end(reader);
    must(promise_broken(promise) == NULL);
    must(!is_ours || promise->has_end || promise->has_error);
    promise_free(&promise);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text;
    struct buf out;

    if (size < 1)
        return 0;
    text = span_of((const char *)data + 1, size - 1);
    buf_init(&out, OUT_MAX);
    hold_to_promises(text, false);
    translate(text, forms[data[0] % 5], data[0] & 64, &out);
    if (data[0] % 5 == 0 && !(data[0] & 64))
        hold_to_promises(buf_span(&out), true);
    buf_fini(&out);
    return 0;
}
