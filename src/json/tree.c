#include "json/tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "json/write.h"

/* yyjson frees without telling a size, so each block is preceded by its own. */
enum { TREE_HEADER_BYTES = 16 };

static size_t *header_of(void *block)
{
    return (size_t *)(void *)((char *)block - TREE_HEADER_BYTES);
}

static void *resize(struct json_room *room, void *block, size_t size)
{
    size_t old = block ? *header_of(block) : 0;
    size_t *head;

    if (size > room->max - (room->held - old))
        return NULL;
    head = mem_realloc(block ? header_of(block) : NULL, size + TREE_HEADER_BYTES);
    if (!head)
        return NULL;
    *head = size;
    room->held += size - old;
    return (char *)head + TREE_HEADER_BYTES;
}

static void *tree_malloc(void *context, size_t size)
{
    return resize(context, NULL, size);
}

static void *tree_realloc(void *context, void *block, size_t old_size, size_t size)
{
    (void)old_size;
    return resize(context, block, size);
}

static void tree_free(void *context, void *block)
{
    struct json_room *room = context;

    if (!block)
        return;
    room->held -= *header_of(block);
    mem_free(header_of(block));
}

static int read_doc(struct span text, yyjson_read_flag flags, const yyjson_alc *alc,
                    yyjson_doc **ret_doc)
{
    yyjson_read_err error = {0};

    /* Without YYJSON_READ_INSITU the text is only read, whatever the type says. */
    *ret_doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, flags, alc, &error);
    if (*ret_doc)
        return 0;
    /* yyjson does not tell a refusal from a lack; the heap of this system overcommits, so that the
     * cap is the likelier. */
    return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ERR_FULL : ERR_SYNTAX;
}

static int tree_read(struct json_tree *tree, struct span text, size_t max_bytes,
                     yyjson_read_flag flags)
{
    yyjson_alc alc = {tree_malloc, tree_realloc, tree_free, &tree->room};

    tree->doc = NULL;
    tree->room = (struct json_room){.max = max_bytes};
    if (text.len == 0)
        return ERR_SYNTAX;
    if (yyjson_read_max_memory_usage(text.len, flags) <= sizeof(tree->own))
        yyjson_alc_pool_init(&alc, tree->own, sizeof(tree->own));
    return read_doc(text, flags, &alc, &tree->doc);
}

int json_tree_read(struct json_tree *tree, struct span text, size_t max_bytes)
{
    return tree_read(tree, text, max_bytes, 0);
}

int json_tree_read_raw(struct json_tree *tree, struct span text, size_t max_bytes)
{
    return tree_read(tree, text, max_bytes, YYJSON_READ_NUMBER_AS_RAW);
}

void json_tree_fini(struct json_tree *tree)
{
    yyjson_doc_free(tree->doc);
    tree->doc = NULL;
}

int json_kept_read_raw(struct json_kept *kept, struct span text, size_t max_bytes)
{
    const yyjson_alc alc = {tree_malloc, tree_realloc, tree_free, &kept->room};

    kept->doc = NULL;
    kept->room = (struct json_room){.max = max_bytes};
    return text.len ? read_doc(text, YYJSON_READ_NUMBER_AS_RAW, &alc, &kept->doc) : ERR_SYNTAX;
}

void json_kept_fini(struct json_kept *kept)
{
    yyjson_doc_free(kept->doc);
    kept->doc = NULL;
}

struct span json_tree_text(const yyjson_val *value)
{
    yyjson_val *text = json_tree_plain(value);

    /* The length of a container is its count: not to be taken for a string's. */
    return yyjson_is_str(text) ? span_of(yyjson_get_str(text), yyjson_get_len(text))
                               : span_of(NULL, 0);
}

struct span json_tree_number(const yyjson_val *value)
{
    return yyjson_is_raw(json_tree_plain(value)) ? span_of(yyjson_get_raw(json_tree_plain(value)),
                                                           yyjson_get_len(json_tree_plain(value)))
                                                 : span_of(NULL, 0);
}

bool json_tree_double(const yyjson_val *value, double *ret_number)
{
    struct span text = json_tree_number(value);
    char copy[64];

    if (!text.ptr) {
        if (!yyjson_is_num(json_tree_plain(value)))
            return false;
        *ret_number = yyjson_get_num(json_tree_plain(value));
        return true;
    }
    /* Digits beyond these say nothing that a double could hold. */
    if (text.len >= sizeof(copy))
        text.len = sizeof(copy) - 1;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *ret_number = strtod(copy, NULL);
    return true;
}

