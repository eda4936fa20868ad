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

static void test_failures_in_a_row_cool(void **state)
{
    struct play play;

    play_start(&play, 2);
    /* Two in a row, a success, two in a row: no more than that. */
    for (int i = 0; i < 12; i++) {
        size_t id =
            play_request(&play, "a", i / 2 % 3 == 2 ? OUTCOME_SUCCESS : OUTCOME_SERVER_ERROR, 0);

        assert_int_equal(id, i % 2);
        play.now += 5 * SECONDS; /* the breaker is not what this is about */
    }
    assert_int_equal(play_row(&play, 0).failures, 0);
    for (int i = 0; i < 6; i++) {
        play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
        play.now += 5 * SECONDS;
    }
    assert_int_equal(play_health(&play, 0), KEY_COOLING);
    assert_int_equal(play_health(&play, 1), KEY_COOLING);
    play_end(&play);
}

static void test_stale_failures_are_forgotten(void **state)
{
    struct play play;

    play_start(&play, 1);
    for (int i = 0; i < 10; i++) {
        play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
        assert_int_equal(play_row(&play, 0).failures, 1);
        play.now += 61 * SECONDS;
        assert_int_equal(play_row(&play, 0).failures, 0);
    }
    play_end(&play);
}

/* Health and breakers never exclude the last way. */
static void test_the_last_way_stays_open(void **state)
{
    struct keypool_grant test;
    struct play play;

    play_start(&play, 2);
    for (int i = 0; i < 6; i++)
        play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
    assert_int_equal(play_health(&play, 0), KEY_COOLING);
    assert_int_equal(play_health(&play, 1), KEY_COOLING);
    /* All cool for a minute; the one that recovers first is tried all the same. */
    test = play_pick(&play, "a");
    assert_int_equal(play_id(&test), 0);
    play_finish(&play, &test, OUTCOME_SUCCESS, 0);
    assert_int_equal(play_health(&play, 0), KEY_HEALTHY);
    for (int i = 0; i < 5; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 0);
    assert_int_equal(play_health(&play, 1), KEY_COOLING);
    play_end(&play);
}

static void test_the_last_way_is_no_way_around_limits(void **state)
{
    struct keypool_ask ask = {.model = SPAN("a")};
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 2);
    play.conf.selection = CONF_SELECTION_PRIORITY;
    play_apply(&play);
    for (int i = 0; i < 3; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SERVER_ERROR, 0), 0);
    assert_int_equal(play_request(&play, "a", OUTCOME_RATE_LIMITED, 3 * SECONDS), 1);
    /* The limited one is back within the time that the exchange has: nothing is forced. */
    ask.wait_until_us = play.now + 5 * SECONDS;
    assert_int_equal(play_ask(&play, &ask, &grant).reason, KEYPOOL_LIMITED);
    /* It could not wait so long: the cooling one is tried, never the limited one. */
    ask.wait_until_us = play.now + 1 * SECONDS;
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    assert_int_equal(play_id(&grant), 0);
    play_finish(&play, &grant, OUTCOME_SERVER_ERROR, 0);
    play_end(&play);
}

static void test_key_breaker_opens_and_closes(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 2);
    play.conf.health.max_failures = 1000;
    play.conf.selection = CONF_SELECTION_PRIORITY;
    play_apply(&play);
    for (int i = 0; i < 5; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SERVER_ERROR, 0), 0);
    assert_true(play.effect.breaker_moved);
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_OPEN);
    assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 1);
    play.now += 31 * SECONDS;
    for (int i = 0; i < 3; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 0);
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_CLOSED);
    grant = play_pick(&play, "a");
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_successes_of_all_workers_keep_the_breaker_closed(void **state)
{
    const struct keypool_ask ask = {.model = SPAN("a")};
    const struct keypool_end good = {.outcome = outcome_row(OUTCOME_SUCCESS)};
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 1);
    play.conf.health.max_failures = 1000;
    play_apply(&play);
    for (int i = 0; i < 8; i++) {
        struct keypool_view *view = play.views[1 + i % 3];

        assert_int_equal(keypool_select(view, &ask, play.now, &grant).verdict, KEYPOOL_CHOSEN);
        keypool_end(view, &grant, &good, play.now);
    }
    for (int i = 0; i < 7; i++)
        play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_CLOSED); /* 7 of 15 */
    play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
    assert_int_equal(play_row(&play, 0).breaker, BREAKER_OPEN); /* 8 of 16 */
    play_end(&play);
}

