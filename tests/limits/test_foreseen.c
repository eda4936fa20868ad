/* A limit as it is learned from answers, on virtual time: against providers that keep it as a
 * bucket or as a window, and against what no honest provider would say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limits/foreseen.h"

static const uint64_t start = 1000 * US_PER_SEC;

/* A request that was taken, sent and answered at that moment. */
static void hear(struct foreseen *foreseen, uint64_t limit, uint64_t remaining, uint64_t reset_us,
                 uint64_t now)
{
    struct foreseen_stamp stamp = foreseen_take(foreseen, 1, now);
    const struct foreseen_told told = {limit, remaining, reset_us};

    foreseen_hear(foreseen, &told, &stamp, now, now);
}

static bool passes(const struct foreseen *foreseen, uint64_t units, uint64_t now)
{
    return foreseen_wait_us(foreseen, units, 0, now) == 0;
}

static void test_unknown_stops_nothing(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    assert_false(foreseen_is_known(&foreseen, start));
    assert_true(passes(&foreseen, 1000000, start));
    assert_int_equal(foreseen_share(&foreseen, 5, start), 65536);
}

static void test_bucket_comes_back_evenly(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 60, 0, 60 * US_PER_SEC, start);
    assert_int_equal(foreseen_remaining(&foreseen, start), 0);
    assert_int_equal(foreseen_wait_us(&foreseen, 1, 0, start), US_PER_SEC);
    assert_true(passes(&foreseen, 1, start + US_PER_SEC));
    assert_false(passes(&foreseen, 2, start + US_PER_SEC));
    assert_int_equal(foreseen_remaining(&foreseen, start + 30 * US_PER_SEC), 30);
    assert_int_equal(foreseen_reset_us(&foreseen, start + 30 * US_PER_SEC), 30 * US_PER_SEC);
}

/* Who tells of a limit only when it refuses tells when its window ends, and never when it began:
 * the next one would be believed to be as short. */
static void test_a_window_whose_length_is_told(void **state)
{
    const struct foreseen_told told = {
        .limit = 15, .reset_us = 20 * US_PER_SEC, .is_refused = true, .window_us = 60 * US_PER_SEC};
    struct foreseen_stamp stamp;
    struct foreseen foreseen;
    uint64_t now = start + 20 * US_PER_SEC;

    foreseen_init(&foreseen);
    stamp = foreseen_take(&foreseen, 1, start);
    foreseen_hear(&foreseen, &told, &stamp, start, start);
    assert_int_equal(foreseen_remaining(&foreseen, now - US_PER_SEC), 0);
    assert_true(passes(&foreseen, 15, now));
    foreseen_take(&foreseen, 15, now);
    assert_false(passes(&foreseen, 1, now + 21 * US_PER_SEC));
    assert_in_range(foreseen_wait_us(&foreseen, 1, 0, now), 59 * US_PER_SEC, 60 * US_PER_SEC);
    assert_true(passes(&foreseen, 15, now + 61 * US_PER_SEC));
}

static void test_window_comes_back_at_once(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 60, 10, 20 * US_PER_SEC, start); /* a bucket would say 50 s */
    assert_int_equal(foreseen_remaining(&foreseen, start + 19 * US_PER_SEC), 10);
    for (int i = 0; i < 10; i++)
        (void)foreseen_take(&foreseen, 1, start + US_PER_SEC);
    assert_int_equal(foreseen_wait_us(&foreseen, 1, 0, start + 2 * US_PER_SEC), 18 * US_PER_SEC);
    assert_true(passes(&foreseen, 60, start + 20 * US_PER_SEC));
}

/* Requests sent after the one that is answered are not yet in what its answer says. */
static void test_under_way_is_counted(void **state)
{
    const struct foreseen_told told = {100, 50, 30 * US_PER_SEC};
    struct foreseen_stamp first;
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    first = foreseen_take(&foreseen, 1, start);
    for (int i = 0; i < 20; i++)
        (void)foreseen_take(&foreseen, 1, start + i);
    foreseen_hear(&foreseen, &told, &first, start, start + 100);
    assert_int_equal(foreseen_remaining(&foreseen, start + 100), 30);
}

