/* What requests show of themselves by names, and parameters that are added where a client sends
 * none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/additions.h"
#include "json/tree.h"

static struct json_scan scan;

/* Reads a request in pieces of so many bytes. */
static void read_in(struct request_scan *request, enum form form, const char *body, size_t piece)
{
    size_t len = strlen(body);

    request_scan_init(request, form, &scan);
    request_scan_look_for_signs(request);
    assert_true(json_watchlist_is_sound(scan.list));
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(
            request_scan_feed(request, span_of(body + at, len - at < piece ? len - at : piece)), 0);
    assert_int_equal(request_scan_finish(request), 0);
}

static struct request_scan of(enum form form, const char *body)
{
    struct request_scan whole, cut;

    read_in(&whole, form, body, strlen(body));
    read_in(&cut, form, body, 1);
    assert_int_equal(whole.signs, cut.signs);
    assert_int_equal(whole.text_chars, cut.text_chars);
    return whole;
}

static uint64_t media(enum form form, const char *body)
{
    const struct request_scan request = of(form, body);

    return request.signs &
           (1u << REQUEST_HAS_IMAGE | 1u << REQUEST_HAS_AUDIO | 1u << REQUEST_HAS_SCHEMA);
}

/* ---- signs ---- */

static void media_are_seen(void **state)
{
    const uint64_t image = 1u << REQUEST_HAS_IMAGE, audio = 1u << REQUEST_HAS_AUDIO;

    assert_int_equal(media(FORM_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                                      "\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}"),
                     image);
    assert_int_equal(media(FORM_CHAT, "{\"messages\":[{\"content\":[{\"type\":\"input_audio\","
                                      "\"input_audio\":{}}]}]}"),
                     audio);
    assert_int_equal(media(FORM_CHAT, "{\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{"
                                      "\"file\\u005fdata\":\"x\"}}]}]}"),
                     image);
    assert_int_equal(media(FORM_RESPONSES, "{\"input\":[{\"content\":[{\"type\":\"input_image\","
                                           "\"image_url\":\"x\"}]}]}"),
                     image);
    assert_int_equal(media(FORM_MESSAGES, "{\"messages\":[{\"content\":[{\"type\":\"image\","
                                          "\"source\":{\"type\":\"url\",\"url\":\"x\"}}]}]}"),
                     image);
    assert_int_equal(media(FORM_GENERATE, "{\"contents\":[{\"parts\":[{\"inline_data\":{}}]}]}"),
                     image);
}

static void words_are_no_media(void **state)
{
    assert_int_equal(media(FORM_CHAT, "{\"messages\":[{\"content\":\"image_url, \\\"image_url\\\":"
                                      " source\"}],\"image_url\":1}"),
                     0);
    /* Of a tool's schema, which is no message. */
    assert_int_equal(media(FORM_CHAT, "{\"messages\":[],\"tools\":[{\"function\":{\"parameters\":{"
                                      "\"properties\":{\"image_url\":{}}}}}]}"),
                     0);
    assert_int_equal(media(FORM_MESSAGES, "{\"messages\":[],\"metadata\":{\"source\":1}}"), 0);
}

static void schemas_are_seen(void **state)
{
    const uint64_t schema = 1u << REQUEST_HAS_SCHEMA;

    assert_int_equal(media(FORM_CHAT, "{\"messages\":[],\"response_format\":{\"type\":"
                                      "\"json_schema\",\"json_schema\":{}}}"),
                     schema);
    assert_int_equal(
        media(FORM_CHAT, "{\"messages\":[],\"response_format\":{\"type\":\"json_object\"}}"), 0);
    assert_int_equal(media(FORM_RESPONSES, "{\"input\":\"x\",\"text\":{\"format\":{\"type\":"
                                           "\"json_schema\",\"schema\":{}}}}"),
                     schema);
    assert_int_equal(
        media(FORM_RESPONSES, "{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"text\"}}}"), 0);
    assert_int_equal(
        media(FORM_MESSAGES, "{\"messages\":[],\"output_config\":{\"format\":{\"schema\":{}}}}"),
        schema);
    assert_int_equal(
        media(FORM_GENERATE, "{\"contents\":[],\"generationConfig\":{\"responseSchema\":{}}}"),
        schema);
}

static void tools_are_offered(void **state)
{
    const struct request_scan none = of(FORM_CHAT, "{\"messages\":[],\"tools\":[]}"),
                              some = of(FORM_CHAT, "{\"messages\":[],\"tools\":[{}]}"),
                              older = of(FORM_CHAT, "{\"messages\":[],\"functions\":[{}]}"),
                              empty = of(FORM_CHAT, "{\"messages\":[],\"functions\":[]}");

    assert_false(request_scan_has_tools(&none));
    assert_true(request_scan_has_tools(&some));
    assert_true(request_scan_has_tools(&older));
    assert_false(request_scan_has_tools(&empty));
}

