/* Gemini's wire format as the simulator speaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "sim/answer.h"
#include "wire.h"

#define BASE    "/v1beta/models/gemini-2.5-flash:"
#define HEAD    "x-goog-api-key: sk-1\r\n"
#define HI      "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"
#define TOOLS   "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"},{\"name\":\"g\"}]}]"
#define ECHO_HI "echo: hi #08ba5f07b55ec3da"

static const char generate[] = BASE "generateContent";
static const char stream[] = BASE "streamGenerateContent?alt=sse";

static void contents_are_answered(void **state)
{
    struct reply reply;
    yyjson_doc *doc;

    ask_raw(
        *state, generate, HEAD,
        "{\"system_instruction\":{\"parts\":[{\"text\":\"be kind\"}]},\"contents\":[{\"parts\":"
        "[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"}},{\"text\":\"hi\"}]}]}",
        &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "content-type"), "application/json; charset=UTF-8");
    doc = parse_json(buf_span(&reply.body));
    assert_at(doc, "/candidates/0/content/role", "model");
    assert_at(doc, "/candidates/0/content/parts/0/text", ECHO_HI);
    assert_at(doc, "/candidates/0/finishReason", "STOP");
    assert_false(has_at(doc, "/candidates/0/index"));
    assert_int_equal(number_at(doc, "/usageMetadata/promptTokenCount"), 14 + 85);
    assert_int_equal(number_at(doc, "/usageMetadata/candidatesTokenCount"), 3);
    assert_int_equal(number_at(doc, "/usageMetadata/totalTokenCount"), 17 + 85);
    assert_false(has_at(doc, "/usageMetadata/thoughtsTokenCount"));
    assert_at(doc, "/modelVersion", "gemini-2.5-flash");
    yyjson_doc_free(doc);
    reply_free(&reply);
}

static void keys_come_in_three_places(void **state)
{
    static const char *const heads[] = {HEAD, "Authorization: Bearer sk-1\r\n"};

    for (size_t i = 0; i < 2; i++)
        yyjson_doc_free(ask_for(*state, generate, heads[i], "{" HI "}", 200));
    yyjson_doc_free(ask_for(*state, BASE "generateContent?key=sk-1", "", "{" HI "}", 200));
    yyjson_doc_free(ask_for(*state, generate, "", "{" HI "}", 403));
    assert_int_equal(play_count(*state, "sk-1", "requests"), 3);
}

static void a_stream_of_events_counts_on(void **state)
{
    static const char *const pieces[] = {"echo:", " hi", " #08ba5f07b55ec3da", ""};
    struct frames frames;
    struct reply reply;

    ask_raw(*state, stream, HEAD, "{" HI "}", &reply);
    assert_string_equal(reply_header(&reply, "content-type"), "text/event-stream");
    read_frames(&reply, "\r\n\r\n", &frames);
    assert_int_equal(frames.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(frames.at[i].name, "");
        assert_at(frames.at[i].doc, "/candidates/0/content/parts/0/text", pieces[i]);
        assert_int_equal(number_at(frames.at[i].doc, "/usageMetadata/candidatesTokenCount"),
                         i < 3 ? i + 1 : 3);
    }
    assert_false(has_at(frames.at[2].doc, "/candidates/0/finishReason"));
    assert_at(frames.at[3].doc, "/candidates/0/finishReason", "STOP");
    frames_free(&frames);
    reply_free(&reply);
}

static void without_events_a_stream_is_an_array(void **state)
{
    struct reply reply;
    yyjson_doc *doc;

    ask_raw(*state, BASE "streamGenerateContent", HEAD, "{" HI "}", &reply);
    assert_string_equal(reply_header(&reply, "content-type"), "application/json; charset=UTF-8");
    assert_string_equal(reply_header(&reply, "transfer-encoding"), "chunked");
    assert_true(reply_has(&reply, "}\r\n,\r\n{"));
    doc = parse_json(buf_span(&reply.body));
    assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(doc)), 4);
    assert_at(doc, "/1/candidates/0/content/parts/0/text", " hi");
    yyjson_doc_free(doc);
    reply_free(&reply);

    doc = ask_for(*state, BASE "streamGenerateContent", HEAD, "{}", 400);
    assert_at(doc, "/0/error/status", "INVALID_ARGUMENT");
    yyjson_doc_free(doc);
}

static void thoughts_are_parts_of_their_own(void **state)
{
    struct frames frames;
    yyjson_doc *doc;

    ask_frames(*state, stream, HEAD,
               "{" HI ",\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true}}}",
               "\r\n\r\n", &frames);
    assert_int_equal(frames.count, 7);
    assert_true(yyjson_get_bool(
        yyjson_doc_ptr_get(frames.at[0].doc, "/candidates/0/content/parts/0/thought")));
    assert_false(has_at(frames.at[0].doc, "/usageMetadata/candidatesTokenCount"));
    assert_int_equal(number_at(frames.at[0].doc, "/usageMetadata/thoughtsTokenCount"), 1);
    assert_false(has_at(frames.at[3].doc, "/candidates/0/content/parts/0/thought"));
    frames_free(&frames);

    /* Unseen ones count all the same, and may leave nothing for the answer. */
    doc = ask_for(*state, generate, HEAD,
                  "{" HI ",\"generationConfig\":{\"maxOutputTokens\":2,\"thinkingConfig\":{"
                  "\"thinkingBudget\":512}}}",
                  200);
    assert_at(doc, "/candidates/0/finishReason", "MAX_TOKENS");
    assert_false(has_at(doc, "/candidates/0/content/parts"));
    assert_int_equal(number_at(doc, "/usageMetadata/thoughtsTokenCount"), 2);
    assert_int_equal(number_at(doc, "/usageMetadata/totalTokenCount"), 10);
    yyjson_doc_free(doc);
}

