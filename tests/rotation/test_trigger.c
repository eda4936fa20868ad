/* Which key is replaced, and why: each reason alone, the most urgent among several, what waits and
 * what is pruned. */
#include "trigger_times.h"

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
