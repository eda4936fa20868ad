/* Endpoints: the breaker, the gate of one that refuses connections, the rest that it asks for; and
 * when keys are probed. */
#include "pool_play.h"

static const uint64_t start = 1000 * SECONDS;
static const struct breaker_settings settings = {5, 500000, 10 * SECONDS, 30 * SECONDS, 3};

struct site {
    struct endpoint_health endpoint;
    struct endpoint_tally tally;
};

static void open_site(struct site *site)
{
    endpoint_health_init(&site->endpoint);
    endpoint_health_join(&site->endpoint, &site->tally);
}

static bool enter(struct site *site, bool is_last, uint64_t now, struct endpoint_pass *pass)
{
    uint64_t free_at = 0;
    enum endpoint_verdict verdict =
        endpoint_health_enter(&site->endpoint, &settings, is_last, now, pass, &free_at);

    if (verdict != ENDPOINT_PASS)
        assert_true(free_at > now);
    return verdict == ENDPOINT_PASS;
}

static void call(struct site *site, enum breaker_result result, uint64_t now)
{
    struct endpoint_pass pass;

    assert_true(enter(site, true, now, &pass));
    endpoint_health_leave(&site->endpoint, &settings, &site->tally, &pass, result, now);
}

static void test_breaker_counts_successes_too(void **state)
{
    struct site site;

    open_site(&site);
    for (int i = 0; i < 6; i++)
        call(&site, BREAKER_GOOD, start);
    for (int i = 0; i < 5; i++)
        call(&site, BREAKER_BAD, start);
    assert_int_equal(endpoint_health_state(&site.endpoint, start), BREAKER_CLOSED);
    call(&site, BREAKER_BAD, start);
    assert_int_equal(endpoint_health_state(&site.endpoint, start), BREAKER_OPEN);
}

/* The only endpoint refuses connections: one try every 100 ms, and the first that comes about opens
 * it for all. */
static void test_refused_connections_are_tried_ten_times_a_second(void **state)
{
    struct endpoint_pass pass;
    struct site site;
    uint64_t now = start;
    int tries = 0;

    open_site(&site);
    for (; now < start + 2 * SECONDS; now += US_PER_MS) {
        for (int waiting = 0; waiting < 20; waiting++) {
            if (!enter(&site, true, now, &pass))
                continue;
            tries++;
            endpoint_health_leave(&site.endpoint, &settings, &site.tally, &pass, BREAKER_BAD, now);
            endpoint_health_refused(&site.endpoint, now);
        }
    }
    assert_in_range(tries, 20, 21);
    assert_int_equal(endpoint_health_state(&site.endpoint, now), BREAKER_OPEN);
    now += 100 * US_PER_MS;
    assert_true(enter(&site, true, now, &pass));
    assert_false(enter(&site, true, now, &(struct endpoint_pass){{0}}));
    assert_true(endpoint_health_connected(&site.endpoint));
    assert_int_equal(endpoint_health_state(&site.endpoint, now), BREAKER_CLOSED);
    for (int i = 0; i < 20; i++)
        call(&site, BREAKER_GOOD, now);
    endpoint_health_leave(&site.endpoint, &settings, &site.tally, &pass, BREAKER_GOOD, now);
}

static void test_not_the_only_one_waits_for_its_breaker(void **state)
{
    struct endpoint_pass pass;
    struct site site;

    open_site(&site);
    for (int i = 0; i < 5; i++)
        call(&site, BREAKER_BAD, start);
    assert_false(enter(&site, false, start + 10 * SECONDS, &pass));
    assert_true(enter(&site, true, start + 10 * SECONDS, &pass));
    endpoint_health_leave(&site.endpoint, &settings, &site.tally, &pass, BREAKER_NEUTRAL, start);
}

