/* Who gets the canary: its share, exact whatever the strategy and the load. */
#include "canary/ramp.h"
#include "canary/weights.h"
#include "trial_play.h"

#define PERCENT UINT32_C(10000)

static const enum conf_selection selections[] = {CONF_SELECTION_LEAST_USED,
                                                 CONF_SELECTION_ROUND_ROBIN,
                                                 CONF_SELECTION_WEIGHTED, CONF_SELECTION_PRIORITY};

enum { SELECTIONS = 4, CONCURRENCY_MAX = 100, ROUND = 1000 };

/* Requests on one worker, `concurrency` under way at a time, each as long as chance has it: how
 * many of them were the canary's. */
static size_t run_round(struct trial_play *stage, struct rand *rand, size_t concurrency)
{
    struct keypool_grant grants[CONCURRENCY_MAX];
    size_t count = 0, under_way = 0;

    for (size_t i = 0; i < ROUND; i++) {
        if (under_way == concurrency) {
            size_t at = rand_below(rand, under_way);

            play_finish(&stage->play, &grants[at], OUTCOME_SUCCESS, 0);
            grants[at] = grants[--under_way];
        }
        grants[under_way] = play_pick(&stage->play, "m");
        count += play_id(&grants[under_way++]) == stage->canary;
        stage->play.now += rand_below(rand, 20 * US_PER_MS);
    }
    while (under_way > 0)
        play_finish(&stage->play, &grants[--under_way], OUTCOME_SUCCESS, 0);
    return count;
}

/* A whole ramp from 10% to 100% of the predecessor's place, k0. */
static void ramp(enum conf_selection selection, size_t olds, size_t concurrency)
{
    struct trial_play stage;
    struct rand rand;

    memset(&stage, 0, sizeof(stage));
    rand_init(&rand, olds * 1000 + concurrency);
    play_init(&stage.play, olds + 1);
    stage.play.conf.selection = selection;
    play_apply(&stage.play);
    stage.canary = olds;
    trial_start(&stage, 0);
    for (uint32_t step = 1; step <= 10; step++) {
        struct canary_weights weights =
            canary_weigh(step * 10 * PERCENT, 1000, (olds - 1) * 1000, true);
        size_t wanted = (size_t)((double)weights.pool_ppm * ROUND / RAMP_WHOLE_PPM + 0.5), count;

        keypool_trial_set_share(stage.trial, weights.pool_ppm);
        trial_weigh(&stage, stage.canary, weights.canary_milli);
        trial_weigh(&stage, 0, weights.predecessor_milli);
        count = run_round(&stage, &rand, concurrency);
        if (count + 1 < wanted || count > wanted + 1)
            fail_msg("selection %d, %zu old keys, %zu at a time: %zu picks of %d, wanted %zu",
                     (int)selection, olds, concurrency, count, ROUND, wanted);
    }
    trial_end(&stage);
}

static void test_the_share_is_exact(void **state)
{
    static const size_t concurrencies[] = {1, 10, CONCURRENCY_MAX};

    for (size_t i = 0; i < SELECTIONS; i++) {
        for (size_t k = 0; k < 3; k++) {
            ramp(selections[i], 1, concurrencies[k]);
            ramp(selections[i], 3, concurrencies[k]);
        }
    }
}

/* Each of many workers has few requests; together they give the share all the same. */
static void test_many_workers_with_few_requests(void **state)
{
    size_t count = 0;

    for (uint64_t seed = 0; seed < 500; seed++) {
        struct keypool_view *view;
        struct trial_play stage;

        trial_begin(&stage, 1, 10 * PERCENT);
        keypool_view_free(&stage.play.views[0]);
        view = stage.play.views[0] = keypool_view_new(stage.play.pool, 0, seed);
        assert_non_null(view);
        count += trial_count(&stage, 4);
        trial_end(&stage);
    }
    assert_in_range(count, 160, 240); /* of 2000 */
}

/* Requests with a rhythm: the canary does not get one sort only. */
static void test_no_rhythm_is_met(void **state)
{
    struct trial_play stage;
    size_t heavy = 0, light = 0;

    trial_begin(&stage, 1, 50 * PERCENT);
    for (int i = 0; i < 2000; i++) {
        heavy += play_request(&stage.play, "heavy", OUTCOME_SUCCESS, 0) == stage.canary;
        light += play_request(&stage.play, "light", OUTCOME_SUCCESS, 0) == stage.canary;
    }
    assert_in_range(heavy + light, 1999, 2001);
    assert_in_range(heavy, 900, 1100);
    trial_end(&stage);
}

static void test_before_better_keys_it_takes_no_turns(void **state)
{
    for (size_t i = 0; i < SELECTIONS; i++) {
        struct trial_play stage;

        memset(&stage, 0, sizeof(stage));
        play_init(&stage.play, 3);
        stage.play.conf.selection = selections[i];
        play_key(&stage.play, 1)->priority = 1;
        play_key(&stage.play, 2)->priority = 1;
        play_apply(&stage.play);
        stage.canary = 2;
        trial_start(&stage, 50 * PERCENT);
        assert_int_equal(trial_count(&stage, 100), 0);
        trial_wish(&stage, 0, KEY_DRAINED);
        assert_in_range(trial_count(&stage, 100), 49, 51);
        trial_end(&stage);
    }
}

