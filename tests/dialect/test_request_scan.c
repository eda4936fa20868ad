/* Requests: what is read from them, why they are refused, how they are edited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/request_scan.h"
#include "json/tree.h"

/* Of the request read last. */
static struct json_scan scan;

static int read_as(struct request_scan *request, enum form form, const char *body)
{
    request_scan_init(request, form, &scan);
    assert_true(json_watchlist_is_sound(scan.list));
    (void)request_scan_feed(request, span_from_text(body));
    return request_scan_finish(request);
}

static void chat(struct request_scan *request, const char *body)
{
    assert_int_equal(read_as(request, FORM_CHAT, body), 0);
}

static void test_reads_a_chat_request(void **state)
{
    struct request_scan request;

    chat(&request,
         "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"hello!\"}],"
         "\"stream\":true,\"n\":2,\"max_tokens\":9,\"unknown\":{\"model\":1}}");
    assert_true(span_is_equal(request_scan_model(&request), SPAN("gpt-4.1")));
    assert_true(request_scan_is_streaming(&request));
    assert_false(request_scan_wants_usage(&request));
    assert_int_equal(request_scan_choices(&request), 2);
    assert_int_equal(request_scan_max_tokens(&request), 18); /* of both choices */
    assert_int_equal(request_scan_estimate_tokens(&request), 2);
}

static void test_reads_what_is_absent(void **state)
{
    struct request_scan request;

    chat(&request, "{}");
    assert_null(request_scan_model(&request).ptr);
    assert_false(request_scan_is_streaming(&request));
    assert_int_equal(request_scan_choices(&request), 1);
    assert_int_equal(request_scan_max_tokens(&request), 0);
    assert_int_equal(request_scan_estimate_tokens(&request), 0);
    chat(&request, "{\"model\":null,\"stream\":null,\"stream_options\":null,\"n\":null}");
    assert_null(request_scan_model(&request).ptr);
    assert_false(request_scan_is_streaming(&request));
    assert_int_equal(request_scan_choices(&request), 1);
}

static void test_bounds_what_is_counted(void **state)
{
    struct request_scan request;

    chat(&request, "{\"n\":100000,\"max_tokens\":-5}");
    assert_int_equal(request_scan_choices(&request), REQUEST_CHOICES_MAX);
    assert_int_equal(request_scan_max_tokens(&request), 0);
    chat(&request, "{\"max_completion_tokens\":7,\"max_tokens\":9,\"n\":0}");
    assert_int_equal(request_scan_max_tokens(&request), 7);
    assert_int_equal(request_scan_choices(&request), 1);
    chat(&request, "{\"max_tokens\":99999999999999999999,\"n\":99999999999999999999}");
    assert_true(request_scan_max_tokens(&request) ==
                UINT64_C(1000000000000000) * REQUEST_CHOICES_MAX);
}

/* Choices that are written and not returned are paid for. */
static void test_best_of(void **state)
{
    struct request_scan request;

    assert_int_equal(read_as(&request, FORM_COMPLETIONS,
                             "{\"prompt\":\"a\",\"max_tokens\":10,\"n\":2,\"best_of\":5}"),
                     0);
    assert_int_equal(request_scan_max_tokens(&request), 50);
    assert_int_equal(request_scan_max_tokens_each(&request), 10);
    assert_int_equal(request_scan_written(&request), 5);
    assert_int_equal(request_scan_choices(&request), 2);
    assert_int_equal(
        read_as(&request, FORM_COMPLETIONS, "{\"best_of\":null,\"max_tokens\":10,\"n\":3}"), 0);
    assert_int_equal(request_scan_max_tokens(&request), 30);
    assert_int_equal(read_as(&request, FORM_COMPLETIONS, "{\"best_of\":1000000,\"max_tokens\":10}"),
                     0);
    assert_int_equal(request_scan_max_tokens(&request), 10 * REQUEST_CHOICES_MAX);
    assert_int_equal(request_scan_choices(&request), 1);
    /* Elsewhere it means nothing. */
    chat(&request, "{\"best_of\":\"x\",\"max_tokens\":10,\"n\":2}");
    assert_int_equal(request_scan_max_tokens(&request), 20);
    assert_true(read_as(&request, FORM_COMPLETIONS, "{\"best_of\":\"x\"}") < 0);
}

