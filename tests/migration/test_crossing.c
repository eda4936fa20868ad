/* What workers and the control thread share: shares exact to one, and counts of which none is lost.
 */
#include "world.h"

#include <pthread.h>

#include "migration/crossing.h"

static void test_the_book(void **state)
{
    struct crossing_book *book = crossing_book_new(2);
    struct crossing *first, *again, *other;
    struct crossing_stand stand;

    (void)state;
    assert_int_equal(crossing_book_get(book, SPAN("m"), SPAN("a/x"), SPAN("b/y"), &first), 0);
    stand = crossing_stand(first);
    assert_true(stand.has_old && stand.has_new && stand.share_ppm == 0);
    crossing_set(first, (struct crossing_stand){250000, true, true});
    assert_int_equal(crossing_book_get(book, SPAN("m"), SPAN("a/x"), SPAN("b/y"), &again), 0);
    assert_ptr_equal(first, again);
    assert_int_equal(crossing_stand(again).share_ppm, 250000);
    assert_int_equal(crossing_book_get(book, SPAN("m"), SPAN("a/x"), SPAN("b/z"), &other), 0);
    assert_ptr_not_equal(first, other);
    /* One that nobody holds is forgotten; one that somebody holds is not. */
    crossing_unref(&other);
    crossing_unref(&again);
    crossing_book_sweep(book);
    assert_int_equal(crossing_book_get(book, SPAN("m"), SPAN("a/x"), SPAN("b/y"), &again), 0);
    assert_ptr_equal(first, again);
    crossing_unref(&first);
    crossing_unref(&again);
    crossing_book_sweep(book);
    assert_int_equal(crossing_book_get(book, SPAN("m"), SPAN("a/x"), SPAN("b/y"), &again), 0);
    assert_int_equal(crossing_stand(again).share_ppm, 0);
    crossing_book_free(&book);
    crossing_unref(&again);
}

static struct crossing *make(uint32_t workers, struct crossing_book **ret_book)
{
    struct crossing *crossing;

    *ret_book = crossing_book_new(workers);
    assert_int_equal(crossing_book_get(*ret_book, SPAN("m"), SPAN("a/x"), SPAN("b/y"), &crossing),
                     0);
    return crossing;
}

static void test_turns(void **state)
{
    static const uint32_t shares[] = {0, 1000, 50000, 333333, 999999, 1000000};
    struct crossing_book *book;
    struct crossing *crossing = make(1, &book);

    (void)state;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint32_t taken = 0;

        crossing_set(crossing, (struct crossing_stand){shares[i], true, true});
        for (int k = 0; k < 10000; k++)
            taken += crossing_turn(crossing, 0) == CROSSING_NEW;
        assert_in_range(taken, shares[i] / 100 ? shares[i] / 100 - 1 : 0, shares[i] / 100 + 2);
    }
    crossing_unref(&crossing);
    crossing_book_free(&book);
}

static void test_counts(void **state)
{
    const struct crossing_answer answer = {.total_us = 250000,
                                           .has_usage = true,
                                           .prompt_tokens = 10,
                                           .completion_tokens = 40,
                                           .has_cost = true,
                                           .cost_nano = 5000};
    struct side sides[CROSSING_SIDES] = {{.requests = 0}};
    struct crossing_book *book;
    struct crossing *crossing = make(2, &book);
    struct evidence_tick tick;

    (void)state;
    crossing_note_good(crossing, 0, CROSSING_NEW, 80000);
    crossing_note_good(crossing, 1, CROSSING_NEW, 0);
    crossing_note_failed(crossing, 1, CROSSING_NEW, true, false);
    crossing_note_failed(crossing, 0, CROSSING_NEW, false, true);
    crossing_note_failed(crossing, 0, CROSSING_OLD, false, false);
    crossing_note_whole(crossing, 0, CROSSING_NEW, &answer);
    crossing_take(crossing, &tick, sides);
    assert_int_equal(tick.canary.requests, 4);
    assert_int_equal(tick.canary.failures, 2);
    assert_int_equal(tick.canary.refused, 1);
    assert_int_equal(tick.canary.latencies[latency_bucket(80000)], 1);
    assert_int_equal(tick.control.requests, 1);
    assert_int_equal(tick.control.failures, 1);
    assert_int_equal(sides[CROSSING_NEW].broken, 1);
    crossing_take_rest(crossing, sides);
    assert_int_equal(sides[CROSSING_NEW].whole, 1);
    assert_int_equal(sides[CROSSING_NEW].completion_tokens, 40);
    assert_int_equal(sides[CROSSING_NEW].cost_nano, 5000);
    assert_int_equal(sides[CROSSING_NEW].counts[SIDE_LENGTH][latency_bucket(40000)], 1);
    /* Nothing twice. */
    crossing_take(crossing, &tick, sides);
    crossing_take_rest(crossing, sides);
    assert_int_equal(tick.canary.requests, 0);
    assert_int_equal(sides[CROSSING_NEW].requests, 4);
    assert_int_equal(sides[CROSSING_NEW].whole, 1);
    crossing_unref(&crossing);
    crossing_book_free(&book);
}

enum { WORKERS = 4, REQUESTS = 20000 };

struct worker {
    struct crossing *crossing;
    uint32_t index;
};

static void *work(void *argument)
{
    const struct worker *worker = argument;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        enum crossing_side side = crossing_turn(worker->crossing, worker->index);

        if (i % 10)
            crossing_note_good(worker->crossing, worker->index, side, 1000 + i);
        else
            crossing_note_failed(worker->crossing, worker->index, side, false, false);
    }
    return NULL;
}

static void test_workers(void **state)
{
    struct side sides[CROSSING_SIDES] = {{.requests = 0}};
    struct crossing_book *book;
    struct crossing *crossing = make(WORKERS, &book);
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    struct evidence_tick tick;

    (void)state;
    crossing_set(crossing, (struct crossing_stand){300000, true, true});
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){crossing, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        crossing_take(crossing, &tick, sides);
        assert_true(tick.canary.failures <= tick.canary.requests);
        crossing_set(crossing, (struct crossing_stand){300000, true, true});
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    crossing_take(crossing, &tick, sides);
    assert_int_equal(sides[CROSSING_OLD].requests + sides[CROSSING_NEW].requests,
                     WORKERS * REQUESTS);
    assert_int_equal(sides[CROSSING_OLD].failures + sides[CROSSING_NEW].failures,
                     WORKERS * REQUESTS / 10);
    assert_in_range(sides[CROSSING_NEW].requests, WORKERS * (REQUESTS * 3 / 10 - 1),
                    WORKERS * (REQUESTS * 3 / 10 + 1));
    crossing_unref(&crossing);
    crossing_book_free(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_book),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
