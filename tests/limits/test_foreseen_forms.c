/* A limit is learned from what answers tell, in whatever form and of whatever kind and length: as
 * much passes as for one who waits for refusals, or as the limit allows, and less is refused.
 * Played on virtual time against a provider, with seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limit_play.h"

enum { SEEDS = 3 };

static const char *const kinds[] = {"bucket", "fixed", "aligned", "sliding"};
static const char *const forms[] = {"exact",   "ms",       "up",        "down",
                                    "nearest", "epoch up", "epoch down"};

/* The two of them, over all seeds. */
struct both {
    double goodput, refused; /* of what is possible; of what was sent */
    double reacting_goodput, reacting_refused;
};

static struct both play_both(struct limit_question question)
{
    struct both both = {0};

    for (question.seed = 1; question.seed <= SEEDS; question.seed++) {
        struct limit_result result;

        question.learns = true;
        result = limit_play(&question);
        both.goodput += result.goodput / SEEDS;
        both.refused += (double)result.refused / (double)result.sent / SEEDS;
        question.learns = false;
        result = limit_play(&question);
        both.reacting_goodput += result.goodput / SEEDS;
        both.reacting_refused += (double)result.refused / (double)result.sent / SEEDS;
    }
    return both;
}

static void expect(const struct limit_question *question, const struct both *both,
                   double least_goodput, double most_refused)
{
    if (both->goodput < least_goodput || both->refused > most_refused)
        fail_msg("%s of %llu in %llu s told as %s, %s: %.1f%% (reacting: %.1f%%) passed and "
                 "%.2f%% (%.2f%%) were refused",
                 kinds[question->kind], (unsigned long long)question->limit,
                 (unsigned long long)(question->period_us / US_PER_SEC), forms[question->form],
                 question->is_silent ? "silent" : "with hints", both->goodput * 100,
                 both->reacting_goodput * 100, both->refused * 100, both->reacting_refused * 100);
}

static double lesser(double a, double b)
{
    return a < b ? a : b;
}

/* All that one who reacts gets, but for that part; none of them can have more than all. */
static double most_of(const struct both *both, double part)
{
    return lesser(both->reacting_goodput, 1) * part;
}

typedef void check_one(const struct limit_question *question, const struct both *both);

static void for_each_form(enum limit_kind kind, uint64_t limit, uint64_t period_s, check_one *check)
{
    struct limit_question question = {
        .kind = kind, .limit = limit, .period_us = period_s * US_PER_SEC};

    question.periods = period_s > 1 ? 300 / period_s + 5 : 120;
    for (int form = 0; form < LIMIT_FORMS; form++) {
        for (int is_silent = 0; is_silent <= 1; is_silent++) {
            struct both both;

            question.form = (enum limit_form)form;
            question.is_silent = is_silent;
            both = play_both(question);
            check(&question, &both);
        }
    }
}

/* ---- buckets ---- */

static void check_bucket(const struct limit_question *question, const struct both *both)
{
    expect(question, both, 0.98, 0.005);
    expect(question, both, most_of(both, 0.98), both->reacting_refused);
}

static void test_buckets_of_any_length(void **state)
{
    for_each_form(LIMIT_BUCKET, 2, 1, check_bucket);
    for_each_form(LIMIT_BUCKET, 50, 1, check_bucket);
    for_each_form(LIMIT_BUCKET, 20, 10, check_bucket);
    for_each_form(LIMIT_BUCKET, 300, 10, check_bucket);
    for_each_form(LIMIT_BUCKET, 60, 60, check_bucket);
    for_each_form(LIMIT_BUCKET, 1000, 60, check_bucket);
}

/* ---- windows ---- */

static void check_window(const struct limit_question *question, const struct both *both)
{
    bool is_whole = question->form >= FORM_UP;

    /* One try a window may be refused, but no more than one. */
    expect(question, both, is_whole ? 0.91 : 0.97,
           is_whole ? 1.1 / (double)question->limit + 0.003 : 0.002);
    expect(question, both, most_of(both, is_whole && question->is_silent ? 0.91 : 0.96),
           both->reacting_refused + 0.003);
}

static void test_windows_of_a_minute(void **state)
{
    for (int kind = LIMIT_FIXED; kind <= LIMIT_ALIGNED; kind++) {
        for_each_form((enum limit_kind)kind, 60, 60, check_window);
        for_each_form((enum limit_kind)kind, 1000, 60, check_window);
    }
}

static void test_windows_of_ten_seconds(void **state)
{
    for (int kind = LIMIT_FIXED; kind <= LIMIT_ALIGNED; kind++) {
        for_each_form((enum limit_kind)kind, 20, 10, check_window);
        for_each_form((enum limit_kind)kind, 300, 10, check_window);
    }
}

/* Whole seconds tell nothing of a window that is one: then refusals do, fewer of them. */
static void check_second(const struct limit_question *question, const struct both *both)
{
    expect(question, both, most_of(both, question->is_silent ? 0.8 : 0.98),
           both->reacting_refused + 0.01);
}

static void test_windows_of_a_second(void **state)
{
    for (int kind = LIMIT_FIXED; kind <= LIMIT_ALIGNED; kind++) {
        for_each_form((enum limit_kind)kind, 2, 1, check_second);
        for_each_form((enum limit_kind)kind, 50, 1, check_second);
    }
}

static void check_sliding(const struct limit_question *question, const struct both *both)
{
    expect(question, both, most_of(both, 0.95), both->reacting_refused + 0.003);
}

static void test_windows_that_slide(void **state)
{
    for_each_form(LIMIT_SLIDING, 20, 10, check_sliding);
    for_each_form(LIMIT_SLIDING, 300, 10, check_sliding);
    for_each_form(LIMIT_SLIDING, 60, 60, check_sliding);
}

/* ---- any ---- */

/* Whatever it is: not much less than by reacting, and no storm of refusals. Where a second or two
 * is all the window, and neither resets nor refusals say when it ends, one guesses. */
static void test_any_limit(void **state)
{
    static const uint64_t periods[] = {1, 2, 5, 10, 30, 60};
    struct rand rand;

    rand_init(&rand, 5);
    for (int round = 0; round < 60; round++) {
        uint64_t period_s = periods[rand_below(&rand, 6)];
        struct limit_question question = {
            .kind = (enum limit_kind)rand_below(&rand, LIMIT_KINDS),
            .form = (enum limit_form)rand_below(&rand, LIMIT_FORMS),
            .limit = (2 + rand_below(&rand, 20)) * period_s,
            .period_us = period_s * US_PER_SEC,
            .periods = 120 / period_s + 5,
            .is_silent = rand_below(&rand, 2),
        };
        struct both both = play_both(question);
        double part = 0.8;

        if (period_s <= 2)
            part = question.is_silent ? 0.5 : 0.6;
        expect(&question, &both, most_of(&both, part), both.reacting_refused + 0.01);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_of_any_length),  cmocka_unit_test(test_windows_of_a_minute),
        cmocka_unit_test(test_windows_of_ten_seconds), cmocka_unit_test(test_windows_of_a_second),
        cmocka_unit_test(test_windows_that_slide),     cmocka_unit_test(test_any_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
