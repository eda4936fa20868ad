/* Admission under a client's and a model's limits: both or none, the nearest told, kept over
 * reloads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/limiter.h"
#include "base/clock.h"

static const uint64_t start = 1000 * US_PER_SEC;

struct desk {
    struct limiter_book *book;
    struct limiter *client, *model;
};

static void open_desk(struct desk *desk, struct conf_limits client, struct conf_limits model)
{
    desk->book = limiter_book_new();
    assert_int_equal(
        limiter_book_get(desk->book, LIMITER_CLIENT, SPAN("x"), &client, &desk->client), 0);
    assert_int_equal(limiter_book_get(desk->book, LIMITER_MODEL, SPAN("x"), &model, &desk->model),
                     0);
}

static void close_desk(struct desk *desk)
{
    limiter_unref(&desk->client);
    limiter_unref(&desk->model);
    limiter_book_free(&desk->book);
}

static struct admission_verdict begin(struct desk *desk, struct admission *admission,
                                      uint64_t tokens, uint64_t now)
{
    return admission_begin(admission, desk->client, desk->model, tokens, now);
}

/* One exchange from begin to end at once; true where it was admitted. */
static bool pass(struct desk *desk, uint64_t tokens, uint64_t now)
{
    struct admission admission;
    bool is_admitted = begin(desk, &admission, tokens, now).is_admitted;

    admission_end(&admission, tokens, now);
    return is_admitted;
}

static void test_burst_and_headers(void **state)
{
    struct admission admission;
    struct admission_verdict verdict;
    struct desk desk;

    open_desk(&desk, (struct conf_limits){.rpm = 600, .burst = 60}, (struct conf_limits){0});
    assert_null(desk.model);
    verdict = begin(&desk, &admission, 0, start);
    assert_true(verdict.is_admitted);
    assert_int_equal(verdict.nearest.what, LIMITER_REQUESTS);
    assert_int_equal(verdict.nearest.limit, 600);
    assert_int_equal(verdict.nearest.remaining, 59);
    assert_int_equal(verdict.nearest.reset_us, 100 * US_PER_MS);
    admission_end(&admission, 0, start);
    for (int i = 0; i < 59; i++)
        assert_true(pass(&desk, 0, start));
    verdict = begin(&desk, &admission, 0, start);
    assert_false(verdict.is_admitted);
    assert_int_equal(verdict.wait_us, 100 * US_PER_MS);
    assert_int_equal(verdict.nearest.remaining, 0);
    admission_end(&admission, 0, start); /* holds nothing: harmless */
    close_desk(&desk);
}

static void test_both_or_none(void **state)
{
    struct admission admission;
    struct admission_verdict verdict;
    struct desk desk;

    open_desk(&desk, (struct conf_limits){.rpm = 60, .burst = 10, .tpm = 1000, .concurrent = 5},
              (struct conf_limits){.rpm = 60, .burst = 2});
    assert_true(pass(&desk, 10, start));
    assert_true(pass(&desk, 10, start));
    for (int i = 0; i < 100; i++) {
        verdict = begin(&desk, &admission, 10, start);
        assert_false(verdict.is_admitted);
        assert_int_equal(verdict.nearest.kind, LIMITER_MODEL);
        assert_int_equal(admission.shared_writes, 0);
    }
    /* The refusals of the model cost the client nothing. */
    desk.model = (limiter_unref(&desk.model), NULL);
    for (int i = 0; i < 8; i++)
        assert_true(pass(&desk, 10, start));
    assert_false(pass(&desk, 10, start));
    close_desk(&desk);
}

/* Whatever refuses, a flood of refusals leaves alone what the workers share. */
static void test_refusals_write_nothing(void **state)
{
    static const struct conf_limits limits[] = {
        {.rpm = 60, .burst = 1}, {.tpm = 10}, {.concurrent = 1}};
    static const enum limiter_what what[] = {LIMITER_REQUESTS, LIMITER_TOKENS, LIMITER_CONCURRENT};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct admission first, second;
        struct admission_verdict verdict;
        struct desk desk;

        open_desk(&desk, limits[i], (struct conf_limits){.rpm = 60, .burst = 10});
        assert_true(begin(&desk, &first, 10, start).is_admitted);
        assert_int_equal(first.shared_writes, 2);
        verdict = begin(&desk, &second, 10, start);
        assert_false(verdict.is_admitted);
        assert_int_equal(verdict.nearest.what, what[i]);
        assert_true(verdict.wait_us > 0);
        assert_int_equal(second.shared_writes, 0);
        admission_end(&first, 10, start);
        close_desk(&desk);
    }
}

