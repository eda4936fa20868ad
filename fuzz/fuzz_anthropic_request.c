/*
 * Requests of Anthropic's Messages API, told to providers of every dialect: whatever is not refused
 * becomes JSON, and what was written for Anthropic, read and written once more, is the same bytes.
 */
#include "fuzz.h"

#include "base/err.h"
#include "dialect/translate.h"

enum { OUT_MAX = 4 << 20 };

/* 0 with the body written, or why not. */
static int translate(enum form form, struct span body, enum dialect_id dialect,
                     struct arena_pool *pool, struct buf *out)
{
    const struct translate_facts facts = {.form = form};
    const struct chat_target target = {.model = SPAN("claude-sonnet-4-5")};
    struct translation *translation = NULL;
    struct chat_refusal refusal;
    struct chat_drops drops;
    int err = translate_read(&facts, body, pool, &translation, &refusal);

    if (!err)
        err = translate_write(translation, form_at(dialect, form), &target, out, &drops, &refusal);
    must(err != ERR_SYNTAX || refusal.message[0]);
    translate_free(&translation);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum form forms[] = {FORM_MESSAGES, FORM_COUNT_TOKENS};
    struct span body = span_of((const char *)data + 1, size - 1);
    struct arena_pool pool;
    enum form form;

    if (size < 2)
        return 0;
    form = forms[data[0] & 1];
    arena_pool_init(&pool, 4);
    for (int dialect = 0; dialect < DIALECT_COUNT; dialect++) {
        struct buf out, again;

        /* Nobody counts tokens in OpenAI's dialect. */
        if (form_at((enum dialect_id)dialect, form) == FORM_COUNT)
            continue;
        buf_init(&out, OUT_MAX);
        buf_init(&again, OUT_MAX);
        if (translate(form, body, (enum dialect_id)dialect, &pool, &out) == 0) {
            must_be_json(buf_span(&out));
            if (dialect == DIALECT_ANTHROPIC) {
                must(translate(form, buf_span(&out), DIALECT_ANTHROPIC, &pool, &again) == 0);
                must(span_is_equal(buf_span(&out), buf_span(&again)));
            }
        }
        buf_fini(&out);
        buf_fini(&again);
    }
    arena_pool_fini(&pool);
    return 0;
}
