#include "secrets/google_answer.h"

#include "base/base64.h"
#include "base/datetime.h"
#include "base/err.h"
#include "secrets/cloud_answer.h"

enum { CASTAGNOLI_BITS = 8 };

#define CASTAGNOLI UINT32_C(0x82f63b78) /* its bits the other way round */

uint32_t google_crc32c(struct span bytes)
{
    uint32_t sum = UINT32_MAX;

    for (size_t i = 0; i < bytes.len; i++) {
        sum ^= (unsigned char)bytes.ptr[i];
        for (int bit = 0; bit < CASTAGNOLI_BITS; bit++)
            sum = sum >> 1 ^ (sum & 1 ? CASTAGNOLI : 0);
    }
    return ~sum;
}

/* "projects/p/secrets/s/versions/5" is 5; 0 where it is no such name. */
static uint64_t number_of(struct span name)
{
    uint64_t number;

    return span_to_u64(cloud_answer_tail(name), &number) || number == SECRET_ANY ? 0 : number;
}

/* The sum as a number, or as the string that JSON has for 64 bits; true where there is none. */
static bool is_sum(yyjson_val *sum, struct span bytes)
{
    uint64_t number;

    if (!sum || yyjson_is_null(sum))
        return true;
    if (yyjson_is_uint(sum))
        number = yyjson_get_uint(sum);
    else if (span_to_u64(json_tree_text(sum), &number))
        return false;
    return number == google_crc32c(bytes);
}

int google_answer_value(struct span body, struct buf *out, uint64_t *ret_number)
{
    struct json_tree tree;
    int err;
    yyjson_val *root = cloud_answer_root(&tree, body, &err);
    yyjson_val *payload = yyjson_obj_get(root, "payload");
    struct span data = json_tree_string(payload, "data");
    uint64_t number = number_of(json_tree_string(root, "name"));
    size_t len = 0;

    if (!err && (!data.ptr || !number))
        err = ERR_PROTO;
    if (!err)
        err = buf_reserve(out, data.len);
    if (!err &&
        (!base64_read(data, out->data + out->len, &len) ||
         !is_sum(yyjson_obj_get(payload, "dataCrc32c"), span_of(out->data + out->len, len))))
        err = ERR_PROTO;
    if (!err) {
        out->len += len;
        *ret_number = number;
    }
    secret_tree_fini(&tree);
    return err;
}

int google_answer_version(struct span body, uint64_t *ret_number, uint64_t *ret_stamp)
{
    struct json_tree tree;
    int err;
    yyjson_val *root = cloud_answer_root(&tree, body, &err);
    uint64_t number = number_of(json_tree_string(root, "name"));

    if (!err && !number)
        err = ERR_PROTO;
    if (!err) {
        *ret_number = number;
        /* A secret that was removed and made anew counts from 1 again: but at another time. */
        *ret_stamp = secret_version_of(json_tree_string(root, "createTime")) ^
                     secret_version_of(json_tree_string(root, "state")) ^ number;
    }
    secret_tree_fini(&tree);
    return err;
}

/* ---- pages ---- */

/* An empty list has no member. */
static yyjson_val *read_page(struct json_tree *tree, struct span body, const char *name,
                             struct buf *next, int *ret_err)
{
    yyjson_val *root = cloud_answer_root(tree, body, ret_err);
    yyjson_val *list = yyjson_obj_get(root, name);

    if (!*ret_err && list && !yyjson_is_arr(list))
        *ret_err = ERR_PROTO;
    if (!*ret_err)
        *ret_err = buf_append_span(next, json_tree_string(root, "nextPageToken"));
    return list;
}

static int add_version(yyjson_val *item, struct google_newest *newest,
                       struct secret_versions *versions)
{
    struct span name = json_tree_string(item, "name");
    uint64_t number = number_of(name), made_us = 0;

    if (!number)
        return ERR_PROTO;
    if (number > newest->highest)
        newest->highest = number;
    if (!yyjson_equals_str(yyjson_obj_get(item, "state"), "ENABLED"))
        return 0;
    if (number > newest->enabled)
        newest->enabled = number;
    if (datetime_read_rfc3339(json_tree_string(item, "createTime"), &made_us))
        made_us = 0;
    return versions ? secret_versions_add(versions, cloud_answer_tail(name), made_us, number) : 0;
}

int google_answer_versions(struct span body, struct google_newest *newest,
                           struct secret_versions *versions, struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *list = read_page(&tree, body, "versions", next, &err), *item;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    while (!err && (item = yyjson_arr_iter_next(&iter)))
        err = add_version(item, newest, versions);
    secret_tree_fini(&tree);
    return err;
}

int google_answer_names(struct span body, int (*on_name)(void *owner, struct span name),
                        void *owner, struct buf *next)
{
    struct json_tree tree;
    int err;
    yyjson_val *list = read_page(&tree, body, "secrets", next, &err), *item;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    while (!err && (item = yyjson_arr_iter_next(&iter)))
        err = on_name(owner, cloud_answer_tail(json_tree_string(item, "name")));
    secret_tree_fini(&tree);
    return err;
}
