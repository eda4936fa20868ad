/* The wire format of OpenAI's Responses as the simulator speaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire.h"

#define HEAD    "Authorization: Bearer sk-1\r\n"
#define ASK     "{\"model\":\"gpt-5\","
#define HI      "\"input\":\"hi\""
#define TOOL    "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{},\"strict\":false}]"
#define ECHO_HI "echo: hi #08ba5f07b55ec3da"

static const char path[] = "/v1/responses";

static void inputs_are_answered(void **state)
{
    static const char *const inputs[] = {
        ASK HI "}",
        ASK "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"hi\"},{"
            "\"type\":\"input_image\",\"image_url\":\"x\"}]}]}",
    };

    for (size_t i = 0; i < 2; i++) {
        yyjson_doc *doc = ask_for(*state, path, HEAD, inputs[i], 200);

        assert_at(doc, "/object", "response");
        assert_at(doc, "/status", "completed");
        assert_at(doc, "/output/0/type", "message");
        assert_at(doc, "/output/0/content/0/type", "output_text");
        assert_at(doc, "/output/0/content/0/text", ECHO_HI);
        assert_int_equal(number_at(doc, "/usage/input_tokens"), i == 0 ? 8 : 8 + 85);
        assert_int_equal(number_at(doc, "/usage/output_tokens"), 3);
        yyjson_doc_free(doc);
    }
}

static void assert_names(const struct frames *frames, const char *const *names, size_t count)
{
    for (size_t i = 0; i < frames->count; i++) {
        if (i >= count || strcmp(frames->at[i].name, names[i]) != 0)
            fail_msg("frame %zu is %s", i, frames->at[i].name);
        assert_at(frames->at[i].doc, "/type", names[i]);
        assert_int_equal(number_at(frames->at[i].doc, "/sequence_number"), i);
    }
    assert_int_equal(frames->count, count);
}

#define ITEM "response.output_item."
#define PART "response.content_part."
#define TEXT "response.output_text."

static void a_stream_has_the_exact_order(void **state)
{
    static const char *const names[] = {
        "response.created",   "response.in_progress", ITEM "added", PART "added", TEXT "delta",
        TEXT "delta",         TEXT "delta",           TEXT "done",  PART "done",  ITEM "done",
        "response.completed",
    };
    struct frames frames;
    struct reply reply;

    ask_raw(*state, path, HEAD, ASK "\"stream\":true," HI "}", &reply);
    assert_false(reply_has(&reply, "[DONE]"));
    read_frames(&reply, "\n\n", &frames);
    assert_names(&frames, names, 11);
    assert_at(frames.at[0].doc, "/response/status", "in_progress");
    assert_at(frames.at[4].doc, "/delta", "echo:");
    assert_at(frames.at[7].doc, "/text", ECHO_HI);
    assert_at(frames.at[10].doc, "/response/output/0/content/0/text", ECHO_HI);
    assert_int_equal(number_at(frames.at[10].doc, "/response/usage/total_tokens"), 11);
    frames_free(&frames);
    reply_free(&reply);
}

static void reasoning_is_an_item(void **state)
{
#define SUMMARY "response.reasoning_summary_"
    static const char *const names[] = {
        "response.created",   "response.in_progress",
        ITEM "added",         SUMMARY "part.added",
        SUMMARY "text.delta", SUMMARY "text.delta",
        SUMMARY "text.delta", SUMMARY "text.done",
        SUMMARY "part.done",  ITEM "done",
        ITEM "added",         PART "added",
        TEXT "delta",         TEXT "delta",
        TEXT "delta",         TEXT "done",
        PART "done",          ITEM "done",
        "response.completed",
    };
#undef SUMMARY
    struct frames frames;
    yyjson_doc *doc;

    ask_frames(*state, path, HEAD,
               ASK "\"stream\":true,\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"}," HI
                   "}",
               "\n\n", &frames);
    assert_names(&frames, names, 19);
    assert_at(frames.at[2].doc, "/item/type", "reasoning");
    assert_int_equal(number_at(frames.at[10].doc, "/output_index"), 1);
    frames_free(&frames);

    doc = ask_for(*state, path, HEAD, ASK "\"reasoning\":{\"effort\":\"high\"}," HI "}", 200);
    assert_at(doc, "/output/0/type", "reasoning");
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/output/0/summary")), 0);
    assert_at(doc, "/output/1/type", "message");
    assert_int_equal(number_at(doc, "/usage/output_tokens_details/reasoning_tokens"), 3);
    yyjson_doc_free(doc);
}

static void functions_are_called_in_pieces(void **state)
{
#define ARGUMENTS "response.function_call_arguments."
    static const char *const names[] = {
        "response.created", "response.in_progress", ITEM "added",      ARGUMENTS "delta",
        ARGUMENTS "delta",  ARGUMENTS "delta",      ARGUMENTS "delta", ARGUMENTS "done",
        ITEM "done",        "response.completed",
    };
#undef ARGUMENTS
    struct frames frames;
    yyjson_doc *doc;

    ask_frames(*state, path, HEAD, ASK "\"stream\":true," TOOL "," HI "}", "\n\n", &frames);
    assert_names(&frames, names, 10);
    assert_at(frames.at[2].doc, "/item/arguments", "");
    assert_at(frames.at[7].doc, "/arguments", "{\"text\": \"hi\", \"hash\": \"08ba5f07b55ec3da\"}");
    frames_free(&frames);

    play_set(*state, "sk-1", "tool_calls: 2");
    doc =
        ask_for(*state, path, HEAD,
                ASK "\"tools\":[{\"type\":\"web_search\"},{\"type\":\"function\",\"name\":\"f\"},{"
                    "\"type\":\"custom\",\"name\":\"g\"}]," HI "}",
                200);
    assert_at(doc, "/output/0/name", "f");
    assert_at(doc, "/output/1/type", "custom_tool_call");
    assert_false(yyjson_equals(yyjson_doc_ptr_get(doc, "/output/0/id"),
                               yyjson_doc_ptr_get(doc, "/output/0/call_id")));
    yyjson_doc_free(doc);
}

#define CALL      "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\"}"
#define DONE      "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"42\"}"
#define TALK(...) ASK TOOL ",\"input\":[{\"role\":\"user\",\"content\":\"q\"}," __VA_ARGS__ "]}"

static void outputs_are_answered_in_words(void **state)
{
    yyjson_doc *doc =
        ask_for(*state, path, HEAD,
                TALK("{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[]}," CALL "," DONE), 200);

    assert_int_equal(strncmp(yyjson_get_str(yyjson_doc_ptr_get(doc, "/output/0/content/0/text")),
                             "echo: q #", 9),
                     0);
    /* 3 + (4 + 1) + 4 + (4 + 1): as the same talk costs in the other formats */
    assert_int_equal(number_at(doc, "/usage/input_tokens"), 17);
    yyjson_doc_free(doc);
}

