/*
 * What docs/canary.md says about false alarms, misses and how soon a bad key is found, played from
 * fixed seeds with the defaults of `canary:`. The bounds are those that are promised; what is
 * measured over more rotations (bench/canary_rates) stays well within.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "traffic.h"

enum { MOST = 1500 };

#define MINUTE_US (60 * US_PER_SEC)

struct rates {
    double rolled_back, promoted; /* of all, in percent */
    uint64_t p95;                 /* the canary's requests until it was rolled back */
    enum evidence_cause cause;    /* of the last rolled back */
};

static int by_size(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

    return one < two ? -1 : one > two;
}

static struct rates play_with(const struct traffic_scene *scene,
                              const struct canary_settings *settings, uint32_t rotations)
{
    struct traffic *traffic = malloc(sizeof(*traffic));
    uint64_t requests[MOST];
    uint32_t back = 0, promoted = 0;
    struct rates rates = {.p95 = UINT64_MAX};

    assert_non_null(traffic);
    assert_true(rotations <= MOST);
    traffic_init(traffic, scene, settings);
    for (uint32_t seed = 1; seed <= rotations; seed++) {
        struct traffic_end end = traffic_play(traffic, seed);

        promoted += end.state == CANARY_PROMOTED;
        if (end.state != CANARY_ROLLED_BACK)
            continue;
        requests[back++] = scene->breaks_us ? end.after_break : end.requests;
        rates.cause = end.cause;
    }
    qsort(requests, back, sizeof(requests[0]), by_size);
    if (back > rotations * 95 / 100)
        rates.p95 = requests[rotations * 95 / 100];
    rates.rolled_back = 100.0 * back / rotations;
    rates.promoted = 100.0 * promoted / rotations;
    free(traffic);
    return rates;
}

static struct rates play(const struct traffic_scene *scene, uint32_t rotations)
{
    struct canary_settings settings = traffic_defaults();

    return play_with(scene, &settings, rotations);
}

/* ---- bad keys ---- */

static void test_a_refused_key_lasts_three_requests(void **state)
{
    const struct traffic_scene scenes[] = {
        {.per_second = 1.67, .canary_refused = 1, .old_fails = 0.01},
        {.per_second = 50, .canary_refused = 1, .old_fails = 0.01},
        {.per_second = 1667, .canary_refused = 1, .old_fails = 0.01},
        {.per_second = 50, .canary_refused = 1, .is_alone = true},
    };

    for (int i = 0; i < 4; i++) {
        struct rates rates = play(&scenes[i], 400);

        assert_true(rates.rolled_back == 100);
        assert_true(rates.p95 <= 3);
        assert_int_equal(rates.cause, EVIDENCE_REFUSED);
    }
}

static void test_a_fifth_failing_lasts_forty_requests(void **state)
{
    static const double old_fails[] = {0.005, 0.01};
    static const double per_second[] = {50, 400};

    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            struct traffic_scene scene = {
                .per_second = per_second[k], .canary_fails = 0.2, .old_fails = old_fails[i]};
            struct rates rates = play(&scene, MOST);

            assert_true(rates.rolled_back == 100);
            assert_true(rates.p95 <= 40);
            assert_int_equal(rates.cause, EVIDENCE_ERRORS);
        }
    }
}

static void test_a_key_over_the_limit_is_not_promoted(void **state)
{
    const struct traffic_scene ten = {.per_second = 50, .canary_fails = 0.1, .old_fails = 0.005};
    const struct traffic_scene seven = {.per_second = 50, .canary_fails = 0.07, .old_fails = 0.005};
    const struct traffic_scene quiet = {
        .per_second = 1.67, .canary_fails = 0.1, .old_fails = 0.005};

    assert_true(play(&ten, 400).promoted == 0);
    assert_true(play(&seven, 400).promoted == 0);
    assert_true(play(&quiet, 200).promoted < 1);
}

static void test_one_that_breaks_late_is_found(void **state)
{
    const struct traffic_scene scene = {.per_second = 50,
                                        .canary_fails = 0.01,
                                        .old_fails = 0.01,
                                        .breaks_us = 9 * MINUTE_US / 2,
                                        .broken_fails = 0.2};
    struct rates rates = play(&scene, 30);

    assert_true(rates.rolled_back == 100);
    assert_true(rates.p95 <= 300);
}

/* ---- good keys ---- */

static void test_a_good_key_is_promoted(void **state)
{
    static const double fails[] = {0, 0.005, 0.01, 0.02};

    for (int i = 0; i < 4; i++) {
        struct traffic_scene scene = {
            .per_second = 1.67, .canary_fails = fails[i], .old_fails = fails[i]};
        struct rates rates = play(&scene, 250);

        assert_true(rates.rolled_back < 1);
        assert_true(rates.promoted > 98);
    }
}