static void test_other_endpoints(void **state)
{
    struct request_scan request;

    assert_int_equal(read_as(&request, FORM_COMPLETIONS,
                             "{\"model\":\"m\",\"prompt\":[\"ab\",\"cd\"],\"stream\":true}"),
                     0);
    assert_int_equal(request_scan_estimate_tokens(&request), 1);
    assert_true(request_scan_is_streaming(&request));
    assert_int_equal(
        read_as(&request, FORM_COMPLETIONS, "{\"prompt\":[[1,2,3],[4]],\"messages\":1}"), 0);
    assert_int_equal(request_scan_estimate_tokens(&request), 4);
    assert_int_equal(read_as(&request, FORM_EMBEDDINGS, "{\"input\":\"text\",\"stream\":\"what\"}"),
                     0);
    assert_false(request_scan_is_streaming(&request));
    assert_int_equal(request_scan_estimate_tokens(&request), 1);
}

static void test_tools_count_as_tokens(void **state)
{
    struct request_scan request;

    chat(&request, "{\"messages\":[],\"tools\":[{\"a\":1}]}");
    assert_int_equal(request_scan_estimate_tokens(&request), 3);
}

/* Google reads its names in both spellings, and so must we: what is not seen is not counted. */
static void test_gemini_s_names_in_snake_case(void **state)
{
    struct request_scan request;

    assert_int_equal(
        read_as(&request, FORM_GENERATE,
                "{\"contents\":[],\"system_instruction\":{\"parts\":[{\"text\":\"be brief\"}]},"
                "\"generation_config\":{\"max_output_tokens\":9,\"candidate_count\":2}}"),
        0);
    assert_int_equal(request.text_chars, 8);
    assert_int_equal(request_scan_max_tokens(&request), 18);
    assert_int_equal(request_scan_max_tokens_each(&request), 9);
    assert_int_equal(request_scan_choices(&request), 2);
    assert_int_equal(
        read_as(&request, FORM_GENERATE, "{\"generationConfig\":{\"max_output_tokens\":9}}"), 0);
    assert_int_equal(request_scan_max_tokens(&request), 9);
    assert_int_equal(read_as(&request, FORM_MEASURE,
                             "{\"generate_content_request\":{\"contents\":"
                             "[{\"parts\":[{\"text\":\"twelve chars\"}]}]}}"),
                     0);
    assert_int_equal(request.text_chars, 12);
    /* It is Gemini's alone. */
    chat(&request, "{\"generation_config\":{\"max_output_tokens\":9}}");
    assert_int_equal(request_scan_max_tokens(&request), 0);
}

/* The body is read in two pieces, cut everywhere. */
static uint64_t signs_of(enum form form, const char *body)
{
    struct request_scan request;
    struct span whole = span_from_text(body);
    uint64_t signs = 0;

    for (size_t cut = 0; cut <= whole.len; cut++) {
        request_scan_init(&request, form, &scan);
        request_scan_look_for_signs(&request);
        assert_true(json_watchlist_is_sound(scan.list));
        assert_int_equal(request_scan_feed(&request, span_of(whole.ptr, cut)), 0);
        assert_int_equal(request_scan_feed(&request, span_skip(whole, cut)), 0);
        assert_int_equal(request_scan_finish(&request), 0);
        assert_true(cut == 0 || request.signs == signs);
        signs = request.signs;
    }
    return signs;
}

enum {
    SEEN = 1 << REQUEST_HAS_IMAGE,
    HEARD = 1 << REQUEST_HAS_AUDIO,
    KINDS = SEEN | HEARD,
};

#define PARTS(parts) "{\"contents\":[{\"parts\":[" parts "]}]}"

static unsigned kinds_of(const char *body)
{
    return (unsigned)signs_of(FORM_GENERATE, body) & KINDS;
}

