/* What must hold in every dialect alike: the answer, its cost, the limits and the faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire.h"

#define BEARER  "Authorization: Bearer sk-1\r\n"
#define CONTENT "one two"
#define ECHO    "echo: one two #"
#define CHAT                                                                                       \
    "\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":"  \
    "\"" CONTENT "\"}]"
#define CHAT_TOOLS                                                                                 \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"    \
    "\"object\"}}}]"

/* One way to ask the same, and where its answer says what. */
static const struct way {
    const char *name, *head;
    const char *path, *body;             /* a plain request */
    const char *stream_path, *stream_on; /* a stream: its path, and what the body has besides */
    const char *tools;                   /* what the body has besides to have a tool called */
    const char *text, *arguments;        /* JSON pointers */
    const char *prompt, *completion;
    const char *stop;        /* what the body has besides to end before "two"; NULL: it cannot */
    bool has_text_arguments; /* they are JSON in a string */
} ways[] = {
    {"openai", BEARER, "/v1/chat/completions", "{\"model\":\"m\"," CHAT "%s}",
     "/v1/chat/completions", ",\"stream\":true", CHAT_TOOLS, "/choices/0/message/content",
     "/choices/0/message/tool_calls/0/function/arguments", "/usage/prompt_tokens",
     "/usage/completion_tokens", ",\"stop\":\"two\"", true},
    {"azure", "api-key: sk-1\r\n", "/openai/deployments/m/chat/completions?api-version=1",
     "{" CHAT "%s}", "/openai/deployments/m/chat/completions?api-version=1", ",\"stream\":true",
     CHAT_TOOLS, "/choices/0/message/content", "/choices/0/message/tool_calls/0/function/arguments",
     "/usage/prompt_tokens", "/usage/completion_tokens", ",\"stop\":\"two\"", true},
    {"deepseek", BEARER, "/deepseek/chat/completions",
     "{\"model\":\"m\",\"thinking\":{\"type\":\"disabled\"}," CHAT "%s}",
     "/deepseek/chat/completions", ",\"stream\":true", CHAT_TOOLS, "/choices/0/message/content",
     "/choices/0/message/tool_calls/0/function/arguments", "/usage/prompt_tokens",
     "/usage/completion_tokens", ",\"stop\":\"two\"", true},
    {"responses", BEARER, "/v1/responses",
     "{\"model\":\"m\",\"instructions\":\"be kind\",\"input\":\"" CONTENT "\"%s}", "/v1/responses",
     ",\"stream\":true", ",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]",
     "/output/0/content/0/text", "/output/0/arguments", "/usage/input_tokens",
     "/usage/output_tokens", NULL, true},
    {"anthropic", "x-api-key: sk-1\r\nanthropic-version: 2023-06-01\r\n", "/v1/messages",
     "{\"model\":\"m\",\"max_tokens\":99,\"system\":\"be kind\",\"messages\":[{\"role\":\"user\","
     "\"content\":\"" CONTENT "\"}]%s}",
     "/v1/messages", ",\"stream\":true",
     ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]", "/content/0/text",
     "/content/0/input", "/usage/input_tokens", "/usage/output_tokens",
     ",\"stop_sequences\":[\"two\"]", false},
    {"gemini", "x-goog-api-key: sk-1\r\n", "/v1beta/models/m:generateContent",
     "{\"systemInstruction\":{\"parts\":[{\"text\":\"be kind\"}]},\"contents\":[{\"parts\":[{"
     "\"text\":\"" CONTENT "\"}]}]%s}",
     "/v1beta/models/m:streamGenerateContent?alt=sse", "",
     ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]",
     "/candidates/0/content/parts/0/text", "/candidates/0/content/parts/0/functionCall/args",
     "/usageMetadata/promptTokenCount", "/usageMetadata/candidatesTokenCount",
     ",\"generationConfig\":{\"stopSequences\":[\"two\"]}", false},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static yyjson_doc *ask_way(struct play *play, const struct way *way, const char *besides)
{
    char body[1024];

    snprintf(body, sizeof(body), way->body, besides);
    return ask_for(play, way->path, way->head, body, 200);
}

static void stream_way(struct play *play, const struct way *way, struct reply *reply)
{
    char body[1024];

    snprintf(body, sizeof(body), way->body, way->stream_on);
    ask_raw(play, way->stream_path, way->head, body, reply);
}

static void the_answer_and_its_cost_are_the_same(void **state)
{
    for (size_t i = 0; i < WAYS; i++) {
        yyjson_doc *doc = ask_way(*state, &ways[i], "");

        assert_at(doc, ways[i].text, ECHO "108ab07fb9e724e1");
        /* 3 + (4 + 2) + (4 + 2); echo:, one, two, #... */
        assert_int_equal(number_at(doc, ways[i].prompt), 15);
        assert_int_equal(number_at(doc, ways[i].completion), 4);
        yyjson_doc_free(doc);
    }
}

static void the_call_is_the_same(void **state)
{
    for (size_t i = 0; i < WAYS; i++) {
        yyjson_doc *doc = ask_way(*state, &ways[i], ways[i].tools);
        yyjson_val *arguments = yyjson_doc_ptr_get(doc, ways[i].arguments);
        yyjson_doc *inner = NULL;

        assert_non_null(arguments);
        if (ways[i].has_text_arguments) {
            inner = parse_json(span_from_text(yyjson_get_str(arguments)));
            arguments = yyjson_doc_get_root(inner);
        }
        assert_true(yyjson_equals_str(yyjson_obj_get(arguments, "text"), CONTENT));
        assert_true(yyjson_equals_str(yyjson_obj_get(arguments, "hash"), "108ab07fb9e724e1"));
        yyjson_doc_free(inner);
        yyjson_doc_free(doc);
    }
}

