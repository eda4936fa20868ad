/* How a share grows: by steps, on a clock that may jump, held and advanced by an operator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "canary/ramp.h"

#define HOUR_US (3600 * US_PER_SEC)
#define DAY_US  (24 * HOUR_US)

static const uint64_t start = 777 * US_PER_SEC;
static const uint64_t tick = 100 * US_PER_MS;

/* Lets time pass, 100 ms a look; returns how many steps were taken, and stops at the end. */
static uint32_t pass(struct ramp *ramp, const struct ramp_settings *settings, uint64_t *now_us,
                     uint64_t span_us, bool *ret_is_over)
{
    uint32_t steps = 0;

    for (uint64_t end = *now_us + span_us; *now_us < end;) {
        enum ramp_move move;

        *now_us += tick;
        move = ramp_tick(ramp, settings, true, *now_us);
        steps += move == RAMP_STEPS;
        if (move == RAMP_ENDS)
            *ret_is_over = true;
    }
    return steps;
}

static void test_ten_steps_from_a_tenth(void **state)
{
    struct ramp_settings settings = ramp_in_steps(100000, 10, 60 * US_PER_SEC);
    struct ramp ramp;
    uint64_t now = start;
    bool is_over = false;

    ramp_init(&ramp, now);
    for (uint32_t step = 1; step <= 10; step++) {
        assert_int_equal(ramp_share_ppm(&ramp, &settings), step * 100000);
        assert_false(is_over);
        assert_int_equal(pass(&ramp, &settings, &now, 60 * US_PER_SEC - tick, &is_over), 0);
        assert_int_equal(ramp_left_us(&ramp, &settings), tick);
        assert_int_equal(pass(&ramp, &settings, &now, tick, &is_over), step < 10);
    }
    assert_true(is_over);
    assert_int_equal(ramp_share_ppm(&ramp, &settings), RAMP_WHOLE_PPM);
}

static void test_strides_of_a_migration(void **state)
{
    struct ramp_settings settings = ramp_in_strides(50000, 200000, 48 * HOUR_US, 24 * HOUR_US);
    const uint32_t shares[] = {50000, 250000, 450000, 650000, 850000, 1000000};
    struct ramp ramp;

    ramp_init(&ramp, start);
    assert_int_equal(settings.steps, 6);
    assert_int_equal(ramp_left_us(&ramp, &settings), 48 * HOUR_US);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(ramp_share_ppm(&ramp, &settings), shares[i]);
        assert_int_equal(ramp_advance(&ramp, &settings), i < 5);
        assert_int_equal(ramp_left_us(&ramp, &settings), 24 * HOUR_US);
    }
    settings = ramp_in_strides(500000, 500000, 0, 0);
    assert_int_equal(settings.steps, 2);
    settings = ramp_in_strides(500000, UINT32_MAX, 0, 0);
    assert_int_equal(settings.steps, 2);
    settings = ramp_in_strides(0, 1, 0, 0);
    assert_true(settings.steps <= RAMP_MAX_STEPS);
    assert_int_equal(settings.stride_ppm * (settings.steps - 1) >= RAMP_WHOLE_PPM, true);
}

static void test_switched_off(void **state)
{
    const struct ramp_settings off[] = {ramp_in_steps(100000, 0, 60 * US_PER_SEC),
                                        ramp_in_steps(RAMP_WHOLE_PPM, 10, 60 * US_PER_SEC),
                                        ramp_in_steps(UINT32_MAX, 10, 60 * US_PER_SEC)};
    struct ramp ramp;

    for (int i = 0; i < 3; i++) {
        ramp_init(&ramp, start);
        assert_false(ramp_is_on(&off[i]));
        assert_int_equal(ramp_share_ppm(&ramp, &off[i]), RAMP_WHOLE_PPM);
        assert_int_equal(ramp_tick(&ramp, &off[i], true, start), RAMP_ENDS);
    }
}

static void test_a_shut_gate_keeps_the_step(void **state)
{
    struct ramp_settings settings = ramp_in_steps(100000, 10, 60 * US_PER_SEC);
    struct ramp ramp;
    uint64_t now = start;

    ramp_init(&ramp, now);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ramp_tick(&ramp, &settings, false, now += US_PER_SEC), RAMP_STAYS);
    assert_int_equal(ramp_tick(&ramp, &settings, true, now), RAMP_STEPS);
    assert_int_equal(ramp_tick(&ramp, &settings, true, now), RAMP_STAYS); /* its time begins now */
}

