/* Who gets which key: strategies, tiers, standby, models, pools, what was tried before. */
#include "pool_play.h"

static void count_picks(struct play *play, int requests, size_t counts[])
{
    for (int i = 0; i < requests; i++)
        counts[play_request(play, "m", OUTCOME_SUCCESS, 0)]++;
}

static void test_round_robin_takes_turns(void **state)
{
    struct play play;

    play_start(&play, 3);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), i % 3);
    play_end(&play);
}

static void test_weighted_shares(void **state)
{
    struct play play;
    size_t counts[3] = {0};

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_WEIGHTED;
    play_key(&play, 0)->weight = 70;
    play_key(&play, 1)->weight = 20;
    play_key(&play, 2)->weight = 10;
    play_apply(&play);
    count_picks(&play, 1000, counts);
    assert_in_range(counts[0], 699, 701);
    assert_in_range(counts[1], 199, 201);
    assert_in_range(counts[2], 99, 101);
    play_end(&play);
}

static void test_least_used_goes_where_least_is_under_way(void **state)
{
    struct keypool_grant grants[9];
    struct play play;
    size_t counts[3] = {0};

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_LEAST_USED;
    play_apply(&play);
    for (int i = 0; i < 9; i++)
        grants[i] = play_pick(&play, "m");
    for (int i = 0; i < 9; i++)
        counts[play_id(&grants[i])]++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(counts[i], 3);
    /* Whoever gets free is next, whatever its turn. */
    for (int i = 0; i < 9; i++) {
        size_t id = play_id(&grants[i]);

        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
        grants[i] = play_pick(&play, "m");
        assert_int_equal(play_id(&grants[i]), id);
    }
    for (int i = 0; i < 9; i++)
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    /* With nothing under way it takes turns. */
    memset(counts, 0, sizeof(counts));
    count_picks(&play, 300, counts);
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 99, 101);
    play_end(&play);
}

/* Models that different keys serve have each an order of its own: what is under way for one counts
 * for the other, when it begins and when it ends. */
static void test_least_used_counts_what_other_models_use(void **state)
{
    struct span both[] = {SPAN("a"), SPAN("b")};
    struct keypool_grant grants[3], grant;
    struct play play;

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_LEAST_USED;
    for (size_t i = 0; i < 2; i++)
        play_key(&play, i)->models = (struct conf_strings){both, 2};
    play_key(&play, 2)->models = (struct conf_strings){&both[1], 1};
    play_apply(&play);
    for (int i = 0; i < 30; i++)
        play_request(&play, "b", OUTCOME_SUCCESS, 0); /* its order is there, all have had turns */
    for (int i = 0; i < 2; i++)
        grants[i] = play_pick(&play, "a");
    assert_int_not_equal(play_id(&grants[0]), play_id(&grants[1]));
    grants[2] = play_pick(&play, "b");
    assert_int_equal(play_id(&grants[2]), 2);
    for (int i = 0; i < 2; i++) {
        size_t id = play_id(&grants[i]);

        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
        grant = play_pick(&play, "b");
        assert_int_equal(play_id(&grant), id);
        grants[i] = grant;
    }
    for (int i = 0; i < 3; i++)
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* The order of a model that is asked for seldom is put right only in part when it is: nobody may
 * lose turns by that, with the other model least of all. */
static void test_weighted_shares_beside_a_seldom_model(void **state)
{
    enum { HEAVY = 5, LIGHT = 2000, PICKS = 42000, SELDOM = 1000 };
    struct span both[] = {SPAN("a"), SPAN("b")};
    struct play play;
    int light = 0;

    play_init(&play, HEAVY + LIGHT + 1);
    play.conf.selection = CONF_SELECTION_WEIGHTED;
    for (size_t i = 0; i < HEAVY + LIGHT; i++) {
        play_key(&play, i)->models = (struct conf_strings){both, 2};
        play_key(&play, i)->weight = i < HEAVY ? 1000 : 1;
    }
    play_key(&play, HEAVY + LIGHT)->models = (struct conf_strings){&both[1], 1};
    play_apply(&play);
    for (int i = 0; i < PICKS; i++) {
        if (i % SELDOM == 0) {
            for (int j = 0; j < 5; j++)
                play_request(&play, "b", OUTCOME_SUCCESS, 0);
        }
        light += play_request(&play, "a", OUTCOME_SUCCESS, 0) >= HEAVY;
    }
    assert_in_range(light, PICKS * 27 / 100, PICKS * 30 / 100); /* 2,000 of 7,000 */
    play_end(&play);
}

static void test_priority_takes_the_first_usable(void **state)
{
    struct play play;

    play_init(&play, 4);
    play.conf.selection = CONF_SELECTION_PRIORITY;
    play_key(&play, 0)->priority = 5;
    play_key(&play, 1)->priority = -1;
    play_key(&play, 2)->priority = 5;
    play_key(&play, 3)->priority = -1;
    play_apply(&play);
    for (int i = 0; i < 5; i++)
        assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 1);
    play_request(&play, "m", OUTCOME_INVALID_KEY, 0);
    assert_int_equal(play_request(&play, "m", OUTCOME_INVALID_KEY, 0), 3);
    assert_int_equal(play_request(&play, "m", OUTCOME_INVALID_KEY, 0), 0);
    assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 2);
    play_end(&play);
}

