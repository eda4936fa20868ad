#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has_flag(const char *body, size_t size, const char *name)
{
    size_t name_size = strlen(name);
    const char *at = memmem(body, size, name, name_size);
    if (at == NULL)
        return false;
    const char *end = body + size;
    for (at += name_size; at < end && (*at == ' ' || *at == ':');)
        at++;
    return end - at >= 4 && memcmp(at, "true", 4) == 0;
}

static bool has_path(const char *line, const char *line_end, const char *path)
{
    size_t size = strlen(path);
    const char *end = memmem(line, (size_t)(line_end - line), " HTTP/1.", 8);
    return end != NULL && end - line > (ptrdiff_t)size && memcmp(end - size, path, size) == 0;
}

static enum request_kind kind_of(const char *line, const char *line_end)
{
    if (line[0] == 'P' && has_path(line, line_end, "/chat/completions"))
        return REQUEST_CHAT;
    if (line[0] == 'P' && has_path(line, line_end, "/messages"))
        return REQUEST_MESSAGES;
    if (line[0] == 'G' && has_path(line, line_end, "/models"))
        return REQUEST_MODELS;
    if (line[0] == 'G' && has_path(line, line_end, "/bench/stats"))
        return REQUEST_STATS;
    return REQUEST_OTHER;
}

/* The value of Content-Length among the lines of a head, 0 if there is none. */
static size_t content_length(const char *line, const char *end)
{
    static const char name[] = "content-length:";
    while (line != NULL && line < end) {
        if ((line[0] | 0x20) == 'c' && strncasecmp(line, name, sizeof(name) - 1) == 0)
            return strtoul(line + sizeof(name) - 1, NULL, 10);
        line = memchr(line, '\n', (size_t)(end - line));
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

bool request_read(const char *bytes, size_t size, struct request *ret_request)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    size_t head = (size_t)(end + 4 - bytes);
    const char *line_end = memchr(bytes, '\r', head);
    size_t length = content_length(line_end + 2, end + 2);
    if (length > size - head)
        return false;
    *ret_request = (struct request){.kind = kind_of(bytes, line_end), .size = head + length};
    if (ret_request->kind == REQUEST_CHAT || ret_request->kind == REQUEST_MESSAGES) {
        ret_request->wants_stream = has_flag(end + 4, length, "\"stream\"");
        ret_request->wants_usage = has_flag(end + 4, length, "\"include_usage\"");
    }
    return true;
}
