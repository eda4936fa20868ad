#include "secrets/vault_answer.h"

#include <stdio.h>

#include "base/datetime.h"
#include "base/err.h"
#include "secrets/secret_store_kind.h"
#include "secrets/secret_versions.h"
#include "secrets/token_answer.h"

enum { TREE_MAX_BYTES = 16 << 20 };

/* The tree, and its member "data" or the like: NULL, with the error, where it has none. */
static yyjson_val *read_part(struct json_tree *tree, struct span body, const char *name,
                             int *ret_err)
{
    int err = json_tree_read(tree, body, TREE_MAX_BYTES);
    yyjson_val *part = err ? NULL : yyjson_obj_get(yyjson_doc_get_root(tree->doc), name);

    *ret_err = err == ERR_NOMEM ? err : yyjson_is_obj(part) ? 0 : ERR_PROTO;
    return *ret_err ? NULL : part;
}

/* ---- tokens ---- */

/* Seconds; 0 where there is no such number. */
static uint64_t lease_of(yyjson_val *value)
{
    uint64_t most = VAULT_MAX_LEASE_US / 1000000;
    uint64_t seconds = yyjson_is_uint(value) ? yyjson_get_uint(value) : 0;

    return (seconds < most ? seconds : most) * 1000000;
}

static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0 && text.len <= TOKEN_MAX_BYTES;
}

int vault_answer_token(struct span body, struct secret_arena *arena, struct vault_token *ret_token)
{
    struct json_tree tree;
    int err;
    yyjson_val *auth = read_part(&tree, body, "auth", &err);

    if (!err) {
        struct span text = json_tree_string(auth, "client_token");
        struct vault_token token = {
            .lease_us = lease_of(yyjson_obj_get(auth, "lease_duration")),
            .is_renewable = yyjson_get_bool(yyjson_obj_get(auth, "renewable")),
        };

        err = is_token(text) ? secret_new(arena, text, &token.token) : ERR_PROTO;
        if (!err)
            *ret_token = token;
    }
    secret_tree_fini(&tree);
    return err;
}

int vault_answer_lookup(struct span body, struct vault_token *ret_token)
{
    struct json_tree tree;
    int err;
    yyjson_val *data = read_part(&tree, body, "data", &err);

    if (!err && !yyjson_is_uint(yyjson_obj_get(data, "ttl")))
        err = ERR_PROTO;
    if (!err)
        *ret_token = (struct vault_token){
            .lease_us = lease_of(yyjson_obj_get(data, "ttl")),
            .is_renewable = yyjson_get_bool(yyjson_obj_get(data, "renewable")),
        };
    secret_tree_fini(&tree);
    return err;
}

int vault_answer_mount(struct span body, unsigned *ret_kv)
{
    struct json_tree tree;
    int err;
    yyjson_val *data = read_part(&tree, body, "data", &err);
    struct span type = json_tree_string(data, "type");
    struct span version = json_tree_string(yyjson_obj_get(data, "options"), "version");

    /* "generic" is what the oldest servers call it. */
    if (!err && !span_is_equal(type, SPAN("kv")) && !span_is_equal(type, SPAN("generic")))
        err = type.ptr ? ERR_UNSUPPORTED : ERR_PROTO;
    if (!err && version.ptr && !span_is_equal(version, SPAN("1")) &&
        !span_is_equal(version, SPAN("2")))
        err = ERR_UNSUPPORTED;
    if (!err)
        *ret_kv = span_is_equal(version, SPAN("2")) ? 2 : 1;
    secret_tree_fini(&tree);
    return err;
}

/* ---- entries ---- */

static int write_entry(yyjson_val *entry, struct buf *out, const char **ret_why)
{
    size_t before = out->len;
    int err;

    *ret_why = "is larger than 128 KiB";
    err = json_tree_write(out, entry);
    if (err)
        return err == ERR_FULL ? ERR_SYNTAX : err;
    return secret_entry_check(span_skip(buf_span(out), before), ret_why);
}

/* 0 where it is not a version's number. */
static uint64_t version_of(yyjson_val *metadata, const char *name)
{
    yyjson_val *version = yyjson_obj_get(metadata, name);
    uint64_t number = yyjson_is_uint(version) ? yyjson_get_uint(version) : 0;

    return number == SECRET_ANY ? 0 : number;
}