static void test_tiers_hold_in_every_strategy(void **state)
{
    static const enum conf_selection all[] = {CONF_SELECTION_LEAST_USED, CONF_SELECTION_ROUND_ROBIN,
                                              CONF_SELECTION_WEIGHTED, CONF_SELECTION_PRIORITY};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct keypool_grant grants[40];
        struct play play;

        play_init(&play, 3);
        play.conf.selection = all[i];
        play_key(&play, 0)->weight = 0; /* standby, though first in the file */
        play_key(&play, 1)->priority = 7;
        play_key(&play, 1)->weight = 100;
        play_apply(&play);
        for (int k = 0; k < 40; k++) {
            grants[k] = play_pick(&play, "m");
            assert_int_equal(play_id(&grants[k]), 2);
        }
        for (int k = 0; k < 40; k++)
            play_finish(&play, &grants[k], OUTCOME_SUCCESS, 0);
        play_request(&play, "m", OUTCOME_INVALID_KEY, 0);
        assert_int_equal(play_request(&play, "m", OUTCOME_INVALID_KEY, 0), 1);
        assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 0);
        play_end(&play);
    }
}

static void test_models_and_pools(void **state)
{
    struct span chat[] = {SPAN("chat-*"), SPAN("fast")}, any[] = {SPAN("*")};
    struct keypool_ask ask = {.model = SPAN("chat-1")};
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 3);
    play_key(&play, 0)->models = (struct conf_strings){chat, 2};
    play_key(&play, 1)->models = (struct conf_strings){any, 1};
    play_key(&play, 1)->pool = SPAN("search");
    play_key(&play, 2)->models = (struct conf_strings){&chat[1], 1};
    play_apply(&play);

    for (int i = 0; i < 4; i++)
        assert_int_equal(play_request(&play, "chat-1", OUTCOME_SUCCESS, 0), 0);
    /* Turns are counted a key, whatever the model: the one that has worked waits. */
    for (int i = 0; i < 4; i++)
        assert_int_equal(play_request(&play, "fast", OUTCOME_SUCCESS, 0), 2);
    assert_int_equal(play_request(&play, "fast", OUTCOME_SUCCESS, 0), 0);
    assert_int_equal(play_refused(&play, "other").reason, KEYPOOL_NO_MODEL);
    assert_int_equal(play_refused(&play, "other").verdict, KEYPOOL_NEVER);
    /* A client of the pool has its keys and everybody's. */
    ask.pool = map_hash(SPAN("search"));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        assert_in_range(play_id(&grant), 0, 1);
        play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    }
    ask.model = SPAN("other");
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    assert_int_equal(play_id(&grant), 1);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    ask.pool = map_hash(SPAN("elsewhere"));
    assert_int_equal(play_ask(&play, &ask, &grant).reason, KEYPOOL_NO_MODEL);
    play_end(&play);
}

