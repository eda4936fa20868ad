/* What becomes of a key after each kind of answer, how long it stays away, and how it comes back.
 */
#include "pool_play.h"

static uint64_t until(struct play *play, size_t id)
{
    return play_row(play, id).cooldown_until_us;
}

static void test_limited_for_one_model_until_its_reset(void **state)
{
    struct play play;
    struct keypool_choice choice;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 2 * SECONDS);
    choice = play_refused(&play, "a");
    assert_int_equal(choice.verdict, KEYPOOL_LATER);
    assert_int_equal(choice.reason, KEYPOOL_LIMITED);
    assert_in_range(choice.free_at_us, play.now + 2 * SECONDS, play.now + 2 * SECONDS + 1000);
    assert_string_equal(play_row(&play, 0).health_text, "cooling");
    assert_false(play_row(&play, 0).is_healthy);
    assert_in_range(until(&play, 0), play.now + 2 * SECONDS, play.now + 2 * SECONDS + 1000);
    play_request(&play, "b", OUTCOME_SUCCESS, 0);
    play.now = choice.free_at_us;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_true(play_row(&play, 0).is_healthy);
    play_end(&play);
}

static void test_one_request_tests_a_limited_model(void **state)
{
    struct keypool_grant test, other;
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 2 * SECONDS);
    play.now += 3 * SECONDS;
    test = play_pick(&play, "a");
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_TESTING);
    /* The first good bytes are enough. */
    play.effect = keypool_good(play.views[0], &test, play.now);
    assert_int_equal(play.effect.wakes, UINT32_MAX);
    other = play_pick(&play, "a");
    play_finish(&play, &test, OUTCOME_SUCCESS, 0);
    play_finish(&play, &other, OUTCOME_SUCCESS, 0);
    /* A test that is refused waits anew. */
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 2 * SECONDS);
    play.now += 3 * SECONDS;
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 5 * SECONDS);
    play.now += 4 * SECONDS;
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_LIMITED);
    play_end(&play);
}

static void test_a_silent_test_does_not_block(void **state)
{
    struct keypool_grant test, next;
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 2 * SECONDS);
    play.now += 3 * SECONDS;
    test = play_pick(&play, "a");
    play.now = play_refused(&play, "a").free_at_us;
    assert_true(play.now <= 1004 * SECONDS + 2000);
    next = play_pick(&play, "a");
    play_finish(&play, &next, OUTCOME_CLIENT_GONE, 0);
    next = play_pick(&play, "a"); /* it said nothing: the next may test at once */
    play_finish(&play, &test, OUTCOME_SUCCESS, 0);
    play_finish(&play, &next, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_whose_wait_is_over_goes_beside_the_test(void **state)
{
    struct keypool_ask question = {.model = SPAN("a"), .is_urgent = true};
    struct keypool_grant test, beside;
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 2 * SECONDS);
    /* Not before the provider's own time is over. */
    assert_int_equal(keypool_select(play.views[0], &question, play.now, &beside).reason,
                     KEYPOOL_LIMITED);
    play.now += 3 * SECONDS;
    test = play_pick(&play, "a");
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_TESTING);
    assert_int_equal(keypool_select(play.views[0], &question, play.now, &beside).verdict,
                     KEYPOOL_CHOSEN);
    play_finish(&play, &beside, OUTCOME_SUCCESS, 0);
    play_finish(&play, &test, OUTCOME_SUCCESS, 0);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_later_deadline_is_never_shortened(void **state)
{
    struct keypool_grant first, second;
    struct play play;

    play_start(&play, 1);
    first = play_pick(&play, "a");
    second = play_pick(&play, "a");
    play_finish(&play, &first, OUTCOME_RATE_LIMITED, 30 * SECONDS);
    play_finish(&play, &second, OUTCOME_RATE_LIMITED, 1 * SECONDS);
    play.now += 2 * SECONDS;
    assert_in_range(play_refused(&play, "a").free_at_us, play.now + 27 * SECONDS,
                    play.now + 29 * SECONDS);
    play_end(&play);
}

static void test_hints_are_bounded(void **state)
{
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 30 * 86400 * SECONDS);
    assert_in_range(play_refused(&play, "a").free_at_us, play.now + KEYPOOL_MAX_REST_US,
                    play.now + KEYPOOL_MAX_REST_US + 1000);
    play_end(&play);
}

