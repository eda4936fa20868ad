/* The words themselves: health of keys and accounts, models set aside, and the heap of places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/rand.h"
#include "keypool/aside.h"
#include "keypool/health.h"
#include "keypool/order.h"

#define SECONDS US_PER_SEC

static const uint64_t start = 1000 * SECONDS;
static const struct health_rules rules = {3, 60 * SECONDS, 60 * SECONDS};
static struct health_moves moves;

static void test_deadlines_are_never_shortened(void **state)
{
    static const enum key_health benched[] = {KEY_LIMITED, KEY_FORBIDDEN, KEY_DEPLETED};

    for (int from = 0; from < 3; from++) {
        for (int to = 0; to < 3; to++) {
            struct health health;
            struct health_view view;

            health_init(&health, KEY_HEALTHY);
            assert_true(health_bench(&health, benched[from], start + 50 * SECONDS, &moves));
            health_bench(&health, benched[to], start + 10 * SECONDS, &moves);
            view = health_read(&health);
            assert_int_equal(view.until_us, start + 50 * SECONDS);
            /* And the state never becomes a lighter one. */
            assert_int_equal(view.state, benched[from > to ? from : to]);
            health_bench(&health, benched[2], start + 90 * SECONDS, &moves);
            assert_int_equal(health_read(&health).until_us, start + 90 * SECONDS);
        }
    }
}

static void test_only_one_takes_the_test(void **state)
{
    struct health health;

    health_init(&health, KEY_HEALTHY);
    assert_false(health_test(&health, true, SECONDS, start, &moves)); /* nothing to test */
    health_bench(&health, KEY_LIMITED, start + 5 * SECONDS, &moves);
    assert_false(health_test(&health, false, SECONDS, start + 5 * SECONDS - 1, &moves));
    assert_false(health_test(&health, true, SECONDS, start, &moves)); /* not ours to shorten */
    assert_true(health_test(&health, false, SECONDS, start + 5 * SECONDS, &moves));
    assert_false(health_test(&health, false, SECONDS, start + 5 * SECONDS, &moves));
    assert_false(health_test(&health, false, SECONDS, start + 6 * SECONDS, &moves));
    assert_true(health_test(&health, false, SECONDS, start + 6 * SECONDS + 1000, &moves));
    assert_true(health_pass(&health, &moves));
    assert_false(health_pass(&health, &moves));
    assert_int_equal(health_read(&health).state, KEY_HEALTHY);
}

static void test_old_answers_do_not_decide_a_test(void **state)
{
    struct health health;

    health_init(&health, KEY_HEALTHY);
    health_bench(&health, KEY_LIMITED, start, &moves);
    assert_true(health_test(&health, false, SECONDS, start, &moves));
    assert_false(health_fail(&health, &rules, false, start, &moves));
    assert_false(health_good(&health, &moves));
    assert_int_equal(health_read(&health).state, KEY_TESTING);
    /* Its own failure ends it: the limit is over, and the failure counts. */
    assert_true(health_fail(&health, &rules, true, start, &moves));
    assert_int_equal(health_read(&health).state, KEY_HEALTHY);
    assert_int_equal(health_read(&health).failures, 1);
}

/* What cannot be counted never trips, and the count does not begin anew. */
static void test_more_failures_than_are_counted(void **state)
{
    struct health_rules many = rules;
    struct health health;

    (void)state;
    health_init(&health, KEY_HEALTHY);
    many.max_failures = HEALTH_FAILURES_MAX;
    for (int i = 1; i < HEALTH_FAILURES_MAX; i++)
        assert_false(health_fail(&health, &many, false, start, &moves));
    many.max_failures = HEALTH_FAILURES_MAX + 1;
    for (int i = 0; i < 10; i++)
        assert_false(health_fail(&health, &many, false, start, &moves));
    assert_int_equal(health_read(&health).failures, HEALTH_FAILURES_MAX);
    assert_int_equal(health_read(&health).until_us, start + 60 * SECONDS);
    many.max_failures = HEALTH_FAILURES_MAX;
    assert_true(health_fail(&health, &many, false, start, &moves));
    assert_int_equal(health_read(&health).state, KEY_COOLING);
}

static void test_failing_test_cools_again(void **state)
{
    struct health health;

    health_init(&health, KEY_TRIAL);
    for (int i = 0; i < 3; i++)
        health_fail(&health, &rules, false, start, &moves);
    assert_int_equal(health_read(&health).state, KEY_COOLING);
    assert_true(health_test(&health, true, SECONDS, start + SECONDS, &moves)); /* the last way */
    assert_true(health_fail(&health, &rules, true, start + SECONDS, &moves));
    assert_int_equal(health_read(&health).state, KEY_COOLING);
    assert_true(health_read(&health).until_us >= start + 61 * SECONDS);
}

static void test_invalid_ends_by_a_probe_alone(void **state)
{
    struct health health;

    for (int from = 0; from < KEY_HEALTH_COUNT; from++) {
        if (from == KEY_INVALID)
            continue;
        health_init(&health, KEY_HEALTHY);
        if (health_is_benched((enum key_health)from))
            health_bench(&health, (enum key_health)from, start, &moves);
        assert_true(health_bench(&health, KEY_INVALID, 0, &moves));
        assert_false(health_bench(&health, KEY_DEPLETED, start + SECONDS, &moves));
        assert_false(health_good(&health, &moves));
        assert_false(health_fail(&health, &rules, true, start, &moves));
        assert_false(health_test(&health, true, SECONDS, start + 100 * SECONDS, &moves));
        assert_int_equal(health_read(&health).state, KEY_INVALID);
        assert_true(health_probed(&health, KEY_HEALTHY, &moves));
    }
}

