/* DeepSeek's wire format as the simulator speaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire.h"

#define HEAD  "Authorization: Bearer sk-deepseek-0001\r\n"
#define ASK   "{\"model\":\"deepseek-flash\","
#define HI    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

static const char path[] = "/deepseek/chat/completions";

static void thoughts_come_unasked(void **state)
{
    yyjson_doc *doc = ask_for(*state, path, HEAD, ASK HI "}", 200);

    assert_at(doc, "/choices/0/message/content", "echo: hi #08ba5f07b55ec3da");
    assert_at(doc, "/choices/0/message/reasoning_content", "thinking about #08ba5f07b55ec3da");
    assert_int_equal(number_at(doc, "/usage/completion_tokens"), 6);
    assert_int_equal(number_at(doc, "/usage/completion_tokens_details/reasoning_tokens"), 3);
    assert_int_equal(number_at(doc, "/usage/prompt_cache_hit_tokens"), 0);
    assert_int_equal(number_at(doc, "/usage/prompt_cache_miss_tokens"), 8);
    yyjson_doc_free(doc);

    doc = ask_for(*state, "/deepseek/v1/chat/completions", HEAD,
                  ASK "\"thinking\":{\"type\":\"disabled\"}," HI "}", 200);
    assert_false(has_at(doc, "/choices/0/message/reasoning_content"));
    yyjson_doc_free(doc);
    doc = ask_for(*state, path, HEAD, ASK "\"reasoning_effort\":\"none\"," HI "}", 200);
    assert_false(has_at(doc, "/choices/0/message/reasoning_content"));
    yyjson_doc_free(doc);
}

static void a_stream_ends_with_its_usage(void **state)
{
    struct frames frames;

    ask_frames(*state, path, HEAD,
               ASK "\"stream\":true,\"stream_options\":{\"include_usage\":true}," HI "}", "\n\n",
               &frames);
    assert_int_equal(frames.count, 1 + 3 + 3 + 1 + 1);
    assert_true(yyjson_is_null(yyjson_doc_ptr_get(frames.at[0].doc, "/choices/0/delta/content")));
    assert_at(frames.at[1].doc, "/choices/0/delta/reasoning_content", "thinking");
    assert_true(yyjson_is_null(yyjson_doc_ptr_get(frames.at[1].doc, "/choices/0/delta/content")));
    assert_at(frames.at[4].doc, "/choices/0/delta/content", "echo:");
    assert_false(has_at(frames.at[4].doc, "/usage"));
    assert_at(frames.at[7].doc, "/choices/0/finish_reason", "stop");
    assert_int_equal(number_at(frames.at[7].doc, "/usage/total_tokens"), 14);
    assert_null(frames.at[8].doc);
    frames_free(&frames);
}

static void tools_are_called_after_a_thought(void **state)
{
    struct frames frames;
    yyjson_doc *doc = ask_for(*state, path, HEAD, ASK TOOLS "," HI "}", 200);

    assert_int_equal(number_at(doc, "/choices/0/message/tool_calls/0/index"), 0);
    assert_at(doc, "/choices/0/finish_reason", "tool_calls");
    yyjson_doc_free(doc);

    ask_frames(*state, path, HEAD, ASK "\"stream\":true," TOOLS "," HI "}", "\n\n", &frames);
    assert_int_equal(frames.count, 1 + 3 + 1 + 4 + 1 + 1);
    assert_at(frames.at[0].doc, "/choices/0/delta/role", "assistant");
    assert_at(frames.at[4].doc, "/choices/0/delta/tool_calls/0/function/name", "f");
    assert_false(has_at(frames.at[4].doc, "/choices/0/delta/role"));
    frames_free(&frames);
}

#define LOOP(more)                                                                                 \
    "\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"     \
    "null," more "\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":"     \
    "\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"42\"}"

static void mistakes_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {ASK "\"messages\":[{\"role\":\"developer\",\"content\":\"a\"}]}",
         "messages[0].role: unknown variant `developer`"},
        {ASK LOOP("") "]}", "must be passed back to the API"},
        {ASK "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}}," HI
             "}",
         "response_format type is unavailable"},
        {ASK "\"response_format\":{\"type\":\"json_object\"}," HI "}",
         "must contain the word 'json'"},
        {ASK TOOLS ",\"tool_choice\":\"required\"," HI "}", "does not support this tool_choice"},
        {"{" HI "}", "model"},
    };
    static const char *const fine[] = {
        ASK LOOP("\"reasoning_content\":\"hm\",") "]}",
        ASK "\"thinking\":{\"type\":\"disabled\"}," LOOP("") "]}",
        ASK LOOP("") ",{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":"
                     "\"b\"}]}",
        ASK "\"response_format\":{\"type\":\"json_object\"},\"messages\":[{\"role\":\"user\","
            "\"content\":\"some JSON\"}]}",
        ASK "\"thinking\":{\"type\":\"disabled\"}," TOOLS ",\"tool_choice\":\"required\"," HI "}",
    };

    assert_refused(*state, path, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        yyjson_doc_free(ask_for(*state, path, HEAD, fine[i], 200));
}

static void a_schema_may_be_told_in_words(void **state)
{
    yyjson_doc *doc = ask_for(
        *state, path, HEAD,
        ASK "\"response_format\":{\"type\":\"json_object\"},\"messages\":[{\"role\":\"system\","
            "\"content\":\"Answer in JSON of this schema:\\n{\\\"type\\\":\\\"object\\\","
            "\\\"properties\\\":{\\\"n\\\":{\\\"type\\\":\\\"integer\\\"}}}\"},{\"role\":"
            "\"user\",\"content\":\"hi\"}]}",
        200);

    assert_at(doc, "/choices/0/message/content", "{\"n\": 0}");
    yyjson_doc_free(doc);
}

static void the_balance_is_told(void **state)
{
    yyjson_doc *doc = ask_for(*state, "/deepseek/user/balance", HEAD, NULL, 200);

    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/is_available")));
    assert_at(doc, "/balance_infos/0/total_balance", "110.00");
    yyjson_doc_free(doc);
    play_set(*state, "sk-deepseek-0001", "state: unpaid");
    doc = ask_for(*state, "/deepseek/user/balance", HEAD, NULL, 200);
    assert_false(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/is_available")));
    yyjson_doc_free(doc);
    doc = ask_for(*state, path, HEAD, ASK HI "}", 402);
    assert_at(doc, "/error/message", "Insufficient Balance");
    assert_at(doc, "/error/type", "unknown_error");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/deepseek/models", HEAD, NULL, 200);
    assert_at(doc, "/object", "list");
    yyjson_doc_free(doc);
}

static void failures_have_their_own_words(void **state)
{
    static const struct fault_row rows[] = {
        {"invalid_api_key", 401, "Your api key: ****0001 is invalid"},
        {"insufficient_quota", 402, "Insufficient Balance"},
        {"rate_limit", 429, "Rate limit reached"},
        {"overloaded", 503, "overloaded"},
        {"{fault: finish, reason: insufficient_system_resource}", 200,
         "\"finish_reason\":\"insufficient_system_resource\""},
        {"{fault: queue, for: 2s}", 200, "\n\n{\"id\""},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_faulty(&rows[i], "limits: {rpm: 9}, ", path, HEAD, ASK HI "}", &reply);
        assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-requests"), "");
        assert_string_equal(reply_header(&reply, "retry-after"), "");
        reply_free(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(thoughts_come_unasked),
        PLAY_TEST(a_stream_ends_with_its_usage),
        PLAY_TEST(tools_are_called_after_a_thought),
        PLAY_TEST(mistakes_are_refused),
        PLAY_TEST(a_schema_may_be_told_in_words),
        PLAY_TEST(the_balance_is_told),
        cmocka_unit_test(failures_have_their_own_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
