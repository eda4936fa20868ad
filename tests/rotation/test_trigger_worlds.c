/* What triggers decide in thousands of seeded worlds with clocks that jump: each act has its
 * reason, and nobody need have asked before. */
#include "trigger_times.h"

enum { HISTORIES = 3000, STEPS = 400, POOL = 6 };

struct world {
    struct rand rand;
    struct schedule schedule;
    struct trigger_rules rules;
    struct trigger_key keys[POOL];
    struct trigger_facts facts;
    struct trigger_now now;
    struct trigger_memory memory;
    size_t replaced; /* with is_busy: which */
    uint64_t until_us;
    uint64_t jumped_us; /* how far the clock is off */
    uint32_t begun[LIFE_TRIGGERS], pruned, warned;
};

static bool happens(struct world *world, uint64_t per_mille)
{
    return rand_below(&world->rand, 1000) < per_mille;
}

static bool is_good(const struct world *world, const struct trigger_key *key)
{
    return key->step == LIFE_ACTIVE && !key->is_pruned && !key->is_leaked &&
           !key->refused_since_us && !(key->requests >= 100 && key->errors * 20 > key->requests) &&
           !(key->expires_wall_us && key->expires_wall_us <= world->now.wall_us);
}

static void renew(struct world *world, struct trigger_key *key)
{
    *key = (struct trigger_key){
        .name = key->name, .step = LIFE_ACTIVE, .created_wall_us = world->now.wall_us};
    if (happens(world, 500))
        key->expires_wall_us = world->now.wall_us + (5 + rand_below(&world->rand, 60)) * DAY_US;
}

static void world_begin(struct world *world, uint64_t seed)
{
    static const char *const schedules[] = {"0 2 * * *", "every 20d", "@weekly", "@hourly"};
    static const char *const names[POOL] = {"a", "b", "c", "d", "e", "f"};

    *world = (struct world){.now = {1, START_US}};
    rand_init(&world->rand, seed);
    world->schedule = schedule_of(schedules[seed % 4]);
    world->rules =
        (struct trigger_rules){.schedule = happens(world, 700) ? &world->schedule : NULL,
                               .seed = seed,
                               .on = (uint32_t)rand_below(&world->rand, 1 << LIFE_TRIGGERS),
                               .max_age_us = happens(world, 700) ? 10 * DAY_US : 0,
                               .warn_before_us = 4 * DAY_US,
                               .rotate_before_us = 2 * DAY_US,
                               .max_error_ppm = 50000,
                               .min_requests = 100,
                               .prune_after_us = HOUR_US,
                               .calm_us = HOUR_US};
    world->facts =
        (struct trigger_facts){.keys = world->keys, .count = 1 + rand_below(&world->rand, POOL)};
    for (size_t i = 0; i < world->facts.count; i++) {
        world->keys[i].name = span_from_text(names[i]);
        renew(world, &world->keys[i]);
        world->keys[i].created_wall_us -= rand_below(&world->rand, 15) * DAY_US;
    }
}

/* Why it may be replaced: by what stands in the facts alone. */
static void check_reason(const struct world *world, const struct trigger_answer *answer)
{
    const struct trigger_key *key = &world->keys[answer->key];
    uint64_t wall_us = world->now.wall_us;

    switch (answer->trigger) {
    case LIFE_BY_LEAK:
        assert_true(key->is_leaked);
        break;
    case LIFE_BY_REFUSAL:
        assert_true(key->refused_since_us != 0);
        break;
    case LIFE_BY_EXPIRY:
        assert_true(key->expires_wall_us && key->expires_wall_us <= wall_us + 2 * DAY_US);
        break;
    case LIFE_BY_ERROR_RATE:
        assert_true(key->is_pruned || (key->requests >= 100 && key->errors * 20 > key->requests));
        break;
    case LIFE_BY_STORE:
        assert_true(key->is_changed);
        break;
    case LIFE_BY_AGE:
        assert_true(key->created_wall_us + 10 * DAY_US <= wall_us + HOUR_US);
        break;
    case LIFE_BY_SCHEDULE:
        assert_true(world->rules.schedule && world->memory.last_wall_us > key->created_wall_us);
        break;
    case LIFE_BY_OPERATOR:
    case LIFE_TRIGGERS:
        fail();
    }
    if (answer->trigger != LIFE_BY_SCHEDULE && answer->trigger != LIFE_BY_AGE)
        assert_true(world->rules.on & TRIGGER_ON(answer->trigger));
}