static void test_a_busy_good_key_is_promoted(void **state)
{
    const struct traffic_scene busy = {.per_second = 10, .canary_fails = 0.02, .old_fails = 0.02};
    const struct traffic_scene million = {
        .per_second = 1667, .canary_fails = 0.01, .old_fails = 0.01};

    assert_true(play(&busy, 100).rolled_back < 1);
    assert_true(play(&million, 1).promoted == 100);
}

static void test_a_bad_minute_of_all_is_not_the_keys(void **state)
{
    const struct traffic_scene scenes[] = {
        {.per_second = 1.67,
         .canary_fails = 0.005,
         .old_fails = 0.005,
         .bad_from_us = 150 * US_PER_SEC},
        {.per_second = 20, .canary_fails = 0.005, .old_fails = 0.005, .bad_from_us = 1},
        {.per_second = 20,
         .canary_fails = 0.005,
         .old_fails = 0.005,
         .bad_from_us = 330 * US_PER_SEC},
        {.per_second = 20,
         .canary_fails = 0.005,
         .old_fails = 0.005,
         .is_retried = true,
         .bad_from_us = 555 * US_PER_SEC},
    };

    for (int i = 0; i < 4; i++) {
        struct traffic_scene scene = scenes[i];
        struct rates rates;

        scene.bad_us = MINUTE_US;
        scene.bad_fails = 0.1;
        rates = play(&scene, 60);
        assert_true(rates.rolled_back < 4);
        assert_true(rates.promoted > 95);
    }
}

/* ---- latency ---- */

static struct rates play_timed(enum traffic_shape shape, double ratio, double per_second,
                               uint32_t rotations)
{
    struct traffic_scene scene = {.per_second = per_second,
                                  .canary_fails = 0.005,
                                  .old_fails = 0.005,
                                  .shape = shape,
                                  .latency_ratio = ratio};

    return play(&scene, rotations);
}

static void expect_promoted(enum traffic_shape shape, double ratio)
{
    struct rates quiet = play_timed(shape, ratio, 1.67, 80);
    struct rates busy = play_timed(shape, ratio, 50, 3);

    assert_true(quiet.rolled_back < 1 && busy.rolled_back == 0);
    assert_true(quiet.promoted > 98 && busy.promoted == 100);
}

static void test_equal_latencies_of_any_form_are_no_loss(void **state)
{
    for (int shape = TRAFFIC_LOG_NORMAL; shape < TRAFFIC_SHAPES; shape++)
        expect_promoted((enum traffic_shape)shape, 1);
    expect_promoted(TRAFFIC_LOG_NORMAL, 1.2);
}

static void test_twice_as_slow_is_found(void **state)
{
    struct rates rates = play_timed(TRAFFIC_LOG_NORMAL, 2, 50, 60);

    assert_true(rates.rolled_back > 99);
    assert_int_equal(rates.cause, EVIDENCE_LATENCY);
    assert_true(play_timed(TRAFFIC_PARETO, 2, 50, 50).rolled_back > 99);
    assert_true(play_timed(TRAFFIC_LOG_NORMAL, 2, 1.67, 80).promoted < 5);
}

static void test_a_slow_minute_of_all_is_not_the_keys(void **state)
{
    const struct traffic_scene scene = {.per_second = 50,
                                        .shape = TRAFFIC_LOG_NORMAL,
                                        .bad_from_us = 330 * US_PER_SEC,
                                        .bad_us = MINUTE_US,
                                        .bad_latency = 3};

    assert_true(play(&scene, 10).promoted == 100);
}

/* ---- compared answers ---- */

static void test_divergence(void **state)
{
    struct canary_settings settings = traffic_defaults();
    struct traffic_scene scene = {.per_second = 10, .divergence = 0.01};

    settings.evidence.max_divergence_ppm = 20000;
    assert_true(play_with(&scene, &settings, 15).promoted == 100);
    scene.divergence = 0.05;
    assert_true(play_with(&scene, &settings, 50).rolled_back == 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refused_key_lasts_three_requests),
        cmocka_unit_test(test_a_fifth_failing_lasts_forty_requests),
        cmocka_unit_test(test_a_key_over_the_limit_is_not_promoted),
        cmocka_unit_test(test_one_that_breaks_late_is_found),
        cmocka_unit_test(test_a_good_key_is_promoted),
        cmocka_unit_test(test_a_busy_good_key_is_promoted),
        cmocka_unit_test(test_a_bad_minute_of_all_is_not_the_keys),
        cmocka_unit_test(test_equal_latencies_of_any_form_are_no_loss),
        cmocka_unit_test(test_twice_as_slow_is_found),
        cmocka_unit_test(test_a_slow_minute_of_all_is_not_the_keys),
        cmocka_unit_test(test_divergence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
