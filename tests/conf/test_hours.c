/* Hours of the day: what is read, and when the next of them begin, on the clocks of real zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "conf/hours.h"

static uint64_t wall(const char *text)
{
    uint64_t us = 0;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &us), 0);
    return us;
}

static void test_reading(void **state)
{
    static const char *const bad[] = {
        "",
        "22:00",
        "22:00-22:00",
        "24:00-06:00",
        "22:00-24:01",
        "22:60-23:00",
        "22.00-06:00",
        "22:00 - 06:00",
        "2:00-06:00",
        "22:00-06:00UTC",
        "22:00-06:00 ",
        "22:00-06:00 Mars/Olympus",
        "22:00-06:00 ../../etc/passwd",
    };
    static const char *const good[] = {"22:00-06:00", "00:00-24:00", "22:00-06:00 UTC",
                                       "00:30-08:30 Asia/Shanghai"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(hours_are_good(span_from_text(bad[i])));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(hours_are_good(span_from_text(good[i])));
}

/* They begin when? NULL: they are now. */
static const struct {
    const char *hours, *at, *begin;
} plays[] = {
    {"22:00-06:00", "2026-11-22T12:00:00Z", "2026-11-22T22:00:00Z"},
    {"22:00-06:00", "2026-11-22T21:59:59.999Z", "2026-11-22T22:00:00Z"},
    {"22:00-06:00", "2026-11-22T22:00:00Z", NULL},
    {"22:00-06:00", "2026-11-22T00:00:00Z", NULL},
    {"22:00-06:00", "2026-11-22T05:59:59Z", NULL},
    {"22:00-06:00", "2026-11-22T06:00:00Z", "2026-11-22T22:00:00Z"},
    {"01:00-02:00", "2026-12-31T02:00:00Z", "2027-01-01T01:00:00Z"},
    {"20:00-24:00", "2026-11-22T23:59:59Z", NULL},
    {"20:00-24:00", "2026-11-22T00:00:00Z", "2026-11-22T20:00:00Z"},
    {"00:00-24:00", "2026-11-22T00:00:00Z", NULL},
    {"00:30-08:30 Asia/Shanghai", "2026-11-22T12:00:00Z", "2026-11-22T16:30:00Z"},
    {"00:30-08:30 Asia/Shanghai", "2026-11-22T16:30:00Z", NULL},
    {"00:30-08:30 Asia/Shanghai", "2026-11-23T00:30:00Z", "2026-11-23T16:30:00Z"},
    /* In summer an hour earlier; 02:30 is left out on one day, and comes twice on another. */
    {"22:00-06:00 Europe/Berlin", "2026-07-01T12:00:00Z", "2026-07-01T20:00:00Z"},
    {"22:00-06:00 Europe/Berlin", "2026-12-01T12:00:00Z", "2026-12-01T21:00:00Z"},
    {"02:30-04:00 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
    {"02:30-04:00 Europe/Berlin", "2026-03-29T01:00:00Z", NULL},
    {"02:30-04:00 Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
    {"02:30-04:00 Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
};

static void test_beginning(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        struct hours hours;
        uint64_t begin;

        assert_int_equal(hours_read(span_from_text(plays[i].hours), &hours), 0);
        begin = hours_begin_us(&hours, 1, wall(plays[i].at));
        if (begin != (plays[i].begin ? wall(plays[i].begin) : 0))
            fail_msg("%s at %s: %llu", plays[i].hours, plays[i].at, (unsigned long long)begin);
        hours_fini(&hours);
    }
}

/* They end when? NULL: they are not now; "": never. */
static const struct {
    const char *hours, *at, *end;
} ends[] = {
    {"22:00-06:00", "2026-11-22T12:00:00Z", NULL},
    {"22:00-06:00", "2026-11-22T06:00:00Z", NULL},
    {"22:00-06:00", "2026-11-22T22:00:00Z", "2026-11-23T06:00:00Z"},
    {"22:00-06:00", "2026-11-23T05:59:59.999Z", "2026-11-23T06:00:00Z"},
    {"20:00-24:00", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
    {"00:00-24:00", "2026-11-22T12:00:00Z", ""},
    {"00:30-08:30 Asia/Shanghai", "2026-11-22T16:30:00Z", "2026-11-23T00:30:00Z"},
    /* 02:30 is left out on one day, and comes twice on another: it is over with the first. */
    {"22:00-02:30 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
    {"22:00-02:30 Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"},
    {"22:00-02:30 Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
};

static void test_ending(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct hours hours;
        uint64_t end, expected = 0;

        if (ends[i].end)
            expected = ends[i].end[0] ? wall(ends[i].end) : UINT64_MAX;
        assert_int_equal(hours_read(span_from_text(ends[i].hours), &hours), 0);
        end = hours_end_us(&hours, 1, wall(ends[i].at));
        if (end != expected)
            fail_msg("%s at %s: %llu", ends[i].hours, ends[i].at, (unsigned long long)end);
        hours_fini(&hours);
    }
}

/* On which days of the week: Monday's bit is the lowest. */
static const struct {
    const char *hours;
    uint32_t days;
    const char *at;
    bool is_now;
} weeks[] = {
    {"22:00-06:00", 1 << 6, "2026-11-22T23:00:00Z", true}, /* a Sunday */
    {"22:00-06:00", 1 << 6, "2026-11-23T05:59:59Z", true}, /* what began on it */
    {"22:00-06:00", 1 << 6, "2026-11-23T22:00:00Z", false},
    {"22:00-06:00", 1 << 6, "2026-11-22T05:00:00Z", false},
    {"22:00-06:00", 1 << 0, "2026-11-23T05:00:00Z", false},
    {"22:00-06:00", HOURS_WORKING_DAYS, "2026-11-20T22:00:00Z", true},
    {"22:00-06:00", HOURS_WORKING_DAYS, "2026-11-21T22:00:00Z", false},
    {"00:00-24:00", 1 << 5, "2026-11-21T23:59:59Z", true},
    {"00:00-24:00", 1 << 5, "2026-11-22T00:00:00Z", false},
    {"00:00-24:00", HOURS_EVERY_DAY, "2026-11-22T00:00:00Z", true},
    /* It is Monday there already. */
    {"00:30-08:30 Asia/Shanghai", 1 << 0, "2026-11-22T16:30:00Z", true},
    {"00:30-08:30 Asia/Shanghai", 1 << 6, "2026-11-22T16:30:00Z", false},
    {"20:00-21:00 America/New_York", 1 << 6, "2026-11-23T01:00:00Z", true},
};

static void test_days(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(weeks) / sizeof(weeks[0]); i++) {
        struct span text = span_from_text(weeks[i].hours);
        struct hours hours;

        assert_int_equal(hours_read(text, &hours), 0);
        if (hours_are_now(&(struct hours_list){&hours, &text, 1}, weeks[i].days,
                          wall(weeks[i].at)) != weeks[i].is_now)
            fail_msg("%s at %s", weeks[i].hours, weeks[i].at);
        hours_fini(&hours);
    }
}

static const struct {
    const char *a;
    uint32_t a_days;
    const char *b;
    uint32_t b_days;
    bool do_overlap;
} pairs[] = {
    {"01:00-04:00", HOURS_EVERY_DAY, "03:59-05:00", HOURS_EVERY_DAY, true},
    {"01:00-04:00", HOURS_EVERY_DAY, "04:00-05:00", HOURS_EVERY_DAY, false},
    {"01:00-04:00", 1 << 0, "02:00-03:00", 1 << 1, false},
    {"22:00-06:00", 1 << 6, "05:00-07:00", 1 << 0, true}, /* over the end of the week */
    {"22:00-06:00", 1 << 6, "05:00-07:00", 1 << 6, false},
    {"00:00-24:00", 1 << 2, "23:00-01:00", 1 << 1, true},
    {"00:00-24:00", 1 << 2, "23:00-24:00", 1 << 1, false},
};

static void test_overlaps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct hours a, b;

        assert_int_equal(hours_read(span_from_text(pairs[i].a), &a), 0);
        assert_int_equal(hours_read(span_from_text(pairs[i].b), &b), 0);
        if (hours_overlap(&a, pairs[i].a_days, &b, pairs[i].b_days) != pairs[i].do_overlap ||
            hours_overlap(&b, pairs[i].b_days, &a, pairs[i].a_days) != pairs[i].do_overlap)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
}

/* Where one ends, the other goes on; where they leave a gap, it does not. */
static void test_ending_of_several(void **state)
{
    struct hours hours[3];

    (void)state;
    assert_int_equal(hours_read(SPAN("00:00-05:00"), &hours[0]), 0);
    assert_int_equal(hours_read(SPAN("12:00-13:00"), &hours[1]), 0);
    assert_int_equal(hours_read(SPAN("22:00-24:00"), &hours[2]), 0);
    assert_int_equal(hours_end_us(hours, 3, wall("2026-11-22T23:00:00Z")),
                     wall("2026-11-23T05:00:00Z"));
    assert_int_equal(hours_end_us(hours, 3, wall("2026-11-22T12:30:00Z")),
                     wall("2026-11-22T13:00:00Z"));
    assert_int_equal(hours_end_us(hours, 3, wall("2026-11-22T14:00:00Z")), 0);
    assert_int_equal(hours_end_us(hours, 0, wall("2026-11-22T14:00:00Z")), 0);
    for (int i = 0; i < 3; i++)
        hours_fini(&hours[i]);
}

static void test_several(void **state)
{
    struct hours hours[2];

    (void)state;
    assert_int_equal(hours_read(SPAN("22:00-06:00"), &hours[0]), 0);
    assert_int_equal(hours_read(SPAN("12:00-13:00 Asia/Kolkata"), &hours[1]), 0);
    assert_int_equal(hours_begin_us(hours, 2, wall("2026-11-22T06:10:00Z")),
                     wall("2026-11-22T06:30:00Z"));
    assert_int_equal(hours_begin_us(hours, 2, wall("2026-11-22T07:00:00Z")), 0);
    assert_int_equal(hours_begin_us(hours, 2, wall("2026-11-22T08:00:00Z")),
                     wall("2026-11-22T22:00:00Z"));
    assert_int_equal(hours_begin_us(hours, 0, wall("2026-11-22T08:00:00Z")), 0);
    hours_fini(&hours[0]);
    hours_fini(&hours[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),  cmocka_unit_test(test_days),
        cmocka_unit_test(test_overlaps), cmocka_unit_test(test_beginning),
        cmocka_unit_test(test_ending),   cmocka_unit_test(test_ending_of_several),
        cmocka_unit_test(test_several),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
