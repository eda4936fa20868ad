#include "rotation/issuer_answer.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "json/tree.h"
#include "secrets/token_answer.h"

/* ---- documents ---- */

int issuer_doc_read(struct issuer_doc *doc, struct span text)
{
    const yyjson_read_flag flags = YYJSON_READ_NUMBER_AS_RAW;
    yyjson_doc *read;
    yyjson_alc alc;

    *doc = (struct issuer_doc){.root = NULL};
    if (!text.len)
        return ERR_SYNTAX;
    if (text.len > ISSUER_DOC_MAX_BYTES)
        return ERR_FULL;
    doc->block_bytes = yyjson_read_max_memory_usage(text.len, flags);
    doc->block = mem_alloc(doc->block_bytes);
    if (!doc->block)
        return ERR_NOMEM;
    yyjson_alc_pool_init(&alc, doc->block, doc->block_bytes);
    /* Without YYJSON_READ_INSITU the text is only read, whatever the type says. The tree needs no
     * end of its own: all of it stands in the block. */
    read = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, flags, &alc, NULL);
    if (!read)
        return ERR_SYNTAX;
    doc->root = yyjson_doc_get_root(read);
    return 0;
}

void issuer_doc_fini(struct issuer_doc *doc)
{
    if (doc->block)
        secret_wipe(doc->block, doc->block_bytes);
    mem_free(doc->block);
    *doc = (struct issuer_doc){.root = NULL};
}

/* ---- pointers ---- */

bool issuer_pointer_is_sound(struct span pointer)
{
    for (size_t i = 0; i < pointer.len; i++) {
        bool is_escape = pointer.ptr[i] == '~';

        if (is_escape &&
            (i + 1 == pointer.len || (pointer.ptr[i + 1] != '0' && pointer.ptr[i + 1] != '1')))
            return false;
    }
    return !pointer.len || pointer.ptr[0] == '/';
}

const yyjson_val *issuer_point(const yyjson_val *root, struct span pointer)
{
    yyjson_val *plain = (yyjson_val *)(uintptr_t)root; /* it is only read */
    yyjson_val *value = pointer.len ? yyjson_ptr_getn(plain, pointer.ptr, pointer.len) : plain;

    return yyjson_is_null(value) ? NULL : value;
}

/* ---- keys ---- */

/* "the answer holds no key at /api_key" */
static int refuse(struct issuer_result *result, const char *what, struct span pointer)
{
    char words[ISSUER_WHY_BYTES];

    snprintf(words, sizeof(words), "%s at %s%.*s", what, pointer.len ? "" : "its root",
             SPAN_ARG(pointer));
    issuer_result_fail(result, ERR_PROTO, words);
    return ERR_PROTO;
}

static bool is_visible(struct span text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0 && text.len <= max;
}

/* Some count their keys: a whole number is an id too. */
static int read_id(const yyjson_val *root, struct span pointer, struct issuer_result *result)
{
    const yyjson_val *value = issuer_point(root, pointer);
    struct span id = json_tree_text(value);

    if (!id.ptr)
        id = json_tree_number(value);
    /* As a segment of a URL's path, dots would lead elsewhere. */
    if (!is_visible(id, ISSUER_ID_MAX_BYTES) || span_is_equal(id, SPAN(".")) ||
        span_is_equal(id, SPAN("..")))
        return refuse(result,
                      value ? "the answer holds an id that is none" : "the answer holds no id",
                      pointer);
    memcpy(result->id, id.ptr, id.len);
    result->id_len = id.len;
    return 0;
}

static int read_expiry(const yyjson_val *root, struct span pointer, struct issuer_result *result)
{
    const yyjson_val *value = issuer_point(root, pointer);

    if (!value)
        return 0;
    /* A date that nobody reads would be missed when it comes. */
    if (issuer_read_time(value, &result->answer.issued.expires_wall_us))
        return refuse(result, "the answer holds an expiry that is none", pointer);
    return 0;
}

int issuer_read_listed(const yyjson_val *item, const struct issuer_shape *shape,
                       struct issuer_result *result)
{
    int err = shape->id.len ? read_id(item, shape->id, result) : 0;

    if (!err && shape->expires.len)
        err = read_expiry(item, shape->expires, result);
    return err;
}

