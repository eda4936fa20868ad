/* OpenAI's wire format as the simulator speaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "sim/answer.h"
#include "wire.h"

/* The documents of a stream's events; fails where an event is something else. *ret_has_done: the
 * last event was [DONE]. */
static size_t read_events(const struct reply *reply, yyjson_doc **docs, size_t max,
                          bool *ret_has_done)
{
    struct span rest = buf_span(&reply->body);
    size_t count = 0;

    *ret_has_done = false;
    while (rest.len) {
        size_t end = span_find(rest, SPAN("\n\n"));

        assert_true(end != SIZE_MAX && end > 6 && count < max && !*ret_has_done);
        assert_memory_equal(rest.ptr, "data: ", 6);
        if (span_is_equal(span_of(rest.ptr + 6, end - 6), SPAN("[DONE]")))
            *ret_has_done = true;
        else
            docs[count++] = parse_json(span_of(rest.ptr + 6, end - 6));
        rest = span_skip(rest, end + 2);
    }
    return count;
}

static void a_chat_is_answered(void **state)
{
    static const char body[] =
        "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"caf\\u00e9 \"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}},{\"type\":\"text\",\"text\":\"au "
        "lait\"}]}]}";
    char content[128], fingerprint[32];
    struct reply reply;
    yyjson_doc *doc;

    play_post(*state, "/v1/chat/completions", "sk-1", body, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "content-type"), "application/json");
    assert_string_equal(reply_header(&reply, "openai-version"), "2020-10-01");
    assert_int_equal(strlen(reply_header(&reply, "x-request-id")), 20);
    doc = parse_json(buf_span(&reply.body));
    assert_at(doc, "/object", "chat.completion");
    assert_at(doc, "/model", "gpt-4.1");
    assert_at(doc, "/choices/0/message/role", "assistant");
    assert_at(doc, "/choices/0/finish_reason", "stop");
    snprintf(content, sizeof(content), "echo: caf\xc3\xa9 au lait #%016llx",
             (unsigned long long)sim_hash(SPAN("caf\xc3\xa9 au lait")));
    assert_at(doc, "/choices/0/message/content", content);
    snprintf(fingerprint, sizeof(fingerprint), "fp_%016llx",
             (unsigned long long)sim_hash(SPAN(body)));
    assert_at(doc, "/system_fingerprint", fingerprint);
    /* 3 + (4 + ceil(7 / 4)) + (4 + ceil(13 / 4)); echo:, café, au, lait, #... */
    assert_int_equal(number_at(doc, "/usage/prompt_tokens"), 17 + 85);
    assert_int_equal(number_at(doc, "/usage/completion_tokens"), 5);
    assert_int_equal(number_at(doc, "/usage/total_tokens"), 22 + 85);
    yyjson_doc_free(doc);
    reply_free(&reply);
}

static void a_stream_tells_the_same(void **state)
{
    static const char body[] =
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"messages\":[{\"role\":\"user\",\"content\":\"a \\\"b\\\"\"}]}";
    yyjson_doc *docs[16];
    struct reply reply;
    char wanted[128];
    struct buf content;
    size_t count;
    bool has_done;

    buf_init(&content, 4096);
    play_post(*state, "/v1/chat/completions", "sk-1", body, &reply);
    assert_string_equal(reply_header(&reply, "content-type"), "text/event-stream; charset=utf-8");
    assert_string_equal(reply_header(&reply, "transfer-encoding"), "chunked");
    count = read_events(&reply, docs, 16, &has_done);
    assert_true(has_done);
    assert_int_equal(count, 1 + 4 + 1 + 1); /* role, pieces, finish, usage */
    assert_at(docs[0], "/choices/0/delta/role", "assistant");
    assert_at(docs[0], "/choices/0/delta/content", "");
    for (size_t i = 0; i < count; i++) {
        assert_at(docs[i], "/object", "chat.completion.chunk");
        assert_at(docs[i], "/id", yyjson_get_str(yyjson_doc_ptr_get(docs[0], "/id")));
        assert_true((i + 1 < count) == yyjson_is_null(yyjson_doc_ptr_get(docs[i], "/usage")));
        if (i > 0 && i < 5)
            buf_append_span(&content, span_from_text(yyjson_get_str(yyjson_doc_ptr_get(
                                          docs[i], "/choices/0/delta/content"))));
    }
    snprintf(wanted, sizeof(wanted), "echo: a \"b\" #%016llx",
             (unsigned long long)sim_hash(SPAN("a \"b\"")));
    assert_string_equal(buf_text(&content), wanted);
    buf_fini(&content);
    assert_at(docs[5], "/choices/0/finish_reason", "stop");
    assert_int_equal(yyjson_obj_size(yyjson_doc_ptr_get(docs[5], "/choices/0/delta")), 0);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(docs[6], "/choices")), 0);
    assert_int_equal(number_at(docs[6], "/usage/completion_tokens"), 4);
    for (size_t i = 0; i < count; i++)
        yyjson_doc_free(docs[i]);
    reply_free(&reply);
}

