/* What the triggers see of a pool, its keys' lives and the file. */
#include "../keypool/pool_play.h"

#include "rotation/key_watch.h"

enum { KEYS = 3 };

struct scene {
    struct play play;
    struct conf_rotation rotation;
    struct life life;
    struct trigger_rules rules;
    struct key_watch *watch;
    struct trigger_facts facts;
};

static void set_up(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    play_init(&scene->play, KEYS);
    scene->rotation.error_rate.window_us = 100 * SECONDS;
    scene->play.conf.rotation = &scene->rotation;
    scene->play.conf.health.max_failures = scene->play.conf.breaker.failures = 1000000;
    scene->rules = (struct trigger_rules){.max_error_ppm = 500000, .min_requests = 10};
    life_init(&scene->life);
    play_apply(&scene->play);
    scene->watch = key_watch_new();
    assert_non_null(scene->watch);
}

static void tear_down(struct scene *scene)
{
    key_watch_free(&scene->watch);
    play_end(&scene->play);
}

static void look(struct scene *scene)
{
    const struct trigger_now now = {scene->play.now, play_wall};
    const struct key_watch_look look = {scene->play.pool, &scene->play.conf, &scene->life,
                                        &scene->rules, &now};

    assert_int_equal(key_watch_look(scene->watch, &look, &scene->facts), 0);
}

static const struct trigger_key *fact(const struct scene *scene, const char *name)
{
    for (size_t i = 0; i < scene->facts.count; i++) {
        if (span_is_equal(scene->facts.keys[i].name, span_from_text(name)))
            return &scene->facts.keys[i];
    }
    fail_msg("nothing is said of %s", name);
    return NULL;
}

static size_t place(const struct scene *scene, const char *name)
{
    return (size_t)(fact(scene, name) - scene->facts.keys);
}

/* So many requests, of which those on key k fail that k's digit is '1' in the text. */
static void ask(struct scene *scene, int count, const char *fails, enum outcome outcome)
{
    for (int i = 0; i < count; i++) {
        struct keypool_grant grant = play_pick(&scene->play, "m");
        bool is_bad = fails[play_id(&grant)] == '1';

        play_finish(&scene->play, &grant, is_bad ? outcome : OUTCOME_SUCCESS, 0);
    }
}

static struct life_key *add_life(struct scene *scene, const char *name, enum life_step step)
{
    struct life_key *key = &scene->life.keys[scene->life.count++];

    snprintf(key->name, sizeof(key->name), "%s", name);
    key->step = step;
    key->identity[0] = (uint8_t)scene->life.count;
    key->identity[5] = 9;
    if (name[0] == 'k') /* of the pool */
        memcpy(key->identity, play_key(&scene->play, (size_t)(name[1] - '0'))->identity,
               LIFE_IDENTITY_BYTES);
    return key;
}

static void test_keys_of_the_file(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    play_key(&scene.play, 1)->expires_wall_us = play_wall + 77 * SECONDS;
    look(&scene);
    assert_int_equal(scene.facts.count, KEYS);
    assert_int_equal(fact(&scene, "k0")->step, LIFE_ACTIVE);
    assert_int_equal(fact(&scene, "k0")->created_wall_us, 0);
    assert_int_equal(fact(&scene, "k0")->seen_wall_us, 0);
    assert_int_equal(fact(&scene, "k1")->expires_wall_us, play_wall + 77 * SECONDS);
    assert_memory_equal(key_watch_identity(scene.watch, place(&scene, "k1")),
                        play_key(&scene.play, 1)->identity, LIFE_IDENTITY_BYTES);
    assert_false(scene.facts.is_busy);
    /* When ages began to matter is written down; what comes later is as old as it is. */
    scene.life.memory.first_wall_us = 5;
    play_declare(&scene.play, 3, 3);
    scene.play.conf.keys.count = 4;
    play_apply(&scene.play);
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->seen_wall_us, 5);
    assert_int_equal(fact(&scene, "k3")->seen_wall_us, play_wall);
    tear_down(&scene);
}

static void test_errors(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    look(&scene);
    ask(&scene, 90, "100", OUTCOME_SERVER_ERROR);
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->requests, 30);
    assert_int_equal(fact(&scene, "k0")->errors, 30);
    assert_int_equal(fact(&scene, "k1")->errors, 0);
    /* They leave the window. */
    scene.play.now += 200 * SECONDS;
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->errors, 0);
    /* What the client is to blame for does not count. */
    ask(&scene, 90, "100", OUTCOME_BAD_REQUEST);
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->requests, 30);
    assert_int_equal(fact(&scene, "k0")->errors, 0);
    tear_down(&scene);
}

/* Where the others do no better, no key is to blame. */
static void test_errors_of_all(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    look(&scene);
    ask(&scene, 90, "111", OUTCOME_SERVER_ERROR);
    look(&scene);
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(scene.facts.keys[i].errors, 0);
    tear_down(&scene);
}

/* A limit that is reached is no error of the key. */
static void test_limits(void **state)
{
    struct scene scene;
    struct keypool_grant grant;

    (void)state;
    set_up(&scene);
    look(&scene);
    grant = play_pick(&scene.play, "m");
    play_finish(&scene.play, &grant, OUTCOME_RATE_LIMITED, SECONDS);
    grant = play_pick(&scene.play, "m");
    play_finish(&scene.play, &grant, OUTCOME_KEY_DEPLETED, 0);
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->errors + fact(&scene, "k1")->errors, 0);
    assert_int_equal(fact(&scene, "k2")->errors, 0);
    tear_down(&scene);
}

