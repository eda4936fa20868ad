/* What operators are told of an endpoint: each change once, and TLS failures not too often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/endpoint_news.h"

enum { START_US = 1000000 };

static const char expired[] = "certificate has expired";
static const char mismatch[] = "hostname mismatch";

/* Whether there is news of TLS, and which: why it fails, or "works". */
static const char *ask(struct endpoint_news *news, uint64_t now_us)
{
    const char *reason;

    if (!endpoint_news_take_tls(news, now_us, &reason))
        return "nothing";
    return reason ? reason : "works";
}

static void test_tls(void **state)
{
    struct endpoint_news news;

    (void)state;
    endpoint_news_init(&news);
    endpoint_news_note_tls(&news, NULL);
    assert_true(endpoint_news_is_calm(&news));
    assert_string_equal(ask(&news, START_US), "nothing");
    for (int i = 0; i < 3; i++) {
        endpoint_news_note_tls(&news, expired);
        assert_false(endpoint_news_is_calm(&news));
        assert_string_equal(ask(&news, START_US + (uint64_t)i), i ? "nothing" : expired);
    }
    endpoint_news_note_tls(&news, NULL);
    assert_false(endpoint_news_is_calm(&news)); /* its end is still to be told */
    assert_string_equal(ask(&news, START_US + 10), "works");
    assert_true(endpoint_news_is_calm(&news));
    assert_string_equal(ask(&news, START_US + 11), "nothing");
}

/* One address of two is bad, or each in a way of its own: not a line for each connection. */
static void test_tls_that_comes_and_goes(void **state)
{
    struct endpoint_news news;
    unsigned told = 0;

    (void)state;
    endpoint_news_init(&news);
    for (uint64_t i = 0; i < 1000; i++) {
        endpoint_news_note_tls(&news, i % 3 == 0 ? NULL : i % 3 == 1 ? expired : mismatch);
        told += ask(&news, START_US + i * 10000)[0] != 'n';
    }
    assert_in_range(told, 2, 4);
    /* What it comes to in the end is told, though late. */
    endpoint_news_note_tls(&news, mismatch);
    assert_string_equal(ask(&news, START_US + 2 * ENDPOINT_NEWS_TLS_US), mismatch);
}

static void test_breaker_and_rest(void **state)
{
    struct endpoint_news news;

    (void)state;
    endpoint_news_init(&news);
    assert_false(endpoint_news_take_breaker(&news, BREAKER_CLOSED));
    assert_true(endpoint_news_take_breaker(&news, BREAKER_OPEN));
    assert_false(endpoint_news_take_breaker(&news, BREAKER_OPEN));
    assert_false(endpoint_news_is_calm(&news));
    assert_true(endpoint_news_take_breaker(&news, BREAKER_CLOSED));
    assert_false(endpoint_news_take_rest(&news, false));
    assert_true(endpoint_news_take_rest(&news, true));
    assert_false(endpoint_news_take_rest(&news, true));
    assert_false(endpoint_news_is_calm(&news));
    assert_true(endpoint_news_take_rest(&news, false));
    assert_true(endpoint_news_is_calm(&news));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_that_comes_and_goes),
        cmocka_unit_test(test_breaker_and_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
