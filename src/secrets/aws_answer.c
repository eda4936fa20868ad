#include "secrets/aws_answer.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"

enum { TREE_MAX_BYTES = 32 << 20 };

#define LATEST_SECONDS 253402300800.0 /* the year 10000 */

/* The root object; NULL, with the error, where there is none. */
static yyjson_val *read_root(struct json_tree *tree, struct span body, int *ret_err)
{
    int err = json_tree_read(tree, body, TREE_MAX_BYTES);
    yyjson_val *root = err ? NULL : yyjson_doc_get_root(tree->doc);

    *ret_err = err == ERR_NOMEM ? err : yyjson_is_obj(root) ? 0 : ERR_PROTO;
    return *ret_err ? NULL : root;
}

/* ---- refusals ---- */

static const struct {
    struct span code;
    enum aws_refusal refusal;
} refusals[] = {
    {SPAN_INIT("ResourceNotFoundException"), AWS_NOT_FOUND},
    {SPAN_INIT("ResourceExistsException"), AWS_EXISTS},
    {SPAN_INIT("InvalidRequestException"), AWS_STATE},
    {SPAN_INIT("InvalidParameterException"), AWS_INVALID},
    {SPAN_INIT("ThrottlingException"), AWS_BUSY},
    {SPAN_INIT("Throttling"), AWS_BUSY},
    {SPAN_INIT("TooManyRequestsException"), AWS_BUSY},
    {SPAN_INIT("RequestLimitExceeded"), AWS_BUSY},
    {SPAN_INIT("ExpiredTokenException"), AWS_LOGIN},
    {SPAN_INIT("ExpiredToken"), AWS_LOGIN},
    {SPAN_INIT("UnrecognizedClientException"), AWS_LOGIN},
    {SPAN_INIT("InvalidClientTokenId"), AWS_LOGIN},
    {SPAN_INIT("AccessDeniedException"), AWS_DENIED},
    {SPAN_INIT("InvalidSignatureException"), AWS_DENIED},
    {SPAN_INIT("IncompleteSignature"), AWS_DENIED},
    {SPAN_INIT("IncompleteSignatureException"), AWS_DENIED},
    {SPAN_INIT("MissingAuthenticationTokenException"), AWS_DENIED},
    {SPAN_INIT("NotAuthorizedException"), AWS_DENIED},
    {SPAN_INIT("DecryptionFailure"), AWS_DENIED},
    {SPAN_INIT("EncryptionFailure"), AWS_DENIED},
    {SPAN_INIT("LimitExceededException"), AWS_LIMIT},
    {SPAN_INIT("InternalServiceError"), AWS_SERVER_FAILS},
    {SPAN_INIT("InternalServiceErrorException"), AWS_SERVER_FAILS},
};

/* "namespace#Code" or "Code". */
static struct span code_of(yyjson_val *root)
{
    struct span type = json_tree_string(root, "__type");
    size_t at = span_find_byte(type, '#');

    return at == SIZE_MAX ? type : span_skip(type, at + 1);
}

static enum aws_refusal refusal_of_status(int status)
{
    if (status == 429 || status == 503)
        return AWS_BUSY;
    if (status >= 500)
        return AWS_SERVER_FAILS;
    return status == 401 || status == 403 ? AWS_DENIED : AWS_OTHER;
}

enum aws_refusal aws_answer_refusal(int status, struct span body)
{
    enum aws_refusal refusal = refusal_of_status(status);
    struct json_tree tree;
    int err;
    struct span code = code_of(read_root(&tree, body, &err));

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (span_is_equal(refusals[i].code, code))
            refusal = refusals[i].refusal;
    }
    secret_tree_fini(&tree);
    return refusal;
}

void aws_answer_words(struct span body, struct buf *out)
{
    struct json_tree tree;
    int err;
    yyjson_val *root = read_root(&tree, body, &err);
    struct span message = json_tree_string(root, "Message");

    if (!message.ptr)
        message = json_tree_string(root, "message");
    buf_append_span(out, code_of(root));
    if (message.len)
        buf_append_span(out, out->len ? SPAN(": ") : SPAN(""));
    buf_append_span(out, message);
    secret_tree_fini(&tree);
}

/* ---- values ---- */

static bool copy_id(char id[SECRET_VERSION_MAX_BYTES + 1], struct span text)
{
    id[0] = '\0';
    if (!secret_version_is_good(text))
        return false;
    memcpy(id, text.ptr, text.len);
    id[text.len] = '\0';
    return true;
}

