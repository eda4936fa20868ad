/* Anthropic's wire format as the simulator speaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "sim/answer.h"
#include "wire.h"

#define HEAD "x-api-key: sk-1\r\nanthropic-version: 2023-06-01\r\n"
#define ASK  "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":100,"
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define TOOL "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}"

static const char path[] = "/v1/messages";

static void a_message_is_answered(void **state)
{
    char content[64];
    struct reply reply;
    yyjson_doc *doc;

    ask_raw(*state, path, HEAD,
            ASK "\"system\":\"be kind\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                "\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":"
                "\"AA==\"}},{\"type\":\"text\",\"text\":\"hi\"}]}]}",
            &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "content-type"), "application/json");
    assert_int_equal(strlen(reply_header(&reply, "request-id")), 20);
    doc = parse_json(buf_span(&reply.body));
    assert_at(doc, "/type", "message");
    assert_at(doc, "/role", "assistant");
    assert_at(doc, "/model", "claude-sonnet-4-5");
    snprintf(content, sizeof(content), "echo: hi #%016llx",
             (unsigned long long)sim_hash(SPAN("hi")));
    assert_at(doc, "/content/0/type", "text");
    assert_at(doc, "/content/0/text", content);
    assert_at(doc, "/stop_reason", "end_turn");
    assert_true(yyjson_is_null(yyjson_doc_ptr_get(doc, "/stop_sequence")));
    /* 3 + (4 + 1) + (4 + ceil(7 / 4)) */
    assert_int_equal(number_at(doc, "/usage/input_tokens"), 14 + 85);
    assert_int_equal(number_at(doc, "/usage/output_tokens"), 3);
    yyjson_doc_free(doc);
    reply_free(&reply);
}

static void assert_names(const struct frames *frames, const char *const *names, size_t count)
{
    assert_int_equal(frames->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(frames->at[i].name, names[i]);
        assert_at(frames->at[i].doc, "/type", names[i]);
    }
}

static void a_stream_has_the_exact_order(void **state)
{
    static const char *const names[] = {
        "message_start",       "content_block_start", "ping",
        "content_block_delta", "content_block_delta", "content_block_delta",
        "content_block_stop",  "message_delta",       "message_stop",
    };
    struct frames frames;
    struct reply reply;

    ask_raw(*state, path, HEAD, ASK "\"stream\":true," HI "}", &reply);
    assert_string_equal(reply_header(&reply, "content-type"), "text/event-stream; charset=utf-8");
    read_frames(&reply, "\n\n", &frames);
    assert_names(&frames, names, 9);
    assert_int_equal(number_at(frames.at[0].doc, "/message/usage/input_tokens"), 8);
    assert_int_equal(number_at(frames.at[0].doc, "/message/usage/output_tokens"), 1);
    assert_true(yyjson_is_null(yyjson_doc_ptr_get(frames.at[0].doc, "/message/stop_reason")));
    assert_at(frames.at[1].doc, "/content_block/text", "");
    assert_at(frames.at[3].doc, "/delta/type", "text_delta");
    assert_at(frames.at[3].doc, "/delta/text", "echo:");
    assert_at(frames.at[7].doc, "/delta/stop_reason", "end_turn");
    assert_int_equal(number_at(frames.at[7].doc, "/usage/output_tokens"), 3);
    frames_free(&frames);
    reply_free(&reply);
}

static void thinking_comes_first_and_is_signed(void **state)
{
    static const char *const names[] = {
        "message_start",       "content_block_start", "ping",
        "content_block_delta", "content_block_delta", "content_block_delta",
        "content_block_delta", "content_block_stop",  "content_block_start",
        "content_block_delta", "content_block_delta", "content_block_delta",
        "content_block_stop",  "message_delta",       "message_stop",
    };
    struct frames frames;
    yyjson_doc *doc;

    ask_frames(*state, path, HEAD,
               "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":2000,\"thinking\":{\"type\":"
               "\"enabled\",\"budget_tokens\":1024},\"stream\":true," HI "}",
               "\n\n", &frames);
    assert_names(&frames, names, 15);
    assert_at(frames.at[1].doc, "/content_block/type", "thinking");
    assert_at(frames.at[3].doc, "/delta/thinking", "thinking");
    assert_at(frames.at[6].doc, "/delta/type", "signature_delta");
    assert_int_equal(number_at(frames.at[8].doc, "/index"), 1);
    assert_int_equal(number_at(frames.at[13].doc, "/usage/output_tokens"), 6);
    assert_int_equal(number_at(frames.at[13].doc, "/usage/output_tokens_details/thinking_tokens"),
                     3);
    frames_free(&frames);

    doc = ask_for(*state, path, HEAD,
                  "{\"model\":\"claude-opus-4-6\",\"max_tokens\":200,\"thinking\":{\"type\":"
                  "\"adaptive\"}," HI "}",
                  200);
    assert_at(doc, "/content/0/type", "thinking");
    assert_true(has_at(doc, "/content/0/signature"));
    assert_at(doc, "/content/1/type", "text");
    yyjson_doc_free(doc);
}