static void test_missing_model_moves_on(void **state)
{
    struct play play;

    play_start(&play, 2);
    assert_int_equal(play_request(&play, "x", OUTCOME_MODEL_MISSING, 0), 0);
    assert_int_equal(play_request(&play, "x", OUTCOME_MODEL_MISSING, 0), 1);
    assert_int_equal(play_refused(&play, "x").verdict, KEYPOOL_NEVER);
    assert_int_equal(play_refused(&play, "x").reason, KEYPOOL_NO_MODEL);
    assert_true(play_row(&play, 0).is_healthy);
    play_request(&play, "y", OUTCOME_SUCCESS, 0);
    play.now += 601 * SECONDS;
    play_request(&play, "x", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_forbidden_key_is_set_aside(void **state)
{
    struct play play;

    play_start(&play, 2);
    assert_int_equal(play_request(&play, "a", OUTCOME_KEY_FORBIDDEN, 0), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 1);
    play_request(&play, "a", OUTCOME_KEY_FORBIDDEN, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FORBIDDEN);
    play_end(&play);
}

static void test_no_capacity_for_a_model_spares_the_keys(void **state)
{
    struct keypool_choice choice;
    struct play play;

    play_start(&play, 3);
    play_request(&play, "a", OUTCOME_NO_CAPACITY, 0);
    choice = play_refused(&play, "a");
    assert_int_equal(choice.reason, KEYPOOL_NO_CAPACITY);
    assert_in_range(choice.free_at_us, play.now + 1 * SECONDS, play.now + 1 * SECONDS + 1000);
    play_request(&play, "b", OUTCOME_SUCCESS, 0);
    play.now = choice.free_at_us;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_true(play_row(&play, 0).is_healthy);
    play_end(&play);
}

/* One bad minute of an endpoint must not take out all keys for the next one. */
static void test_a_failing_endpoint_does_not_burn_the_keys(void **state)
{
    static struct endpoint_tally tally;
    struct endpoint_health endpoint;
    struct keypool_ask ask = {.model = SPAN("a"),
                              .endpoint = &endpoint,
                              .endpoint_tally = &tally,
                              .is_last_endpoint = true};
    struct keypool_grant grant;
    struct play play;
    int cooling = 0;

    endpoint_health_init(&endpoint);
    endpoint_health_join(&endpoint, &tally);
    play_start(&play, 10);
    for (int i = 0; i < 300; i++) {
        if (play_ask(&play, &ask, &grant).verdict == KEYPOOL_CHOSEN)
            play_finish(&play, &grant, OUTCOME_SERVER_ERROR, 0);
        play.now += 100 * US_PER_MS;
    }
    for (size_t i = 0; i < 10; i++)
        cooling += play_health(&play, i) == KEY_COOLING;
    assert_int_equal(cooling, 0);
    /* It heals: three good calls, and all is as before. */
    play.now += 31 * SECONDS;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    }
    assert_int_equal(endpoint_health_state(&endpoint, play.now), BREAKER_CLOSED);
    play_end(&play);
}

static void test_declared_limits_are_never_passed(void **state)
{
    struct keypool_choice choice;
    struct play play;

    play_init(&play, 2);
    for (size_t i = 0; i < 2; i++)
        play_key(&play, i)->limits = (struct conf_limits){.rpm = 10};
    play_apply(&play);
    for (int i = 0; i < 20; i++) {
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
        play.now += US_PER_SEC;
    }
    choice = play_refused(&play, "a");
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_in_range(choice.free_at_us, 1060 * SECONDS, 1062 * SECONDS);
    play.now = choice.free_at_us;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_limits_keep_their_margin(void **state)
{
    struct play play;
    int passed = 0;

    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 100};
    play.conf.limits.margin_ppm = 200000;
    play_apply(&play);
    for (; passed < 80; passed++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_keys_of_an_account_share_declared_limits(void **state)
{
    struct play play;

    play_init(&play, 2);
    for (size_t i = 0; i < 2; i++) {
        play_key(&play, i)->account = SPAN("org-1");
        play_key(&play, i)->limits = (struct conf_limits){.rpm = 10};
    }
    play_apply(&play);
    for (int i = 0; i < 10; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_large_requests_do_not_bar_small_ones(void **state)
{
    struct keypool_ask large = {.model = SPAN("a"), .tokens = 900};
    struct keypool_ask small = {.model = SPAN("a"), .tokens = 10};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS)};
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 3);
    for (size_t i = 0; i < 3; i++)
        play_key(&play, i)->limits = (struct conf_limits){.tpm = 1000};
    play_apply(&play);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(play_ask(&play, &large, &grant).verdict, KEYPOOL_CHOSEN);
        keypool_end(play.views[0], &grant, &end, play.now);
    }
    for (int i = 0; i < 30; i++) {
        assert_int_equal(play_ask(&play, &large, &grant).reason, KEYPOOL_AT_LIMIT);
        assert_int_equal(play_ask(&play, &small, &grant).verdict, KEYPOOL_CHOSEN);
        keypool_end(play.views[0], &grant, &end, play.now);
    }
    assert_int_equal(play_ask(&play, &small, &grant).reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_concurrency_frees_a_place_for_who_waits(void **state)
{
    struct keypool_grant grants[2], third;
    struct play play;

    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.concurrent = 2};
    play_apply(&play);
    grants[0] = play_pick(&play, "a");
    grants[1] = play_pick(&play, "a");
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FULL);
    play_finish(&play, &grants[0], OUTCOME_SUCCESS, 0);
    assert_int_equal(play.effect.wakes, 1);
    third = play_pick(&play, "a");
    play_finish(&play, &grants[1], OUTCOME_SUCCESS, 0);
    play.effect = keypool_cancel(play.views[0], &third, play.now);
    assert_int_equal(play.effect.wakes, 0);
    assert_int_equal(play_row(&play, 0).requests, 2);
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
        cmocka_unit_test(test_failures_in_a_row_cool),
        cmocka_unit_test(test_stale_failures_are_forgotten),
        cmocka_unit_test(test_the_last_way_stays_open),
        cmocka_unit_test(test_the_last_way_is_no_way_around_limits),
        cmocka_unit_test(test_key_breaker_opens_and_closes),
        cmocka_unit_test(test_successes_of_all_workers_keep_the_breaker_closed),
        cmocka_unit_test(test_missing_model_moves_on),
        cmocka_unit_test(test_forbidden_key_is_set_aside),
        cmocka_unit_test(test_no_capacity_for_a_model_spares_the_keys),
        cmocka_unit_test(test_a_failing_endpoint_does_not_burn_the_keys),
        cmocka_unit_test(test_declared_limits_are_never_passed),
        cmocka_unit_test(test_limits_keep_their_margin),
        cmocka_unit_test(test_keys_of_an_account_share_declared_limits),
        cmocka_unit_test(test_large_requests_do_not_bar_small_ones),
        cmocka_unit_test(test_concurrency_frees_a_place_for_who_waits),
        cmocka_unit_test(test_operator_decides),
        cmocka_unit_test(test_expired_key_is_not_used),
        cmocka_unit_test(test_five_keys_four_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
