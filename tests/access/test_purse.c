/* What clients and pools may spend. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/purse.h"
#include "base/clock.h"

enum { THREADS = 4, ADDS = 20000 };

static struct purse_book *book;

static struct purse *purse_of(enum purse_kind kind, const char *name)
{
    struct purse *purse = NULL;

    assert_int_equal(purse_book_get(book, kind, span_from_text(name), &purse), 0);
    assert_non_null(purse);
    return purse;
}

static int open_book(void **state)
{
    book = purse_book_new();
    return book ? 0 : -1;
}

static int close_book(void **state)
{
    purse_book_free(&book);
    return 0;
}

static void a_new_purse_is_open(void **state)
{
    struct purse *purse = purse_of(PURSE_CLIENT, "web");
    uint64_t wait_us = 7;

    purse_add(purse, 1000);
    assert_false(purse_is_spent(purse, US_PER_SEC, &wait_us));
    assert_false(purse_is_spent(NULL, US_PER_SEC, &wait_us));
    assert_int_equal(wait_us, 7);
    purse_unref(&purse);
    assert_null(purse);
    purse_unref(&purse);
}

static void it_is_spent_until_the_period_ends(void **state)
{
    struct purse *purse = purse_of(PURSE_CLIENT, "web");
    uint64_t wait_us;

    purse_set(purse, 100, 10 * US_PER_SEC);
    purse_add(purse, 99);
    assert_false(purse_is_spent(purse, US_PER_SEC, &wait_us));
    purse_add(purse, 1);
    assert_true(purse_is_spent(purse, US_PER_SEC, &wait_us));
    assert_int_equal(wait_us, 9 * US_PER_SEC);
    assert_true(purse_is_spent(purse, 10 * US_PER_SEC - 1, &wait_us));
    assert_int_equal(wait_us, 1);
    assert_false(purse_is_spent(purse, 10 * US_PER_SEC, &wait_us));
    /* The next period; and one that was raised in the middle of it. */
    purse_set(purse, 150, 20 * US_PER_SEC);
    purse_add(purse, 50);
    assert_true(purse_is_spent(purse, 11 * US_PER_SEC, &wait_us));
    purse_set(purse, 250, 20 * US_PER_SEC);
    assert_false(purse_is_spent(purse, 11 * US_PER_SEC, &wait_us));
    assert_int_equal(purse_spent(purse), 150);
    purse_unref(&purse);
}

static void what_was_spent_before_the_process_counts(void **state)
{
    struct purse *purse = purse_of(PURSE_POOL, "search");
    uint64_t wait_us;

    /* 120 of 100, all of it earlier; and 60 of 100. */
    purse_set(purse, (uint64_t)-20, US_PER_SEC);
    assert_true(purse_is_spent(purse, 1, &wait_us));
    purse_set(purse, 40, US_PER_SEC);
    assert_false(purse_is_spent(purse, 1, &wait_us));
    purse_add(purse, 40);
    assert_true(purse_is_spent(purse, 1, &wait_us));
    purse_unref(&purse);
}

static void a_sum_stands_still_at_the_most(void **state)
{
    struct purse *purse = purse_of(PURSE_CLIENT, "web");
    uint64_t wait_us;

    purse_set(purse, 100, US_PER_SEC);
    purse_add(purse, UINT64_MAX);
    purse_add(purse, UINT64_MAX);
    purse_add(purse, 5);
    assert_int_equal(purse_spent(purse), PURSE_MOST);
    assert_true(purse_is_spent(purse, 1, &wait_us));
    purse_unref(&purse);
}

static void one_name_is_one_purse(void **state)
{
    struct purse *client = purse_of(PURSE_CLIENT, "a"), *again = purse_of(PURSE_CLIENT, "a");
    struct purse *pool = purse_of(PURSE_POOL, "a");

    assert_ptr_equal(client, again);
    assert_ptr_not_equal(client, pool);
    purse_add(client, 3);
    purse_unref(&client);
    assert_int_equal(purse_spent(again), 3);
    purse_unref(&again);
    again = purse_of(PURSE_CLIENT, "a");
    assert_int_equal(purse_spent(again), 0);
    purse_unref(&again);
    purse_unref(&pool);
}

static void *spend(void *arg)
{
    for (int i = 0; i < ADDS; i++)
        purse_add(arg, 3);
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    struct purse *purse = purse_of(PURSE_CLIENT, "web");
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend, purse), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(purse_spent(purse), 3 * THREADS * ADDS);
    purse_unref(&purse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_purse_is_open, open_book, close_book),
        cmocka_unit_test_setup_teardown(it_is_spent_until_the_period_ends, open_book, close_book),
        cmocka_unit_test_setup_teardown(what_was_spent_before_the_process_counts, open_book,
                                        close_book),
        cmocka_unit_test_setup_teardown(a_sum_stands_still_at_the_most, open_book, close_book),
        cmocka_unit_test_setup_teardown(one_name_is_one_purse, open_book, close_book),
        cmocka_unit_test_setup_teardown(nothing_is_lost_between_threads, open_book, close_book),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
