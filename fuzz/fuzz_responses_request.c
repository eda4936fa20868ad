/*
 * Requests of OpenAI's Responses API, told to providers of every dialect. What comes out is JSON, a
 * refusal says something, and reading the same request twice comes to the same.
 */
#include "fuzz.h"

#include "base/err.h"
#include "dialect/quirks.h"
#include "dialect/translate.h"

enum { OUT_MAX = 16 << 20 };

static int tell(struct translation *translation, enum dialect_id dialect, uint32_t quirks,
                struct buf *out)
{
    const struct chat_target target = {.model = SPAN("m"), .quirks = quirks};
    struct chat_refusal refusal;
    struct chat_drops drops;
    int err = translate_write(translation, form_for(dialect, PURPOSE_CONVERSE), &target, out,
                              &drops, &refusal);

    must(err != ERR_SYNTAX || refusal.message[0]);
    must(drops.len <= sizeof(drops.text));
    return err;
}

static void check(struct translation *translation, enum dialect_id dialect, uint32_t quirks)
{
    struct buf first, second;
    int err;

    buf_init(&first, OUT_MAX);
    buf_init(&second, OUT_MAX);
    err = tell(translation, dialect, quirks, &first);
    must(tell(translation, dialect, quirks, &second) == err);
    if (!err) {
        must(span_is_equal(buf_span(&first), buf_span(&second)));
        must_be_json(buf_span(&first));
    }
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct translate_facts facts = {.form = FORM_RESPONSES};
    struct translation *translation;
    struct chat_refusal refusal;
    struct arena_pool pool;
    int err;

    arena_pool_init(&pool, 4);
    err = translate_read(&facts, span_of((const char *)data, size), &pool, &translation, &refusal);
    must(err != ERR_SYNTAX || refusal.message[0]);
    if (!err) {
        check(translation, DIALECT_OPENAI, 0);
        check(translation, DIALECT_OPENAI, QUIRK_REASONING_BACK | QUIRK_NO_DEVELOPER);
        check(translation, DIALECT_ANTHROPIC, 0);
        check(translation, DIALECT_GEMINI, 0);
        translate_free(&translation);
    }
    arena_pool_fini(&pool);
    return 0;
}