static void test_a_clock_that_jumps_ahead_skips_nothing(void **state)
{
    struct ramp_settings settings = ramp_in_steps(100000, 10, 60 * US_PER_SEC);
    struct ramp ramp;
    bool is_over = false;
    uint64_t now = start;

    ramp_init(&ramp, now);
    assert_int_equal(pass(&ramp, &settings, &now, 30 * US_PER_SEC, &is_over), 0);
    now += DAY_US;
    assert_int_equal(ramp_tick(&ramp, &settings, true, now), RAMP_STAYS);
    assert_int_equal(ramp_left_us(&ramp, &settings), 30 * US_PER_SEC - RAMP_TICK_MAX_US);
    assert_int_equal(pass(&ramp, &settings, &now, 25 * US_PER_SEC, &is_over), 1);
    assert_int_equal(ramp_tick(&ramp, &settings, true, UINT64_MAX), RAMP_STAYS);
}

static void test_a_clock_that_jumps_back_holds_nothing_up(void **state)
{
    struct ramp_settings settings = ramp_in_steps(100000, 10, 60 * US_PER_SEC);
    struct ramp ramp;
    bool is_over = false;
    uint64_t now = 2 * DAY_US;

    ramp_init(&ramp, now);
    assert_int_equal(pass(&ramp, &settings, &now, 30 * US_PER_SEC, &is_over), 0);
    now -= DAY_US;
    assert_int_equal(ramp_tick(&ramp, &settings, true, now), RAMP_STAYS);
    assert_int_equal(pass(&ramp, &settings, &now, 30 * US_PER_SEC, &is_over), 1);
    assert_int_equal(ramp_tick(&ramp, &settings, true, 0), RAMP_STAYS);
    now = 0;
    assert_int_equal(pass(&ramp, &settings, &now, 60 * US_PER_SEC, &is_over), 1);
}

static void test_the_operator_holds_and_advances(void **state)
{
    struct ramp_settings settings = ramp_in_steps(100000, 3, 60 * US_PER_SEC);
    struct ramp ramp;
    bool is_over = false;
    uint64_t now = start;

    ramp_init(&ramp, now);
    pass(&ramp, &settings, &now, 50 * US_PER_SEC, &is_over);
    ramp_hold(&ramp, true);
    assert_int_equal(pass(&ramp, &settings, &now, 500 * US_PER_SEC, &is_over), 0);
    ramp_hold(&ramp, false);
    assert_int_equal(pass(&ramp, &settings, &now, 9 * US_PER_SEC, &is_over), 0);
    assert_int_equal(pass(&ramp, &settings, &now, US_PER_SEC, &is_over), 1);
    ramp_hold(&ramp, true);
    assert_true(ramp_advance(&ramp, &settings));
    assert_int_equal(ramp_share_ppm(&ramp, &settings), RAMP_WHOLE_PPM);
    assert_false(ramp_advance(&ramp, &settings));
    pass(&ramp, &settings, &now, 60 * US_PER_SEC, &is_over);
    assert_true(is_over);
}

static void test_a_reload_shortens_the_ramp(void **state)
{
    struct ramp_settings long_one = ramp_in_steps(100000, 10, 60 * US_PER_SEC);
    struct ramp_settings short_one = ramp_in_steps(100000, 2, 60 * US_PER_SEC);
    struct ramp ramp;
    bool is_over = false;
    uint64_t now = start;

    ramp_init(&ramp, now);
    assert_int_equal(pass(&ramp, &long_one, &now, 300 * US_PER_SEC, &is_over), 5);
    assert_int_equal(ramp_share_ppm(&ramp, &short_one), RAMP_WHOLE_PPM);
    assert_int_equal(pass(&ramp, &short_one, &now, 60 * US_PER_SEC, &is_over), 0);
    assert_true(is_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_steps_from_a_tenth),
        cmocka_unit_test(test_strides_of_a_migration),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_a_shut_gate_keeps_the_step),
        cmocka_unit_test(test_a_clock_that_jumps_ahead_skips_nothing),
        cmocka_unit_test(test_a_clock_that_jumps_back_holds_nothing_up),
        cmocka_unit_test(test_the_operator_holds_and_advances),
        cmocka_unit_test(test_a_reload_shortens_the_ramp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
