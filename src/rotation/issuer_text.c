#include "rotation/issuer_text.h"

#include <stdio.h>

#include "base/err.h"
#include "base/percent.h"
#include "json/tree.h"
#include "json/write.h"
#include "rotation/issuer_answer.h"
#include "secrets/token_answer.h"

enum {
    DEPTH_MAX = 32,
    STRING_MAX_BYTES = 64 << 10,
    /* Shorter strings of a body are words that a server's complaint may well repeat. */
    CREDENTIAL_BYTES = 16,
};

static const struct span placeholders[ISSUER_PLACEHOLDERS] = {
    [ISSUER_PUT_NAME] = SPAN_INIT("name"),
    [ISSUER_PUT_TIME] = SPAN_INIT("time"),
    [ISSUER_PUT_ID] = SPAN_INIT("id"),
    [ISSUER_PUT_CURRENT_KEY] = SPAN_INIT("current_key"),
    [ISSUER_PUT_EXPIRES] = SPAN_INIT("expires"),
};

/* ---- one text ---- */

static bool is_word(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.ptr[i] < 'a' || text.ptr[i] > 'z') && text.ptr[i] != '_')
            return false;
    }
    return text.len > 0;
}

/* Cuts *rest behind the next "{word}": what stood before it, and the word. False where there is
 * none left; all of *rest is then what stood before. */
static bool next_placeholder(struct span *rest, struct span *ret_before, struct span *ret_word)
{
    for (size_t i = 0; i < rest->len; i++) {
        struct span inner = span_skip(*rest, i + 1);
        size_t end = rest->ptr[i] == '{' ? span_find_byte(inner, '}') : SIZE_MAX;

        if (end == SIZE_MAX || !is_word(span_of(inner.ptr, end)))
            continue;
        *ret_before = span_of(rest->ptr, i);
        *ret_word = span_of(inner.ptr, end);
        *rest = span_skip(inner, end + 1);
        return true;
    }
    *ret_before = *rest;
    return false;
}

/* ISSUER_PLACEHOLDERS: none of them. */
static unsigned find(struct span word)
{
    unsigned i = 0;

    while (i < ISSUER_PLACEHOLDERS && !span_is_equal(word, placeholders[i]))
        i++;
    return i;
}

int issuer_text_check(struct span text, unsigned *ret_used, struct span *ret_unknown)
{
    struct span before, word;
    unsigned used = 0;

    while (next_placeholder(&text, &before, &word)) {
        unsigned i = find(word);

        if (i == ISSUER_PLACEHOLDERS) {
            *ret_unknown = word;
            return ERR_SYNTAX;
        }
        used |= 1u << i;
    }
    *ret_used = used;
    return 0;
}

int issuer_text_write(struct buf *out, struct span text, const struct issuer_words *words,
                      bool is_url)
{
    struct span before, word;
    bool is_more;

    do {
        is_more = next_placeholder(&text, &before, &word);
        buf_append_span(out, before);
        if (is_more) {
            unsigned i = find(word);

            if (i == ISSUER_PLACEHOLDERS || !words->of[i].ptr)
                return ERR_NOTFOUND;
            if (is_url)
                percent_write(out, words->of[i], "");
            else
                buf_append_span(out, words->of[i]);
        }
    } while (is_more);
    return out->err;
}

/* ---- bodies ---- */

/* What is done to each string of a document. */
struct walk {
    int (*on_text)(struct walk *walk, struct span text);
    struct json_writer *writer; /* NULL: nothing is written */
    const struct issuer_words *words;
    struct buf text; /* one string, its placeholders replaced */
    unsigned used;
    struct span unknown;
    char *why;
};

static int walk_value(struct walk *walk, yyjson_val *value, unsigned depth);

static int walk_object(struct walk *walk, yyjson_val *object, unsigned depth)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    int err = 0;

    if (walk->writer)
        json_begin_object(walk->writer);
    while (!err && (name = yyjson_obj_iter_next(&members))) {
        if (walk->writer)
            json_name_span(walk->writer, json_tree_text(name));
        err = walk_value(walk, yyjson_obj_iter_get_val(name), depth);
    }
    if (walk->writer)
        json_end_object(walk->writer);
    return err;
}

static int walk_array(struct walk *walk, yyjson_val *array, unsigned depth)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(array);
    yyjson_val *item;
    int err = 0;

    if (walk->writer)
        json_begin_array(walk->writer);
    while (!err && (item = yyjson_arr_iter_next(&items)))
        err = walk_value(walk, item, depth);
    if (walk->writer)
        json_end_array(walk->writer);
    return err;
}

static int walk_value(struct walk *walk, yyjson_val *value, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return ERR_RANGE;
    if (yyjson_is_str(value))
        return walk->on_text(walk, json_tree_text(value));
    if (yyjson_is_obj(value))
        return walk_object(walk, value, depth + 1);
    if (yyjson_is_arr(value))
        return walk_array(walk, value, depth + 1);
    if (walk->writer && yyjson_is_raw(value))
        json_raw(walk->writer, json_tree_number(value));
    else if (walk->writer && yyjson_is_bool(value))
        json_bool(walk->writer, yyjson_get_bool(value));
    else if (walk->writer)
        json_null(walk->writer);
    return 0;
}

static int walk_body(struct walk *walk, struct span json)
{
    struct issuer_doc doc;
    int err = issuer_doc_read(&doc, json);

    if (!err)
        err = walk_value(walk, doc.root, 0);
    /* What it borrows goes with the document: the same bytes stand in the text. */
    if (walk->unknown.len) {
        size_t at = span_find(json, walk->unknown);

        walk->unknown = at == SIZE_MAX ? SPAN("?") : span_of(json.ptr + at, walk->unknown.len);
    }
    issuer_doc_fini(&doc);
    return err;
}

static int check_text(struct walk *walk, struct span text)
{
    unsigned used = 0;
    int err = issuer_text_check(text, &used, &walk->unknown);

    walk->used |= used;
    return err;
}

int issuer_body_check(struct span json, unsigned *ret_used, struct span *ret_unknown)
{
    struct walk walk = {.on_text = check_text};
    int err = walk_body(&walk, json);

    *ret_unknown = walk.unknown;
    if (!err)
        *ret_used = walk.used;
    return err;
}

static int write_text(struct walk *walk, struct span text)
{
    int err;

    buf_clear(&walk->text);
    err = issuer_text_write(&walk->text, text, walk->words, false);
    if (!err)
        json_string(walk->writer, buf_span(&walk->text));
    return err;
}

int issuer_body_write(struct buf *out, struct span json, const struct issuer_words *words)
{
    struct json_writer writer;
    struct walk walk = {.on_text = write_text, .writer = &writer, .words = words};
    int err;

    json_writer_init(&writer, out);
    buf_init(&walk.text, STRING_MAX_BYTES);
    walk.text.is_secret = true;
    err = walk_body(&walk, json);
    buf_fini(&walk.text);
    return err ? err : out->err;
}

static int guard_text(struct walk *walk, struct span text)
{
    struct span before, word, rest = text;

    if (text.len >= CREDENTIAL_BYTES && span_find_byte(text, ' ') == SIZE_MAX &&
        !next_placeholder(&rest, &before, &word))
        token_words_guard(walk->why, text);
    return 0;
}

void issuer_body_guard(struct span json, char *why)
{
    struct walk walk = {.on_text = guard_text, .why = why};

    if (walk_body(&walk, json)) /* memory is short: words can be spared */
        snprintf(why, TOKEN_WORDS_BYTES, "refused");
}
