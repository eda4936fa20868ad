/*
 * Answers of OpenAI's Responses API as providers give them: what is told of each, and that the
 * promises of dialect/chat_answer.h are kept whatever comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/chat_answer.h"
#include "json/tree.h"
#include "promise.h"
#include "trace.h"

enum { ARENA_MAX = 8 << 20 };

struct play {
    struct arena_pool pool;
    struct arena arena;
    struct chat_reader *reader;
    struct promise *promise;
    struct trace trace;
};

static void begin(struct play *play)
{
    const struct form_ops *ops = form_ops(FORM_RESPONSES);

    arena_pool_init(&play->pool, 4);
    arena_init(&play->arena, &play->pool, ARENA_MAX);
    trace_init(&play->trace);
    play->promise = promise_new(&play->trace.sink);
    assert_non_null(play->promise);
    play->reader = arena_zalloc(&play->arena, ops->reader_size);
    assert_non_null(play->reader);
    play->reader->sink = &play->promise->sink;
    play->reader->arena = &play->arena;
    play->reader->seed = 0xabc;
    play->reader->choices = 1;
}

static void finish(struct play *play)
{
    promise_free(&play->promise);
    trace_fini(&play->trace);
    arena_fini(&play->arena);
    arena_pool_fini(&play->pool);
}

static int read_line(struct play *play, struct span line)
{
    struct sse_event event = {.kind = SSE_DATA, .data_lines = 1, .raw = line, .data = line};

    return form_ops(FORM_RESPONSES)->read_event(play->reader, &event);
}

static void check(const char *title, struct play *play, const char *expected)
{
    const char *is = buf_text(&play->trace.text);

    if (promise_broken(play->promise))
        fail_msg("%s: %s\n%s", title, promise_broken(play->promise), is);
    if (strcmp(is, expected) != 0)
        fail_msg("%s\nis:\n%s\nwanted:\n%s", title, is, expected);
}

struct row {
    const char *title;
    const char *text; /* of a stream: the data of one event a line */
    const char *expected;
};

#define RESPONSE(members)                                                                          \
    "\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":7,\"model\":\"m\","    \
    "\"error\":null,\"incomplete_details\":null," members "}"
#define CREATED                                                                                    \
    "{\"type\":\"response.created\"," RESPONSE("\"status\":\"in_progress\",\"output\":[]") "}\n"
#define USAGE                                                                                      \
    "\"usage\":{\"input_tokens\":5,\"input_tokens_details\":{\"cache_write_tokens\":1,"            \
    "\"cached_tokens\":3},\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":1}," \
    "\"total_tokens\":7}"
#define COMPLETED                                                                                  \
    "{\"type\":\"response.completed\"," RESPONSE("\"status\":\"completed\"," USAGE) "}\n"
#define ADDED(index, item)                                                                         \
    "{\"type\":\"response.output_item.added\",\"output_index\":" index ",\"item\":{" item "}}\n"
#define DONE(index, item)                                                                          \
    "{\"type\":\"response.output_item.done\",\"output_index\":" index ",\"item\":{" item "}}\n"
#define DELTA(kind, index, text)                                                                   \
    "{\"type\":\"response." kind ".delta\",\"output_index\":" index ",\"delta\":\"" text "\"}\n"
#define START "START id=resp_1 model=m created=7\n"
#define TOLD  "USAGE 5+2=7 cached=3 written=1 reasoning=1\n"
#define CALL(id, arguments)                                                                        \
    "\"type\":\"function_call\",\"id\":\"fc_" id "\",\"call_id\":\"call_" id                       \
    "\",\"name\":\"f\",\"arguments\":\"" arguments "\""

