/*
 * Bodies of Gemini's clients: whatever comes is read and told to every dialect there is, or refused
 * with words. The first byte says which form the body has and for which model it is told.
 */
#include "fuzz.h"

#include "base/err.h"
#include "dialect/embed.h"
#include "dialect/translate.h"

enum { OUT_MAX = 64 << 20 };

static const struct span models[] = {SPAN_INIT("gemini-3-pro"), SPAN_INIT("gemini-2.5-flash"),
                                     SPAN_INIT("gemini-2.0-flash"), SPAN_INIT("gemma-3-1b-it")};

static void look_at(int err, const struct buf *out, const struct chat_refusal *refusal)
{
    must((err == ERR_SYNTAX) == (refusal->message[0] != 0));
    if (!err)
        must_be_json(buf_span(out));
}

static void converse(struct span body, enum form form, const struct chat_target *target)
{
    struct translate_facts facts = {.form = form, .model = SPAN("m")};
    struct translation *translation;
    struct chat_refusal refusal;
    struct chat_drops drops;
    struct arena_pool pool;
    struct buf out;

    arena_pool_init(&pool, 4);
    if (translate_read(&facts, body, &pool, &translation, &refusal) == 0) {
        for (int dialect = 0; dialect < DIALECT_COUNT; dialect++) {
            int err;

            buf_init(&out, OUT_MAX);
            err = translate_write(translation, form_at((enum dialect_id)dialect, form), target,
                                  &out, &drops, &refusal);
            if (err != ERR_UNSUPPORTED && err != ERR_FULL && err != ERR_NOMEM)
                look_at(err, &out, &refusal);
            buf_fini(&out);
        }
        translate_free(&translation);
    }
    arena_pool_fini(&pool);
}

static void embed(const yyjson_val *root, enum form form, struct arena *arena)
{
    static const enum form forms[] = {FORM_EMBEDDINGS, FORM_EMBED_BATCH};
    struct embed asked = {.form = form};
    struct chat_refusal refusal = {.failure = FAILURE_FIELD_VALUE};
    struct chat_drops drops = {.len = 0};
    struct embed_reading reading = {arena, &asked, &refusal, &drops};
    int err = embed_ops(form)->read_request(&reading, root);

    must((err == ERR_SYNTAX) == (refusal.message[0] != 0));
    for (size_t i = 0; !err && i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct embed_writing writing = {.embed = &asked, .model = SPAN("m"), .drops = &drops};
        struct buf out;

        buf_init(&out, OUT_MAX);
        refusal.message[0] = 0;
        writing.out = &out;
        writing.refusal = &refusal;
        look_at(embed_ops(forms[i])->write_request(&writing), &out, &refusal);
        buf_fini(&out);
    }
}

static void embed_body(struct span body, enum form form)
{
    struct arena_pool pool;
    struct arena arena;
    struct json_tree tree;

    arena_pool_init(&pool, 4);
    arena_init(&arena, &pool, OUT_MAX);
    if (json_tree_read_raw(&tree, body, OUT_MAX) == 0)
        embed(yyjson_doc_get_root(tree.doc), form, &arena);
    json_tree_fini(&tree);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chat_target target = {.quirks = 0};
    struct span body;

    if (size < 1)
        return 0;
    target.model = models[data[0] / 8 % (sizeof(models) / sizeof(models[0]))];
    body = span_of((const char *)data + 1, size - 1);
    switch (data[0] % 8) {
    case 0:
        embed_body(body, FORM_EMBED);
        break;
    case 1:
        embed_body(body, FORM_EMBED_BATCH);
        break;
    case 2:
        converse(body, FORM_MEASURE, &target);
        break;
    default:
        converse(body, FORM_GENERATE, &target);
        break;
    }
    return 0;
}