static void a_schema_is_answered_with_json(void **state)
{
    yyjson_doc *doc = ask_for(*state, path, HEAD,
                              ASK "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
                                  "\"schema\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
                                  "\"integer\"}}}}}," HI "}",
                              200);

    assert_at(doc, "/output/0/content/0/text", "{\"n\": 0}");
    yyjson_doc_free(doc);
}

static void mistakes_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{" HI "}", "\"param\":\"model\""},
        {ASK "\"x\":1}", "\"param\":\"input\""},
        {ASK "\"messages\":[]," HI "}", "Unknown parameter: 'messages'."},
        {ASK "\"max_tokens\":5," HI "}", "Unknown parameter: 'max_tokens'."},
        {ASK "\"previous_response_id\":\"r\"," HI "}", "Previous response with id 'r' not found."},
        {ASK "\"input\":[{\"role\":\"tool\",\"content\":\"a\"}]}", "input[0].role"},
        {TALK(DONE), "No tool call found for function call output with call_id a."},
        {TALK(CALL), "No tool output found for function call a."},
        {ASK "\"text\":{\"format\":{\"type\":\"json_schema\"}}," HI "}", "text.format.name"},
        {ASK "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]," HI "}",
         "\"param\":\"tools\""},
        {ASK "\"reasoning\":{\"effort\":\"much\"}," HI "}", "\"param\":\"reasoning.effort\""},
    };

    assert_refused(*state, path, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
}

static void what_is_cut_is_incomplete(void **state)
{
    struct play play;
    struct frames frames;
    yyjson_doc *doc = ask_for(*state, path, HEAD, ASK "\"max_output_tokens\":2," HI "}", 200);

    assert_at(doc, "/status", "incomplete");
    assert_at(doc, "/incomplete_details/reason", "max_output_tokens");
    assert_at(doc, "/output/0/content/0/text", "echo: hi");
    yyjson_doc_free(doc);

    play_begin_faulty(&play, "", "blocked");
    ask_frames(&play, path, HEAD, ASK "\"stream\":true," HI "}", "\n\n", &frames);
    assert_int_equal(frames.count, 3);
    assert_string_equal(frames.at[2].name, "response.incomplete");
    assert_at(frames.at[2].doc, "/response/incomplete_details/reason", "content_filter");
    frames_free(&frames);
    play_end(&play);
}

static void a_stream_may_fail(void **state)
{
    struct play play;
    struct frames frames;

    (void)state;
    play_begin_faulty(&play, "", "{fault: error_event, after: 1, error: rate_limit}");
    ask_frames(&play, path, HEAD, ASK "\"stream\":true," HI "}", "\n\n", &frames);
    assert_int_equal(frames.count, 6);
    assert_string_equal(frames.at[4].name, "error");
    assert_at(frames.at[4].doc, "/error/code", "rate_limit_exceeded");
    assert_at(frames.at[5].doc, "/type", "response.failed");
    assert_at(frames.at[5].doc, "/response/status", "failed");
    assert_int_equal(number_at(frames.at[5].doc, "/sequence_number"), 5);
    frames_free(&frames);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(inputs_are_answered),           PLAY_TEST(a_stream_has_the_exact_order),
        PLAY_TEST(reasoning_is_an_item),          PLAY_TEST(functions_are_called_in_pieces),
        PLAY_TEST(outputs_are_answered_in_words), PLAY_TEST(a_schema_is_answered_with_json),
        PLAY_TEST(mistakes_are_refused),          PLAY_TEST(what_is_cut_is_incomplete),
        cmocka_unit_test(a_stream_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
