/* When may one try again: hints in every form, and which of several counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/reset.h"

/* 20 November 2026, 10:15:00 UTC. */
#define WALL_US UINT64_C(1795169700000000)
#define SEC     UINT64_C(1000000)

enum { HEADERS_MAX = 8 };

struct hints {
    struct dialect_header headers[HEADERS_MAX];
    size_t count;
    struct dialect_error error;
};

static void add(struct hints *hints, const char *name, const char *value)
{
    assert_true(hints->count < HEADERS_MAX);
    hints->headers[hints->count++] =
        (struct dialect_header){span_from_text(name), span_from_text(value)};
}

static void say(struct hints *hints, const char *type, const char *message)
{
    hints->error.type_len =
        dialect_keep(hints->error.type, sizeof(hints->error.type), span_from_text(type));
    hints->error.message_len =
        dialect_keep(hints->error.message, sizeof(hints->error.message), span_from_text(message));
}

static struct reset_hint find(const struct hints *hints)
{
    struct reset_question question = {
        .headers = hints->headers,
        .header_count = hints->count,
        .error = &hints->error,
        .wall_us = WALL_US,
        .max_us = 3600 * SEC,
    };

    return reset_find(&question);
}

static void assert_header(const char *name, const char *value, enum reset_source source,
                          uint64_t wait_us)
{
    struct hints hints = {0};
    struct reset_hint hint;

    add(&hints, "Content-Type", "application/json");
    add(&hints, name, value);
    hint = find(&hints);
    if (hint.source != source || hint.wait_us != wait_us)
        fail_msg("%s: %s gave %llu from %d", name, value, (unsigned long long)hint.wait_us,
                 hint.source);
}

static void test_every_form_of_a_value(void **state)
{
    static const struct {
        const char *text;
        uint64_t wait_us;
    } rows[] = {
        {"2", 2 * SEC},
        {"1.5", 1500000},
        {"6m0s", 360 * SEC},
        {"7.66s", 7660000},
        {"76ms", 76000},
        {"1h2m3.5s", 3723500000},
        {"1795169730", 30 * SEC},
        {"1795169730.25", 30250000},
        {"1795169730500", 30500000},
        {"2026-11-20T10:15:30Z", 30 * SEC},
        {"2026-11-20T12:15:30.5+02:00", 30500000},
        {"Fri, 20 Nov 2026 10:16:00 GMT", 60 * SEC},
        {"1795169699", 0},
        {"2026-11-20T10:14:59Z", 0},
        {"Fri, 20 Nov 2026 10:14:00 GMT", 0},
        {"0", 0},
        {"0s", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t wait_us = 99;

        assert_int_equal(reset_read(span_from_text(rows[i].text), WALL_US, &wait_us), 0);
        if (wait_us != rows[i].wait_us)
            fail_msg("%s gave %llu", rows[i].text, (unsigned long long)wait_us);
    }
}

static void test_garbage_is_no_value(void **state)
{
    static const char *const bad[] = {"",
                                      "-1",
                                      "-5s",
                                      "soon",
                                      "1,5",
                                      "1 2",
                                      "0x10",
                                      "1e3",
                                      "2026-13-40T00:00:00Z",
                                      "Fri, 99 Nov 2026",
                                      "NaN",
                                      "inf"};
    uint64_t wait_us = 99;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (reset_read(span_from_text(bad[i]), WALL_US, &wait_us) == 0)
            fail_msg("not refused: %s", bad[i]);
    }
    assert_int_equal(wait_us, 99);
}

/* Nobody knows how whole seconds were rounded; what is finer is believed. */
static void test_whole_seconds(void **state)
{
    static const char *const whole[] = {"1s",
                                        "6m0s",
                                        "1h2m3s",
                                        "12",
                                        " 0 ",
                                        "1700000001",
                                        "2026-01-27T12:00:30Z",
                                        "Sun, 06 Nov 1994 08:49:37 GMT"};
    static const char *const finer[] = {
        "120ms",       "7.66s", "1.5",           "76us",
        "76\xc2\xb5s", "10ns",  "1700000001500", "2026-01-27T12:00:30.250Z",
        "2m59.56s"};

    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        assert_true(reset_is_whole(span_from_text(whole[i])));
    for (size_t i = 0; i < sizeof(finer) / sizeof(finer[0]); i++)
        assert_false(reset_is_whole(span_from_text(finer[i])));
}

