/* Thousands of migrations, each from its seed: whatever happens, nothing is done before it was
 * written down but what leads back, and no death loses a side. */
#include "world.h"

enum { HISTORIES = 1000, STEPS = 400 };

/* The same ramp, in a twentieth of the time. */
static void hurry(struct world *world)
{
    world->rules.canary.ramp = ramp_in_strides(100000, 300000, 3 * US_PER_SEC, 3 * US_PER_SEC);
    world->rules.revert_window_us = 6 * US_PER_SEC;
}

static void test_good_ones_come_to_their_end(void **state)
{
    unsigned reverted = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world world;

        world_begin(&world, seed);
        world.crashes = 2;
        world.refusals = 10;
        world_play(&world, 1800);
        assert_true(world.migration.state >= MIGRATION_ENDED);
        reverted += world.migration.state == MIGRATION_REVERTED;
    }
    assert_int_equal(reverted, 0);
}

/* A side that fails as the old one does is none that loses. */
static void test_sides_alike(void **state)
{
    unsigned reverted = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct world world;

        world_begin(&world, seed);
        world.fails[CROSSING_OLD] = world.fails[CROSSING_NEW] = 20;
        world_play(&world, 1800);
        reverted += world.migration.state == MIGRATION_REVERTED;
    }
    assert_in_range(reverted, 0, 2);
}

static void test_bad_ones_revert_by_themselves(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world world;

        world_begin(&world, seed);
        world.fails[CROSSING_NEW] = 2000;
        world.crashes = 2;
        world.refusals = 10;
        world_play(&world, 120);
        assert_int_equal(world.migration.state, MIGRATION_REVERTED);
        assert_non_null(strstr(world.migration.reason, "requests failed (old side: 0 of"));
        assert_int_equal(migration_stand(&world.migration).share_ppm, 0);
    }
}

/* One that breaks when it has it all goes back as well, while the old side stands ready. */
static void test_one_that_breaks_after_the_cut_over(void **state)
{
    struct world world;

    (void)state;
    world_begin(&world, 7);
    while (world.migration.state != MIGRATION_CUT_OVER)
        world_step(&world);
    world.fails[CROSSING_NEW] = 5000;
    world_play(&world, 60);
    assert_int_equal(world.migration.state, MIGRATION_REVERTED);
}

static void test_whatever_is_ordered(void **state)
{
    unsigned done[MIGRATION_ORDERS] = {0}, deaths = 0, ends[MIGRATION_STATES] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct world world;

        world_begin(&world, seed);
        world.orders = 1 + (unsigned)(seed % 10);
        world.crashes = 5;
        world.refusals = 20;
        hurry(&world);
        world.rules.starts_by_itself = seed % 2;
        world.fails[CROSSING_NEW] = seed % 5 == 0 ? 500 : 0;
        for (int i = 0; i < STEPS && world.migration.state != MIGRATION_ENDED; i++)
            world_step(&world);
        for (int i = 0; i < MIGRATION_ORDERS; i++)
            done[i] += world.done[i];
        deaths += world.deaths;
        ends[world.migration.state]++;
    }
    for (int i = 0; i < MIGRATION_ORDERS; i++)
        assert_true(done[i] > 100);
    assert_true(deaths > 1000);
    assert_true(ends[MIGRATION_ENDED] > 0 && ends[MIGRATION_REVERTED] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones_come_to_their_end),
        cmocka_unit_test(test_sides_alike),
        cmocka_unit_test(test_bad_ones_revert_by_themselves),
        cmocka_unit_test(test_one_that_breaks_after_the_cut_over),
        cmocka_unit_test(test_whatever_is_ordered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