static void tools_are_called_in_pieces(void **state)
{
    static const char *const names[] = {
        "message_start",       "ping",
        "content_block_start", "content_block_delta",
        "content_block_delta", "content_block_delta",
        "content_block_delta", "content_block_delta",
        "content_block_stop",  "content_block_start",
        "content_block_delta", "content_block_delta",
        "content_block_delta", "content_block_delta",
        "content_block_delta", "content_block_stop",
        "message_delta",       "message_stop",
    };
    struct frames frames;
    yyjson_doc *doc;

    play_set(*state, "sk-1", "tool_calls: 2");
    ask_frames(*state, path, HEAD,
               ASK "\"stream\":true,\"tools\":[" TOOL
                   ",{\"name\":\"g\",\"input_schema\":{\"type\":\"object\"}}]," HI "}",
               "\n\n", &frames);
    assert_names(&frames, names, 18);
    assert_at(frames.at[2].doc, "/content_block/name", "f");
    assert_int_equal(yyjson_obj_size(yyjson_doc_ptr_get(frames.at[2].doc, "/content_block/input")),
                     0);
    assert_at(frames.at[3].doc, "/delta/partial_json", "");
    assert_at(frames.at[4].doc, "/delta/partial_json", "{\"text\":");
    assert_int_equal(number_at(frames.at[9].doc, "/index"), 1);
    assert_at(frames.at[16].doc, "/delta/stop_reason", "tool_use");
    frames_free(&frames);

    doc = ask_for(*state, path, HEAD,
                  ASK "\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"any\"}," HI "}", 200);
    assert_at(doc, "/content/0/type", "tool_use");
    assert_at(doc, "/content/0/input/text", "hi");
    assert_at(doc, "/stop_reason", "tool_use");
    yyjson_doc_free(doc);
}

static void results_are_answered_in_words(void **state)
{
    yyjson_doc *doc = ask_for(
        *state, path, HEAD,
        ASK "\"tools\":[" TOOL
            "],\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
            "\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]},{"
            "\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\","
            "\"content\":\"42\"}]}]}",
        200);

    assert_int_equal(
        strncmp(yyjson_get_str(yyjson_doc_ptr_get(doc, "/content/0/text")), "echo: q #", 9), 0);
    /* 3 + (4 + 1) + 4 + (4 + 1): as the same talk costs in OpenAI's format */
    assert_int_equal(number_at(doc, "/usage/input_tokens"), 17);
    yyjson_doc_free(doc);
}

static void a_schema_is_answered_with_json(void **state)
{
    yyjson_doc *inner,
        *doc = ask_for(
            *state, path, HEAD,
            ASK
            "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
            "\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"}},"
            "\"required\":[\"n\",\"s\"]}}}," HI "}",
            200);

    inner = parse_json(span_from_text(yyjson_get_str(yyjson_doc_ptr_get(doc, "/content/0/text"))));
    assert_int_equal(number_at(inner, "/n"), 0);
    assert_true(has_at(inner, "/s"));
    yyjson_doc_free(inner);
    yyjson_doc_free(doc);
}

static void tokens_are_counted(void **state)
{
    yyjson_doc *doc =
        ask_for(*state, "/v1/messages/count_tokens", HEAD, "{\"model\":\"m\"," HI "}", 200);

    assert_int_equal(number_at(doc, "/input_tokens"), 8);
    yyjson_doc_free(doc);
    assert_int_equal(play_count(*state, "sk-1", "lookups"), 1);
}

