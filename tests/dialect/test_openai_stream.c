/* Streams: what each event is, and how a stream ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/openai_stream.h"

#define CHUNK(delta)                                                                               \
    "{\"id\":\"chatcmpl-A2\",\"object\":\"chat.completion.chunk\",\"created\":1763600001,"         \
    "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{" delta                                  \
    "},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}"
#define FINISH(index)                                                                              \
    "{\"id\":\"chatcmpl-A2\",\"choices\":[{\"index\":" #index                                      \
    ",\"delta\":{},\"finish_reason\":\"stop\"}]}"
#define USAGE                                                                                      \
    "{\"id\":\"chatcmpl-A2\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,"                       \
    "\"completion_tokens\":1,\"total_tokens\":6}}"

static enum openai_event take_raw(struct openai_stream *stream, const char *raw,
                                  struct dialect_error *error)
{
    struct sse_event event;
    struct sse sse;

    sse_init(&sse);
    assert_true(sse_next(&sse, span_from_text(raw), &event));
    return openai_stream_take(stream, &event, error);
}

static enum openai_event take(struct openai_stream *stream, const char *data)
{
    struct dialect_error error;
    char raw[2048];

    snprintf(raw, sizeof(raw), "data: %s\n\n", data);
    return take_raw(stream, raw, &error);
}

static void test_an_ordinary_stream(void **state)
{
    struct openai_stream stream;
    struct dialect_usage usage;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, CHUNK("\"role\":\"assistant\",\"content\":\"\"")),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"He\"")), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"llo\"")), OPENAI_EVENT_CHUNK);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_CUT);
    assert_int_equal(take(&stream, FINISH(0)), OPENAI_EVENT_CHUNK);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_NEEDS_DONE);
    assert_int_equal(take(&stream, USAGE), OPENAI_EVENT_USAGE);
    assert_int_equal(take(&stream, "[DONE]"), OPENAI_EVENT_DONE);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_ENDED);
    assert_int_equal(stream.chunks, 4);
    assert_int_equal(stream.text_bytes, 5);
    openai_stream_usage(&stream, 99, &usage);
    assert_int_equal(usage.total_tokens, 6);
    assert_false(usage.is_estimated);
}

/* DeepSeek: usage rides on the chunk with the finish reason. That chunk is the client's. */
static void test_usage_on_the_last_chunk(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, CHUNK("\"content\":null,\"reasoning_content\":\"hm\"")),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(
        take(&stream, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":"
                      "\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
                      "\"total_tokens\":9,\"prompt_cache_hit_tokens\":3}}"),
        OPENAI_EVENT_CHUNK);
    assert_true(stream.usage.is_known);
    assert_int_equal(stream.usage.cached_tokens, 3);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_NEEDS_DONE);
}

/* vLLM: on every chunk, cumulative. */
static void test_the_last_usage_counts(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    for (int i = 1; i <= 3; i++) {
        char data[256];

        snprintf(data, sizeof(data),
                 "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}],\"usage\":"
                 "{\"prompt_tokens\":4,\"completion_tokens\":%d,\"total_tokens\":%d}}",
                 i, 4 + i);
        assert_int_equal(take(&stream, data), OPENAI_EVENT_CHUNK);
    }
    assert_int_equal(stream.usage.completion_tokens, 3);
}

/* Azure's first chunk has no choices and no usage: it is no usage chunk. */
static void test_a_chunk_without_choices_passes(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, "{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
                                   "\"object\":\"\",\"prompt_filter_results\":[]}"),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, "{\"choices\":[],\"usage\":null}"), OPENAI_EVENT_CHUNK);
}

static void test_every_choice_must_finish(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 3);
    assert_int_equal(take(&stream, FINISH(0)), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, FINISH(0)), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, FINISH(2)), OPENAI_EVENT_CHUNK);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_CUT);
    assert_int_equal(take(&stream, FINISH(1)), OPENAI_EVENT_CHUNK);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_NEEDS_DONE);
}

static void test_pings(void **state)
{
    struct openai_stream stream;
    struct dialect_error error;

    openai_stream_init(&stream, 1);
    assert_int_equal(take_raw(&stream, ": keep-alive\n\n", &error), OPENAI_EVENT_PING);
    assert_int_equal(take_raw(&stream, "\n", &error), OPENAI_EVENT_PING);
    assert_int_equal(take_raw(&stream, "data:\n\n", &error), OPENAI_EVENT_PING);
    assert_int_equal(take_raw(&stream, "event: ping\n\n", &error), OPENAI_EVENT_PING);
    assert_int_equal(stream.chunks, 0);
}

static void assert_error(const char *raw, const char *message)
{
    struct openai_stream stream;
    struct dialect_error error;

    /* As the first event, and in the middle. */
    for (int chunks = 0; chunks < 3; chunks++) {
        openai_stream_init(&stream, 1);
        for (int i = 0; i < chunks; i++)
            assert_int_equal(take(&stream, CHUNK("\"content\":\"x\"")), OPENAI_EVENT_CHUNK);
        assert_int_equal(take_raw(&stream, raw, &error), OPENAI_EVENT_ERROR);
        assert_true(span_is_equal(dialect_error_message(&error), span_from_text(message)));
        assert_int_equal(openai_stream_ending(&stream), OPENAI_CUT);
    }
}

