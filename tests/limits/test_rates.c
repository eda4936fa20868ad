/* Requests and tokens a minute of one thing: both or neither, what comes back, and how long a line
 * takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limits/rates.h"

static const uint64_t start = 1000 * US_PER_SEC;
static const struct rates_before nobody;

static struct rates with(uint64_t rpm, uint64_t burst, uint64_t tpm)
{
    const struct rates_rules rules = {rpm, burst, tpm};
    struct rates rates;

    rates_init(&rates);
    assert_false(rates_are_set(&rates));
    rates_set(&rates, &rules);
    return rates;
}

static struct rates_taken take(struct rates *rates, uint64_t tokens, uint64_t now_us)
{
    struct rates_taken taken = {0};
    uint64_t wait_us;

    assert_true(rates_take(rates, tokens, now_us, &taken, &wait_us));
    return taken;
}

static void expect_taken(struct rates *rates, uint64_t tokens, uint64_t now_us)
{
    (void)take(rates, tokens, now_us);
}

static void expect_wait(struct rates *rates, uint64_t tokens, uint64_t now_us, uint64_t wait_us)
{
    struct rates_taken taken;
    uint64_t told_us;

    assert_false(rates_take(rates, tokens, now_us, &taken, &told_us));
    assert_int_equal(told_us, wait_us);
    assert_false(rates_take(rates, tokens, now_us + wait_us - 1, &taken, &told_us));
    assert_int_equal(told_us, 1);
}

static uint64_t left(const struct rates *rates, enum rates_what what, uint64_t now_us)
{
    return rates_read(rates, what, now_us).remaining;
}

static void test_both_or_neither(void **state)
{
    struct rates rates = with(60, 2, 6000);

    (void)state;
    assert_true(rates_are_set(&rates));
    expect_taken(&rates, 5000, start);
    /* No tokens: the request is there for the next one. */
    expect_wait(&rates, 2000, start, 10 * US_PER_SEC);
    assert_int_equal(left(&rates, RATES_REQUESTS, start), 1);
    expect_taken(&rates, 1000, start);
    /* No request: the tokens are. */
    expect_taken(&rates, 100, start + US_PER_SEC);
    assert_int_equal(left(&rates, RATES_REQUESTS, start + US_PER_SEC), 0);
    expect_wait(&rates, 1, start + US_PER_SEC, US_PER_SEC);
    assert_int_equal(left(&rates, RATES_TOKENS, start + US_PER_SEC), 0);
}

static void test_what_comes_back(void **state)
{
    struct rates rates = with(2, 2, 6000);
    struct rates_taken taken;

    (void)state;
    taken = take(&rates, 4000, start);
    rates_give_back(&rates, &taken, start);
    /* It is given back once. */
    rates_give_back(&rates, &taken, start);
    assert_int_equal(left(&rates, RATES_REQUESTS, start), 2);
    assert_int_equal(left(&rates, RATES_TOKENS, start), 6000);
    taken = take(&rates, 4000, start);
    rates_settle(&rates, &taken, 500, start);
    assert_int_equal(left(&rates, RATES_REQUESTS, start), 1);
    assert_int_equal(left(&rates, RATES_TOKENS, start), 5500);
    /* More than was thought is owed. */
    taken.tokens = 500;
    rates_settle(&rates, &taken, 12500, start);
    expect_wait(&rates, 6000, start, 125 * US_PER_SEC);
    assert_int_equal(rates_read(&rates, RATES_TOKENS, start).reset_us, 125 * US_PER_SEC);
}

/* A limit that there is no more forgets; one that becomes another does not. */
static void test_other_rules(void **state)
{
    const struct rates_rules half = {0, 0, 3000}, none = {0, 0, 0}, whole = {1, 1, 6000};
    struct rates rates = with(1, 1, 6000);
    enum rates_what what;

    (void)state;
    expect_taken(&rates, 6000, start);
    rates_set(&rates, &half);
    assert_int_equal(rates_read(&rates, RATES_REQUESTS, start).limit, 0);
    assert_int_equal(rates_read(&rates, RATES_TOKENS, start).limit, 3000);
    assert_int_equal(rates_wait_us(&rates, &nobody, 3000, start, &what), 60 * US_PER_SEC);
    assert_int_equal(what, RATES_TOKENS);
    rates_set(&rates, &none);
    assert_false(rates_are_set(&rates));
    rates_set(&rates, &whole);
    expect_taken(&rates, 6000, start);
}

/* It goes alone, and what it announced may be anything: nobody is shut out for longer than a minute
 * until it is known what it used. */
