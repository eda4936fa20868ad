/* What hedging does to the slowest answers, and what it costs, over thousands of exchanges. */
#include "hedge_play.h"

#include <stdlib.h>

#include "road.h"

enum { EXCHANGES = 4000, SEED = 7 };

static struct hedge_answer play(const char *hedge)
{
    const struct hedge_question question = {hedge, SEED, EXCHANGES};
    struct hedge_answer answer = hedge_play(&question);

    print_message("           %-28s p50 %u, p99 %u ms; hedged %llu, no budget %llu\n",
                  hedge ? hedge : "none", hedge_quantile(&answer, 500000),
                  hedge_quantile(&answer, 990000), (unsigned long long)(answer.won + answer.lost),
                  (unsigned long long)answer.no_budget);
    assert_int_equal(answer.count, EXCHANGES);
    assert_int_equal(answer.attempts, EXCHANGES + answer.won + answer.lost);
    assert_int_equal(answer.failed + answer.no_key + answer.no_connection, 0);
    return answer;
}

/* One in twenty is hedged, the slowest hundredth begins in less than half the time, and the bill
 * grows by no more than the second prompts of those. */
static void test_a_budget_that_fits(void **state)
{
    struct hedge_answer none = play(NULL), hedged = play("{after: p95, budget: 10%}");

    (void)state;
    assert_int_equal(none.won + none.lost + none.no_budget, 0);
    assert_in_range(hedged.won + hedged.lost, EXCHANGES * 3 / 100, EXCHANGES * 7 / 100);
    assert_true(hedge_quantile(&none, 990000) > 2 * hedge_quantile(&hedged, 990000));
    assert_in_range(hedge_quantile(&hedged, 500000), hedge_quantile(&none, 500000) * 95 / 100,
                    hedge_quantile(&none, 500000) * 105 / 100);
    assert_in_range(hedged.cost_usd, none.cost_usd + none.cost_usd / 200,
                    none.cost_usd + none.cost_usd * 7 / 100);
    free(none.firsts_ms);
    free(hedged.firsts_ms);
}

/* Whatever is slow, no more than the budget is sent twice. */
static void test_a_small_budget_holds(void **state)
{
    struct hedge_answer none = play(NULL), hedged = play("{after: p90, budget: 1%}");

    (void)state;
    assert_in_range(hedged.won + hedged.lost, EXCHANGES / 200, EXCHANGES / 100);
    assert_true(hedged.no_budget > 4 * (hedged.won + hedged.lost));
    assert_true(hedged.cost_usd <= none.cost_usd + none.cost_usd / 100);
    free(none.firsts_ms);
    free(hedged.firsts_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_budget_that_fits),
        cmocka_unit_test(test_a_small_budget_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
