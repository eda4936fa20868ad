/* Events cut out of a stream that comes in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/sse.h"

enum { TRACE_MAX = 2048 };

/* One line per event: kind, name, data lines joined, length. */
static void note(char *trace, const struct sse_event *event)
{
    static const char *const kinds[] = {"ping", "data", "tail"};
    size_t len = strlen(trace);
    struct buf data;

    buf_init(&data, 1 << 20);
    if (event->kind == SSE_DATA)
        assert_int_equal(sse_join(event, &data), 0);
    if (event->data_lines == 1 && event->kind == SSE_DATA)
        assert_true(span_is_equal(buf_span(&data), event->data));
    snprintf(trace + len, TRACE_MAX - len, "%s(%.*s|%.*s)", kinds[event->kind],
             SPAN_ARG(event->name), SPAN_ARG(buf_span(&data)));
    buf_fini(&data);
}

/* Feeds the text in pieces cut at `cut` and then every `step` bytes, the way that a relay does. The
 * unread bytes stand in a block of their own each time. */
static void run(const char *text, size_t len, size_t cut, size_t step, char *trace,
                size_t *ret_rest)
{
    size_t have = 0, start = 0;
    struct sse_event event;
    struct sse sse;

    trace[0] = '\0';
    sse_init(&sse);
    while (have < len) {
        char *copy;
        struct span rest;

        have = have < cut ? cut : have + step < len ? have + step : len;
        copy = malloc(have - start + 1);
        assert_non_null(copy);
        memcpy(copy, text + start, have - start);
        rest = span_of(copy, have - start);
        while (sse_next(&sse, rest, &event)) {
            note(trace, &event);
            rest = span_skip(rest, event.raw.len);
            start += event.raw.len;
        }
        free(copy);
    }
    *ret_rest = len - start;
    /* Cut between the CR and the LF that end the last event, the LF is all that is left. */
    if (sse_finish(&sse, span_of(text + start, len - start), &event) &&
        !(event.raw.len == 1 && start && text[start - 1] == '\r' && text[start] == '\n')) {
        size_t used = strlen(trace);

        snprintf(trace + used, TRACE_MAX - used, " end:");
        note(trace, &event);
    }
}

static void assert_events(const char *text, size_t len, const char *expected)
{
    char trace[TRACE_MAX];
    size_t rest;

    for (size_t cut = 0; cut <= len; cut++) {
        run(text, len, cut, len, trace, &rest);
        assert_string_equal(trace, expected);
    }
    for (size_t step = 1; step <= 3; step++) {
        run(text, len, 0, step, trace, &rest);
        assert_string_equal(trace, expected);
    }
}

#define EVENTS(text, expected) assert_events((text), sizeof(text) - 1, (expected))

static void test_events_end_at_blank_lines(void **state)
{
    EVENTS("data: a\n\ndata: b\n\n", "data(|a)data(|b)");
    EVENTS("data: a\r\n\r\ndata: b\r\n\r\n", "data(|a)data(|b)");
    EVENTS("data:a\n\n", "data(|a)");
    EVENTS("data:  a\n\n", "data(| a)");
    EVENTS("data\n\n", "data(|)");
    EVENTS("data:\n\n", "data(|)");
}

static void test_cr_alone_ends_lines(void **state)
{
    EVENTS("data: a\rdata: b\r\r", "data(|a\nb)");
    EVENTS("data: a\r\rdata: b\r\r", "data(|a)data(|b)");
    EVENTS("data: a\n\r\ndata: b\r\n\n", "data(|a)data(|b)");
}

/* The LF of a CR that ended an event may come late: it is no blank line of its own. */
static void test_a_late_lf_belongs_to_its_cr(void **state)
{
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    assert_true(sse_next(&sse, SPAN("data: a\r\n\r"), &event));
    assert_int_equal(event.raw.len, 10);
    assert_true(sse_next(&sse, SPAN("\ndata: b\r\n\r\n"), &event));
    assert_int_equal(event.kind, SSE_DATA);
    assert_memory_equal(event.data.ptr, "b", 1);
}

static void test_comments_are_pings(void **state)
{
    EVENTS(": keep-alive\n\n", "ping(|)");
    EVENTS(": OPENROUTER PROCESSING\n\ndata: x\n\n", "ping(|)data(|x)");
    EVENTS(": c\ndata: x\n: d\n\n", "data(|x)");
    EVENTS("\n\n\ndata: x\n\n", "ping(|)ping(|)ping(|)data(|x)");
    EVENTS("id: 7\nretry: 10\n\n", "ping(|)");
}