static const struct row streams[] = {
    {"a text",
     CREATED ADDED("0", "\"type\":\"message\",\"content\":[]") DELTA("output_text", "0", "He")
         DELTA("output_text", "0", "llo")
             DONE("0", "\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":"
                       "\"Hello\"}]") COMPLETED,
     START "TEXT 0 \"He\"\nTEXT 0 \"llo\"\n" TOLD "FINISH 0 stop\nEND\n"},
    {"calls in turns",
     CREATED ADDED("0", CALL("a", "")) ADDED("1", CALL("b", ""))
         DELTA("function_call_arguments", "0", "{") DELTA("function_call_arguments", "1", "[")
             DELTA("function_call_arguments", "0", "}") DONE("0", CALL("a", "{}"))
                 DELTA("function_call_arguments", "1", "]") DONE("1", CALL("b", "[]")) COMPLETED,
     START "CALL_BEGIN 0/0 id=call_a name=f\nCALL_BEGIN 0/1 id=call_b name=f\n"
           "CALL_ARGS 0/0 \"{\"\nCALL_ARGS 0/1 \"[\"\nCALL_ARGS 0/0 \"}\"\nCALL_END 0/0\n"
           "CALL_ARGS 0/1 \"]\"\nCALL_END 0/1\n" TOLD "FINISH 0 calls\nEND\n"},
    {"a custom tool's call, whole at its end",
     CREATED ADDED("0", "\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"sql\","
                        "\"input\":\"\"")
         DONE("0", "\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"sql\",\"input\":"
                   "\"SELECT 1\"") COMPLETED,
     START "CALL_BEGIN 0/0 custom id=c name=sql\nCALL_ARGS 0/0 \"SELECT 1\"\nCALL_END 0/0\n" TOLD
           "FINISH 0 calls\nEND\n"},
    {"arguments told by their .done event alone",
     CREATED ADDED("0", CALL("a", "")) "{\"type\":\"response.function_call_arguments.done\","
                                       "\"output_index\":0,\"arguments\":\"{}\"}\n" DONE(
                                           "0", CALL("a", "{}")) COMPLETED,
     START "CALL_BEGIN 0/0 id=call_a name=f\nCALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\n" TOLD
           "FINISH 0 calls\nEND\n"},
    {"a thought of two summaries, sealed",
     CREATED ADDED(
         "0", "\"type\":\"reasoning\",\"summary\":[]") "{\"type\":\"response.reasoning_"
                                                       "summary_part.added\",\"output_"
                                                       "index\":0}\n" DELTA(
                                                           "reasoning_summary_text", "0",
                                                           "one") "{\"type\":\"response."
                                                                  "reasoning_summary_part."
                                                                  "added\",\"output_index\":"
                                                                  "0}\n" DELTA("reasoning_"
                                                                               "summary_text",
                                                                               "0", "two")
                                                                      DONE("0", "\"type\":"
                                                                                "\"reasoning\","
                                                                                "\"encrypted_"
                                                                                "content\":"
                                                                                "\"gAAA\"")
                                                                          COMPLETED,
     START "THINKING 0 \"one\"\nTHINKING 0 \"\n\n\"\nTHINKING 0 \"two\"\n"
           "SIGNATURE 0 openai \"gAAA\"\n" TOLD "FINISH 0 stop\nEND\n"},
    {"a refusal", CREATED DELTA("refusal", "0", "No.") COMPLETED,
     START "REFUSAL 0 \"No.\"\n" TOLD "FINISH 0 stop\nEND\n"},
    {"items that come whole",
     CREATED DONE("0", "\"type\":\"reasoning\",\"summary\":[{\"text\":\"Hm\"}]")
         DONE("1", "\"type\":\"message\",\"content\":[{\"text\":\"Hi\"},{\"refusal\":\"No\"}]")
             DONE("1", "\"type\":\"message\",\"content\":[{\"text\":\"Hi\"}]") COMPLETED,
     START "THINKING 0 \"Hm\"\nTEXT 0 \"Hi\"\nREFUSAL 0 \"No\"\n" TOLD "FINISH 0 stop\nEND\n"},
    {"a response that comes whole",
     "{\"type\":\"response.completed\"," RESPONSE(
         "\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"text\":"
         "\"Hi\"}]},"
         "{" CALL("a", "{}") "}]," USAGE) "}\n",
     START
     "TEXT 0 \"Hi\"\nCALL_BEGIN 0/0 id=call_a name=f\nCALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\n" TOLD
     "FINISH 0 calls\nEND\n"},
    {"cut by its bound",
     CREATED DELTA("output_text", "0", "He") "{\"type\":\"response.incomplete\"," RESPONSE(
         "\"status\":\"incomplete\","
         "\"incomplete_details\":{\"reason\":"
         "\"max_output_tokens\"}") "}\n",
     START "TEXT 0 \"He\"\nFINISH 0 length\nEND\n"},
    {"cut by a filter",
     CREATED "{\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\","
             "\"incomplete_details\":{\"reason\":\"content_filter\"}}}\n",
     START "FINISH 0 filter\nEND\n"},
    {"an error, nested, and what comes behind it",
     CREATED "{\"type\":\"error\",\"sequence_number\":2,\"error\":{\"type\":\"insufficient_quota\","
             "\"code\":\"insufficient_quota\",\"message\":\"No money.\",\"param\":null}}\n"
             "{\"type\":\"response.failed\"," RESPONSE("\"status\":\"failed\"") "}\n",
     START "ERROR type=insufficient_quota code=insufficient_quota \"No money.\"\n"},
    {"an error, flat, before all else",
     "{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"Oh.\",\"param\":null,"
     "\"sequence_number\":0}\n",
     "ERROR code=server_error \"Oh.\"\n"},
    {"a failure without an error event",
     CREATED "{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{"
             "\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down.\"},\"usage\":null}}\n",
     START "ERROR code=rate_limit_exceeded \"Slow down.\"\n"},
    {"a failure that says nothing",
     CREATED "{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\"}}\n",
     START "ERROR \"The provider reported an error.\"\n"},
    {"the shape of a chat's error", "{\"error\":{\"message\":\"Oh.\",\"type\":\"server_error\"}}\n",
     "ERROR type=server_error \"Oh.\"\n"},
    {"a call that never ends", CREATED ADDED("3", CALL("a", "{}")) COMPLETED,
     START "CALL_BEGIN 0/0 id=call_a name=f\nCALL_ARGS 0/0 \"{}\"\n" TOLD
           "CALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"usage beyond reason",
     CREATED "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":-4,"
             "\"output_tokens\":1e30,\"total_tokens\":\"x\"}}}\n",
     START "USAGE 0+9223372036854775807=9223372036854775807\nFINISH 0 stop\nEND\n"},
    {"what nobody knows is passed over, and what comes behind the end",
     "{\"type\":\"keepalive\"}\n" CREATED "{\"type\":\"response.audio.delta\",\"delta\":\"x\"}\n"
     "{\"type\":7}\n[DONE]\n" DELTA("output_text", "0", "Hi")
         COMPLETED COMPLETED DELTA("output_text", "0", "more"),
     START "TEXT 0 \"Hi\"\n" TOLD "FINISH 0 stop\nEND\n"},
    {"an answer without ids",
     DELTA("output_text", "0", "Hi") ADDED("1", "\"type\":\"function_call\",\"name\":\"f\"")
         ADDED("2", "\"type\":\"function_call\"") "{\"type\":\"response.completed\"}\n",
     "START id=resp_0000000000000abc\nTEXT 0 \"Hi\"\n"
     "CALL_BEGIN 0/0 id=call_0000000000000abc0000 name=f\nCALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"a stream that breaks off", CREATED DELTA("output_text", "0", "Hi"), START "TEXT 0 \"Hi\"\n"},
};