static void test_no_key_twice_in_one_exchange(void **state)
{
    struct keypool_tried tried = {.count = 0};
    struct keypool_ask ask = {.model = SPAN("m"), .tried = &tried};
    struct keypool_grant grant;
    struct play play;
    bool was_there[3] = {false};

    play_start(&play, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        assert_false(was_there[play_id(&grant)]);
        was_there[play_id(&grant)] = true;
        assert_true(keypool_tried_add(&tried, grant.key, true));
        assert_false(keypool_tried_add(&tried, grant.key, true));
        play_finish(&play, &grant, OUTCOME_CLIENT_GONE, 0);
    }
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_NEVER);
    assert_int_equal(play_ask(&play, &ask, &grant).reason, KEYPOOL_TRIED);
    /* Somebody else's exchange has all three. */
    for (int i = 0; i < 3; i++)
        play_request(&play, "m", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_others_are_preferred_after_a_failed_try(void **state)
{
    struct keypool_tried tried = {.count = 0};
    struct keypool_ask ask = {.model = SPAN("m"), .tried = &tried};
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        assert_int_equal(play_id(&grant), i);
        keypool_tried_add(&tried, grant.key, false);
        play_finish(&play, &grant, OUTCOME_RESET, 0);
    }
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_keys_of_one_account_count_once(void **state)
{
    struct keypool_tried tried = {.count = 0};
    struct keypool_ask ask = {.model = SPAN("m"), .tried = &tried};
    struct keypool_grant grant;
    struct play play;
    int rotations = 0;

    play_init(&play, 5);
    for (size_t i = 0; i < 4; i++)
        play_key(&play, i)->account = SPAN("org-1");
    play_apply(&play);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        rotations += keypool_tried_add(&tried, grant.key, true);
        play_finish(&play, &grant, OUTCOME_INVALID_KEY, 0);
    }
    assert_int_equal(rotations, 2);
    play_end(&play);
}

static void test_provider_without_keys(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 0);
    grant = play_pick(&play, "m");
    assert_null(keypool_line(&grant));
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_header_line_is_ready_to_send(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 1);
    grant = play_pick(&play, "m");
    assert_true(secret_is_equal(keypool_line(&grant), SPAN("Authorization: Bearer sk-0\r\n")));
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_healthy_keys_cost_no_shared_write(void **state)
{
    struct play play;

    play_start(&play, 3);
    for (int i = 0; i < 3; i++)
        play_request(&play, "m", OUTCOME_SUCCESS, 0); /* trial to healthy */
    for (int i = 0; i < 100; i++)
        play_request(&play, "m", OUTCOME_SUCCESS, 0);
    assert_int_equal(keypool_view_shared_writes(play.views[0]), 0);
    play_end(&play);
}

static void test_all_limits_cost_two(void **state)
{
    const struct keypool_ask ask = {.model = SPAN("m"), .tokens = 100};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = 150};
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 1000, .tpm = 100000, .concurrent = 9};
    play_apply(&play);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        keypool_end(play.views[0], &grant, &end, play.now);
    }
    assert_int_equal(keypool_view_shared_writes(play.views[0]), 20);
    assert_int_equal(keypool_totals(play.pool, play.now).shared_writes, 20);
    play_end(&play);
}

/* Ten thousand keys of which most are set aside for one model: found at once, and the other models
 * do not suffer. */