static void functions_are_called_whole(void **state)
{
    struct frames frames;
    yyjson_doc *doc;

    play_set(*state, "sk-1", "tool_calls: 2");
    ask_frames(*state, stream, HEAD, "{" HI "," TOOLS "}", "\r\n\r\n", &frames);
    assert_int_equal(frames.count, 3);
    assert_at(frames.at[0].doc, "/candidates/0/content/parts/0/functionCall/name", "f");
    assert_at(frames.at[0].doc, "/candidates/0/content/parts/0/functionCall/args/text", "hi");
    assert_false(has_at(frames.at[0].doc, "/candidates/0/content/parts/0/functionCall/id"));
    assert_at(frames.at[1].doc, "/candidates/0/content/parts/0/functionCall/name", "g");
    assert_at(frames.at[2].doc, "/candidates/0/finishReason", "STOP");
    frames_free(&frames);

    play_set(*state, "sk-1", "bare_calls: true");
    doc = ask_for(*state, generate, HEAD,
                  "{" HI "," TOOLS ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\","
                  "\"allowedFunctionNames\":[\"g\"]}}}",
                  200);
    assert_at(doc, "/candidates/0/content/parts/0/functionCall/name", "g");
    assert_false(has_at(doc, "/candidates/0/content/parts/0/functionCall/args"));
    assert_false(has_at(doc, "/candidates/0/content/parts/1"));
    yyjson_doc_free(doc);
}

#define CALL(more) "{\"functionCall\":{\"name\":\"f\",\"args\":{}}" more "}"
#define DONE       "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"output\":\"42\"}}}"
#define USER(...)  "{\"role\":\"user\",\"parts\":[" __VA_ARGS__ "]}"
#define MODEL(...) "{\"role\":\"model\",\"parts\":[" __VA_ARGS__ "]}"
#define TALK(...)  "{" TOOLS ",\"contents\":[" USER("{\"text\":\"q\"}") "," __VA_ARGS__ "]}"

static void responses_are_answered_in_words(void **state)
{
    yyjson_doc *doc = ask_for(*state, generate, HEAD, TALK(MODEL(CALL("")) "," USER(DONE)), 200);

    assert_int_equal(
        strncmp(yyjson_get_str(yyjson_doc_ptr_get(doc, "/candidates/0/content/parts/0/text")),
                "echo: q #", 9),
        0);
    /* 3 + (4 + 1) + 4 + (4 + 1): as the same talk costs in the other formats */
    assert_int_equal(number_at(doc, "/usageMetadata/promptTokenCount"), 17);
    yyjson_doc_free(doc);
}

