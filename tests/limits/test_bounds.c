/* The small ones: concurrency, tallies, backoff and the retry budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "limits/backoff.h"
#include "limits/concurrency.h"
#include "limits/hold_time.h"
#include "limits/reservations.h"
#include "limits/retry_budget.h"
#include "limits/tally.h"

static const uint64_t start = 777 * US_PER_SEC;

static void test_concurrency(void **state)
{
    struct concurrency concurrency;

    concurrency_init(&concurrency);
    assert_true(concurrency_enter(&concurrency, 2));
    assert_true(concurrency_enter(&concurrency, 2));
    assert_false(concurrency_enter(&concurrency, 2));
    assert_int_equal(concurrency_used(&concurrency), 2);
    assert_true(concurrency_leave(&concurrency, 2)); /* it was full: somebody may wait */
    assert_false(concurrency_leave(&concurrency, 2));
    assert_int_equal(concurrency_used(&concurrency), 0);
    assert_false(concurrency_enter(&concurrency, 0));
}

/* What comes back is expected as it came of late, by size; and wakes a bounded number. */
static void test_reservations_learn_what_comes_back(void **state)
{
    struct reservations reservations;

    (void)state;
    reservations_init(&reservations);
    reservations_take(&reservations, 1000);
    assert_int_equal(reservations_expected(&reservations), 1000);
    reservations_cancel(&reservations, 1000);
    assert_int_equal(reservations_expected(&reservations), 0);
    for (int i = 0; i < 50; i++) {
        reservations_take(&reservations, 8000);
        reservations_end(&reservations, 8000, 6000, 3 * US_PER_SEC);
        reservations_take(&reservations, 10);
        reservations_end(&reservations, 10, 0, 3 * US_PER_SEC);
    }
    reservations_take(&reservations, 1000);
    assert_in_range(reservations_expected(&reservations), 740, 750);
    assert_in_range(hold_time_us(&reservations.held), 2999000, 3001000);
    assert_int_equal(reservations_wakes(&reservations, 1000, start), 0);
    reservations_note_refused(&reservations, 300, start + US_PER_SEC);
    assert_int_equal(reservations_wakes(&reservations, 0, start), 0);
    assert_int_equal(reservations_wakes(&reservations, 100, start), 1);
    assert_int_equal(reservations_wakes(&reservations, 1000, start), 3);
    assert_int_equal(reservations_wakes(&reservations, UINT64_MAX, start), RESERVATIONS_WAKES);
    assert_int_equal(reservations_wakes(&reservations, 1000, start + US_PER_SEC), 0);
    reservations_end(&reservations, UINT64_MAX, UINT64_MAX, 1); /* of nothing that was taken */
    assert_int_equal(reservations_expected(&reservations), 0);
}

static void test_tally_slides(void **state)
{
    const uint64_t window = 8 * US_PER_SEC;
    struct tally tally;

    tally_init(&tally);
    assert_int_equal(tally_sum(&tally, window, start), 0);
    for (int i = 0; i < 10; i++)
        tally_add(&tally, window, start + (uint64_t)i * US_PER_SEC);
    /* One a second: eight buckets hold eight. */
    assert_int_equal(tally_sum(&tally, window, start + 9 * US_PER_SEC), 8);
    assert_int_equal(tally_sum(&tally, window, start + 12 * US_PER_SEC), 5);
    assert_int_equal(tally_sum(&tally, window, start + 17 * US_PER_SEC), 0);
    tally_add_shared(&tally, window, start + 17 * US_PER_SEC);
    tally_add_shared(&tally, window, start + 17 * US_PER_SEC);
    assert_int_equal(tally_sum(&tally, window, start + 17 * US_PER_SEC), 2);
    tally_clear(&tally);
    assert_int_equal(tally_sum(&tally, window, start + 17 * US_PER_SEC), 0);
}

static void test_backoff_doubles_with_jitter(void **state)
{
    const uint64_t base = 100 * US_PER_MS, max = 60 * US_PER_SEC;
    struct rand rand;

    rand_init(&rand, 1);
    for (uint32_t tries = 0; tries < 80; tries++) {
        uint64_t ceiling = tries < 10 ? base << tries : max, least = UINT64_MAX, most = 0;

        ceiling = ceiling < max ? ceiling : max;
        for (int i = 0; i < 2000; i++) {
            uint64_t delay = backoff_delay_us(base, max, tries, &rand);

            assert_true(delay <= ceiling);
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        /* Full jitter: from nearly nothing up to nearly all of it. */
        assert_true(least < ceiling / 20);
        assert_true(most > ceiling - ceiling / 20);
    }
    assert_int_equal(backoff_delay_us(0, 0, 5, &rand), 0);
}

static uint64_t take_all(struct retry_budget *budget, uint64_t now)
{
    uint64_t taken = 0;

    while (retry_budget_take(budget, 200000, now))
        taken++;
    return taken;
}

static void test_retry_budget(void **state)
{
    struct retry_budget *budget = retry_budget_new(3);

    assert_non_null(budget);
    /* Never under three a second. */
    assert_int_equal(take_all(budget, start), 30);
    assert_int_equal(take_all(budget, start + 5 * US_PER_SEC), 0);
    /* A fifth of what all workers do. */
    for (uint32_t worker = 0; worker < 3; worker++) {
        for (int i = 0; i < 1000; i++)
            retry_budget_note(budget, worker, start + 20 * US_PER_SEC);
    }
    assert_int_equal(take_all(budget, start + 20 * US_PER_SEC), 600);
    /* Load that is over counts no longer. */
    assert_int_equal(take_all(budget, start + 40 * US_PER_SEC), 30);
    retry_budget_free(&budget);
    assert_null(budget);
    retry_budget_free(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_reservations_learn_what_comes_back),
        cmocka_unit_test(test_tally_slides),
        cmocka_unit_test(test_backoff_doubles_with_jitter),
        cmocka_unit_test(test_retry_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