static void every_stream_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        struct span rest = span_from_text(streams[i].text), line;
        struct play play;

        begin(&play);
        while (span_next_token(&rest, '\n', &line)) {
            if (line.len)
                assert_int_equal(read_line(&play, line), 0);
        }
        form_ops(FORM_RESPONSES)->read_end(play.reader);
        check(streams[i].title, &play, streams[i].expected);
        finish(&play);
    }
}

static void what_is_no_event_is_said_to_be_none(void **state)
{
    static const char *const lines[] = {"", "x", "[]", "\"a\"", "{\"type\":", "7", "{\"a\":1}}"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct play play;

        begin(&play);
        assert_int_equal(read_line(&play, span_from_text(lines[i])), ERR_SYNTAX);
        check(lines[i], &play, "");
        finish(&play);
    }
}

static const struct row answers[] = {
    {"a whole response",
     "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":7,\"model\":\"m\",\"status\":"
     "\"completed\",\"error\":null,\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"text\":"
     "\"Hm\"}],\"encrypted_content\":\"gAAA\"},{\"type\":\"web_search_call\"},{\"type\":"
     "\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]},{" CALL(
         "a", "{}") "}]," USAGE "}",
     START "THINKING 0 \"Hm\"\nSIGNATURE 0 openai \"gAAA\"\nTEXT 0 \"Hi\"\n"
           "CALL_BEGIN 0/0 id=call_a name=f\nCALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\n" TOLD
           "FINISH 0 calls\nEND\n"},
    {"one that failed",
     "{\"id\":\"resp_1\",\"created_at\":7,\"model\":\"m\",\"status\":\"failed\",\"output\":[],"
     "\"error\":{\"code\":\"server_error\",\"message\":\"Oh.\"}}",
     START "ERROR code=server_error \"Oh.\"\n"},
    {"one that was cancelled",
     "{\"id\":\"resp_1\",\"created_at\":7,\"model\":\"m\",\"status\":\"cancelled\",\"output\":[]}",
     START "ERROR \"The response was cancelled.\"\n"},
};

