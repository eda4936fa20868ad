/* What the headers of an answer tell of limits, as providers really write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dialect/limit_header.h"

/* 20 November 2026, 10:15:00 UTC. */
#define WALL_US UINT64_C(1795169700000000)
#define SEC     UINT64_C(1000000)

#define HEADER(name, value)                                                                        \
    {                                                                                              \
        SPAN_INIT(name), SPAN_INIT(value)                                                          \
    }
#define READ(headers, told)                                                                        \
    limits_told_read(headers, sizeof(headers) / sizeof((headers)[0]), WALL_US, told)

static void test_openai(void **state)
{
    static const struct dialect_header headers[] = {
        HEADER("x-ratelimit-limit-requests", "10,000"),
        HEADER("x-ratelimit-limit-tokens", "200000"),
        HEADER("x-ratelimit-remaining-requests", "9999"),
        HEADER("x-ratelimit-remaining-tokens", "198500"),
        HEADER("x-ratelimit-reset-requests", "6ms"),
        HEADER("x-ratelimit-reset-tokens", "450ms"),
        HEADER("openai-organization", "org-7"),
    };
    struct limits_told told;

    assert_true(READ(headers, &told));
    assert_int_equal(told.items[LIMITS_REQUESTS].limit, 10000);
    assert_int_equal(told.items[LIMITS_REQUESTS].remaining, 9999);
    assert_int_equal(told.items[LIMITS_REQUESTS].reset_us, 6000);
    assert_int_equal(told.items[LIMITS_TOKENS].limit, 200000);
    assert_int_equal(told.items[LIMITS_TOKENS].remaining, 198500);
    assert_int_equal(told.items[LIMITS_TOKENS].reset_us, 450000);
    assert_int_equal(told.items[LIMITS_INPUT].limit, 0);
    assert_true(span_is_equal(told.account, SPAN("org-7")));
}

static void test_anthropic(void **state)
{
    static const struct dialect_header headers[] = {
        HEADER("anthropic-ratelimit-requests-limit", "50"),
        HEADER("anthropic-ratelimit-requests-remaining", "0"),
        HEADER("anthropic-ratelimit-requests-reset", "2026-11-20T10:15:30Z"),
        HEADER("anthropic-ratelimit-input-tokens-limit", "30000"),
        HEADER("anthropic-ratelimit-input-tokens-remaining", "29000"),
        HEADER("anthropic-ratelimit-input-tokens-reset", "2026-11-20T10:14:00Z"),
        HEADER("anthropic-ratelimit-output-tokens-limit", "8000"),
        HEADER("anthropic-ratelimit-output-tokens-remaining", "7000"),
        HEADER("anthropic-priority-input-tokens-limit", "10"),
        HEADER("anthropic-priority-input-tokens-remaining", "0"),
        HEADER("anthropic-organization-id", "o"),
    };
    struct limits_told told;

    assert_true(READ(headers, &told));
    assert_int_equal(told.items[LIMITS_REQUESTS].reset_us, 30 * SEC);
    assert_int_equal(told.items[LIMITS_REQUESTS].limit, 50);
    assert_int_equal(told.items[LIMITS_INPUT].limit, 30000);
    assert_int_equal(told.items[LIMITS_INPUT].reset_us, 0); /* past */
    assert_int_equal(told.items[LIMITS_OUTPUT].remaining, 7000);
    assert_int_equal(told.items[LIMITS_TOKENS].limit, 0);
    assert_true(span_is_equal(told.account, SPAN("o")));
}

static void test_of_two_the_scarcer(void **state)
{
    static const struct dialect_header headers[] = {
        HEADER("x-ratelimit-limit-tokens", "1000"),
        HEADER("x-ratelimit-remaining-tokens", "900"),
        HEADER("x-ratelimit-limit-project-tokens", "500"),
        HEADER("x-ratelimit-remaining-project-tokens", "3"),
    };
    struct limits_told told;

    assert_true(READ(headers, &told));
    assert_int_equal(told.items[LIMITS_TOKENS].limit, 500);
    assert_int_equal(told.items[LIMITS_TOKENS].remaining, 3);
}

static void test_what_cannot_be_read_says_nothing(void **state)
{
    static const struct dialect_header headers[] = {
        HEADER("x-ratelimit-limit-requests", "many"),
        HEADER("x-ratelimit-remaining-requests", "3"),
        HEADER("x-ratelimit-limit-tokens", "99999999999999999999999"),
        HEADER("x-ratelimit-remaining-tokens", "1"),
        HEADER("x-ratelimit-limit-input-tokens", "100"),
        HEADER("x-ratelimit-remaining-input-tokens", "-1"),
        HEADER("x-ratelimit-limit-output-tokens", "0"),
        HEADER("x-ratelimit-remaining-output-tokens", "0"),
        HEADER("x-ratelimit-", ""),
    };
    static const struct dialect_header alone[] = {
        HEADER("x-ratelimit-remaining-requests", "3"),
        HEADER("x-ratelimit-limit-tokens", "3"),
    };
    struct limits_told told;

    assert_false(READ(headers, &told));
    assert_false(READ(alone, &told));
    assert_false(limits_told_read(NULL, 0, WALL_US, &told));
}

static void test_tells_which_headers_matter(void **state)
{
    static const char *const matter[] = {
        "x-ratelimit-limit-requests",       "X-RateLimit-Reset", "x-rate-limit-reset",
        "anthropic-ratelimit-tokens-limit", "RateLimit-Reset",   "openai-organization",
        "Anthropic-Organization-Id",
    };
    static const char *const others[] = {
        "",
        "x",
        "x-ratelimit-",
        "x-request-id-of-ours",
        "openai-version",
        "age",
        "anthropic-version-seen",
        "ratelimit-",
        "retry-after-some-time",
        "x-real-answer",
    };

    for (size_t i = 0; i < sizeof(matter) / sizeof(matter[0]); i++)
        assert_true(limit_header_matters(span_from_text(matter[i])));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(limit_header_matters(span_from_text(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai),
        cmocka_unit_test(test_anthropic),
        cmocka_unit_test(test_of_two_the_scarcer),
        cmocka_unit_test(test_what_cannot_be_read_says_nothing),
        cmocka_unit_test(test_tells_which_headers_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
