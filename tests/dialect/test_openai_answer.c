/* Whole answers: usage, errors in spite of a 200, and whether they are whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/openai_answer.h"

/* Fed byte by byte: what holds then holds in any pieces, by the scanner's own tests. */
static int read_answer(struct openai_answer *answer, const char *body)
{
    openai_answer_init(answer);
    assert_true(json_watchlist_is_sound(answer->scan.list));
    for (size_t i = 0; body[i]; i++)
        (void)openai_answer_feed(answer, span_of(body + i, 1));
    return openai_answer_finish(answer);
}

static struct dialect_usage usage_of(const char *body)
{
    struct openai_answer answer;
    struct dialect_usage usage;

    assert_int_equal(read_answer(&answer, body), 0);
    openai_answer_usage(&answer, &usage);
    return usage;
}

static void test_usage(void **state)
{
    struct dialect_usage usage = usage_of(
        "{\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
        "\"completion_tokens\":2,\"total_tokens\":11,\"prompt_tokens_details\":{\"cached_tokens\":"
        "4},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":1}}}");

    assert_true(usage.is_known);
    assert_false(usage.is_estimated);
    assert_int_equal(usage.prompt_tokens, 9);
    assert_int_equal(usage.completion_tokens, 2);
    assert_int_equal(usage.total_tokens, 11);
    assert_int_equal(usage.cached_tokens, 4);
    assert_int_equal(usage.reasoning_tokens, 1);
}

static void test_usage_of_other_providers(void **state)
{
    /* DeepSeek */
    assert_int_equal(usage_of("{\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":1,"
                              "\"total_tokens\":9,\"prompt_cache_hit_tokens\":6}}")
                         .cached_tokens,
                     6);
    /* Groq, with its floats */
    assert_int_equal(
        usage_of("{\"x_groq\":{\"id\":\"r\",\"usage\":{\"queue_time\":0.01,\"prompt_tokens\":3,"
                 "\"completion_tokens\":4,\"total_tokens\":7}}}")
            .total_tokens,
        7);
    /* Embeddings have no completion. */
    assert_int_equal(usage_of("{\"object\":\"list\",\"data\":[{\"embedding\":\"AAAA\"}],"
                              "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}")
                         .total_tokens,
                     5);
    /* Without a total it is the sum. */
    assert_int_equal(
        usage_of("{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}").total_tokens, 11);
}

static void test_what_it_was_served_at(void **state)
{
    struct dialect_usage usage =
        usage_of("{\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":9,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":3}}}");

    assert_int_equal(usage.tier, DIALECT_TIER_FLEX);
    assert_int_equal(usage.cached_tokens, 4);
    assert_int_equal(usage.cache_write_tokens, 3);
    usage = usage_of("{\"usage\":{\"prompt_tokens\":9},\"service_tier\":\"priority\"}");
    assert_int_equal(usage.tier, DIALECT_TIER_PRIORITY);
    assert_int_equal(usage.cache_write_tokens, 0);
    usage = usage_of("{\"usage\":{\"prompt_tokens\":9},\"service_tier\":\"batch\"}");
    assert_int_equal(usage.tier, DIALECT_TIER_BATCH);
    usage = usage_of("{\"usage\":{\"prompt_tokens\":9},\"service_tier\":\"default\"}");
    assert_int_equal(usage.tier, DIALECT_TIER_STANDARD);
    usage = usage_of("{\"usage\":{\"prompt_tokens\":9},\"service_tier\":null}");
    assert_int_equal(usage.tier, DIALECT_TIER_STANDARD);
    usage =
        usage_of("{\"usage\":{\"prompt_tokens\":9},\"service_tier\":\"a-very-long-word-indeed\"}");
    assert_int_equal(usage.tier, DIALECT_TIER_STANDARD);
}

static void test_no_usage(void **state)
{
    assert_false(usage_of("{\"choices\":[]}").is_known);
    assert_false(usage_of("{\"usage\":null}").is_known);
    assert_false(usage_of("{\"usage\":{}}").is_known);
    assert_false(usage_of("{\"usage\":{\"prompt_tokens\":\"5\"}}").is_known);
    assert_false(usage_of("{\"usage\":{\"prompt_tokens\":-5}}").is_known);
    assert_false(usage_of("{\"x\":{\"usage\":{\"prompt_tokens\":5}}}").is_known);
}

static void test_blank_lines_may_come_first(void **state)
{
    struct openai_answer answer;

    openai_answer_init(&answer);
    assert_int_equal(openai_answer_feed(&answer, SPAN("\n\n\r\n ")), 0);
    assert_false(openai_answer_has_begun(&answer));
    assert_int_equal(openai_answer_feed(&answer, SPAN("{\"a\":1}\n")), 0);
    assert_true(openai_answer_has_begun(&answer));
    assert_int_equal(openai_answer_finish(&answer), 0);
}

