/* Estimates of tokens on real texts, against what three vocabularies count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "estimate_play.h"

enum { SEEDS = 5 };

static int begin(void **state)
{
    return estimate_play_begin(getenv("BW_SOURCE_ROOT")) ? 0 : -1;
}

static int end(void **state)
{
    estimate_play_end();
    return 0;
}

/* The aim: nine of ten within a tenth after 200 exchanges, whatever the vocabulary and the seed. */
static void test_is_within_a_tenth_after_200_exchanges(void **state)
{
    for (unsigned vocabulary = 0; vocabulary < ESTIMATE_VOCABULARIES; vocabulary++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            const struct estimate_question question = {
                .seed = seed, .vocabulary = vocabulary, .look_count = 2, .looks = {200, 1000}};
            struct estimate_errors errors[2];

            estimate_play(&question, errors);
            for (unsigned i = 0; i < 2; i++) {
                assert_true(errors[i].p90[ESTIMATE_ALL] < 0.10);
                assert_true(errors[i].p50[ESTIMATE_ALL] < 0.05);
            }
        }
    }
}

/* What is told may be nonsense now and then: nothing is reset, and little is lost. */
static void test_bears_nonsense(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct estimate_question question = {
            .seed = seed, .look_count = 1, .looks = {300}, .nonsense_percent = 5};
        struct estimate_errors errors;

        estimate_play(&question, &errors);
        assert_true(errors.p90[ESTIMATE_ALL] < 0.2);
        assert_true(errors.p50[ESTIMATE_ALL] < 0.1);
    }
}

/* Before anything is known its worst are better than those of four bytes a token. */
static void test_begins_better_than_by_bytes(void **state)
{
    for (unsigned vocabulary = 0; vocabulary < ESTIMATE_VOCABULARIES; vocabulary++) {
        struct estimate_question question = {
            .seed = 1, .vocabulary = vocabulary, .look_count = 1, .looks = {0}};
        struct estimate_errors by_kinds, by_bytes;

        estimate_play(&question, &by_kinds);
        question.is_by_bytes = true;
        estimate_play(&question, &by_bytes);
        assert_true(by_kinds.p90[ESTIMATE_ALL] < by_bytes.p90[ESTIMATE_ALL]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_within_a_tenth_after_200_exchanges),
        cmocka_unit_test(test_bears_nonsense),
        cmocka_unit_test(test_begins_better_than_by_bytes),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
