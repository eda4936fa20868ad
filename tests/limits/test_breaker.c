/* The circuit breaker: when it opens, what half-open lets through, how it closes; and random
 * histories in which it must always come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limits/breaker.h"

static const uint64_t start = 1000 * US_PER_SEC;

static const struct breaker_settings defaults = {
    .failures = 5,
    .ratio_ppm = 500000,
    .window_us = 10 * US_PER_SEC,
    .open_us = 30 * US_PER_SEC,
    .half_open_calls = 3,
};

static struct breaker_pass enter(struct breaker *breaker, uint64_t now)
{
    struct breaker_pass pass;

    assert_true(breaker_enter(breaker, &defaults, false, now, &pass));
    return pass;
}

static bool end(struct breaker *breaker, struct breaker_pass pass, enum breaker_result result,
                uint64_t good, uint64_t now)
{
    return breaker_leave(breaker, &defaults, pass, result, good, now);
}

static bool go_wrong(struct breaker *breaker, uint64_t good, uint64_t now)
{
    return end(breaker, enter(breaker, now), BREAKER_BAD, good, now);
}

static void open_it(struct breaker *breaker, uint64_t now)
{
    breaker_init(breaker);
    for (int i = 0; i < 5; i++)
        go_wrong(breaker, 0, now);
    assert_int_equal(breaker_state(breaker, now), BREAKER_OPEN);
}

static void test_opens_by_count_and_share(void **state)
{
    struct breaker breaker;

    breaker_init(&breaker);
    for (int i = 0; i < 4; i++)
        assert_false(go_wrong(&breaker, 0, start));
    assert_int_equal(breaker_state(&breaker, start), BREAKER_CLOSED); /* too few */
    assert_false(go_wrong(&breaker, 6, start));                       /* 5 of 11 */
    assert_int_equal(breaker_state(&breaker, start), BREAKER_CLOSED);
    assert_true(go_wrong(&breaker, 6, start)); /* 6 of 12 */
    assert_int_equal(breaker_state(&breaker, start), BREAKER_OPEN);
    assert_int_equal(breaker.moves[BREAKER_OPEN], 1);
}

static void test_failures_of_long_ago_do_not_count(void **state)
{
    struct breaker breaker;

    breaker_init(&breaker);
    for (int i = 0; i < 20; i++)
        assert_false(go_wrong(&breaker, 0, start + (uint64_t)i * 3 * US_PER_SEC));
    assert_int_equal(breaker_state(&breaker, start + 60 * US_PER_SEC), BREAKER_CLOSED);
}

static void test_open_shuts_until_its_time(void **state)
{
    struct breaker breaker;
    struct breaker_pass pass;
    uint64_t until;

    open_it(&breaker, start);
    until = breaker_shut_until(&breaker, &defaults, start);
    assert_in_range(until, start + 30 * US_PER_SEC, start + 30 * US_PER_SEC + 2 * US_PER_MS);
    assert_false(breaker_enter(&breaker, &defaults, false, until - 1, &pass));
    assert_int_equal(breaker_state(&breaker, until), BREAKER_HALF_OPEN);
    assert_true(breaker_enter(&breaker, &defaults, false, until, &pass));
    assert_true(pass.is_trial);
}

static void test_closes_when_all_trials_went_well(void **state)
{
    struct breaker breaker;
    struct breaker_pass passes[3], fourth;
    uint64_t now = start + 31 * US_PER_SEC;

    open_it(&breaker, start);
    for (int i = 0; i < 3; i++)
        passes[i] = enter(&breaker, now);
    assert_false(breaker_enter(&breaker, &defaults, false, now, &fourth));
    assert_false(end(&breaker, passes[0], BREAKER_GOOD, 0, now));
    assert_false(breaker_enter(&breaker, &defaults, false, now, &fourth));
    assert_false(end(&breaker, passes[1], BREAKER_GOOD, 0, now));
    assert_true(end(&breaker, passes[2], BREAKER_GOOD, 0, now));
    assert_int_equal(breaker_state(&breaker, now), BREAKER_CLOSED);
    /* What failed before is forgotten: one more failure does not open it again. */
    assert_false(go_wrong(&breaker, 0, now));
}