/* A burst that is answered as it was sent is counted once, not twice. */
static void test_burst_is_counted_once(void **state)
{
    for (int is_window = 0; is_window <= 1; is_window++) {
        struct foreseen foreseen;

        foreseen_init(&foreseen);
        for (uint64_t i = 1; i <= 20; i++)
            hear(&foreseen, 40, 40 - i, is_window ? 58 * US_PER_SEC : i * 1500 * US_PER_MS,
                 start + i * 500);
        assert_in_range(foreseen_remaining(&foreseen, start + 20 * 500), 19, 20);
    }
}

static void test_older_answer_does_not_win(void **state)
{
    const struct foreseen_told old = {100, 90, 6 * US_PER_SEC}, newer = {100, 20, 48 * US_PER_SEC};
    struct foreseen_stamp first, second;
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    first = foreseen_take(&foreseen, 1, start);
    second = foreseen_take(&foreseen, 1, start + US_PER_SEC);
    foreseen_hear(&foreseen, &newer, &second, start + US_PER_SEC, start + 2 * US_PER_SEC);
    foreseen_hear(&foreseen, &old, &first, start, start + 2 * US_PER_SEC);
    assert_in_range(foreseen_remaining(&foreseen, start + US_PER_SEC), 20, 20);
}

static void test_changed_limit_is_taken_at_once(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 1000, 900, 6 * US_PER_SEC, start);
    hear(&foreseen, 100, 0, 60 * US_PER_SEC, start + US_PER_SEC);
    assert_false(passes(&foreseen, 1, start + US_PER_SEC));
    hear(&foreseen, 1000, 900, 6 * US_PER_SEC, start + 2 * US_PER_SEC);
    assert_in_range(foreseen_remaining(&foreseen, start + 2 * US_PER_SEC), 899, 901);
}

/* Whatever is said: never a longer stop than a minute where the limit is a minute's. */
static void test_lies_are_bounded(void **state)
{
    const uint64_t lies[] = {
        0, 1, 59 * US_PER_SEC, 65 * US_PER_SEC, 18 * 86400 * US_PER_SEC, UINT64_MAX};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct foreseen foreseen;

        foreseen_init(&foreseen);
        hear(&foreseen, 100, 0, lies[i], start);
        assert_in_range(foreseen_wait_us(&foreseen, 1, 0, start), 0, 66 * US_PER_SEC);
        assert_true(passes(&foreseen, 1, start + 66 * US_PER_SEC));
    }
}

static void test_absurd_numbers(void **state)
{
    struct rand rand;

    rand_init(&rand, 7);
    for (int round = 0; round < 20000; round++) {
        struct foreseen foreseen;
        uint64_t now = start;

        foreseen_init(&foreseen);
        for (int i = 0; i < 6; i++) {
            uint64_t shift = rand_below(&rand, 64);
            struct foreseen_told told = {UINT64_MAX >> shift, UINT64_MAX >> rand_below(&rand, 64),
                                         UINT64_MAX >> rand_below(&rand, 64)};
            struct foreseen_stamp stamp = foreseen_take(&foreseen, UINT64_MAX >> shift, now);

            foreseen_hear(&foreseen, &told, &stamp, now - rand_below(&rand, 1000), now);
            assert_in_range(foreseen_wait_us(&foreseen, 1 + rand_below(&rand, 1 << 20), 0, now), 0,
                            2 * 86400 * US_PER_SEC);
            assert_in_range(foreseen_share(&foreseen, 1, now), 0, 65536);
            now += rand_below(&rand, 100 * US_PER_SEC);
        }
    }
}

