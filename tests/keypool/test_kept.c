/* What outlives a process: told by one pool, given to another that knows the same keys. */
#include "keypool/kept.h"

#include "pool_play.h"

enum { KEYS = 4 };

/* What was told last, by number of the key. */
struct told {
    struct kept_key keys[KEYS];
    size_t count;
};

static void note(void *owner, struct kept_key *kept)
{
    struct told *told = owner;

    assert_true(told->count < KEYS);
    told->keys[told->count++] = *kept;
}

static struct told keep(struct play *play)
{
    struct told told = {.count = 0};

    keypool_keep(play->pool, play->now, note, &told);
    return told;
}

/* The same keys in another process, whose clock began elsewhere, is told all that was known. */
static void begin_anew(struct play *play, const struct told *told, uint64_t away_us)
{
    uint64_t before_us = play->now;
    struct keypool_effect effect;

    play_end(play);
    play_init(play, told->count);
    play->conf.health.validate_new = true;
    play->now = 7 * SECONDS;
    play_apply(play);
    for (size_t i = 0; i < told->count; i++) {
        struct kept_key kept = told->keys[i];
        /* As the wall clock tells: what has passed is 0. */
        uint64_t gone_us = before_us + away_us;

        kept.until_us = kept.until_us > gone_us ? kept.until_us - gone_us + play->now : 0;
        kept.breaker_until_us =
            kept.breaker_until_us > gone_us ? kept.breaker_until_us - gone_us + play->now : 0;
        for (size_t m = 0; m < kept.model_count; m++) {
            uint64_t *until_us = &kept.models[m].until_us;

            *until_us = *until_us > gone_us ? *until_us - gone_us + play->now : 0;
        }
        assert_true(keypool_restore(play->pool, &kept, play->now, &effect));
    }
}

static void restart(struct play *play, uint64_t away_us)
{
    const struct told told = keep(play);

    begin_anew(play, &told, away_us);
}

static uint64_t until(struct play *play, size_t id)
{
    struct key *key = keypool_find_key(play->pool, span_from_text(play->names[id]));
    uint64_t until_us;

    (void)key_health(key, &until_us);
    key_unref(&key);
    return until_us > play->now ? until_us - play->now : 0;
}

static void request_on(struct play *play, size_t id, const char *model, enum outcome outcome,
                       uint64_t hint_us)
{
    /* Round robin: all others answer well meanwhile. */
    for (int i = 0; i < 4 * KEYS; i++) {
        struct keypool_grant grant = play_pick(play, model);
        bool is_it = play_id(&grant) == id;

        play_finish(play, &grant, is_it ? outcome : OUTCOME_SUCCESS, is_it ? hint_us : 0);
        if (is_it)
            return;
    }
    fail_msg("k%zu is not picked", id);
}

static void what_stands_against_a_key_does_so_after_a_restart(void **state)
{
    struct play play;

    play_start(&play, KEYS);
    request_on(&play, 0, "a", OUTCOME_INVALID_KEY, 0);
    request_on(&play, 1, "a", OUTCOME_DEPLETED, 0);
    for (int i = 0; i < 3; i++)
        request_on(&play, 2, "a", OUTCOME_SERVER_ERROR, 0);
    assert_int_equal(play_health(&play, 2), KEY_COOLING);
    restart(&play, 10 * SECONDS);

    assert_int_equal(play_health(&play, 0), KEY_INVALID);
    assert_int_equal(play_health(&play, 1), KEY_DEPLETED);
    assert_in_range(until(&play, 1), 589 * SECONDS, 591 * SECONDS);
    assert_int_equal(play_health(&play, 2), KEY_COOLING);
    assert_in_range(until(&play, 2), 49 * SECONDS, 51 * SECONDS);
    assert_int_equal(play_row(&play, 2).failures, 3);
    assert_int_equal(play_health(&play, 3), KEY_NEW); /* proven as at any start */
    play_end(&play);
}

static void an_invalid_key_is_probed_at_once(void **state)
{
    struct play play;
    struct key *key;
    uint64_t next_us;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
    restart(&play, SECONDS);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_INVALID);
    key = keypool_probe_take(play.pool, play.now, &next_us);
    assert_non_null(key);
    keypool_probe_end(play.pool, &key, PROBE_KNOWN, play.now);
    assert_int_equal(play_health(&play, 0), KEY_HEALTHY);
    play_end(&play);
}

/* Its time went by while nobody served: one request finds out, as if the process had lived. */
static void a_rest_that_is_over_ends_by_a_test(void **state)
{
    struct keypool_grant test;
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_DEPLETED, 0);
    restart(&play, 86400 * SECONDS);
    test = play_pick(&play, "a");
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_TESTING);
    play_finish(&play, &test, OUTCOME_SUCCESS, 0);
    assert_int_equal(play_health(&play, 0), KEY_HEALTHY);
    play_end(&play);
}