static void test_nearest_is_the_one_with_the_smaller_share(void **state)
{
    struct admission admission;
    struct admission_verdict verdict;
    struct desk desk;

    open_desk(&desk, (struct conf_limits){.rpm = 100, .burst = 100, .tpm = 1000},
              (struct conf_limits){.rpm = 100, .burst = 50});
    verdict = begin(&desk, &admission, 10, start); /* 99%, 99%, 98% */
    assert_int_equal(verdict.nearest.kind, LIMITER_MODEL);
    admission_end(&admission, 10, start);
    verdict = begin(&desk, &admission, 500, start); /* 98%, 49%, 96% */
    assert_int_equal(verdict.nearest.what, LIMITER_TOKENS);
    assert_int_equal(verdict.nearest.limit, 1000);
    assert_int_equal(verdict.nearest.remaining, 490);
    admission_end(&admission, 500, start);
    close_desk(&desk);
}

static void test_concurrency(void **state)
{
    struct admission first, second, third;
    struct admission_verdict verdict;
    struct desk desk;

    open_desk(&desk, (struct conf_limits){.concurrent = 2}, (struct conf_limits){0});
    assert_true(begin(&desk, &first, 0, start).is_admitted);
    assert_true(begin(&desk, &second, 0, start).is_admitted);
    verdict = begin(&desk, &third, 0, start);
    assert_false(verdict.is_admitted);
    assert_int_equal(verdict.nearest.what, LIMITER_CONCURRENT);
    assert_int_equal(verdict.nearest.limit, 2);
    assert_true(verdict.wait_us > 0);
    admission_end(&first, 0, start);
    admission_end(&first, 0, start); /* once is enough */
    assert_true(begin(&desk, &third, 0, start).is_admitted);
    assert_false(begin(&desk, &first, 0, start).is_admitted);
    admission_end(&second, 0, start);
    admission_end(&third, 0, start);
    close_desk(&desk);
}

/* Who is refused for want of a place is told when the first of them will mostly be free. */
static void test_places_are_told_by_how_long_they_are_held(void **state)
{
    struct admission first, second, third;
    struct admission_verdict verdict;
    struct desk desk;
    uint64_t now = start;

    (void)state;
    open_desk(&desk, (struct conf_limits){.concurrent = 2}, (struct conf_limits){0});
    for (int i = 0; i < 100; i++) {
        assert_true(begin(&desk, &first, 0, now).is_admitted);
        assert_true(begin(&desk, &second, 0, now).is_admitted);
        verdict = begin(&desk, &third, 0, now);
        assert_false(verdict.is_admitted);
        assert_int_equal(verdict.nearest.reset_us, verdict.wait_us);
        /* At first nobody knows; then a place is free every ten of twenty seconds, then of two. */
        if (i == 0)
            assert_int_equal(verdict.wait_us, US_PER_SEC);
        else if (i == 10)
            assert_in_range(verdict.wait_us, 9 * US_PER_SEC, 11 * US_PER_SEC);
        now += i < 20 ? 20 * US_PER_SEC : 2 * US_PER_SEC;
        admission_end(&first, 0, now);
        admission_end(&second, 0, now);
    }
    assert_in_range(verdict.wait_us, US_PER_SEC, 11 * US_PER_SEC / 10);
    close_desk(&desk);
}

static void test_tokens_are_settled(void **state)
{
    struct admission admission;
    struct desk desk;

    open_desk(&desk, (struct conf_limits){.tpm = 1000}, (struct conf_limits){0});
    assert_true(begin(&desk, &admission, 900, start).is_admitted);
    assert_false(pass(&desk, 200, start));
    admission_end(&admission, 100, start); /* it was far less */
    assert_true(begin(&desk, &admission, 0, start).is_admitted);
    admission_end(&admission, 2900, start); /* far more: two minutes of debt */
    assert_false(pass(&desk, 1, start + 119 * US_PER_SEC));
    assert_true(pass(&desk, 1, start + 121 * US_PER_SEC));
    close_desk(&desk);
}