static void calls_and_responses_must_pair(void **state)
{
    static const struct refusal rows[] = {
        {TALK(MODEL(CALL(""))), "number of function response parts"},
        {TALK(MODEL(CALL("") "," CALL("")) "," USER(DONE)), "number of function response parts"},
        {TALK(MODEL(CALL("")) "," USER("{\"text\":\"t\"}") "," USER(DONE)),
         "number of function response parts"},
        {TALK(USER(DONE)), "immediately after a function call turn"},
        {TALK(MODEL("{\"text\":\"t\"}") "," MODEL(CALL("")) "," USER(DONE)),
         "immediately after a user turn"},
        {"{" TOOLS ",\"contents\":[" MODEL(CALL("")) "," USER(DONE) "]}",
         "immediately after a user turn"},
    };

    assert_refused(*state, generate, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
}

static void newer_models_want_their_signature_back(void **state)
{
    static const char path[] = "/v1beta/models/gemini-3-pro:generateContent";
    static const struct refusal rows[] = {
        {TALK(MODEL(CALL("")) "," USER(DONE)), "missing a thought_signature"},
        {TALK(MODEL(CALL(",\"thoughtSignature\":\"AAAA\"")) "," USER(DONE)), "is not valid"},
    };
    char body[1024];
    const char *signature;
    yyjson_doc *doc;

    assert_refused(*state, path, HEAD, 400, rows, 2);
    doc = ask_for(*state, path, HEAD, "{" HI "," TOOLS "}", 200);
    signature =
        yyjson_get_str(yyjson_doc_ptr_get(doc, "/candidates/0/content/parts/0/thoughtSignature"));
    if (!signature) {
        fail();
        return;
    }
    snprintf(body, sizeof(body),
             TALK(MODEL(CALL(",\"thoughtSignature\":\"%s\"") "," CALL("")) "," USER(DONE "," DONE)),
             signature);
    yyjson_doc_free(doc);
    yyjson_doc_free(ask_for(*state, path, HEAD, body, 200));
    yyjson_doc_free(ask_for(
        *state, path, HEAD,
        TALK(MODEL(CALL(",\"thought_signature\":\"skip_thought_signature_validator\"")) "," USER(
            DONE)),
        200));
    /* Behind the user's next words nobody asks for it any more. */
    yyjson_doc_free(ask_for(*state, path, HEAD,
                            TALK(MODEL(CALL("")) "," USER(DONE) "," MODEL(
                                "{\"text\":\"a\"}") "," USER("{\"text\":\"b\"}")),
                            200));
}

static void mistakes_are_refused(void **state)
{
#define CONFIG(text)   "{" HI ",\"generationConfig\":{" text "}}"
#define FUNCTION(text) "{" HI ",\"tools\":[{\"functionDeclarations\":[{" text "}]}]}"
    static const struct refusal rows[] = {
        {"{", "Invalid JSON payload"},
        {"{\"contents\":[]}", "contents is not specified"},
        {"{" HI ",\"stream\":true}", "Unknown name \\\"stream\\\": Cannot find field."},
        {"{\"contents\":[{\"parts\":[{\"text\":\"a\",\"x\":1}]}]}",
         "Unknown name \\\"x\\\" at 'contents[0].parts[0]': Cannot find field."},
        {CONFIG("\"reasoning\":1"), "Unknown name \\\"reasoning\\\" at 'generation_config'"},
        {CONFIG("\"temperature\":true"), "Invalid value at 'generation_config.temperature'"},
        {CONFIG("\"temperature\":3"), "must be in the range [0, 2]"},
        {CONFIG("\"candidateCount\":9"), "candidate_count"},
        {CONFIG("\"stopSequences\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]"), "at most 5"},
        {CONFIG("\"thinkingConfig\":{\"thinkingBudget\":1,\"thinkingLevel\":\"LOW\"}"),
         "only one of thinking budget and thinking level"},
        {CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}"),
         "Thinking level is not supported"},
        {CONFIG("\"responseSchema\":{\"type\":\"OBJECT\"}"), "response mime type"},
        {CONFIG("\"responseMimeType\":\"application/json\",\"responseSchema\":{\"type\":\"object\","
                "\"additionalProperties\":false}"),
         "Unknown name \\\"additionalProperties\\\" at 'generation_config.response_schema'"},
        {FUNCTION("\"name\":\"1f\""), "Invalid function name"},
        {FUNCTION("\"name\":\"f\",\"parameters\":{\"type\":\"OBJECT\",\"properties\":{}}"),
         "should be non-empty for OBJECT type"},
        {FUNCTION("\"name\":\"f\",\"parameters\":{\"type\":[\"STRING\",\"NULL\"]}"),
         "function_declarations[0].parameters.type"},
        {FUNCTION("\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"$ref\":\"#\"}}}"),
         "Unknown name \\\"$ref\\\" at "
         "'tools[0].function_declarations[0].parameters.properties.a'"},
        {"{\"contents\":[{\"role\":\"tool\",\"parts\":[{\"text\":\"a\"}]}]}", "valid role"},
        {"{\"contents\":[{\"role\":\"user\",\"parts\":[]}]}", "parts must not be empty"},
        {"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"thought\":true}]}]}",
         "must have one initialized field"},
        {"{" HI "," TOOLS ",\"generationConfig\":{\"responseMimeType\":\"application/json\"}}",
         "Function calling with a response mime type"},
        {"{" HI "," TOOLS
         ",\"toolConfig\":{\"functionCallingConfig\":{\"allowedFunctionNames\":[\"f\"]}}}",
         "should be set only when"},
    };

    assert_refused(*state, generate, HEAD, 400, rows, sizeof(rows) / sizeof(rows[0]));
    assert_refused(*state, "/v1beta/models/gemini-3-pro:generateContent", HEAD, 400,
                   &(struct refusal){CONFIG("\"thinkingConfig\":{\"thinkingBudget\":0}"),
                                     "Budget 0 is invalid"},
                   1);
#undef CONFIG
#undef FUNCTION
}

