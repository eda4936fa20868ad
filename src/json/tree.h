/*
 * A document read into a tree: yyjson, with its memory bounded. Small documents live in the struct
 * itself and ask the heap for nothing; larger ones may take up to a stated number of bytes. Owned
 * by the caller, usually on the stack, never moved; one thread. Walk the tree by yyjson's own
 * calls.
 */
#ifndef JSON_TREE_H
#define JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/span.h"

enum { JSON_TREE_OWN_BYTES = 16384, JSON_TREE_DEPTH_MAX = 512 };

/* What a tree may take of the heap. */
struct json_room {
    size_t held; /* bytes in use */
    size_t max;
};

struct json_tree {
    yyjson_doc *doc; /* NULL: nothing was read */
    struct json_room room;
    _Alignas(16) char own[JSON_TREE_OWN_BYTES];
};

/* Reads text (strict RFC 8259; nothing of it is kept): 0 and tree->doc; ERR_SYNTAX where it is not
 * JSON, ERR_FULL where the tree would take more than max_bytes, ERR_NOMEM. json_tree_fini is right
 * in any case. */
int json_tree_read(struct json_tree *tree, struct span text, size_t max_bytes);

/* The same, with numbers left as they are spelled (yyjson_is_raw, json_tree_number): for a tree of
 * which parts are written again, so that none is rounded on the way. */
int json_tree_read_raw(struct json_tree *tree, struct span text, size_t max_bytes);

void json_tree_fini(struct json_tree *tree);

/* A tree that is kept for longer than the call that reads it: all of it stands on the heap, and
 * takes no more than it needs. Never moved either. */
struct json_kept {
    yyjson_doc *doc; /* NULL: nothing was read */
    struct json_room room;
};

/* As json_tree_read_raw and json_tree_fini. */
int json_kept_read_raw(struct json_kept *kept, struct span text, size_t max_bytes);
void json_kept_fini(struct json_kept *kept);

/* The same value for yyjson's accessors, which take a plain pointer and only read. */
static inline yyjson_val *json_tree_plain(const yyjson_val *value)
{
    return (yyjson_val *)(uintptr_t)value;
}

/* The string's text, or an empty span with a NULL ptr where value is none, or NULL. Borrowed from
 * the tree. */
struct span json_tree_text(const yyjson_val *value);

/* A number as it is spelled, of a tree that was read raw; empty (NULL ptr) where it is none. */
struct span json_tree_number(const yyjson_val *value);

/* The same as a whole number, towards zero and saturated: true where it is a number. */
bool json_tree_int(const yyjson_val *value, int64_t *ret_number);
bool json_tree_double(const yyjson_val *value, double *ret_number);

/* The member of an object; NULL where there is none, it is null, or `value` is no object (or NULL).
 */
const yyjson_val *json_tree_member(const yyjson_val *value, const char *name);

/* Appends the value as JSON without white space; names in their order, numbers as they were spelled
 * where the tree was read raw. 0, ERR_FULL (also where it is nested beyond JSON_TREE_DEPTH_MAX) or
 * ERR_NOMEM, remembered by the buffer. */
int json_tree_write(struct buf *buf, const yyjson_val *value);

/* The same as the value that a writer (json/write.h) writes next; the buffer remembers a failure.
 */
struct json_writer;
void json_value(struct json_writer *writer, const yyjson_val *value);

/* Name and value in one. */
void json_member_value(struct json_writer *writer, const char *name, const yyjson_val *value);

/* The member's text, or an empty span with a NULL ptr where `value` is no object, has no such
 * member, or that is no string. Borrowed from the tree. */
struct span json_tree_string(const yyjson_val *value, const char *name);

#endif