static void characters_are_counted_and_not_bytes(void **state)
{
    assert_int_equal(of(FORM_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"h\xc3\xa9\\n"
                                   "\\u4e2d\\ud83d\\ude00\"}]}")
                         .text_chars,
                     5);
    assert_int_equal(of(FORM_MESSAGES, "{\"system\":\"abc\",\"messages\":[{\"content\":[{\"type\":"
                                       "\"text\",\"text\":\"de\"}]}]}")
                         .text_chars,
                     5);
    assert_int_equal(of(FORM_GENERATE, "{\"systemInstruction\":{\"parts\":[{\"text\":\"abc\"}]},"
                                       "\"contents\":[{\"parts\":[{\"text\":\"de\"}]}]}")
                         .text_chars,
                     5);
    assert_int_equal(of(FORM_RESPONSES, "{\"instructions\":\"abc\",\"input\":\"de\"}").text_chars,
                     5);
}

/* ---- additions ---- */

static const struct conf_set all = {
    .max_tokens = SPAN_INIT("77"),
    .temperature = SPAN_INIT("0.5"),
    .top_p = SPAN_INIT("1"),
    .top_k = SPAN_INIT("9"),
    .seed = SPAN_INIT("3"),
    .presence_penalty = SPAN_INIT("-0.5"),
    .frequency_penalty = SPAN_INIT("2"),
    .reasoning_effort = SPAN_INIT("low"),
};

/* The body with what is added, and the model's name edited where the scan says that it stands: the
 * result must be JSON. */
static const char *add(enum form form, const struct conf_set *set, bool is_old, const char *body)
{
    static char text[4096];
    struct request_scan request = of(form, body);
    struct additions additions;
    struct request_edits edits;
    yyjson_doc *doc;

    additions_of(&request, set, is_old, &additions);
    snprintf(text, sizeof(text), "%.*s%.*s%s", (int)additions.offset, body, (int)additions.len,
             additions.text, body + additions.offset);
    doc = yyjson_read(text, strlen(text), 0);
    if (!doc)
        fail_msg("no JSON: %s", text);
    yyjson_doc_free(doc);
    if (!additions.len)
        return text;
    additions_note(&request, set, &additions);
    assert_int_equal(request_scan_edit(&request, SPAN("other"), true, &edits), 0);
    for (size_t i = 0; i < edits.count; i++) {
        const struct dialect_edit *edit = &edits.at[i];

        /* What is taken out is a whole value, and what is put in stands behind a brace or a comma.
         */
        if (edit->remove)
            assert_true(text[edit->offset - 1] == ':' || text[edit->offset - 1] == ' ');
        else
            assert_true(text[edit->offset - 1] == '{');
    }
    return text;
}

static void each_form_has_its_own_names(void **state)
{
    assert_string_equal(add(FORM_CHAT, &all, false, "{\"model\":\"m\",\"messages\":[]}"),
                        "{\"max_completion_tokens\":77,\"temperature\":0.5,\"top_p\":1,\"seed\":3,"
                        "\"presence_penalty\":-0.5,\"frequency_penalty\":2,"
                        "\"reasoning_effort\":\"low\",\"model\":\"m\",\"messages\":[]}");
    assert_string_equal(add(FORM_RESPONSES, &all, false, "{\"model\": \"m\",\"input\":\"x\"}"),
                        "{\"max_output_tokens\":77,\"temperature\":0.5,\"top_p\":1,"
                        "\"model\": \"m\",\"input\":\"x\"}");
    assert_string_equal(add(FORM_MESSAGES, &all, false, "{\"max_tokens\":5,\"messages\":[]}"),
                        "{\"temperature\":0.5,\"top_p\":1,\"top_k\":9,\"max_tokens\":5,"
                        "\"messages\":[]}");
    assert_string_equal(add(FORM_COMPLETIONS, &all, false, "{\"prompt\":\"x\",\"seed\":1}"),
                        "{\"max_tokens\":77,\"temperature\":0.5,\"top_p\":1,"
                        "\"presence_penalty\":-0.5,\"frequency_penalty\":2,\"prompt\":\"x\","
                        "\"seed\":1}");
    assert_string_equal(add(FORM_EMBEDDINGS, &all, false, "{\"input\":\"x\"}"),
                        "{\"input\":\"x\"}");
}

