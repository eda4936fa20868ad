/* What failures do: keys that cool, breakers that open, models that are missing; and the last way,
 * which stays open. */
#include "pool_play.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
