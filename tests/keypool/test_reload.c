/* A pool through changes of the configuration: what stays, what goes, what runs on. */
#include "base/alloc.h"
#include "pool_play.h"

static void test_state_stays_with_the_secret(void **state)
{
    struct play play;

    play_start(&play, 3);
    play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    /* k0 is found again under another name and in another place; k1 is gone; k3 is new. */
    play_declare(&play, 0, 3);
    play_declare(&play, 1, 2);
    play_declare(&play, 2, 0);
    play_key(&play, 2)->name = SPAN("k9");
    play_apply(&play);
    assert_int_equal(play_health(&play, 9), KEY_INVALID);
    assert_int_equal(play_row(&play, 9).requests, 1);
    assert_int_equal(play_health(&play, 3), KEY_TRIAL);
    for (int i = 0; i < 6; i++)
        assert_in_range(play_request(&play, "a", OUTCOME_SUCCESS, 0), 2, 3);
    play_end(&play);
}

static void test_what_runs_on_a_removed_key_ends_in_peace(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 2);
    grant = play_pick(&play, "a");
    assert_int_equal(play_id(&grant), 0);
    play_declare(&play, 0, 1);
    play.conf.keys.count = 1;
    play_apply(&play);
    for (int i = 0; i < 3; i++)
        assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 1);
    assert_int_equal(play_id(&grant), 0); /* still there to be read */
    play_finish(&play, &grant, OUTCOME_INVALID_KEY, 0);
    assert_int_equal(play_request(&play, "a", OUTCOME_SUCCESS, 0), 1);
    play_end(&play);
}

static void test_operator_weight_stays_unless_the_file_changes(void **state)
{
    struct play play;
    struct key *key;

    play_start(&play, 1);
    key = keypool_find_key(play.pool, SPAN("k0"));
    keypool_weigh(play.pool, key, 250);
    key_unref(&key);
    play_apply(&play);
    assert_int_equal(play_row(&play, 0).weight_milli, 250);
    play_key(&play, 0)->weight = 7;
    play_apply(&play);
    assert_int_equal(play_row(&play, 0).weight_milli, 7000);
    play_end(&play);
}