static void test_single_headers(void **state)
{
    assert_header("Retry-After", "20", RESET_RETRY_AFTER, 20 * SEC);
    assert_header("retry-after", "0.5", RESET_RETRY_AFTER, 500000);
    assert_header("Retry-After", "Fri, 20 Nov 2026 10:15:07 GMT", RESET_RETRY_AFTER, 7 * SEC);
    assert_header("Retry-After-Ms", "1234", RESET_RETRY_AFTER_MS, 1234000);
    assert_header("retry-after-ms", "1234.5", RESET_RETRY_AFTER_MS, 1234500);
    assert_header("x-ms-retry-after-ms", "250", RESET_RETRY_AFTER_MS, 250000);
    assert_header("x-ratelimit-reset-requests", "6m0s", RESET_HEADER, 360 * SEC);
    assert_header("X-RateLimit-Reset-Tokens", "340ms", RESET_HEADER, 340000);
    assert_header("x-rate-limit-reset-tokens", "45", RESET_HEADER, 45 * SEC);
    assert_header("x-ratelimit-reset", "1795169760", RESET_HEADER, 60 * SEC);
    assert_header("x-ratelimit-reset", "1795169760000", RESET_HEADER, 60 * SEC);
    assert_header("x-ratelimit-reset-project-tokens", "2s", RESET_HEADER, 2 * SEC);
    assert_header("anthropic-ratelimit-requests-reset", "2026-11-20T10:15:09Z", RESET_HEADER,
                  9 * SEC);
    assert_header("anthropic-ratelimit-input-tokens-reset", "2026-11-20T10:15:09Z", RESET_HEADER,
                  9 * SEC);
}

static void test_bounds(void **state)
{
    assert_header("Retry-After", "1555200", RESET_RETRY_AFTER, 3600 * SEC); /* 18 days */
    assert_header("Retry-After", "86400", RESET_RETRY_AFTER, 3600 * SEC);
    assert_header("Retry-After", "0.001", RESET_RETRY_AFTER, RESET_FLOOR_MS * 1000);
    assert_header("Retry-After", "0", RESET_RETRY_AFTER, RESET_FLOOR_MS * 1000);
    assert_header("x-ratelimit-reset-requests", "1ms", RESET_HEADER, RESET_FLOOR_MS * 1000);
    /* Azure says 0 and -1 where it knows nothing. */
    assert_header("x-ratelimit-reset-tokens", "0", RESET_NONE, 0);
    assert_header("x-ratelimit-reset-tokens", "-1", RESET_NONE, 0);
    assert_header("Retry-After", "-3", RESET_NONE, 0);
    assert_header("Retry-After", "99999999999999999999999", RESET_NONE, 0);
    assert_header("retry-after-ms", "soon", RESET_NONE, 0);
    assert_header("x-ratelimit-limit-requests", "60", RESET_NONE, 0);
    assert_header("x-something-reset", "60", RESET_NONE, 0);
}

