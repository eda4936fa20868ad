/* What is counted of a trial: each request once, in its arm, by what came of it. */
#include "base/alloc.h"
#include "trial_play.h"

#define HALF UINT32_C(500000)

static void expect_arm(const struct evidence_arm *arm, uint32_t requests, uint32_t failures,
                       uint32_t refused)
{
    assert_int_equal(arm->requests, requests);
    assert_int_equal(arm->failures, failures);
    assert_int_equal(arm->refused, refused);
}

static void expect_nothing_more(struct trial_play *stage)
{
    trial_take(stage);
    expect_arm(&stage->tick.canary, 0, 0, 0);
    expect_arm(&stage->tick.control, 0, 0, 0);
}

/* Every outcome there is, in both arms: as its row says. */
static void test_every_outcome(void **state)
{
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        enum outcome_trial meaning = outcome_row((enum outcome)outcome)->trial;
        bool is_failure = meaning == TRIAL_FAILED || meaning == TRIAL_REFUSED;

        for (int is_canary = 0; is_canary < 2; is_canary++) {
            struct keypool_grant grant;
            struct trial_play stage;
            const struct evidence_arm *arm, *other;

            trial_begin(&stage, 1, HALF);
            arm = is_canary ? &stage.tick.canary : &stage.tick.control;
            other = is_canary ? &stage.tick.control : &stage.tick.canary;
            grant = trial_pick(&stage, is_canary, "m");
            keypool_sent(stage.play.views[0], &grant, stage.play.now);
            play_finish(&stage.play, &grant, (enum outcome)outcome, 0);
            assert_int_equal(stage.play.effect.canary_failed, is_failure && is_canary);
            trial_take(&stage);
            expect_arm(arm, meaning != TRIAL_SILENT, is_failure, meaning == TRIAL_REFUSED);
            expect_arm(other, 0, 0, 0);
            assert_int_equal(latency_count(arm->latencies), 0);
            expect_nothing_more(&stage);
            trial_end(&stage);
        }
    }
}

/* What blames the key and what does not, in words and not by the table. */
static void test_what_blames_the_key(void **state)
{
    static const enum outcome blamed[] = {
        OUTCOME_SERVER_ERROR, OUTCOME_OVERLOADED,   OUTCOME_RESET,       OUTCOME_FIRST_BYTE_TIMEOUT,
        OUTCOME_RATE_LIMITED, OUTCOME_KEY_DEPLETED, OUTCOME_INVALID_KEY, OUTCOME_KEY_FORBIDDEN};
    static const enum outcome silent[] = {
        OUTCOME_CONNECT_FAILED, OUTCOME_TLS_FAILED,       OUTCOME_SEND_TIMEOUT,
        OUTCOME_BAD_REQUEST,    OUTCOME_CLIENT_GONE,      OUTCOME_ACCOUNT_LIMITED,
        OUTCOME_NO_CAPACITY,    OUTCOME_ENDPOINT_LIMITED, OUTCOME_UNAFFORDABLE,
        OUTCOME_TOO_LARGE,      OUTCOME_MODEL_MISSING};

    for (size_t i = 0; i < sizeof(blamed) / sizeof(blamed[0]); i++)
        assert_true(outcome_row(blamed[i])->trial >= TRIAL_FAILED);
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        assert_int_equal(outcome_row(silent[i])->trial, TRIAL_SILENT);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        assert_int_equal(outcome_row((enum outcome)i)->trial == TRIAL_GOOD,
                         outcome_row((enum outcome)i)->health == HEALTH_GOOD);
}