static void test_more_than_a_minutes(void **state)
{
    struct rates rates = with(0, 0, 6000);
    struct rates_taken taken;

    (void)state;
    taken = take(&rates, UINT64_MAX / 2, start);
    expect_wait(&rates, 6000, start, 60 * US_PER_SEC);
    rates_settle(&rates, &taken, 12000, start);
    expect_wait(&rates, 6000, start, 120 * US_PER_SEC);
}

/* What was taken by one rule is given back by it. */
static void test_taken_by_other_rules(void **state)
{
    const struct rates_rules tenth = {6, 1, 600}, none = {0};
    struct rates rates = with(60, 3, 6000);
    struct rates_taken taken[3], free;

    (void)state;
    for (int i = 0; i < 3; i++)
        taken[i] = take(&rates, 2000, start);
    rates_set(&rates, &tenth);
    /* A second and twenty each, of the first rules; by the second it would be ten times that. */
    rates_give_back(&rates, &taken[0], start);
    assert_int_equal(rates_read(&rates, RATES_REQUESTS, start).reset_us, 2 * US_PER_SEC);
    assert_int_equal(rates_read(&rates, RATES_TOKENS, start).reset_us, 40 * US_PER_SEC);
    rates_settle(&rates, &taken[1], 100, start);
    assert_int_equal(rates_read(&rates, RATES_TOKENS, start).reset_us, 21 * US_PER_SEC);
    /* Who took while nothing was limited has taken nothing. */
    rates_set(&rates, &none);
    free = take(&rates, 3000, start);
    rates_set(&rates, &tenth);
    take(&rates, 600, start);
    rates_settle(&rates, &free, 1, start);
    rates_give_back(&rates, &free, start);
    assert_int_equal(left(&rates, RATES_TOKENS, start), 0);
    assert_int_equal(left(&rates, RATES_REQUESTS, start), 0);
}

enum { LINE = 20 };

/* A line of any lengths, each of which goes as soon as it may: when, and when that was foretold. */
static void play_line(struct rates *rates, struct rand *rand, uint64_t came_us[LINE],
                      uint64_t told_us[LINE])
{
    uint64_t sizes[LINE], now_us = start, wait_us;
    struct rates_before before = {0};
    struct rates_taken taken;
    enum rates_what what;

    expect_taken(rates, 1 + rand_below(rand, 50000), start);
    for (int i = 0; i < LINE; i++) {
        sizes[i] = 1 + rand_below(rand, 20000);
        told_us[i] = start + rates_wait_us(rates, &before, sizes[i], start, &what);
        before.requests++;
        before.tokens += rates_cut(rates, sizes[i]);
    }
    for (int i = 0; i < LINE; i++) {
        while (!rates_take(rates, sizes[i], now_us, &taken, &wait_us))
            now_us += wait_us;
        came_us[i] = now_us;
    }
}

/* With one limit to the microsecond, but for each wait that was rounded up. */
static void test_a_line_takes_as_long_as_told(void **state)
{
    uint64_t came_us[LINE], told_us[LINE];
    struct rand rand;

    (void)state;
    rand_init(&rand, 7);
    for (int round = 0; round < 200; round++) {
        struct rates rates = round % 2 ? with(1 + rand_below(&rand, 100), 0, 0)
                                       : with(0, 0, 1000 + rand_below(&rand, 100000));

        play_line(&rates, &rand, came_us, told_us);
        for (int i = 0; i < LINE; i++)
            assert_in_range(came_us[i], told_us[i], told_us[i] + 2 * LINE);
    }
}

/* With two, what comes back of one while the line stands for the other may be lost. */
static void test_a_line_is_never_quicker_than_told(void **state)
{
    uint64_t came_us[LINE], told_us[LINE];
    struct rand rand;

    (void)state;
    rand_init(&rand, 8);
    for (int round = 0; round < 200; round++) {
        struct rates rates = with(1 + rand_below(&rand, 100), 1 + rand_below(&rand, 5),
                                  1000 + rand_below(&rand, 100000));

        play_line(&rates, &rand, came_us, told_us);
        for (int i = 0; i < LINE; i++)
            assert_true(came_us[i] >= told_us[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_or_neither),
        cmocka_unit_test(test_what_comes_back),
        cmocka_unit_test(test_other_rules),
        cmocka_unit_test(test_more_than_a_minutes),
        cmocka_unit_test(test_taken_by_other_rules),
        cmocka_unit_test(test_a_line_takes_as_long_as_told),
        cmocka_unit_test(test_a_line_is_never_quicker_than_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