/* It shares in the requests that it could serve, and only in those. */
static void test_other_models_are_not_its_concern(void **state)
{
    struct span models[] = {SPAN("m")};
    struct trial_play stage;

    memset(&stage, 0, sizeof(stage));
    play_init(&stage.play, 2);
    play_key(&stage.play, 1)->models = (struct conf_strings){models, 1};
    play_apply(&stage.play);
    stage.canary = 1;
    trial_start(&stage, 50 * PERCENT);
    for (int i = 0; i < 100; i++)
        assert_int_equal(play_request(&stage.play, "x", OUTCOME_SUCCESS, 0), 0);
    assert_in_range(trial_count(&stage, 100), 49, 51);
    trial_end(&stage);
}

static void test_besides_its_turns_it_is_a_standby(void **state)
{
    for (size_t i = 0; i < SELECTIONS; i++) {
        struct trial_play stage;

        memset(&stage, 0, sizeof(stage));
        play_init(&stage.play, 3);
        stage.play.conf.selection = selections[i];
        play_key(&stage.play, 2)->priority = -1; /* the best, were it not on trial */
        play_key(&stage.play, 1)->priority = 1;
        play_apply(&stage.play);
        stage.canary = 2;
        trial_start(&stage, 0);
        assert_int_equal(trial_count(&stage, 50), 0);
        play_request(&stage.play, "m", OUTCOME_INVALID_KEY, 0);
        assert_int_equal(trial_count(&stage, 50), 0);
        play_request(&stage.play, "m", OUTCOME_INVALID_KEY, 0);
        assert_int_equal(trial_count(&stage, 50), 50);
        trial_end(&stage);
    }
}

/* Turns that it missed do not add up to a burst, nor do those that it took for others keep it
 * away. */
static void test_missed_turns_are_missed(void **state)
{
    struct trial_play stage;

    trial_begin(&stage, 1, 10 * PERCENT);
    trial_wish(&stage, 1, KEY_DISABLED);
    assert_int_equal(trial_count(&stage, 1000), 0);
    trial_wish(&stage, 1, KEY_ENABLED);
    assert_in_range(trial_count(&stage, 10), 1, 2);
    trial_wish(&stage, 0, KEY_DISABLED);
    assert_int_equal(trial_count(&stage, 1000), 1000);
    trial_wish(&stage, 0, KEY_ENABLED);
    assert_in_range(trial_count(&stage, 100), 7, 11);
    trial_end(&stage);
}

static void test_after_the_trial_weights_count(void **state)
{
    struct trial_play stage;

    memset(&stage, 0, sizeof(stage));
    play_init(&stage.play, 2);
    stage.play.conf.selection = CONF_SELECTION_WEIGHTED;
    play_apply(&stage.play);
    stage.canary = 1;
    trial_weigh(&stage, 1, 3000);
    trial_start(&stage, 10 * PERCENT);
    assert_in_range(trial_count(&stage, 1000), 99, 101);
    keypool_trial_set_share(stage.trial, 30 * PERCENT);
    assert_in_range(trial_count(&stage, 1000), 299, 301);
    keypool_trial_set_share(stage.trial, UINT32_MAX);
    assert_int_equal(trial_count(&stage, 1000), 1000);
    keypool_trial_end(&stage.trial, NULL);
    assert_in_range(trial_count(&stage, 1000), 749, 751);
    play_end(&stage.play);
}

/* A request that was never sent is no turn taken. */
static void test_a_cancelled_turn_is_given_back(void **state)
{
    struct trial_play stage;
    size_t count = 0;

    trial_begin(&stage, 1, 20 * PERCENT);
    for (int i = 0; i < 1000; i++) {
        struct keypool_grant grant = play_pick(&stage.play, "m");

        if (play_id(&grant) == stage.canary) {
            keypool_cancel(stage.play.views[0], &grant, stage.play.now);
            grant = play_pick(&stage.play, "m"); /* its turn still */
            assert_int_equal(play_id(&grant), stage.canary);
            count++;
        }
        play_finish(&stage.play, &grant, OUTCOME_SUCCESS, 0);
    }
    assert_true(count > 150);
    trial_end(&stage);
}

/* It leaves the pool while its trial goes on. */
static void test_a_canary_that_is_gone(void **state)
{
    struct trial_play stage;

    trial_begin(&stage, 2, 50 * PERCENT);
    assert_in_range(trial_count(&stage, 100), 49, 51);
    stage.play.conf.keys.count = 2;
    play_apply(&stage.play);
    assert_int_equal(trial_count(&stage, 100), 0);
    trial_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_share_is_exact),
        cmocka_unit_test(test_many_workers_with_few_requests),
        cmocka_unit_test(test_no_rhythm_is_met),
        cmocka_unit_test(test_before_better_keys_it_takes_no_turns),
        cmocka_unit_test(test_other_models_are_not_its_concern),
        cmocka_unit_test(test_besides_its_turns_it_is_a_standby),
        cmocka_unit_test(test_missed_turns_are_missed),
        cmocka_unit_test(test_after_the_trial_weights_count),
        cmocka_unit_test(test_a_cancelled_turn_is_given_back),
        cmocka_unit_test(test_a_canary_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