int issuer_read_key(const yyjson_val *root, const struct issuer_shape *shape,
                    struct secret_arena *secrets, struct issuer_result *result)
{
    const yyjson_val *value = issuer_point(root, shape->key);
    struct span key = json_tree_text(value);
    /* First, so that a key that cannot be used can be revoked. */
    int err = issuer_read_listed(root, shape, result);

    if (err)
        return err;
    if (!is_visible(key, ISSUER_KEY_MAX_BYTES))
        return refuse(result,
                      value ? "the answer holds a key that no header could carry"
                            : "the answer holds no key",
                      shape->key);
    err = secret_new(secrets, key, &result->key);
    if (err)
        issuer_result_fail(result, err, "there is no room for one more secret");
    return err;
}

/* Five digits of years have passed the world's calendars. */
#define LATEST_SECONDS UINT64_C(253402300799)

static int seconds_to_us(uint64_t seconds, uint64_t *ret_wall_us)
{
    if (seconds > LATEST_SECONDS)
        return ERR_SYNTAX;
    *ret_wall_us = seconds * US_PER_SEC;
    return 0;
}

int issuer_read_time(const yyjson_val *value, uint64_t *ret_wall_us)
{
    struct span text = json_tree_text(value);
    uint64_t digits;
    int64_t seconds;

    if (!text.ptr) {
        if (!json_tree_int(value, &seconds) || seconds < 0)
            return ERR_SYNTAX;
        return seconds_to_us((uint64_t)seconds, ret_wall_us);
    }
    if (span_to_u64(text, &digits) == 0)
        return seconds_to_us(digits, ret_wall_us);
    return datetime_read_rfc3339(text, ret_wall_us);
}

/* ---- refusals ---- */

void issuer_add_words(char *words, struct span text)
{
    char clean[TOKEN_WORDS_BYTES];
    size_t at = strlen(words);

    token_words(text, clean);
    if (*clean)
        snprintf(words + at, ISSUER_WHY_BYTES - at, ": %s", clean);
}

static struct span first_text(const yyjson_val *value, const char *const *names)
{
    struct span text = {NULL, 0};

    for (size_t i = 0; names[i] && !text.len; i++)
        text = json_tree_string(value, names[i]);
    return text;
}

/* "HTTP 403: permission_denied: the project is archived" out of {"error": {"code", "message"}},
 * {"error": "..", "error_description"}, {"errors": [..]}, RFC 9457 and what else there is. */
static void tell_refusal(int status, const yyjson_val *root, char *words)
{
    static const char *const codes[] = {"type", "status", "code", NULL};
    static const char *const texts[] = {"message", "error_description", "detail", "title", NULL};
    const yyjson_val *error = json_tree_member(root, "error");
    struct span code = json_tree_text(error);

    if (!error)
        error = issuer_point(root, SPAN("/errors/0"));
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)error))
        error = root;
    if (!code.len)
        code = first_text(error, codes);
    snprintf(words, ISSUER_WHY_BYTES, "HTTP %d", status);
    issuer_add_words(words, code);
    issuer_add_words(words, first_text(error, texts));
}

bool issuer_status_is_done(int status, const yyjson_val *root, enum issuer_call call,
                           struct issuer_result *result)
{
    struct issuer_answer *answer = &result->answer;
    bool is_creation = call == ISSUER_CREATE;

    if ((status >= 200 && status <= 299) ||
        (call == ISSUER_REVOKE && (status == 404 || status == 410)))
        return true;
    tell_refusal(status, root, result->why);
    if (status == 429 || status == 408 || status >= 500) {
        answer->err = ERR_AGAIN;
        answer->may_retry = true;
        /* Behind a gateway that gave up, the work may have been done. */
        answer->may_exist = is_creation && status != 429;
    } else if (status == 409) {
        /* The name is taken: perhaps by our own last try. */
        answer->err = ERR_EXISTS;
        answer->may_exist = is_creation;
    } else {
        answer->err = ERR_DENIED;
    }
    return false;
}

void issuer_result_unanswered(struct issuer_result *result, int err, const char *why)
{
    /* What ended before a request can have left. */
    bool is_unsent = err == ERR_REFUSED || err == ERR_RESOLVE || err == ERR_TLS ||
                     err == ERR_UNREACHABLE || err == ERR_DENIED;

    issuer_result_fail(result, err, why);
    result->answer.may_retry = true;
    result->answer.may_exist = !is_unsent;
}
