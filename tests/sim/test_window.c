/* Rate limits let through what they promise, and say truly how long the rest has to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rand.h"
#include "sim/window.h"

static const uint64_t SECOND = 1000000, MINUTE = 60000000;

static bool pass(struct sim_window *window, uint64_t units, uint64_t now_us)
{
    if (sim_window_wait_us(window, units, now_us))
        return false;
    assert_int_equal(sim_window_take(window, units, now_us), 0);
    return true;
}

static void a_bucket_gives_its_limit_at_once_and_refills_evenly(void **state)
{
    struct sim_window window;

    (void)state;
    sim_window_init(&window, SIM_WINDOW_BUCKET, 60, MINUTE);
    for (int i = 0; i < 60; i++)
        assert_true(pass(&window, 1, SECOND));
    assert_int_equal(sim_window_remaining(&window, SECOND), 0);
    assert_int_equal(sim_window_reset_us(&window, SECOND), MINUTE);
    assert_int_equal(sim_window_wait_us(&window, 1, SECOND), SECOND);
    assert_int_equal(sim_window_wait_us(&window, 10, SECOND), 10 * SECOND);
    assert_false(pass(&window, 1, 2 * SECOND - 1));
    assert_true(pass(&window, 1, 2 * SECOND));
    assert_false(pass(&window, 1, 2 * SECOND));
    assert_int_equal(sim_window_remaining(&window, 100 * MINUTE), 60);
    sim_window_fini(&window);
}

static void a_bucket_keeps_fractions(void **state)
{
    struct sim_window window;
    uint64_t passed = 0;

    (void)state;
    sim_window_init(&window, SIM_WINDOW_BUCKET, 7, MINUTE);
    /* Asked every 10 ms for an hour: 7 at once, then 7 a minute, however badly 60 s divide by 7. */
    for (uint64_t now_us = 0; now_us <= 60 * MINUTE; now_us += 10000)
        passed += pass(&window, 1, now_us);
    assert_int_equal(passed, 7 + 60 * 7);
    sim_window_fini(&window);
}

static void a_sliding_window_never_sees_more_than_its_limit_in_any_period(void **state)
{
    enum { TRIES = 20000, LIMIT = 50 };
    static uint64_t at_us[TRIES];
    struct sim_window window;
    struct rand rand;
    uint64_t now_us = 0;
    size_t count = 0;

    (void)state;
    rand_init(&rand, 3);
    sim_window_init(&window, SIM_WINDOW_SLIDING, LIMIT, MINUTE);
    for (int i = 0; i < TRIES; i++) {
        now_us += rand_below(&rand, SECOND);
        if (pass(&window, 1, now_us))
            at_us[count++] = now_us;
    }
    assert_true(count > 5 * LIMIT);
    for (size_t i = LIMIT; i < count; i++)
        assert_true(at_us[i] - at_us[i - LIMIT] >= MINUTE);
    sim_window_fini(&window);
}

static void the_wait_is_exact(void **state)
{
    struct sim_window window;
    struct rand rand;
    uint64_t now_us = 0;

    (void)state;
    rand_init(&rand, 4);
    for (int kind = SIM_WINDOW_BUCKET; kind <= SIM_WINDOW_SLIDING; kind++) {
        sim_window_init(&window, kind, 997, MINUTE);
        for (int i = 0; i < 5000; i++) {
            uint64_t units = 1 + rand_below(&rand, 400);
            uint64_t wait_us;

            now_us += rand_below(&rand, SECOND);
            wait_us = sim_window_wait_us(&window, units, now_us);
            if (wait_us > 1)
                assert_true(sim_window_wait_us(&window, units, now_us + wait_us - 1) > 0);
            now_us += wait_us;
            assert_true(pass(&window, units, now_us));
        }
        sim_window_fini(&window);
    }
}

static void the_reset_is_when_all_is_free(void **state)
{
    struct sim_window window;

    (void)state;
    sim_window_init(&window, SIM_WINDOW_SLIDING, 100, MINUTE);
    assert_int_equal(sim_window_reset_us(&window, 0), 0);
    assert_true(pass(&window, 30, SECOND));
    assert_true(pass(&window, 30, 11 * SECOND));
    assert_int_equal(sim_window_remaining(&window, 11 * SECOND), 40);
    assert_int_equal(sim_window_reset_us(&window, 11 * SECOND), MINUTE);
    assert_int_equal(sim_window_remaining(&window, 61 * SECOND), 70);
    assert_int_equal(sim_window_remaining(&window, 71 * SECOND), 100);
    sim_window_fini(&window);
}

static void what_is_over_the_limit_never_passes(void **state)
{
    struct sim_window window;

    (void)state;
    sim_window_init(&window, SIM_WINDOW_BUCKET, 10, MINUTE);
    assert_true(sim_window_wait_us(&window, 11, 0) == UINT64_MAX);
    sim_window_fini(&window);
}

static void no_limit_lets_everything_pass(void **state)
{
    struct sim_window window;

    (void)state;
    sim_window_init(&window, SIM_WINDOW_SLIDING, 0, MINUTE);
    for (int i = 0; i < 1000; i++)
        assert_true(pass(&window, 1000000, 5));
    sim_window_fini(&window);
}

static void the_largest_limit_and_period_do_not_overflow(void **state)
{
    struct sim_window window;
    uint64_t day_us = 86400 * SECOND;

    (void)state;
    sim_window_init(&window, SIM_WINDOW_BUCKET, SIM_WINDOW_MAX_LIMIT, day_us);
    assert_true(pass(&window, SIM_WINDOW_MAX_LIMIT, 1));
    assert_int_equal(sim_window_wait_us(&window, SIM_WINDOW_MAX_LIMIT, 1), day_us);
    assert_int_equal(sim_window_remaining(&window, 1 + day_us / 2), SIM_WINDOW_MAX_LIMIT / 2);
    sim_window_fini(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_its_limit_at_once_and_refills_evenly),
        cmocka_unit_test(a_bucket_keeps_fractions),
        cmocka_unit_test(a_sliding_window_never_sees_more_than_its_limit_in_any_period),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(the_reset_is_when_all_is_free),
        cmocka_unit_test(what_is_over_the_limit_never_passes),
        cmocka_unit_test(no_limit_lets_everything_pass),
        cmocka_unit_test(the_largest_limit_and_period_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
