/* Three days of budgets: who is refused and from when, who is served again, and by how much a
 * budget is passed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "spending_play.h"

enum { SEEDS = 3 };

static struct spending_result result;

/* All of it is spent, and no more than what was under way at that moment. */
static void expect_spent(const struct spending_day *day, enum spending_purse which, uint64_t limit)
{
    assert_true(day->under_way[which] > 0);
    assert_int_equal(day->spent[which], limit + day->under_way[which]);
    assert_true(day->under_way[which] < limit / 100);
}

static void expect_not_spent(const struct spending_day *day, enum spending_purse which,
                             uint64_t limit)
{
    assert_int_equal(day->under_way[which], 0);
    assert_true(day->spent[which] < limit);
}

/* From the first that is refused nobody is served before the day ends. */
static void expect_refused(const struct spending_client *client, uint64_t from_h, uint64_t to_h)
{
    assert_in_range(client->refused_us / US_PER_SEC, from_h * 3600, to_h * 3600);
    assert_true(client->refused > 1000);
}

static void test_three_days(void **state)
{
    const struct spending_day *days = result.days;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        spending_play(seed, &result);
        for (int client = 0; client < SPENDING_CLIENTS; client++)
            assert_int_equal(days[0].clients[client].refused, 0);
        expect_not_spent(&days[0], SPENDING_WEB, SPENDING_WEB_LIMIT);
        expect_not_spent(&days[0], SPENDING_POOL, SPENDING_POOL_LIMIT);
        /* The client's own budget is spent: the other one is none the worse for it. */
        expect_spent(&days[1], SPENDING_WEB, SPENDING_WEB_LIMIT);
        expect_not_spent(&days[1], SPENDING_POOL, SPENDING_POOL_LIMIT);
        expect_refused(&days[1].clients[SPENDING_WEB], 11, 15);
        assert_int_equal(days[1].clients[SPENDING_APP].refused, 0);
        /* The pool's is: both are refused, whatever the one has left of its own. */
        expect_spent(&days[2], SPENDING_POOL, SPENDING_POOL_LIMIT);
        expect_refused(&days[2].clients[SPENDING_WEB], 11, 15);
        expect_refused(&days[2].clients[SPENDING_APP], 11, 15);
        /* A new day begins for both with its first second. */
        for (int client = 0; client < SPENDING_CLIENTS; client++)
            assert_true(days[2].clients[client].served_us < 60 * US_PER_SEC);
    }
}

/* After the last step of a refusal nothing is spent that was not under way: the sums stand still.
 */
static void test_sums_stand_still(void **state)
{
    unsigned last = 2 * 86400 / SPENDING_STEP_S - 1, evening = last - 6 * 3600 / SPENDING_STEP_S;

    (void)state;
    spending_play(1, &result);
    for (unsigned i = evening; i < last; i++) {
        assert_int_equal(result.steps[i].spent[SPENDING_WEB],
                         result.steps[evening].spent[SPENDING_WEB]);
        assert_int_equal(result.steps[i].came[SPENDING_WEB], result.steps[i].refused[SPENDING_WEB]);
        assert_int_equal(result.steps[i].refused[SPENDING_APP], 0);
    }
    assert_true(result.steps[last + 1].spent[SPENDING_WEB] <
                result.steps[last].spent[SPENDING_WEB] / 10);
    assert_int_equal(result.steps[last + 1].refused[SPENDING_WEB], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_days),
        cmocka_unit_test(test_sums_stand_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
