/* What stands in a store, and under which names: the same for every kind. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "json/write.h"
#include "secrets/secret_store_kind.h"

enum {
    ENTRY_TREE_MAX_BYTES = 8 << 20,
    NAMES_FIRST = 64,
};

static const char no_memory[] = "finds no memory";

/* ---- paths ---- */

static bool is_path_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static bool is_segment(struct span segment)
{
    for (size_t i = 0; i < segment.len; i++) {
        if (!is_path_byte(segment.ptr[i]))
            return false;
    }
    return segment.len > 0 && segment.ptr[0] != '.' && segment.ptr[segment.len - 1] != '.';
}

bool secret_path_is_good(struct span path)
{
    size_t at = 0;

    if (path.len == 0 || path.len > SECRET_PATH_MAX_BYTES)
        return false;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        if (!is_segment(span_of(path.ptr + at, i - at)))
            return false;
        at = i + 1;
    }
    return true;
}

bool secret_version_is_good(struct span version)
{
    for (size_t i = 0; i < version.len; i++) {
        if (!is_path_byte(version.ptr[i]))
            return false;
    }
    return version.len > 0 && version.len <= SECRET_VERSION_MAX_BYTES;
}

/* ---- entries ---- */

/* A header line can carry it. */
static bool is_key(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < ' ' || c == 0x7f)
            return false;
    }
    return text.len > 0;
}

/* A word for what is wrong; NULL: nothing is. `names` gets all of them. */
static const char *find_fault(yyjson_val *root, struct map *names)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(root);
    yyjson_val *name;

    if (!yyjson_is_obj(root))
        return "is no JSON object";
    while ((name = yyjson_obj_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        int err = map_add(names, json_tree_text(name), value);

        if (err)
            return err == ERR_EXISTS ? "holds a member twice" : no_memory;
        if (yyjson_equals_str(name, "api_key") && !is_key(json_tree_text(value)))
            return "holds an api_key that is no string, empty, or has control characters";
    }
    return NULL;
}

void secret_tree_fini(struct json_tree *tree)
{
    /* yyjson's own copy of the text, where its strings stand. */
    if (tree->doc && tree->doc->str_pool)
        secret_wipe(tree->doc->str_pool, tree->doc->dat_read);
    json_tree_fini(tree);
    secret_wipe(tree->own, sizeof(tree->own));
}

int secret_entry_check(struct span text, const char **ret_why)
{
    struct json_tree tree;
    const char *why = NULL;
    struct map names;
    int err;

    if (text.len > SECRET_ENTRY_MAX_BYTES) {
        *ret_why = "is larger than 128 KiB";
        return ERR_SYNTAX;
    }
    map_init(&names, SECRET_ENTRY_MAX_BYTES);
    err = json_tree_read(&tree, text, ENTRY_TREE_MAX_BYTES);
    if (err)
        why = err == ERR_NOMEM ? no_memory : "is no JSON";
    else
        why = find_fault(yyjson_doc_get_root(tree.doc), &names);
    map_fini(&names);
    secret_tree_fini(&tree);
    if (!why)
        return 0;
    *ret_why = why;
    return why == no_memory ? ERR_NOMEM : ERR_SYNTAX;
}

int secret_entry_member(struct span text, const char *name, struct secret_arena *arena,
                        struct secret **ret_secret)
{
    struct json_tree tree;
    int err = json_tree_read(&tree, text, ENTRY_TREE_MAX_BYTES);

    if (!err) {
        struct span value = json_tree_string(yyjson_doc_get_root(tree.doc), name);

        err = value.ptr ? secret_new(arena, value, ret_secret) : ERR_NOTFOUND;
    } else if (err == ERR_FULL) {
        err = ERR_SYNTAX;
    }
    secret_tree_fini(&tree);
    return err;
}

int secret_entry_from_key(struct span key, struct buf *out)
{
    struct json_writer writer;

    if (!is_key(key))
        return ERR_SYNTAX;
    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_string(&writer, "api_key", key);
    json_end_object(&writer);
    return out->err;
}

uint64_t secret_version_of(struct span text)
{
    uint64_t version = map_hash(text);

    return version == 0 || version == SECRET_ANY ? 1 : version;
}

/* ---- names ---- */

static int make_room(struct secret_names *names)
{
    size_t cap = names->cap ? names->cap * 2 : NAMES_FIRST;
    char **longer;

    if (names->count < names->cap)
        return 0;
    longer = mem_realloc(names->names, cap * sizeof(*longer));
    if (!longer)
        return ERR_NOMEM;
    names->names = longer;
    names->cap = cap;
    return 0;
}

int secret_names_add(struct secret_names *names, struct span name)
{
    int err = make_room(names);
    char *copy;

    if (err)
        return err;
    if (!names->known.max)
        map_init(&names->known, SECRET_LIST_MAX_BYTES);
    if (map_find(&names->known, name))
        return 0;
    if (name.len + 1 > SECRET_LIST_MAX_BYTES - names->bytes)
        return ERR_FULL;
    copy = mem_strdup(name.ptr, name.len);
    if (!copy)
        return ERR_NOMEM;
    err = map_add(&names->known, span_of(copy, name.len), copy);
    if (err) {
        mem_free(copy);
        return err;
    }
    names->names[names->count++] = copy;
    names->bytes += name.len + 1;
    return 0;
}

int secret_names_add_below(struct secret_names *names, struct span folder, struct span path)
{
    size_t slash;

    if (folder.len) {
        if (!span_has_prefix(path, folder) || path.len <= folder.len + 1 ||
            path.ptr[folder.len] != '/')
            return 0;
        path = span_skip(path, folder.len + 1);
    }
    slash = span_find_byte(path, '/');
    return secret_names_add(names, slash == SIZE_MAX ? path : span_of(path.ptr, slash + 1));
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int secret_names_write(struct secret_names *names, struct buf *out)
{
    if (names->count)
        qsort(names->names, names->count, sizeof(*names->names), compare);
    for (size_t i = 0; i < names->count; i++) {
        buf_append_span(out, span_from_text(names->names[i]));
        buf_append_byte(out, '\n');
    }
    return out->err;
}

void secret_names_fini(struct secret_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->names[i]);
    mem_free(names->names);
    map_fini(&names->known);
    *names = (struct secret_names){0};
}
