#include "http/head.h"

struct span http_head_find(const struct http_head *head, struct span name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].name.len == name.len &&
            span_is_equal_nocase(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return span_of(NULL, 0);
}

/* "http://host/path" and "https://host/path" without scheme and host. */
static struct span without_origin(struct span target)
{
    size_t scheme, slash;

    if (target.len == 0 || target.ptr[0] == '/')
        return target;
    scheme = span_find(target, SPAN("://"));
    if (scheme == SIZE_MAX)
        return target;
    target = span_skip(target, scheme + 3);
    slash = span_find_byte(target, '/');
    return slash == SIZE_MAX ? SPAN("/") : span_skip(target, slash);
}

struct span http_head_path(const struct http_head *head, struct span *ret_query)
{
    struct span path = without_origin(head->target);
    size_t mark = span_find_byte(path, '?');

    *ret_query = mark == SIZE_MAX ? span_of(NULL, 0) : span_skip(path, mark + 1);
    if (mark != SIZE_MAX)
        path.len = mark;
    return path;
}

const char *http_method_name(enum http_method method)
{
    switch (method) {
    case METHOD_GET:
        return "GET";
    case METHOD_HEAD:
        return "HEAD";
    case METHOD_POST:
        return "POST";
    case METHOD_PUT:
        return "PUT";
    case METHOD_PATCH:
        return "PATCH";
    case METHOD_DELETE:
        return "DELETE";
    case METHOD_OPTIONS:
        return "OPTIONS";
    case METHOD_OTHER:
        break;
    }
    return "OTHER";
}

struct reason {
    int status;
    const char *text;
};

static const struct reason reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {498, "Capacity Exceeded"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {529, "Overloaded"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}
