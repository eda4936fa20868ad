/* Declared limits of keys and accounts: never passed, and freed for who waits. */
#include "pool_play.h"

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
        keypool_sent(play.views[0], &grant, play.now);
        keypool_end(play.views[0], &grant, &end, play.now);
    }
    for (int i = 0; i < 30; i++) {
        assert_int_equal(play_ask(&play, &large, &grant).reason, KEYPOOL_AT_LIMIT);
        assert_int_equal(play_ask(&play, &small, &grant).verdict, KEYPOOL_CHOSEN);
        keypool_sent(play.views[0], &grant, play.now);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declared_limits_are_never_passed),
        cmocka_unit_test(test_limits_keep_their_margin),
        cmocka_unit_test(test_keys_of_an_account_share_declared_limits),
        cmocka_unit_test(test_large_requests_do_not_bar_small_ones),
        cmocka_unit_test(test_concurrency_frees_a_place_for_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
