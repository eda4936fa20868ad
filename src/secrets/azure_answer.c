#include "secrets/azure_answer.h"

#include "base/clock.h"
#include "base/err.h"
#include "secrets/cloud_answer.h"

#define LATEST_SECONDS UINT64_C(253402300800) /* the year 10000 */

int azure_answer_value(struct span body, struct buf *out, char id[SECRET_VERSION_MAX_BYTES + 1])
{
    struct json_tree tree;
    int err;
    yyjson_val *root = cloud_answer_root(&tree, body, &err);
    struct span value = json_tree_string(root, "value");
    struct span version = cloud_answer_tail(json_tree_string(root, "id"));

    if (!err && (!value.ptr || !secret_version_is_good(version)))
        err = ERR_PROTO;
    if (!err && out)
        err = buf_append_span(out, value);
    if (!err) {
        memcpy(id, version.ptr, version.len);
        id[version.len] = '\0';
    }
    secret_tree_fini(&tree);
    return err;
}

/* "https://vault/secrets?..." is of "https://vault". */
static int take_link(struct span link, struct span vault, struct buf *next)
{
    if (!link.len)
        return 0;
    if (!span_has_prefix(link, vault) || link.len == vault.len || link.ptr[vault.len] != '/')
        return ERR_PROTO;
    for (size_t i = 0; i < link.len; i++) {
        if (link.ptr[i] <= ' ' || link.ptr[i] >= 0x7f)
            return ERR_PROTO;
    }
    return buf_append_span(next, link);
}

static yyjson_val *read_page(struct json_tree *tree, struct span body, struct span vault,
                             struct buf *next, int *ret_err)
{
    yyjson_val *root = cloud_answer_root(tree, body, ret_err);
    yyjson_val *list = yyjson_obj_get(root, "value");

    if (!*ret_err && !yyjson_is_arr(list))
        *ret_err = ERR_PROTO;
    if (!*ret_err)
        *ret_err = take_link(json_tree_string(root, "nextLink"), vault, next);
    return list;
}

/* One that is disabled cannot be read. */
static int add_version(yyjson_val *item, struct secret_versions *versions)
{
    yyjson_val *attributes = yyjson_obj_get(item, "attributes");
    yyjson_val *created = yyjson_obj_get(attributes, "created");
    yyjson_val *enabled = yyjson_obj_get(attributes, "enabled");
    uint64_t seconds = yyjson_is_uint(created) ? yyjson_get_uint(created) : 0;

    if (yyjson_is_bool(enabled) && !yyjson_get_bool(enabled))
        return 0;
    if (seconds >= LATEST_SECONDS)
        seconds = 0;
    return secret_versions_add(versions, cloud_answer_tail(json_tree_string(item, "id")),
                               seconds * US_PER_SEC, seconds);
}

int azure_answer_versions(struct span body, struct span vault, struct secret_versions *versions,
                          struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *list = read_page(&tree, body, vault, next, &err), *item;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    while (!err && (item = yyjson_arr_iter_next(&iter)))
        err = add_version(item, versions);
    secret_tree_fini(&tree);
    return err;
}

int azure_answer_names(struct span body, struct span vault,
                       int (*on_name)(void *owner, struct span name), void *owner, struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *list = read_page(&tree, body, vault, next, &err), *item;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    while (!err && (item = yyjson_arr_iter_next(&iter))) {
        const yyjson_val *attributes = json_tree_member(item, "attributes");
        const yyjson_val *enabled = json_tree_member(attributes, "enabled");

        /* One that is disabled cannot be read: it is not there for now. */
        if (!yyjson_is_false(json_tree_plain(enabled)))
            err = on_name(owner, cloud_answer_tail(json_tree_string(item, "id")));
    }
    secret_tree_fini(&tree);
    return err;
}