static void test_errors(void **state)
{
    assert_error("data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n", "m");
    assert_error("data: {\"error\" : {\"message\":\"m\"}}\n\n", "m");
    assert_error("data: {\"error\":\"m\"}\n\n", "m");
    assert_error("data: {\"id\":\"x\",\"error\":{\"code\":502,\"message\":\"m\"},\"choices\":"
                 "[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
                 "m");
    assert_error("data: {\"x_groq\":{\"error\":\"m\"}}\n\n", "m");
    assert_error("event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n", "m");
    assert_error("event: error\ndata: m\n\n", "m");
    assert_error("data: {\"choices\":[{\"index\":0,\"finish_reason\":\"error\"}]}\n\n", "");
}

/* What the model says about errors, usage and ends is text. */
static void test_words_in_the_text_mean_nothing(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"x\"")), OPENAI_EVENT_CHUNK);
    stream.text_bytes = 0;
    assert_int_equal(take(&stream, CHUNK("\"content\":\"\\\"error\\\": {\\\"usage\\\":1}\"")),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"usage\"")), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"[DONE]\"")), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"a\\\\\",\"x\":\"error\"")),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(stream.text_bytes, 24 + 5 + 6 + 3);
    assert_false(stream.has_done || stream.has_error || stream.usage.is_known);
    assert_int_equal(stream.finished.finished[0], 0);
}

static void test_tool_calls_and_reasoning_are_text(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"x\"")), OPENAI_EVENT_CHUNK);
    stream.text_bytes = 0;
    assert_int_equal(take(&stream, CHUNK("\"tool_calls\":[{\"index\":0,\"function\":"
                                         "{\"arguments\":\"12\"}}]")),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, CHUNK("\"reasoning_content\" : \"345\",\"content\":null")),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(stream.text_bytes, 5);
}

/* Spaces are nothing to JSON; Python's json.dumps writes them. */
static void test_spaces_are_seen_through(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"x\"")), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream,
                          "{\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"yz\"}, "
                          "\"finish_reason\" : \"stop\"}]}"),
                     OPENAI_EVENT_CHUNK);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_NEEDS_DONE);
    assert_int_equal(stream.text_bytes, 3);
}

static void test_data_in_several_lines(void **state)
{
    struct openai_stream stream;
    struct dialect_error error;

    openai_stream_init(&stream, 1);
    assert_int_equal(
        take_raw(&stream,
                 "data: {\"choices\":[{\"index\":0,\ndata: \"finish_reason\":\"stop\"}]}\n\n",
                 &error),
        OPENAI_EVENT_CHUNK);
    assert_int_equal(openai_stream_ending(&stream), OPENAI_NEEDS_DONE);
}

static void test_garbage(void **state)
{
    struct openai_stream stream;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, "hello"), OPENAI_EVENT_GARBAGE);
    assert_int_equal(take(&stream, "[1]"), OPENAI_EVENT_GARBAGE);
    assert_int_equal(take(&stream, "{\"choices\":[}"), OPENAI_EVENT_GARBAGE);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"x\"")), OPENAI_EVENT_CHUNK);
    assert_int_equal(take(&stream, "hello"), OPENAI_EVENT_GARBAGE);
}

static void test_an_estimate_where_usage_is_missing(void **state)
{
    struct openai_stream stream;
    struct dialect_usage usage;

    openai_stream_init(&stream, 1);
    assert_int_equal(take(&stream, CHUNK("\"content\":\"12345678\"")), OPENAI_EVENT_CHUNK);
    openai_stream_usage(&stream, 10, &usage);
    assert_true(usage.is_known && usage.is_estimated);
    assert_int_equal(usage.prompt_tokens, 10);
    assert_int_equal(usage.completion_tokens, 2);
    assert_int_equal(usage.total_tokens, 12);
}

/* The quick look and the full read must agree on every chunk, wherever its words fall in a block of
 * sixteen. */
static void test_places_do_not_matter(void **state)
{
    for (int pad = 0; pad < 40; pad++) {
        struct openai_stream stream;
        char data[512];

        openai_stream_init(&stream, 1);
        assert_int_equal(take(&stream, CHUNK("\"content\":\"\"")), OPENAI_EVENT_CHUNK);
        snprintf(data, sizeof(data),
                 "{\"id\":\"%.*s\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%.*s\"},"
                 "\"finish_reason\":\"length\"}]}",
                 pad, "0123456789012345678901234567890123456789", pad,
                 "0123456789012345678901234567890123456789");
        assert_int_equal(take(&stream, data), OPENAI_EVENT_CHUNK);
        assert_int_equal(openai_stream_ending(&stream), OPENAI_NEEDS_DONE);
        assert_int_equal(stream.text_bytes, pad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ordinary_stream),
        cmocka_unit_test(test_usage_on_the_last_chunk),
        cmocka_unit_test(test_the_last_usage_counts),
        cmocka_unit_test(test_a_chunk_without_choices_passes),
        cmocka_unit_test(test_every_choice_must_finish),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_words_in_the_text_mean_nothing),
        cmocka_unit_test(test_tool_calls_and_reasoning_are_text),
        cmocka_unit_test(test_spaces_are_seen_through),
        cmocka_unit_test(test_data_in_several_lines),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_an_estimate_where_usage_is_missing),
        cmocka_unit_test(test_places_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
