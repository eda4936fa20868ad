/* Which key is replaced, and why: each reason alone, the most urgent among several, what waits and
 * what is pruned; then thousands of seeded lives with clocks that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "rotation/trigger.h"

#define MINUTE_US (60 * US_PER_SEC)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)
#define START_US  (1795168800 * US_PER_SEC) /* 2026-11-20T10:00:00Z */

enum { KEYS = 3, ALL = 0xffff };

/* A provider with three good keys, made 40, 20 and 10 days ago. */
struct scene {
    struct schedule schedule;
    struct trigger_rules rules;
    struct trigger_key keys[KEYS];
    struct trigger_facts facts;
    struct trigger_now now;
    struct trigger_memory memory;
    struct trigger_answer answer;
};

static struct schedule schedule_of(const char *text)
{
    char why[SCHEDULE_WHY_BYTES];
    struct schedule schedule;

    assert_int_equal(schedule_read(span_from_text(text), &schedule, why), 0);
    return schedule;
}

static void set_up(struct scene *scene, const char *schedule)
{
    static const uint64_t days[KEYS] = {40, 20, 10};
    static const char *const names[KEYS] = {"a", "b", "c"};

    *scene = (struct scene){.now = {HOUR_US, START_US}};
    scene->rules = (struct trigger_rules){.on = ALL & ~TRIGGER_ON(LIFE_BY_AGE),
                                          .max_age_us = 30 * DAY_US,
                                          .warn_before_us = 7 * DAY_US,
                                          .rotate_before_us = 3 * DAY_US,
                                          .max_error_ppm = 50000,
                                          .min_requests = 100,
                                          .prune_after_us = 30 * MINUTE_US,
                                          .calm_us = HOUR_US};
    if (schedule) {
        scene->schedule = schedule_of(schedule);
        scene->rules.schedule = &scene->schedule;
    }
    for (int i = 0; i < KEYS; i++)
        scene->keys[i] = (struct trigger_key){.name = span_from_text(names[i]),
                                              .step = LIFE_ACTIVE,
                                              .created_wall_us = START_US - days[i] * DAY_US};
    scene->facts = (struct trigger_facts){.keys = scene->keys, .count = KEYS};
}

static enum trigger_act ask(struct scene *scene)
{
    trigger_decide(&scene->rules, &scene->facts, &scene->now, &scene->memory, &scene->answer);
    return scene->answer.act;
}

static void expect_nothing(struct scene *scene)
{
    assert_int_equal(ask(scene), TRIGGER_NOTHING);
    assert_in_range(scene->answer.wait_us, 1, MINUTE_US);
}

static void expect(struct scene *scene, enum trigger_act act, size_t key, enum life_trigger trigger,
                   const char *why)
{
    assert_int_equal(ask(scene), act);
    assert_int_equal(scene->answer.key, key);
    assert_int_equal(scene->answer.trigger, trigger);
    assert_string_equal(scene->answer.why, why);
}

static void pass(struct scene *scene, uint64_t us)
{
    scene->now.us += us;
    scene->now.wall_us += us;
}

/* Its successor serves, and is named after it. */
static void replace(struct scene *scene, size_t key)
{
    struct trigger_key *old = &scene->keys[key];

    *old = (struct trigger_key){
        .name = old->name, .step = LIFE_ACTIVE, .created_wall_us = scene->now.wall_us};
    scene->facts.ended_us = scene->now.us;
}

/* ---- each reason ---- */

static void test_good_keys_are_left_alone(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    for (int i = 0; i < 1000; i++) {
        expect_nothing(&scene);
        assert_false(scene.answer.has_to_record);
        pass(&scene, DAY_US);
    }
    scene.facts.count = 0;
    expect_nothing(&scene);
}

static void test_a_leaked_key_waits_for_nothing(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.keys[1].is_leaked = true;
    scene.facts.is_busy = true;
    scene.facts.failures = 9;
    scene.facts.ended_us = scene.now.us;
    scene.facts.not_before_us = scene.now.us + HOUR_US;
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_LEAK, "it leaked");
    /* It is off; the rotation under way goes on, and its own comes after that. */
    scene.keys[1].step = LIFE_RETIRED;
    expect_nothing(&scene);
    scene.facts.is_busy = false;
    scene.facts.failures = 1;
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 30 * US_PER_SEC);
    pass(&scene, 30 * US_PER_SEC);
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_LEAK, "it leaked");
    scene.facts.leak_not_before_us = scene.now.us + US_PER_SEC;
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, US_PER_SEC);
}

static void test_a_refused_key(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.rules.refused_for_us = 20 * US_PER_SEC;
    scene.keys[2].refused_since_us = scene.now.us;
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 20 * US_PER_SEC);
    pass(&scene, 20 * US_PER_SEC);
    expect(&scene, TRIGGER_BEGIN, 2, LIFE_BY_REFUSAL,
           "its provider refuses it, and took it before");
    scene.rules.on &= ~TRIGGER_ON(LIFE_BY_REFUSAL);
    expect_nothing(&scene);
}

