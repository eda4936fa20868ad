/* GCRA on virtual time: the burst, the rate, the wait that it promises, and settling afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limits/gcra.h"

static const uint64_t start = 1000 * US_PER_SEC;

static void test_burst_then_rate(void **state)
{
    const struct gcra_rate rate = {.per_minute = 600, .burst = 60};
    struct gcra gcra;
    struct gcra_verdict verdict;

    gcra_init(&gcra);
    for (int i = 0; i < 60; i++) {
        verdict = gcra_take(&gcra, &rate, 1, start);
        assert_true(verdict.is_allowed);
        assert_int_equal(verdict.remaining, 59 - i);
    }
    verdict = gcra_take(&gcra, &rate, 1, start);
    assert_false(verdict.is_allowed);
    assert_int_equal(verdict.wait_us, 100 * US_PER_MS);
    assert_int_equal(verdict.reset_us, 6 * US_PER_SEC);
    assert_false(gcra_take(&gcra, &rate, 1, start + 99 * US_PER_MS).is_allowed);
    assert_true(gcra_take(&gcra, &rate, 1, start + 100 * US_PER_MS).is_allowed);
}

static void test_refusal_takes_nothing(void **state)
{
    const struct gcra_rate rate = {.per_minute = 60, .burst = 1};
    struct gcra gcra;

    gcra_init(&gcra);
    assert_true(gcra_take(&gcra, &rate, 1, start).is_allowed);
    for (int i = 0; i < 1000; i++)
        assert_false(gcra_take(&gcra, &rate, 1, start + 1).is_allowed);
    assert_true(gcra_take(&gcra, &rate, 1, start + US_PER_SEC).is_allowed);
}

/* Whatever comes when: in no minute more than rate and burst pass, and the promised wait is both
 * enough and not too long. */
static void test_random_arrivals(void **state)
{
    struct rand rand;

    for (uint64_t seed = 0; seed < 200; seed++) {
        struct gcra_rate rate;
        struct gcra gcra;
        uint64_t now = start, passed = 0;

        rand_init(&rand, seed);
        rate.per_minute = 1 + rand_below(&rand, 5000);
        rate.burst = 1 + rand_below(&rand, rate.per_minute);
        gcra_init(&gcra);
        while (now < start + 60 * US_PER_SEC) {
            struct gcra_verdict verdict = gcra_take(&gcra, &rate, 1, now);

            passed += verdict.is_allowed;
            if (!verdict.is_allowed) {
                assert_true(verdict.wait_us > 0);
                assert_false(gcra_peek(&gcra, &rate, 1, now + verdict.wait_us - 1).is_allowed);
                assert_true(gcra_peek(&gcra, &rate, 1, now + verdict.wait_us).is_allowed);
            }
            now += rand_below(&rand, 2 * 60 * US_PER_SEC / rate.per_minute);
        }
        assert_in_range(passed, 1, rate.per_minute + rate.burst);
    }
}

static void test_large_cost_passes_alone(void **state)
{
    const struct gcra_rate rate = {.per_minute = 1000, .burst = 1000};
    struct gcra gcra;

    gcra_init(&gcra);
    assert_true(gcra_take(&gcra, &rate, 5000, start).is_allowed);
    assert_false(gcra_take(&gcra, &rate, 1, start).is_allowed);
    /* All five thousand were charged: four minutes of debt. */
    assert_int_equal(gcra_peek(&gcra, &rate, 1000, start).wait_us, 5 * 60 * US_PER_SEC);
}

static void test_settling(void **state)
{
    const struct gcra_rate rate = {.per_minute = 1000, .burst = 1000};
    struct gcra gcra;

    gcra_init(&gcra);
    assert_int_equal(gcra_take(&gcra, &rate, 600, start).remaining, 400);
    gcra_settle(&gcra, &rate, 600, 100, start);
    assert_int_equal(gcra_peek(&gcra, &rate, 1, start).remaining, 900);
    gcra_settle(&gcra, &rate, 100, 1500, start);
    assert_int_equal(gcra_peek(&gcra, &rate, 1, start).remaining, 0);
    assert_int_equal(gcra_peek(&gcra, &rate, 1, start).wait_us, 30 * US_PER_SEC + 60000);
    /* Giving back more than there is leaves a full bucket, not more. */
    gcra_settle(&gcra, &rate, 1000000, 0, start);
    assert_int_equal(gcra_peek(&gcra, &rate, 1, start).remaining, 1000);
}