static void test_many_keys_set_aside_for_a_model(void **state)
{
    struct play play;
    size_t id;

    play_start(&play, 2000);
    for (int i = 0; i < 1999; i++)
        play_request(&play, "hot", OUTCOME_RATE_LIMITED, 30 * SECONDS);
    id = play_request(&play, "hot", OUTCOME_SUCCESS, 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(play_request(&play, "hot", OUTCOME_SUCCESS, 0), id);
    assert_int_equal(play_request(&play, "hot", OUTCOME_RATE_LIMITED, 20 * SECONDS), id);
    assert_int_equal(play_refused(&play, "hot").reason, KEYPOOL_LIMITED);
    assert_in_range(play_refused(&play, "hot").free_at_us, play.now + 20 * SECONDS,
                    play.now + 20 * SECONDS + 1000);
    for (int i = 0; i < 3000; i++)
        play_request(&play, "cold", OUTCOME_SUCCESS, 0);
    play.now += 21 * SECONDS;
    assert_int_equal(play_request(&play, "hot", OUTCOME_SUCCESS, 0), id);
    play.now += 20 * SECONDS;
    for (int i = 0; i < 4000; i++)
        play_request(&play, "hot", OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* A key that comes back must not get all the turns that it missed. */
static void test_no_burst_on_return(void **state)
{
    struct play play;
    size_t counts[3] = {0};

    play_start(&play, 3);
    assert_int_equal(play_request(&play, "m", OUTCOME_RATE_LIMITED, 30 * SECONDS), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 0);
    play.now += 31 * SECONDS;
    count_picks(&play, 30, counts);
    assert_in_range(counts[0], 9, 12);
    play_end(&play);
}

static void test_weights_may_change(void **state)
{
    struct play play;
    struct key *key;
    size_t counts[2] = {0};

    play_init(&play, 2);
    play.conf.selection = CONF_SELECTION_WEIGHTED;
    play_apply(&play);
    count_picks(&play, 10, counts);
    key = keypool_find_key(play.pool, SPAN("k1"));
    assert_non_null(key);
    keypool_weigh(play.pool, key, 250);
    memset(counts, 0, sizeof(counts));
    count_picks(&play, 1000, counts);
    assert_in_range(counts[1], 198, 202);
    keypool_weigh(play.pool, key, 0); /* standby */
    for (int i = 0; i < 10; i++)
        assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 0);
    key_unref(&key);
    play_end(&play);
}

static void test_turns_survive_millions(void **state)
{
    struct play play;
    size_t counts[3] = {0};

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_WEIGHTED;
    play_key(&play, 1)->weight = 2;
    play_apply(&play);
    for (int i = 0; i < 400000; i++)
        play_request(&play, "m", OUTCOME_SUCCESS, 0);
    count_picks(&play, 4000, counts);
    assert_in_range(counts[0], 999, 1001);
    assert_in_range(counts[1], 1999, 2001);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin_takes_turns),
        cmocka_unit_test(test_weighted_shares),
        cmocka_unit_test(test_least_used_goes_where_least_is_under_way),
        cmocka_unit_test(test_least_used_counts_what_other_models_use),
        cmocka_unit_test(test_weighted_shares_beside_a_seldom_model),
        cmocka_unit_test(test_priority_takes_the_first_usable),
        cmocka_unit_test(test_tiers_hold_in_every_strategy),
        cmocka_unit_test(test_models_and_pools),
        cmocka_unit_test(test_no_key_twice_in_one_exchange),
        cmocka_unit_test(test_others_are_preferred_after_a_failed_try),
        cmocka_unit_test(test_keys_of_one_account_count_once),
        cmocka_unit_test(test_provider_without_keys),
        cmocka_unit_test(test_header_line_is_ready_to_send),
        cmocka_unit_test(test_healthy_keys_cost_no_shared_write),
        cmocka_unit_test(test_all_limits_cost_two),
        cmocka_unit_test(test_many_keys_set_aside_for_a_model),
        cmocka_unit_test(test_no_burst_on_return),
        cmocka_unit_test(test_weights_may_change),
        cmocka_unit_test(test_turns_survive_millions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