static void test_one_bad_trial_opens_again(void **state)
{
    struct breaker breaker;
    struct breaker_pass first, second, late;
    uint64_t now = start + 31 * US_PER_SEC;

    open_it(&breaker, start);
    first = enter(&breaker, now);
    second = enter(&breaker, now);
    late = enter(&breaker, now);
    assert_false(end(&breaker, first, BREAKER_GOOD, 0, now));
    assert_true(end(&breaker, second, BREAKER_BAD, 0, now + 1));
    assert_int_equal(breaker_state(&breaker, now + 1), BREAKER_OPEN);
    assert_true(breaker_shut_until(&breaker, &defaults, now + 1) >= now + 30 * US_PER_SEC);
    /* Late news of an earlier half-open time say nothing about the next one. */
    now += 32 * US_PER_SEC;
    first = enter(&breaker, now);
    assert_false(end(&breaker, late, BREAKER_GOOD, 0, now));
    assert_false(end(&breaker, first, BREAKER_GOOD, 0, now));
    assert_false(end(&breaker, enter(&breaker, now), BREAKER_GOOD, 0, now));
    assert_true(end(&breaker, enter(&breaker, now), BREAKER_GOOD, 0, now));
}

static void test_neutral_gives_the_trial_back(void **state)
{
    struct breaker breaker;
    uint64_t now = start + 31 * US_PER_SEC;

    open_it(&breaker, start);
    for (int i = 0; i < 100; i++)
        assert_false(end(&breaker, enter(&breaker, now), BREAKER_NEUTRAL, 0, now));
    assert_int_equal(breaker_state(&breaker, now), BREAKER_HALF_OPEN);
}

static void test_lost_trials_do_not_shut_it_for_ever(void **state)
{
    struct breaker breaker;
    struct breaker_pass pass;
    uint64_t now = start + 31 * US_PER_SEC, until;

    open_it(&breaker, start);
    for (int i = 0; i < 3; i++)
        enter(&breaker, now);
    until = breaker_shut_until(&breaker, &defaults, now);
    assert_true(until > now);
    assert_false(breaker_enter(&breaker, &defaults, true, now, &pass));
    assert_true(breaker_enter(&breaker, &defaults, false, until, &pass));
}

static void test_last_way_turns_it_early(void **state)
{
    struct breaker breaker;
    struct breaker_pass passes[3];

    open_it(&breaker, start);
    for (int i = 0; i < 3; i++)
        assert_true(breaker_enter(&breaker, &defaults, true, start + 1, &passes[i]));
    assert_false(breaker_enter(&breaker, &defaults, true, start + 1, &passes[0]));
    for (int i = 0; i < 3; i++)
        end(&breaker, passes[i], BREAKER_GOOD, 0, start + 2);
    assert_int_equal(breaker_state(&breaker, start + 2), BREAKER_CLOSED);
}

static void test_probe_closes(void **state)
{
    struct breaker breaker;

    open_it(&breaker, start);
    assert_true(breaker_close(&breaker));
    assert_false(breaker_close(&breaker));
    assert_int_equal(breaker_state(&breaker, start), BREAKER_CLOSED);
}

/* Calls of random length and fortune, some never reported; then the upstream heals: within two open
 * times of steady trying the breaker is closed. */
static void test_random_histories_end_closed(void **state)
{
    struct rand rand;

    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct breaker breaker;
        struct breaker_pass held[16] = {{0}};
        bool is_held[16] = {0};
        uint64_t now = start;

        rand_init(&rand, seed);
        breaker_init(&breaker);
        for (int i = 0; i < 400; i++) {
            uint64_t at = rand_below(&rand, 16);

            now += rand_below(&rand, US_PER_SEC);
            if (is_held[at]) {
                is_held[at] = false;
                if (rand_below(&rand, 10))
                    breaker_leave(&breaker, &defaults, held[at], rand_below(&rand, 3),
                                  rand_below(&rand, 8), now);
            } else {
                is_held[at] =
                    breaker_enter(&breaker, &defaults, rand_below(&rand, 8) == 0, now, &held[at]);
                if (!is_held[at])
                    assert_true(breaker_shut_until(&breaker, &defaults, now) > now);
            }
        }
        for (int i = 0; i < 700 && breaker_state(&breaker, now) != BREAKER_CLOSED; i++) {
            now += 100 * US_PER_MS;
            if (breaker_enter(&breaker, &defaults, false, now, &held[0]))
                breaker_leave(&breaker, &defaults, held[0], BREAKER_GOOD, 0, now);
        }
        assert_int_equal(breaker_state(&breaker, now), BREAKER_CLOSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_by_count_and_share),
        cmocka_unit_test(test_failures_of_long_ago_do_not_count),
        cmocka_unit_test(test_open_shuts_until_its_time),
        cmocka_unit_test(test_closes_when_all_trials_went_well),
        cmocka_unit_test(test_one_bad_trial_opens_again),
        cmocka_unit_test(test_neutral_gives_the_trial_back),
        cmocka_unit_test(test_lost_trials_do_not_shut_it_for_ever),
        cmocka_unit_test(test_last_way_turns_it_early),
        cmocka_unit_test(test_probe_closes),
        cmocka_unit_test(test_random_histories_end_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