/* One client does not shut a model for the others by what it announces. */
static void test_one_that_announces_too_much_of_a_model(void **state)
{
    struct admission admission;
    struct desk desk;

    (void)state;
    open_desk(&desk, (struct conf_limits){0}, (struct conf_limits){.tpm = 1000});
    assert_true(begin(&desk, &admission, UINT64_MAX / 2, start).is_admitted);
    admission_end(&admission, 0, start); /* it failed */
    assert_false(pass(&desk, 1000, start + 59 * US_PER_SEC));
    assert_true(begin(&desk, &admission, UINT64_MAX / 2, start + 60 * US_PER_SEC).is_admitted);
    admission_end(&admission, 2000, start + 60 * US_PER_SEC); /* two minutes */
    assert_false(pass(&desk, 1000, start + 179 * US_PER_SEC));
    assert_true(begin(&desk, &admission, UINT64_MAX / 2, start + 180 * US_PER_SEC).is_admitted);
    admission_cancel(&admission, start + 180 * US_PER_SEC);
    assert_true(pass(&desk, 1000, start + 180 * US_PER_SEC));
    close_desk(&desk);
}

static void test_reload_keeps_what_was_used(void **state)
{
    struct conf_limits limits = {.rpm = 60, .burst = 5};
    struct limiter *again = NULL, *other = NULL;
    struct desk desk;

    open_desk(&desk, limits, (struct conf_limits){0});
    for (int i = 0; i < 5; i++)
        assert_true(pass(&desk, 0, start));
    assert_int_equal(limiter_book_get(desk.book, LIMITER_CLIENT, SPAN("x"), &limits, &again), 0);
    assert_ptr_equal(again, desk.client);
    assert_int_equal(limiter_book_get(desk.book, LIMITER_MODEL, SPAN("x"), &limits, &other), 0);
    assert_ptr_not_equal(other, desk.client);
    limiter_unref(&desk.client); /* the old snapshot goes */
    desk.client = again;
    assert_false(pass(&desk, 0, start));
    limits.burst = 7; /* new numbers hold once their configuration does, and not without it */
    assert_int_equal(limiter_book_get(desk.book, LIMITER_CLIENT, SPAN("x"), &limits, &again), 0);
    assert_false(pass(&desk, 0, start));
    limiter_book_commit(desk.book, true);
    limiter_unref(&again);
    limiter_book_commit(desk.book, false);
    assert_false(pass(&desk, 0, start));
    assert_int_equal(limiter_book_get(desk.book, LIMITER_CLIENT, SPAN("x"), &limits, &again), 0);
    limiter_book_commit(desk.book, false);
    assert_true(pass(&desk, 0, start));
    assert_true(pass(&desk, 0, start));
    assert_false(pass(&desk, 0, start));
    limiter_unref(&again);
    limiter_unref(&other);
    close_desk(&desk);
}

/* --- several workers --- */

enum { WORKERS = 4, TRIES = 20000, PLACES = 3, REQUESTS = 30000 };

struct crowd {
    struct desk desk;
    atomic_int under_way;
    atomic_uint admitted;
};

static void *work(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < TRIES; i++) {
        struct admission admission;

        if (!begin(&crowd->desk, &admission, 10, start).is_admitted)
            continue;
        assert_true(atomic_fetch_add(&crowd->under_way, 1) < PLACES);
        atomic_fetch_add(&crowd->admitted, 1);
        atomic_fetch_sub(&crowd->under_way, 1);
        admission_end(&admission, 20, start);
    }
    return NULL;
}

/* At no moment more than there are places, and in all no more than the rate; nothing stays taken.
 */
static void test_workers_share_limits(void **state)
{
    static struct crowd crowd;
    struct conf_limits client = {.rpm = REQUESTS, .burst = REQUESTS, .concurrent = PLACES};
    struct admission held[PLACES], more;
    pthread_t threads[WORKERS];

    (void)state;
    open_desk(&crowd.desk, client,
              (struct conf_limits){.tpm = 100000000, .concurrent = PLACES + 1});
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &crowd), 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(atomic_load(&crowd.admitted), 1, REQUESTS);
    for (int i = 0; i < PLACES; i++)
        assert_true(begin(&crowd.desk, &held[i], 10, start + 60 * US_PER_SEC).is_admitted);
    assert_false(begin(&crowd.desk, &more, 10, start + 60 * US_PER_SEC).is_admitted);
    for (int i = 0; i < PLACES; i++)
        admission_end(&held[i], 10, start);
    close_desk(&crowd.desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_headers),
        cmocka_unit_test(test_both_or_none),
        cmocka_unit_test(test_refusals_write_nothing),
        cmocka_unit_test(test_nearest_is_the_one_with_the_smaller_share),
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_places_are_told_by_how_long_they_are_held),
        cmocka_unit_test(test_tokens_are_settled),
        cmocka_unit_test(test_one_that_announces_too_much_of_a_model),
        cmocka_unit_test(test_reload_keeps_what_was_used),
        cmocka_unit_test(test_workers_share_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