static void test_messages(void **state)
{
    static const struct {
        const char *message;
        uint64_t wait_us;
    } rows[] = {
        {"Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, Used "
         "29000, Requested 2000. Please try again in 2s. Visit https://x.example",
         2 * SEC},
        {"Please try again in 18.642s. Contact us", 18642000},
        {"Please try again in 6m0s.", 360 * SEC},
        {"Please try again in 644ms.", 644000},
        {"exceeded token rate limit. Please retry after 45 seconds. To increase", 45 * SEC},
        {"Please retry in 38.2s.", 38200000},
        {"Retry after 1 minute", 60 * SEC},
        {"Please try again in a while", 0},
        {"Please try again later", 0},
        {"", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hints hints = {0};
        struct reset_hint hint;

        say(&hints, "", rows[i].message);
        hint = find(&hints);
        assert_int_equal(hint.wait_us, rows[i].wait_us);
        assert_int_equal(hint.source, rows[i].wait_us ? RESET_MESSAGE : RESET_NONE);
    }
}

static void test_the_limit_that_is_used_up_counts(void **state)
{
    struct hints hints = {0};

    add(&hints, "x-ratelimit-remaining-requests", "59");
    add(&hints, "x-ratelimit-reset-requests", "9s");
    add(&hints, "x-ratelimit-remaining-tokens", "0");
    add(&hints, "x-ratelimit-reset-tokens", "4s");
    assert_int_equal(find(&hints).wait_us, 4 * SEC);
    /* Even where the error speaks of another. */
    say(&hints, "requests", "");
    assert_int_equal(find(&hints).wait_us, 4 * SEC);
}

static void test_of_two_that_are_used_up_the_longer(void **state)
{
    struct hints hints = {0};

    add(&hints, "x-ratelimit-remaining-requests", "0");
    add(&hints, "x-ratelimit-reset-requests", "9s");
    add(&hints, "x-ratelimit-remaining-tokens", "0");
    add(&hints, "x-ratelimit-reset-tokens", "4s");
    assert_int_equal(find(&hints).wait_us, 9 * SEC);
}

/* A thousand tokens are left, and the request wanted two. */
static void test_the_limit_that_the_error_names_counts(void **state)
{
    struct hints hints = {0};

    add(&hints, "x-ratelimit-remaining-requests", "59");
    add(&hints, "x-ratelimit-reset-requests", "6m0s");
    add(&hints, "x-ratelimit-remaining-tokens", "1,000");
    add(&hints, "x-ratelimit-reset-tokens", "4s");
    assert_int_equal(find(&hints).source, RESET_NONE);
    say(&hints, "tokens", "");
    assert_int_equal(find(&hints).wait_us, 4 * SEC);
    say(&hints, "", "on requests per min (RPM)");
    assert_int_equal(find(&hints).wait_us, 360 * SEC);
}

static void test_where_nothing_remains_told_the_longest(void **state)
{
    struct hints hints = {0};

    add(&hints, "x-ratelimit-reset-requests", "2s");
    add(&hints, "x-ratelimit-reset-tokens", "7s");
    assert_int_equal(find(&hints).wait_us, 7 * SEC);
}

static void test_what_is_meant_for_the_request_goes_first(void **state)
{
    struct hints hints = {0};

    add(&hints, "x-ratelimit-remaining-tokens", "0");
    add(&hints, "x-ratelimit-reset-tokens", "6m0s");
    say(&hints, "tokens", "Please try again in 2s.");
    assert_int_equal(find(&hints).wait_us, 2 * SEC);
    add(&hints, "Retry-After", "3");
    assert_int_equal(find(&hints).wait_us, 3 * SEC);
    add(&hints, "retry-after-ms", "2500");
    assert_int_equal(find(&hints).wait_us, 2500000);
}

static void test_a_zero_gives_way(void **state)
{
    struct hints hints = {0};

    add(&hints, "Retry-After", "0");
    add(&hints, "x-ratelimit-reset-requests", "5s");
    assert_int_equal(find(&hints).wait_us, 5 * SEC);
    assert_int_equal(find(&hints).source, RESET_HEADER);
}

/* Anthropic: points in time, and limits for what goes in and what comes out. */
static void test_anthropic_s_limits(void **state)
{
    struct hints hints = {0};

    add(&hints, "anthropic-ratelimit-requests-remaining", "49");
    add(&hints, "anthropic-ratelimit-requests-reset", "2026-11-20T10:15:01Z");
    add(&hints, "anthropic-ratelimit-input-tokens-limit", "30000");
    add(&hints, "anthropic-ratelimit-input-tokens-remaining", "0");
    add(&hints, "anthropic-ratelimit-input-tokens-reset", "2026-11-20T10:15:12Z");
    add(&hints, "anthropic-ratelimit-output-tokens-remaining", "8000");
    add(&hints, "anthropic-ratelimit-output-tokens-reset", "2026-11-20T10:16:00Z");
    assert_int_equal(find(&hints).wait_us, 12 * SEC);
    assert_int_equal(find(&hints).source, RESET_HEADER);
    add(&hints, "retry-after", "3");
    assert_int_equal(find(&hints).wait_us, 3 * SEC);
}

static void assert_azure(const char *after_ms, const char *after, const char *reset,
                         uint64_t wait_us)
{
    struct hints hints = {0};

    add(&hints, "retry-after-ms", after_ms);
    add(&hints, "retry-after", after);
    add(&hints, "x-ratelimit-reset-tokens", reset);
    say(&hints, "", "have exceeded token rate limit of your tier.");
    assert_int_equal(find(&hints).wait_us, wait_us);
}

static void test_azure_s_hints(void **state)
{
    assert_azure("1400", "1", "45", 1400000);
    assert_azure("0", "2", "45", 2 * SEC);
    assert_azure("-1", "-1", "45", 45 * SEC);
    assert_azure("0", "0", "-1", RESET_FLOOR_MS * 1000);
    assert_azure("-1", "-1", "-1", 0);
    assert_azure("86400000", "86400", "86400", 3600 * SEC);
}

static void quota(struct hints *hints, const char *id, uint32_t retry_after_ms)
{
    hints->error.detail_len =
        dialect_keep(hints->error.detail, sizeof(hints->error.detail), span_from_text(id));
    hints->error.retry_after_ms = retry_after_ms;
}

static struct reset_hint find_within(const struct hints *hints, uint64_t max_us)
{
    struct reset_question question = {.headers = hints->headers,
                                      .header_count = hints->count,
                                      .error = &hints->error,
                                      .wall_us = WALL_US,
                                      .max_us = max_us};

    return reset_find(&question);
}

static void test_the_wait_that_a_body_asks_for(void **state)
{
    struct hints hints = {0};

    say(&hints, "RESOURCE_EXHAUSTED", "Please retry in 40s.");
    quota(&hints, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", 34400);
    assert_int_equal(find(&hints).wait_us, 34400000);
    assert_int_equal(find(&hints).source, RESET_RETRY_INFO);
    /* It is said of this request, as Retry-After is, which goes before it. */
    assert_true(RESET_RETRY_INFO <= RESET_RETRY_AFTER);
    add(&hints, "Retry-After", "2");
    assert_int_equal(find(&hints).wait_us, 2 * SEC);
    quota(&hints, "", UINT32_MAX);
    hints.count = 0;
    assert_int_equal(find(&hints).wait_us, 3600 * SEC);
}

/* At 2:15 in the morning of California. */
static void test_a_day_s_quota_rests_until_midnight(void **state)
{
    const uint64_t left_us = UINT64_C(78300) * SEC, week_us = UINT64_C(604800) * SEC;
    struct hints hints = {0};

    quota(&hints, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", 20000);
    assert_int_equal(find_within(&hints, week_us).wait_us, left_us);
    assert_int_equal(find_within(&hints, week_us).source, RESET_DAY);
    /* Never for longer than whoever asks allows. */
    assert_int_equal(find(&hints).wait_us, 3600 * SEC);
    /* A RetryInfo that is longer still stands. */
    quota(&hints, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", 90000000);
    assert_int_equal(find_within(&hints, week_us).wait_us, 90000 * SEC);
    assert_int_equal(find_within(&hints, week_us).source, RESET_RETRY_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_of_a_value),
        cmocka_unit_test(test_garbage_is_no_value),
        cmocka_unit_test(test_whole_seconds),
        cmocka_unit_test(test_single_headers),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_the_limit_that_is_used_up_counts),
        cmocka_unit_test(test_of_two_that_are_used_up_the_longer),
        cmocka_unit_test(test_the_limit_that_the_error_names_counts),
        cmocka_unit_test(test_where_nothing_remains_told_the_longest),
        cmocka_unit_test(test_what_is_meant_for_the_request_goes_first),
        cmocka_unit_test(test_a_zero_gives_way),
        cmocka_unit_test(test_anthropic_s_limits),
        cmocka_unit_test(test_azure_s_hints),
        cmocka_unit_test(test_the_wait_that_a_body_asks_for),
        cmocka_unit_test(test_a_day_s_quota_rests_until_midnight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
