#include "dialect/translate.h"

#include "base/alloc.h"
#include "base/err.h"
#include "json/tree.h"

struct translation {
    struct json_kept tree;
    struct arena arena;
    struct chat chat;
    struct embed embed;
    struct media *media;       /* of the conversation; NULL: none was needed */
    struct chat_drops unknown; /* of a request for embeddings */
    bool is_embed;
    bool is_understood;
};

/* What a body comes to has a bound that grows with it. Beyond that it is made of pieces too small:
 * the client's doing, and no lack of memory. */
static int refuse_pieces(struct chat_refusal *refusal)
{
    return chat_refuse(refusal, FAILURE_BODY_TOO_LARGE, NULL,
                       "The request has too many parts for its size to be rewritten for the "
                       "provider of this model.");
}

static int read_tree(struct translation *translation, struct span body, size_t max,
                     struct chat_refusal *refusal)
{
    int err = json_kept_read_raw(&translation->tree, body, max);

    /* The scan has let it through but for unpaired surrogates, which no other dialect could carry.
     */
    if (err == ERR_SYNTAX)
        return chat_refuse(refusal, FAILURE_BODY_NOT_JSON, NULL,
                           "The request body is not valid JSON: an escape names half a character.");
    return err == ERR_FULL ? refuse_pieces(refusal) : err;
}

static int read_embed(struct translation *translation, const yyjson_val *root,
                      struct chat_refusal *refusal)
{
    struct embed_reading reading = {.arena = &translation->arena,
                                    .embed = &translation->embed,
                                    .refusal = refusal,
                                    .drops = &translation->unknown};

    translation->unknown.len = 0;
    translation->embed =
        (struct embed){.form = translation->chat.form, .model = translation->chat.model};
    return embed_ops(translation->chat.form)->read_request(&reading, root);
}

static int read_chat(struct translation *translation, const yyjson_val *root,
                     struct chat_refusal *refusal)
{
    const struct form_ops *ops = form_ops(translation->chat.form);
    struct chat_reading reading = {
        .arena = &translation->arena, .chat = &translation->chat, .refusal = refusal};

    translation->chat.root = root;
    return ops->read_request ? ops->read_request(&reading, root) : ERR_UNSUPPORTED;
}

/* That of the path. */
static int keep_model(struct translation *translation, struct span model)
{
    if (!model.len)
        return 0;
    translation->chat.model = arena_copy(&translation->arena, model);
    return translation->chat.model.ptr ? 0 : ERR_NOMEM;
}

int translate_open(const struct translate_facts *facts, struct span body, struct arena_pool *pool,
                   struct translation **ret_translation, struct chat_refusal *ret_refusal)
{
    size_t max = body.len * TRANSLATE_MEMORY_RATIO + TRANSLATE_MEMORY_BASE;
    struct translation *translation = mem_alloc(sizeof(*translation));
    int err;

    chat_refusal_init(ret_refusal, FAILURE_FIELD_VALUE);
    if (!translation)
        return ERR_NOMEM;
    translation->media = NULL;
    translation->is_understood = false;
    translation->is_embed = form_row(facts->form)->purpose == PURPOSE_EMBED;
    arena_init(&translation->arena, pool, max);
    translation->chat = (struct chat){
        .form = facts->form, .is_streaming = facts->is_streaming, .is_array = facts->is_array};
    err = read_tree(translation, body, max, ret_refusal);
    if (!err)
        err = keep_model(translation, facts->model);
    if (err)
        translate_free(&translation);
    *ret_translation = translation;
    return err;
}

void translation_use_pool(struct translation *translation, struct arena_pool *pool)
{
    translation->arena.pool = pool;
}

const yyjson_val *translation_root(const struct translation *translation)
{
    return yyjson_doc_get_root(translation->tree.doc);
}

int translate_understand(struct translation *translation, struct chat_refusal *ret_refusal)
{
    const yyjson_val *root = translation_root(translation);
    int err;

    if (translation->is_understood)
        return 0;
    translation->is_understood = true;
    chat_refusal_init(ret_refusal, FAILURE_FIELD_VALUE);
    err = translation->is_embed ? read_embed(translation, root, ret_refusal)
                                : read_chat(translation, root, ret_refusal);
    return err == ERR_NOMEM && translation->arena.is_full ? refuse_pieces(ret_refusal) : err;
}

int translate_read(const struct translate_facts *facts, struct span body, struct arena_pool *pool,
                   struct translation **ret_translation, struct chat_refusal *ret_refusal)
{
    int err = translate_open(facts, body, pool, ret_translation, ret_refusal);

    if (!err) {
        err = translate_understand(*ret_translation, ret_refusal);
        if (err)
            translate_free(ret_translation);
    }
    return err;
}

void translate_free(struct translation **place)
{
    struct translation *translation = *place;

    *place = NULL;
    if (!translation)
        return;
    media_free(&translation->media);
    arena_fini(&translation->arena);
    json_kept_fini(&translation->tree);
    mem_free(translation);
}

const struct chat *translation_chat(const struct translation *translation)
{
    return translation->is_understood && !translation->is_embed ? &translation->chat : NULL;
}

const struct embed *translation_embed(const struct translation *translation)
{
    return translation->is_understood && translation->is_embed ? &translation->embed : NULL;
}

struct media *translation_media(const struct translation *translation)
{
    return translation->media;
}

int translate_media(struct translation *translation, enum form form, uint32_t quirks,
                    struct chat_refusal *ret_refusal)
{
    if (translation->is_embed)
        return 0;
    return media_settle(&translation->media, &translation->chat, form, quirks, ret_refusal);
}

static int write_embed(struct translation *translation, enum form form, struct span model,
                       struct buf *out, struct chat_drops *drops, struct chat_refusal *refusal)
{
    struct embed_writing writing = {.embed = &translation->embed,
                                    .model = model,
                                    .out = out,
                                    .drops = drops,
                                    .refusal = refusal};

    if (!embed_ops(form))
        return ERR_UNSUPPORTED;
    *drops = translation->unknown;
    return embed_ops(form)->write_request(&writing);
}

int translate_write(struct translation *translation, enum form form,
                    const struct chat_target *target, struct buf *out, struct chat_drops *ret_drops,
                    struct chat_refusal *ret_refusal)
{
    const struct chat *chat = &translation->chat;
    struct arena arena; /* of this writing alone: there may be one for each of many keys */
    struct chat_writing writing = {.chat = chat,
                                   .target = target,
                                   .out = out,
                                   .arena = &arena,
                                   .drops = ret_drops,
                                   .refusal = ret_refusal};
    int err = 0;

    ret_drops->len = 0;
    chat_refusal_init(ret_refusal, FAILURE_UNSUPPORTED);
    if (form == FORM_COUNT)
        return ERR_UNSUPPORTED;
    if (translation->is_embed)
        return write_embed(translation, form, target->model, out, ret_drops, ret_refusal);
    if (!form_ops(form)->write_request)
        return ERR_UNSUPPORTED;
    if (form != chat->form)
        err = parameters_fit(chat, form_row(form)->dialect, ret_drops, ret_refusal);
    arena_init(&arena, translation->arena.pool, translation->arena.max);
    if (!err)
        err = form_ops(form)->write_request(&writing);
    if (err == ERR_NOMEM && arena.is_full)
        err = refuse_pieces(ret_refusal);
    arena_fini(&arena);
    return err ? err : out->err;
}
