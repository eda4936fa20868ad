#include "secrets/cloud_answer.h"

#include "base/err.h"

enum { TREE_MAX_BYTES = 32 << 20 };

yyjson_val *cloud_answer_root(struct json_tree *tree, struct span body, int *ret_err)
{
    int err = json_tree_read(tree, body, TREE_MAX_BYTES);
    yyjson_val *root = err ? NULL : yyjson_doc_get_root(tree->doc);

    *ret_err = err == ERR_NOMEM ? err : yyjson_is_obj(root) ? 0 : ERR_PROTO;
    return *ret_err ? NULL : root;
}

/* The more exact one. */
static struct span reason_of(yyjson_val *root)
{
    yyjson_val *error = yyjson_obj_get(root, "error");
    struct span reason = json_tree_string(root, "reason");

    if (!reason.len)
        reason = json_tree_string(yyjson_obj_get(error, "innererror"), "code");
    if (!reason.len)
        reason = json_tree_string(error, "status");
    return reason.len ? reason : json_tree_string(error, "code");
}

bool cloud_answer_is(struct span body, const char *reason)
{
    struct json_tree tree;
    int err;
    bool is_it =
        span_is_equal(reason_of(cloud_answer_root(&tree, body, &err)), span_from_text(reason));

    secret_tree_fini(&tree);
    return is_it;
}

void cloud_answer_words(struct span body, struct buf *out)
{
    struct json_tree tree;
    int err;
    yyjson_val *root = cloud_answer_root(&tree, body, &err);
    struct span reason = reason_of(root), message = json_tree_string(root, "message");

    if (!message.len)
        message = json_tree_string(yyjson_obj_get(root, "error"), "message");
    buf_append_span(out, reason);
    if (reason.len && message.len)
        buf_append_span(out, SPAN(": "));
    buf_append_span(out, message);
    secret_tree_fini(&tree);
}

int cloud_answer_err(int status)
{
    if (status == 401 || status == 403)
        return ERR_DENIED;
    if (status == 413)
        return ERR_FULL;
    return status == 429 || status >= 500 ? ERR_UNREACHABLE : ERR_PROTO;
}

struct span cloud_answer_tail(struct span name)
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.ptr[i - 1] == '/')
            return span_skip(name, i);
    }
    return name;
}
