/* Limits found by trying, on virtual time, before providers that keep a hidden one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adaptive_play.h"
#include "base/clock.h"
#include "base/rand.h"

#define US_PER_MIN (60 * US_PER_SEC)

static const uint64_t start = 1000 * US_PER_SEC;

static const struct adaptive_settings usual = {
    .initial_rpm = 60, .min_rpm = 10, .max_rpm = 1000, .backoff_milli = 500, .growth_milli = 1100};

static uint64_t rpm(const struct adaptive *adaptive)
{
    return adaptive_read(adaptive, 0).rpm;
}

static void begin(struct adaptive *adaptive, const struct adaptive_settings *settings)
{
    adaptive_init(adaptive);
    adaptive_set(adaptive, settings, start);
}

/* As many as pass, for so long. */
static uint64_t use(struct adaptive *adaptive, uint64_t *now_us, uint64_t seconds)
{
    uint64_t until_us = *now_us + seconds * US_PER_SEC, passed = 0;

    for (; *now_us < until_us; *now_us += 10 * US_PER_MS) {
        while (adaptive_wait_us(adaptive, *now_us) == 0) {
            adaptive_take(adaptive, *now_us);
            passed++;
        }
    }
    return passed;
}

static void test_off_limits_nothing(void **state)
{
    static const struct adaptive_settings off = {.max_rpm = 0};
    struct adaptive adaptive;

    begin(&adaptive, &off);
    assert_int_equal(rpm(&adaptive), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(adaptive_wait_us(&adaptive, start), 0);
        adaptive_take(&adaptive, start);
    }
    assert_false(adaptive_refuse(&adaptive, start, start));
}

static void test_grows_by_the_factor_each_second_of_use(void **state)
{
    struct adaptive adaptive;
    uint64_t now_us = start;

    begin(&adaptive, &usual);
    assert_int_equal(rpm(&adaptive), 60);
    use(&adaptive, &now_us, 11);
    assert_in_range(rpm(&adaptive), 140, 172); /* 60 * 1.1^10 = 156 */
    use(&adaptive, &now_us, 60);
    assert_int_equal(rpm(&adaptive), 1000);
}

static void test_does_not_grow_unused(void **state)
{
    struct adaptive adaptive;

    begin(&adaptive, &usual);
    for (uint64_t i = 0; i < 600; i++) {
        assert_int_equal(adaptive_wait_us(&adaptive, start + 2 * i * US_PER_SEC), 0);
        adaptive_take(&adaptive, start + 2 * i * US_PER_SEC);
    }
    assert_int_equal(rpm(&adaptive), 60); /* half of it was used */
}

static void test_one_cut_for_one_burst(void **state)
{
    struct adaptive adaptive;
    uint64_t now_us = start;

    begin(&adaptive, &usual);
    use(&adaptive, &now_us, 60);
    assert_int_equal(rpm(&adaptive), 1000);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(adaptive_refuse(&adaptive, now_us - i, now_us + i), i == 0);
    assert_int_equal(rpm(&adaptive), 500);
    assert_true(adaptive_refuse(&adaptive, now_us + US_PER_SEC, now_us + 2 * US_PER_SEC));
    assert_int_equal(rpm(&adaptive), 250);
}

/* What it gives back counts as never taken. */
static void test_gives_back(void **state)
{
    struct adaptive adaptive;

    begin(&adaptive, &usual);
    adaptive_take(&adaptive, start);
    assert_int_equal(adaptive_wait_us(&adaptive, start), US_PER_SEC);
    assert_int_equal(adaptive_read(&adaptive, start).remaining, 0);
    adaptive_give_back(&adaptive, start);
    assert_int_equal(adaptive_wait_us(&adaptive, start), 0);
    assert_int_equal(adaptive_read(&adaptive, start).remaining, 1);
}

/* Other bounds keep what was found within them. */
static void test_new_settings_keep_what_was_found(void **state)
{
    struct adaptive_settings other = usual;
    struct adaptive adaptive;
    uint64_t now_us = start;

    begin(&adaptive, &usual);
    use(&adaptive, &now_us, 12);
    adaptive_set(&adaptive, &usual, now_us);
    assert_in_range(rpm(&adaptive), 150, 190);
    other.max_rpm = 100;
    adaptive_set(&adaptive, &other, now_us);
    assert_int_equal(rpm(&adaptive), 100);
    other.max_rpm = 0;
    adaptive_set(&adaptive, &other, now_us);
    assert_int_equal(rpm(&adaptive), 0);
    adaptive_set(&adaptive, &usual, now_us);
    assert_int_equal(rpm(&adaptive), 60);
}