static void test_what_is_no_answer(void **state)
{
    struct openai_answer answer;

    assert_int_equal(read_answer(&answer, ""), ERR_SYNTAX);
    assert_int_equal(read_answer(&answer, "<html>"), ERR_SYNTAX);
    assert_int_equal(read_answer(&answer, "[]"), ERR_SYNTAX);
    assert_int_equal(read_answer(&answer, "{\"choices\":[{\"index\":0"), ERR_SYNTAX);
}

static void assert_error(const char *body, const char *message, const char *code)
{
    struct openai_answer answer;
    struct dialect_error error;

    assert_int_equal(read_answer(&answer, body), 0);
    assert_true(openai_answer_error(&answer, &error));
    assert_true(error.is_json);
    assert_true(span_is_equal(dialect_error_message(&error), span_from_text(message)));
    assert_true(span_is_equal(dialect_error_code(&error), span_from_text(code)));
}

static void test_errors_in_spite_of_200(void **state)
{
    assert_error("{\"error\":{\"message\":\"m\",\"code\":\"c\"}}", "m", "c");
    assert_error("{\"error\":\"m\\n\"}", "m\n", "");
    assert_error("{\"choices\":[{\"index\":0,\"error\":{\"code\":502,\"message\":\"m\"},"
                 "\"finish_reason\":\"error\"}]}",
                 "m", "502");
    assert_error("{\"choices\":[{\"index\":0,\"finish_reason\":\"error\"}]}", "", "");
    assert_error("{\"x_groq\":{\"error\":\"over capacity\"}}", "over capacity", "");
    assert_error("{\"error\":{\"message\":\"first\"},\"choices\":[{\"error\":\"second\"}]}",
                 "second", "");
    assert_error("{\"choices\":[{\"error\":{\"message\":\"first\"}}],\"error\":\"second\"}",
                 "second", "");
}

static void test_no_error(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":null}",
        "{\"error\":\"\"}",
        "{\"error\":{}}",
        "{\"error\":false}",
        "{\"choices\":[{\"error\":null,\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"error\":\"x\",\"content\":\"error\"}}]}",
        "{\"x\":{\"error\":\"y\"}}",
    };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct openai_answer answer;
        struct dialect_error error;

        assert_int_equal(read_answer(&answer, bodies[i]), 0);
        assert_false(openai_answer_error(&answer, &error));
    }
}

static void test_an_error_too_long_to_keep_is_still_one(void **state)
{
    char body[4 * OPENAI_ERROR_BYTES];
    struct openai_answer answer;
    struct dialect_error error;

    memset(body, 'x', sizeof(body));
    memcpy(body, "{\"error\":{\"message\":\"", 21);
    memcpy(body + sizeof(body) - 4, "\"}}", 4);
    assert_int_equal(read_answer(&answer, body), 0);
    assert_true(openai_answer_error(&answer, &error));
    assert_int_equal(error.message_len, 0);
}

static void test_finish_reasons_are_kept_by_choice(void **state)
{
    struct openai_answer answer;

    assert_int_equal(read_answer(&answer, "{\"choices\":[{\"index\":1,\"finish_reason\":\"stop\"},"
                                          "{\"index\":0,\"finish_reason\":null},"
                                          "{\"index\":2,\"finish_reason\":\"\"},"
                                          "{\"index\":70,\"finish_reason\":\"length\"},"
                                          "{\"index\":700,\"finish_reason\":\"length\"}]}"),
                     0);
    assert_int_equal(answer.choices.finished[0], 1 << 1);
    assert_int_equal(answer.choices.finished[1], 1 << (70 - 64));
}

static void test_text_is_counted(void **state)
{
    struct openai_answer answer;

    assert_int_equal(
        read_answer(&answer,
                    "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"12345\","
                    "\"tool_calls\":[{\"id\":\"x\",\"function\":{\"name\":\"f\","
                    "\"arguments\":\"{\\\"a\\\":1}\"}}]}}],\"content\":\"no\"}"),
        0);
    assert_int_equal(openai_answer_text_bytes(&answer), 5 + 7);
    assert_false(openai_answer_has_no_choices(&answer));
    assert_int_equal(read_answer(&answer, "{\"choices\":[]}"), 0);
    assert_true(openai_answer_has_no_choices(&answer));
    assert_int_equal(read_answer(&answer, "{}"), 0);
    assert_false(openai_answer_has_no_choices(&answer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_usage_of_other_providers),
        cmocka_unit_test(test_what_it_was_served_at),
        cmocka_unit_test(test_no_usage),
        cmocka_unit_test(test_blank_lines_may_come_first),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_errors_in_spite_of_200),
        cmocka_unit_test(test_no_error),
        cmocka_unit_test(test_an_error_too_long_to_keep_is_still_one),
        cmocka_unit_test(test_finish_reasons_are_kept_by_choice),
        cmocka_unit_test(test_text_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
