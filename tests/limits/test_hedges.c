/* When a second attempt is worth it, and how many there may be: on virtual time, from seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limits/recent_times.h"
#include "limits/retry_budget.h"

enum { LEAST = 100, SHARE_PPM = 50000, MANY = 20000 };

static const uint64_t start = 1000 * US_PER_SEC;

static uint64_t p95(struct recent_times *times, uint64_t now)
{
    uint64_t us = 0;

    assert_true(recent_times_quantile(times, 95, LEAST, now, &us));
    return us;
}

static void test_few_tell_nothing(void **state)
{
    struct recent_times times = {.begun_us = 0};
    uint64_t us;

    (void)state;
    assert_false(recent_times_quantile(&times, 95, LEAST, start, &us));
    for (int i = 0; i < LEAST - 1; i++)
        recent_times_note(&times, 5000, start);
    assert_false(recent_times_quantile(&times, 95, LEAST, start, &us));
    recent_times_note(&times, 5000, start);
    assert_true(recent_times_quantile(&times, 95, LEAST, start, &us));
    assert_in_range(us, 5000, 5625);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Never too short, and at most an eighth too long, for any quantile of any spread. */
static void test_quantiles_are_near(void **state)
{
    static uint64_t took[1000];

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct recent_times times = {.begun_us = 0};
        struct rand rand;

        rand_init(&rand, seed);
        for (int i = 0; i < 1000; i++) {
            took[i] = 1100 + rand_below(&rand, UINT64_C(1) << (11 + rand_below(&rand, 18)));
            recent_times_note(&times, took[i], start);
        }
        qsort(took, 1000, sizeof(took[0]), compare);
        for (uint32_t percent = 50; percent <= 99; percent++) {
            uint64_t us, exact = took[percent * 10 - 1];

            assert_true(recent_times_quantile(&times, percent, LEAST, start, &us));
            assert_true(us > exact);
            assert_true(us <= exact + exact / 8 + 1);
        }
    }
}

static void test_extremes_have_a_place(void **state)
{
    struct recent_times times = {.begun_us = 0};

    (void)state;
    for (int i = 0; i < LEAST; i++)
        recent_times_note(&times, 0, start);
    assert_int_equal(p95(&times, start), 1152);
    for (int i = 0; i < 100 * LEAST; i++)
        recent_times_note(&times, UINT64_MAX, start);
    assert_int_equal(p95(&times, start), UINT64_C(1) << 30);
}

/* A provider becomes ten times as slow: within two minutes that is what is known of a busy one,
 * within ten of a quiet one. */
static void test_change_is_followed(void **state)
{
    static const uint64_t every_us[] = {20000, 1500000}, within_us[] = {120000000, 600000000};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct recent_times times = {.begun_us = 0};
        uint64_t now = start, change;

        for (; now < start + 900 * US_PER_SEC; now += every_us[i])
            recent_times_note(&times, 100000, now);
        assert_in_range(p95(&times, now), 100000, 112500);
        change = now;
        for (; now <= change + within_us[i]; now += every_us[i])
            recent_times_note(&times, 1000000, now);
        assert_in_range(p95(&times, now), 1000000, 1125000);
        /* And back, which takes the whole of a generation. */
        change = now;
        for (; now <= change + within_us[i]; now += every_us[i])
            recent_times_note(&times, 100000, now);
        assert_in_range(p95(&times, now), 100000, 112500);
    }
}

static void test_what_is_old_is_forgotten(void **state)
{
    struct recent_times times = {.begun_us = 0};
    uint64_t us;

    (void)state;
    for (int i = 0; i < 10 * LEAST; i++)
        recent_times_note(&times, 5000, start);
    assert_true(recent_times_quantile(&times, 95, LEAST, start + 290 * US_PER_SEC, &us));
    assert_false(recent_times_quantile(&times, 95, LEAST, start + 3600 * US_PER_SEC, &us));
}

/* Traffic that comes and goes, and wants to be hedged far too often: of the last 10 s, as it is
 * counted by the test, never more than the share. */
static void test_budget_is_never_passed(void **state)
{
    static uint64_t first_at[MANY], hedge_at[MANY];

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct retry_budget *budget = retry_budget_new(3);
        uint64_t now = start, firsts = 0, hedges = 0;
        struct rand rand;

        assert_non_null(budget);
        rand_init(&rand, seed);
        while (firsts < MANY) {
            uint64_t pause_us = UINT64_C(1) << rand_below(&rand, 21), since, count = 0, all = 0;

            now += rand_below(&rand, pause_us);
            retry_budget_note(budget, (uint32_t)rand_below(&rand, 3), now);
            first_at[firsts++] = now;
            if (rand_below(&rand, 4) != 0 || !retry_budget_has_hedge(budget, SHARE_PPM, now))
                continue;
            assert_true(retry_budget_take_hedge(budget, SHARE_PPM, now));
            hedge_at[hedges++] = now;
            /* What counts reaches back by whole eighths. */
            since = now - now % (RETRY_BUDGET_WINDOW_US / 8) - RETRY_BUDGET_WINDOW_US * 7 / 8;
            for (uint64_t i = hedges; i > 0 && hedge_at[i - 1] >= since; i--)
                count++;
            for (uint64_t i = firsts; i > 0 && first_at[i - 1] >= since; i--)
                all++;
            assert_true(count * 1000000 <= all * SHARE_PPM);
        }
        assert_true(hedges > MANY / 50); /* and it is used */
        retry_budget_free(&budget);
    }
}

/* Hedges and retries take nothing from each other; of a few exchanges none is hedged. */
static void test_budgets_are_apart(void **state)
{
    struct retry_budget *budget = retry_budget_new(1);

    (void)state;
    assert_non_null(budget);
    assert_false(retry_budget_take_hedge(budget, 1000000, start));
    for (int i = 0; i < 19; i++)
        retry_budget_note(budget, 0, start);
    assert_false(retry_budget_take_hedge(budget, SHARE_PPM, start));
    retry_budget_note(budget, 0, start);
    assert_true(retry_budget_take_hedge(budget, SHARE_PPM, start));
    assert_false(retry_budget_take_hedge(budget, SHARE_PPM, start));
    for (int i = 0; i < RETRY_BUDGET_FLOOR; i++)
        assert_true(retry_budget_take(budget, 0, start));
    assert_false(retry_budget_take(budget, 0, start));
    retry_budget_free(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_tell_nothing),
        cmocka_unit_test(test_quantiles_are_near),
        cmocka_unit_test(test_extremes_have_a_place),
        cmocka_unit_test(test_change_is_followed),
        cmocka_unit_test(test_what_is_old_is_forgotten),
        cmocka_unit_test(test_budget_is_never_passed),
        cmocka_unit_test(test_budgets_are_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
