#include "stream.h"

#include "fuzz.h"

#include "../tests/dialect/promise.h"

enum { ANSWER_MAX = 64 << 20, ARENA_MAX = 16 << 20 };

const enum form stream_forms[STREAM_FORMS] = {FORM_CHAT, FORM_RESPONSES, FORM_MESSAGES,
                                              FORM_GENERATE, FORM_COMPLETIONS};

static struct arena *made(struct arena *arena, struct arena_pool *pool)
{
    arena_pool_init(pool, 4);
    arena_init(arena, pool, ARENA_MAX);
    return arena;
}

static void feed(struct translator *translator, struct sse *sse, struct span *rest)
{
    struct sse_event event;

    while (sse_next(sse, *rest, &event)) {
        *rest = span_skip(*rest, event.raw.len);
        (void)translator_take(translator, &event);
    }
}

void stream_tell(struct translator *translator, struct span text, size_t cut)
{
    struct span rest = span_of(text.ptr, cut);
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    feed(translator, &sse, &rest);
    rest.len = (size_t)(text.ptr + text.len - rest.ptr);
    feed(translator, &sse, &rest);
    if (sse_finish(&sse, rest, &event))
        (void)translator_take(translator, &event);
    translator_end(translator);
    if (!translator_is_over(translator))
        translator_fail(translator, &dialect_no_error);
}

void stream_translate(const struct translator_plan *plan, struct span text, bool is_whole)
{
    struct translator *translator;
    struct arena_pool pool;
    struct arena arena;

    translator = translator_new(made(&arena, &pool), plan);
    must(translator != NULL);
    if (is_whole)
        (void)translator_answer(translator, text, ANSWER_MAX);
    else
        stream_tell(translator, text, text.len);
    translator_fini(&translator);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

/* Data of several lines is joined first, as the translator does. */
static int read_event(const struct form_ops *ops, struct chat_reader *reader,
                      const struct sse_event *event)
{
    struct sse_event joined = *event;
    struct buf data;
    int err;

    if (event->data_lines <= 1)
        return ops->read_event(reader, event);
    buf_init(&data, event->raw.len);
    must(sse_join(event, &data) == 0);
    joined.data = buf_span(&data);
    joined.data_lines = 1;
    err = ops->read_event(reader, &joined);
    buf_fini(&data);
    return err;
}

void stream_hold(enum form form, struct span text, bool is_ours)
{
    const struct form_ops *ops = form_ops(form);
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
    while (sse_next(&sse, text, &event)) {
        int err = read_event(ops, reader, &event);

        must(!is_ours || err == 0);
        text = span_skip(text, event.raw.len);
    }
    ops->read_end(reader);
    must(promise_broken(promise) == NULL);
    must(!is_ours || promise->has_end || promise->has_error);
    promise_free(&promise);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}
