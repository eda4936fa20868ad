/* Lives that a schedule drives: the triggers decide, the life of keys follows, the process dies at
 * any moment, clocks jump. Each time that the schedule comes round the key is replaced once, and no
 * key is replaced twice; life_world.c checks after each step that a key serves. */
#include "life_world.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "rotation/trigger.h"

enum { HISTORIES = 400, STEPS = 1200, NAMES = 256 };

#define INTERVAL_US (UINT64_C(3600) * US_PER_SEC)
#define JUMP_US     (20 * INTERVAL_US) /* within what a clock is believed to be wrong by */

/* Which key was promoted in the place of which. */
struct promotion {
    char old[LIFE_NAME_BYTES], name[LIFE_NAME_BYTES];
};

struct driven {
    struct world *world;
    struct schedule schedule;
    struct trigger_rules rules;
    struct trigger_memory memory;
    struct promotion promotions[NAMES];
    uint32_t count;
    uint64_t first_wall_us, last_wall_us; /* the least and the most that the clock has shown */
    bool jumps;
};

/* ---- what the triggers see ---- */

static size_t facts_of(const struct driven *driven, struct trigger_key *keys)
{
    const struct life *life = &driven->world->life;
    bool has_file = false;
    size_t count = 0;

    for (uint32_t i = 0; i < life->count; i++) {
        has_file = has_file || !strcmp(life->keys[i].name, "file");
        keys[count++] = (struct trigger_key){.name = span_from_text(life->keys[i].name),
                                             .step = life->keys[i].step,
                                             .created_wall_us = life->keys[i].created_wall_us};
    }
    if (!has_file)
        keys[count++] = (struct trigger_key){.name = SPAN("file"), .step = LIFE_ACTIVE};
    return count;
}

static void begin(struct driven *driven, const struct trigger_key *key,
                  const struct trigger_answer *answer)
{
    struct world *world = driven->world;
    char name[LIFE_NAME_BYTES], old[LIFE_NAME_BYTES];
    struct life_order order = {.trigger = answer->trigger, .why = answer->why};

    snprintf(name, sizeof(name), "key-%u", ++world->orders);
    snprintf(old, sizeof(old), "%.*s", SPAN_ARG(key->name));
    order.name = span_from_text(name);
    order.replaces = span_from_text(old);
    assert_int_equal(answer->trigger, LIFE_BY_SCHEDULE);
    assert_int_equal(life_begin(&world->life, &world->rules, &order, world->now_us, world->wall_us),
                     LIFE_BEGUN);
}

static void look(struct driven *driven)
{
    struct world *world = driven->world;
    const struct trigger_now now = {world->now_us, world->wall_us};
    struct trigger_key keys[LIFE_KEYS_MAX + 1];
    struct trigger_answer answer;
    struct life_memory memory;
    struct trigger_facts facts = {.keys = keys,
                                  .count = facts_of(driven, keys),
                                  .is_busy = life_successor(&world->life) != NULL,
                                  .ended_us = world->life.live.ended_us,
                                  .failures = world->life.failures};

    driven->memory.last_wall_us = world->life.memory.last_wall_us;
    driven->memory.round_wall_us = world->life.memory.round_wall_us;
    trigger_decide(&driven->rules, &facts, &now, &driven->memory, &answer);
    memory = (struct life_memory){driven->memory.last_wall_us, driven->memory.round_wall_us, 0};
    life_remember(&world->life, &memory);
    if (answer.act == TRIGGER_NOTHING)
        return;
    assert_int_equal(answer.act, TRIGGER_BEGIN);
    begin(driven, &keys[answer.key], &answer);
}

/* ---- what happens ---- */

/* A promotion that a dying process did not write down may be made again, of the same key. */
static void promote(struct driven *driven)
{
    struct world *world = driven->world;
    const struct life_key *canary = life_canary(&world->life);

    for (uint32_t i = 0; i < driven->count; i++) {
        if (strcmp(driven->promotions[i].old, canary->replaces) != 0)
            continue;
        assert_string_equal(driven->promotions[i].name, canary->name);
        life_promote(&world->life, world->now_us, world->wall_us);
        return;
    }
    assert_true(driven->count < NAMES);
    memcpy(driven->promotions[driven->count].old, canary->replaces, LIFE_NAME_BYTES);
    memcpy(driven->promotions[driven->count++].name, canary->name, LIFE_NAME_BYTES);
    life_promote(&world->life, world->now_us, world->wall_us);
}

static void note_clock(struct driven *driven)
{
    uint64_t wall_us = driven->world->wall_us;

    driven->first_wall_us = wall_us < driven->first_wall_us ? wall_us : driven->first_wall_us;
    driven->last_wall_us = wall_us > driven->last_wall_us ? wall_us : driven->last_wall_us;
}

static void pass(struct driven *driven)
{
    struct world *world = driven->world;
    uint64_t us = rand_below(&world->rand, 600) * US_PER_SEC;

    if (rand_below(&world->rand, 4) == 0) {
        world->now_us += us;
        world->wall_us += us;
    }
    note_clock(driven);
    if (!driven->jumps || rand_below(&world->rand, 200) != 0)
        return;
    us = rand_below(&world->rand, JUMP_US);
    world->wall_us = rand_below(&world->rand, 2) ? world->wall_us + us : world->wall_us - us;
    note_clock(driven);
}

static void play(struct driven *driven, uint64_t seed, const struct world_faults *faults)
{
    char why[SCHEDULE_WHY_BYTES];

    memset(driven, 0, sizeof(*driven));
    driven->world = world_begin(seed);
    driven->world->faults = *faults;
    driven->world->rules.overlap_us = 600 * US_PER_SEC;
    driven->jumps = faults->crash > 0;
    driven->first_wall_us = driven->last_wall_us = driven->world->wall_us;
    assert_int_equal(schedule_read(SPAN("every 1h"), &driven->schedule, why), 0);
    driven->rules = (struct trigger_rules){.schedule = &driven->schedule, .seed = seed};
    for (int i = 0; i < STEPS; i++) {
        uint32_t crashes = driven->world->crashes;

        look(driven);
        (void)world_step(driven->world);
        if (driven->world->crashes != crashes)
            memset(&driven->memory, 0, sizeof(driven->memory));
        if (life_canary(&driven->world->life) && rand_below(&driven->world->rand, 4) == 0)
            promote(driven);
        pass(driven);
    }
}

static void test_histories(void **state)
{
    static const struct world_faults weather[] = {
        {0}, {.crash = 3}, {.crash = 1, .store_away = 20, .unknown_key = 10}};
    uint64_t total = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        const struct world_faults *faults = &weather[seed % 3];
        struct driven driven;
        uint64_t rounds;

        play(&driven, seed, faults);
        rounds = (driven.last_wall_us - driven.first_wall_us) / INTERVAL_US;
        if (driven.count > rounds + 1)
            fail_msg("seed %llu: %u keys in %llu rounds", (unsigned long long)seed, driven.count,
                     (unsigned long long)rounds);
        /* In good weather it is neither late by more than the jitter and the rotation take. */
        if (seed % 3 == 0)
            assert_true(driven.count + 3 + rounds / 4 >= rounds);
        total += driven.count;
        world_end(&driven.world);
    }
    print_message("%llu keys replaced\n", (unsigned long long)total);
    assert_true(total > HISTORIES * 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
