/* An hour with three regions, on virtual time and from seeds: one is slow, one dies, one flaps, all
 * are bad at once. What must hold in each part: clients hardly notice, and the traffic is where it
 * belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hour.h"

enum { SEEDS = 5 };

static void play(uint64_t seed)
{
    struct world world;

    world_init(&world, HOUR_REGIONS, seed);
    for (size_t i = 0; i < HOUR_SCENES; i++) {
        const struct hour_scene *scene = &hour_scenes[i];

        hour_begin(&world, scene);
        world_run(&world, scene->seconds, HOUR_RATE);
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
            world_run(&world, 10, HOUR_RATE);
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