static void models_are_told_apart_by_the_head(void **state)
{
    yyjson_doc *doc = ask_for(*state, "/v1/models", HEAD, NULL, 200);

    assert_at(doc, "/data/0/type", "model");
    assert_true(has_at(doc, "/last_id"));
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/v1/models", "Authorization: Bearer sk-1\r\n", NULL, 200);
    assert_at(doc, "/object", "list");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/v1/models/m", HEAD, NULL, 200);
    assert_at(doc, "/id", "m");
    yyjson_doc_free(doc);
}

static void mistakes_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{", "not valid JSON"},
        {"{\"model\":\"m\"," HI "}", "max_tokens: Field required"},
        {"{\"max_tokens\":5," HI "}", "model: Field required"},
        {ASK "\"n\":2," HI "}", "n: Extra inputs are not permitted"},
        {ASK "\"temperature\":1.5," HI "}", "temperature: Input should be between 0 and 1"},
        {ASK "\"messages\":[]}", "at least one message"},
        {ASK "\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]}", "messages.0.role"},
        {ASK "\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"name\":\"b\"}]}",
         "messages.0.name: Extra inputs"},
        {ASK "\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", "must have non-empty content"},
        {ASK "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]}",
         "text content blocks must be non-empty"},
        {ASK "\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}",
         "first message must use the"},
        {ASK "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\"}]}]"
             "}",
         "cannot stand here"},
        {ASK "\"tools\":[{\"name\":\"f\"}]," HI "}", "input_schema: Field required"},
        {ASK "\"tools\":[{\"name\":\"a b\",\"input_schema\":{\"type\":\"object\"}}]," HI "}",
         "tools.0.custom.name"},
        {ASK "\"tool_choice\":{\"type\":\"auto\"}," HI "}", "while providing tools"},
        {ASK "\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}," HI "}",
         "Tool 'g' not found"},
        {ASK "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}," HI "}",
         "must be greater than `thinking.budget_tokens`"},
        {ASK "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":10}," HI "}",
         "greater than or equal to 1024"},
        {ASK "\"thinking\":{\"type\":\"adaptive\"}," HI "}", "adaptive thinking is not supported"},
        {ASK "\"stop_sequences\":[\" \"]," HI "}", "non-whitespace"},
    };

    assert_refused(*state, path, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
}

#define USE(id, input)                                                                             \
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"" id                     \
    "\",\"name\":\"f\",\"input\":" input "}]}"
#define RESULT(id) "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":\"x\"}"
#define TEXT       "{\"type\":\"text\",\"text\":\"t\"}"
#define USER(...)  "{\"role\":\"user\",\"content\":[" __VA_ARGS__ "]}"
#define TALK(...)  ASK "\"messages\":[" USER(TEXT) "," __VA_ARGS__ "]}"