/* The quick answer is the exact one, close to the edge as far from it. */
static void test_would_pass(void **state)
{
    static const uint64_t most[] = {1, 7, 60, 100000, UINT64_C(1) << 41};
    struct rand rand;
    unsigned passed = 0;

    (void)state;
    rand_init(&rand, 1);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t per_minute = 1 + rand_below(&rand, most[i % 5]);
        struct gcra_rate rate = {per_minute, 1 + rand_below(&rand, per_minute * (1 + i % 100))};
        uint64_t cost = 1 + rand_below(&rand, rate.burst + rate.burst / 8 + 1);
        struct gcra gcra;
        struct gcra_verdict verdict;

        gcra_init(&gcra);
        gcra_take(&gcra, &rate, 1 + rand_below(&rand, rate.burst + 1), start);
        verdict = gcra_peek(&gcra, &rate, cost, start);
        assert_int_equal(gcra_would_pass(&gcra, &rate, cost, start), verdict.is_allowed);
        passed += verdict.is_allowed;
        if (verdict.is_allowed)
            continue;
        assert_true(gcra_would_pass(&gcra, &rate, cost, start + verdict.wait_us));
        assert_int_equal(gcra_would_pass(&gcra, &rate, cost, start + verdict.wait_us - 1),
                         gcra_peek(&gcra, &rate, cost, start + verdict.wait_us - 1).is_allowed);
    }
    assert_in_range(passed, 20000, 180000);
}

static void test_extreme_rates(void **state)
{
    const struct gcra_rate huge = {UINT64_MAX, UINT64_MAX}, tiny = {0, 0};
    struct gcra gcra;

    gcra_init(&gcra);
    for (int i = 0; i < 1000; i++)
        assert_true(gcra_take(&gcra, &huge, 1000000, start).is_allowed);
    gcra_init(&gcra);
    assert_true(gcra_take(&gcra, &tiny, 1, start).is_allowed);
    assert_int_equal(gcra_take(&gcra, &tiny, 1, start).wait_us, 60 * US_PER_SEC);
}

/* However much is charged, and however often: it does not come round to nothing. */
static void test_extreme_costs(void **state)
{
    const struct gcra_rate rate = {.per_minute = 1000, .burst = 1000}, slow = {1, 1};
    /* The second passes 64 bits of nanoseconds by little, at the first rate. */
    const uint64_t costs[] = {UINT64_MAX, UINT64_MAX / 60000000 + 1, UINT64_MAX / 2};
    struct gcra gcra;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        gcra_init(&gcra);
        assert_true(gcra_take(&gcra, &rate, costs[i], start).is_allowed);
        assert_true(gcra_peek(&gcra, &rate, 1, start).wait_us > 300 * 86400 * US_PER_SEC);
        gcra_init(&gcra);
        assert_true(gcra_take(&gcra, &slow, costs[i], start).is_allowed);
        assert_true(gcra_peek(&gcra, &slow, 1, start).wait_us > 300 * 86400 * US_PER_SEC);
    }
    gcra_init(&gcra);
    for (int i = 0; i < 20; i++) {
        gcra_settle(&gcra, &rate, 0, UINT64_MAX, start);
        assert_true(gcra_peek(&gcra, &rate, 1, start).wait_us > 300 * 86400 * US_PER_SEC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate), cmocka_unit_test(test_refusal_takes_nothing),
        cmocka_unit_test(test_random_arrivals), cmocka_unit_test(test_large_cost_passes_alone),
        cmocka_unit_test(test_would_pass),      cmocka_unit_test(test_settling),
        cmocka_unit_test(test_extreme_rates),   cmocka_unit_test(test_extreme_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