static void test_no_hint_cools_as_configured(void **state)
{
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 0);
    assert_in_range(play_refused(&play, "a").free_at_us, play.now + 60 * SECONDS,
                    play.now + 60 * SECONDS + 1000);
    play_end(&play);
}

static void test_account_cools_together(void **state)
{
    struct play play;

    play_init(&play, 3);
    play_key(&play, 0)->account = SPAN("org-1");
    play_key(&play, 1)->account = SPAN("org-1");
    play_apply(&play);
    assert_int_equal(play_request(&play, "a", OUTCOME_ACCOUNT_LIMITED, 10 * SECONDS), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 2);
    /* For that model alone. */
    assert_int_not_equal(play_request(&play, "b", OUTCOME_SUCCESS, 0), 2);
    /* A limit of one key is its own matter. */
    play.now += 11 * SECONDS;
    while (play_request(&play, "a", OUTCOME_SUCCESS, 0) != 0)
        continue;
    while (play_request(&play, "a", OUTCOME_RATE_LIMITED, 10 * SECONDS) != 0)
        play.now += 11 * SECONDS;
    for (int i = 0, seen = 0; !seen; i++) {
        assert_true(i < 5);
        seen = play_request(&play, "a", OUTCOME_SUCCESS, 0) == 1;
    }
    play_end(&play);
}

static void test_depleted_account(void **state)
{
    struct play play;
    struct keypool_choice choice;

    play_init(&play, 2);
    play_key(&play, 0)->account = SPAN("org-1");
    play_key(&play, 1)->account = SPAN("org-1");
    play_apply(&play);
    play_request(&play, "a", OUTCOME_DEPLETED, 0);
    choice = play_refused(&play, "b");
    assert_int_equal(choice.verdict, KEYPOOL_LATER);
    assert_int_equal(choice.reason, KEYPOOL_DEPLETED);
    assert_in_range(choice.free_at_us, play.now + 600 * SECONDS, play.now + 600 * SECONDS + 2000);
    assert_int_equal(play_health(&play, 0), KEY_DEPLETED);
    assert_int_equal(play_health(&play, 1), KEY_DEPLETED);
    /* Time and one real request. */
    play.now = choice.free_at_us;
    play_request(&play, "a", OUTCOME_DEPLETED, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_DEPLETED);
    play.now += 601 * SECONDS;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_true(play_row(&play, 0).is_healthy);
    assert_true(play_row(&play, 1).is_healthy);
    play_end(&play);
}

static void test_invalid_until_a_probe_says_otherwise(void **state)
{
    struct play play;
    struct key *key;
    uint64_t next;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
    assert_true(play.effect.wants_probe);
    assert_true(play.effect.key_moved);
    assert_int_equal(play_refused(&play, "a").verdict, KEYPOOL_NEVER);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_INVALID);
    play.now += 86400 * SECONDS;
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_INVALID);

    key = keypool_probe_take(play.pool, play.now, &next);
    assert_non_null(key);
    keypool_probe_end(play.pool, &key, PROBE_SILENT, play.now);
    assert_int_equal(play_health(&play, 0), KEY_INVALID);
    assert_null(keypool_probe_take(play.pool, play.now, &next));
    play.now = next;
    key = keypool_probe_take(play.pool, play.now, &next);
    assert_non_null(key);
    assert_int_equal(keypool_probe_end(play.pool, &key, PROBE_KNOWN, play.now).wakes, UINT32_MAX);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_probe_after_401_goes_at_once(void **state)
{
    struct play play;
    struct key *key;
    uint64_t next;

    play_start(&play, 2);
    assert_int_equal(play_request(&play, "a", OUTCOME_INVALID_KEY, 0), 0);
    key = keypool_probe_take(play.pool, play.now, &next);
    assert_non_null(key);
    assert_string_equal(key_name(key).ptr, "k0");
    keypool_probe_end(play.pool, &key, PROBE_REFUSED, play.now);
    assert_null(keypool_probe_take(play.pool, play.now, &next));
    assert_true(next > play.now);
    for (int i = 0; i < 5; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 1);
    play_end(&play);
}

/* An endpoint whose probe path answers anybody: each cure is wrong, and comes less and less often.
 */
