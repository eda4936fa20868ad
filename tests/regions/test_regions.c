/* Which region has the traffic: the prior, what beats it, what is ejected and how it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "world.h"

static void test_prior_decides_at_first(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3, 1);
    /* Before anybody has looked the first is asked too. */
    assert_int_equal(regions_pick(world.at, 3, 0, 12345), 0);
    world_run(&world, 1, 0);
    assert_int_equal(world.at[0]->state, REGION_SERVING);
    assert_int_equal(world.at[1]->state, REGION_STANDBY);
    assert_int_equal(world_share(&world, 0), REGIONS_PPM - 2 * REGIONS_EXPLORE_PPM);
    assert_int_equal(world_share(&world, 1), REGIONS_EXPLORE_PPM);
}

static void test_one_region_has_all(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 1, 1);
    world.regions[0].fails_percent = 100;
    world_run(&world, 60, 20);
    assert_int_equal(world.at[0]->state, REGION_SERVING);
    assert_int_equal(world_share(&world, 0), REGIONS_PPM);
    assert_int_equal(world.at[0]->ejected_total, 0);
}

static void test_small_shares_stay_small(void **state)
{
    struct world world;
    uint32_t sum = 0;

    (void)state;
    world_init(&world, 8, 1);
    world_run(&world, 1, 0);
    for (size_t i = 0; i < 8; i++)
        sum += world_share(&world, i);
    assert_int_equal(sum, REGIONS_PPM);
    assert_true(world_share(&world, 0) >= REGIONS_PPM - REGIONS_EXPLORE_MAX_PPM);
}

/* Without any traffic, probes alone say which is nearer. */
static void test_probes_decide_without_traffic(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 2);
    world.regions[0].probe_latency_us = 200000;
    world.regions[1].probe_latency_us = 20000;
    world_run(&world, 15, 0);
    assert_true(world.at[0]->is_home); /* two probes are too few */
    world_run(&world, 30, 0);
    assert_true(world.at[1]->is_home);
}

/* Probes are quick wherever nobody is: what answers take is not compared with them. */
static void test_probes_of_one_say_nothing_of_traffic_at_another(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 3);
    world.regions[0].latency_us = world.regions[1].latency_us = 800000;
    world.regions[0].probe_latency_us = world.regions[1].probe_latency_us = 10000;
    world_run(&world, 600, 2);
    assert_true(world.at[0]->is_home);
    assert_true(world_percent(&world, 0) >= 95);
}

/* Near by its probes and slow in its answers: answers count. */
static void test_traffic_outweighs_probes(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 4);
    world.regions[0].latency_us = 900000;
    world.regions[0].probe_latency_us = 10000;
    world.regions[1].latency_us = 500000;
    world.regions[1].probe_latency_us = 80000;
    world_run(&world, 400, 20);
    assert_true(world.at[1]->is_home);
}

/* Two that are alike do not take turns, whatever chance says. */
static void test_alike_ones_do_not_take_turns(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world world;
        unsigned changes = 0;
        bool was = true;

        world_init(&world, 2, seed);
        world.regions[1].latency_us = 90000; /* 10% better */
        for (int i = 0; i < 600; i++) {
            world_run(&world, 1, 20);
            changes += world.at[0]->is_home != was;
            was = world.at[0]->is_home;
        }
        assert_int_equal(changes, 0);
    }
}

static void test_margin_keeps_who_has_it(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 5);
    world.regions[0].latency_us = 160000;
    world_run(&world, 90, 50);
    assert_true(world.at[1]->is_home);
    /* Better, but still not as good as the farther one: nothing moves. */
    world.regions[0].latency_us = 118000;
    world_run(&world, 900, 50);
    assert_true(world.at[1]->is_home);
    /* As good: the nearer one has it back. */
    world.regions[0].latency_us = 95000;
    world_run(&world, 1800, 50);
    assert_true(world.at[0]->is_home);
}

static void test_failures_in_a_row_eject(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3, 6);
    world_run(&world, 10, 20);
    world.regions[0].fails_percent = 100;
    world_forget(&world);
    world_run(&world, 1, 20);
    assert_int_equal(world.at[0]->state, REGION_EJECTED);
    assert_int_equal(world.at[0]->cause, REGION_FAILURES);
    assert_true(world.at[0]->is_news);
    assert_int_equal(world_share(&world, 0), 0);
    assert_int_equal(world.failed, 0);
    assert_true(world.regions[0].asked <= 10);
}

static void test_probes_that_fail_eject(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 7);
    world.regions[0].fails_percent = 100;
    world_run(&world, 35, 0);
    assert_int_equal(world.at[0]->state, REGION_EJECTED);
    assert_int_equal(world.at[0]->cause, REGION_PROBES);
}

static void test_share_of_errors_ejects(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3, 8);
    world.regions[0].fails_percent = 40;
    world_run(&world, 20, 20);
    assert_int_equal(world.at[0]->ejected_total, 1);
}

/* What fails everywhere is no region's own. */
static void test_errors_that_all_have_eject_nobody(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 9);
    for (size_t i = 0; i < 2; i++) {
        region_note_probe(world.at[i], 10000, world.now_us);
        for (int k = 0; k < 100; k++) {
            region_note_good(world.at[i], &world.regions[i].tally, 10000);
            if (k % 3 == 0)
                region_note_bad(world.at[i], &world.regions[i].tally);
        }
        region_note_good(world.at[i], &world.regions[i].tally, 10000);
    }
    regions_look(world.at, 2, 10 * US_PER_SEC, world.now_us);
    assert_int_equal(world.at[0]->ejected_total + world.at[1]->ejected_total, 0);
}