/* From sending to the first good bytes; once, whatever its end. */
static void test_a_good_answer(void **state)
{
    struct keypool_grant grant;
    struct trial_play stage;

    trial_begin(&stage, 1, HALF);
    grant = trial_pick(&stage, true, "m");
    stage.play.now += 5 * SECONDS; /* before it is sent: nobody's latency */
    keypool_sent(stage.play.views[0], &grant, stage.play.now);
    stage.play.now += 300 * US_PER_MS;
    assert_false(keypool_good(stage.play.views[0], &grant, stage.play.now).canary_failed);
    trial_take(&stage);
    expect_arm(&stage.tick.canary, 1, 0, 0);
    expect_arm(&stage.tick.control, 0, 0, 0);
    assert_int_equal(stage.tick.canary.latencies[latency_bucket(300 * US_PER_MS)], 1);
    assert_int_equal(latency_count(stage.tick.canary.latencies), 1);
    stage.play.now += SECONDS;
    keypool_good(stage.play.views[0], &grant, stage.play.now);
    play_finish(&stage.play, &grant, OUTCOME_CUT, 0);
    assert_false(stage.play.effect.canary_failed);
    expect_nothing_more(&stage);
    trial_end(&stage);
}

static void test_workers_are_summed(void **state)
{
    struct trial_play stage;
    struct evidence_tick tick;

    trial_begin(&stage, 3, HALF);
    for (int i = 0; i < 4000; i++) {
        struct keypool_view *view = stage.play.views[i % PLAY_WORKERS];
        const struct keypool_ask ask = {.model = SPAN("m")};
        struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS)};
        struct keypool_grant grant;

        assert_int_equal(keypool_select(view, &ask, stage.play.now, &grant).verdict,
                         KEYPOOL_CHOSEN);
        keypool_end(view, &grant, &end, stage.play.now);
    }
    keypool_trial_end(&stage.trial, &tick);
    assert_int_equal(tick.canary.requests + tick.control.requests, 4000);
    assert_in_range(tick.canary.requests, 1996, 2004);
    assert_int_equal(tick.compared, 0);
    play_end(&stage.play);
}