static void test_names_and_several_lines(void **state)
{
    EVENTS("event: error\ndata: {\"a\":1}\n\n", "data(error|{\"a\":1})");
    EVENTS("data: {\ndata:  \"a\":1\ndata: }\n\n", "data(|{\n \"a\":1\n})");
    EVENTS("event: ping\n\n", "ping(ping|)");
    EVENTS("dataset: x\nevents: y\n data: z\n\n", "ping(|)");
}

static void test_a_byte_order_mark_is_no_part_of_the_first_line(void **state)
{
    EVENTS("\xEF\xBB\xBF"
           "data: a\n\ndata: b\n\n",
           "data(|a)data(|b)");
    /* Anywhere else it is one. */
    EVENTS("data: a\n\n\xEF\xBB\xBF"
           "data: b\n\n",
           "data(|a)ping(|)");
    EVENTS("data: a\n\n\xEF\xBB\xBF"
           "data: b\ndata: c\n\n",
           "data(|a)data(|c)");
}

static void test_the_end_of_the_stream_ends_an_event(void **state)
{
    EVENTS("data: a\n\ndata: [DONE]", "data(|a) end:data(|[DONE])");
    EVENTS("data: [DONE]\n", " end:data(|[DONE])");
    EVENTS("data: [DONE]\r", " end:data(|[DONE])");
    EVENTS("data: a\ndata: b", " end:data(|a\nb)");
    EVENTS(": x", " end:ping(|)");
    EVENTS("", "");
}

static void test_bytes_are_looked_at_once(void **state)
{
    char text[4096];
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    memset(text, 'x', sizeof(text));
    memcpy(text, "data: ", 6);
    assert_false(sse_next(&sse, span_of(text, 4000), &event));
    assert_int_equal(sse.scanned, 4000);
    memcpy(text + 4000, "\n\n", 2);
    assert_true(sse_next(&sse, span_of(text, 4002), &event));
    assert_int_equal(event.data.len, 4000 - 6);
    assert_int_equal(event.raw.len, 4002);
}

/* What flowed on unparsed is followed by its tail, wherever it was cut. */
static void test_a_long_event_flows_on(void **state)
{
    static const char *const texts[] = {
        "data: aaaaaaaa\ndata: bb\n\ndata: next\n\n",
        "data: aaaaaaaa\r\ndata: bb\r\n\r\ndata: next\r\n\r\n",
        "data: aaaaaaaa\rdata: bb\r\rdata: next\r\r",
    };

    for (size_t t = 0; t < 3; t++) {
        size_t len = strlen(texts[t]), first = strlen(texts[t]) / 2 + 1;

        for (size_t cut = 1; cut < first; cut++) {
            struct sse_event event;
            struct span rest = span_of(texts[t] + cut, len - cut);
            struct sse sse;

            sse_init(&sse);
            if (sse_next(&sse, span_of(texts[t], cut), &event))
                break; /* the cut is behind the first event */
            sse_flow(&sse);
            assert_true(sse_next(&sse, rest, &event));
            assert_int_equal(event.kind, SSE_TAIL);
            rest = span_skip(rest, event.raw.len);
            assert_true(sse_next(&sse, rest, &event));
            assert_int_equal(event.kind, SSE_DATA);
            assert_memory_equal(event.data.ptr, "next", 4);
        }
    }
}

static void test_a_tail_may_flow_on_too(void **state)
{
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    assert_false(sse_next(&sse, SPAN("data: aaa"), &event));
    sse_flow(&sse);
    assert_false(sse_next(&sse, SPAN("aaa\n"), &event));
    sse_flow(&sse);
    assert_true(sse_next(&sse, SPAN("\ndata: b\n\n"), &event));
    assert_int_equal(event.kind, SSE_TAIL);
    assert_int_equal(event.raw.len, 1);
}

static void test_joining_is_bounded(void **state)
{
    struct sse_event event;
    struct sse sse;
    struct buf buf;

    sse_init(&sse);
    assert_true(sse_next(&sse, SPAN("data: aaa\ndata: bbb\n\n"), &event));
    assert_int_equal(event.data_lines, 2);
    buf_init(&buf, 5);
    assert_int_equal(sse_join(&event, &buf), ERR_FULL);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_end_at_blank_lines),
        cmocka_unit_test(test_cr_alone_ends_lines),
        cmocka_unit_test(test_a_late_lf_belongs_to_its_cr),
        cmocka_unit_test(test_comments_are_pings),
        cmocka_unit_test(test_names_and_several_lines),
        cmocka_unit_test(test_a_byte_order_mark_is_no_part_of_the_first_line),
        cmocka_unit_test(test_the_end_of_the_stream_ends_an_event),
        cmocka_unit_test(test_bytes_are_looked_at_once),
        cmocka_unit_test(test_a_long_event_flows_on),
        cmocka_unit_test(test_a_tail_may_flow_on_too),
        cmocka_unit_test(test_joining_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
