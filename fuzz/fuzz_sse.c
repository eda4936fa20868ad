/*
 * Server-sent events: the splitter agrees with a plain reading of the specification, in any pieces;
 * no byte is lost; and the stream's reader takes whatever comes. The first byte says how the rest
 * is cut into pieces.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "dialect/openai_stream.h"
#include "dialect/sse.h"

enum { LIMIT = 1 << 20 };

/* An event with data, as "name LF data NUL", is noted. */
static void note(struct buf *trace, struct span name, struct span text)
{
    must(buf_append_span(trace, name) == 0 && buf_append_byte(trace, '\n') == 0);
    must(buf_append_span(trace, text) == 0 && buf_append_byte(trace, '\0') == 0);
}

static void note_event(struct buf *trace, const struct sse_event *event)
{
    struct buf text;

    if (event->kind != SSE_DATA)
        return;
    buf_init(&text, LIMIT);
    must(sse_join(event, &text) == 0);
    must(event->data_lines > 1 || span_is_equal(buf_span(&text), event->data));
    note(trace, event->name, buf_span(&text));
    buf_fini(&text);
}

static void split(struct span stream, size_t piece, struct buf *trace)
{
    struct openai_stream reader;
    struct dialect_error error;
    struct sse_event event;
    struct sse sse;
    size_t have = 0, start = 0;

    sse_init(&sse);
    openai_stream_init(&reader, 2);
    while (have < stream.len) {
        struct span rest;
        char *copy;

        have = stream.len - have < piece ? stream.len : have + piece;
        copy = malloc(have - start + 1);
        must(copy != NULL);
        memcpy(copy, stream.ptr + start, have - start);
        rest = span_of(copy, have - start);
        while (sse_next(&sse, rest, &event)) {
            must(event.raw.len > 0 && event.raw.ptr == rest.ptr && event.raw.len <= rest.len);
            note_event(trace, &event);
            (void)openai_stream_take(&reader, &event, &error);
            rest = span_skip(rest, event.raw.len);
            start += event.raw.len;
        }
        free(copy);
    }
    if (sse_finish(&sse, span_skip(stream, start), &event)) {
        must(event.raw.len == stream.len - start);
        note_event(trace, &event);
    } else {
        must(start == stream.len);
    }
    (void)openai_stream_ending(&reader);
}

/* The specification, line by line. */
struct reference {
    struct buf *trace, data, name;
    size_t lines;
};

static void reference_line(struct reference *ref, struct span line)
{
    struct span field = line, value = span_of(line.ptr, 0);
    size_t colon = span_find_byte(line, ':');

    if (line.len == 0) {
        if (ref->lines)
            note(ref->trace, buf_span(&ref->name), buf_span(&ref->data));
        ref->lines = 0;
        buf_clear(&ref->data);
        buf_clear(&ref->name);
        return;
    }
    if (colon != SIZE_MAX) {
        field = span_of(line.ptr, colon);
        value = span_skip(line, colon + 1);
        if (value.len && value.ptr[0] == ' ')
            value = span_skip(value, 1);
    }
    if (span_is_equal(field, SPAN("data"))) {
        if (ref->lines++)
            must(buf_append_byte(&ref->data, '\n') == 0);
        must(buf_append_span(&ref->data, value) == 0);
    } else if (span_is_equal(field, SPAN("event"))) {
        buf_clear(&ref->name);
        must(buf_append_span(&ref->name, value) == 0);
    }
}

static void read_reference(struct span stream, struct buf *trace)
{
    struct reference ref = {.trace = trace};
    size_t start = 0;

    buf_init(&ref.data, LIMIT);
    buf_init(&ref.name, LIMIT);
    if (span_has_prefix(stream, SPAN("\xEF\xBB\xBF")))
        start = 3;
    for (size_t at = start; at < stream.len; at++) {
        if (stream.ptr[at] != '\n' && stream.ptr[at] != '\r')
            continue;
        reference_line(&ref, span_of(stream.ptr + start, at - start));
        if (stream.ptr[at] == '\r' && at + 1 < stream.len && stream.ptr[at + 1] == '\n')
            at++;
        start = at + 1;
    }
    /* Where the stream breaks off, SDKs read what is there. */
    if (start < stream.len)
        reference_line(&ref, span_skip(stream, start));
    reference_line(&ref, span_of(NULL, 0));
    buf_fini(&ref.data);
    buf_fini(&ref.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf expected, trace;
    struct span stream;

    if (size < 1)
        return 0;
    stream = span_of((const char *)data + 1, size - 1);
    buf_init(&expected, LIMIT);
    buf_init(&trace, LIMIT);
    read_reference(stream, &expected);
    split(stream, stream.len ? stream.len : 1, &trace);
    must(span_is_equal(buf_span(&trace), buf_span(&expected)));
    buf_clear(&trace);
    split(stream, data[0] % 16 + 1u, &trace);
    must(span_is_equal(buf_span(&trace), buf_span(&expected)));
    buf_fini(&expected);
    buf_fini(&trace);
    return 0;
}