/* A request that has failed before goes to the other key: it says nothing of that one. */
static void test_only_first_tries_count(void **state)
{
    struct keypool_tried tried = {.count = 0};
    struct keypool_ask ask = {.model = SPAN("m"), .tried = &tried};
    struct keypool_grant grant;
    struct trial_play stage;
    struct play elsewhere;

    trial_begin(&stage, 1, HALF);
    grant = trial_pick(&stage, true, "m");
    keypool_tried_add(&tried, grant.key, true);
    play_finish(&stage.play, &grant, OUTCOME_INVALID_KEY, 0);
    trial_take(&stage);
    expect_arm(&stage.tick.canary, 1, 1, 1);
    /* The old key answers in its place. */
    assert_int_equal(play_ask(&stage.play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    assert_int_equal(play_id(&grant), 0);
    play_finish(&stage.play, &grant, OUTCOME_SUCCESS, 0);
    expect_nothing_more(&stage);
    /* But one that has tried another provider only is new here. */
    play_start(&elsewhere, 1);
    grant = play_pick(&elsewhere, "m");
    tried.count = 0;
    keypool_tried_add(&tried, grant.key, true);
    play_finish(&elsewhere, &grant, OUTCOME_RESET, 0);
    assert_int_equal(play_ask(&stage.play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    play_finish(&stage.play, &grant, OUTCOME_SUCCESS, 0);
    trial_take(&stage);
    expect_arm(&stage.tick.control, 1, 0, 0);
    play_end(&elsewhere);
    trial_end(&stage);
}

static void test_what_is_under_way_at_begin_and_end(void **state)
{
    struct keypool_grant before, within, canary;
    struct trial_play stage;
    struct evidence_tick tick;

    memset(&stage, 0, sizeof(stage));
    play_start(&stage.play, 2);
    stage.canary = 1;
    before = play_pick(&stage.play, "m");
    trial_start(&stage, HALF);
    within = trial_pick(&stage, false, "m");
    canary = trial_pick(&stage, true, "m");
    play_finish(&stage.play, &before, OUTCOME_SERVER_ERROR, 0);
    expect_nothing_more(&stage);
    play_finish(&stage.play, &within, OUTCOME_SERVER_ERROR, 0);
    keypool_trial_end(&stage.trial, &tick);
    expect_arm(&tick.control, 1, 1, 0);
    expect_arm(&tick.canary, 0, 0, 0);
    /* The next trial has nothing to do with those of the one before. */
    trial_start(&stage, HALF);
    play_request(&stage.play, "other", OUTCOME_CLIENT_GONE, 0);
    play_finish(&stage.play, &canary, OUTCOME_INVALID_KEY, 0);
    assert_false(stage.play.effect.canary_failed);
    expect_nothing_more(&stage);
    trial_end(&stage);
}

/* ---- turns that the canary cannot take ---- */

static void test_a_model_that_it_lacks(void **state)
{
    struct keypool_grant grant;
    struct trial_play stage;

    trial_begin(&stage, 1, HALF);
    grant = trial_pick(&stage, true, "m");
    play_finish(&stage.play, &grant, OUTCOME_MODEL_MISSING, 0);
    expect_nothing_more(&stage);
    /* The old key serves it: each turn is the canary's failure. */
    for (int i = 0; i < 100; i++) {
        grant = play_pick(&stage.play, "m");
        assert_int_equal(play_id(&grant), 0);
        assert_int_equal(keypool_good(stage.play.views[0], &grant, stage.play.now).canary_failed,
                         grant.stands_in);
        play_finish(&stage.play, &grant, OUTCOME_SUCCESS, 0);
        assert_false(stage.play.effect.canary_failed);
    }
    trial_take(&stage);
    expect_arm(&stage.tick.control, 100, 0, 0);
    assert_in_range(stage.tick.canary.failures, 49, 51);
    assert_int_equal(stage.tick.canary.requests, stage.tick.canary.failures);
    trial_end(&stage);
}

/* Whoever asks for what nobody has condemns nobody. */
static void test_a_model_that_nobody_has(void **state)
{
    struct trial_play stage;

    trial_begin(&stage, 1, HALF);
    for (int i = 0; i < 100; i++) {
        char model[24];
        struct keypool_tried tried = {.count = 0};
        struct keypool_ask ask = {.tried = &tried};
        struct keypool_grant grant;

        snprintf(model, sizeof(model), "m%d", i % 20);
        ask.model = span_from_text(model);
        while (play_ask(&stage.play, &ask, &grant).verdict == KEYPOOL_CHOSEN) {
            keypool_tried_add(&tried, grant.key, true);
            play_finish(&stage.play, &grant, OUTCOME_MODEL_MISSING, 0);
        }
    }
    expect_nothing_more(&stage);
    trial_end(&stage);
}

static void test_a_canary_that_is_set_aside(void **state)
{
    static const enum outcome blows[] = {OUTCOME_KEY_FORBIDDEN, OUTCOME_KEY_DEPLETED};

    for (size_t i = 0; i < 2; i++) {
        struct keypool_grant grant;
        struct trial_play stage;

        trial_begin(&stage, 1, HALF);
        grant = trial_pick(&stage, true, "m");
        play_finish(&stage.play, &grant, blows[i], 0);
        assert_true(stage.play.effect.canary_failed);
        trial_take(&stage);
        assert_int_equal(trial_count(&stage, 100), 0);
        trial_take(&stage);
        assert_in_range(stage.tick.canary.failures, 49, 51);
        expect_arm(&stage.tick.control, 100, 0, 0);
        /* It has its turns again once its time is up. */
        stage.play.now += 700 * SECONDS;
        assert_in_range(trial_count(&stage, 100), 49, 51);
        trial_end(&stage);
    }
}

/* What is declared of it for a model it cannot pass: others serve, and that is no failure of its.
 */
static void test_a_canary_at_a_model_s_limit(void **state)
{
    struct conf_limits_of of_m = {.model = SPAN("m"), .limits = {.rpm = 10}};
    struct trial_play stage;

    (void)state;
    memset(&stage, 0, sizeof(stage));
    play_init(&stage.play, 2);
    stage.canary = 1;
    play_key(&stage.play, 1)->model_limits = (struct conf_limits_by_model){&of_m, 1};
    play_apply(&stage.play);
    trial_start(&stage, HALF);
    assert_int_equal(trial_count(&stage, 100), 10);
    trial_take(&stage);
    expect_arm(&stage.tick.canary, 10, 0, 0);
    expect_arm(&stage.tick.control, 90, 0, 0);
    stage.play.now += 62 * SECONDS;
    assert_int_equal(trial_count(&stage, 10), 5);
    trial_end(&stage);
}

/* Neither an operator's wish nor an invalid key, which a probe decides on, is a failure a turn. */
static void test_other_absences_say_nothing(void **state)
{
    struct keypool_grant grant;
    struct trial_play stage;

    trial_begin(&stage, 1, HALF);
    trial_wish(&stage, 1, KEY_DRAINED);
    trial_count(&stage, 100);
    trial_take(&stage);
    expect_arm(&stage.tick.canary, 0, 0, 0);
    trial_wish(&stage, 1, KEY_ENABLED);
    grant = trial_pick(&stage, true, "m");
    play_finish(&stage.play, &grant, OUTCOME_INVALID_KEY, 0);
    trial_count(&stage, 100);
    trial_take(&stage);
    expect_arm(&stage.tick.canary, 1, 1, 1);
    trial_end(&stage);
}

/* ---- begin and end ---- */

static void test_one_at_a_time(void **state)
{
    struct keypool_trial *second;
    struct trial_play stage;
    struct key *key, *gone;

    trial_begin(&stage, 2, HALF);
    key = trial_find(&stage, 0);
    assert_ptr_equal(keypool_trial_key(stage.trial), trial_find(&stage, 2));
    key_unref(&(struct key *){keypool_trial_key(stage.trial)});
    assert_int_equal(keypool_trial_begin(stage.play.pool, key, HALF, &second), ERR_EXISTS);
    keypool_trial_end(&stage.trial, NULL);
    keypool_trial_end(&stage.trial, NULL); /* harmless */
    assert_int_equal(keypool_trial_begin(stage.play.pool, key, HALF, &second), 0);
    keypool_trial_end(&second, NULL);
    key_unref(&key);
    gone = trial_find(&stage, 2);
    stage.play.conf.keys.count = 2;
    play_apply(&stage.play);
    assert_int_equal(keypool_trial_begin(stage.play.pool, gone, HALF, &second), ERR_NOTFOUND);
    key_unref(&gone);
    play_end(&stage.play);
}

static void test_begin_without_memory(void **state)
{
    struct trial_play stage;
    struct key *key;
    int err = ERR_NOMEM;

    memset(&stage, 0, sizeof(stage));
    play_start(&stage.play, 2);
    key = trial_find(&stage, 1);
    for (int i = 0; err; i++) {
        mem_fail_after(i);
        err = keypool_trial_begin(stage.play.pool, key, HALF, &stage.trial);
        mem_fail_after(-1);
        assert_true(i < 10 && (err == 0 || err == ERR_NOMEM));
    }
    key_unref(&key);
    trial_end(&stage);
}

/* A provider that leaves the configuration takes its pool along. */
static void test_the_pool_may_go_first(void **state)
{
    struct trial_play stage;
    struct evidence_tick tick;

    trial_begin(&stage, 1, HALF);
    stage.canary = 1;
    trial_count(&stage, 10);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++)
        keypool_view_free(&stage.play.views[i]);
    keypool_free(&stage.play.pool);
    keypool_trial_end(&stage.trial, &tick);
    assert_int_equal(tick.canary.requests + tick.control.requests, 10);
    play_end(&stage.play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_outcome),
        cmocka_unit_test(test_what_blames_the_key),
        cmocka_unit_test(test_a_good_answer),
        cmocka_unit_test(test_workers_are_summed),
        cmocka_unit_test(test_only_first_tries_count),
        cmocka_unit_test(test_what_is_under_way_at_begin_and_end),
        cmocka_unit_test(test_a_model_that_it_lacks),
        cmocka_unit_test(test_a_model_that_nobody_has),
        cmocka_unit_test(test_a_canary_that_is_set_aside),
        cmocka_unit_test(test_a_canary_at_a_model_s_limit),
        cmocka_unit_test(test_other_absences_say_nothing),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_begin_without_memory),
        cmocka_unit_test(test_the_pool_may_go_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