static void calls_and_results_must_pair(void **state)
{
    static const struct refusal rows[] = {
        {TALK(USE("a", "{}")), "without `tool_result` blocks immediately after: a"},
        {TALK(USE("a", "{}") "," USER(TEXT)), "messages.1: `tool_use` ids were found"},
        {TALK(USE("a", "{}") "," USER(RESULT("b"))), "unexpected `tool_use_id`"},
        {TALK(USER(RESULT("b"))), "unexpected `tool_use_id`"},
        {TALK(USE("a", "{}") "," USER(TEXT "," RESULT("a"))), "must come before all other content"},
        {TALK(USE("a", "{}") "," USER(RESULT("a") "," RESULT("a"))), "unexpected `tool_use_id`"},
        {TALK(USE("a.b", "{}") "," USER(RESULT("a.b"))), "should match pattern"},
        {TALK(USE("a", "\"{}\"") "," USER(RESULT("a"))), "tool_use.input: Input should be a valid"},
        {TALK(USE("a", "{}") "," USE("a", "{}") "," USER(RESULT("a"))), "ids must be unique"},
        {TALK("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
              "\"signature\":\"forged\"}]}," USER(TEXT)),
         "Invalid `signature`"},
        {"{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":2000,\"thinking\":{\"type\":\"enabled\","
         "\"budget_tokens\":1024},\"messages\":[" USER(TEXT) "," USE("a", "{}") "," USER(
             RESULT("a")) "]}",
         "Expected `thinking`"},
    };
    static const char *const fine[] = {
        TALK(USE("a", "{}") "," USER(RESULT("a") "," TEXT)),
        TALK(USE("a", "{}") "," USE("b", "{}") "," USER(RESULT("b")) "," USER(RESULT("a"))),
        TALK(USE("a", "{}") "," USER(RESULT("a")) "," USE("a", "{}") "," USER(RESULT("a"))),
    };

    assert_refused(*state, path, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        yyjson_doc_free(ask_for(*state, path, HEAD, fine[i], 200));
}

static void a_thought_may_be_sent_back(void **state)
{
    char body[1024];
    yyjson_doc *doc;

    snprintf(
        body, sizeof(body),
        "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":2000,\"thinking\":{\"type\":"
        "\"enabled\",\"budget_tokens\":1024},\"messages\":[%s,{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"EqQB%016llx\"}"
        ",{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]},%s]}",
        USER(TEXT), (unsigned long long)sim_hash(SPAN("hm")), USER(RESULT("a")));
    doc = ask_for(*state, path, HEAD, body, 200);
    assert_at(doc, "/content/1/type", "text");
    yyjson_doc_free(doc);
}

static void newer_models_refuse_more(void **state)
{
#define MODEL(name) "{\"model\":\"" name "\",\"max_tokens\":2000," HI ","
    static const struct refusal rows[] = {
        {MODEL("claude-opus-4-7") "\"temperature\":0.5}", "`temperature` is deprecated"},
        {MODEL("claude-sonnet-5") "\"top_k\":1}", "`top_k` is deprecated"},
        {MODEL("claude-opus-4-8") "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}}",
         "not supported for this model"},
        {MODEL("claude-sonnet-4-20250514") "\"thinking\":{\"type\":\"adaptive\"}}",
         "adaptive thinking is not supported"},
        {MODEL("claude-fable-5-2") "\"thinking\":{\"type\":\"disabled\"}}", "cannot be disabled"},
        {MODEL("claude-mythos-5-2") "\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"any\"}}",
         "forced tool use is not supported"},
        {"{\"model\":\"claude-opus-4-6\",\"max_tokens\":5,\"messages\":[" USER(
             TEXT) ",{\"role\":\"assistant\",\"content\":\"so\"}]}",
         "prefill"},
    };
    static const char *const fine[] = {
        MODEL("claude-opus-4-7") "\"temperature\":1}",
        MODEL("claude-sonnet-4-6") "\"temperature\":0.5}",
        MODEL("claude-3-5-haiku-20241022") "\"top_k\":1}",
        MODEL("other") "\"thinking\":{\"type\":\"adaptive\"},\"top_k\":1}",
    };
#undef MODEL

    assert_refused(*state, path, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        yyjson_doc_free(ask_for(*state, path, HEAD, fine[i], 200));
}

static void the_head_is_checked(void **state)
{
    static const struct {
        const char *head;
        int status;
        const char *wanted;
    } rows[] = {
        {"x-api-key: sk-1\r\n", 400, "anthropic-version: header is required"},
        {"x-api-key: sk-1\r\nanthropic-version: 1\r\n", 400, "not a valid version"},
        {"anthropic-version: 2023-06-01\r\n", 401, "x-api-key header is required"},
        {"Authorization: Bearer sk-1\r\nanthropic-version: 2023-06-01\r\n", 200, "echo: hi"},
    };
    static const struct refusal sampled = {ASK "\"temperature\":1," HI "}",
                                           "temperature: Extra inputs"};
    struct reply reply;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_raw(*state, path, rows[i].head, ASK HI "}", &reply);
        assert_int_equal(reply.status, rows[i].status);
        assert_true(reply_has(&reply, rows[i].wanted));
        reply_free(&reply);
    }
    assert_refused(*state, path, "x-api-key: sk-1\r\nanthropic-version: 2026-10-21\r\n", 400,
                   &sampled, 1);
}

static void failures_have_their_own_words(void **state)
{
    static const struct fault_row rows[] = {
        {"overloaded", 529, "\"type\":\"overloaded_error\",\"message\":\"Overloaded\""},
        {"server_error", 500, "\"type\":\"api_error\""},
        {"payment_required", 402, "\"type\":\"billing_error\""},
        {"low_credit", 400, "credit balance is too low"},
        {"insufficient_quota", 429, "\"error_code\":\"enforced_spend_limit_reached\""},
        {"slow_down", 429, "\"error_code\":\"ramp_limit_exceeded\""},
        {"rate_limit", 429, "\"type\":\"rate_limit_error\""},
        {"invalid_api_key", 401, "\"type\":\"authentication_error\""},
        {"model_not_found", 404, "\"type\":\"not_found_error\""},
        {"context_length", 400, "prompt is too long: "},
        {"504", 504, "\"type\":\"timeout_error\""},
        {"blocked", 200, "\"content\":[],\"stop_reason\":\"refusal\""},
        {"{fault: finish, reason: pause_turn}", 200, "\"stop_reason\":\"pause_turn\""},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_faulty(&rows[i], "", path, HEAD, ASK HI "}", &reply);
        if (rows[i].status != 200)
            assert_true(reply_has(&reply, reply_header(&reply, "request-id")));
        assert_string_equal(reply_header(&reply, "x-should-retry"),
                            rows[i].status == 529 ? "true" : "");
        reply_free(&reply);
    }
}

static void faults_strike_streams_too(void **state)
{
    static const char STREAM[] = ASK "\"stream\":true," HI "}";
    struct play play;
    struct frames frames;
    struct reply reply;

    (void)state;
    play_begin_faulty(&play, "", "{fault: error_event, after: 2, error: overloaded}");
    ask_frames(&play, path, HEAD, STREAM, "\n\n", &frames);
    assert_int_equal(frames.count, 5);
    assert_string_equal(frames.at[4].name, "error");
    assert_at(frames.at[4].doc, "/error/type", "overloaded_error");
    frames_free(&frames);
    play_end(&play);

    play_begin_faulty(&play, "", "blocked, {fault: queue, for: 2s}");
    ask_frames(&play, path, HEAD, STREAM, "\n\n", &frames);
    assert_int_equal(frames.count, 2 + 4); /* two pings; start, ping, delta, stop */
    assert_string_equal(frames.at[0].name, "ping");
    assert_at(frames.at[4].doc, "/delta/stop_reason", "refusal");
    frames_free(&frames);
    play_end(&play);

    play_begin_faulty(&play, "", "no_done, no_usage, crlf");
    ask_raw(&play, path, HEAD, STREAM, &reply);
    assert_false(reply_has(&reply, "message_stop") || reply_has(&reply, "usage"));
    read_frames(&reply, "\r\n\r\n", &frames);
    assert_int_equal(frames.count, 8);
    frames_free(&frames);
    reply_free(&reply);
    play_end(&play);
}

static void limits_are_told_with_timestamps(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {cached_tokens: 5, limits: {rpm: 1, tpm: 2500}}");
    ask_raw(&play, path, HEAD, ASK HI "}", &reply);
    assert_string_equal(reply_header(&reply, "anthropic-ratelimit-requests-remaining"), "0");
    assert_string_equal(reply_header(&reply, "anthropic-ratelimit-requests-reset"),
                        "2023-11-14T22:14:20.000Z");
    assert_string_equal(reply_header(&reply, "anthropic-ratelimit-tokens-limit"), "2500");
    assert_string_equal(reply_header(&reply, "anthropic-ratelimit-input-tokens-remaining"), "2000");
    assert_true(reply_has(&reply, "\"input_tokens\":3,"));
    assert_true(reply_has(&reply, "\"cache_read_input_tokens\":5"));
    reply_free(&reply);
    ask_raw(&play, path, HEAD, ASK HI "}", &reply);
    assert_int_equal(reply.status, 429);
    assert_string_equal(reply_header(&reply, "retry-after"), "60");
    assert_true(reply_has(&reply, "rate limit for your organization"));
    reply_free(&reply);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(a_message_is_answered),
        PLAY_TEST(a_stream_has_the_exact_order),
        PLAY_TEST(thinking_comes_first_and_is_signed),
        PLAY_TEST(tools_are_called_in_pieces),
        PLAY_TEST(results_are_answered_in_words),
        PLAY_TEST(a_schema_is_answered_with_json),
        PLAY_TEST(tokens_are_counted),
        PLAY_TEST(models_are_told_apart_by_the_head),
        PLAY_TEST(mistakes_are_refused),
        PLAY_TEST(calls_and_results_must_pair),
        PLAY_TEST(a_thought_may_be_sent_back),
        PLAY_TEST(newer_models_refuse_more),
        PLAY_TEST(the_head_is_checked),
        cmocka_unit_test(failures_have_their_own_words),
        cmocka_unit_test(faults_strike_streams_too),
        cmocka_unit_test(limits_are_told_with_timestamps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