static int read_answer(struct play *play, const char *text)
{
    struct json_tree tree;
    int err = json_tree_read_raw(&tree, span_from_text(text), 1 << 20);

    assert_int_equal(err, 0);
    err = form_ops(FORM_RESPONSES)->read_answer(play->reader, yyjson_doc_get_root(tree.doc));
    json_tree_fini(&tree);
    return err;
}

static void every_whole_answer_is_told(void **state)
{
    struct play play;

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        begin(&play);
        assert_int_equal(read_answer(&play, answers[i].text), 0);
        check(answers[i].title, &play, answers[i].expected);
        finish(&play);
    }
    begin(&play);
    assert_int_equal(read_answer(&play, "{\"choices\":[]}"), ERR_SYNTAX);
    check("no response", &play, "");
    finish(&play);
}

/* xorshift: the same order in every run. */
static uint32_t next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void promises_are_kept_in_any_order(void **state)
{
    enum { LINES = 400, ROUNDS = 3000, LENGTH = 24 };
    static struct span lines[LINES];
    uint32_t random = 7;
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        struct span rest = span_from_text(streams[i].text);

        while (count < LINES && span_next_token(&rest, '\n', &lines[count]))
            count++;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        struct play play;

        begin(&play);
        for (size_t i = 0; i < LENGTH; i++) {
            struct span line = lines[next(&random) % count];

            if (line.len && next(&random) % 16 == 0)
                line.len = next(&random) % line.len;
            (void)read_line(&play, line);
        }
        form_ops(FORM_RESPONSES)->read_end(play.reader);
        if (promise_broken(play.promise))
            fail_msg("round %zu: %s\n%s", round, promise_broken(play.promise),
                     buf_text(&play.trace.text));
        finish(&play);
    }
}

static void calls_have_a_bound(void **state)
{
    struct play play;
    struct buf line;

    (void)state;
    begin(&play);
    buf_init(&line, 4096);
    for (unsigned i = 0; i < 1100; i++) {
        buf_clear(&line);
        assert_int_equal(buf_printf(&line,
                                    "{\"type\":\"response.output_item.added\",\"output_index\":%u,"
                                    "\"item\":{\"type\":\"function_call\",\"name\":\"f\"}}",
                                    i),
                         0);
        assert_int_equal(read_line(&play, buf_span(&line)), 0);
    }
    assert_null(promise_broken(play.promise));
    assert_int_equal(play.promise->choices[0].calls, 1024);
    assert_true(play.promise->has_error);
    buf_fini(&line);
    finish(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_told),
        cmocka_unit_test(what_is_no_event_is_said_to_be_none),
        cmocka_unit_test(every_whole_answer_is_told),
        cmocka_unit_test(promises_are_kept_in_any_order),
        cmocka_unit_test(calls_have_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