static int decode(struct span text, struct buf *out)
{
    size_t len = 0;
    int err = buf_reserve(out, text.len);

    if (!err && !base64_read(text, out->data + out->len, &len))
        err = ERR_PROTO;
    if (!err)
        out->len += len;
    return err;
}

int aws_answer_value(struct span body, struct buf *out, char id[SECRET_VERSION_MAX_BYTES + 1])
{
    struct json_tree tree;
    int err;
    yyjson_val *root = read_root(&tree, body, &err);
    struct span text = json_tree_string(root, "SecretString");
    struct span bytes = json_tree_string(root, "SecretBinary");

    if (!err && (!copy_id(id, json_tree_string(root, "VersionId")) || (!text.ptr && !bytes.len)))
        err = ERR_PROTO;
    if (!err)
        err = text.ptr ? buf_append_span(out, text) : decode(bytes, out);
    secret_tree_fini(&tree);
    return err;
}

int aws_answer_made(struct span body, char id[SECRET_VERSION_MAX_BYTES + 1])
{
    struct json_tree tree;
    int err;
    yyjson_val *root = read_root(&tree, body, &err);

    if (!err && !copy_id(id, json_tree_string(root, "VersionId")))
        err = ERR_PROTO;
    secret_tree_fini(&tree);
    return err;
}

static bool has_stage(yyjson_val *stages, const char *stage)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(stages);
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&iter))) {
        if (yyjson_equals_str(item, stage))
            return true;
    }
    return false;
}

int aws_answer_described(struct span body, char id[SECRET_VERSION_MAX_BYTES + 1],
                         bool *ret_is_deleted)
{
    struct json_tree tree;
    int err;
    yyjson_val *root = read_root(&tree, body, &err), *name;
    yyjson_val *deleted = yyjson_obj_get(root, "DeletedDate");
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_obj_get(root, "VersionIdsToStages"));

    id[0] = '\0';
    if (!err && !yyjson_is_str(yyjson_obj_get(root, "Name")))
        err = ERR_PROTO;
    while (!err && (name = yyjson_obj_iter_next(&iter))) {
        if (has_stage(yyjson_obj_iter_get_val(name), "AWSCURRENT") &&
            !copy_id(id, json_tree_text(name)))
            err = ERR_PROTO;
    }
    *ret_is_deleted = deleted && !yyjson_is_null(deleted);
    secret_tree_fini(&tree);
    return err;
}

/* ---- pages ---- */

/* The list's name; NULL, with the error, where there is none. */
static yyjson_val *read_page(struct json_tree *tree, struct span body, const char *name,
                             struct buf *next, int *ret_err)
{
    yyjson_val *root = read_root(tree, body, ret_err), *list = yyjson_obj_get(root, name);

    if (!*ret_err && !yyjson_is_arr(list))
        *ret_err = ERR_PROTO;
    if (!*ret_err)
        *ret_err = buf_append_span(next, json_tree_string(root, "NextToken"));
    return list;
}

int aws_answer_names(struct span body, int (*on_name)(void *owner, struct span name), void *owner,
                     struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *list = read_page(&tree, body, "SecretList", next, &err), *item;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    while (!err && (item = yyjson_arr_iter_next(&iter)))
        err = on_name(owner, json_tree_string(item, "Name"));
    secret_tree_fini(&tree);
    return err;
}

/* Seconds with a fraction; 0 where there is no such number. */
static uint64_t time_of(yyjson_val *value)
{
    double seconds = yyjson_is_num(value) ? yyjson_get_num(value) : 0;

    return seconds > 0 && seconds < LATEST_SECONDS ? (uint64_t)(seconds * (double)US_PER_SEC) : 0;
}

int aws_answer_versions(struct span body, struct secret_versions *versions, struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *list = read_page(&tree, body, "Versions", next, &err), *item;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    while (!err && (item = yyjson_arr_iter_next(&iter))) {
        uint64_t wall_us = time_of(yyjson_obj_get(item, "CreatedDate"));
        bool is_current = has_stage(yyjson_obj_get(item, "VersionStages"), "AWSCURRENT");

        err = secret_versions_add(versions, json_tree_string(item, "VersionId"), wall_us,
                                  2 * wall_us + is_current);
    }
    secret_tree_fini(&tree);
    return err;
}