static void test_probes_that_contradict_requests_slow_down(void **state)
{
    struct play play;
    uint64_t next, wait[6];
    struct key *key;

    play_start(&play, 1);
    for (int i = 0; i < 6; i++) {
        play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
        key = keypool_probe_take(play.pool, play.now, &next);
        wait[i] = key ? 0 : next - play.now;
        play.now += wait[i];
        if (!key)
            key = keypool_probe_take(play.pool, play.now, &next);
        assert_non_null(key);
        keypool_probe_end(play.pool, &key, PROBE_KNOWN, play.now);
    }
    assert_int_equal(wait[0], 0);
    for (int i = 2; i < 6; i++)
        assert_int_equal(wait[i], 2 * wait[i - 1]);
    /* One success, and it is trusted as before. */
    play.now += US_PER_SEC;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
    key = keypool_probe_take(play.pool, play.now, &next);
    assert_non_null(key);
    keypool_probe_end(play.pool, &key, PROBE_REFUSED, play.now);
    play_end(&play);
}

static void test_operator_decides(void **state)
{
    struct keypool_grant running;
    struct play play;
    struct key *key;

    play_start(&play, 2);
    running = play_pick(&play, "a");
    assert_int_equal(play_id(&running), 0);
    key = keypool_find_key(play.pool, SPAN("k0"));
    keypool_wish(play.pool, key, KEY_DRAINED, play.now);
    for (int i = 0; i < 3; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 1);
    play_finish(&play, &running, OUTCOME_SUCCESS, 0);
    keypool_wish(play.pool, key, KEY_DISABLED, play.now);
    play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
    assert_int_equal(play_refused(&play, "a").verdict, KEYPOOL_NEVER);
    keypool_wish(play.pool, key, KEY_ENABLED, play.now);
    assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 0);
    key_unref(&key);
    play_end(&play);
}

static void test_expired_key_is_not_used(void **state)
{
    struct play play;

    play_init(&play, 2);
    play_key(&play, 0)->expires_wall_us = play_wall + 10 * SECONDS;
    play_key(&play, 1)->expires_wall_us = play_wall - 1;
    play_apply(&play);
    for (int i = 0; i < 3; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 0);
    play.now += 10 * SECONDS;
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_INVALID);
    play_end(&play);
}

/* From the issue: five keys, four of them bad, the default configuration. */
static void test_five_keys_four_bad(void **state)
{
    static const enum outcome answers[5] = {OUTCOME_INVALID_KEY, OUTCOME_DEPLETED,
                                            OUTCOME_RATE_LIMITED, OUTCOME_KEY_FORBIDDEN,
                                            OUTCOME_SUCCESS};
    struct keypool_tried tried = {.count = 0};
    const struct keypool_ask ask = {.model = SPAN("a"), .tried = &tried};
    struct play play;
    int rotations = 0;
    bool is_answered = false;

    play_start(&play, 5);
    while (!is_answered) {
        struct keypool_grant grant;
        enum outcome answer;

        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        answer = answers[play_id(&grant)];
        is_answered = answer == OUTCOME_SUCCESS;
        if (!is_answered)
            rotations += keypool_tried_add(&tried, grant.key, true);
        play_finish(&play, &grant, answer, 0);
        assert_true(rotations <= 4);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 4);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limited_for_one_model_until_its_reset),
        cmocka_unit_test(test_one_request_tests_a_limited_model),
        cmocka_unit_test(test_a_silent_test_does_not_block),
        cmocka_unit_test(test_whose_wait_is_over_goes_beside_the_test),
        cmocka_unit_test(test_later_deadline_is_never_shortened),
        cmocka_unit_test(test_hints_are_bounded),
        cmocka_unit_test(test_no_hint_cools_as_configured),
        cmocka_unit_test(test_account_cools_together),
        cmocka_unit_test(test_depleted_account),
        cmocka_unit_test(test_invalid_until_a_probe_says_otherwise),
        cmocka_unit_test(test_probe_after_401_goes_at_once),
        cmocka_unit_test(test_probes_that_contradict_requests_slow_down),
        cmocka_unit_test(test_operator_decides),
        cmocka_unit_test(test_expired_key_is_not_used),
        cmocka_unit_test(test_five_keys_four_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
