#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void text_add(struct text *text, const char *data, size_t len)
{
    if (text->len + len + 1 > text->cap) {
        text->cap = (text->len + len + 1) * 2;
        text->data = realloc(text->data, text->cap);
        assert_non_null(text->data);
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_print(struct text *text, const char *format, ...)
{
    char line[4096];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    assert_in_range(len, 0, sizeof(line) - 1);
    text_add(text, line, (size_t)len);
}

void text_clear(struct text *text)
{
    text->len = 0;
    if (text->data)
        text->data[0] = '\0';
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){NULL, 0, 0};
}

struct span message_field(struct span head, const char *name)
{
    struct span rest = head, line;

    while (span_next_token(&rest, '\n', &line)) {
        size_t len = strlen(name);

        if (line.len > len + 2 && line.ptr[len] == ':' &&
            span_is_equal_nocase(span_of(line.ptr, len), span_from_text(name)))
            return span_of(line.ptr + len + 2, line.len - len - 3);
    }
    return span_of(NULL, 0);
}

static bool is_chunked(struct span head)
{
    return span_is_equal(message_field(head, "Transfer-Encoding"), SPAN("chunked"));
}

/* Bytes of the chunks with their end; 0: not whole. Strict. */
static size_t chunks_length(struct span rest)
{
    size_t used = 0;

    for (;;) {
        struct span from = span_skip(rest, used);
        size_t line = span_find(from, SPAN("\r\n")), len;

        if (line == SIZE_MAX)
            return 0;
        assert_in_range(line, 1, 8);
        assert_int_equal(strspn(from.ptr, "0123456789abcdef"), line);
        len = strtoul(from.ptr, NULL, 16);
        if (from.len < line + 2 + len + 2)
            return 0;
        assert_memory_equal(from.ptr + line + 2 + len, "\r\n", 2);
        used += line + 2 + len + 2;
        if (len == 0)
            return used;
    }
}

size_t message_length(struct span rest, struct span *ret_head)
{
    size_t head = span_find(rest, SPAN("\r\n\r\n")), body;
    struct span length;

    *ret_head = span_of(NULL, 0);
    if (head == SIZE_MAX)
        return 0;
    head += 4;
    *ret_head = span_of(rest.ptr, head);
    if (is_chunked(*ret_head)) {
        body = chunks_length(span_skip(rest, head));
        return body ? head + body : 0;
    }
    length = message_field(*ret_head, "Content-Length");
    if (!length.ptr)
        length = message_field(*ret_head, "content-length");
    assert_non_null(length.ptr);
    body = strtoul(length.ptr, NULL, 10);
    return rest.len >= head + body ? head + body : 0;
}
