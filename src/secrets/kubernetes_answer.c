#include "secrets/kubernetes_answer.h"

#include "base/base64.h"
#include "base/err.h"
#include "secrets/cloud_answer.h"

int kubernetes_answer_version(struct span body, char id[SECRET_VERSION_MAX_BYTES + 1])
{
    struct json_tree tree;
    int err;
    yyjson_val *root = cloud_answer_root(&tree, body, &err);
    struct span version = json_tree_string(yyjson_obj_get(root, "metadata"), "resourceVersion");

    if (!err && !secret_version_is_good(version))
        err = ERR_PROTO;
    if (!err) {
        memcpy(id, version.ptr, version.len);
        id[version.len] = '\0';
    }
    secret_tree_fini(&tree);
    return err;
}

int kubernetes_answer_value(struct span body, struct buf *out)
{
    struct json_tree tree;
    int err;
    yyjson_val *data = yyjson_obj_get(cloud_answer_root(&tree, body, &err), "data");
    struct span text = json_tree_string(data, "entry");
    size_t len = 0;

    if (!text.ptr)
        text = json_tree_string(data, "api_key");
    if (!err && !text.ptr)
        err = ERR_NOTFOUND;
    if (!err)
        err = buf_reserve(out, text.len);
    if (!err && text.len && !base64_read(text, out->data + out->len, &len))
        err = ERR_PROTO;
    if (!err)
        out->len += len;
    secret_tree_fini(&tree);
    return err;
}

int kubernetes_answer_names(struct span body, int (*on_name)(void *owner, struct span name),
                            void *owner, struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *root = cloud_answer_root(&tree, body, &err), *item;
    yyjson_val *list = yyjson_obj_get(root, "items");
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    if (!err && !yyjson_is_arr(list))
        err = ERR_PROTO;
    if (!err)
        err = buf_append_span(next, json_tree_string(yyjson_obj_get(root, "metadata"), "continue"));
    while (!err && (item = yyjson_arr_iter_next(&iter)))
        err = on_name(owner, json_tree_string(yyjson_obj_get(item, "metadata"), "name"));
    secret_tree_fini(&tree);
    return err;
}
