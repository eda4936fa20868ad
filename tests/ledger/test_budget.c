/* Budgets of the calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "ledger/budget.h"

static uint64_t wall_of(const char *text)
{
    uint64_t wall_us;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &wall_us), 0);
    return wall_us;
}

static void expect(enum budget_period period, const char *at, const char *from, const char *to)
{
    assert_int_equal(budget_period_start(period, wall_of(at)), wall_of(from));
    assert_int_equal(budget_period_end(period, wall_of(at)), wall_of(to));
}

static void periods(void **state)
{
    expect(BUDGET_HOUR, "2026-11-21T10:59:59Z", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z");
    expect(BUDGET_DAY, "2026-11-21T00:00:00Z", "2026-11-21", "2026-11-22");
    expect(BUDGET_WEEK, "2026-11-22T23:59:59Z", "2026-11-16", "2026-11-23"); /* a Sunday */
    expect(BUDGET_WEEK, "2026-11-23T00:00:00Z", "2026-11-23", "2026-11-30");
    expect(BUDGET_MONTH, "2026-11-30T23:59:59Z", "2026-11-01", "2026-12-01");
    expect(BUDGET_MONTH, "2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01");
    expect(BUDGET_MONTH, "2026-12-31T12:00:00Z", "2026-12-01", "2027-01-01");
    expect(BUDGET_MONTH, "2100-02-28T12:00:00Z", "2100-02-01", "2100-03-01");
}

static void rests_until_the_period_ends(void **state)
{
    struct budget budget = {0};
    uint64_t until;

    assert_false(
        budget_look(&budget, BUDGET_DAY, 100, 1000, wall_of("2026-11-21T08:00:00Z"), &until));
    assert_false(
        budget_look(&budget, BUDGET_DAY, 100, 1099, wall_of("2026-11-21T09:00:00Z"), &until));
    assert_true(
        budget_look(&budget, BUDGET_DAY, 100, 1100, wall_of("2026-11-21T10:00:00Z"), &until));
    assert_int_equal(until, wall_of("2026-11-22"));
    assert_int_equal(budget.spent, 100);
    assert_true(
        budget_look(&budget, BUDGET_DAY, 100, 1120, wall_of("2026-11-21T23:59:59Z"), &until));
    assert_false(
        budget_look(&budget, BUDGET_DAY, 0, 1120, wall_of("2026-11-21T23:59:59Z"), &until));
    /* What came since the last look counts in the new day. */
    assert_false(
        budget_look(&budget, BUDGET_DAY, 100, 1130, wall_of("2026-11-22T00:00:01Z"), &until));
    assert_int_equal(budget.spent, 10);
}

static void a_clock_that_is_set_back(void **state)
{
    struct budget budget = {0};
    uint64_t until;

    budget_look(&budget, BUDGET_DAY, 100, 0, wall_of("2026-11-21T23:00:00Z"), &until);
    budget_look(&budget, BUDGET_DAY, 100, 90, wall_of("2026-11-22T00:10:00Z"), &until);
    assert_true(
        budget_look(&budget, BUDGET_DAY, 100, 110, wall_of("2026-11-21T23:50:00Z"), &until));
    assert_int_equal(until, wall_of("2026-11-23"));
    assert_true(
        budget_look(&budget, BUDGET_DAY, 100, 110, wall_of("2026-11-22T00:10:00Z"), &until));
}

static void near_its_end(void **state)
{
    struct budget budget = {.spent = 79};

    assert_false(budget_is_near(&budget, 100));
    budget.spent = 80;
    assert_true(budget_is_near(&budget, 100));
    assert_false(budget_is_near(&budget, 0));
    budget.spent = 1;
    assert_true(budget_is_near(&budget, 1));
}

static void what_was_spent_before_counts(void **state)
{
    struct budget budget = {0};
    uint64_t until, wall = wall_of("2026-11-21T08:00:00Z");

    assert_false(budget_look(&budget, BUDGET_DAY, 100, 5, wall, &until));
    budget_add_earlier(&budget, wall_of("2026-11-20"), 1000); /* in another period */
    assert_false(budget_look(&budget, BUDGET_DAY, 100, 10, wall, &until));
    budget_add_earlier(&budget, wall_of("2026-11-21"), 90);
    assert_int_equal(budget.spent, 95);
    assert_false(budget_look(&budget, BUDGET_DAY, 100, 14, wall, &until));
    assert_true(budget_look(&budget, BUDGET_DAY, 100, 15, wall, &until));
    assert_int_equal(budget.spent, 100);
    /* The next day begins with nothing. */
    assert_false(budget_look(&budget, BUDGET_DAY, 100, 16, wall_of("2026-11-22"), &until));
    assert_int_equal(budget.spent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods),
        cmocka_unit_test(rests_until_the_period_ends),
        cmocka_unit_test(a_clock_that_is_set_back),
        cmocka_unit_test(near_its_end),
        cmocka_unit_test(what_was_spent_before_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