static void test_clock_that_jumps(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 60, 10, 20 * US_PER_SEC, start + 500 * US_PER_SEC);
    /* Back: what was heard "in the future" stops nothing for long, and gives way to what is new. */
    assert_in_range(foreseen_wait_us(&foreseen, 11, 0, start), 0, 120 * US_PER_SEC);
    hear(&foreseen, 60, 30, 30 * US_PER_SEC, start);
    assert_in_range(foreseen_remaining(&foreseen, start), 29, 31);
}

static void test_fades(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 60, 60, 0, start);
    assert_true(foreseen_is_known(&foreseen, start + 599 * US_PER_SEC));
    assert_false(foreseen_is_known(&foreseen, start + 600 * US_PER_SEC));
    assert_true(passes(&foreseen, 1000, start + 600 * US_PER_SEC));
}

/* After a long rest the first request is not taken here; what its answer tells counts as it is. */
static void test_heard_again_after_a_rest(void **state)
{
    const struct foreseen_told told = {100, 80, 12 * US_PER_SEC};
    const struct foreseen_stamp none = {0};
    const uint64_t later = start + 3600 * US_PER_SEC;
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    for (int i = 0; i < 5; i++) {
        hear(&foreseen, 100, 100, 0, start);
        (void)foreseen_take(&foreseen, 90, start);
    }
    foreseen_hear(&foreseen, &told, &none, later, later);
    assert_in_range(foreseen_remaining(&foreseen, later), 79, 80);
}

static void test_limit_of_a_day(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 14400, 14370, 180 * US_PER_SEC, start);
    hear(&foreseen, 14400, 0, 86400 * US_PER_SEC, start + US_PER_SEC);
    assert_in_range(foreseen_wait_us(&foreseen, 1, 0, start + US_PER_SEC), 6 * US_PER_SEC - 2,
                    6 * US_PER_SEC + 2);
}

static void test_margin_is_kept_free(void **state)
{
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 100, 20, 48 * US_PER_SEC, start);
    assert_int_equal(foreseen_wait_us(&foreseen, 10, 100000, start), 0);
    assert_int_not_equal(foreseen_wait_us(&foreseen, 11, 100000, start), 0);
}

static void test_settled_unless_told(void **state)
{
    struct foreseen_stamp stamp;
    struct foreseen foreseen;

    foreseen_init(&foreseen);
    hear(&foreseen, 1000, 1000, 0, start);
    stamp = foreseen_take(&foreseen, 400, start + US_PER_SEC);
    foreseen_settle(&foreseen, &stamp, 100, start + US_PER_SEC, start + US_PER_SEC);
    assert_in_range(foreseen_remaining(&foreseen, start + US_PER_SEC), 899, 901);
    stamp = foreseen_take(&foreseen, 400, start + 2 * US_PER_SEC);
    hear(&foreseen, 1000, 500, 30 * US_PER_SEC, start + 3 * US_PER_SEC);
    foreseen_settle(&foreseen, &stamp, 100, start + 2 * US_PER_SEC, start + 3 * US_PER_SEC);
    assert_in_range(foreseen_remaining(&foreseen, start + 3 * US_PER_SEC), 499, 501);
}

/* ---- against a provider ---- */

struct provider {
    bool is_window;
    uint64_t limit;
    uint64_t full_ns; /* of a bucket */
    uint64_t end_us, used;
};

static bool admit(struct provider *provider, uint64_t units, uint64_t now,
                  struct foreseen_told *ret_told)
{
    uint64_t span = 60 * US_PER_SEC * 1000 / provider->limit * units;
    uint64_t from = provider->full_ns > now * 1000 ? provider->full_ns : now * 1000;
    bool is_in = from + span <= (now + 60 * US_PER_SEC) * 1000;

    if (provider->is_window) {
        if (now >= provider->end_us) {
            provider->end_us = now + 60 * US_PER_SEC;
            provider->used = 0;
        }
        is_in = provider->used + units <= provider->limit;
        provider->used += is_in ? units : 0;
        *ret_told = (struct foreseen_told){provider->limit, provider->limit - provider->used,
                                           provider->end_us - now};
        return is_in;
    }
    if (is_in)
        provider->full_ns = from + span;
    from = provider->full_ns > now * 1000 ? provider->full_ns - now * 1000 : 0;
    *ret_told = (struct foreseen_told){provider->limit,
                                       provider->limit - (from * provider->limit + 59999999999) /
                                                             (60 * US_PER_SEC * 1000),
                                       from / 1000};
    return is_in;
}