static void deep_schemas_are_refused(void **state)
{
    enum { DEPTH = 100000 };
    struct buf body;
    struct reply reply;

    buf_init(&body, 4 << 20);
    buf_append_span(&body, SPAN("{" HI ",\"generationConfig\":{\"responseSchema\":"));
    for (unsigned i = 0; i < DEPTH; i++)
        buf_append_span(&body, SPAN("{\"items\":"));
    buf_append_span(&body, SPAN("{}"));
    for (unsigned i = 0; i < DEPTH + 2; i++)
        buf_append_byte(&body, '}');
    ask_raw(*state, generate, HEAD, buf_text(&body), &reply);
    assert_int_equal(reply.status, 400);
    assert_true(reply_has(&reply, "nested too deeply"));
    reply_free(&reply);
    buf_fini(&body);
}

static void a_schema_is_answered_with_json(void **state)
{
    yyjson_doc *inner,
        *doc = ask_for(*state, generate, HEAD,
                       "{" HI ",\"generationConfig\":{\"responseMimeType\":\"application/json\","
                       "\"responseJsonSchema\":{\"type\":\"object\",\"properties\":{\"n\":{"
                       "\"type\":\"integer\"}},"
                       "\"additionalProperties\":false}}}",
                       200);

    inner = parse_json(span_from_text(
        yyjson_get_str(yyjson_doc_ptr_get(doc, "/candidates/0/content/parts/0/text"))));
    assert_int_equal(number_at(inner, "/n"), 0);
    yyjson_doc_free(inner);
    yyjson_doc_free(doc);
}

static void tokens_are_counted(void **state)
{
    static const char *const bodies[] = {
        "{" HI "}",
        "{\"generateContentRequest\":{\"model\":\"models/gemini-2.5-flash\"," HI "}}",
    };

    for (size_t i = 0; i < 2; i++) {
        yyjson_doc *doc = ask_for(*state, BASE "countTokens", HEAD, bodies[i], 200);

        assert_int_equal(number_at(doc, "/totalTokens"), 8);
        yyjson_doc_free(doc);
    }
}

static void texts_are_embedded(void **state)
{
#define EMBED   "/v1beta/models/e:"
#define X(more) "\"content\":{\"parts\":[{\"text\":\"x\"}]}" more
    uint64_t walk = 0;
    yyjson_doc *doc =
        ask_for(*state, EMBED "embedContent", HEAD, "{" X(",\"outputDimensionality\":3") "}", 200);

    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/embedding/values")), 3);
    assert_true((float)yyjson_get_num(yyjson_doc_ptr_get(doc, "/embedding/values/0")) ==
                sim_embedding_next(sim_hash(SPAN("x")), 0, &walk));
    yyjson_doc_free(doc);

    doc = ask_for(
        *state, EMBED "batchEmbedContents", HEAD,
        "{\"requests\":[{\"model\":\"models/e\"," X("") "},{\"model\":\"models/e\"," X("") "}]}",
        200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/embeddings")), 2);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/embeddings/1/values")), 1536);
    yyjson_doc_free(doc);
    assert_refused(
        *state, EMBED "batchEmbedContents", HEAD, 400,
        &(struct refusal) {
            "{\"requests\":[{" X("")
            "}]}", "model of the path"
        },
        1);
#undef EMBED
#undef X
}