/* Whatever comes when: never above max nor below min, the burst is one second's worth, and a wait
 * that was told is enough. */
static void test_any_history_stays_in_bounds(void **state)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct adaptive_settings settings;
        struct adaptive adaptive;
        struct rand rand;
        uint64_t now_us = start;

        rand_init(&rand, seed);
        settings.min_rpm = 1 + (uint32_t)rand_below(&rand, 100);
        settings.initial_rpm = settings.min_rpm + (uint32_t)rand_below(&rand, 1000);
        settings.max_rpm = settings.initial_rpm + (uint32_t)rand_below(&rand, 100000);
        settings.backoff_milli = 1 + (uint32_t)rand_below(&rand, 999);
        settings.growth_milli = 1001 + (uint32_t)rand_below(&rand, 9000);
        begin(&adaptive, &settings);
        for (int i = 0; i < 3000; i++) {
            uint64_t burst = rpm(&adaptive) / 60 + 1, passed = 0, wait_us;

            while ((wait_us = adaptive_wait_us(&adaptive, now_us)) == 0 && passed <= burst) {
                adaptive_take(&adaptive, now_us);
                passed++;
                burst = rpm(&adaptive) / 60 + 1 > burst ? rpm(&adaptive) / 60 + 1 : burst;
            }
            assert_true(passed <= burst);
            if (rand_below(&rand, 4) == 0)
                adaptive_refuse(&adaptive, now_us - rand_below(&rand, US_PER_SEC), now_us);
            if (rand_below(&rand, 4) == 0)
                adaptive_give_back(&adaptive, now_us);
            assert_in_range(rpm(&adaptive), settings.min_rpm, settings.max_rpm);
            /* Also a clock that jumps back. */
            now_us += rand_below(&rand, 3 * US_PER_SEC);
            if (rand_below(&rand, 100) == 0)
                now_us -= US_PER_SEC / 2;
        }
    }
}

/* After ten minutes, or 300 requests where that is later, it gets more than nine tenths of the
 * hidden limit, and hardly one request is refused. */
static void expect_found(struct adaptive *adaptive, struct adaptive_provider *provider,
                         uint64_t *now_us)
{
    double goodput, refused;

    adaptive_play(adaptive, provider, now_us,
                  (provider->limit < 30 ? 300 / provider->limit : 10) * US_PER_MIN);
    provider->refused = 0;
    goodput = (double)provider->accepted;
    adaptive_play(adaptive, provider, now_us, 60 * US_PER_MIN);
    goodput = ((double)provider->accepted - goodput) / 60 / (double)provider->limit;
    refused = (double)provider->refused / 60 / (double)provider->limit;
    if (getenv("BW_SHOW"))
        print_message("limit %llu: goodput %.3f, refused %.4f\n",
                      (unsigned long long)provider->limit, goodput, refused);
    assert_true(goodput > 0.9);
    assert_true(refused < 0.01);
}

static void test_finds_a_hidden_limit(void **state)
{
    static const uint64_t limits[] = {20, 60, 137, 300, 500, 900};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct adaptive_provider *provider = calloc(1, sizeof(*provider));
        struct adaptive adaptive;
        uint64_t now_us = start;

        assert_non_null(provider);
        provider->limit = limits[i];
        begin(&adaptive, &usual);
        expect_found(&adaptive, provider, &now_us);
        /* It shrinks to half, and is doubled again. */
        provider->limit = limits[i] / 2 > 10 ? limits[i] / 2 : 12;
        expect_found(&adaptive, provider, &now_us);
        provider->limit = limits[i];
        expect_found(&adaptive, provider, &now_us);
        free(provider);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off_limits_nothing),
        cmocka_unit_test(test_grows_by_the_factor_each_second_of_use),
        cmocka_unit_test(test_does_not_grow_unused),
        cmocka_unit_test(test_one_cut_for_one_burst),
        cmocka_unit_test(test_gives_back),
        cmocka_unit_test(test_new_settings_keep_what_was_found),
        cmocka_unit_test(test_any_history_stays_in_bounds),
        cmocka_unit_test(test_finds_a_hidden_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
