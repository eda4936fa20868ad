/*
 * The head of one HTTP/1 message as its parser leaves it: spans into the bytes as they arrived.
 * Valid only during the callback that shows it; who needs more copies it. One thread.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "http/field.h"

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

enum { HTTP_MAX_FIELDS = 128, HTTP_MAX_HEAD_BYTES = 65536, HTTP_MAX_TARGET_BYTES = 8192 };

struct http_field {
    struct span name, value;
    enum field_id id;
};

struct http_head {
    enum http_method method; /* requests */
    struct span target;      /* requests: as sent, with the query */
    int status;              /* answers */
    unsigned minor;          /* HTTP/1.minor */
    bool is_chunked;
    bool has_length;
    uint64_t length; /* valid with has_length */
    bool is_keep_alive;
    bool is_expecting_continue; /* requests: RFC 9110 10.1.1 */
    uint8_t first[FIELD_COUNT]; /* by id: the place of its first field + 1; 0: there is none */
    size_t field_count;
    struct http_field fields[HTTP_MAX_FIELDS];
};

/* The value of the first field with that id (not FIELD_OTHER), or an empty span with a NULL ptr. */
static inline struct span http_head_get(const struct http_head *head, enum field_id id)
{
    return head->first[id] ? head->fields[head->first[id] - 1].value : span_of(NULL, 0);
}

/* The same by name, in any case: for names that the table of fields does not have. */
struct span http_head_find(const struct http_head *head, struct span name);

/* The path of a request target, without query; *ret_query is what follows '?', or empty. An
 * absolute target (RFC 9112 3.2.2) is reduced to its path. */
struct span http_head_path(const struct http_head *head, struct span *ret_query);

const char *http_method_name(enum http_method method);

/* "OK" for 200 and so on; "Unknown" for others. */
const char *http_reason(int status);

#endif