/* What needs ears must not go to who can only see, nor the other way round. */
static void test_gemini_s_media_are_told_by_their_type(void **state)
{
    assert_int_equal(
        kinds_of(PARTS("{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"AA==\"}}")), HEARD);
    assert_int_equal(
        kinds_of(PARTS("{\"inline_data\":{\"data\":\"AA==\",\"mime_type\":\"Audio\\/l16;rate=24000"
                       ";channels=1;codec=pcm\"}}")),
        HEARD);
    assert_int_equal(kinds_of(PARTS("{\"inlineData\":{\"mimeType\":\"image/png\"}}")), SEEN);
    assert_int_equal(kinds_of(PARTS("{\"inlineData\":{\"mime_type\":\"application/pdf\"}}")), SEEN);
    assert_int_equal(kinds_of(PARTS("{\"fileData\":{\"mimeType\":\"video/mp4\"}}")), SEEN);
    assert_int_equal(kinds_of(PARTS("{\"fileData\":{\"fileUri\":\"https://example.com/v\"}}")),
                     SEEN);
    assert_int_equal(kinds_of(PARTS("{\"inlineData\":{\"mimeType\":\"image/png\"}},"
                                    "{\"inlineData\":{\"mimeType\":\"audio/mp3\"}}")),
                     SEEN | HEARD);
    assert_int_equal(kinds_of(PARTS("{\"inlineData\":{\"mimeType\":[\"audio/mp3\"]}}")), SEEN);
    /* Deep in a tool's result. */
    assert_int_equal(
        kinds_of(PARTS("{\"functionResponse\":{\"response\":{\"a\":[{\"b\":{\"inlineData\":"
                       "{\"mimeType\":\"audio/ogg\"}}}]}}}")),
        HEARD);
    /* A type where there are no media, and one that is asked for. */
    assert_int_equal(kinds_of(PARTS("{\"functionCall\":{\"args\":{\"mimeType\":\"audio/x\"}}}")),
                     0);
    assert_int_equal(
        kinds_of("{\"contents\":[],\"generationConfig\":{\"responseMimeType\":\"image/png\"}}"), 0);
}

static void test_signs_in_both_spellings(void **state)
{
    uint64_t signs = signs_of(FORM_GENERATE, "{\"contents\":[],\"generation_config\":{"
                                             "\"response_schema\":{},\"max_output_tokens\":5}}");

    assert_true(signs >> REQUEST_HAS_SCHEMA & 1);
    assert_true(signs >> REQUEST_SETS_MAX_TOKENS & 1);
    assert_false(signs >> REQUEST_SETS_TOP_P & 1);
    signs = signs_of(FORM_CHAT, "{\"messages\":[{\"content\":[{\"mimeType\":\"audio/x\","
                                "\"input_audio\":{}}]}]}");
    assert_true((signs & KINDS) == HEARD);
}

static void assert_refused(enum form form, const char *body, enum failure failure,
                           const char *param, const char *message)
{
    struct request_scan request;
    struct request_refusal refusal;

    assert_int_equal(read_as(&request, form, body), ERR_SYNTAX);
    request_scan_refusal(&request, &refusal);
    assert_int_equal(refusal.failure, failure);
    assert_true(span_is_equal(refusal.param, span_from_text(param)));
    assert_string_equal(refusal.message, message);
}

static void test_refusals_name_the_field(void **state)
{
    assert_refused(FORM_CHAT, "{\"model\":5}", FAILURE_FIELD_TYPE, "model",
                   "Invalid type for 'model': expected a string, but got a number instead.");
    assert_refused(FORM_CHAT, "{\"stream\":\"yes\"}", FAILURE_FIELD_TYPE, "stream",
                   "Invalid type for 'stream': expected a boolean, but got a string instead.");
    assert_refused(
        FORM_CHAT, "{\"stream_options\":[]}", FAILURE_FIELD_TYPE, "stream_options",
        "Invalid type for 'stream_options': expected an object, but got an array instead.");
    assert_refused(FORM_CHAT, "{\"stream_options\":{\"include_usage\":1}}", FAILURE_FIELD_TYPE,
                   "stream_options.include_usage",
                   "Invalid type for 'stream_options.include_usage': expected a boolean, but got a "
                   "number instead.");
    assert_refused(
        FORM_CHAT, "{\"messages\":\"hi\"}", FAILURE_FIELD_TYPE, "messages",
        "Invalid type for 'messages': expected an array of objects, but got a string instead.");
    assert_refused(FORM_COMPLETIONS, "{\"prompt\":{}}", FAILURE_FIELD_TYPE, "prompt",
                   "Invalid type for 'prompt': expected a string or an array, but got an object "
                   "instead.");
    assert_refused(FORM_CHAT, "{\"n\":true}", FAILURE_FIELD_TYPE, "n",
                   "Invalid type for 'n': expected an integer, but got a boolean instead.");
    assert_refused(FORM_CHAT, "{\"model\":\"a\",\"m\\u006fdel\":\"b\"}", FAILURE_FIELD_SPELLING,
                   "model",
                   "Invalid spelling of 'model': its name may not be written with escapes.");
    assert_refused(
        FORM_CHAT, "{\"stream_opt\\u0069ons\":{}}", FAILURE_FIELD_SPELLING, "stream_options",
        "Invalid spelling of 'stream_options': its name may not be written with escapes.");
    assert_refused(FORM_CHAT, "{\"model\":\"a\",\"model\":\"b\"}", FAILURE_FIELD_TWICE, "model",
                   "Duplicate parameter: 'model' may be given only once.");
    assert_refused(FORM_CHAT, "{\"stream\":true,\"stream\":true}", FAILURE_FIELD_TWICE, "stream",
                   "Duplicate parameter: 'stream' may be given only once.");
}