static void test_an_expiry(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.keys[1].expires_wall_us = START_US + 7 * DAY_US + 10 * US_PER_SEC;
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 10 * US_PER_SEC);
    pass(&scene, 10 * US_PER_SEC);
    expect(&scene, TRIGGER_WARN, 1, LIFE_BY_EXPIRY, "it expires on 2026-11-27");
    scene.keys[1].is_warned = true;
    expect_nothing(&scene);
    pass(&scene, 4 * DAY_US - 1);
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 1);
    pass(&scene, 1);
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_EXPIRY, "it expires on 2026-11-27");
    /* Where nothing replaces it, it is taken out on its day. */
    scene.rules.on = 0;
    expect_nothing(&scene);
    pass(&scene, 3 * DAY_US);
    expect(&scene, TRIGGER_PRUNE, 1, LIFE_BY_EXPIRY, "it expired on 2026-11-27");
    scene.keys[1].is_pruned = true;
    expect_nothing(&scene);
    scene.rules.on = ALL;
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_EXPIRY, "it expired on 2026-11-27");
}

static void test_an_error_rate(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.keys[0].requests = 99; /* too few */
    scene.keys[0].errors = 99;
    scene.keys[1].requests = 400; /* not over */
    scene.keys[1].errors = 20;
    expect_nothing(&scene);
    scene.keys[1].errors = 50;
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_ERROR_RATE,
           "12.5% of its last 400 requests failed, over 5%");
    /* Another one has just been replaced: a bad hour of the provider's? */
    scene.facts.ended_us = scene.now.us - HOUR_US + 5 * US_PER_SEC;
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 5 * US_PER_SEC);
    pass(&scene, 5 * US_PER_SEC);
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    scene.rules.max_error_ppm = 0;
    expect_nothing(&scene);
}

static void test_a_changed_secret(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.keys[1].is_changed = true;
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_STORE, "its secret was changed where it is kept");
    scene.keys[1].step = LIFE_DRAINING;
    expect_nothing(&scene);
}

static void test_an_age_alone(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.rules.on |= TRIGGER_ON(LIFE_BY_AGE);
    expect(&scene, TRIGGER_BEGIN, 0, LIFE_BY_AGE, "it is 30d old");
    replace(&scene, 0);
    scene.keys[2].created_wall_us = 0; /* nobody knows: a start replaces nothing */
    expect_nothing(&scene);
    pass(&scene, 10 * DAY_US);
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_AGE, "it is 30d old");
}

static void test_the_most_urgent_comes_first(void **state)
{
    static const enum life_trigger order[] = {LIFE_BY_LEAK,       LIFE_BY_REFUSAL, LIFE_BY_EXPIRY,
                                              LIFE_BY_ERROR_RATE, LIFE_BY_STORE,   LIFE_BY_AGE,
                                              LIFE_BY_SCHEDULE};
    struct scene scene;

    /* Whichever two of these there are, and wherever they stand. */
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = i; j < 7; j++) {
            for (size_t place = 0; place < 2; place++) {
                set_up(&scene, "0 2 * * *");
                scene.rules.on |= TRIGGER_ON(LIFE_BY_AGE);
                scene.memory.last_wall_us = START_US - DAY_US;
                for (int k = 0; k < KEYS; k++)
                    scene.keys[k].created_wall_us = START_US;
                for (size_t k = 0; k < 2; k++) {
                    struct trigger_key *key = &scene.keys[k ? place : 1 - place];
                    enum life_trigger trigger = order[k ? i : j];

                    key->is_leaked = trigger == LIFE_BY_LEAK;
                    key->refused_since_us = trigger == LIFE_BY_REFUSAL;
                    key->expires_wall_us = trigger == LIFE_BY_EXPIRY ? START_US + DAY_US : 0;
                    key->requests = key->errors = trigger == LIFE_BY_ERROR_RATE ? 100 : 0;
                    key->is_changed = trigger == LIFE_BY_STORE;
                    if (trigger == LIFE_BY_EXPIRY)
                        key->created_wall_us = START_US - 20 * DAY_US;
                    if (trigger == LIFE_BY_AGE)
                        key->created_wall_us = START_US - 31 * DAY_US;
                    if (trigger == LIFE_BY_SCHEDULE) {
                        scene.rules.max_age_us = i == j ? 0 : scene.rules.max_age_us;
                        key->created_wall_us = i == j ? START_US - 1 : key->created_wall_us;
                    }
                }
                if (order[i] == LIFE_BY_SCHEDULE) {
                    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
                    assert_int_equal(scene.answer.trigger, LIFE_BY_SCHEDULE);
                    continue;
                }
                assert_int_equal(ask(&scene), TRIGGER_BEGIN);
                assert_int_equal(scene.answer.trigger, order[i]);
                if (i != j)
                    assert_int_equal(scene.answer.key, place);
            }
        }
    }
}

