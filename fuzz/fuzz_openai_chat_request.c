/*
 * Requests of OpenAI's clients, chat completions and legacy ones: whatever comes is refused with a
 * reason or told to every dialect as JSON; a body that no quirk touches stays the same. The first
 * four bytes are quirks, the fifth says which form.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/err.h"
#include "dialect/openai_chat.h"
#include "dialect/quirks.h"
#include "dialect/translate.h"

enum { OUT_MAX = 64 << 20 };

static struct json_tree *read(struct span text)
{
    struct json_tree *tree = malloc(sizeof(*tree));

    must(tree != NULL);
    must(json_tree_read_raw(tree, text, OUT_MAX) == 0);
    return tree;
}

/* No provider both refuses what it does not know and knows members that OpenAI does not. */
static bool is_odd(uint32_t quirks)
{
    return (quirks & QUIRK_STRICT_FIELDS) &&
           (quirks & (QUIRK_REASONING_BACK | QUIRK_DEEPSEEK_THINKING | QUIRK_USER_ID));
}

static void check_body(const struct translation *translation, uint32_t quirks, struct span body,
                       bool is_own)
{
    const yyjson_val *root = translation_chat(translation)->root;
    struct json_tree *tree = read(body);

    must(yyjson_is_obj(yyjson_doc_get_root(tree->doc)));
    if (is_own) {
        must(yyjson_obj_size(yyjson_doc_get_root(tree->doc)) > 0);
        /* The model's name is ours. */
        if (!openai_chat_needs_rewrite(root, quirks))
            must(yyjson_obj_size(yyjson_doc_get_root(tree->doc)) ==
                 yyjson_obj_size((yyjson_val *)(uintptr_t)root));
        else if (!is_odd(quirks))
            must(!openai_chat_needs_rewrite(yyjson_doc_get_root(tree->doc), quirks));
    }
    json_tree_fini(tree);
    free(tree);
}

static void write(struct translation *translation, enum form form, uint32_t quirks)
{
    const struct chat *chat = translation_chat(translation);
    struct chat_target target = {.model = SPAN("m"), .quirks = quirks};
    struct chat_refusal refusal;
    struct chat_drops drops;
    struct buf out;
    int err;

    buf_init(&out, OUT_MAX);
    err = translate_write(translation, form, &target, &out, &drops, &refusal);
    if (err == ERR_SYNTAX)
        must(refusal.message[0] != 0);
    else if (!err)
        check_body(translation, quirks, buf_span(&out),
                   form == FORM_CHAT && chat->form == FORM_CHAT);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum form forms[] = {FORM_CHAT, FORM_MESSAGES, FORM_GENERATE};
    struct translate_facts facts = {.form = FORM_CHAT};
    struct translation *translation;
    struct chat_refusal refusal;
    struct arena_pool pool;
    uint32_t quirks;
    int err;

    if (size < 5)
        return 0;
    memcpy(&quirks, data, sizeof(quirks));
    if (data[4] & 1)
        facts.form = FORM_COMPLETIONS;
    arena_pool_init(&pool, 4);
    err = translate_read(&facts, span_of((const char *)data + 5, size - 5), &pool, &translation,
                         &refusal);
    if (err == ERR_SYNTAX)
        must(refusal.message[0] != 0);
    for (int i = 0; i < 3 && !err; i++)
        write(translation, forms[i], quirks);
    if (!err)
        translate_free(&translation);
    arena_pool_fini(&pool);
    return 0;
}
