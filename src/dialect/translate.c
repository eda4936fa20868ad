#include "dialect/translate.h"

#include "base/alloc.h"
#include "base/err.h"
#include "json/tree.h"

struct translation {
    struct json_tree tree;
    struct arena arena;
    struct chat chat;
};

static int read_tree(struct translation *translation, struct span body, size_t max,
                     struct chat_refusal *refusal)
{
    int err = json_tree_read_raw(&translation->tree, body, max);

    /* The scan has let it through but for unpaired surrogates, which no other dialect could carry.
     */
    if (err == ERR_SYNTAX)
        return chat_refuse(refusal, FAILURE_BODY_NOT_JSON, NULL,
                           "The request body is not valid JSON: an escape names half a character.");
    return err;
}

int translate_read(const struct translate_facts *facts, struct span body, struct arena_pool *pool,
                   struct translation **ret_translation, struct chat_refusal *ret_refusal)
{
    const struct form_ops *ops = form_ops(facts->form);
    size_t max = body.len * TRANSLATE_MEMORY_RATIO + TRANSLATE_MEMORY_BASE;
    struct translation *translation = mem_alloc(sizeof(*translation));
    struct chat_reading reading = {.refusal = ret_refusal};
    int err;

    *ret_refusal = (struct chat_refusal){.failure = FAILURE_FIELD_VALUE};
    if (!translation)
        return ERR_NOMEM;
    arena_init(&translation->arena, pool, max);
    translation->chat = (struct chat){.form = facts->form,
                                      .model = facts->model,
                                      .is_streaming = facts->is_streaming,
                                      .is_array = facts->is_array};
    reading.arena = &translation->arena;
    reading.chat = &translation->chat;
    err = read_tree(translation, body, max, ret_refusal);
    if (!err) {
        translation->chat.root = yyjson_doc_get_root(translation->tree.doc);
        err = ops->read_request ? ops->read_request(&reading, translation->chat.root)
                                : ERR_UNSUPPORTED;
    }
    if (err) {
        translate_free(&translation);
        return err;
    }
    *ret_translation = translation;
    return 0;
}

void translate_free(struct translation **place)
{
    struct translation *translation = *place;

    *place = NULL;
    if (!translation)
        return;
    arena_fini(&translation->arena);
    json_tree_fini(&translation->tree);
    mem_free(translation);
}

const struct chat *translation_chat(const struct translation *translation)
{
    return &translation->chat;
}

int translate_write(struct translation *translation, enum dialect_id dialect,
                    const struct chat_target *target, struct buf *out, struct chat_drops *ret_drops,
                    struct chat_refusal *ret_refusal)
{
    const struct chat *chat = &translation->chat;
    enum form form = form_at(dialect, chat->form);
    struct chat_writing writing = {.chat = chat,
                                   .target = target,
                                   .out = out,
                                   .arena = &translation->arena,
                                   .drops = ret_drops,
                                   .refusal = ret_refusal};
    int err = 0;

    ret_drops->len = 0;
    *ret_refusal = (struct chat_refusal){.failure = FAILURE_UNSUPPORTED};
    /* A form that is a client's alone is told in the dialect's usual one. */
    if (form != FORM_COUNT && !form_ops(form)->write_request)
        form = form_for(dialect, form_row(chat->form)->purpose);
    if (form == FORM_COUNT || !form_ops(form)->write_request)
        return ERR_UNSUPPORTED;
    if (form != chat->form)
        err = parameters_fit(chat, dialect, ret_drops, ret_refusal);
    if (!err)
        err = form_ops(form)->write_request(&writing);
    return err ? err : out->err;
}
