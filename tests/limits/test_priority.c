/* Classes by name, which one an exchange runs in, and whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "limits/priority.h"

enum { ALL = (1u << PRIORITIES) - 1 };

static void test_picking(void **state)
{
    (void)state;
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        assert_int_equal(priority_of(priority_name(p)), p);
    assert_int_equal(priority_pick(SPAN("standard"), SPAN("")), PRIORITY_STANDARD);
    assert_int_equal(priority_pick(SPAN("standard"), SPAN("Batch")), PRIORITY_BATCH);
    assert_int_equal(priority_pick(SPAN("standard"), SPAN("critical")), PRIORITY_STANDARD);
    assert_int_equal(priority_pick(SPAN("critical"), SPAN("critical")), PRIORITY_CRITICAL);
    assert_int_equal(priority_pick(SPAN("critical"), SPAN("urgent")), PRIORITY_STANDARD);
    assert_int_equal(priority_pick(SPAN("batch"), SPAN("urgent")), PRIORITY_BATCH);
    assert_int_equal(priority_pick(SPAN("gold"), SPAN("")), PRIORITY_STANDARD);
}

/* Where all wait all the time: eight turns of ten, one, one. */
static void test_shares(void **state)
{
    struct priority_turns turns = {{0}};
    unsigned had[PRIORITIES] = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        had[priority_next(&turns, ALL)]++;
    assert_in_range(had[PRIORITY_CRITICAL], 798, 802);
    assert_in_range(had[PRIORITY_STANDARD], 99, 101);
    assert_in_range(had[PRIORITY_BATCH], 99, 101);
}

/* Whoever waits has a turn before long; the highest goes first, unless the share of one is due. */
static void test_nobody_starves(void **state)
{
    struct priority_turns turns = {{0}};
    unsigned passed[PRIORITIES] = {0}, jumps = 0;
    struct rand rand;

    (void)state;
    rand_init(&rand, 3);
    for (int i = 0; i < 100000; i++) {
        uint32_t waiting = 1 + (uint32_t)rand_below(&rand, ALL);
        enum priority next = priority_next(&turns, waiting);

        assert_true(waiting & (1u << next));
        jumps += (waiting & ((1u << next) - 1)) != 0;
        for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
            if (waiting & (1u << p))
                passed[p]++;
            assert_true(passed[p] <= PRIORITY_SHARE + 1);
        }
        passed[next] = 0;
    }
    assert_true(jumps < 100000 * 2 / PRIORITY_SHARE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picking),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_nobody_starves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