static void usage_is_absent_unless_asked_for(void **state)
{
    struct reply reply;

    play_post(
        *state, "/v1/chat/completions", "sk-1",
        "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
        &reply);
    assert_true(reply.is_whole);
    assert_false(reply_has(&reply, "usage"));
    reply_free(&reply);
}

static void tools_are_called(void **state)
{
    static const char body[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"rain?\"}],\"tools\":[{"
        "\"type\":\"function\",\"function\":{\"name\":\"weather\"}}]}";
    char arguments[128];
    struct reply reply;
    yyjson_doc *doc;

    play_post(*state, "/v1/chat/completions", "sk-1", body, &reply);
    doc = parse_json(buf_span(&reply.body));
    assert_at(doc, "/choices/0/finish_reason", "tool_calls");
    assert_true(yyjson_is_null(yyjson_doc_ptr_get(doc, "/choices/0/message/content")));
    assert_at(doc, "/choices/0/message/tool_calls/0/type", "function");
    assert_at(doc, "/choices/0/message/tool_calls/0/function/name", "weather");
    snprintf(arguments, sizeof(arguments), "{\"text\": \"rain?\", \"hash\": \"%016llx\"}",
             (unsigned long long)sim_hash(SPAN("rain?")));
    assert_at(doc, "/choices/0/message/tool_calls/0/function/arguments", arguments);
    yyjson_doc_free(doc);
    reply_free(&reply);
}

static void tool_calls_stream_in_fragments(void **state)
{
    static const char body[] =
        "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"custom\","
        "\"custom\":{\"name\":\"g\"}}],\"tool_choice\":\"required\"}";
    yyjson_doc *docs[32];
    struct reply reply;
    size_t count;
    bool has_done;

    play_set(*state, "sk-1", "tool_calls: 2");
    play_post(*state, "/v1/chat/completions", "sk-1", body, &reply);
    count = read_events(&reply, docs, 32, &has_done);
    assert_true(has_done);
    assert_int_equal(count, 2 * (1 + 4) + 1);
    assert_at(docs[0], "/choices/0/delta/role", "assistant");
    assert_at(docs[0], "/choices/0/delta/tool_calls/0/function/name", "f");
    assert_at(docs[0], "/choices/0/delta/tool_calls/0/function/arguments", "");
    assert_at(docs[1], "/choices/0/delta/tool_calls/0/function/arguments", "{\"text\":");
    assert_null(yyjson_doc_ptr_get(docs[1], "/choices/0/delta/tool_calls/0/id"));
    assert_at(docs[5], "/choices/0/delta/tool_calls/0/type", "custom");
    assert_at(docs[5], "/choices/0/delta/tool_calls/0/custom/name", "g");
    assert_int_equal(number_at(docs[6], "/choices/0/delta/tool_calls/0/index"), 1);
    assert_at(docs[6], "/choices/0/delta/tool_calls/0/custom/input", "{\"text\":");
    assert_at(docs[10], "/choices/0/finish_reason", "tool_calls");
    for (size_t i = 0; i < count; i++)
        yyjson_doc_free(docs[i]);
    reply_free(&reply);
}

static void a_tool_result_is_answered_in_words(void **state)
{
    struct reply reply;

    play_post(*state, "/v1/chat/completions", "sk-1",
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
              "\"assistant\",\"content\":null,\"tool_calls\":[]},{\"role\":\"tool\","
              "\"tool_call_id\":\"c\",\"content\":\"42\"}],\"tools\":[{\"type\":\"function\","
              "\"function\":{\"name\":\"f\"}}]}",
              &reply);
    assert_true(reply_has(&reply, "\"content\":\"echo: q #"));
    reply_free(&reply);
}

static void efforts_cost_tokens_and_stay_unseen(void **state)
{
    yyjson_doc *doc = ask_for(*state, play_chat, "Authorization: Bearer sk-1\r\n",
                              "{\"model\":\"m\",\"reasoning_effort\":\"low\",\"messages\":[{"
                              "\"role\":\"user\",\"content\":\"hi\"}]}",
                              200);

    assert_int_equal(number_at(doc, "/usage/completion_tokens"), 6);
    assert_int_equal(number_at(doc, "/usage/completion_tokens_details/reasoning_tokens"), 3);
    assert_false(has_at(doc, "/choices/0/message/reasoning_content"));
    yyjson_doc_free(doc);
}

static void formats_are_kept(void **state)
{
    static const struct {
        const char *format, *content;
    } rows[] = {
        {"{\"type\":\"text\"}", "echo: hi #08ba5f07b55ec3da"},
        {"{\"type\":\"json_object\"}", "{\"text\": \"hi\", \"hash\": \"08ba5f07b55ec3da\"}"},
        {"{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":"
         "\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"array\","
         "\"items\":{"
         "\"type\":\"boolean\"}}}}}}",
         "{\"a\": \"echo: hi #08ba5f07b55ec3da\", \"b\": [true]}"},
    };
    char body[512];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        yyjson_doc *doc;

        snprintf(body, sizeof(body),
                 "{\"model\":\"m\",\"response_format\":%s,\"messages\":[{\"role\":\"user\","
                 "\"content\":\"hi\"}]}",
                 rows[i].format);
        doc = ask_for(*state, play_chat, "Authorization: Bearer sk-1\r\n", body, 200);
        assert_at(doc, "/choices/0/message/content", rows[i].content);
        yyjson_doc_free(doc);
    }
}