static int read_kv1(int status, yyjson_val *data, struct buf *out, struct vault_found *found,
                    const char **ret_why)
{
    size_t before = out->len;
    int err;

    *found = (struct vault_found){0};
    if (status == 404)
        return 0;
    /* Something is there, whatever it is. */
    found->version = 1;
    err = write_entry(data, out, ret_why);
    if (!err)
        found->version = secret_version_of(span_skip(buf_span(out), before));
    return err;
}

static int read_kv2(int status, yyjson_val *data, struct buf *out, struct vault_found *found,
                    const char **ret_why)
{
    yyjson_val *entry = yyjson_obj_get(data, "data"), *metadata = yyjson_obj_get(data, "metadata");

    *found = (struct vault_found){.version = version_of(metadata, "version")};
    /* A 404 has a body where there was a version that is deleted. */
    found->is_deleted = found->version && !yyjson_is_obj(entry);
    if (status == 404)
        return !found->version || found->is_deleted ? 0 : ERR_PROTO;
    if (!found->version)
        return ERR_PROTO;
    return found->is_deleted ? 0 : write_entry(entry, out, ret_why);
}

int vault_answer_entry(unsigned kv, int status, struct span body, struct buf *out,
                       struct vault_found *ret_found, const char **ret_why)
{
    struct json_tree tree;
    int err;
    yyjson_val *data = read_part(&tree, body, "data", &err);

    *ret_why = "";
    if (err == ERR_PROTO && status == 404)
        err = 0;
    if (!err)
        err = (kv == 2 ? read_kv2 : read_kv1)(status, data, out, ret_found, ret_why);
    secret_tree_fini(&tree);
    return err;
}

int vault_answer_written(struct span body, uint64_t *ret_version)
{
    struct json_tree tree;
    int err;
    yyjson_val *data = read_part(&tree, body, "data", &err);

    if (!err && !version_of(data, "version"))
        err = ERR_PROTO;
    if (!err)
        *ret_version = version_of(data, "version");
    secret_tree_fini(&tree);
    return err;
}

int vault_answer_stamp(struct span body, uint64_t *ret_stamp)
{
    char number[24], text[256];
    struct json_tree tree;
    int err;
    yyjson_val *data = read_part(&tree, body, "data", &err), *version;

    if (!err) {
        snprintf(number, sizeof(number), "%llu",
                 (unsigned long long)version_of(data, "current_version"));
        version = yyjson_obj_get(yyjson_obj_get(data, "versions"), number);
        /* Removed and made anew, a path counts from 1 again: but at another time. */
        snprintf(text, sizeof(text), "%s %.*s %.*s %d", number,
                 SPAN_ARG(json_tree_string(version, "created_time")),
                 SPAN_ARG(json_tree_string(version, "deletion_time")),
                 yyjson_get_bool(yyjson_obj_get(version, "destroyed")));
        *ret_stamp = secret_version_of(span_from_text(text));
    }
    secret_tree_fini(&tree);
    return err;
}

/* ---- names ---- */

static int add_name(struct secret_names *names, struct span name)
{
    struct span bare = name;

    if (span_has_suffix(name, SPAN("/")))
        bare.len--;
    if (span_find_byte(bare, '/') != SIZE_MAX || !secret_path_is_good(bare))
        return 0;
    return secret_names_add(names, name);
}

int vault_answer_names(struct span body, struct buf *out)
{
    struct secret_names names = {0};
    struct json_tree tree;
    int err;
    yyjson_val *keys = yyjson_obj_get(read_part(&tree, body, "data", &err), "keys"), *name;
    yyjson_arr_iter iter = yyjson_arr_iter_with(keys);

    if (!err && !yyjson_is_arr(keys))
        err = ERR_PROTO;
    while (!err && (name = yyjson_arr_iter_next(&iter)))
        err = add_name(&names, json_tree_text(name));
    if (!err)
        err = secret_names_write(&names, out);
    secret_names_fini(&names);
    secret_tree_fini(&tree);
    return err;
}

/* ---- versions ---- */

static bool is_gone(yyjson_val *version, uint64_t wall_us)
{
    struct span deleted = json_tree_string(version, "deletion_time");
    uint64_t deleted_us;

    if (yyjson_get_bool(yyjson_obj_get(version, "destroyed")))
        return true;
    /* One that is to be deleted some time is there until then. */
    return deleted.len && (datetime_read_rfc3339(deleted, &deleted_us) || deleted_us <= wall_us);
}