/* Only one that was good before is refused. */
static void test_refused(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    look(&scene);
    ask(&scene, 3, "100", OUTCOME_INVALID_KEY);
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->refused_since_us, 0);
    assert_true(fact(&scene, "k0")->is_away);
    assert_false(fact(&scene, "k1")->is_away);
    scene.play.now += SECONDS;
    ask(&scene, 2, "010", OUTCOME_INVALID_KEY);
    look(&scene);
    assert_int_equal(fact(&scene, "k1")->refused_since_us, scene.play.now);
    scene.play.now += SECONDS;
    look(&scene);
    assert_int_equal(fact(&scene, "k1")->refused_since_us, scene.play.now - SECONDS);
    tear_down(&scene);
}

static void test_lives(void **state)
{
    struct scene scene;
    struct life_key *key;

    (void)state;
    set_up(&scene);
    key = add_life(&scene, "k0", LIFE_ACTIVE);
    key->created_wall_us = 100;
    key->expires_wall_us = 200;
    add_life(&scene, "k1", LIFE_CANARY);
    key = add_life(&scene, "k2", LIFE_RETIRED);
    key->is_pruned = true;
    key = add_life(&scene, "gone", LIFE_REVOKED);
    key->is_leaked = true;
    key = add_life(&scene, "replaced", LIFE_REVOKED);
    key->is_leaked = key->is_replaced = true;
    look(&scene);
    assert_int_equal(scene.facts.count, 4);
    assert_true(scene.facts.is_busy);
    assert_int_equal(fact(&scene, "k0")->created_wall_us, 100);
    assert_int_equal(fact(&scene, "k0")->expires_wall_us, 200);
    assert_int_equal(fact(&scene, "k1")->step, LIFE_CANARY);
    assert_int_equal(fact(&scene, "k2")->step, LIFE_ACTIVE); /* it may be replaced */
    assert_true(fact(&scene, "k2")->is_pruned);
    assert_true(fact(&scene, "gone")->is_leaked);
    assert_int_equal(fact(&scene, "gone")->step, LIFE_REVOKED);
    /* A new secret under a name is another key. */
    scene.life.keys[2].identity[0] ^= 1;
    look(&scene);
    assert_false(fact(&scene, "k2")->is_pruned);
    tear_down(&scene);
}

/* When the last rotation ended is known after a restart as well, as far as clocks can tell. */
static void test_when_the_last_one_ended(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    scene.life.failures = 4;
    scene.life.ended_wall_us = play_wall - 60 * SECONDS;
    look(&scene);
    assert_int_equal(scene.facts.failures, 4);
    assert_int_equal(scene.facts.ended_us, scene.play.now - 60 * SECONDS);
    scene.life.ended_wall_us = play_wall + 60 * SECONDS; /* the clock was put back */
    look(&scene);
    assert_int_equal(scene.facts.ended_us, scene.play.now);
    scene.life.ended_wall_us = 1;
    look(&scene);
    assert_int_equal(scene.facts.ended_us, 1);
    scene.life.live.ended_us = 7;
    look(&scene);
    assert_int_equal(scene.facts.ended_us, 7);
    tear_down(&scene);
}

/* A key that an operator has put off is left alone. */
static void test_wishes(void **state)
{
    struct scene scene;
    struct key *key;

    (void)state;
    set_up(&scene);
    key = keypool_find_key(scene.play.pool, SPAN("k1"));
    (void)keypool_wish(scene.play.pool, key, KEY_DISABLED, scene.play.now);
    look(&scene);
    assert_int_equal(fact(&scene, "k0")->step, LIFE_ACTIVE);
    assert_int_not_equal(fact(&scene, "k1")->step, LIFE_ACTIVE);
    (void)keypool_wish(scene.play.pool, key, KEY_ENABLED, scene.play.now);
    look(&scene);
    assert_int_equal(fact(&scene, "k1")->step, LIFE_ACTIVE);
    key_unref(&key);
    tear_down(&scene);
}

static void test_what_is_remembered(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    play_key(&scene.play, 1)->expires_wall_us = play_wall + 77 * SECONDS;
    key_watch_changed(scene.watch, play_key(&scene.play, 2)->identity);
    look(&scene);
    assert_true(fact(&scene, "k2")->is_changed);
    assert_false(fact(&scene, "k1")->is_warned);
    key_watch_warned(scene.watch, place(&scene, "k1"));
    key_watch_begun(scene.watch, place(&scene, "k2"));
    key_watch_keep(scene.watch, place(&scene, "k0"), scene.play.now + SECONDS);
    look(&scene);
    assert_true(fact(&scene, "k1")->is_warned);
    assert_false(fact(&scene, "k2")->is_changed);
    assert_true(fact(&scene, "k0")->is_kept);
    /* Another date is another warning; and what was kept is not for ever. */
    play_key(&scene.play, 1)->expires_wall_us += SECONDS;
    scene.play.now += SECONDS;
    look(&scene);
    assert_false(fact(&scene, "k1")->is_warned);
    assert_false(fact(&scene, "k0")->is_kept);
    /* One that has gone is forgotten. */
    key_watch_warned(scene.watch, place(&scene, "k1"));
    scene.play.conf.keys.count = 1;
    play_apply(&scene.play);
    look(&scene);
    assert_int_equal(scene.facts.count, 1);
    scene.play.conf.keys.count = 2;
    play_apply(&scene.play);
    look(&scene);
    assert_false(fact(&scene, "k1")->is_warned);
    tear_down(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_the_file),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_errors_of_all),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_when_the_last_one_ended),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_what_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
