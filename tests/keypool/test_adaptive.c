/* `adaptive`: a limit of a key, or an account, that is found by trying. */
#include "pool_play.h"

static struct conf_adaptive usual = {
    .initial_rpm = 60, .min_rpm = 10, .max_rpm = 1000, .backoff_milli = 500, .growth_milli = 1100};

static void begin(struct play *play, size_t keys)
{
    play_init(play, keys);
    play->conf.adaptive = &usual;
    play_apply(play);
}

static uint64_t rpm(struct play *play, size_t id)
{
    return play_row(play, id).adaptive_rpm;
}

/* A second's worth passes; the next is told when it may, and may then. */
static void test_begins_as_it_is_told(void **state)
{
    struct keypool_choice choice;
    struct play play;

    begin(&play, 1);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    choice = play_refused(&play, "a");
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_int_equal(choice.free_at_us, play.now + US_PER_SEC);
    play.now = choice.free_at_us;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void sent(struct play *play, struct keypool_grant *grant)
{
    keypool_sent(play->views[0], grant, play->now);
}

/* A 429 that does not say when cuts the limit, and costs the key a second. */
static void test_a_429_cuts_once_for_a_burst(void **state)
{
    struct keypool_grant grants[3];
    struct play play;

    usual.initial_rpm = 600; /* ten at once */
    begin(&play, 1);
    for (int i = 0; i < 3; i++) {
        grants[i] = play_pick(&play, "a");
        sent(&play, &grants[i]);
    }
    play.now += 200 * US_PER_MS;
    for (int i = 0; i < 3; i++) {
        play_finish(&play, &grants[i], OUTCOME_RATE_LIMITED, 0);
        assert_int_equal(rpm(&play, 0), 300);
    }
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_LIMITED);
    play.now += US_PER_SEC + 2;
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    /* A provider that says when is obeyed. */
    grants[0] = play_pick(&play, "a");
    sent(&play, &grants[0]);
    play_finish(&play, &grants[0], OUTCOME_RATE_LIMITED, 20 * US_PER_SEC);
    assert_int_equal(rpm(&play, 0), 150);
    assert_true(play_refused(&play, "a").free_at_us >= play.now + 20 * US_PER_SEC);
    play_end(&play);
    usual.initial_rpm = 60;
}

/* Other failures say nothing of a limit. */
static void test_only_429s_cut(void **state)
{
    struct play play;

    begin(&play, 1);
    play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
    assert_int_equal(rpm(&play, 0), 60);
    play_end(&play);
}

static void test_keys_of_an_account_share_it(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 2);
    for (size_t i = 0; i < 2; i++)
        play_key(&play, i)->account = SPAN("org-1");
    play.conf.adaptive = &usual;
    play_apply(&play);
    grant = play_pick(&play, "a");
    sent(&play, &grant);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_finish(&play, &grant, OUTCOME_RATE_LIMITED, 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(rpm(&play, i), 30);
    play_end(&play);
}

/* The least of what is declared and what was found holds. */
static void test_declared_limits_hold_beside_it(void **state)
{
    struct play play;

    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 3};
    play.conf.adaptive = &usual;
    play_apply(&play);
    for (int i = 0; i < 3; i++) {
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
        play.now += 2 * US_PER_SEC;
    }
    assert_true(play_refused(&play, "a").free_at_us > play.now + 50 * US_PER_SEC);
    play_end(&play);
}

/* A grant that was never used gives its place back. */
static void test_cancelled_grants_count_nothing(void **state)
{
    struct keypool_grant grant;
    struct play play;

    begin(&play, 1);
    for (int i = 0; i < 20; i++) {
        grant = play_pick(&play, "a");
        keypool_cancel(play.views[0], &grant, play.now);
    }
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_a_reload_keeps_what_was_found(void **state)
{
    struct keypool_grant grant;
    struct play play;

    begin(&play, 1);
    grant = play_pick(&play, "a");
    sent(&play, &grant);
    play_finish(&play, &grant, OUTCOME_RATE_LIMITED, 0);
    play_apply(&play);
    assert_int_equal(rpm(&play, 0), 30);
    play.conf.adaptive = NULL;
    play_apply(&play);
    assert_int_equal(rpm(&play, 0), 0);
    play.now += 2 * US_PER_SEC;
    for (int i = 0; i < 100; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* Two keys, a provider that tells nothing and lets 120 and 300 requests a minute pass: what is
 * asked beyond is refused, here and there. */
static void test_finds_what_each_key_allows(void **state)
{
    static const uint64_t limits[] = {120, 300};
    uint64_t windows[2][512] = {{0}}, counts[2] = {0}, served = 0, refused = 0;
    struct play play;
    uint64_t begun_us;

    begin(&play, 2);
    begun_us = play.now;
    while (play.now < begun_us + 1800 * US_PER_SEC) {
        struct keypool_ask ask = {.model = SPAN("a")};
        struct keypool_grant grant;
        bool is_measured = play.now > begun_us + 600 * US_PER_SEC, is_refused;
        uint64_t oldest_us, *window;
        size_t id;

        if (play_ask(&play, &ask, &grant).verdict != KEYPOOL_CHOSEN) {
            play.now += 20 * US_PER_MS;
            continue;
        }
        id = play_id(&grant);
        window = windows[id];
        oldest_us = counts[id] < limits[id] ? 0 : window[(counts[id] - limits[id]) % 512];
        is_refused = oldest_us && oldest_us + 60 * US_PER_SEC > play.now;
        sent(&play, &grant);
        if (!is_refused)
            window[counts[id]++ % 512] = play.now;
        play_finish(&play, &grant, is_refused ? OUTCOME_RATE_LIMITED : OUTCOME_SUCCESS, 0);
        served += is_measured && !is_refused;
        refused += is_measured && is_refused;
    }
    assert_true(served > (120 + 300) * 20 * 9 / 10);
    assert_true(refused < served / 100);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_as_it_is_told),
        cmocka_unit_test(test_a_429_cuts_once_for_a_burst),
        cmocka_unit_test(test_only_429s_cut),
        cmocka_unit_test(test_keys_of_an_account_share_it),
        cmocka_unit_test(test_declared_limits_hold_beside_it),
        cmocka_unit_test(test_cancelled_grants_count_nothing),
        cmocka_unit_test(test_a_reload_keeps_what_was_found),
        cmocka_unit_test(test_finds_what_each_key_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
