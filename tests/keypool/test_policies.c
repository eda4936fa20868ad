/* How well keys are chosen where clients ask for half again as much as the provider allows, played
 * on virtual time with a few seeds; bench/policies prints the whole table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy_play.h"

enum { SEEDS = 3 };

static struct policy headroom(void)
{
    const struct policy *policies;

    (void)policy_list(&policies);
    return policies[0];
}

/* All that the limits allow is used, next to nothing is refused by the provider, and no client is
 * turned away while there is room. */
static void test_all_is_used_and_nothing_refused(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct policy_question question = {
            .policy = headroom(), .seed = seed, .seconds = 300, .load_percent = 150};
        struct policy_result result = policy_play(&question);

        if (result.goodput < 0.98)
            fail_msg("seed %d: %.2f%% used", (int)seed, result.goodput * 100);
        assert_in_range(result.refused * 1000, 0, result.sent * 2);
        assert_int_equal(result.refused_early, 0);
        assert_true(result.served + result.client_refused == result.offered);
    }
}

/* Below the limits nobody waits. */
static void test_nobody_waits_while_there_is_room(void **state)
{
    const struct policy_question question = {
        .policy = headroom(), .seed = 7, .seconds = 300, .load_percent = 70};
    struct policy_result result = policy_play(&question);

    assert_int_equal(result.client_refused, 0);
    assert_int_equal(result.refused, 0);
    assert_true(result.wait_p99_s < 0.1);
}

static void test_mishaps_are_got_over_in_5_s(void **state)
{
    static const enum policy_mishap mishaps[] = {MISHAP_HALVED, MISHAP_SLOW, MISHAP_DEAD};

    for (unsigned i = 0; i < sizeof(mishaps) / sizeof(mishaps[0]); i++) {
        const struct policy_question question = {.policy = headroom(),
                                                 .seed = 11 + i,
                                                 .seconds = 140,
                                                 .load_percent = 150,
                                                 .mishap = mishaps[i],
                                                 .mishap_s = 100};
        struct policy_result result = policy_play(&question);

        if (result.recovered < 0.95)
            fail_msg("mishap %u: %.2f%%", i, result.recovered * 100);
    }
}

/* All limits come back at once, and half again as many want to go: they neither go too soon nor
 * stay away, and those that arrive as the window opens are let in. */
static void test_windows_open_without_a_storm(void **state)
{
    for (int is_whole = 0; is_whole <= 1; is_whole++) {
        const struct policy_question question = {.policy = headroom(),
                                                 .seed = 21,
                                                 .seconds = 300,
                                                 .load_percent = 150,
                                                 .has_windows = true,
                                                 .is_whole = is_whole};
        struct policy_result result = policy_play(&question);

        if (result.goodput < 0.98)
            fail_msg("%.2f%% used", result.goodput * 100);
        assert_in_range(result.refused * 1000, 0, result.sent * (is_whole ? 10 : 2));
        assert_in_range(result.opening_sent, 4, UINT32_MAX);
        assert_int_equal(result.opening_refused, 0);
    }
}

/* What is told second by second adds up. */
static void test_series_add_up(void **state)
{
    static struct policy_second series[180];
    const struct policy_question question = {
        .policy = headroom(), .seed = 3, .seconds = 180, .load_percent = 150, .series = series};
    struct policy_result result;
    uint64_t sent = 0, waited = 0;

    memset(series, 0, sizeof(series));
    result = policy_play(&question);
    for (int i = 0; i < 180; i++) {
        sent += series[i].sent;
        waited += series[i].waiting > 0;
    }
    assert_in_range(sent, result.sent * 9 / 10, result.sent);
    assert_in_range(waited, 1, 179);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_used_and_nothing_refused),
        cmocka_unit_test(test_nobody_waits_while_there_is_room),
        cmocka_unit_test(test_mishaps_are_got_over_in_5_s),
        cmocka_unit_test(test_windows_open_without_a_storm),
        cmocka_unit_test(test_series_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