static void test_refusals_say_where(void **state)
{
    assert_refused(FORM_CHAT, "", FAILURE_BODY_EMPTY, NULL,
                   "The request body is empty; a JSON object is needed.");
    assert_refused(FORM_CHAT, "{\"a\":tru}", FAILURE_BODY_NOT_JSON, NULL,
                   "The request body is not valid JSON (at byte 8).");
    assert_refused(FORM_CHAT, "{\"a\":", FAILURE_BODY_NOT_JSON, NULL,
                   "The request body is not valid JSON (it ends at byte 5).");
    assert_refused(FORM_CHAT, "[]", FAILURE_BODY_NOT_OBJECT, NULL,
                   "The request body must be a JSON object (at byte 0).");
    assert_refused(FORM_CHAT, "{} {}", FAILURE_BODY_TRAILING, NULL,
                   "Something follows the JSON object of the request body (at byte 3).");
    assert_refused(FORM_CHAT, "{\"a\":\"\xC0\"}", FAILURE_BODY_NOT_UTF8, NULL,
                   "The request body is not valid UTF-8 (at byte 6).");
}

static void test_deep_nesting_is_refused(void **state)
{
    char body[REQUEST_DEPTH_MAX + 8] = "{\"a\":";
    struct request_scan request;
    struct request_refusal refusal;

    memset(body + 5, '[', REQUEST_DEPTH_MAX);
    assert_int_equal(read_as(&request, FORM_CHAT, body), ERR_SYNTAX);
    request_scan_refusal(&request, &refusal);
    assert_int_equal(refusal.failure, FAILURE_BODY_TOO_DEEP);
}

/* The body after its edits, as the sender writes it. */
static void apply(const struct request_edits *edits, const char *body, char *out, size_t cap)
{
    size_t at = 0, len = 0, body_len = strlen(body);

    for (size_t i = 0; i < edits->count; i++) {
        const struct dialect_edit *edit = &edits->at[i];

        assert_true(edit->offset >= at && edit->offset + edit->remove <= body_len);
        memcpy(out + len, body + at, edit->offset - at);
        len += edit->offset - at;
        memcpy(out + len, edit->insert.ptr, edit->insert.len);
        len += edit->insert.len;
        at = edit->offset + edit->remove;
    }
    assert_true(len + body_len - at < cap);
    memcpy(out + len, body + at, body_len - at);
    len += body_len - at;
    out[len] = '\0';
}

static void assert_edited(const char *body, const char *model, bool ask_usage, const char *expected)
{
    struct request_scan request;
    struct request_edits edits;
    struct json_tree tree;
    char out[1024];

    chat(&request, body);
    assert_int_equal(request_scan_edit(&request, span_from_text(model), ask_usage, &edits), 0);
    apply(&edits, body, out, sizeof(out));
    assert_string_equal(out, expected);
    assert_int_equal(json_tree_read(&tree, span_from_text(out), 1 << 20), 0);
    json_tree_fini(&tree);
}

static void test_the_model_is_renamed_and_nothing_else(void **state)
{
    assert_edited("{ \"x\" : [ 1.0 ] ,\"model\" :\t\"a\" , \"z\":{}}\n", "openai/b", true,
                  "{ \"x\" : [ 1.0 ] ,\"model\" :\t\"openai/b\" , \"z\":{}}\n");
    assert_edited("{\"model\":\"a\"}", "a", true, "{\"model\":\"a\"}");
    assert_edited("{\"model\":\"a\"}", NULL, true, "{\"model\":\"a\"}");
    assert_edited("{\"model\":\"a\"}", "q\"\\\n", true, "{\"model\":\"q\\\"\\\\\\n\"}");
    /* The same name in other letters stays in them. */
    assert_edited("{\"model\":\"\\u0061\"}", "a", true, "{\"model\":\"\\u0061\"}");
}