static void completions_answer_each_prompt(void **state)
{
    struct reply reply;
    yyjson_doc *doc;

    play_post(*state, "/v1/completions", "sk-1",
              "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2,\"max_tokens\":2}", &reply);
    doc = parse_json(buf_span(&reply.body));
    assert_at(doc, "/object", "text_completion");
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/choices")), 4);
    assert_at(doc, "/choices/0/text", "echo: a");
    assert_at(doc, "/choices/3/text", "echo: b");
    assert_at(doc, "/choices/3/finish_reason", "length");
    assert_int_equal(number_at(doc, "/usage/completion_tokens"), 8);
    yyjson_doc_free(doc);
    reply_free(&reply);
    play_post(*state, "/v1/completions", "sk-1", "{\"model\":\"m\",\"prompt\":[1,22,333]}", &reply);
    assert_true(reply_has(&reply, "\"text\":\"echo: 1,22,333 #"));
    assert_true(reply_has(&reply, "\"prompt_tokens\":3"));
    reply_free(&reply);
}

static unsigned char sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return (unsigned char)(strchr(digits, c) - digits);
}

static void embeddings_come_as_floats_and_as_base64(void **state)
{
    uint64_t walk = 0, hash = sim_hash(SPAN("x"));
    struct reply reply;
    yyjson_doc *doc;
    const char *packed;
    float first;
    uint32_t bits;

    play_post(*state, "/v1/embeddings", "sk-1",
              "{\"model\":\"text-embedding-3-small\",\"input\":[\"x\",\"y\"],\"dimensions\":3}",
              &reply);
    doc = parse_json(buf_span(&reply.body));
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/data")), 2);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/data/1/embedding")), 3);
    for (unsigned j = 0; j < 3; j++) {
        char pointer[32];

        snprintf(pointer, sizeof(pointer), "/data/0/embedding/%u", j);
        assert_true((float)yyjson_get_num(yyjson_doc_ptr_get(doc, pointer)) ==
                    sim_embedding_next(hash, j, &walk));
    }
    assert_int_equal(number_at(doc, "/usage/total_tokens"), 2);
    yyjson_doc_free(doc);
    reply_free(&reply);

    play_post(
        *state, "/v1/embeddings", "sk-1",
        "{\"model\":\"text-embedding-3-small\",\"input\":\"x\",\"encoding_format\":\"base64\"}",
        &reply);
    doc = parse_json(buf_span(&reply.body));
    packed = yyjson_get_str(yyjson_doc_ptr_get(doc, "/data/0/embedding"));
    assert_int_equal(strlen(packed), 1536 * 4 / 3 * 4);
    bits = (uint32_t)(sextet(packed[0]) << 2 | sextet(packed[1]) >> 4);
    bits |= (uint32_t)(unsigned char)(sextet(packed[1]) << 4 | sextet(packed[2]) >> 2) << 8;
    bits |= (uint32_t)(unsigned char)(sextet(packed[2]) << 6 | sextet(packed[3])) << 16;
    bits |= (uint32_t)(unsigned char)(sextet(packed[4]) << 2 | sextet(packed[5]) >> 4) << 24;
    memcpy(&first, &bits, sizeof(first));
    assert_true(first == sim_embedding_next(hash, 0, &walk));
    yyjson_doc_free(doc);
    reply_free(&reply);
}

