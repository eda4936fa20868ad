/* alerts/usual: what a key usually spends, and when an hour is past many times that. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alerts/usual.h"
#include "base/clock.h"
#include "base/rand.h"

#define HOUR (3600 * US_PER_SEC)

static const struct usual_rules rules = {.times = 5, .at_least = 1000};

/* So much in each of these hours, in sixty parts; how often it was told. */
static unsigned spend(struct usual *usual, double amount, uint64_t from, uint64_t hours)
{
    unsigned told = 0;

    for (uint64_t i = 0; i < hours * 60; i++)
        told += usual_add(usual, &rules, amount / 60, (from * 60 + i) * (HOUR / 60));
    return told;
}

static void a_steady_key_is_never_told(void **state)
{
    struct usual usual = {.hour = 0};

    (void)state;
    assert_int_equal(spend(&usual, 100000, 1, 24 * 30), 0);
    assert_true(fabs(usual_of(&usual) - 100000) < 1000);
}

static void many_times_its_usual_is_told_once(void **state)
{
    struct usual usual = {.hour = 0};

    (void)state;
    assert_int_equal(spend(&usual, 100000, 1, 48), 0);
    assert_int_equal(spend(&usual, 450000, 49, 1), 0); /* not yet five times */
    assert_int_equal(spend(&usual, 100000, 50, 48), 0);
    assert_int_equal(spend(&usual, 2000000, 98, 3), 1); /* three hours on end are one */
    assert_int_equal(spend(&usual, 100000, 101, 48), 0);
    assert_int_equal(spend(&usual, 3000000, 149, 1), 1); /* and anew after usual ones */
}

/* It is told within the hour, not at its end. */
static void it_is_told_as_soon_as_it_is_so(void **state)
{
    struct usual usual = {.hour = 0};
    unsigned minute = 0;

    (void)state;
    assert_int_equal(spend(&usual, 60000, 1, 24), 0);
    while (!usual_add(&usual, &rules, 60000, 25 * HOUR + minute * (HOUR / 60)))
        minute++;
    assert_int_equal(minute, 5); /* a minute costs an hour: the sixth is past five of them */
}

static void little_and_new_is_not_unusual(void **state)
{
    struct usual usual = {.hour = 0};

    (void)state;
    assert_int_equal(spend(&usual, 10, 1, 24), 0);
    assert_int_equal(spend(&usual, 900, 25, 1), 0); /* ninety times, and yet nothing */
    usual = (struct usual){.hour = 0};
    assert_int_equal(spend(&usual, 1000, 1, 3), 0);
    assert_int_equal(spend(&usual, 1000000, 4, 1), 0); /* nobody knows its usual yet */
    assert_true(usual_of(&usual) == 0);
}

static void after_a_silence_the_first_hour_is_not_blamed_on_a_lone_past(void **state)
{
    struct usual usual = {.hour = 0};

    (void)state;
    assert_int_equal(spend(&usual, 100000, 1, 48), 0);
    /* Months later nothing of it is left. */
    assert_int_equal(spend(&usual, 900000, 5000, 1), 0);
    assert_int_equal(usual.hours, 0);
    /* A clock that goes back, and amounts that are none. */
    assert_false(usual_add(&usual, &rules, 5, HOUR));
    assert_false(usual_add(&usual, &rules, -1e300, HOUR));
    assert_false(usual_add(&usual, &rules, NAN, HOUR));
    assert_true(isfinite(usual.spent) && usual.spent >= 0);
}

/* Days with a rhythm and chance in every hour: a factor of two up or down is told of no one. */
static void the_rhythm_of_days_is_usual(void **state)
{
    struct rand rand;
    unsigned told = 0;

    (void)state;
    rand_init(&rand, 7);
    for (unsigned key = 0; key < 20; key++) {
        struct usual usual = {.hour = 0};

        for (uint64_t hour = 1; hour < 24 * 60; hour++) {
            double rhythm = 1 + 0.8 * sin((double)hour * 6.2831853 / 24);
            double chance = 0.5 + 1.5 * rand_unit(&rand);

            told += spend(&usual, 100000 * rhythm * chance, hour, 1);
        }
    }
    assert_int_equal(told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_key_is_never_told),
        cmocka_unit_test(many_times_its_usual_is_told_once),
        cmocka_unit_test(it_is_told_as_soon_as_it_is_so),
        cmocka_unit_test(little_and_new_is_not_unusual),
        cmocka_unit_test(after_a_silence_the_first_hour_is_not_blamed_on_a_lone_past),
        cmocka_unit_test(the_rhythm_of_days_is_usual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