static void test_an_absent_model_is_put_in(void **state)
{
    assert_edited("{}", "b", false, "{\"model\":\"b\"}");
    assert_edited(" { \"n\":1}", "b", false, " {\"model\":\"b\", \"n\":1}");
    assert_edited("{\"model\":null}", "b", false, "{\"model\":\"b\"}");
    assert_edited("{\"stream\":true}", "b", true,
                  "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true},\"stream\":true}");
}

static void test_usage_is_asked_for(void **state)
{
    assert_edited("{\"model\":\"a\",\"stream\":true}", "a", true,
                  "{\"stream_options\":{\"include_usage\":true},\"model\":\"a\",\"stream\":true}");
    assert_edited("{\"stream_options\":{},\"model\":\"a\",\"stream\":true}", "b", true,
                  "{\"stream_options\":{\"include_usage\":true},\"model\":\"b\",\"stream\":true}");
    assert_edited("{\"stream\":true,\"stream_options\":{ \"include_obfuscation\":false},"
                  "\"model\":\"a\"}",
                  "b", true,
                  "{\"stream\":true,\"stream_options\":{\"include_usage\":true, "
                  "\"include_obfuscation\":false},\"model\":\"b\"}");
    assert_edited("{\"stream\":true,\"stream_options\":{\"include_usage\": false }}", NULL, true,
                  "{\"stream\":true,\"stream_options\":{\"include_usage\": true }}");
    assert_edited("{\"stream\":true,\"stream_options\":{\"include_usage\":null}}", NULL, true,
                  "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    assert_edited("{\"stream\":true,\"stream_options\": null}", NULL, true,
                  "{\"stream\":true,\"stream_options\": {\"include_usage\":true}}");
}

static void test_usage_is_not_asked_for_where_it_need_not_be(void **state)
{
    assert_edited("{\"stream\":true,\"stream_options\":{\"include_usage\":true}}", NULL, true,
                  "{\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    assert_edited("{\"stream\":true}", NULL, false, "{\"stream\":true}");
    assert_edited("{\"stream\":false}", NULL, true, "{\"stream\":false}");
    assert_edited("{}", NULL, true, "{}");
}

static void test_a_name_that_is_too_long_is_not_written(void **state)
{
    struct request_scan request;
    struct request_edits edits;
    char name[2000];

    memset(name, 'x', sizeof(name));
    chat(&request, "{\"model\":\"a\"}");
    assert_int_equal(request_scan_edit(&request, span_of(name, sizeof(name)), false, &edits),
                     ERR_FULL);
    /* And one that a client sends is cut: it can equal no name that is served. */
    memcpy(name, "{\"model\":\"", 10);
    memcpy(name + 1000, "\"}", 3);
    chat(&request, name);
    assert_int_equal(request_scan_model(&request).len, REQUEST_MODEL_MAX);
    assert_int_equal(request_scan_edit(&request, request_scan_model(&request), false, &edits), 0);
    assert_int_equal(edits.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_chat_request),
        cmocka_unit_test(test_reads_what_is_absent),
        cmocka_unit_test(test_bounds_what_is_counted),
        cmocka_unit_test(test_best_of),
        cmocka_unit_test(test_other_endpoints),
        cmocka_unit_test(test_tools_count_as_tokens),
        cmocka_unit_test(test_gemini_s_names_in_snake_case),
        cmocka_unit_test(test_gemini_s_media_are_told_by_their_type),
        cmocka_unit_test(test_signs_in_both_spellings),
        cmocka_unit_test(test_refusals_name_the_field),
        cmocka_unit_test(test_refusals_say_where),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_the_model_is_renamed_and_nothing_else),
        cmocka_unit_test(test_an_absent_model_is_put_in),
        cmocka_unit_test(test_usage_is_asked_for),
        cmocka_unit_test(test_usage_is_not_asked_for_where_it_need_not_be),
        cmocka_unit_test(test_a_name_that_is_too_long_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