static void test_a_connect_does_not_excuse_server_errors(void **state)
{
    struct site site;

    open_site(&site);
    for (int i = 0; i < 5; i++)
        call(&site, BREAKER_BAD, start);
    assert_false(endpoint_health_connected(&site.endpoint));
    assert_int_equal(endpoint_health_state(&site.endpoint, start), BREAKER_OPEN);
    assert_true(endpoint_health_probed(&site.endpoint));
    assert_int_equal(endpoint_health_state(&site.endpoint, start), BREAKER_CLOSED);
}

static void test_rest_is_kept(void **state)
{
    struct endpoint_pass pass;
    struct site site;
    uint64_t free_at;

    open_site(&site);
    endpoint_health_rest(&site.endpoint, start + 5 * SECONDS);
    endpoint_health_rest(&site.endpoint, start + 2 * SECONDS);
    assert_int_equal(endpoint_health_look(&site.endpoint, &settings, true, start, &free_at),
                     ENDPOINT_RESTING);
    assert_int_equal(free_at, start + 5 * SECONDS);
    assert_true(enter(&site, false, start + 5 * SECONDS, &pass));
    endpoint_health_leave(&site.endpoint, &settings, &site.tally, &pass, BREAKER_GOOD, start);
}

static void test_select_asks_the_endpoint(void **state)
{
    struct keypool_ask ask = {.model = SPAN("a"), .is_last_endpoint = true};
    struct keypool_end end = {.outcome = outcome_row(OUTCOME_CONNECT_FAILED)};
    struct keypool_grant grant;
    struct keypool_choice choice;
    struct site site;
    struct play play;

    open_site(&site);
    play_start(&play, 2);
    ask.endpoint = &site.endpoint;
    ask.endpoint_tally = &site.tally;
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    keypool_end(play.views[0], &grant, &end, play.now);
    choice = play_ask(&play, &ask, &grant);
    assert_int_equal(choice.reason, KEYPOOL_ENDPOINT_OPEN);
    assert_int_equal(choice.free_at_us, play.now + 100 * US_PER_MS);
    play.now = choice.free_at_us;
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    assert_true(endpoint_health_connected(&site.endpoint));
    end.outcome = outcome_row(OUTCOME_ENDPOINT_LIMITED);
    end.hint_us = 7 * SECONDS;
    keypool_end(play.views[0], &grant, &end, play.now);
    choice = play_ask(&play, &ask, &grant);
    assert_int_equal(choice.reason, KEYPOOL_ENDPOINT_RESTING);
    assert_in_range(choice.free_at_us, play.now + 7 * SECONDS, play.now + 7 * SECONDS + 1000);
    assert_true(play_row(&play, 0).is_healthy); /* an IP-wide refusal burns no key */
    play_end(&play);
}

/* ---- probes ---- */

static void test_statuses_of_probes(void **state)
{
    assert_int_equal(probe_result_of_status(200), PROBE_KNOWN);
    assert_int_equal(probe_result_of_status(403), PROBE_KNOWN);
    assert_int_equal(probe_result_of_status(404), PROBE_KNOWN);
    assert_int_equal(probe_result_of_status(405), PROBE_KNOWN);
    assert_int_equal(probe_result_of_status(401), PROBE_REFUSED);
    assert_int_equal(probe_result_of_status(500), PROBE_SILENT);
    assert_int_equal(probe_result_of_status(302), PROBE_SILENT);
    assert_int_equal(probe_result_of_status(0), PROBE_SILENT);
    assert_true(probe_shows_endpoint(401));
    assert_false(probe_shows_endpoint(503));
    assert_false(probe_shows_endpoint(0));
}

static void start_validating(struct play *play, size_t keys)
{
    play_init(play, keys);
    play->conf.health.validate_new = true;
    play_apply(play);
}

/* The next probe, as soon as it is due: how long after the start. */
static uint64_t next_probe(struct play *play, enum probe_result result)
{
    uint64_t next;
    struct key *key = keypool_probe_take(play->pool, play->now, &next);

    for (int i = 0; i < 10 && !key; i++) {
        play->now = next;
        key = keypool_probe_take(play->pool, play->now, &next);
    }
    assert_non_null(key);
    keypool_probe_end(play->pool, &key, result, play->now);
    return play->now - start;
}

