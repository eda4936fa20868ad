/* Latches, for the thread sanitizer as much as for the asserts. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/latch.h"

/* More than there are cores, so that holders lose theirs. */
enum { THREADS = 8, ROUNDS = 20000 };

struct contest {
    struct latch latch;
    uint64_t a, b; /* always equal, outside */
};

static void *contend(void *arg)
{
    struct contest *contest = arg;

    for (int i = 0; i < ROUNDS; i++) {
        latch_take(&contest->latch);
        assert_int_equal(contest->a, contest->b);
        contest->a++;
        contest->b++;
        latch_give(&contest->latch);
    }
    return NULL;
}

static void test_one_at_a_time(void **state)
{
    struct contest contest = {.a = 0};
    pthread_t threads[THREADS];

    (void)state;
    latch_init(&contest.latch);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &contest), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(contest.a, THREADS * ROUNDS);
    assert_int_equal(contest.b, THREADS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