static void begin(struct world *world, const struct trigger_answer *answer)
{
    struct trigger_key *key = &world->keys[answer->key];

    check_reason(world, answer);
    world->begun[answer->trigger]++;
    if (answer->trigger == LIFE_BY_LEAK)
        key->step = LIFE_RETIRED;
    else
        assert_int_equal(key->step, LIFE_ACTIVE);
    if (world->facts.is_busy) { /* a leaked one alone */
        assert_int_equal(answer->trigger, LIFE_BY_LEAK);
        return;
    }
    for (size_t i = 0; i < world->facts.count; i++) /* nothing is more urgent than a leak */
        assert_true(answer->trigger == LIFE_BY_LEAK || !world->keys[i].is_leaked ||
                    world->keys[i].step >= LIFE_RETIRED ||
                    !(world->rules.on & TRIGGER_ON(LIFE_BY_LEAK)));
    world->facts.is_busy = true;
    world->replaced = answer->key;
    world->until_us = world->now.us + 15 * MINUTE_US;
}

static void prune(struct world *world, const struct trigger_answer *answer)
{
    struct trigger_key *key = &world->keys[answer->key];
    bool has_others = false;

    assert_false(key->is_pruned);
    for (size_t i = 0; i < world->facts.count; i++)
        has_others = has_others || (i != answer->key && is_good(world, &world->keys[i]));
    assert_true(has_others);
    key->is_pruned = true;
    world->pruned++;
}

/* Asks until there is nothing, and gives how long to wait. */
static uint64_t follow(struct world *world)
{
    for (int i = 0; i < 4 * POOL; i++) {
        struct trigger_answer answer;

        trigger_decide(&world->rules, &world->facts, &world->now, &world->memory, &answer);
        switch (answer.act) {
        case TRIGGER_NOTHING:
            assert_in_range(answer.wait_us, 1, MINUTE_US);
            return answer.wait_us;
        case TRIGGER_BEGIN:
            begin(world, &answer);
            break;
        case TRIGGER_PRUNE:
            prune(world, &answer);
            break;
        case TRIGGER_WARN:
            assert_false(world->keys[answer.key].is_warned);
            world->keys[answer.key].is_warned = true;
            world->warned++;
            break;
        }
        assert_true(answer.act == TRIGGER_WARN || answer.why[0] != '\0');
    }
    fail_msg("it has no end");
    return 0;
}

static void end_rotation(struct world *world)
{
    struct trigger_key *key = &world->keys[world->replaced];

    world->facts.is_busy = false;
    world->facts.ended_us = world->now.us;
    if (happens(world, 200)) { /* it came to nothing */
        world->facts.failures++;
        return;
    }
    world->facts.failures = 0;
    renew(world, key);
}

static void befall(struct world *world)
{
    struct trigger_key *key = &world->keys[rand_below(&world->rand, world->facts.count)];

    if (happens(world, 3))
        key->is_leaked = true;
    if (happens(world, 5))
        key->refused_since_us = world->now.us;
    if (happens(world, 5))
        key->is_changed = true;
    if (happens(world, 30)) {
        key->requests = (uint32_t)rand_below(&world->rand, 300);
        key->errors = (uint32_t)rand_below(&world->rand, key->requests / 8 + 1);
    }
    if (happens(world, 4))
        world->now.wall_us += (rand_below(&world->rand, 4000) - 2000) * 10 * MINUTE_US;
}

static void play(uint64_t seed, uint32_t *begun, uint32_t *pruned, uint32_t *warned)
{
    struct world world;

    world_begin(&world, seed);
    for (int i = 0; i < STEPS; i++) {
        uint64_t wait_us = follow(&world), us;
        struct trigger_memory memory = world.memory;
        struct trigger_now now = {world.now.us + wait_us - 1, world.now.wall_us + wait_us - 1};
        struct trigger_answer answer;

        /* Nobody need have asked before. */
        trigger_decide(&world.rules, &world.facts, &now, &memory, &answer);
        if (answer.act != TRIGGER_NOTHING)
            fail_msg("seed %llu: %d of %zu %s in %llu: %s", (unsigned long long)seed,
                     (int)answer.act, answer.key, life_trigger_text(answer.trigger),
                     (unsigned long long)wait_us, answer.why);
        us = happens(&world, 500) ? wait_us : rand_below(&world.rand, 6 * HOUR_US);
        world.now.us += us;
        world.now.wall_us += us;
        if (world.facts.is_busy && world.now.us >= world.until_us)
            end_rotation(&world);
        befall(&world);
    }
    for (int i = 0; i < LIFE_TRIGGERS; i++)
        begun[i] += world.begun[i];
    *pruned += world.pruned;
    *warned += world.warned;
}

static void test_histories(void **state)
{
    uint32_t begun[LIFE_TRIGGERS] = {0}, pruned = 0, warned = 0;

    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        play(seed, begun, &pruned, &warned);
    /* All of it was seen. */
    for (int i = LIFE_BY_SCHEDULE; i < LIFE_TRIGGERS; i++) {
        if (begun[i] < 50)
            fail_msg("%s: %u", life_trigger_text((enum life_trigger)i), begun[i]);
    }
    assert_true(pruned > 50 && warned > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
