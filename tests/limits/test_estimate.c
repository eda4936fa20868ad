/* Estimates of tokens: what is learned, and what cannot shake it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/rand.h"
#include "limits/estimates.h"

/* A prompt of so many words, five letters each. */
static struct json_kinds words(uint64_t count)
{
    return (struct json_kinds){.texts = 1, .words = count, .letters = 5 * count, .spaces = count};
}

static uint64_t guess(const struct estimate *estimate, const struct estimate_text *text)
{
    struct estimate_weights weights = estimate_weights(estimate);

    return estimate_prompt(&weights, text);
}

static double off_by(uint64_t guess, uint64_t truth)
{
    double ratio = (double)guess / (double)truth;

    return ratio > 1 ? ratio - 1 : 1 - ratio;
}

static void learn_words(struct estimate *estimate, struct rand *rand, double tokens_a_word,
                        unsigned exchanges)
{
    for (unsigned i = 0; i < exchanges; i++) {
        struct json_kinds kinds = words(20 + rand_below(rand, 1000));
        const struct estimate_text text = {.kinds = &kinds};

        estimate_learn(estimate, &text, 7 + (uint64_t)(tokens_a_word * (double)kinds.words));
    }
}

static void test_learns_a_vocabulary_and_another_after_it(void **state)
{
    struct json_kinds kinds = words(500);
    const struct estimate_text text = {.kinds = &kinds};
    struct estimate estimate;
    struct rand rand;

    rand_init(&rand, 1);
    estimate_init(&estimate);
    learn_words(&estimate, &rand, 2.0, 50);
    assert_true(off_by(guess(&estimate, &text), 1007) < 0.03);
    learn_words(&estimate, &rand, 2.0, 5000);
    /* A new version of the model counts otherwise. */
    learn_words(&estimate, &rand, 1.4, 400);
    assert_true(off_by(guess(&estimate, &text), 707) < 0.05);
}

static void test_nonsense_resets_nothing(void **state)
{
    static const uint64_t nonsense[] = {0, 1, UINT64_MAX, UINT64_C(1) << 40, 3};
    struct json_kinds kinds = words(500);
    const struct estimate_text text = {.kinds = &kinds};
    struct estimate estimate;
    struct rand rand;

    rand_init(&rand, 2);
    estimate_init(&estimate);
    learn_words(&estimate, &rand, 2.0, 200);
    for (unsigned i = 0; i < 5; i++)
        estimate_learn(&estimate, &text, nonsense[i]);
    assert_true(off_by(guess(&estimate, &text), 1007) < 0.10);
    for (unsigned i = 0; i < 1000; i++)
        estimate_learn(&estimate, &text, nonsense[i % 5]);
    learn_words(&estimate, &rand, 2.0, 500);
    assert_true(off_by(guess(&estimate, &text), 1007) < 0.10);
}

/* Whatever is told of whatever text, a guess is a number of tokens that a limit can be asked for.
 */
static void test_any_history_leaves_a_sane_guess(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct estimate estimate;
        struct rand rand;

        rand_init(&rand, seed);
        estimate_init(&estimate);
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t scale = UINT64_C(1) << rand_below(&rand, 64);
            struct json_kinds kinds = {.letters = rand_below(&rand, scale),
                                       .words = rand_below(&rand, scale),
                                       .digits = rand_below(&rand, scale),
                                       .marks = rand_below(&rand, scale),
                                       .breaks = rand_below(&rand, scale),
                                       .latin = rand_below(&rand, scale),
                                       .wide = rand_below(&rand, scale),
                                       .texts = rand_below(&rand, 3)};
            const struct estimate_text text = {.kinds = &kinds,
                                               .numbers = rand_below(&rand, scale),
                                               .tool_bytes = rand_below(&rand, scale),
                                               .media = rand_below(&rand, 3)};
            uint64_t tokens;

            estimate_learn(&estimate, &text, rand_below(&rand, scale));
            estimate_learn_answer(&estimate, rand_below(&rand, scale));
            tokens = guess(&estimate, &text);
            assert_true(tokens <= ESTIMATE_MAX_TOKENS);
            assert_true(tokens > 0 ||
                        (!kinds.texts && !text.tool_bytes && !text.media && !text.numbers));
            assert_true(estimate_weights(&estimate).answer >= 0);
        }
    }
}

static void test_counts_what_is_given_as_tokens(void **state)
{
    struct json_kinds none = {.texts = 0};
    const struct estimate_text nothing = {.kinds = &none}, given = {.kinds = &none, .numbers = 17};
    struct estimate_weights weights = estimate_prior();

    assert_int_equal(estimate_prompt(&weights, &nothing), 0);
    assert_int_equal(estimate_prompt(&weights, &given), 17);
}

/* Pictures cost what that model takes for one, and leave what is known of text alone. */
static void test_learns_what_pictures_cost(void **state)
{
    struct json_kinds kinds = words(200);
    const struct estimate_text text = {.kinds = &kinds}, shown = {.kinds = &kinds, .media = 1};
    struct estimate estimate;
    struct rand rand;

    rand_init(&rand, 3);
    estimate_init(&estimate);
    learn_words(&estimate, &rand, 1.5, 200);
    for (unsigned i = 0; i < 100; i++)
        estimate_learn(&estimate, &shown, 307 + 200 + rand_below(&rand, 100));
    assert_true(off_by(guess(&estimate, &shown), 557) < 0.15);
    assert_true(off_by(guess(&estimate, &text), 307) < 0.05);
}

