/* The strict window: whatever comes when, no 60 seconds hold more than the limit; and what it
 * promises of waiting is true. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/latch.h"
#include "limits/window.h"

static const uint64_t start = 5000 * US_PER_SEC + 123456;

static bool take(struct window *window, uint64_t limit, uint64_t units, uint64_t now,
                 struct window_stamp *ret_stamp, uint64_t *ret_wait_us)
{
    *ret_wait_us = window_wait_us(window, limit, units, now);
    if (*ret_wait_us)
        return false;
    *ret_stamp = window_take(window, limit, units, now);
    return true;
}

/* What passed, and when. */
struct record {
    uint64_t at_us, units;
};

struct history {
    struct record records[20000];
    size_t count;
};

/* The largest sum within any 60 seconds, both ends included. */
static uint64_t worst_minute(const struct history *history)
{
    uint64_t worst = 0, sum = 0;
    size_t tail = 0;

    for (size_t i = 0; i < history->count; i++) {
        sum += history->records[i].units;
        while (history->records[i].at_us - history->records[tail].at_us > 60 * US_PER_SEC)
            sum -= history->records[tail++].units;
        worst = sum > worst ? sum : worst;
    }
    return worst;
}

static void run_history(uint64_t seed, struct history *history)
{
    struct rand rand;
    struct window window;
    uint64_t limit, now = start;

    rand_init(&rand, seed);
    limit = 1 + rand_below(&rand, 200);
    window_init(&window);
    history->count = 0;
    while (now < start + 300 * US_PER_SEC && history->count < 20000) {
        uint64_t units = 1 + rand_below(&rand, limit), wait_us = 0;
        struct window_stamp stamp;

        if (take(&window, limit, units, now, &stamp, &wait_us)) {
            assert_int_equal(stamp.units, units);
            history->records[history->count++] = (struct record){now, units};
        } else {
            assert_in_range(wait_us, 1, WINDOW_SPAN * US_PER_SEC);
            assert_int_equal(window_wait_us(&window, limit, units, now), wait_us);
            assert_true(window_wait_us(&window, limit, units, now + wait_us - 1) > 0);
            assert_int_equal(window_wait_us(&window, limit, units, now + wait_us), 0);
        }
        now += rand_below(&rand, rand_below(&rand, 10) ? US_PER_SEC : 70 * US_PER_SEC);
    }
    assert_true(worst_minute(history) <= limit);
}

static void test_no_minute_holds_more(void **state)
{
    struct history *history = malloc(sizeof(*history));

    assert_non_null(history);
    for (uint64_t seed = 0; seed < 300; seed++)
        run_history(seed, history);
    free(history);
}

static void test_capacity_is_used(void **state)
{
    struct window window;
    struct window_stamp stamp;
    uint64_t passed = 0, wait_us;

    window_init(&window);
    for (uint64_t ms = 0; ms < 620000; ms += 10)
        passed += take(&window, 60, 1, start + ms * US_PER_MS, &stamp, &wait_us);
    /* Ten windows of 62 s: no more is lost than the two seconds of caution. */
    assert_in_range(passed, 600, 620);
}

static void test_large_request_passes_alone(void **state)
{
    struct window window;
    struct window_stamp stamp;
    uint64_t wait_us = 0;

    window_init(&window);
    assert_true(take(&window, 1000, 1, start, &stamp, &wait_us));
    assert_false(take(&window, 1000, 5000, start, &stamp, &wait_us));
    assert_true(take(&window, 1000, 5000, start + wait_us, &stamp, &wait_us));
    assert_int_equal(stamp.units, 1000);
}

