#include "dialect/error_read.h"

#include <stdio.h>

#include "base/clock.h"
#include "dialect/duration.h"
#include "json/tree.h"

enum { TREE_MAX = 4 * 1024 * 1024 };

#define KEEP(error, field, text)                                                                   \
    ((error)->field##_len = dialect_keep((error)->field, sizeof((error)->field), (text)))

static void take_status(struct dialect_error *error, int64_t number)
{
    if (number >= 100 && number <= 599)
        error->status = (int)number;
}

/* A word, or a number as its digits. */
static struct span word_of(yyjson_val *value, char digits[static 24])
{
    if (yyjson_is_int(value))
        return span_of(digits,
                       (size_t)snprintf(digits, 24, "%lld", (long long)yyjson_get_sint(value)));
    return json_tree_text(value);
}

/* A code may be a word, a number, or a number as a word; from 100 to 599 it is an HTTP status. */
static void take_code(struct dialect_error *error, yyjson_val *code)
{
    char digits[24];
    struct span word = word_of(code, digits);
    uint64_t number;

    KEEP(error, code, word);
    if (span_to_u64(word, &number) == 0 && number <= 599)
        take_status(error, (int64_t)number);
}

/* `status` is a number (Azure) or a word (Google). */
static void take_status_member(struct dialect_error *error, yyjson_val *status)
{
    if (yyjson_is_int(status))
        take_status(error, yyjson_get_sint(status));
    else if (yyjson_is_str(status) && !error->type_len)
        KEEP(error, type, json_tree_text(status));
}

/* FastAPI's `detail`: a text, an object, or a list of complaints of which the first says enough. */
static void take_detail(struct dialect_error *error, yyjson_val *detail)
{
    if (yyjson_is_arr(detail))
        detail = yyjson_arr_get_first(detail);
    if (yyjson_is_str(detail)) {
        KEEP(error, message, json_tree_text(detail));
        return;
    }
    if (!yyjson_is_obj(detail))
        return;
    KEEP(error, message, json_tree_string(detail, "msg"));
    if (!error->message_len)
        KEEP(error, message, json_tree_string(detail, "message"));
    KEEP(error, type, json_tree_string(detail, "type"));
    KEEP(error, param, json_tree_text(yyjson_arr_get_last(yyjson_obj_get(detail, "loc"))));
}

/* --- Google's typed details --- */

static bool holds(struct span text, struct span word)
{
    return span_find(text, word) != SIZE_MAX;
}

/* How much the quota lets through, where it is one of a minute. */
static void take_quota_value(struct dialect_error *error, struct span id, yyjson_val *violation)
{
    char digits[24];
    uint64_t value;

    error->has_day_quota |= holds(id, SPAN("PerDay"));
    if (!holds(id, SPAN("PerMinute")) ||
        span_to_u64(word_of(yyjson_obj_get(violation, "quotaValue"), digits), &value))
        return;
    if (holds(id, SPAN("InputToken")))
        error->minute_input = value;
    else if (holds(id, SPAN("Token")))
        error->minute_tokens = value;
    else if (holds(id, SPAN("Request")))
        error->minute_requests = value;
}

/* The first that has a name; but a limit of a day outlives those of a minute beside it. */
static void take_quota(struct dialect_error *error, yyjson_val *violations)
{
    yyjson_val *violation;
    size_t at, count;
    bool has_name = false;

    yyjson_arr_foreach(violations, at, count, violation)
    {
        struct span id = json_tree_string(violation, "quotaId");

        if (!id.len)
            id = json_tree_string(violation, "quotaMetric");
        take_quota_value(error, id, violation);
        if (!id.len || (has_name && span_find(id, SPAN("PerDay")) == SIZE_MAX))
            continue;
        KEEP(error, detail, id);
        has_name = true;
    }
}

/* A Duration of protobuf: "34.4s". */
static void take_retry(struct dialect_error *error, struct span delay)
{
    uint64_t us;

    if (duration_read(delay, &us) != 0)
        return;
    us = (us + US_PER_MS - 1) / US_PER_MS;
    error->retry_after_ms = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void take_google_detail(struct dialect_error *error, yyjson_val *item)
{
    struct span kind = json_tree_string(item, "@type");

    /* Some proxies drop the type; the members of these two are like no other's. */
    if (!error->detail_len)
        KEEP(error, detail, json_tree_string(item, "reason"));
    if (yyjson_obj_get(item, "retryDelay"))
        take_retry(error, json_tree_string(item, "retryDelay"));
    if (span_has_suffix(kind, SPAN(".QuotaFailure")))
        take_quota(error, yyjson_obj_get(item, "violations"));
    if (span_has_suffix(kind, SPAN(".BadRequest")) && !error->param_len)
        KEEP(error, param,
             json_tree_string(yyjson_arr_get_first(yyjson_obj_get(item, "fieldViolations")),
                              "field"));
}

/* Google's is a list, Anthropic's an object with an error_code. */
static void take_details(struct dialect_error *error, yyjson_val *details)
{
    yyjson_val *item;
    size_t at, count;

    if (yyjson_is_obj(details))
        KEEP(error, detail, json_tree_string(details, "error_code"));
    yyjson_arr_foreach(details, at, count, item) take_google_detail(error, item);
}

/* --- an error's own object --- */

/* The first of the words by which somebody else calls the same more reliably. */
static void take_stabler_word(struct dialect_error *error, yyjson_val *object)
{
    yyjson_val *metadata = yyjson_obj_get(object, "metadata");
    yyjson_val *inner = yyjson_obj_get(object, "innererror");
    char digits[24];

    KEEP(error, detail, json_tree_string(metadata, "error_type"));
    if (!error->detail_len)
        KEEP(error, detail, json_tree_string(inner, "code"));
    if (!error->detail_len)
        KEEP(error, detail, word_of(yyjson_obj_get(metadata, "provider_code"), digits));
    take_details(error, yyjson_obj_get(object, "details"));
}

/* AWS says __type, with a namespace before a '#'. */
static struct span type_of(yyjson_val *object)
{
    struct span type = json_tree_string(object, "type");
    size_t hash;

    if (type.ptr)
        return type;
    type = json_tree_string(object, "__type");
    hash = span_find_byte(type, '#');
    return hash == SIZE_MAX ? type : span_skip(type, hash + 1);
}

/* A body as it is read. */
struct reading {
    struct dialect_error *error;
    struct span
        quoted;      /* an error whose JSON stands as text in `message`; borrowed from the tree */
    struct span raw; /* what a provider behind a router said, as text; likewise */
};

static void take_message(struct reading *reading, yyjson_val *object)
{
    yyjson_val *message = yyjson_obj_get(object, "message");
    struct span text = json_tree_text(message);

    if (!message)
        text = json_tree_string(object, "Message");
    KEEP(reading->error, message, text);
    if (text.len && text.ptr[0] == '{')
        reading->quoted = text;
    if (yyjson_is_obj(message)) /* Mistral puts FastAPI's complaints there */
        take_detail(reading->error, yyjson_obj_get(message, "detail"));
    /* OpenRouter says no more itself; what it adds is said of its own key, not of ours, so that
     * nothing but the text is taken. */
    if (span_is_equal(text, SPAN("Provider returned error")))
        reading->raw = json_tree_string(yyjson_obj_get(object, "metadata"), "raw");
}

/* The members by which an error is told, wherever its object stands. */
static void take_object(struct reading *reading, yyjson_val *object)
{
    struct dialect_error *error = reading->error;

    KEEP(error, type, type_of(object));
    KEEP(error, param, json_tree_string(object, "param"));
    take_message(reading, object);
    take_code(error, yyjson_obj_get(object, "code"));
    take_stabler_word(error, object);
    take_status_member(error, yyjson_obj_get(object, "status"));
    take_status_member(error, yyjson_obj_get(object, "raw_status_code"));
    take_status_member(error, yyjson_obj_get(object, "statusCode"));
}

/* Where no `error` wraps it: the members stand in the root, beside a type that may name the event
 * rather than the error. */
static void take_flat(struct reading *reading, yyjson_val *root)
{
    struct dialect_error *error = reading->error;

    take_object(reading, root);
    if (span_is_equal(dialect_error_type(error), SPAN("error")))
        error->type_len = 0;
    if (!error->message_len)
        take_detail(error, yyjson_obj_get(root, "detail"));
}

static void take_body(struct reading *reading, yyjson_val *root)
{
    yyjson_val *inner;

    if (yyjson_is_arr(root))
        root = yyjson_arr_get_first(root);
    inner = yyjson_obj_get(root, "error");
    if (!inner) /* response.failed of the Responses API */
        inner = yyjson_obj_get(yyjson_obj_get(root, "response"), "error");
    if (!inner && !yyjson_obj_get(root, "message")) /* Cloudflare */
        inner = yyjson_arr_get_first(yyjson_obj_get(root, "errors"));
    if (yyjson_is_obj(inner)) {
        take_object(reading, inner);
        return;
    }
    take_flat(reading, root);
    if (yyjson_is_str(inner))
        KEEP(reading->error, message, json_tree_text(inner));
}

/* --- errors inside errors --- */

static void read_plainly(struct span body, struct dialect_error *error)
{
    struct reading reading = {.error = error};
    struct json_tree tree;

    *error = dialect_no_error;
    if (json_tree_read(&tree, body, TREE_MAX) == 0) {
        error->is_json = true;
        take_body(&reading, yyjson_doc_get_root(tree.doc));
    }
    json_tree_fini(&tree);
}

/* Google's JavaScript SDK, and whoever passes on what it throws. */
static void take_quoted(struct dialect_error *error, struct span quoted)
{
    struct dialect_error inner;

    read_plainly(quoted, &inner);
    /* A message may begin with a brace for other reasons. */
    if (!inner.message_len || span_find(quoted, SPAN("\"error\"")) == SIZE_MAX)
        return;
    if (!inner.status)
        inner.status = error->status;
    *error = inner;
}

static void take_raw(struct dialect_error *error, struct span raw)
{
    struct dialect_error inner;
    struct span text;

    read_plainly(raw, &inner);
    text = inner.message_len ? dialect_error_message(&inner) : raw;
    error->message[error->message_len++] = ':';
    error->message[error->message_len++] = ' ';
    error->message_len =
        (uint16_t)(error->message_len + dialect_keep(error->message + error->message_len,
                                                     sizeof(error->message) - error->message_len,
                                                     text));
}

static void take_nested(const struct reading *reading)
{
    if (reading->quoted.len)
        take_quoted(reading->error, reading->quoted);
    else if (reading->raw.len)
        take_raw(reading->error, reading->raw);
}

void error_read(struct span body, struct dialect_error *ret_error)
{
    struct reading reading = {.error = ret_error};
    struct json_tree tree;

    *ret_error = (struct dialect_error){.is_empty = body.len == 0};
    if (body.len == 0 || body.len > ERROR_BODY_MAX)
        return;
    if (json_tree_read(&tree, body, TREE_MAX) == 0) {
        ret_error->is_json = true;
        take_body(&reading, yyjson_doc_get_root(tree.doc));
        take_nested(&reading);
    }
    json_tree_fini(&tree);
}

void error_read_member(struct span value, struct dialect_error *ret_error)
{
    struct reading reading = {.error = ret_error};
    struct json_tree tree;

    /* It was scanned already: what does not read now was cut by its capture. */
    *ret_error = (struct dialect_error){.is_json = true};
    if (json_tree_read(&tree, value, TREE_MAX) == 0) {
        yyjson_val *root = yyjson_doc_get_root(tree.doc);

        if (yyjson_is_str(root))
            KEEP(ret_error, message, json_tree_text(root));
        else
            take_object(&reading, root);
        take_nested(&reading);
    }
    json_tree_fini(&tree);
}
