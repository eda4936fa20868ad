/* What of a provider's words is hidden, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/mask.h"

static void assert_masked(const char *text, const char *expected)
{
    char out[512];
    struct span masked = mask_ids(span_from_text(text), out, sizeof(out));

    if (!span_is_equal(masked, span_from_text(expected)))
        fail_msg("'%s' became '%.*s'", text, SPAN_ARG(masked));
}

static void test_keys(void **state)
{
    assert_masked("Incorrect API key provided: sk-proj-Ab12*******wxyz. You can find your key at x",
                  "Incorrect API key provided: sk-***. You can find your key at x");
    assert_masked("Incorrect API key provided: sk-...9f3c.", "Incorrect API key provided: sk-***.");
    assert_masked("key 'sk-ant-api03-AbCdEfGh\xE2\x80\xA6wxyz', no", "key 'sk-***', no");
    assert_masked("Authentication Fails, Your api key: ****1a2b is invalid",
                  "Authentication Fails, Your api key: *** is invalid");
    assert_masked("Incorrect API key provided: xa***1f.", "Incorrect API key provided: ***.");
    assert_masked(
        "Permission denied: Consumer 'api_key:AIzaSyD-9tSrke72PouQMnMX' has been suspended.",
        "Permission denied: Consumer 'api_key:AIza***' has been suspended.");
    assert_masked("sk-aB3dE6gH9", "sk-***");
}

static void test_organisations(void **state)
{
    assert_masked("Rate limit reached for gpt-4.1 in organization org-AbCdEfGhIjKlMnOpQrStUvWx on "
                  "tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again "
                  "in 2s.",
                  "Rate limit reached for gpt-4.1 in organization org-*** on tokens per min (TPM): "
                  "Limit 30000, Used 29000, Requested 2000. Please try again in 2s.");
    assert_masked("Project `proj_a1b2c3` does not have access to model `gpt-5`",
                  "Project `proj_***` does not have access to model `gpt-5`");
    assert_masked("has not been used in project 123456789012 before. Enable it by visiting "
                  "https://console.example/overview?project=123456789012 then retry.",
                  "has not been used in project *** before. Enable it by visiting "
                  "https://console.example/overview?project=*** then retry.");
    assert_masked("for consumer 'project_number:123456789012'.",
                  "for consumer 'project_number:***'.");
    assert_masked("org-1234 and org-5678", "org-*** and org-***");
}

static void test_what_is_no_id(void **state)
{
    static const char *const plain[] = {
        "",
        "Overloaded",
        "an org-wide limit, a task-12345678, ask-me-1234567, scikit's sk-learn-like words",
        "project 7 of 9, projects/x, the project is new",
        "**bold** text and 2 ** 3 * 4, *** stars ***",
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
        "messages.0.content.1.image.source.base64.data: Field required",
        "claude-sonnet-4-5-20250929 is not a model; try gpt-4.1-mini-2025-04-14",
    };

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        struct span text = span_from_text(plain[i]);
        char out[256];
        struct span masked = mask_ids(text, out, sizeof(out));

        if (masked.ptr != text.ptr || masked.len != text.len)
            fail_msg("'%s' became '%.*s'", plain[i], SPAN_ARG(masked));
    }
}

static void test_a_copy_that_does_not_fit_is_cut(void **state)
{
    char out[16];
    struct span masked =
        mask_ids(SPAN("org-12345678 \xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8\xAD"), out, 13);

    assert_int_equal(masked.len, 11); /* "org-*** " and one character */
    assert_memory_equal(masked.ptr, "org-*** \xE4\xB8\xAD", 11);
    masked = mask_ids(SPAN("org-12345678"), out, 0);
    assert_int_equal(masked.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_organisations),
        cmocka_unit_test(test_what_is_no_id),
        cmocka_unit_test(test_a_copy_that_does_not_fit_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
