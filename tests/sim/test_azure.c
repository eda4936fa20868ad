/* Azure's wire format as the simulator speaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire.h"

#define HEAD "api-key: sk-1\r\n"
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const char classic[] = "/openai/deployments/small/chat/completions?api-version=2024-10-21";
static const char second[] = "/openai/v1/chat/completions";

static void deployments_answer(void **state)
{
    struct reply reply;
    yyjson_doc *doc;

    ask_raw(*state, classic, HEAD, "{\"model\":\"ignored\"," HI "}", &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(strlen(reply_header(&reply, "apim-request-id")), 16);
    doc = parse_json(buf_span(&reply.body));
    assert_at(doc, "/model", "small");
    assert_at(doc, "/choices/0/message/content", "echo: hi #08ba5f07b55ec3da");
    assert_at(doc, "/choices/0/content_filter_results/hate/severity", "safe");
    assert_int_equal(number_at(doc, "/prompt_filter_results/0/prompt_index"), 0);
    yyjson_doc_free(doc);
    reply_free(&reply);

    doc = ask_for(*state, second, "Authorization: Bearer sk-1\r\n", "{\"model\":\"large\"," HI "}",
                  200);
    assert_at(doc, "/model", "large");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/openai/deployments/e/embeddings?api-version=1", HEAD,
                  "{\"input\":\"x\",\"dimensions\":2}", 200);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/data/0/embedding")), 2);
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/openai/v1/models", HEAD, NULL, 200);
    assert_at(doc, "/object", "list");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/openai/v1/responses", HEAD, "{\"model\":\"m\",\"input\":\"hi\"}", 200);
    assert_at(doc, "/object", "response");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/openai/responses?api-version=1", HEAD,
                  "{\"model\":\"m\",\"input\":\"hi\"}", 200);
    assert_at(doc, "/object", "response");
    yyjson_doc_free(doc);
    doc = ask_for(*state, "/openai/models?api-version=1", HEAD, NULL, 200);
    assert_at(doc, "/object", "list");
    yyjson_doc_free(doc);
}

static void a_stream_begins_with_an_odd_chunk(void **state)
{
    struct frames frames;

    ask_frames(*state, classic, HEAD,
               "{\"stream\":true,\"stream_options\":{\"include_usage\":true}," HI "}", "\n\n",
               &frames);
    assert_int_equal(frames.count, 1 + 1 + 3 + 1 + 1 + 1);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(frames.at[0].doc, "/choices")), 0);
    assert_at(frames.at[0].doc, "/id", "");
    assert_true(has_at(frames.at[0].doc, "/prompt_filter_results/0/content_filter_results"));
    assert_false(has_at(frames.at[1].doc, "/prompt_filter_results"));
    assert_int_equal(
        yyjson_obj_size(yyjson_doc_ptr_get(frames.at[1].doc, "/choices/0/content_filter_results")),
        0);
    assert_true(has_at(frames.at[2].doc, "/choices/0/content_filter_results/violence"));
    assert_at(frames.at[5].doc, "/choices/0/finish_reason", "stop");
    assert_int_equal(number_at(frames.at[6].doc, "/usage/completion_tokens"), 3);
    assert_null(frames.at[7].doc);
    frames_free(&frames);
}

static void what_is_not_there_is_404(void **state)
{
    static const char *const paths[] = {
        "/openai/deployments/small/chat/completions",
        "/openai/deployments/small/chat/completions?api-version=",
        "/openai/deployments/small/audio/speech?api-version=1",
        "/openai/chat/completions",
    };
    struct play play;
    yyjson_doc *doc;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        doc = ask_for(*state, paths[i], HEAD, "{" HI "}", 404);
        assert_at(doc, "/error/code", "404");
        assert_at(doc, "/error/message", "Resource not found");
        yyjson_doc_free(doc);
    }
    play_begin(&play, "models: [small]");
    doc = ask_for(&play, "/openai/deployments/gone/chat/completions?api-version=1", HEAD,
                  "{" HI "}", 404);
    assert_at(doc, "/error/code", "DeploymentNotFound");
    yyjson_doc_free(doc);
    play_end(&play);
}

static void failures_have_their_own_words(void **state)
{
    static const struct fault_row rows[] = {
        {"invalid_api_key", 401, "{\"error\":{\"code\":\"401\",\"message\":\"Access denied"},
        {"{fault: rate_limit, retry_after: 45s}", 429, "Please retry after 45 seconds."},
        {"token_limit", 429, "{\"error\":{\"code\":\"429\""},
        {"content_filter", 400, "\"code\":\"ResponsibleAIPolicyViolation\""},
        {"server_error", 500, "\"code\":\"InternalServerError\""},
        {"context_length", 400, "\"code\":\"context_length_exceeded\""},
        {"blocked", 200, "\"finish_reason\":\"content_filter\""},
    };
    struct reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_faulty(&rows[i], "", classic, HEAD, "{" HI "}", &reply);
        if (i == 1) {
            assert_string_equal(reply_header(&reply, "retry-after"), "45");
            assert_string_equal(reply_header(&reply, "retry-after-ms"), "45000");
        }
        yyjson_doc_free(parse_json(buf_span(&reply.body)));
        reply_free(&reply);
    }
}

static void limits_are_whole_seconds(void **state)
{
    struct play play;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {limits: {rpm: 5, tpm: 60}}");
    ask_raw(&play, classic, HEAD, "{" HI "}", &reply);
    assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-requests"), "4");
    assert_string_equal(reply_header(&reply, "x-ratelimit-remaining-tokens"), "49");
    assert_string_equal(reply_header(&reply, "x-ratelimit-reset-tokens"), "11");
    reply_free(&reply);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY_TEST(deployments_answer),
        PLAY_TEST(a_stream_begins_with_an_odd_chunk),
        PLAY_TEST(what_is_not_there_is_404),
        cmocka_unit_test(failures_have_their_own_words),
        cmocka_unit_test(limits_are_whole_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
