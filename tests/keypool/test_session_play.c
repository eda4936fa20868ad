/* A thousand sessions while keys come and go: who stays where its prompts are cached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_play.h"

static double percent(uint32_t part, uint32_t whole)
{
    return 100.0 * part / whole;
}

/* A key that goes or comes, or is at its limit, moves an eighth of the sessions, and what it lent
 * out comes back. */
static void test_sticky(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct session_result result = session_play(CONF_SELECTION_STICKY, seed);

        assert_true(percent(result.whole.warm, result.whole.again) > 97);
        assert_true(percent(result.whole.stayed, result.whole.again) > 98);
        assert_true(result.moves.gone > 8 && result.moves.gone < 17);
        assert_true(result.moves.came > 8 && result.moves.came < 17);
        assert_true(result.moves.limited > 8 && result.moves.limited < 17);
        assert_true(result.moves.after < 2);
        /* The price: shares are as even as chance makes them. */
        assert_in_range(result.lowest_percent, 9, 12);
        assert_in_range(result.highest_percent, 12, 16);
    }
}

/* Before anything happens nobody ever moves. */
static void test_nobody_moves_without_a_reason(void **state)
{
    struct session_result result = session_play(CONF_SELECTION_STICKY, 1);

    (void)state;
    for (unsigned i = 0; i < SESSION_PLAY_GONE; i++)
        assert_int_equal(result.minutes[i].stayed, result.minutes[i].again);
}

/* What sticky is compared with: even shares, and cold caches. */
static void test_least_used(void **state)
{
    struct session_result result = session_play(CONF_SELECTION_LEAST_USED, 1);

    (void)state;
    assert_true(percent(result.whole.stayed, result.whole.again) < 20);
    assert_true(percent(result.whole.warm, result.whole.again) < 60);
    assert_int_equal(result.lowest_percent, 12);
    assert_int_equal(result.highest_percent, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sticky),
        cmocka_unit_test(test_nobody_moves_without_a_reason),
        cmocka_unit_test(test_least_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
