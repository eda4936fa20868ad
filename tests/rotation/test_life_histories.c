/* Thousands of lives from seeds: orders of all kinds, canaries that win and lose, an issuer and a
 * store that fail, and a process that dies at any moment. After each step life_world.c checks that
 * a key serves, that there is one canary, and that no key is used that was revoked; at the end no
 * key may be lost or left alive. */
#include "life_world.h"

#include <string.h>

#include "base/clock.h"

enum { HISTORIES = 3000, STEPS = 250 };

static void decide(struct world *world)
{
    unsigned fate = (unsigned)rand_below(&world->rand, 100);

    if (!life_canary(&world->life) || fate >= 20)
        return;
    if (fate < 12) {
        life_promote(&world->life, world->now_us, world->wall_us);
        world->promotions++;
    } else {
        life_lose(&world->life, "it lost", world->now_us, world->wall_us);
        world->losses++;
    }
}

static void interfere(struct world *world)
{
    unsigned fate = (unsigned)rand_below(&world->rand, 1000);

    if (fate < 60)
        (void)world_order(world, fate < 4 ? LIFE_BY_LEAK : LIFE_BY_SCHEDULE);
    else if (fate < 75 && world->life.count)
        (void)life_roll_back(&world->life,
                             &world->life.keys[rand_below(&world->rand, world->life.count)],
                             "by hand", world->now_us, world->wall_us);
    else if (fate < 80) /* the clock of the wall jumps */
        world->wall_us += (rand_below(&world->rand, 2000) - 1000) * US_PER_SEC;
}

static void finish(struct world *world)
{
    for (int i = 0; i < 3; i++) {
        world_settle(world);
        if (life_canary(&world->life))
            life_promote(&world->life, world->now_us, world->wall_us);
    }
    world->wall_us += 86400 * US_PER_SEC;
    world_settle(world);
    world_check_end(world);
}

static void play(uint64_t seed, const struct world_faults *faults, uint32_t *totals)
{
    struct world *world = world_begin(seed);

    world->faults = *faults;
    for (int i = 0; i < STEPS; i++) {
        interfere(world);
        decide(world);
        (void)world_step(world);
    }
    finish(world);
    totals[0] += world->promotions;
    totals[1] += world->losses;
    totals[2] += world->crashes;
    totals[3] += world->key_count;
    world_end(&world);
}

static void test_histories(void **state)
{
    static const struct world_faults weather[] = {
        {0},
        {.crash = 5},
        {.crash = 2, .create_lost = 30, .issuer_away = 30},
        {.crash = 3, .store_away = 30, .create_refused = 20, .unknown_key = 30},
        {.crash = 10, .create_lost = 20, .store_away = 20, .issuer_away = 20, .unknown_key = 20},
    };
    uint32_t totals[4] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        play(seed, &weather[seed % (sizeof(weather) / sizeof(weather[0]))], totals);
    print_message("%u promotions, %u losses, %u crashes, %u keys made\n", totals[0], totals[1],
                  totals[2], totals[3]);
    assert_true(totals[0] > HISTORIES / 2 && totals[1] > HISTORIES / 8);
}

/* The process dies once, at each step of one rotation in turn: it comes to the same end. */
static void test_crash_at_each_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bool is_over = false;

        for (uint32_t at = 0; !is_over; at++) {
            struct world *world = world_begin(seed);

            assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
            for (uint32_t i = 0; i < at && !is_over; i++) {
                is_over = !world_step(world);
                if (life_canary(&world->life) && i % 4 == 0)
                    life_promote(&world->life, world->now_us, world->wall_us);
            }
            world_crash(world);
            finish(world);
            /* An order that was not written down is gone, and nothing was done about it. */
            if (world->life.rotations)
                assert_int_equal(world_serving(world), 1);
            else
                assert_int_equal(world->key_count, 0);
            world_end(&world);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_crash_at_each_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