/* What was under test when the process died is tested by the next request. */
static void a_test_ends_with_its_process(void **state)
{
    struct keypool_grant test;
    struct told told;
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_DEPLETED, 0);
    play.now += 601 * SECONDS;
    test = play_pick(&play, "a");
    told = keep(&play);
    assert_int_equal(told.keys[0].health, KEY_TESTING);
    play_finish(&play, &test, OUTCOME_CLIENT_GONE, 0);
    begin_anew(&play, &told, 0);
    test = play_pick(&play, "a");
    play_finish(&play, &test, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void no_clock_that_jumped_burns_a_key(void **state)
{
    struct told told;
    struct play play;

    play_start(&play, 3);
    request_on(&play, 0, "a", OUTCOME_DEPLETED, 0);
    request_on(&play, 1, "a", OUTCOME_RATE_LIMITED, 30 * SECONDS);
    told = keep(&play);
    told.keys[0].until_us = UINT64_MAX / 2;
    told.keys[1].models[0].until_us = UINT64_MAX / 2;
    told.keys[2].breaker = BREAKER_OPEN;
    told.keys[2].breaker_until_us = UINT64_MAX / 2;
    begin_anew(&play, &told, 0);
    assert_int_equal(until(&play, 0), KEYPOOL_MAX_REST_US);
    assert_in_range(play_row(&play, 1).cooldown_until_us, play.now + SECONDS,
                    play.now + KEYPOOL_MAX_REST_US);
    assert_int_equal(play_row(&play, 2).breaker, BREAKER_OPEN);
    play.now += 31 * SECONDS;
    assert_int_equal(play_row(&play, 2).breaker, BREAKER_HALF_OPEN);
    play_end(&play);
}

static void an_operator_s_wishes_stand(void **state)
{
    struct keypool_effect effect;
    struct told told;
    struct play play;
    struct key *key;

    play_start(&play, 3);
    key = keypool_find_key(play.pool, SPAN("k0"));
    keypool_wish(play.pool, key, KEY_DISABLED, play.now);
    key_unref(&key);
    key = keypool_find_key(play.pool, SPAN("k1"));
    keypool_weigh(play.pool, key, 2500);
    key_unref(&key);
    told = keep(&play);
    begin_anew(&play, &told, 0);
    assert_int_equal(play_row(&play, 0).wish, KEY_DISABLED);
    assert_int_equal(play_row(&play, 1).weight_milli, 2500);
    assert_int_equal(play_row(&play, 2).weight_milli, 1000);

    /* The file says something else by now: that is newer. */
    play_end(&play);
    play_init(&play, 3);
    play_key(&play, 1)->weight = 4;
    play_apply(&play);
    assert_true(keypool_restore(play.pool, &told.keys[1], play.now, &effect));
    assert_int_equal(play_row(&play, 1).weight_milli, 4000);
    play_end(&play);
}

/* Late: what this process has observed, and what was ordered in it, is newer. */
static void what_is_newer_stands(void **state)
{
    struct keypool_effect effect;
    struct told told;
    struct play play;
    struct key *key;

    play_start(&play, 3);
    request_on(&play, 0, "a", OUTCOME_INVALID_KEY, 0);
    request_on(&play, 1, "a", OUTCOME_DEPLETED, 0);
    told = keep(&play);
    told.keys[2].wish = KEY_DISABLED;
    play_end(&play);
    play_start(&play, 3);
    for (int i = 0; i < 3; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    key = keypool_find_key(play.pool, SPAN("k2"));
    keypool_wish(play.pool, key, KEY_DRAINED, play.now);
    key_unref(&key);
    for (int i = 0; i < 3; i++)
        assert_true(keypool_restore(play.pool, &told.keys[i], play.now, &effect));
    assert_int_equal(play_health(&play, 0), KEY_HEALTHY);
    assert_int_equal(play_health(&play, 1), KEY_DEPLETED); /* no probe can tell that */
    assert_int_equal(play_row(&play, 2).wish, KEY_DRAINED);
    play_end(&play);
}

static void breakers_and_models(void **state)
{
    struct told told;
    struct play play;

    play_start(&play, 2);
    play.conf.health.max_failures = 100;
    play_apply(&play);
    for (int i = 0; i < 5; i++)
        request_on(&play, 0, "a", OUTCOME_SERVER_ERROR, 0);
    request_on(&play, 1, "big", OUTCOME_RATE_LIMITED, 50 * SECONDS);
    told = keep(&play);
    assert_int_equal(told.keys[0].breaker, BREAKER_OPEN);
    assert_int_equal(told.keys[1].model_count, 1);
    assert_string_equal(told.keys[1].models[0].name, "big");
    assert_int_equal(told.keys[1].models[0].aside, KEPT_LIMITED);
    begin_anew(&play, &told, 20 * SECONDS);
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_OPEN);
    assert_true(play_row(&play, 1).has_model_aside);
    assert_in_range(play_row(&play, 1).cooldown_until_us, play.now + 29 * SECONDS,
                    play.now + 31 * SECONDS);
    play.now += 11 * SECONDS;
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_HALF_OPEN);
    play.now += 20 * SECONDS;
    assert_false(play_row(&play, 1).has_model_aside);

    /* One whose time was up is half open at once. */
    begin_anew(&play, &told, 3600 * SECONDS);
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_HALF_OPEN);
    assert_false(play_row(&play, 1).has_model_aside);
    play_end(&play);
}