enum { FLIGHT = 4096 };

struct flight {
    uint64_t sent, arrives, answers;
    struct foreseen_stamp stamp;
    struct foreseen_told told;
};

/* As many requests as are let through, each a while under way: the units that passed, and how many
 * were refused after the first minute (before the first answer nobody knows). */
static void play(struct provider *provider, uint64_t seed, uint64_t *ret_passed,
                 uint64_t *ret_refused)
{
    static struct flight flights[FLIGHT];
    uint64_t first = 0, count = 0;
    struct foreseen foreseen;
    struct rand rand;

    foreseen_init(&foreseen);
    rand_init(&rand, seed);
    *ret_passed = *ret_refused = 0;
    for (uint64_t now = start; now < start + 600 * US_PER_SEC; now += 1000) {
        /* One that arrives together with another does so in the order of being sent; answers come
         * in any order. */
        for (uint64_t i = first; i < count; i++) {
            struct flight *flight = &flights[i % FLIGHT];

            if (flight->arrives && flight->arrives <= now) {
                bool is_in = admit(provider, flight->stamp.units, now, &flight->told);

                flight->arrives = 0;
                *ret_passed += is_in ? flight->stamp.units : 0;
                *ret_refused += !is_in && now > start + 70 * US_PER_SEC;
            } else if (!flight->arrives && flight->answers && flight->answers <= now) {
                foreseen_hear(&foreseen, &flight->told, &flight->stamp, flight->sent, now);
                flight->answers = 0;
            }
            if (i == first && !flight->answers)
                first++;
        }
        for (int tries = 0; tries < 2 && count - first < FLIGHT; tries++) {
            uint64_t units = 1 + rand_below(&rand, provider->limit / 100);

            if (!passes(&foreseen, units, now))
                continue;
            flights[count % FLIGHT] = (struct flight){
                .sent = now,
                .arrives = now + 5000 + rand_below(&rand, 30000),
                .answers = now + 100000 + rand_below(&rand, 3000000),
                .stamp = foreseen_take(&foreseen, units, now),
            };
            count++;
            if (!foreseen_is_known(&foreseen, now))
                break;
        }
    }
}

static void test_quota_is_used_and_kept(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        for (int is_window = 0; is_window <= 1; is_window++) {
            struct provider provider = {.is_window = is_window, .limit = 6000};
            uint64_t passed, refused, possible = is_window ? 60000 : 66000;

            play(&provider, seed, &passed, &refused);
            if (passed * 100 < possible * 96)
                fail_msg("%llu of %llu passed", (unsigned long long)passed,
                         (unsigned long long)possible);
            if (refused > 20)
                fail_msg("%llu refused (window %d)", (unsigned long long)refused, is_window);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_stops_nothing),
        cmocka_unit_test(test_bucket_comes_back_evenly),
        cmocka_unit_test(test_a_window_whose_length_is_told),
        cmocka_unit_test(test_window_comes_back_at_once),
        cmocka_unit_test(test_under_way_is_counted),
        cmocka_unit_test(test_burst_is_counted_once),
        cmocka_unit_test(test_older_answer_does_not_win),
        cmocka_unit_test(test_changed_limit_is_taken_at_once),
        cmocka_unit_test(test_lies_are_bounded),
        cmocka_unit_test(test_absurd_numbers),
        cmocka_unit_test(test_clock_that_jumps),
        cmocka_unit_test(test_fades),
        cmocka_unit_test(test_heard_again_after_a_rest),
        cmocka_unit_test(test_limit_of_a_day),
        cmocka_unit_test(test_margin_is_kept_free),
        cmocka_unit_test(test_settled_unless_told),
        cmocka_unit_test(test_quota_is_used_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
