/* Drawn latencies have the shape that their facts describe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"
#include "sim/latency.h"

enum { DRAWS = 200000 };

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

struct seen {
    double mean, p50, p95, p99;
};

static struct seen draw_many(const struct sim_latency *latency)
{
    uint64_t *waits = calloc(DRAWS, sizeof(*waits));
    struct seen seen = {0};
    struct rand rand;

    assert_non_null(waits);
    rand_init(&rand, 42);
    for (int i = 0; i < DRAWS; i++) {
        waits[i] = sim_latency_draw(latency, &rand);
        seen.mean += (double)waits[i] / DRAWS;
    }
    qsort(waits, DRAWS, sizeof(*waits), by_size);
    seen.p50 = (double)waits[DRAWS / 2];
    seen.p95 = (double)waits[DRAWS / 100 * 95];
    seen.p99 = (double)waits[DRAWS / 100 * 99];
    free(waits);
    return seen;
}

static void assert_near(double seen, double wanted)
{
    if (seen < wanted * 0.97 || seen > wanted * 1.03)
        fail_msg("%g is not near %g", seen, wanted);
}

static void constant_is_constant(void **state)
{
    struct sim_latency latency;
    struct rand rand;

    (void)state;
    rand_init(&rand, 1);
    sim_latency_constant(&latency, 1234);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sim_latency_draw(&latency, &rand), 1234);
}

static void uniform_stays_within_and_fills_its_range(void **state)
{
    struct sim_latency latency;
    struct rand rand;
    bool has_low = false, has_high = false;

    (void)state;
    rand_init(&rand, 1);
    sim_latency_uniform(&latency, 10, 13);
    for (int i = 0; i < 1000; i++) {
        uint64_t wait = sim_latency_draw(&latency, &rand);

        assert_in_range(wait, 10, 13);
        has_low |= wait == 10;
        has_high |= wait == 13;
    }
    assert_true(has_low && has_high);
}

static void every_pair_of_facts_is_met(void **state)
{
    static const struct sim_latency_facts pairs[] = {
        {.p50_us = 1e6, .p95_us = 3e6},    {.p50_us = 1e6, .p99_us = 5e6},
        {.p50_us = 1e6, .mean_us = 1.3e6}, {.mean_us = 2e6, .p95_us = 5e6},
        {.mean_us = 2e6, .p99_us = 6e6},   {.p95_us = 3e6, .p99_us = 5e6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct sim_latency latency;
        struct seen seen;

        assert_int_equal(sim_latency_lognormal(&latency, &pairs[i]), 0);
        seen = draw_many(&latency);
        if (pairs[i].p50_us > 0)
            assert_near(seen.p50, pairs[i].p50_us);
        if (pairs[i].mean_us > 0)
            assert_near(seen.mean, pairs[i].mean_us);
        if (pairs[i].p95_us > 0)
            assert_near(seen.p95, pairs[i].p95_us);
        if (pairs[i].p99_us > 0)
            assert_near(seen.p99, pairs[i].p99_us);
    }
}

static void mean_p95_and_p99_hold_together(void **state)
{
    struct sim_latency_facts facts = {.mean_us = 2.3e6, .p95_us = 4.8e6, .p99_us = 8.2e6};
    struct sim_latency latency;
    struct seen seen;

    (void)state;
    assert_int_equal(sim_latency_lognormal(&latency, &facts), 0);
    seen = draw_many(&latency);
    assert_near(seen.mean, 2.3e6);
    assert_near(seen.p95, 4.8e6);
    assert_near(seen.p99, 8.2e6);
}

static void a_bound_holds(void **state)
{
    struct sim_latency_facts facts = {.p50_us = 1e6, .p95_us = 9e6};
    struct sim_latency latency;
    struct rand rand;

    (void)state;
    rand_init(&rand, 9);
    assert_int_equal(sim_latency_lognormal(&latency, &facts), 0);
    latency.max_us = 2000000;
    for (int i = 0; i < 10000; i++)
        assert_true(sim_latency_draw(&latency, &rand) <= 2000000);
}

static void impossible_facts_are_refused(void **state)
{
    static const struct sim_latency_facts wrong[] = {
        {0},
        {.p50_us = 1e6},
        {.mean_us = 2e6, .p95_us = 1e6}, /* below the mean */
        {.mean_us = 1e6, .p95_us = 9e6}, /* further than one can be */
        {.p95_us = 2e6, .p99_us = 1e6},  /* the wrong way round */
        {.p50_us = 2e6, .mean_us = 1e6},
        {.p50_us = 1e6, .p95_us = 2e6, .p99_us = 3e6},       /* three that are not the three */
        {.mean_us = 90e6, .p95_us = 4.8e6, .p99_us = 8.2e6}, /* no body brings that mean */
    };
    struct sim_latency latency;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(sim_latency_lognormal(&latency, &wrong[i]), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_is_constant),
        cmocka_unit_test(uniform_stays_within_and_fills_its_range),
        cmocka_unit_test(every_pair_of_facts_is_met),
        cmocka_unit_test(mean_p95_and_p99_hold_together),
        cmocka_unit_test(a_bound_holds),
        cmocka_unit_test(impossible_facts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