static void what_the_client_says_stays(void **state)
{
    const struct conf_set most = {.max_tokens = SPAN_INIT("77")};

    assert_string_equal(add(FORM_CHAT, &most, true, "{\"messages\":[]}"),
                        "{\"max_tokens\":77,\"messages\":[]}");
    assert_string_equal(add(FORM_CHAT, &most, true, "{\"max_completion_tokens\":5}"),
                        "{\"max_completion_tokens\":5}");
    assert_string_equal(add(FORM_CHAT, &most, false, "{\"max_tokens\":5}"), "{\"max_tokens\":5}");
    assert_string_equal(add(FORM_CHAT, &most, false, "{\"max_tokens\":null}"),
                        "{\"max_tokens\":null}");
    assert_string_equal(add(FORM_CHAT, &most, false, "{}"), "{\"max_completion_tokens\":77}");
    /* The same name deeper in is another's. */
    assert_string_equal(add(FORM_CHAT, &most, true, "{\"metadata\":{\"max_tokens\":5}}"),
                        "{\"max_tokens\":77,\"metadata\":{\"max_tokens\":5}}");
}

static void gemini_s_stand_in_its_config(void **state)
{
    const struct conf_set set = {.max_tokens = SPAN_INIT("7"), .top_p = SPAN_INIT("1")};

    assert_string_equal(
        add(FORM_GENERATE, &set, false, "{\"contents\":[]}"),
        "{\"generationConfig\":{\"maxOutputTokens\":7,\"topP\":1},\"contents\":[]}");
    assert_string_equal(add(FORM_GENERATE, &set, false, "{}"),
                        "{\"generationConfig\":{\"maxOutputTokens\":7,\"topP\":1}}");
    assert_string_equal(add(FORM_GENERATE, &set, false, "{\"generationConfig\":{}}"),
                        "{\"generationConfig\":{\"maxOutputTokens\":7,\"topP\":1}}");
    assert_string_equal(
        add(FORM_GENERATE, &set, false, "{\"contents\":[],\"generationConfig\": {\"top_p\":0.5}}"),
        "{\"contents\":[],\"generationConfig\": {\"maxOutputTokens\":7,"
        "\"top_p\":0.5}}");
    assert_string_equal(add(FORM_GENERATE, &set, false,
                            "{\"generationConfig\":{\"topP\":0.5,\"maxOutputTokens\":1}}"),
                        "{\"generationConfig\":{\"topP\":0.5,\"maxOutputTokens\":1}}");
    /* However it is spelled: it may not stand there twice. */
    assert_string_equal(add(FORM_GENERATE, &set, false, "{\"generation_config\":{}}"),
                        "{\"generation_config\":{\"maxOutputTokens\":7,\"topP\":1}}");
    assert_string_equal(
        add(FORM_GENERATE, &set, false, "{\"generation_config\":{\"max_output_tokens\":1}}"),
        "{\"generation_config\":{\"topP\":1,\"max_output_tokens\":1}}");
}

static void what_is_added_is_reserved(void **state)
{
    const struct conf_set set = {.max_tokens = SPAN_INIT("77")};
    struct request_scan request = of(FORM_CHAT, "{\"messages\":[],\"n\":2}");
    struct additions additions;

    additions_of(&request, &set, false, &additions);
    additions_note(&request, &set, &additions);
    assert_int_equal(request_scan_max_tokens(&request), 154);
    request = of(FORM_CHAT, "{\"max_tokens\":5}");
    additions_of(&request, &set, false, &additions);
    assert_int_equal(additions.len, 0);
    assert_int_equal(request_scan_max_tokens(&request), 5);
}

/* Every value as long as it may be. */
static void all_of_it_fits(void **state)
{
    const struct span longest = SPAN("-2147483647.123456");
    const struct conf_set set = {longest, longest, longest, longest,
                                 longest, longest, longest, SPAN("minimal")};

    assert_non_null(strstr(add(FORM_CHAT, &set, false, "{}"), "\"reasoning_effort\":\"minimal\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_are_seen),
        cmocka_unit_test(words_are_no_media),
        cmocka_unit_test(schemas_are_seen),
        cmocka_unit_test(tools_are_offered),
        cmocka_unit_test(characters_are_counted_and_not_bytes),
        cmocka_unit_test(each_form_has_its_own_names),
        cmocka_unit_test(what_the_client_says_stays),
        cmocka_unit_test(gemini_s_stand_in_its_config),
        cmocka_unit_test(what_is_added_is_reserved),
        cmocka_unit_test(all_of_it_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