static int add_version(struct secret_versions *versions, struct span name, yyjson_val *version)
{
    uint64_t made_us = 0, number;

    if (span_to_u64(name, &number))
        return ERR_PROTO;
    if (datetime_read_rfc3339(json_tree_string(version, "created_time"), &made_us))
        made_us = 0;
    return secret_versions_add(versions, name, made_us, number);
}

int vault_answer_versions(struct span body, uint64_t wall_us, struct buf *out)
{
    struct secret_versions versions = {0};
    struct json_tree tree;
    int err;
    yyjson_val *all = yyjson_obj_get(read_part(&tree, body, "data", &err), "versions"), *name;
    yyjson_obj_iter iter = yyjson_obj_iter_with(all);

    if (!err && !yyjson_is_obj(all))
        err = ERR_PROTO;
    while (!err && (name = yyjson_obj_iter_next(&iter))) {
        yyjson_val *version = yyjson_obj_iter_get_val(name);

        if (!is_gone(version, wall_us))
            err = add_version(&versions, json_tree_text(name), version);
    }
    if (!err)
        err = secret_versions_write(&versions, out);
    secret_versions_fini(&versions);
    secret_tree_fini(&tree);
    return err;
}

/* ---- refusals ---- */

static const char *words_of(int status)
{
    switch (status) {
    case 400:
        return "bad request";
    case 403:
        return "permission denied";
    case 404:
        return "no such path";
    case 405:
        return "not allowed there";
    case 412:
        return "the server lags behind the others";
    case 429:
        return "too many requests";
    case 472:
    case 473:
        return "the server is a standby";
    case 501:
        return "the server is not initialised";
    case 502:
        return "the server cannot reach another";
    case 503:
        return "the server is sealed, or under maintenance";
    default: /* of many numbers */
        return status >= 500 ? "the server failed" : "refused";
    }
}

/* What is refused by policy comes in a list of one: "1 error occurred:\n\t* permission denied\n\n".
 */
static struct span bare_error(struct span error)
{
    struct span around = SPAN("1 error occurred:\n\t* ");

    return span_has_prefix(error, around) ? span_skip(error, around.len) : error;
}

/* The errors of the body, joined; empty where it has none. */
static void errors_of(struct span body, struct buf *out)
{
    struct json_tree tree;
    yyjson_val *errors = NULL, *error;
    yyjson_arr_iter iter;

    if (!json_tree_read(&tree, body, TREE_MAX_BYTES))
        errors = yyjson_obj_get(yyjson_doc_get_root(tree.doc), "errors");
    iter = yyjson_arr_iter_with(errors);
    while ((error = yyjson_arr_iter_next(&iter)) && out->len < TOKEN_WORDS_BYTES) {
        if (out->len)
            buf_append_span(out, SPAN("; "));
        buf_append_span(out, bare_error(json_tree_text(error)));
    }
    secret_tree_fini(&tree);
}

void vault_answer_words(int status, struct span body, char *words)
{
    struct buf errors;

    buf_init(&errors, 64 << 10);
    errors.is_secret = true;
    errors_of(body, &errors);
    token_words(buf_span(&errors), words);
    if (!words[0])
        token_words(span_from_text(words_of(status)), words);
    buf_fini(&errors);
}

bool vault_answer_is_none(struct span body)
{
    struct json_tree tree;
    yyjson_val *root = NULL;
    bool is_own;

    if (!json_tree_read(&tree, body, TREE_MAX_BYTES))
        root = yyjson_doc_get_root(tree.doc);
    is_own = yyjson_is_arr(yyjson_obj_get(root, "errors")) ||
             yyjson_is_obj(yyjson_obj_get(root, "data"));
    secret_tree_fini(&tree);
    return is_own;
}

static bool errors_hold(struct span body, struct span words)
{
    struct buf errors;
    bool is_found;

    buf_init(&errors, 64 << 10);
    errors_of(body, &errors);
    is_found = span_find(buf_span(&errors), words) != SIZE_MAX;
    buf_fini(&errors);
    return is_found;
}

bool vault_answer_is_mismatch(int status, struct span body)
{
    return status == 400 &&
           errors_hold(body, SPAN("check-and-set parameter did not match the current version"));
}

bool vault_answer_wants_version(int status, struct span body)
{
    return status == 400 && errors_hold(body, SPAN("check-and-set parameter required"));
}
