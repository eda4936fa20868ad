/* alerts/rules: when a rule that is broken is told, and when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alerts/rules.h"

#define S      UINT64_C(1000000)
#define FOR_US (300 * S)

static void it_has_to_last(void **state)
{
    struct rule_hold hold = {.since_us = 0};

    (void)state;
    assert_int_equal(rule_look(&hold, false, FOR_US, 0), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 10 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 309 * S), RULE_STAYS);
    /* A moment at which it holds begins the time anew. */
    assert_int_equal(rule_look(&hold, false, FOR_US, 310 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 311 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 610 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 611 * S), RULE_FIRES);
}

static void it_is_told_once_and_ends_at_once(void **state)
{
    struct rule_hold hold = {.since_us = 0};

    (void)state;
    assert_int_equal(rule_look(&hold, true, FOR_US, 1 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 301 * S), RULE_FIRES);
    assert_int_equal(rule_look(&hold, true, FOR_US, 900 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, false, FOR_US, 901 * S), RULE_ENDS);
    assert_int_equal(rule_look(&hold, false, FOR_US, 902 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 903 * S), RULE_STAYS);
    assert_int_equal(rule_look(&hold, true, FOR_US, 1203 * S), RULE_FIRES);
}

static void what_is_counted_grows_old(void **state)
{
    struct rule_count count = {.slot = 0};

    (void)state;
    assert_int_equal(rule_count_sum(&count, FOR_US, 1000 * S), 0);
    rule_count_add(&count, FOR_US, 1000 * S);
    rule_count_add(&count, FOR_US, 1001 * S);
    rule_count_add(&count, FOR_US, 1150 * S);
    assert_int_equal(rule_count_sum(&count, FOR_US, 1150 * S), 3);
    assert_int_equal(rule_count_sum(&count, FOR_US, 1289 * S), 3);
    assert_int_equal(rule_count_sum(&count, FOR_US, 1300 * S), 1);
    assert_int_equal(rule_count_sum(&count, FOR_US, 1439 * S), 1);
    assert_int_equal(rule_count_sum(&count, FOR_US, 1450 * S), 0);
    rule_count_add(&count, FOR_US, 90000 * S);
    assert_int_equal(rule_count_sum(&count, FOR_US, 90000 * S), 1);
}

static void another_time_begins_anew(void **state)
{
    struct rule_count count = {.slot = 0};

    (void)state;
    rule_count_add(&count, FOR_US, 1000 * S);
    assert_int_equal(rule_count_sum(&count, 10 * FOR_US, 1000 * S), 0);
    rule_count_add(&count, 10 * FOR_US, 1000 * S);
    assert_int_equal(rule_count_sum(&count, 10 * FOR_US, 1000 * S + 9 * FOR_US), 1);
    /* Shorter than its slots would be. */
    rule_count_add(&count, 1, 5000 * S);
    assert_int_equal(rule_count_sum(&count, 1, 5000 * S), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_to_last),
        cmocka_unit_test(it_is_told_once_and_ends_at_once),
        cmocka_unit_test(what_is_counted_grows_old),
        cmocka_unit_test(another_time_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