static void models_are_listed_and_looked_up(void **state)
{
    yyjson_doc *doc = ask_for(*state, "/v1beta/models?pageSize=50", HEAD, NULL, 200);

    assert_int_equal(
        strncmp(yyjson_get_str(yyjson_doc_ptr_get(doc, "/models/0/name")), "models/", 7), 0);
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/v1beta/models/gemini-2.5-flash", HEAD, NULL, 200);
    assert_at(doc, "/name", "models/gemini-2.5-flash");
    yyjson_doc_free(doc);
    /* Newer clients leave the beta out; there OpenAI's models are as well. */
    doc = ask_for(*state, "/v1/models", HEAD, NULL, 200);
    assert_true(has_at(doc, "/models/0/name"));
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/v1/models/gemini-2.5-flash:generateContent", HEAD, "{" HI "}", 200);
    assert_at(doc, "/modelVersion", "gemini-2.5-flash");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/v1beta/models/m:predict", HEAD, "{}", 404);
    assert_at(doc, "/error/status", "NOT_FOUND");
    yyjson_doc_free(doc);
}

static void failures_have_their_own_words(void **state)
{
    static const struct fault_row rows[] = {
        {"invalid_api_key", 400, "\"reason\":\"API_KEY_INVALID\""},
        {"forbidden", 403, "\"status\":\"PERMISSION_DENIED\""},
        {"low_credit", 400, "\"status\":\"FAILED_PRECONDITION\""},
        {"insufficient_quota", 429, "PerDayPerProject"},
        {"{fault: rate_limit, retry_after: 34.4s}", 429, "\"retryDelay\":\"34.4s\""},
        {"{fault: rate_limit, retry_after: 1s}", 429, "PerMinutePerProject"},
        {"slow_down", 429, "\"status\":\"RESOURCE_EXHAUSTED\"}}"},
        {"overloaded", 503, "\"status\":\"UNAVAILABLE\""},
        {"server_error", 500, "\"status\":\"INTERNAL\""},
        {"model_not_found", 404, "models/gemini-2.5-flash is not found"},
        {"context_length", 400, "The input token count ("},
        {"blocked", 200, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\""},
        {"{fault: finish, reason: MALFORMED_FUNCTION_CALL}", 200, "MALFORMED_FUNCTION_CALL"},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_faulty(&rows[i], "", generate, HEAD, "{" HI "}", &reply);
        assert_string_equal(reply_header(&reply, "retry-after"), "");
        yyjson_doc_free(parse_json(buf_span(&reply.body)));
        reply_free(&reply);
    }
}

static void faults_strike_streams_too(void **state)
{
    struct play play;
    struct frames frames;
    struct reply reply;
    yyjson_doc *doc;

    (void)state;
    play_begin_faulty(&play, "", "{fault: error_event, after: 1, error: overloaded}");
    ask_frames(&play, stream, HEAD, "{" HI "}", "\r\n\r\n", &frames);
    assert_int_equal(frames.count, 2);
    assert_int_equal(number_at(frames.at[1].doc, "/error/code"), 503);
    frames_free(&frames);
    doc = ask_for(&play, BASE "streamGenerateContent", HEAD, "{" HI "}", 200);
    assert_int_equal(number_at(doc, "/1/error/code"), 503);
    yyjson_doc_free(doc);
    play_end(&play);

    play_begin_faulty(&play, "", "blocked, {fault: queue, for: 2s}");
    ask_raw(&play, stream, HEAD, "{" HI "}", &reply);
    assert_memory_equal(reply.body.data, "\r\n\r\ndata: ", 10);
    assert_true(reply_has(&reply, "promptFeedback"));
    assert_false(reply_has(&reply, "candidates\""));
    reply_free(&reply);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(contents_are_answered),
        PLAY_TEST(keys_come_in_three_places),
        PLAY_TEST(a_stream_of_events_counts_on),
        PLAY_TEST(without_events_a_stream_is_an_array),
        PLAY_TEST(thoughts_are_parts_of_their_own),
        PLAY_TEST(functions_are_called_whole),
        PLAY_TEST(responses_are_answered_in_words),
        PLAY_TEST(calls_and_responses_must_pair),
        PLAY_TEST(newer_models_want_their_signature_back),
        PLAY_TEST(mistakes_are_refused),
        PLAY_TEST(deep_schemas_are_refused),
        PLAY_TEST(a_schema_is_answered_with_json),
        PLAY_TEST(tokens_are_counted),
        PLAY_TEST(texts_are_embedded),
        PLAY_TEST(models_are_listed_and_looked_up),
        cmocka_unit_test(failures_have_their_own_words),
        cmocka_unit_test(faults_strike_streams_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
