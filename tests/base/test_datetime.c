#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"

static void expect_http(const char *text, uint64_t seconds)
{
    uint64_t wall_us = 0;

    assert_int_equal(datetime_read_http(span_from_text(text), &wall_us), 0);
    assert_int_equal(wall_us / US_PER_SEC, seconds);
    assert_int_equal(wall_us % US_PER_SEC, 0);
}

static void test_http_dates(void **state)
{
    char text[HTTP_DATE_BYTES + 1] = "";

    expect_http("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    expect_http("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    expect_http("Sun Nov  6 08:49:37 1994", 784111777);
    expect_http("Wed Nov 16 08:49:37 1994", 784975777);
    expect_http(" Thu, 01 Jan 1970 00:00:00 GMT ", 0);
    expect_http("Tue, 29 Feb 2028 23:59:59 GMT", 1835481599);
    expect_http("Friday, 20-Nov-26 10:00:00 GMT", 1795168800);
    datetime_write_http(784111777 * US_PER_SEC + 999999, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    datetime_write_http(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void test_leap_seconds(void **state)
{
    uint64_t wall_us;

    expect_http("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800);
    assert_int_equal(datetime_read_rfc3339(SPAN("2015-06-30T23:59:60Z"), &wall_us), 0);
    assert_int_equal(wall_us / US_PER_SEC, 1435708800);
}

static void test_bad_http_dates(void **state)
{
    static const char *const texts[] = {"",
                                        "never",
                                        "0",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 CET",
                                        "Sun, 6 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 24:00:00 GMT",
                                        "Sun, 06 Nov 1994 08:60:00 GMT",
                                        "Sun, 06 Nov 1994 08:49:61 GMT",
                                        "Sun, 31 Apr 1994 08:49:37 GMT",
                                        "Sun, 29 Feb 2027 08:49:37 GMT",
                                        "Sun, 00 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nox 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1969 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:49:37 GMT x",
                                        "Sun,",
                                        "Sun, ",
                                        "Sun Nov  6 08:49:37 1994 GMT",
                                        "Sun Nov   6 08:49:37 1994",
                                        "Sun, 06 Nov 1994 -8:49:37 GMT"};
    uint64_t wall_us = 42;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(datetime_read_http(span_from_text(texts[i]), &wall_us), ERR_SYNTAX);
    assert_int_equal(wall_us, 42);
}

static void expect_rfc3339(const char *text, uint64_t wall_us)
{
    uint64_t read_us = 0;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &read_us), 0);
    assert_true(read_us == wall_us);
}

static void test_rfc3339(void **state)
{
    const uint64_t at = 1795169700ull * US_PER_SEC;
    char text[RFC3339_BYTES + 1] = "";

    expect_rfc3339("2026-11-20T10:15:00Z", at);
    expect_rfc3339("2026-11-20t10:15:00z", at);
    expect_rfc3339("2026-11-20 10:15:00.5Z", at + 500000);
    expect_rfc3339("2026-11-20T10:15:00.1234567890Z", at + 123456);
    expect_rfc3339("2026-11-20T12:15:00+02:00", at);
    expect_rfc3339("2026-11-20T05:45:00-04:30", at);
    expect_rfc3339("2026-11-20", 1795132800ull * US_PER_SEC);
    expect_rfc3339("1970-01-01T01:00:00+01:00", 0);
    datetime_write_rfc3339(at + 7999, text);
    assert_string_equal(text, "2026-11-20T10:15:00.007Z");
}

static void test_bad_rfc3339(void **state)
{
    static const char *const texts[] = {"",
                                        "2026",
                                        "2026-11",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-02-30",
                                        "2026-11-20T",
                                        "2026-11-20T10:15Z",
                                        "2026-11-20T10:15:00",
                                        "2026-11-20T10:15:00+2:00",
                                        "2026-11-20T10:15:00+0200",
                                        "2026-11-20T10:15:00+24:00",
                                        "2026-11-20T10:15:00.Z",
                                        "2026-11-20T10:15:00Zx",
                                        "20261120T101500Z",
                                        "2026-11-20X10:15:00Z",
                                        "1969-12-31T23:59:59Z",
                                        "1970-01-01T00:30:00+01:00",
                                        "+2026-11-20"};
    uint64_t wall_us = 42;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(datetime_read_rfc3339(span_from_text(texts[i]), &wall_us), ERR_SYNTAX);
    assert_int_equal(wall_us, 42);
}

/* A day of every month of some hundred years, there and back. */
static void test_round_trips(void **state)
{
    for (uint64_t second = 1; second < 4100000000ull; second += 1000003) {
        char http[HTTP_DATE_BYTES], rfc[RFC3339_BYTES];
        uint64_t wall_us;

        datetime_write_http(second * US_PER_SEC, http);
        assert_int_equal(datetime_read_http(span_of(http, sizeof(http)), &wall_us), 0);
        assert_int_equal(wall_us, second * US_PER_SEC);
        datetime_write_rfc3339(second * US_PER_SEC + 123000, rfc);
        assert_int_equal(datetime_read_rfc3339(span_of(rfc, sizeof(rfc)), &wall_us), 0);
        assert_int_equal(wall_us, second * US_PER_SEC + 123000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_dates),     cmocka_unit_test(test_leap_seconds),
        cmocka_unit_test(test_bad_http_dates), cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_bad_rfc3339),    cmocka_unit_test(test_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