static void test_move_follows_the_request(void **state)
{
    struct window window;
    struct window_stamp stamp;
    uint64_t wait_us = 0, sent = start + 30 * US_PER_SEC;

    window_init(&window);
    assert_true(take(&window, 1, 1, start, &stamp, &wait_us));
    window_move(&window, &stamp, sent);
    assert_int_equal(window_used(&window, sent), 1);
    assert_true(window_wait_us(&window, 1, 1, start + 62 * US_PER_SEC) > 0);
    assert_int_equal(window_wait_us(&window, 1, 1, sent + 62 * US_PER_SEC), 0);
}

static void test_settling(void **state)
{
    struct window window;
    struct window_stamp stamp;
    uint64_t wait_us = 0, later = start + 20 * US_PER_SEC;

    window_init(&window);
    assert_true(take(&window, 1000, 600, start, &stamp, &wait_us));
    window_settle(&window, &stamp, 100, later);
    assert_int_equal(window_used(&window, later), 100);
    assert_true(take(&window, 1000, 600, later, &stamp, &wait_us));
    window_settle(&window, &stamp, 1500, later);
    assert_int_equal(window_used(&window, later), 1600);
    /* Booked when it became known: it counts for as long as anything else. */
    assert_int_equal(window_used(&window, later + 61 * US_PER_SEC), 1500);
    assert_int_equal(window_used(&window, later + 62 * US_PER_SEC), 0);
}

static void test_late_settling_hurts_nobody(void **state)
{
    struct window window;
    struct window_stamp stamp;
    uint64_t wait_us = 0, later = start + 64 * 3 * US_PER_SEC;

    window_init(&window);
    assert_true(take(&window, 10, 5, start, &stamp, &wait_us));
    for (int i = 0; i < 10; i++) {
        struct window_stamp other;

        assert_true(take(&window, 10, 1, later, &other, &wait_us));
    }
    window_settle(&window, &stamp, 0, later); /* the same bucket, three rounds later */
    assert_int_equal(window_used(&window, later), 10);
}

struct contest {
    struct latch latch;
    struct window window;
    uint64_t passed;
};

static void *contend(void *arg)
{
    struct contest *contest = arg;
    struct window_stamp stamp;
    uint64_t wait_us;

    for (int i = 0; i < 20000; i++) {
        latch_take(&contest->latch);
        contest->passed += take(&contest->window, 5000, 1, start, &stamp, &wait_us);
        latch_give(&contest->latch);
    }
    return NULL;
}

static void test_workers_never_pass_it_together(void **state)
{
    static struct contest contest;
    pthread_t threads[4];

    latch_init(&contest.latch);
    window_init(&contest.window);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &contest), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(contest.passed, 5000);
    assert_int_equal(window_used(&contest.window, start), 5000);
}

/* What is told of a time to come is what passes then. */
static void test_what_will_be_left(void **state)
{
    struct window window;
    struct rand rand;

    (void)state;
    rand_init(&rand, 3);
    window_init(&window);
    for (uint64_t now = start; now < start + 300 * US_PER_SEC; now += US_PER_SEC / 2) {
        uint64_t units = 1 + rand_below(&rand, 4);
        uint64_t at = now + rand_below(&rand, 70 * US_PER_SEC);
        uint64_t left = window_left_at(&window, 100, at);

        assert_int_equal(left, 100 - window_used(&window, at));
        assert_true(window_wait_us(&window, 100, left + 1, at) > 0 || left == 100);
        assert_true(left == 0 || window_wait_us(&window, 100, left, at) == 0);
        if (window_wait_us(&window, 100, units, now) == 0)
            (void)window_take(&window, 100, units, now);
    }
    assert_int_equal(window_left_at(&window, 1, start + 300 * US_PER_SEC), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_minute_holds_more),
        cmocka_unit_test(test_capacity_is_used),
        cmocka_unit_test(test_large_request_passes_alone),
        cmocka_unit_test(test_move_follows_the_request),
        cmocka_unit_test(test_settling),
        cmocka_unit_test(test_late_settling_hurts_nobody),
        cmocka_unit_test(test_workers_never_pass_it_together),
        cmocka_unit_test(test_what_will_be_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