static void test_windows_stay_and_limits_change(void **state)
{
    struct play play;

    play_init(&play, 1);
    play_key(&play, 0)->limits.rpm = 5;
    play_apply(&play);
    for (int i = 0; i < 5; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_apply(&play);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_key(&play, 0)->limits.rpm = 6;
    play_apply(&play);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_key(&play, 0)->limits.rpm = 0;
    play_apply(&play);
    for (int i = 0; i < 20; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* A key that comes to an account, leaves it or changes it has used what it has used. */
static void test_windows_go_with_the_key(void **state)
{
    static const struct span homes[] = {
        {"org-1", 5}, {NULL, 0}, {"org-2", 5}, {"org-3", 5}, {NULL, 0}};
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 60, .tpm = 6000};
    play_apply(&play);
    for (int i = 0; i < 60; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
        play.now += SECONDS;
        play_key(&play, 0)->account = homes[i];
        play_apply(&play);
        assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    }
    /* And not for longer than the minute. */
    play.now += 58 * SECONDS;
    for (int i = 0; i < 60; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* Keys that turn out to be of one account have used its limit together; and each of them that
 * leaves is taken to have used all of it. */
static void test_windows_of_one_account_add_up(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 3);
    for (size_t i = 0; i < 3; i++)
        play_key(&play, i)->limits = (struct conf_limits){.rpm = 60};
    play_apply(&play);
    for (int i = 0; i < 60; i++)
        play_request(&play, "a", OUTCOME_SUCCESS, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(play_row(&play, i).limits[0].remaining, 40);
        play_key(&play, i)->account = SPAN("org-1");
    }
    play_apply(&play);
    assert_int_equal(play_row(&play, 0).limits[0].remaining, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_key(&play, 2)->account = SPAN("org-2");
    play_apply(&play);
    assert_int_equal(play_row(&play, 2).limits[0].remaining, 0);
    play_end(&play);
}

static void test_one_secret_twice_is_one_key(void **state)
{
    struct play play;
    struct keypool_totals totals;

    play_init(&play, 3);
    play_declare(&play, 1, 0);
    play_apply(&play);
    totals = keypool_totals(play.pool, play.now);
    assert_int_equal(totals.keys, 2);
    play_apply(&play);
    assert_int_equal(keypool_totals(play.pool, play.now).keys, 2);
    play_end(&play);
}

static void test_places_are_used_again(void **state)
{
    struct play play;

    play_start(&play, 100);
    for (size_t round = 1; round < 40; round++) {
        for (size_t i = 0; i < 100; i++)
            play_declare(&play, i, round * 1000 + i);
        play_apply(&play);
        for (int i = 0; i < 5; i++)
            assert_true(play_request(&play, "a", OUTCOME_SUCCESS, 0) >= round * 1000);
        for (uint32_t i = 1; i < PLAY_WORKERS; i++) {
            const struct keypool_ask ask = {.model = SPAN("a")};
            struct keypool_grant grant;

            assert_int_equal(keypool_select(play.views[i], &ask, play.now, &grant).verdict,
                             KEYPOOL_CHOSEN);
            keypool_cancel(play.views[i], &grant, play.now);
        }
    }
    play_end(&play);
}

static void test_too_many_keys_change_nothing(void **state)
{
    struct play play;

    play_start(&play, 2);
    play.conf.keys.count = KEYPOOL_MAX_KEYS + 1;
    assert_int_equal(keypool_apply(play.pool, &play.conf, NULL, play.now, play_wall), ERR_FULL);
    assert_int_equal(keypool_totals(play.pool, play.now).keys, 2);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* Whichever allocation fails, the pool is as it was, and the next reload works. (Needs the build
 * option `faults`; else it passes trivially.) */
static void test_no_memory_changes_nothing(void **state)
{
    struct play play;

    play_start(&play, 3);
    play_request(&play, "a", OUTCOME_INVALID_KEY, 0);
    for (long after = 0; after < 200; after++) {
        int err;

        for (size_t i = 0; i < 6; i++)
            play_declare(&play, i, i < 2 ? i : 10 + i);
        play_key(&play, 1)->account = SPAN("org");
        play_key(&play, 3)->limits.rpm = 9;
        play.conf.keys.count = 6;
        mem_fail_after(after);
        err = keypool_apply(play.pool, &play.conf, NULL, play.now, play_wall);
        mem_fail_after(-1);
        if (err) {
            assert_int_equal(err, ERR_NOMEM);
            assert_int_equal(keypool_totals(play.pool, play.now).keys, 3);
        } else {
            assert_int_equal(keypool_totals(play.pool, play.now).keys, 6);
            play_end(&play);
            return;
        }
        mem_fail_after(after % 7);
        {
            const struct keypool_ask ask = {.model = SPAN("a")};
            struct keypool_grant grant;

            if (keypool_select(play.views[1], &ask, play.now, &grant).verdict == KEYPOOL_CHOSEN)
                keypool_cancel(play.views[1], &grant, play.now);
        }
        mem_fail_after(-1);
    }
    fail_msg("never succeeded");
}

static void count_requests(struct play *play, size_t requests, size_t counts[5])
{
    memset(counts, 0, 5 * sizeof(*counts));
    for (size_t i = 0; i < requests; i++)
        counts[play_request(play, "a", OUTCOME_SUCCESS, 0)]++;
}

static void expect_even(const size_t counts[5], size_t least, size_t most)
{
    for (size_t i = 0; i < 5; i++)
        assert_in_range(counts[i], least, most);
}

static const enum conf_selection by_turns[] = {
    CONF_SELECTION_ROUND_ROBIN, CONF_SELECTION_WEIGHTED, CONF_SELECTION_LEAST_USED,
    CONF_SELECTION_HEADROOM,    CONF_SELECTION_STICKY,
};

/* Who comes has its share, and not all the turns that the others have had before it. */
static void test_a_new_key_has_missed_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_turns) / sizeof(by_turns[0]); i++) {
        struct play play;
        size_t counts[5];

        play_init(&play, 4);
        play.conf.selection = by_turns[i];
        play_apply(&play);
        count_requests(&play, 400, counts);
        play_declare(&play, 4, 4);
        play.conf.keys.count = 5;
        play_apply(&play);
        count_requests(&play, 50, counts);
        expect_even(counts, 9, 11);
        play_end(&play);
    }
}

/* Nor has one that rested meanwhile, though the configuration is loaded anew before it is back. */
static void test_a_rest_before_a_reload_is_no_claim(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_turns) / sizeof(by_turns[0]); i++) {
        struct play play;
        size_t counts[5], rested;

        play_init(&play, 5);
        play.conf.selection = by_turns[i];
        play_apply(&play);
        rested = play_request(&play, "a", OUTCOME_RATE_LIMITED, 60 * SECONDS);
        count_requests(&play, 400, counts);
        assert_int_equal(counts[rested], 0);
        play_apply(&play);
        play.now += 61 * SECONDS;
        count_requests(&play, 50, counts);
        expect_even(counts, 8, 11);
        play_end(&play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_stays_with_the_secret),
        cmocka_unit_test(test_what_runs_on_a_removed_key_ends_in_peace),
        cmocka_unit_test(test_operator_weight_stays_unless_the_file_changes),
        cmocka_unit_test(test_windows_stay_and_limits_change),
        cmocka_unit_test(test_windows_go_with_the_key),
        cmocka_unit_test(test_windows_of_one_account_add_up),
        cmocka_unit_test(test_one_secret_twice_is_one_key),
        cmocka_unit_test(test_places_are_used_again),
        cmocka_unit_test(test_too_many_keys_change_nothing),
        cmocka_unit_test(test_no_memory_changes_nothing),
        cmocka_unit_test(test_a_new_key_has_missed_nothing),
        cmocka_unit_test(test_a_rest_before_a_reload_is_no_claim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
