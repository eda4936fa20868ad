/* Lengths of time in the spellings of providers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/duration.h"

static void assert_reads(const char *text, uint64_t expected_us)
{
    uint64_t us = 0;

    if (duration_read(span_from_text(text), &us) != 0)
        fail_msg("refused: %s", text);
    assert_int_equal(us, expected_us);
}

static void test_go_durations(void **state)
{
    assert_reads("1s", 1000000);
    assert_reads("6m0s", 360000000);
    assert_reads("7.66s", 7660000);
    assert_reads("76ms", 76000);
    assert_reads("577.5ms", 577500);
    assert_reads("1h2m3.5s", 3723500000);
    assert_reads("2m59.56s", 179560000);
    assert_reads("250us", 250);
    assert_reads("250\xC2\xB5s", 250);
    assert_reads("250\xCE\xBCs", 250);
    assert_reads("1500ns", 1);
    assert_reads("0s", 0);
    assert_reads(".5s", 500000);
    assert_reads("18d", UINT64_C(18) * 86400 * 1000000);
    assert_reads("  12ms ", 12000);
}

static void test_what_is_no_duration(void **state)
{
    static const char *const bad[] = {"",    "s",     "-1s", "1",   "1x",    "1s2", "1s x",
                                      "1 s", "1..5s", "1.s", "now", "1h-2m", "NaNs"};
    uint64_t us = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (duration_read(span_from_text(bad[i]), &us) != ERR_SYNTAX)
            fail_msg("not refused: %s", bad[i]);
    }
    assert_int_equal(duration_read(SPAN("99999999999999999999s"), &us), ERR_RANGE);
    assert_int_equal(duration_read(SPAN("18446744073709551615h"), &us), ERR_RANGE);
    assert_int_equal(duration_read(SPAN("18446744073709s18446744073709s"), &us), ERR_RANGE);
    assert_int_equal(us, 77);
}

static void test_numbers_count_units(void **state)
{
    uint64_t us = 0;

    assert_int_equal(duration_read_number(SPAN("12"), 1000000, &us), 0);
    assert_int_equal(us, 12000000);
    assert_int_equal(duration_read_number(SPAN("1.5"), 1000, &us), 0);
    assert_int_equal(us, 1500);
    assert_int_equal(duration_read_number(SPAN("0.0000001"), 1000000, &us), 0);
    assert_int_equal(us, 0);
    assert_int_equal(duration_read_number(SPAN("1.5s"), 1000, &us), ERR_SYNTAX);
    assert_int_equal(duration_read_number(SPAN("-1"), 1000, &us), ERR_SYNTAX);
    assert_int_equal(duration_read_number(SPAN("1e3"), 1000, &us), ERR_SYNTAX);
    assert_int_equal(duration_read_number(SPAN(""), 1000, &us), ERR_SYNTAX);
}

static void assert_takes(const char *text, uint64_t expected_us, const char *expected_rest)
{
    struct span rest = span_from_text(text);
    uint64_t us = 0;

    assert_int_equal(duration_take(&rest, true, &us), 0);
    assert_int_equal(us, expected_us);
    assert_true(span_is_equal(rest, span_from_text(expected_rest)));
}

static void test_durations_in_prose(void **state)
{
    assert_takes("20s. Visit", 20000000, ". Visit");
    assert_takes("18.642s. Contact", 18642000, ". Contact");
    assert_takes("6m0s.", 360000000, ".");
    assert_takes("45 seconds. Please", 45000000, ". Please");
    assert_takes("1 minute 30 seconds", 90000000, "");
    assert_takes("1 day", UINT64_C(86400) * 1000000, "");
    assert_takes("500 milliseconds", 500000, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_durations),
        cmocka_unit_test(test_what_is_no_duration),
        cmocka_unit_test(test_numbers_count_units),
        cmocka_unit_test(test_durations_in_prose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
