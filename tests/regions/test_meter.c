/* How long answers take: buckets, the average that follows, what fades. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "regions/meter.h"

static void put(struct meter *meter, uint64_t us, uint32_t count)
{
    meter_add(meter, meter_bucket(us), count);
    meter_follow(meter, us, count);
}

static void test_bucket_is_within_an_eighth(void **state)
{
    (void)state;
    for (uint64_t us = 256; us < UINT64_C(1) << 30; us += 1 + us / 7) {
        struct meter meter = {.weight = 0};
        uint64_t p95;

        put(&meter, us, 1);
        p95 = meter_quantile_us(&meter, 950);
        assert_in_range(p95, us, us + us / 8 + 1);
    }
    assert_int_equal(meter_bucket(0), 0);
    assert_int_equal(meter_bucket(255), 0);
    assert_int_equal(meter_bucket(UINT64_MAX), METER_BUCKETS - 1);
}

static void test_p95_is_of_the_slowest_twentieth(void **state)
{
    struct meter meter = {.weight = 0};

    (void)state;
    assert_int_equal(meter_quantile_us(&meter, 950), 0);
    put(&meter, 10000, 95);
    put(&meter, 500000, 5);
    assert_in_range(meter_quantile_us(&meter, 950), 10000, 11300);
    assert_in_range(meter_quantile_us(&meter, 960), 500000, 563000);
    assert_int_equal(meter_samples(&meter), 100);
}

static void test_average_follows(void **state)
{
    struct meter meter = {.weight = 0};

    (void)state;
    put(&meter, 10000, 1);
    assert_int_equal(meter.ewma_us, 10000);
    put(&meter, 20000, 16);
    assert_in_range(meter.ewma_us, 15000, 17000);
    put(&meter, 20000, 1000);
    assert_in_range(meter.ewma_us, 19000, 20000);
    put(&meter, 1, 1000);
    assert_in_range(meter.ewma_us, 1, 500);
}

/* One answer that took a minute says little of the region. */
static void test_single_late_one_moves_little(void **state)
{
    struct meter meter = {.weight = 0};

    (void)state;
    put(&meter, 10000, 100);
    put(&meter, 60000000, 1);
    assert_in_range(meter.ewma_us, 10000, 12000);
    /* Many of them do. */
    put(&meter, 60000000, 60);
    assert_true(meter.ewma_us > 30000000);
}

static void test_old_samples_fade(void **state)
{
    const uint64_t tau_us = 100 * US_PER_SEC;
    struct meter meter = {.weight = 0};
    uint64_t now_us = 1;

    (void)state;
    meter_fade(&meter, now_us, tau_us);
    put(&meter, 10000, 100);
    for (; now_us < tau_us; now_us += US_PER_SEC / 4)
        meter_fade(&meter, now_us, tau_us);
    assert_in_range(meter_samples(&meter), 34, 39); /* 100 / e = 36.8 */
    for (; now_us < 12 * tau_us; now_us += US_PER_SEC / 4)
        meter_fade(&meter, now_us, tau_us);
    assert_int_equal(meter.weight, 0);
    assert_int_equal(meter.ewma_us, 0);
    put(&meter, 500, 1);
    assert_int_equal(meter.ewma_us, 500);
    meter_fade(&meter, now_us + 2 * tau_us, tau_us);
    assert_int_equal(meter.weight, 0);
}

static void test_clock_that_steps_back_is_nothing(void **state)
{
    struct meter meter = {.weight = 0};

    (void)state;
    meter_fade(&meter, 1000 * US_PER_SEC, US_PER_SEC);
    put(&meter, 10000, 10);
    meter_fade(&meter, 500 * US_PER_SEC, US_PER_SEC);
    assert_int_equal(meter_samples(&meter), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_is_within_an_eighth),
        cmocka_unit_test(test_p95_is_of_the_slowest_twentieth),
        cmocka_unit_test(test_average_follows),
        cmocka_unit_test(test_single_late_one_moves_little),
        cmocka_unit_test(test_old_samples_fade),
        cmocka_unit_test(test_clock_that_steps_back_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