/* What stands against an account stands against each of its keys. */
static void an_account_s_rest_is_told_of_its_keys(void **state)
{
    struct play play;

    play_init(&play, 3);
    play_key(&play, 0)->account = play_key(&play, 1)->account = SPAN("shared");
    play_apply(&play);
    request_on(&play, 0, "a", OUTCOME_ACCOUNT_LIMITED, 40 * SECONDS);
    restart(&play, 0);
    for (size_t i = 0; i < 2; i++)
        assert_true(play_health(&play, i) == KEY_LIMITED || play_row(&play, i).has_model_aside);
    assert_int_equal(play_health(&play, 2), KEY_NEW);
    play_end(&play);
}

static void what_is_plain_and_what_has_changed(void **state)
{
    struct told told, again;
    struct play play;
    uint64_t changes;

    play_start(&play, 2);
    told = keep(&play);
    assert_true(kept_is_plain(&told.keys[0]));
    changes = keypool_changes(play.pool);
    play.now += SECONDS;
    again = keep(&play);
    assert_int_equal(kept_fingerprint(&told.keys[0]), kept_fingerprint(&again.keys[0]));
    assert_int_equal(keypool_changes(play.pool), changes);
    request_on(&play, 0, "a", OUTCOME_RATE_LIMITED, 5 * SECONDS);
    assert_true(keypool_changes(play.pool) > changes);
    again = keep(&play);
    assert_false(kept_is_plain(&again.keys[0]));
    assert_int_not_equal(kept_fingerprint(&told.keys[0]), kept_fingerprint(&again.keys[0]));
    assert_int_equal(kept_fingerprint(&told.keys[1]), kept_fingerprint(&again.keys[1]));
    play_end(&play);
}

static void a_key_that_is_not_there(void **state)
{
    struct keypool_effect effect;
    struct told told;
    struct play play;

    play_start(&play, 1);
    told = keep(&play);
    told.keys[0].identity[5] ^= 1;
    assert_false(keypool_restore(play.pool, &told.keys[0], play.now, &effect));
    /* The key that stands for none is nobody's to keep. */
    play.conf.keys.count = 0;
    play_apply(&play);
    assert_int_equal(keep(&play).count, 0);
    play_end(&play);
}

static void each_word_says_one_state(void **state)
{
    enum key_health health;
    enum breaker_state breaker;
    enum kept_aside aside;
    enum key_wish wish;

    for (int i = 0; i < KEY_HEALTH_COUNT; i++) {
        assert_true(
            kept_read_health(span_from_text(kept_health_word((enum key_health)i)), &health));
        assert_int_equal(health, i);
    }
    for (int i = 0; i < KEPT_ASIDES; i++) {
        assert_true(kept_read_aside(span_from_text(kept_aside_word((enum kept_aside)i)), &aside));
        assert_int_equal(aside, i);
    }
    assert_true(kept_read_wish(SPAN("drained"), &wish) && wish == KEY_DRAINED);
    assert_true(kept_read_breaker(SPAN("half_open"), &breaker) && breaker == BREAKER_HALF_OPEN);
    assert_false(kept_read_health(SPAN("of_a_later_version"), &health));
    assert_false(kept_read_aside(SPAN(""), &aside));
    assert_false(kept_read_wish(SPAN("x"), &wish));
    assert_false(kept_read_breaker(SPAN("x"), &breaker));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_against_a_key_does_so_after_a_restart),
        cmocka_unit_test(an_invalid_key_is_probed_at_once),
        cmocka_unit_test(a_rest_that_is_over_ends_by_a_test),
        cmocka_unit_test(a_test_ends_with_its_process),
        cmocka_unit_test(no_clock_that_jumped_burns_a_key),
        cmocka_unit_test(an_operator_s_wishes_stand),
        cmocka_unit_test(what_is_newer_stands),
        cmocka_unit_test(breakers_and_models),
        cmocka_unit_test(an_account_s_rest_is_told_of_its_keys),
        cmocka_unit_test(what_is_plain_and_what_has_changed),
        cmocka_unit_test(a_key_that_is_not_there),
        cmocka_unit_test(each_word_says_one_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
