/*
 * An issuer's answer: a first byte that picks status and call, a line with a JSON pointer, then a
 * body. Whatever it says, a key can stand in a header line, an id in a URL, times keep their
 * bounds, and the words told of a refusal are one line of plain characters; what keys used, as
 * OpenAI tells it, has an id and stays countable. The same bytes as
 * texts of the configuration: what is written of them stays JSON, or plain characters of a URL.
 */
#include <stdlib.h>

#include "base/err.h"
#include "json/tree.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_text.h"
#include "rotation/usage_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LATEST_US (UINT64_C(253402300800) * 1000000)

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void check_visible(struct span text, size_t max)
{
    must(text.len > 0 && text.len <= max);
    for (size_t i = 0; i < text.len; i++)
        must(text.ptr[i] > ' ' && text.ptr[i] < 0x7f);
}

static void check_words(const char *words)
{
    size_t len = strnlen(words, ISSUER_WHY_BYTES);

    must(len > 0 && len < ISSUER_WHY_BYTES);
    for (size_t i = 0; i < len; i++)
        must(words[i] >= ' ' && words[i] < 0x7f);
}

static void check_result(const struct issuer_result *result, int err)
{
    must((err != 0) == (result->answer.err != 0));
    must((err == 0) == (result->key != NULL));
    must(result->answer.issued.expires_wall_us <= LATEST_US);
    if (result->key)
        check_visible(secret_reveal(result->key), ISSUER_KEY_MAX_BYTES);
    if (result->id_len)
        check_visible(span_of(result->id, result->id_len), ISSUER_ID_MAX_BYTES);
    if (err)
        check_words(result->why);
}

static void on_key(void *owner, struct span id, struct span account)
{
    (void)owner, (void)account;
    must(id.len > 0);
}

static void on_use(void *owner, struct span id, uint64_t start_s, uint64_t requests,
                   uint64_t tokens)
{
    (void)owner;
    must(id.len > 0 && start_s > 0 && requests < UINT64_C(1) << 50 && tokens < UINT64_C(1) << 51);
}

static void read_usage(const yyjson_val *root)
{
    static const struct usage_ops ops = {.on_key = on_key, .on_use = on_use};

    (void)usage_read_keys(root, &ops, NULL);
    (void)usage_read_uses(root, &ops, NULL);
    (void)usage_read_next(root, "last_id");
}

static void read_answer(int status, enum issuer_call call, struct span pointer, struct span body)
{
    static struct secret_arena *arena;
    const struct issuer_shape shape = {pointer, SPAN("/id"), SPAN("/expires")};
    struct issuer_result result = {.key = NULL}, refusal = {.key = NULL};
    struct issuer_doc doc;
    bool is_locked;
    int err;

    if (!arena)
        arena = secret_arena_new(1 << 20, &is_locked);
    if (!arena)
        return;
    err = issuer_doc_read(&doc, body);
    must((err == 0) == (doc.root != NULL));
    read_usage(doc.root);
    if (!issuer_status_is_done(status, doc.root, call, &refusal)) {
        check_words(refusal.why);
        must(refusal.answer.err != 0);
    }
    if (doc.root && issuer_pointer_is_sound(pointer))
        check_result(&result, issuer_read_key(doc.root, &shape, arena, &result));
    secret_unref(&result.key);
    issuer_doc_fini(&doc);
}

static void write_texts(struct span text)
{
    const struct issuer_words words = {
        .of = {text, SPAN("20261120-101500"), text, text, SPAN("2026-11-20T10:15:00Z")}};
    struct span unknown = {NULL, 0};
    struct json_tree tree;
    unsigned used;
    struct buf out;

    buf_init(&out, 1 << 20);
    if (!issuer_text_check(text, &used, &unknown))
        must(issuer_text_write(&out, SPAN("{name}{id}{time}"), &words, true) == 0 || out.err);
    for (size_t i = 0; i < out.len; i++)
        must(out.data[i] > ' ' && out.data[i] < 0x7f && out.data[i] != '/');
    buf_clear(&out);
    if (!issuer_body_check(text, &used, &unknown) && !issuer_body_write(&out, text, &words)) {
        must(json_tree_read_raw(&tree, buf_span(&out), 64 << 20) != ERR_SYNTAX);
        json_tree_fini(&tree);
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 302, 400, 401, 404, 408, 409, 410, 429, 500, 503};
    struct span rest = span_of((const char *)data, size), pointer;
    size_t line;

    if (size == 0)
        return 0;
    rest = span_skip(rest, 1);
    line = span_find_byte(rest, '\n');
    pointer = span_of(rest.ptr, line == SIZE_MAX ? 0 : line);
    rest = span_skip(rest, line == SIZE_MAX ? 0 : line + 1);
    read_answer(statuses[data[0] / 3 % (sizeof(statuses) / sizeof(statuses[0]))],
                (enum issuer_call)(data[0] % 3), pointer, rest);
    write_texts(rest);
    return 0;
}