static void test_nine_of_ten_answers_stay_below(void **state)
{
    struct estimate estimate;
    struct rand rand;
    unsigned above = 0;

    rand_init(&rand, 4);
    estimate_init(&estimate);
    for (unsigned i = 0; i < 10000; i++) {
        /* Skewed, as answers are. */
        uint64_t tokens = 1 + (rand_below(&rand, 1000) * rand_below(&rand, 1000)) / 500;

        if (i >= 200)
            above += (float)tokens > estimate_weights(&estimate).answer;
        estimate_learn_answer(&estimate, tokens);
        if (i + 1 < ESTIMATE_ANSWERS_MIN)
            assert_true(estimate_weights(&estimate).answer == 0);
    }
    assert_in_range(above, 700, 1300);
}

static struct estimates_key key_of(const char *provider, const char *model)
{
    struct span at = span_from_text(provider), name = span_from_text(model);

    return (struct estimates_key){at, name, estimates_hash(at, map_hash(name))};
}

static void test_each_model_of_each_provider_learns_alone(void **state)
{
    struct estimates *estimates = estimates_new(2);
    struct estimates_key here = key_of("a", "m"), there = key_of("b", "m"),
                         other = key_of("a", "n");
    struct json_kinds kinds = words(100);
    const struct estimate_text text = {.kinds = &kinds};
    uint64_t before;

    assert_non_null(estimates);
    before = estimates_guess(estimates, &here, &text).prompt;
    for (uint32_t i = 0; i < 50; i++)
        estimates_tell(estimates, i % 2, &here, &text, 2 * before, 30);
    assert_int_equal(estimates_guess(estimates, &here, &text).prompt, before);
    estimates_learn(estimates);
    assert_true(off_by(estimates_guess(estimates, &here, &text).prompt, 2 * before) < 0.05);
    assert_in_range(estimates_guess(estimates, &here, &text).answer, 25, 40);
    assert_int_equal(estimates_guess(estimates, &there, &text).prompt, before);
    assert_int_equal(estimates_guess(estimates, &other, &text).prompt, before);
    assert_int_equal(estimates_guess(estimates, &other, &text).answer, 0);
    estimates_free(&estimates);
    assert_null(estimates);
}

/* More than the ring holds is dropped, and what comes after is heard. */
static void test_a_full_ring_loses_and_goes_on(void **state)
{
    struct estimates *estimates = estimates_new(1);
    struct estimates_key key = key_of("p", "m");
    struct json_kinds kinds = words(100);
    const struct estimate_text text = {.kinds = &kinds};
    struct estimates_row row;

    for (unsigned round = 1; round <= 5; round++) {
        size_t at = 0;

        for (unsigned i = 0; i < 3 * ESTIMATES_RING; i++)
            estimates_tell(estimates, 0, &key, &text, 200, 0);
        estimates_learn(estimates);
        assert_true(estimates_next(estimates, &at, &row));
        assert_int_equal(row.learned, round * ESTIMATES_RING);
        assert_false(estimates_next(estimates, &at, &row));
    }
    estimates_free(&estimates);
}

/* However many models there are: memory is bounded, and those that were there first go on. */
static void test_is_bounded(void **state)
{
    struct estimates *estimates = estimates_new(1);
    struct json_kinds kinds = words(100);
    const struct estimate_text text = {.kinds = &kinds};
    struct estimates_row row;
    size_t at = 0, rows = 0;

    for (unsigned i = 0; i < 4 * ESTIMATES_MAX; i++) {
        char name[32];
        struct estimates_key key;

        snprintf(name, sizeof(name), "model-%u", i);
        key = key_of("p", name);
        estimates_tell(estimates, 0, &key, &text, 500, 0);
        estimates_learn(estimates);
        assert_true(estimates_guess(estimates, &key, &text).prompt > 0);
    }
    while (estimates_next(estimates, &at, &row)) {
        rows++;
        assert_int_equal(row.learned, 1);
        assert_true(span_is_equal(row.provider, SPAN("p")));
    }
    assert_in_range(rows, ESTIMATES_MAX * 9 / 10, ESTIMATES_MAX);
    estimates_free(&estimates);
}

/* Workers tell and guess while the control thread learns: for the thread sanitizer. */
struct work {
    struct estimates *estimates;
    uint32_t worker;
};

static void *tell_and_guess(void *data)
{
    struct work *work = data;
    struct json_kinds kinds = words(100);
    const struct estimate_text text = {.kinds = &kinds};

    for (unsigned i = 0; i < 2000; i++) {
        struct estimates_key key = key_of("p", i % 2 ? "m" : "n");

        estimates_tell(work->estimates, work->worker, &key, &text, 200, 10);
        if (estimates_guess(work->estimates, &key, &text).prompt > 1000)
            return work;
    }
    return NULL;
}

static void test_threads(void **state)
{
    enum { WORKERS = 3 };
    struct estimates *estimates = estimates_new(WORKERS);
    struct work work[WORKERS];
    pthread_t threads[WORKERS];
    void *result;

    for (uint32_t i = 0; i < WORKERS; i++) {
        work[i] = (struct work){estimates, i};
        assert_int_equal(pthread_create(&threads[i], NULL, tell_and_guess, &work[i]), 0);
    }
    for (unsigned i = 0; i < 200; i++)
        estimates_learn(estimates);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    estimates_free(&estimates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_a_vocabulary_and_another_after_it),
        cmocka_unit_test(test_nonsense_resets_nothing),
        cmocka_unit_test(test_any_history_leaves_a_sane_guess),
        cmocka_unit_test(test_counts_what_is_given_as_tokens),
        cmocka_unit_test(test_learns_what_pictures_cost),
        cmocka_unit_test(test_nine_of_ten_answers_stay_below),
        cmocka_unit_test(test_each_model_of_each_provider_learns_alone),
        cmocka_unit_test(test_a_full_ring_loses_and_goes_on),
        cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
