/*
 * Streams of Gemini's dialect: whatever order, number or shape its events come in, the reader keeps
 * the promises of dialect/chat_answer.h; and the writer holds no more than it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/gemini_stream_read.h"
#include "dialect/gemini_stream_write.h"
#include "promise.h"

enum { OUT_MAX = 64 << 20, ARENA_MAX = 16 << 20 };

/* --- a reader and what it tells --- */

struct stage {
    struct arena_pool pool;
    struct arena arena;
    struct promise *promise;
    struct gemini_reader *reader;
    struct chat_sink last; /* hears what the promise heard */
    enum chat_finish finish;
    char error[DIALECT_MESSAGE_MAX];
    struct buf args;
    size_t signatures;
};

static void hear(struct chat_sink *sink, const struct chat_event *event)
{
    struct stage *stage = (struct stage *)(void *)((char *)sink - offsetof(struct stage, last));

    if (event->kind == CHAT_EVENT_FINISH)
        stage->finish = event->finish;
    if (event->kind == CHAT_EVENT_ERROR)
        snprintf(stage->error, sizeof(stage->error), "%.*s",
                 SPAN_ARG(dialect_error_message(event->error)));
    if (event->kind == CHAT_EVENT_CALL_ARGS)
        (void)buf_append_span(&stage->args, event->text);
    stage->signatures += event->kind == CHAT_EVENT_SIGNATURE;
}

static struct stage *set_up(size_t arena_max)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    assert_non_null(stage);
    arena_pool_init(&stage->pool, 4);
    arena_init(&stage->arena, &stage->pool, arena_max);
    buf_init(&stage->args, OUT_MAX);
    stage->last.put = hear;
    stage->promise = promise_new(&stage->last);
    stage->reader = calloc(1, sizeof(*stage->reader));
    assert_non_null(stage->promise);
    assert_non_null(stage->reader);
    stage->reader->base.sink = &stage->promise->sink;
    stage->reader->base.arena = &stage->arena;
    stage->reader->base.choices = 1;
    return stage;
}

static void strike(struct stage *stage)
{
    free(stage->reader);
    promise_free(&stage->promise);
    buf_fini(&stage->args);
    arena_fini(&stage->arena);
    arena_pool_fini(&stage->pool);
    free(stage);
}

static int feed(struct stage *stage, struct span data)
{
    struct sse_event event = {.kind = SSE_DATA, .raw = data, .data = data, .data_lines = 1};

    return gemini_generate_ops.read_event(&stage->reader->base, &event);
}

static void feed_all(struct stage *stage, const char *const *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)feed(stage, span_from_text(events[i]));
    gemini_generate_ops.read_end(&stage->reader->base);
}

static void assert_kept(const struct stage *stage)
{
    if (promise_broken(stage->promise))
        fail_msg("%s", promise_broken(stage->promise));
}

#define TEXT_OF(text) "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text "\"}]}}]}"

static const char *const events[] = {
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hm\",\"thought\":true}]}}],"
    "\"usageMetadata\":{\"promptTokenCount\":5},\"responseId\":\"r\",\"modelVersion\":\"m\"}",
    TEXT_OF("a"),
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"VA==\"}]}}]}",
    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"},"
    "\"thoughtSignature\":\"Uw==\"},{\"functionCall\":{\"name\":\"g\",\"args\":{\"a\":1}}}]}},"
    "{\"index\":1,\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}",
    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"h\","
    "\"willContinue\":true}}]}}]}",
    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":"
    "\"$.a[0].b\",\"stringValue\":\"x\",\"willContinue\":true}],\"willContinue\":true}}]}}]}",
    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}",
    "{\"candidates\":[{\"finishReason\":\"STOP\"},{\"index\":1,\"finishReason\":\"SAFETY\"}],"
    "\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":\"9\"}}",
};

enum { EVENTS = sizeof(events) / sizeof(events[0]) };

/* --- the promises --- */

static void any_order_of_events_keeps_the_promises(void **state)
{
    (void)state;
    for (size_t a = 0; a < EVENTS; a++) {
        for (size_t b = 0; b < EVENTS; b++) {
            const char *order[EVENTS];
            struct stage *stage = set_up(ARENA_MAX);

            for (size_t i = 0; i < EVENTS; i++)
                order[i] = events[i == a ? b : i == b ? a : i];
            feed_all(stage, order, EVENTS);
            assert_kept(stage);
            assert_true(stage->promise->has_end || stage->promise->has_error);
            strike(stage);
        }
    }
}