static void test_among_equals(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        scene.keys[i].expires_wall_us = START_US + (i == 1 ? 1 : 2) * DAY_US;
        scene.keys[i].is_warned = true;
    }
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    assert_int_equal(scene.answer.key, 1);
    set_up(&scene, NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        scene.keys[i].requests = 100;
        scene.keys[i].errors = i == 2 ? 90 : 80;
    }
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    assert_int_equal(scene.answer.key, 2);
}

/* ---- what waits ---- */

static void test_one_at_a_time(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.keys[0].refused_since_us = scene.keys[1].refused_since_us = 1;
    scene.facts.is_busy = true;
    expect_nothing(&scene);
    scene.facts.is_busy = false;
    scene.facts.not_before_us = scene.now.us + 1;
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 1);
    scene.facts.not_before_us = 0;
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
}

static void test_failures_are_followed_by_rest(void **state)
{
    static const uint64_t rests_us[] = {5 * MINUTE_US,   10 * MINUTE_US, 20 * MINUTE_US,
                                        40 * MINUTE_US,  80 * MINUTE_US, 160 * MINUTE_US,
                                        320 * MINUTE_US, 6 * HOUR_US,    6 * HOUR_US};
    struct scene scene;

    set_up(&scene, NULL);
    scene.keys[0].refused_since_us = 1;
    for (size_t i = 0; i < sizeof(rests_us) / sizeof(rests_us[0]); i++) {
        scene.facts.failures++;
        scene.facts.ended_us = scene.now.us;
        pass(&scene, rests_us[i] - 1);
        expect_nothing(&scene);
        pass(&scene, 1);
        assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    }
    scene.facts.failures = UINT32_MAX;
    scene.facts.ended_us = scene.now.us;
    pass(&scene, 6 * HOUR_US);
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
}

/* ---- pruning ---- */

static void test_a_rate_that_stays_is_pruned(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.rules.on = 0;
    scene.keys[1].requests = scene.keys[1].errors = 200;
    expect_nothing(&scene);
    pass(&scene, 29 * MINUTE_US);
    expect_nothing(&scene);
    /* It recovers in between: counted anew. */
    scene.keys[1].errors = 0;
    expect_nothing(&scene);
    scene.keys[1].errors = 200;
    pass(&scene, MINUTE_US);
    expect_nothing(&scene);
    pass(&scene, 30 * MINUTE_US - 1);
    expect_nothing(&scene);
    assert_int_equal(scene.answer.wait_us, 1);
    pass(&scene, 1);
    expect(&scene, TRIGGER_PRUNE, 1, LIFE_BY_ERROR_RATE,
           "100% of its last 200 requests failed, over 5%");
    /* Without requests there is no rate; it is replaced all the same. */
    scene.keys[1].is_pruned = true;
    scene.keys[1].requests = scene.keys[1].errors = 0;
    expect_nothing(&scene);
    scene.rules.on = TRIGGER_ON(LIFE_BY_ERROR_RATE);
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_ERROR_RATE,
           "it was taken out of service for its errors");
}

static void test_the_last_good_key_is_never_pruned(void **state)
{
    struct scene scene;

    set_up(&scene, NULL);
    scene.rules.on = 0;
    scene.rules.warn_before_us = 0;
    for (int i = 0; i < KEYS; i++)
        scene.keys[i].expires_wall_us = START_US - (uint64_t)i;
    expect_nothing(&scene); /* all three: a clock that is wrong? */
    scene.keys[1].expires_wall_us = 0;
    expect(&scene, TRIGGER_PRUNE, 0, LIFE_BY_EXPIRY, "it expired on 2026-11-20");
    scene.keys[1].refused_since_us = 1;
    expect_nothing(&scene);
    scene.keys[1].refused_since_us = 0;
    scene.keys[1].requests = scene.keys[1].errors = 100;
    expect_nothing(&scene);
    scene.keys[1].requests = 0;
    scene.keys[1].step = LIFE_CANARY;
    expect_nothing(&scene);
    scene.keys[1].step = LIFE_ACTIVE;
    scene.keys[1].is_pruned = true;
    expect_nothing(&scene);
    scene.keys[1].is_pruned = false;
    scene.keys[1].is_leaked = true;
    expect_nothing(&scene);
}

/* ---- rounds ---- */

