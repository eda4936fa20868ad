#include "shadow/json_same.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "json/tree.h"

/* A member of an object, to be sorted by its name. */
struct member {
    struct span name;
    yyjson_val *value;
    size_t place;
};

static int by_name(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    size_t len = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = len ? memcmp(left->name.ptr, right->name.ptr, len) : 0;

    if (order == 0)
        order = (left->name.len > right->name.len) - (left->name.len < right->name.len);
    return order ? order : (left->place > right->place) - (left->place < right->place);
}

static struct member *sorted(yyjson_val *object, struct arena *arena)
{
    size_t count = yyjson_obj_size(object), index, max;
    struct member *members = arena_alloc(arena, (count + 1) * sizeof(*members));
    yyjson_val *name, *value;

    if (!members)
        return NULL;
    yyjson_obj_foreach(object, index, max, name, value)
    {
        members[index] =
            (struct member){span_of(yyjson_get_str(name), yyjson_get_len(name)), value, index};
    }
    qsort(members, count, sizeof(*members), by_name);
    return members;
}

static enum json_same verdict_of(bool is_equal)
{
    return is_equal ? JSON_SAME_EQUAL : JSON_SAME_DIFFERENT;
}

static enum json_same same_values(yyjson_val *a, yyjson_val *b, struct arena *arena,
                                  unsigned depth);

static enum json_same same_objects(yyjson_val *a, yyjson_val *b, struct arena *arena,
                                   unsigned depth)
{
    size_t count = yyjson_obj_size(a);
    enum json_same same = JSON_SAME_EQUAL;
    struct member *left, *right;

    if (count != yyjson_obj_size(b))
        return JSON_SAME_DIFFERENT;
    left = sorted(a, arena);
    right = left ? sorted(b, arena) : NULL;
    if (!right)
        return JSON_SAME_UNKNOWN;
    for (size_t i = 0; i < count && same == JSON_SAME_EQUAL; i++)
        same = span_is_equal(left[i].name, right[i].name)
                   ? same_values(left[i].value, right[i].value, arena, depth + 1)
                   : JSON_SAME_DIFFERENT;
    return same;
}

static enum json_same same_arrays(yyjson_val *a, yyjson_val *b, struct arena *arena, unsigned depth)
{
    enum json_same same = JSON_SAME_EQUAL;
    yyjson_arr_iter left, right;

    if (yyjson_arr_size(a) != yyjson_arr_size(b))
        return JSON_SAME_DIFFERENT;
    yyjson_arr_iter_init(a, &left);
    yyjson_arr_iter_init(b, &right);
    while (same == JSON_SAME_EQUAL && yyjson_arr_iter_has_next(&left))
        same = same_values(yyjson_arr_iter_next(&left), yyjson_arr_iter_next(&right), arena,
                           depth + 1);
    return same;
}

/* Whole numbers exactly, others as doubles. */
static bool same_numbers(yyjson_val *a, yyjson_val *b)
{
    if (yyjson_is_int(a) && yyjson_is_int(b))
        return yyjson_get_subtype(a) == yyjson_get_subtype(b)
                   ? yyjson_get_uint(a) == yyjson_get_uint(b)
                   : false;
    return yyjson_get_num(a) == yyjson_get_num(b);
}

static enum json_same same_values(yyjson_val *a, yyjson_val *b, struct arena *arena, unsigned depth)
{
    if (yyjson_get_type(a) != yyjson_get_type(b))
        return JSON_SAME_DIFFERENT;
    if (depth > JSON_TREE_DEPTH_MAX)
        return JSON_SAME_UNKNOWN;
    if (yyjson_is_obj(a))
        return same_objects(a, b, arena, depth);
    if (yyjson_is_arr(a))
        return same_arrays(a, b, arena, depth);
    if (yyjson_is_num(a))
        return verdict_of(same_numbers(a, b));
    if (yyjson_is_str(a))
        return verdict_of(span_is_equal(json_tree_text(a), json_tree_text(b)));
    return verdict_of(yyjson_get_subtype(a) == yyjson_get_subtype(b));
}

/* Whether the text looks like an object or an array: the others need no tree. */
static bool looks_like_json(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r\n", text.ptr[i]))
            return text.ptr[i] == '{' || text.ptr[i] == '[';
    }
    return false;
}

/* 0, ERR_SYNTAX where it is no JSON, or no memory for it. */
static int read_tree(struct json_tree *tree, struct span text)
{
    tree->doc = NULL;
    return looks_like_json(text) ? json_tree_read(tree, text, JSON_SAME_TREE_BYTES) : ERR_SYNTAX;
}

enum json_same json_same(struct span a, struct span b, struct arena *arena)
{
    struct json_tree left, right;
    enum json_same same;
    int left_err = read_tree(&left, a), right_err = read_tree(&right, b);

    if (!left_err && !right_err)
        same = same_values(yyjson_doc_get_root(left.doc), yyjson_doc_get_root(right.doc), arena, 0);
    else if (left_err == ERR_SYNTAX && right_err == ERR_SYNTAX)
        same = JSON_SAME_NEITHER;
    else if ((!left_err || left_err == ERR_SYNTAX) && (!right_err || right_err == ERR_SYNTAX))
        same = JSON_SAME_ONE;
    else
        same = JSON_SAME_UNKNOWN;
    if (left.doc)
        json_tree_fini(&left);
    if (right.doc)
        json_tree_fini(&right);
    return same;
}