static void lost_and_doubled_events_keep_the_promises(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < EVENTS; lost++) {
        for (size_t doubled = 0; doubled < EVENTS; doubled++) {
            const char *order[EVENTS + 1];
            struct stage *stage = set_up(ARENA_MAX);
            size_t count = 0;

            for (size_t i = 0; i < EVENTS; i++) {
                if (i != lost)
                    order[count++] = events[i];
                if (i == doubled)
                    order[count++] = events[i];
            }
            feed_all(stage, order, count);
            assert_kept(stage);
            strike(stage);
        }
    }
}

static void a_stream_that_is_cut_has_no_end(void **state)
{
    (void)state;
    for (size_t count = 0; count < EVENTS; count++) {
        struct stage *stage = set_up(ARENA_MAX);

        feed_all(stage, events, count);
        assert_kept(stage);
        assert_false(stage->promise->has_end);
        strike(stage);
    }
}

/* Each byte of each event in turn is another one. */
static void broken_events_keep_the_promises(void **state)
{
    static const char replacements[] = "\"{}[]:,09-x";
    char copy[512];

    (void)state;
    for (size_t at = 0; at < EVENTS; at++) {
        size_t len = strlen(events[at]);

        for (size_t i = 0; i < len * (sizeof(replacements) - 1); i++) {
            struct stage *stage = set_up(ARENA_MAX);

            memcpy(copy, events[at], len);
            copy[i % len] = replacements[i / len];
            feed_all(stage, events, at);
            (void)feed(stage, span_of(copy, len));
            feed_all(stage, events + at, EVENTS - at);
            assert_kept(stage);
            strike(stage);
        }
    }
}

/* Without memory it ends with an error, or goes on: the promises hold. */
static void without_memory_the_promises_hold(void **state)
{
    (void)state;
    for (size_t max = 0; max < 40000; max += 512) {
        struct stage *stage = set_up(max);

        feed_all(stage, events, EVENTS);
        assert_kept(stage);
        strike(stage);
    }
}