static void test_new_key_waits_for_its_probe(void **state)
{
    struct play play;
    struct keypool_choice choice;

    start_validating(&play, 1);
    choice = play_refused(&play, "a");
    assert_int_equal(choice.verdict, KEYPOOL_LATER);
    assert_int_equal(choice.reason, KEYPOOL_VALIDATING);
    assert_false(keypool_is_settled(play.pool));
    assert_int_equal(next_probe(&play, PROBE_KNOWN), 0);
    assert_true(keypool_is_settled(play.pool));
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_silent_probes_lead_to_a_trial(void **state)
{
    static const uint64_t seconds[] = {0, 1, 2, 4, 8, 16, 46, 76};
    struct play play;

    start_validating(&play, 1);
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        assert_int_equal(play_health(&play, 0), i < 3 ? KEY_NEW : KEY_TRIAL);
        assert_int_equal(next_probe(&play, PROBE_SILENT), seconds[i] * SECONDS);
    }
    assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 0);
    assert_int_equal(play_health(&play, 0), KEY_HEALTHY);
    play_end(&play);
}

static void test_refused_new_key_is_invalid(void **state)
{
    struct play play;

    start_validating(&play, 1);
    next_probe(&play, PROBE_REFUSED);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_INVALID);
    assert_int_equal(next_probe(&play, PROBE_REFUSED), 30 * SECONDS);
    assert_int_equal(next_probe(&play, PROBE_KNOWN), 60 * SECONDS);
    assert_int_equal(play_health(&play, 0), KEY_HEALTHY);
    play_end(&play);
}

static void test_quiet_keys_are_looked_at_and_busy_ones_are_not(void **state)
{
    struct play play;
    uint64_t next;

    play_start(&play, 2);
    for (int i = 0; i < 200; i++) {
        play.now += SECONDS;
        while (play_request(&play, "a", OUTCOME_SUCCESS, 0) != 0)
            continue;
        assert_null(keypool_probe_take(play.pool, play.now, &next));
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    }
    assert_in_range(next_probe(&play, PROBE_KNOWN), 200 * SECONDS, 262 * SECONDS);
    play_end(&play);
}

static void test_disabled_and_benched_keys_are_left_alone(void **state)
{
    struct play play;
    struct key *key;
    uint64_t next;

    play_start(&play, 2);
    key = keypool_find_key(play.pool, SPAN("k0"));
    keypool_wish(play.pool, key, KEY_DISABLED, play.now);
    key_unref(&key);
    play_request(&play, "a", OUTCOME_DEPLETED, 0);
    for (int i = 0; i < 500; i++) {
        play.now += SECONDS;
        assert_null(keypool_probe_take(play.pool, play.now, &next));
        assert_true(next > play.now);
    }
    play_end(&play);
}

static void test_open_endpoints_are_probed(void **state)
{
    assert_int_equal(probe_plan_endpoint(false, 0, 30 * SECONDS), PROBE_NEVER);
    assert_int_equal(probe_plan_endpoint(true, start, 30 * SECONDS), start + 30 * SECONDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker_counts_successes_too),
        cmocka_unit_test(test_refused_connections_are_tried_ten_times_a_second),
        cmocka_unit_test(test_not_the_only_one_waits_for_its_breaker),
        cmocka_unit_test(test_a_connect_does_not_excuse_server_errors),
        cmocka_unit_test(test_rest_is_kept),
        cmocka_unit_test(test_select_asks_the_endpoint),
        cmocka_unit_test(test_statuses_of_probes),
        cmocka_unit_test(test_new_key_waits_for_its_probe),
        cmocka_unit_test(test_silent_probes_lead_to_a_trial),
        cmocka_unit_test(test_refused_new_key_is_invalid),
        cmocka_unit_test(test_quiet_keys_are_looked_at_and_busy_ones_are_not),
        cmocka_unit_test(test_disabled_and_benched_keys_are_left_alone),
        cmocka_unit_test(test_open_endpoints_are_probed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