static void limits_hold_across_dialects(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {limits: {rpm: 6, window: sliding}}");
    for (size_t i = 0; i < WAYS; i++)
        yyjson_doc_free(ask_way(&play, &ways[i], ""));
    for (size_t i = 0; i < WAYS; i++) {
        stream_way(&play, &ways[i], &reply);
        assert_int_equal(reply.status, 429);
        yyjson_doc_free(parse_json(buf_span(&reply.body)));
        reply_free(&reply);
    }
    assert_int_equal(play_count(&play, "sk-1", "answered"), WAYS);
    assert_int_equal(play_count(&play, "sk-1", "limited"), WAYS);
    play_end(&play);
}

static void every_failure_is_json_in_every_dialect(void **state)
{
    static const char *const faults[] = {
        "400",
        "401",
        "402",
        "403",
        "404",
        "408",
        "409",
        "413",
        "422",
        "429",
        "498",
        "500",
        "502",
        "503",
        "504",
        "529",
        "invalid_api_key",
        "forbidden",
        "insufficient_quota",
        "payment_required",
        "model_not_found",
        "rate_limit",
        "token_limit",
        "slow_down",
        "server_error",
        "overloaded",
        "context_length",
        "low_credit",
        "content_filter",
    };
    struct play play;
    struct reply reply;
    char fault[128];

    (void)state;
    for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
        snprintf(fault, sizeof(fault), "{fault: %s, retry_after: 2s}", faults[f]);
        play_begin_faulty(&play, "", fault);
        for (size_t i = 0; i < WAYS; i++) {
            yyjson_doc *doc;

            stream_way(&play, &ways[i], &reply);
            if (reply.status < 400 || strlen(reply_header(&reply, "content-type")) < 16)
                fail_msg("%s in %s: %d", faults[f], ways[i].name, reply.status);
            doc = parse_json(buf_span(&reply.body));
            if (!yyjson_is_str(yyjson_doc_ptr_get(doc, "/error/message")))
                fail_msg("%s in %s says nothing", faults[f], ways[i].name);
            yyjson_doc_free(doc);
            reply_free(&reply);
        }
        assert_int_equal(play_count(&play, "sk-1", "failed"), WAYS);
        play_end(&play);
    }
}

static void streams_break_in_every_dialect(void **state)
{
    static const struct {
        const char *fault;
        bool is_whole;
        const char *said, *unsaid;
    } rows[] = {
        {"{fault: cut, after: 3}", false, "echo:", "108ab07fb9"},
        {"{fault: cut, after: 0, by: end}", true, "", "echo:"},
        {"{fault: error_event, after: 2}", true, "\"error\":", " two"},
        {"{fault: error_body, error: overloaded}", true, "\"error\":", "echo:"},
        {"{fault: head_stall, for: 1s}", true, "echo:", "\"error\":{"},
        {"{fault: drip, bytes: 50}", true, "echo:", "\"error\":{"},
        {"crlf", true, "}\r\n\r\n", "}\n\n"},
    };
    struct play play;
    struct reply reply;

    (void)state;
    for (size_t f = 0; f < sizeof(rows) / sizeof(rows[0]); f++) {
        play_begin_faulty(&play, "", rows[f].fault);
        for (size_t i = 0; i < WAYS; i++) {
            stream_way(&play, &ways[i], &reply);
            if (reply.status != 200 || reply.is_whole != rows[f].is_whole ||
                !reply_has(&reply, rows[f].said) || reply_has(&reply, rows[f].unsaid))
                fail_msg("%s in %s: %s", rows[f].fault, ways[i].name, buf_text(&reply.body));
            reply_free(&reply);
        }
        play_end(&play);
    }
}

static void words_end_before_a_stop(void **state)
{
    for (size_t i = 0; i < WAYS; i++) {
        yyjson_doc *doc;

        if (!ways[i].stop)
            continue;
        doc = ask_way(*state, &ways[i], ways[i].stop);
        assert_at(doc, ways[i].text, "echo: one ");
        assert_int_equal(number_at(doc, ways[i].completion), 3);
        if (has_at(doc, "/stop_reason")) {
            assert_at(doc, "/stop_reason", "stop_sequence");
            assert_at(doc, "/stop_sequence", "two");
        }
        yyjson_doc_free(doc);
    }
}

static void calls_may_have_no_arguments(void **state)
{
    play_set(*state, "sk-1", "bare_calls: true");
    for (size_t i = 0; i < WAYS; i++) {
        yyjson_doc *doc = ask_way(*state, &ways[i], ways[i].tools);
        yyjson_val *arguments = yyjson_doc_ptr_get(doc, ways[i].arguments);

        if (ways[i].has_text_arguments)
            assert_true(yyjson_equals_str(arguments, "{}"));
        else
            assert_int_equal(yyjson_obj_size(arguments), 0);
        yyjson_doc_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(the_answer_and_its_cost_are_the_same),
        PLAY_TEST(the_call_is_the_same),
        cmocka_unit_test(limits_hold_across_dialects),
        cmocka_unit_test(every_failure_is_json_in_every_dialect),
        cmocka_unit_test(streams_break_in_every_dialect),
        PLAY_TEST(words_end_before_a_stop),
        PLAY_TEST(calls_may_have_no_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
