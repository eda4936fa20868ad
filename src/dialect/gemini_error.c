#include "dialect/gemini_error.h"

#include "base/decimal.h"
#include "json/write.h"

enum { STATUS_OTHER = 500 };

static const struct {
    int status;
    struct span word;
} words[] = {
    {400, SPAN_INIT("INVALID_ARGUMENT")},
    {401, SPAN_INIT("UNAUTHENTICATED")},
    {403, SPAN_INIT("PERMISSION_DENIED")},
    {404, SPAN_INIT("NOT_FOUND")},
    {409, SPAN_INIT("ABORTED")},
    {413, SPAN_INIT("INVALID_ARGUMENT")},
    {429, SPAN_INIT("RESOURCE_EXHAUSTED")},
    {499, SPAN_INIT("CANCELLED")},
    {500, SPAN_INIT("INTERNAL")},
    {501, SPAN_INIT("UNIMPLEMENTED")},
    {502, SPAN_INIT("UNAVAILABLE")},
    {503, SPAN_INIT("UNAVAILABLE")},
    {504, SPAN_INIT("DEADLINE_EXCEEDED")},
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

struct span gemini_error_word(int status)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (words[i].status == status)
            return words[i].word;
    }
    return status >= 400 && status < STATUS_OTHER ? SPAN("INVALID_ARGUMENT") : SPAN("INTERNAL");
}

/* The reason of the first ErrorInfo among the details. */
static struct span reason_of(yyjson_val *details)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(details);
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&items))) {
        if (span_has_suffix(json_tree_string(item, "@type"), SPAN("ErrorInfo")))
            return json_tree_string(item, "reason");
    }
    return span_of(NULL, 0);
}

#define KEEP(error, field, text)                                                                   \
    ((error)->field##_len = dialect_keep((error)->field, sizeof((error)->field), (text)))

void gemini_error_read_member(const yyjson_val *value, struct dialect_error *ret_error)
{
    yyjson_val *plain = (yyjson_val *)(uintptr_t)value;
    struct dialect_error error = {.is_json = true};
    struct span message = json_tree_text(value);
    char digits[DECIMAL_BYTES];
    int64_t code;

    KEEP(&error, message, message.ptr ? message : json_tree_string(value, "message"));
    KEEP(&error, type, json_tree_string(value, "status"));
    KEEP(&error, detail, reason_of(yyjson_obj_get(plain, "details")));
    if (json_tree_int(json_tree_member(value, "code"), &code) && code > 0) {
        KEEP(&error, code, decimal_text((uint64_t)code, digits));
        if (code >= 100 && code <= 599)
            error.status = (int)code;
    }
    *ret_error = error;
}

int gemini_write_error(struct buf *buf, int status, struct span message)
{
    struct json_writer writer;

    if (status < 400 || status > 599)
        status = STATUS_OTHER;
    json_writer_init(&writer, buf);
    json_begin_object(&writer);
    json_name(&writer, "error");
    json_begin_object(&writer);
    json_member_int(&writer, "code", status);
    json_member_string(&writer, "message", message);
    json_member_string(&writer, "status", gemini_error_word(status));
    json_end_object(&writer);
    json_end_object(&writer);
    return buf->err;
}