static void test_a_schedule_replaces_what_is_too_old(void **state)
{
    struct scene scene;

    set_up(&scene, "0 2 * * *"); /* in 16 hours */
    expect_nothing(&scene);      /* a start is no time */
    assert_true(scene.answer.has_to_record);
    expect_nothing(&scene);
    assert_false(scene.answer.has_to_record);
    pass(&scene, 16 * HOUR_US - 1);
    expect_nothing(&scene);
    pass(&scene, HOUR_US + 1); /* jitter */
    expect(&scene, TRIGGER_BEGIN, 0, LIFE_BY_AGE, "it is 30d old");
    assert_true(scene.answer.has_to_record);
    replace(&scene, 0);
    expect_nothing(&scene);
    pass(&scene, 9 * DAY_US); /* the second has 30 days less some hours, and then it has them */
    expect_nothing(&scene);
    pass(&scene, DAY_US);
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_AGE, "it is 30d old");
}

static void test_an_interval_replaces_all(void **state)
{
    struct scene scene;

    set_up(&scene, "every 30d");
    scene.keys[2].created_wall_us = 0; /* nobody knows: the oldest */
    expect_nothing(&scene);
    for (int round = 0; round < 3; round++) {
        static const size_t order[KEYS] = {2, 0, 1};

        pass(&scene, 30 * DAY_US + HOUR_US);
        for (int i = 0; i < KEYS; i++) {
            expect(&scene, TRIGGER_BEGIN, order[i], LIFE_BY_SCHEDULE,
                   "the schedule has come round");
            scene.facts.is_busy = true;
            expect_nothing(&scene);
            pass(&scene, 10 * MINUTE_US);
            scene.facts.is_busy = false;
            replace(&scene, order[i]);
        }
        expect_nothing(&scene);
        assert_int_equal(scene.memory.round_wall_us, 0);
    }
}

static void test_a_round_goes_on_after_a_start(void **state)
{
    struct scene scene;

    set_up(&scene, "every 30d");
    expect_nothing(&scene);
    pass(&scene, 30 * DAY_US + HOUR_US);
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    replace(&scene, 0);
    memset(scene.memory.over, 0, sizeof(scene.memory.over));
    scene.now.us = 5;
    scene.facts.ended_us = 0;
    expect(&scene, TRIGGER_BEGIN, 1, LIFE_BY_SCHEDULE, "the schedule has come round");
}

static void test_clocks_that_jump(void **state)
{
    struct scene scene;

    set_up(&scene, "0 2 * * *");
    scene.rules.max_age_us = 0;
    scene.facts.count = 1;
    expect_nothing(&scene);
    /* Over many times: one round. */
    scene.now.wall_us += 100 * DAY_US;
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    replace(&scene, 0);
    expect_nothing(&scene);
    /* Back a little: what was followed is not followed again. */
    pass(&scene, DAY_US);
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
    scene.now.wall_us -= 20 * HOUR_US;
    replace(&scene, 0);
    for (int i = 0; i < 20; i++) {
        expect_nothing(&scene);
        pass(&scene, HOUR_US);
    }
    /* Back by a hundred days: it does not wait as long. */
    scene.now.wall_us -= 100 * DAY_US;
    replace(&scene, 0);
    expect_nothing(&scene);
    assert_true(scene.answer.has_to_record);
    pass(&scene, 26 * HOUR_US);
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
}

static void test_a_schedule_that_is_taken_away(void **state)
{
    struct scene scene;

    set_up(&scene, "every 30d");
    expect_nothing(&scene);
    pass(&scene, 60 * DAY_US);
    scene.rules.schedule = NULL;
    expect_nothing(&scene);
    scene.rules.schedule = &scene.schedule;
    expect_nothing(&scene); /* counted from here */
    pass(&scene, 30 * DAY_US + HOUR_US);
    assert_int_equal(ask(&scene), TRIGGER_BEGIN);
}

/* ---- histories ---- */

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
        cmocka_unit_test(test_good_keys_are_left_alone),
        cmocka_unit_test(test_a_leaked_key_waits_for_nothing),
        cmocka_unit_test(test_a_refused_key),
        cmocka_unit_test(test_an_expiry),
        cmocka_unit_test(test_an_error_rate),
        cmocka_unit_test(test_a_changed_secret),
        cmocka_unit_test(test_an_age_alone),
        cmocka_unit_test(test_the_most_urgent_comes_first),
        cmocka_unit_test(test_among_equals),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_failures_are_followed_by_rest),
        cmocka_unit_test(test_a_rate_that_stays_is_pruned),
        cmocka_unit_test(test_the_last_good_key_is_never_pruned),
        cmocka_unit_test(test_a_schedule_replaces_what_is_too_old),
        cmocka_unit_test(test_an_interval_replaces_all),
        cmocka_unit_test(test_a_round_goes_on_after_a_start),
        cmocka_unit_test(test_clocks_that_jump),
        cmocka_unit_test(test_a_schedule_that_is_taken_away),
        cmocka_unit_test(test_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