bool json_tree_int(const yyjson_val *value, int64_t *ret_number)
{
    struct span text = json_tree_number(value), digits;
    uint64_t whole;
    double number;

    digits = text.len && text.ptr[0] == '-' ? span_skip(text, 1) : text;
    if (digits.len && span_to_u64(digits, &whole) == 0 && whole <= INT64_MAX) {
        *ret_number = digits.len < text.len ? -(int64_t)whole : (int64_t)whole;
        return true;
    }
    if (!json_tree_double(value, &number))
        return false;
    if (number >= (double)INT64_MAX)
        *ret_number = INT64_MAX;
    else if (number <= (double)INT64_MIN)
        *ret_number = INT64_MIN;
    else
        *ret_number = (int64_t)number;
    return true;
}

const yyjson_val *json_tree_member(const yyjson_val *value, const char *name)
{
    yyjson_val *member = yyjson_obj_get(json_tree_plain(value), name);

    return yyjson_is_null(member) ? NULL : member;
}

static int write_value(struct buf *buf, yyjson_val *value, unsigned depth);

static int write_array(struct buf *buf, yyjson_val *array, unsigned depth)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(array);
    yyjson_val *item;
    char before = '[';

    if (yyjson_arr_size(array) == 0)
        return buf_append_span(buf, SPAN("[]"));
    while ((item = yyjson_arr_iter_next(&items))) {
        buf_append_byte(buf, before);
        write_value(buf, item, depth);
        before = ',';
    }
    return buf_append_byte(buf, ']');
}

static int write_object(struct buf *buf, yyjson_val *object, unsigned depth)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *name;
    char before = '{';

    if (yyjson_obj_size(object) == 0)
        return buf_append_span(buf, SPAN("{}"));
    while ((name = yyjson_obj_iter_next(&members))) {
        buf_append_byte(buf, before);
        json_write_string(buf, json_tree_text(name));
        buf_append_byte(buf, ':');
        write_value(buf, yyjson_obj_iter_get_val(name), depth);
        before = ',';
    }
    return buf_append_byte(buf, '}');
}

static int write_number(struct buf *buf, yyjson_val *value)
{
    /* Whole and fractional parts of the longest double, with a NUL. */
    char digits[40];
    int len;

    if (yyjson_is_uint(value))
        return buf_printf(buf, "%llu", (unsigned long long)yyjson_get_uint(value));
    if (yyjson_is_sint(value))
        return buf_printf(buf, "%lld", (long long)yyjson_get_sint(value));
    len = snprintf(digits, sizeof(digits), "%.17g", yyjson_get_real(value));
    return buf_append(buf, digits, (size_t)len);
}

static int write_value(struct buf *buf, yyjson_val *value, unsigned depth)
{
    if (depth > JSON_TREE_DEPTH_MAX)
        return buf_fail(buf, ERR_FULL);
    if (yyjson_is_str(value))
        return json_write_string(buf, json_tree_text(value));
    if (yyjson_is_raw(value))
        return buf_append_span(buf, json_tree_number(value));
    if (yyjson_is_obj(value))
        return write_object(buf, value, depth + 1);
    if (yyjson_is_arr(value))
        return write_array(buf, value, depth + 1);
    if (yyjson_is_bool(value))
        return buf_append_span(buf, yyjson_get_bool(value) ? SPAN("true") : SPAN("false"));
    if (yyjson_is_num(value))
        return write_number(buf, value);
    return buf_append_span(buf, SPAN("null"));
}

int json_tree_write(struct buf *buf, const yyjson_val *value)
{
    write_value(buf, json_tree_plain(value), 0);
    return buf->err;
}

void json_value(struct json_writer *writer, const yyjson_val *value)
{
    /* An empty text puts the comma and says that a value stands there. */
    json_raw(writer, SPAN(""));
    (void)json_tree_write(writer->buf, value);
}

void json_member_value(struct json_writer *writer, const char *name, const yyjson_val *value)
{
    json_name(writer, name);
    json_value(writer, value);
}

struct span json_tree_string(const yyjson_val *value, const char *name)
{
    return json_tree_text(json_tree_member(value, name));
}
