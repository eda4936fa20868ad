/* An hour with three regions, on virtual time and from seeds: one is slow, one dies, one flaps, all
 * are bad at once. What must hold in each part: clients hardly notice, and the traffic is where it
 * belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "world.h"

enum { RATE = 20, SEEDS = 5 };

/* A part of the play: what the regions do, for how long, and the share of attempts that the first
 * may have in percent. */
struct scene {
    const char *name;
    unsigned seconds;
    uint64_t latency_ms[3];
    unsigned fails_percent[3];
    unsigned first_least, first_most;
    unsigned failed_most_permille; /* of clients' requests */
};

static const struct scene scenes[] = {
    {"all is well", 300, {100, 150, 200}, {0, 0, 0}, 93, 100, 0},
    {"the nearest is slow", 600, {2000, 150, 200}, {0, 0, 0}, 0, 10, 0},
    {"all is well again", 900, {100, 150, 200}, {0, 0, 0}, 20, 100, 0},
    {"the nearest is dead", 300, {100, 150, 200}, {100, 0, 0}, 0, 5, 0},
    {"it is back", 600, {100, 150, 200}, {0, 0, 0}, 60, 100, 0},
    {"it loses a third of its requests", 300, {100, 150, 200}, {33, 0, 0}, 0, 60, 0},
    {"all are dead", 120, {100, 150, 200}, {100, 100, 100}, 0, 100, 1000},
    {"all are back", 600, {100, 150, 200}, {0, 0, 0}, 0, 100, 0},
};

static void play(uint64_t seed)
{
    struct world world;

    world_init(&world, 3, seed);
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        const struct scene *scene = &scenes[i];

        for (size_t r = 0; r < 3; r++) {
            world.regions[r].latency_us = scene->latency_ms[r] * US_PER_MS;
            world.regions[r].fails_percent = scene->fails_percent[r];
        }
        world_forget(&world);
        world_run(&world, scene->seconds, RATE);
        print_message("seed %llu, %-32s first %u%%, second %u%%, third %u%%, failed %llu of %llu\n",
                      (unsigned long long)seed, scene->name, world_percent(&world, 0),
                      world_percent(&world, 1), world_percent(&world, 2),
                      (unsigned long long)world.failed, (unsigned long long)world.sent);
        assert_in_range(world_percent(&world, 0), scene->first_least, scene->first_most);
        assert_true(world.failed * 1000 <= world.sent * scene->failed_most_permille);
    }
    assert_true(world.at[0]->is_home);
}

static void test_an_hour(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play(seed);
}

/* Good and bad every few seconds: it is out most of the time, longer each time, and the others
 * serve. */
static void test_one_that_flaps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world world;
        unsigned changes = 0;
        bool was = true;

        world_init(&world, 3, seed);
        for (int i = 0; i < 360; i++) {
            world.regions[0].fails_percent = i % 2 ? 100 : 0;
            world_run(&world, 10, RATE);
            changes += world.at[0]->is_home != was;
            was = world.at[0]->is_home;
        }
        print_message("seed %llu: first %u%%, out %llu times, home changed %u times\n",
                      (unsigned long long)seed, world_percent(&world, 0),
                      (unsigned long long)world.at[0]->ejected_total, changes);
        assert_int_equal(world.failed, 0);
        assert_true(world_percent(&world, 0) <= 5);
        assert_true(world.at[0]->ejected_total <= 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_hour),
        cmocka_unit_test(test_one_that_flaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