static void test_far_slower_one_is_ejected(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3, 10);
    world_run(&world, 60, 50);
    world.regions[0].latency_us = 3000000;
    world_forget(&world);
    world_run(&world, 30, 50);
    assert_int_equal(world.at[0]->ejected_total, 1);
    assert_int_equal(world.at[0]->cause, REGION_SLOW);
    assert_true(world_percent(&world, 0) <= 40);
}

static void test_never_more_than_half(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 8; count++) {
        struct world world;
        size_t ejected = 0;

        world_init(&world, count, count);
        for (size_t i = 0; i < count; i++)
            world.regions[i].fails_percent = 100;
        world_run(&world, 300, 20);
        for (size_t i = 0; i < count; i++)
            ejected += world.at[i]->state == REGION_EJECTED;
        assert_int_equal(ejected, count / 2);
        /* All were asked, the ejected ones too: an ejection never excludes the last way. */
        world_forget(&world);
        world_run(&world, 1, 20);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(world.regions[i].asked, 20);
    }
}

static void test_comes_back_gently(void **state)
{
    struct world world;
    uint32_t before = 0;
    unsigned seconds = 0;

    (void)state;
    world_init(&world, 2, 11);
    world.regions[0].fails_percent = 100;
    world_run(&world, 5, 50);
    assert_int_equal(world.at[0]->state, REGION_EJECTED);
    world.regions[0].fails_percent = 0;
    while (world.at[0]->state == REGION_EJECTED && seconds++ < 60)
        world_run(&world, 1, 50);
    assert_in_range(seconds, 25, 45);
    assert_int_equal(world.at[0]->state, REGION_RETURNING);
    assert_in_range(world_share(&world, 0), 1, REGIONS_PPM / 10);
    for (int i = 0; i < 70; i++) {
        uint32_t share = world_share(&world, 0);

        assert_true(share >= before);
        assert_true(share - before <= REGIONS_PPM / 9);
        before = share;
        world_run(&world, 1, 50);
    }
    assert_int_equal(world.at[0]->state, REGION_SERVING);
    assert_int_equal(world_share(&world, 0), REGIONS_PPM - REGIONS_EXPLORE_PPM);
}

static void test_stays_out_while_probes_fail(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2, 12);
    world.regions[0].fails_percent = 100;
    world_run(&world, 600, 10);
    assert_int_equal(world.at[0]->state, REGION_EJECTED);
    assert_int_equal(world.at[0]->ejected_total, 1);
    world_forget(&world);
    world_run(&world, 60, 10);
    assert_int_equal(world.regions[0].asked, 0);
}

/* Each time is longer than the one before, and long calm makes it short again. */
static void test_ejections_grow_and_are_forgiven(void **state)
{
    struct world world;
    uint64_t last = 0;

    (void)state;
    world_init(&world, 2, 13);
    for (int round = 1; round <= 3; round++) {
        uint64_t length;

        while (world.at[0]->ejected_total < (uint64_t)round) {
            for (int k = 0; k < REGIONS_FAILURES; k++)
                region_note_bad(world.at[0], &world.regions[0].tally);
            world_run(&world, 1, 0);
        }
        length = world.at[0]->until_us - world.now_us;
        assert_true(length > last);
        last = length;
        while (world.at[0]->state == REGION_EJECTED)
            world_run(&world, 1, 0);
    }
    assert_int_equal(world.at[0]->ejections, 3);
    world_run(&world, 300, 20);
    assert_int_equal(world.at[0]->ejections, 0);
}

static void test_pick_passes_over(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3, 14);
    world_run(&world, 1, 0);
    assert_int_equal(regions_pick(world.at, 3, 1, 0), 1);
    assert_int_equal(regions_pick(world.at, 3, 3, 0), 2);
    assert_int_equal(regions_pick(world.at, 3, 7, 0), 3);
    assert_int_equal(regions_pick(world.at, 3, 6, 999999), 0);
}

/* Removed from the file, and another home: whoever is left is looked at without it. */
static void test_region_that_is_home_may_leave(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3, 15);
    world_run(&world, 10, 20);
    regions_look(world.at + 1, 2, 10 * US_PER_SEC, world.now_us);
    assert_true(world.at[1]->is_home);
    /* Back again: one of them is home, not both. */
    regions_look(world.at, 3, 10 * US_PER_SEC, world.now_us + US_PER_SEC);
    assert_int_equal(world.at[0]->is_home + world.at[1]->is_home + world.at[2]->is_home, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prior_decides_at_first),
        cmocka_unit_test(test_one_region_has_all),
        cmocka_unit_test(test_small_shares_stay_small),
        cmocka_unit_test(test_probes_decide_without_traffic),
        cmocka_unit_test(test_probes_of_one_say_nothing_of_traffic_at_another),
        cmocka_unit_test(test_traffic_outweighs_probes),
        cmocka_unit_test(test_alike_ones_do_not_take_turns),
        cmocka_unit_test(test_margin_keeps_who_has_it),
        cmocka_unit_test(test_failures_in_a_row_eject),
        cmocka_unit_test(test_probes_that_fail_eject),
        cmocka_unit_test(test_share_of_errors_ejects),
        cmocka_unit_test(test_errors_that_all_have_eject_nobody),
        cmocka_unit_test(test_far_slower_one_is_ejected),
        cmocka_unit_test(test_never_more_than_half),
        cmocka_unit_test(test_comes_back_gently),
        cmocka_unit_test(test_stays_out_while_probes_fail),
        cmocka_unit_test(test_ejections_grow_and_are_forgiven),
        cmocka_unit_test(test_pick_passes_over),
        cmocka_unit_test(test_region_that_is_home_may_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