static void what_is_no_event_is_garbage(void **state)
{
    static const struct {
        const char *data;
        int err;
    } cases[] = {
        {"", ERR_SYNTAX},
        {"5", ERR_SYNTAX},
        {"\"x\"", ERR_SYNTAX},
        {"{", ERR_SYNTAX},
        {"{} {}", ERR_SYNTAX},
        {"\xff", ERR_SYNTAX},
        {"{}", 0},
        {"[]", 0},
        {"[DONE]", 0},
        {"{\"surprise\":[1]}", 0},
        {"[5,null]", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up(ARENA_MAX);

        assert_int_equal(feed(stage, span_from_text(cases[i].data)), cases[i].err);
        assert_kept(stage);
        strike(stage);
    }
}

static void choices_out_of_range_are_passed_over(void **state)
{
    static const char *const odd[] = {
        "{\"candidates\":[{\"index\":128,\"content\":{\"parts\":[{\"text\":\"x\"}]}}]}",
        "{\"candidates\":[{\"index\":-1,\"content\":{\"parts\":[{\"text\":\"x\"}]}}]}",
        "{\"candidates\":[{\"index\":\"a\",\"content\":{\"parts\":[{\"text\":\"x\"}]}}]}",
        "{\"candidates\":[5,null,{\"index\":99999999999999999999}]}",
        ("{\"candidates\":[{\"index\":127,\"content\":{\"parts\":[{\"text\":\"x\"}]},"
         "\"finishReason\":\"STOP\"}]}"),
    };
    struct stage *stage = set_up(ARENA_MAX);

    (void)state;
    feed_all(stage, odd, sizeof(odd) / sizeof(odd[0]));
    assert_kept(stage);
    assert_true(stage->promise->has_end);
    assert_true(stage->promise->choices[127].has_finish);
    strike(stage);
}

static void too_many_calls_end_in_an_error(void **state)
{
    struct stage *stage = set_up(ARENA_MAX);

    (void)state;
    for (int i = 0; i <= GEMINI_CALLS_MAX; i++) {
        assert_false(stage->promise->has_error);
        (void)feed(stage, SPAN("{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":"
                               "{\"name\":\"f\"}}]}}]}"));
    }
    assert_kept(stage);
    assert_true(stage->promise->has_error);
    strike(stage);
}

/* --- arguments in pieces --- */

static void pieces_of_arguments_come_together(void **state)
{
    static const struct {
        const char *pieces, *args; /* NULL: an error */
    } cases[] = {
        {"[{\"jsonPath\":\"$.a\",\"numberValue\":1.50},{\"jsonPath\":\"$.b.c\",\"boolValue\":false}"
         "]",
         "{\"a\":1.50,\"b\":{\"c\":false}}"},
        {"[{\"jsonPath\":\"$.l[1]\",\"stringValue\":\"b\"},"
         "{\"jsonPath\":\"$.l[0]\",\"stringValue\":\"a\"}]",
         "{\"l\":[\"a\",\"b\"]}"},
        {"[{\"jsonPath\":\"$['a b'].c\",\"nullValue\":null}]", "{\"a b\":{\"c\":null}}"},
        {"[{\"jsonPath\":\"$.s\",\"stringValue\":\"x\"},{\"jsonPath\":\"$.s\",\"stringValue\":"
         "\"y\"}]",
         "{\"s\":\"xy\"}"},
        {"[]", "{}"},
        {"[{\"stringValue\":\"x\"}]", NULL},
        {"[{\"jsonPath\":\"a\",\"stringValue\":\"x\"}]", NULL},
        {"[{\"jsonPath\":\"$[\",\"stringValue\":\"x\"}]", NULL},
        {"[{\"jsonPath\":\"$.a[99999999999]\",\"stringValue\":\"x\"}]", NULL},
        {"[{\"jsonPath\":\"$.a\",\"stringValue\":\"x\"},{\"jsonPath\":\"$.a.b\",\"boolValue\":true}"
         "]",
         NULL},
    };
    char data[512];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up(ARENA_MAX);

        snprintf(data, sizeof(data),
                 "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\","
                 "\"willContinue\":true}},{\"functionCall\":{\"partialArgs\":%s}}]}}]}",
                 cases[i].pieces);
        assert_int_equal(feed(stage, span_from_text(data)), 0);
        assert_kept(stage);
        assert_int_equal(stage->promise->has_error, cases[i].args == NULL);
        if (cases[i].args)
            assert_string_equal(buf_text(&stage->args), cases[i].args);
        strike(stage);
    }
}

/* --- errors and ends --- */

static void an_error_is_told_wherever_it_stands(void **state)
{
    static const struct {
        enum sse_kind kind;
        const char *data;
    } cases[] = {
        {SSE_DATA, "{\"error\":{\"code\":503,\"message\":\"Busy\",\"status\":\"UNAVAILABLE\"}}"},
        {SSE_DATA, "[{\"error\":{\"code\":503,\"message\":\"Busy\"}}]"},
        {SSE_PING, "{\n  \"error\": {\"code\": 503, \"message\": \"Busy\"}\n}\n"},
        {SSE_PING, "[{\"error\":{\"message\":\"Busy\"}}]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up(ARENA_MAX);
        struct span text = span_from_text(cases[i].data);
        struct sse_event event = {.kind = cases[i].kind, .raw = text};

        if (event.kind == SSE_DATA)
            event.data = text;
        feed_all(stage, events, 2);
        assert_int_equal(gemini_generate_ops.read_event(&stage->reader->base, &event), 0);
        feed_all(stage, events, EVENTS);
        assert_kept(stage);
        assert_string_equal(stage->error, "Busy");
        strike(stage);
    }
}

static void a_whole_answer_always_ends(void **state)
{
    static const struct {
        const char *answer;
        bool has_error;
        enum chat_finish finish;
    } cases[] = {
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}]}", false,
         CHAT_FINISH_STOP},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]},"
         "\"finishReason\":\"STOP\"}]}",
         false, CHAT_FINISH_CALLS},
        {"{\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"}]}", false, CHAT_FINISH_LENGTH},
        {"{\"candidates\":[{\"finishReason\":\"NEW_REASON\",\"content\":{\"parts\":"
         "[{\"text\":\"x\"}]}}]}",
         false, CHAT_FINISH_STOP},
        {"{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", false, CHAT_FINISH_FILTER},
        {"{\"candidates\":[{\"finishReason\":\"UNEXPECTED_TOOL_CALL\"}]}", true, 0},
        {"{\"candidates\":[{}]}", true, 0},
        {"{\"candidates\":[]}", true, 0},
        {"{\"usageMetadata\":{\"promptTokenCount\":1}}", true, 0},
        {"{}", true, 0},
        {"[" TEXT_OF("a") "," TEXT_OF("b") "]", false, CHAT_FINISH_STOP},
        {"{\"error\":{\"message\":\"Busy\"}}", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up(ARENA_MAX);
        struct json_tree tree;

        assert_int_equal(json_tree_read_raw(&tree, span_from_text(cases[i].answer), 65536), 0);
        assert_int_equal(
            gemini_generate_ops.read_answer(&stage->reader->base, yyjson_doc_get_root(tree.doc)),
            0);
        assert_kept(stage);
        assert_int_equal(stage->promise->has_error, cases[i].has_error);
        assert_int_equal(stage->promise->has_end, !cases[i].has_error);
        assert_int_equal(stage->finish, cases[i].finish);
        json_tree_fini(&tree);
        strike(stage);
    }
}

