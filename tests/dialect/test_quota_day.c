/* When a day of California ends, also on the days that are longer or shorter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/datetime.h"
#include "dialect/quota_day.h"

#define HOUR_US UINT64_C(3600000000)

static uint64_t at(const char *text)
{
    uint64_t wall_us = 0;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &wall_us), 0);
    return wall_us;
}

static void test_until_midnight(void **state)
{
    static const struct {
        const char *now, *midnight;
    } rows[] = {
        {"2026-11-20T10:15:00Z", "2026-11-21T00:00:00-08:00"},
        {"2026-07-04T23:30:00-07:00", "2026-07-05T00:00:00-07:00"},
        {"2026-07-04T00:00:00-07:00", "2026-07-05T00:00:00-07:00"},
        {"2026-12-31T23:59:59-08:00", "2027-01-01T00:00:00-08:00"},
        {"2028-02-28T12:00:00-08:00", "2028-02-29T00:00:00-08:00"},
        /* 23 hours: 8 March 2026 */
        {"2026-03-07T12:00:00-08:00", "2026-03-08T00:00:00-08:00"},
        {"2026-03-08T01:59:59-08:00", "2026-03-09T00:00:00-07:00"},
        {"2026-03-08T03:00:00-07:00", "2026-03-09T00:00:00-07:00"},
        /* 25 hours: 1 November 2026 */
        {"2026-11-01T00:00:00-07:00", "2026-11-02T00:00:00-08:00"},
        {"2026-11-01T01:59:59-07:00", "2026-11-02T00:00:00-08:00"},
        {"2026-11-01T01:00:00-08:00", "2026-11-02T00:00:00-08:00"},
        /* The last and the first Sundays that these rules can give. */
        {"2027-03-14T01:00:00-08:00", "2027-03-15T00:00:00-07:00"},
        {"2030-11-03T00:30:00-07:00", "2030-11-04T00:00:00-08:00"},
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00-08:00"},
        {"1970-01-01T08:00:00Z", "1970-01-02T00:00:00-08:00"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t now_us = at(rows[i].now), left_us = quota_day_left(now_us);

        if (now_us + left_us != at(rows[i].midnight))
            fail_msg("%s: %llu minutes left", rows[i].now,
                     (unsigned long long)(left_us * 60 / HOUR_US));
    }
}

static void test_to_the_microsecond(void **state)
{
    uint64_t midnight_us = at("2026-07-05T00:00:00-07:00");

    assert_int_equal(quota_day_left(midnight_us - 1), 1);
    assert_int_equal(quota_day_left(midnight_us - 2500001), 2500001);
    assert_int_equal(quota_day_left(midnight_us), 24 * HOUR_US);
}

static void test_every_hour_of_twenty_years_is_in_a_day(void **state)
{
    uint64_t now_us = at("2020-01-01T00:30:00Z"), end_us = at("2040-01-01T00:30:00Z");

    for (; now_us < end_us; now_us += HOUR_US) {
        uint64_t left_us = quota_day_left(now_us);

        assert_true(left_us > 0 && left_us <= 25 * HOUR_US);
        /* Whoever comes at that midnight finds a whole new day. */
        assert_true(quota_day_left(now_us + left_us) >= 23 * HOUR_US);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_until_midnight),
        cmocka_unit_test(test_to_the_microsecond),
        cmocka_unit_test(test_every_hour_of_twenty_years_is_in_a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