static void test_moves_are_counted(void **state)
{
    struct health_moves counted = {0};
    struct health health;

    health_init(&health, KEY_NEW);
    health_probed(&health, KEY_TRIAL, &counted);
    health_good(&health, &counted);
    health_bench(&health, KEY_LIMITED, start, &counted);
    health_bench(&health, KEY_LIMITED, start + SECONDS, &counted); /* the same state */
    assert_int_equal(counted.entered[KEY_TRIAL], 1);
    assert_int_equal(counted.entered[KEY_HEALTHY], 1);
    assert_int_equal(counted.entered[KEY_LIMITED], 1);
}

/* ---- models set aside ---- */

static void test_asides_are_a_model_each(void **state)
{
    struct aside_table *table = aside_new();

    assert_int_equal(aside_find(NULL, 7).state, ASIDE_NONE);
    assert_int_equal(aside_find(table, 7).state, ASIDE_NONE);
    aside_set(table, 7, SPAN("seven"), ASIDE_LIMITED, start + 5 * SECONDS);
    assert_int_equal(aside_find(table, 7).state, ASIDE_LIMITED);
    assert_int_equal(aside_find(table, 8).state, ASIDE_NONE);
    aside_set(table, 7, SPAN("seven"), ASIDE_LIMITED, start + 2 * SECONDS);
    assert_int_equal(aside_find(table, 7).until_us, start + 5 * SECONDS);
    assert_false(aside_test(table, 7, false, SECONDS, start + 4 * SECONDS));
    assert_true(aside_test(table, 7, false, SECONDS, start + 5 * SECONDS));
    assert_false(aside_test(table, 7, false, SECONDS, start + 5 * SECONDS));
    assert_true(aside_pass(table, 7));
    assert_false(aside_pass(table, 7));
    assert_int_equal(aside_find(table, 7).state, ASIDE_NONE);
    aside_free(&table);
}

static void test_the_least_recent_model_goes_out(void **state)
{
    struct aside_table *table = aside_new();
    char name[ASIDE_NAME_BYTES];
    struct aside_view view;
    uint32_t at = 0, count = 0;

    for (uint64_t model = 1; model <= ASIDE_MODELS; model++)
        aside_set(table, model, SPAN("old"), ASIDE_LIMITED, start + 5 * SECONDS);
    aside_set(table, 1, SPAN("old"), ASIDE_LIMITED, start + 6 * SECONDS);
    aside_set(table, 100, SPAN("new"), ASIDE_MISSING, start + 7 * SECONDS);
    assert_int_equal(aside_find(table, 1).state, ASIDE_LIMITED);
    assert_int_equal(aside_find(table, 2).state, ASIDE_NONE);
    assert_int_equal(aside_find(table, 100).state, ASIDE_MISSING);
    while (aside_next(table, &at, start, &view, name)) {
        assert_string_equal(name, view.state == ASIDE_MISSING ? "new" : "old");
        count++;
    }
    assert_int_equal(count, ASIDE_MODELS);
    at = 0;
    assert_true(aside_next(table, &at, start + 6 * SECONDS, &view, name));
    assert_false(aside_next(table, &at, start + 6 * SECONDS, &view, name));
    aside_free(&table);
}

static void test_long_names_are_cut(void **state)
{
    struct aside_table *table = aside_new();
    char name[ASIDE_NAME_BYTES], longer[300];
    struct aside_view view;
    uint32_t at = 0;

    memset(longer, 'x', sizeof(longer));
    aside_set(table, 1, span_of(longer, sizeof(longer)), ASIDE_LIMITED, start);
    assert_true(aside_next(table, &at, start - 1, &view, name));
    assert_int_equal(strlen(name), ASIDE_NAME_BYTES - 1);
    aside_free(&table);
}

/* ---- the heap ---- */

enum { PLACES = 200 };

/* The heap against a plain array. */
static void test_order_agrees_with_a_scan(void **state)
{
    struct order_entry entries[PLACES];
    uint32_t positions[PLACES];
    uint64_t ranks[PLACES] = {0}; /* 0: not in it */
    struct order order = {.entries = entries};
    struct rand rand;

    rand_init(&rand, 42);
    for (int i = 0; i < 100000; i++) {
        uint32_t place = (uint32_t)rand_below(&rand, PLACES), count = 0;
        uint64_t rank = 1 + rand_below(&rand, 1000), least = UINT64_MAX;

        if (!ranks[place])
            order_push(&order, positions, place, ranks[place] = rank);
        else if (rand_below(&rand, 3) == 0)
            order_remove(&order, positions, place), ranks[place] = 0;
        else
            order_move(&order, positions, place, ranks[place] = rank);
        for (int k = 0; k < PLACES; k++) {
            count += ranks[k] != 0;
            least = ranks[k] && ranks[k] < least ? ranks[k] : least;
        }
        assert_int_equal(order.count, count);
        if (count) {
            assert_int_equal(order_top(&order)->rank, least);
            assert_int_equal(ranks[order_top(&order)->place], least);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines_are_never_shortened),
        cmocka_unit_test(test_only_one_takes_the_test),
        cmocka_unit_test(test_old_answers_do_not_decide_a_test),
        cmocka_unit_test(test_failing_test_cools_again),
        cmocka_unit_test(test_more_failures_than_are_counted),
        cmocka_unit_test(test_invalid_ends_by_a_probe_alone),
        cmocka_unit_test(test_moves_are_counted),
        cmocka_unit_test(test_asides_are_a_model_each),
        cmocka_unit_test(test_the_least_recent_model_goes_out),
        cmocka_unit_test(test_long_names_are_cut),
        cmocka_unit_test(test_order_agrees_with_a_scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