static void models_are_listed_and_looked_up(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "models: [a/b, c]\nkeys: {sk-1: {models: 'a/*'}}");
    play_get(&play, "/v1/models", "sk-1", &reply);
    assert_true(reply_has(&reply, "\"id\":\"a/b\""));
    assert_false(reply_has(&reply, "\"id\":\"c\""));
    reply_free(&reply);
    play_get(&play, "/v1/models/a%2Fb", "sk-1", &reply);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    play_get(&play, "/v1/models/c", "sk-1", &reply);
    assert_int_equal(reply.status, 404);
    assert_true(reply_has(&reply, "The model `c` does not exist"));
    assert_true(reply_has(&reply, "\"code\":\"model_not_found\""));
    reply_free(&reply);
    play_end(&play);
}

static void mistakes_of_a_request_are_named(void **state)
{
    static const struct {
        const char *path, *body, *wanted;
    } rows[] = {
        {"chat/completions", "{\"model\":", "could not parse the JSON body"},
        {"chat/completions", "[1]", "could not parse the JSON body"},
        {"chat/completions", "{}", "\"param\":\"model\""},
        {"chat/completions", "{\"model\":5}", "\"param\":\"model\""},
        {"chat/completions", "{\"model\":\"m\"}", "\"param\":\"messages\""},
        {"chat/completions", "{\"model\":\"m\",\"messages\":[]}", "\"param\":\"messages\""},
        {"chat/completions", "{\"model\":\"m\",\"messages\":[5]}", "\"param\":\"messages\""},
        {"chat/completions",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"stream\":\"yes\"}",
         "\"param\":\"stream\""},
        {"chat/completions",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"stream_options\":{}}",
         "only allowed when 'stream' is enabled"},
        {"chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"n\":0}",
         "\"param\":\"n\""},
        {"chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"tools\":[{}]}",
         "\"param\":\"tools\""},
        {"completions", "{\"model\":\"m\"}", "\"param\":\"prompt\""},
        {"completions", "{\"model\":\"m\",\"prompt\":[\"a\",{}]}", "\"param\":\"prompt\""},
        {"embeddings", "{\"model\":\"m\",\"input\":[]}", "\"param\":\"input\""},
        {"embeddings", "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"hex\"}",
         "\"param\":\"encoding_format\""},
    };
    struct reply reply;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[64];

        snprintf(path, sizeof(path), "/v1/%s", rows[i].path);
        play_post(*state, path, "sk-1", rows[i].body, &reply);
        assert_int_equal(reply.status, 400);
        assert_true(reply_has(&reply, "\"type\":\"invalid_request_error\""));
        if (!reply_has(&reply, rows[i].wanted))
            fail_msg("no %s in %s", rows[i].wanted, buf_text(&reply.body));
        reply_free(&reply);
    }
    play_post(*state, "/v1/audio/speech", "sk-1", "{}", &reply);
    assert_int_equal(reply.status, 404);
    reply_free(&reply);
}