static void usage_never_goes_below_nothing(void **state)
{
    static const struct {
        const char *told;
        uint64_t prompt, completion, total, cached, reasoning;
    } cases[] = {
        {"{\"promptTokenCount\":10,\"toolUsePromptTokenCount\":2,\"candidatesTokenCount\":3,"
         "\"thoughtsTokenCount\":4,\"totalTokenCount\":19,\"cachedContentTokenCount\":5}",
         12, 7, 19, 5, 4},
        {"{\"promptTokenCount\":-5,\"candidatesTokenCount\":3}", 0, 3, 3, 0, 0},
        {"{\"promptTokenCount\":5,\"cachedContentTokenCount\":50}", 5, 0, 5, 5, 0},
        {"{\"totalTokenCount\":7}", 0, 0, 7, 0, 0},
        {"{\"promptTokenCount\":\"6\",\"totalTokenCount\":1}", 6, 0, 6, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dialect_usage usage;
        struct json_tree tree;

        assert_int_equal(json_tree_read_raw(&tree, span_from_text(cases[i].told), 65536), 0);
        assert_true(gemini_read_usage(yyjson_doc_get_root(tree.doc), &usage));
        assert_int_equal(usage.prompt_tokens, cases[i].prompt);
        assert_int_equal(usage.completion_tokens, cases[i].completion);
        assert_int_equal(usage.total_tokens, cases[i].total);
        assert_int_equal(usage.cached_tokens, cases[i].cached);
        assert_int_equal(usage.reasoning_tokens, cases[i].reasoning);
        json_tree_fini(&tree);
    }
}

/* --- writing --- */

struct writing {
    struct arena_pool pool;
    struct arena arena;
    struct chat chat;
    struct chat_frame frame;
    struct gemini_writer *writer;
    struct buf out;
};

static void begin_writing(struct writing *writing)
{
    memset(writing, 0, sizeof(*writing));
    arena_pool_init(&writing->pool, 4);
    arena_init(&writing->arena, &writing->pool, ARENA_MAX);
    buf_init(&writing->out, OUT_MAX);
    writing->frame.chat = &writing->chat;
    writing->frame.model = SPAN("m");
    writing->frame.request_id = SPAN("r");
    writing->writer = calloc(1, sizeof(*writing->writer));
    assert_non_null(writing->writer);
    writing->writer->base.frame = &writing->frame;
    writing->writer->base.out = &writing->out;
    writing->writer->base.arena = &writing->arena;
}

static void end_writing(struct writing *writing)
{
    gemini_generate_ops.writer_fini(&writing->writer->base);
    free(writing->writer);
    buf_fini(&writing->out);
    arena_fini(&writing->arena);
    arena_pool_fini(&writing->pool);
}

static void put(struct writing *writing, struct chat_event event)
{
    gemini_generate_ops.write_event(&writing->writer->base, &event);
}

static void a_ping_writes_nothing(void **state)
{
    struct writing writing;

    (void)state;
    begin_writing(&writing);
    put(&writing, (struct chat_event){.kind = CHAT_EVENT_PING});
    assert_int_equal(writing.out.len, 0);
    end_writing(&writing);
}

/* What a writer holds is given back, also of a stream that never ended. */
static void open_calls_are_given_back(void **state)
{
    struct writing writing;

    (void)state;
    begin_writing(&writing);
    put(&writing, (struct chat_event){.kind = CHAT_EVENT_START});
    for (unsigned i = 0; i < 50; i++) {
        put(&writing,
            (struct chat_event){
                .kind = CHAT_EVENT_CALL_BEGIN, .call = i, .id = SPAN("i"), .name = SPAN("n")});
        put(&writing,
            (struct chat_event){.kind = CHAT_EVENT_CALL_ARGS, .call = i, .text = SPAN("{\"a\"")});
    }
    assert_int_equal(writing.out.len, 0);
    end_writing(&writing);
}

static void arguments_without_end_become_an_error(void **state)
{
    static char piece[1 << 20];
    struct writing writing;

    (void)state;
    begin_writing(&writing);
    put(&writing, (struct chat_event){.kind = CHAT_EVENT_START});
    put(&writing,
        (struct chat_event){.kind = CHAT_EVENT_CALL_BEGIN, .id = SPAN("i"), .name = SPAN("n")});
    for (int i = 0; i < 20; i++)
        put(&writing, (struct chat_event){.kind = CHAT_EVENT_CALL_ARGS,
                                          .text = span_of(piece, sizeof(piece))});
    put(&writing, (struct chat_event){.kind = CHAT_EVENT_CALL_END});
    put(&writing, (struct chat_event){.kind = CHAT_EVENT_END});
    assert_true(span_has_prefix(buf_span(&writing.out), SPAN("data: {\"error\":{\"code\":")));
    assert_true(span_find(buf_span(&writing.out), SPAN("}}\r\n\r\n{\"error\":{")) != SIZE_MAX);
    assert_true(span_has_suffix(buf_span(&writing.out), SPAN("}}")));
    end_writing(&writing);
}

/* Another provider's signature comes back to whom it belongs. */
static void foreign_signatures_make_the_round(void **state)
{
    static const struct {
        enum chat_part_kind kind;
        enum dialect_id signer;
        const char *signature;
    } cases[] = {
        {CHAT_PART_THINKING, DIALECT_ANTHROPIC, "EqQBCkgIBxABGAIiQL8="},
        {CHAT_PART_THINKING, DIALECT_OPENAI, "gAAAAA-_x"},
        {CHAT_PART_REDACTED, DIALECT_ANTHROPIC, "opaque"},
        {CHAT_PART_THINKING, DIALECT_GEMINI, "VA=="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span signature = span_from_text(cases[i].signature), text;
        bool is_redacted = cases[i].kind == CHAT_PART_REDACTED;
        struct chat_part part = {.kind = cases[i].kind, .signer = cases[i].signer};
        struct chat_part back = {.kind = CHAT_PART_THINKING};
        struct arena_pool pool;
        struct arena arena;
        struct buf out;

        arena_pool_init(&pool, 4);
        arena_init(&arena, &pool, ARENA_MAX);
        buf_init(&out, OUT_MAX);
        *(is_redacted ? &part.text : &part.signature) = signature;
        gemini_write_signature(&out, &part);
        text = span_of(out.data + 1, out.len - 2);
        gemini_read_signature(&arena, text, &back);
        assert_int_equal(back.kind, cases[i].kind);
        assert_int_equal(back.signer, cases[i].signer);
        assert_true(span_is_equal(is_redacted ? back.text : back.signature, signature));
        buf_fini(&out);
        arena_fini(&arena);
        arena_pool_fini(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_events_keeps_the_promises),
        cmocka_unit_test(lost_and_doubled_events_keep_the_promises),
        cmocka_unit_test(a_stream_that_is_cut_has_no_end),
        cmocka_unit_test(broken_events_keep_the_promises),
        cmocka_unit_test(without_memory_the_promises_hold),
        cmocka_unit_test(what_is_no_event_is_garbage),
        cmocka_unit_test(choices_out_of_range_are_passed_over),
        cmocka_unit_test(too_many_calls_end_in_an_error),
        cmocka_unit_test(pieces_of_arguments_come_together),
        cmocka_unit_test(an_error_is_told_wherever_it_stands),
        cmocka_unit_test(a_whole_answer_always_ends),
        cmocka_unit_test(usage_never_goes_below_nothing),
        cmocka_unit_test(a_ping_writes_nothing),
        cmocka_unit_test(open_calls_are_given_back),
        cmocka_unit_test(arguments_without_end_become_an_error),
        cmocka_unit_test(foreign_signatures_make_the_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
