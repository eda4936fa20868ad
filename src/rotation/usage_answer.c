#include "rotation/usage_answer.h"

#include "base/err.h"
#include "json/tree.h"

/* Nobody uses more in a span; so that sums stay far from their end. */
#define MOST UINT64_C(1000000000000000)

static const yyjson_val *list_of(const yyjson_val *root, const char *member)
{
    const yyjson_val *list = json_tree_member(root, member);

    return yyjson_is_arr(json_tree_plain(list)) ? list : NULL;
}

/* One that is missing is 0: embeddings put nothing out. */
static int read_number(const yyjson_val *value, const char *member, uint64_t *ret_number)
{
    const yyjson_val *found = json_tree_member(value, member);
    uint64_t number = 0;

    if (found && (span_to_u64(json_tree_number(found), &number) || number > MOST))
        return ERR_PROTO;
    *ret_number = number;
    return 0;
}

int usage_read_keys(const yyjson_val *root, const struct usage_ops *ops, void *owner)
{
    const yyjson_val *list = list_of(root, "data");
    yyjson_arr_iter at = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *item;

    if (!list)
        return ERR_PROTO;
    while ((item = yyjson_arr_iter_next(&at))) {
        const yyjson_val *account =
            json_tree_member(json_tree_member(item, "owner"), "service_account");
        struct span id = json_tree_string(item, "id");

        if (!id.len)
            return ERR_PROTO;
        ops->on_key(owner, id, json_tree_string(account, "id"));
    }
    return 0;
}

/* One line of a span of time. Without a key it is of none that we could know. */
static int read_result(const yyjson_val *result, uint64_t start_s, const struct usage_ops *ops,
                       void *owner)
{
    struct span id = json_tree_string(result, "api_key_id");
    uint64_t requests, in, out;
    int err = read_number(result, "num_model_requests", &requests);

    if (!err)
        err = read_number(result, "input_tokens", &in);
    if (!err)
        err = read_number(result, "output_tokens", &out);
    if (!err && id.len)
        ops->on_use(owner, id, start_s, requests, in + out);
    return err;
}

static int read_bucket(const yyjson_val *bucket, const struct usage_ops *ops, void *owner)
{
    const yyjson_val *list = list_of(bucket, "results");
    yyjson_arr_iter at = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *result;
    uint64_t start_s;
    int err = list ? read_number(bucket, "start_time", &start_s) : ERR_PROTO;

    if (!err && !start_s)
        err = ERR_PROTO;
    while (!err && (result = yyjson_arr_iter_next(&at)))
        err = read_result(result, start_s, ops, owner);
    return err;
}

int usage_read_uses(const yyjson_val *root, const struct usage_ops *ops, void *owner)
{
    const yyjson_val *list = list_of(root, "data");
    yyjson_arr_iter at = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *bucket;
    int err = list ? 0 : ERR_PROTO;

    while (!err && (bucket = yyjson_arr_iter_next(&at)))
        err = read_bucket(bucket, ops, owner);
    return err;
}

struct span usage_read_next(const yyjson_val *root, const char *member)
{
    if (!yyjson_is_true(json_tree_plain(json_tree_member(root, "has_more"))))
        return span_of(NULL, 0);
    return json_tree_string(root, member);
}