static void a_provider_may_not_know_a_field(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {refuse_fields: [stream_options], refuse_status: 422}");
    play_post(&play, "/v1/chat/completions", "sk-1",
              "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
              "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
              &reply);
    assert_int_equal(reply.status, 422);
    assert_true(reply_has(&reply, "Unknown parameter: 'stream_options'."));
    assert_true(reply_has(&reply, "\"param\":\"stream_options\""));
    reply_free(&reply);
    play_end(&play);
}

static void a_prompt_can_be_too_long(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {context_tokens: 8}");
    play_post(&play, "/v1/chat/completions", "sk-1",
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"12345\"}]}", &reply);
    assert_int_equal(reply.status, 400);
    assert_true(reply_has(&reply, "maximum context length is 8 tokens. However, your messages "
                                  "resulted in 9 tokens"));
    assert_true(reply_has(&reply, "\"code\":\"context_length_exceeded\",") ||
                reply_has(&reply, "\"code\":\"context_length_exceeded\"}"));
    reply_free(&reply);
    play_end(&play);
}

/* A text of 64 KiB and more is echoed up to there, and no character is halved. */
static void long_texts_are_echoed_in_part(void **state)
{
    enum { CHARACTERS = 40000 }; /* of three bytes each */
    struct reply reply;
    struct buf body, text;
    char hash[24];

    buf_init(&body, 1 << 20);
    buf_init(&text, 1 << 20);
    for (int i = 0; i < CHARACTERS; i++)
        buf_append(&text, "\xe2\x82\xac", 3);
    buf_printf(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
               buf_text(&text));
    play_post(*state, "/v1/chat/completions", "sk-1", buf_text(&body), &reply);
    assert_int_equal(reply.status, 200);
    yyjson_doc_free(parse_json(buf_span(&reply.body)));
    snprintf(hash, sizeof(hash), "\xac #%016llx", (unsigned long long)sim_hash(buf_span(&text)));
    assert_true(reply_has(&reply, hash));
    assert_in_range(reply.body.len, 65533, 66500);
    reply_free(&reply);
    buf_fini(&text);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(a_chat_is_answered),
        PLAY_TEST(a_stream_tells_the_same),
        PLAY_TEST(usage_is_absent_unless_asked_for),
        PLAY_TEST(tools_are_called),
        PLAY_TEST(tool_calls_stream_in_fragments),
        PLAY_TEST(a_tool_result_is_answered_in_words),
        PLAY_TEST(efforts_cost_tokens_and_stay_unseen),
        PLAY_TEST(formats_are_kept),
        PLAY_TEST(completions_answer_each_prompt),
        PLAY_TEST(embeddings_come_as_floats_and_as_base64),
        cmocka_unit_test(models_are_listed_and_looked_up),
        PLAY_TEST(mistakes_of_a_request_are_named),
        cmocka_unit_test(a_provider_may_not_know_a_field),
        cmocka_unit_test(a_prompt_can_be_too_long),
        PLAY_TEST(long_texts_are_echoed_in_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
