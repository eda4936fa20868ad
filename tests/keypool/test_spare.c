/* Keys for what may take nothing from anybody: only where there is plenty. */
#include "trial_play.h"

static bool take_named(struct play *play, const char *name, struct keypool_grant *grant)
{
    const struct keypool_ask ask = {.model = SPAN("a"), .tokens = 100};

    return keypool_select_spare(play->views[0], &ask, span_from_text(name), play->now, grant);
}

static bool take(struct play *play, struct keypool_grant *grant)
{
    return take_named(play, "", grant);
}

/* Nothing is told of what came of it. */
static void give(struct play *play, struct keypool_grant *grant)
{
    const struct keypool_end end = {.tokens = 100};

    keypool_sent(play->views[0], grant, play->now);
    keypool_end(play->views[0], grant, &end, play->now);
}

static void expect_none(struct play *play)
{
    struct keypool_grant grant;

    assert_false(take(play, &grant));
}

static void test_half_of_each_limit_is_left(void **state)
{
    static const struct conf_limits limits[] = {{.concurrent = 4}, {.rpm = 4}, {.tpm = 400}};
    struct keypool_grant grants[2], real;
    const struct keypool_ask ask = {.model = SPAN("a"), .tokens = 100};
    struct play play;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        play_init(&play, 1);
        play_key(&play, 0)->limits = limits[i];
        play_apply(&play);
        assert_true(take(&play, &grants[0]) && take(&play, &grants[1]));
        expect_none(&play);
        /* The other half is real requests'. */
        for (int k = 0; k < 2; k++) {
            assert_int_equal(play_ask(&play, &ask, &real).verdict, KEYPOOL_CHOSEN);
            give(&play, &real);
        }
        give(&play, &grants[0]);
        give(&play, &grants[1]);
        play_end(&play);
    }
}

/* Of a model's own limits, too; another model has them not. */
static void test_half_of_a_model_s_limit_is_left(void **state)
{
    struct conf_limits_of of_a = {.model = SPAN("a"), .limits = {.rpm = 4}};
    const struct keypool_ask other = {.model = SPAN("b"), .tokens = 100};
    struct keypool_grant grants[2], real;
    struct play play;

    (void)state;
    play_init(&play, 1);
    play.conf.model_limits = (struct conf_limits_by_model){&of_a, 1};
    play_apply(&play);
    assert_true(take(&play, &grants[0]) && take(&play, &grants[1]));
    expect_none(&play);
    assert_true(keypool_select_spare(play.views[0], &other, span_from_text(""), play.now, &real));
    give(&play, &real);
    for (int i = 0; i < 2; i++) {
        real = play_pick(&play, "a");
        give(&play, &real);
        give(&play, &grants[i]);
    }
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* A limit of one leaves nothing to spare. */
static void test_of_one_there_is_no_half(void **state)
{
    struct play play;

    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.concurrent = 1};
    play_apply(&play);
    expect_none(&play);
    play_end(&play);
}

/* One that rests, or whose time is up and which one request would test: that one is real. */
static void test_only_a_key_that_is_well(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 1);
    assert_true(take(&play, &grant));
    give(&play, &grant);
    for (int i = 0; i < 3; i++)
        play_request(&play, "a", OUTCOME_SERVER_ERROR, 0);
    expect_none(&play);
    play.now += 61 * SECONDS;
    expect_none(&play);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_true(take(&play, &grant));
    give(&play, &grant);
    play_end(&play);
}

/* A model that is set aside for the key, or that it does not serve. */
static void test_only_a_model_that_is_free(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_start(&play, 1);
    play_request(&play, "a", OUTCOME_RATE_LIMITED, 30 * SECONDS);
    expect_none(&play);
    play.now += 31 * SECONDS;
    expect_none(&play);
    play_request(&play, "a", OUTCOME_SUCCESS, 0);
    assert_true(take(&play, &grant));
    give(&play, &grant);
    play_end(&play);
}

/* The others are asked where the first has no room; the order of real picks stays as it was. */
static void test_another_key(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 3);
    play.conf.selection = CONF_SELECTION_PRIORITY;
    play_key(&play, 0)->limits = (struct conf_limits){.concurrent = 1};
    play_apply(&play);
    assert_true(take(&play, &grant));
    assert_int_equal(play_number(key_name(grant.key)), 1);
    give(&play, &grant);
    for (int i = 0; i < 3; i++) {
        const struct keypool_ask ask = {.model = SPAN("a")};

        assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
        assert_int_equal(play_number(key_name(grant.key)), 0);
        give(&play, &grant);
    }
    play_end(&play);
}

static void test_a_key_by_its_name(void **state)
{
    struct keypool_grant grant;
    struct play play;

    play_init(&play, 3);
    play_key(&play, 2)->weight = 0;
    play_apply(&play);
    assert_true(take_named(&play, "k2", &grant));
    assert_int_equal(play_number(key_name(grant.key)), 2);
    give(&play, &grant);
    assert_false(take_named(&play, "k7", &grant));
    play_end(&play);
}

/* What ends without a word moves nothing: neither health nor breaker. */
static void test_nothing_is_told(void **state)
{
    struct keypool_grant grant;
    struct keypool_row row;
    struct play play;
    size_t at = 0;

    play_start(&play, 1);
    for (int i = 0; i < 50; i++) {
        assert_true(take(&play, &grant));
        keypool_sent(play.views[0], &grant, play.now);
        give(&play, &grant);
    }
    assert_true(keypool_describe(play.pool, &at, play.now, &row));
    assert_int_equal(row.failures + row.errors + row.in_flight, 0);
    assert_int_equal(row.requests, 50);
    assert_int_equal(row.last_success_us, 0);
    key_unref(&row.key);
    play_end(&play);
}

/* What the canary of a trial gets is drawn, and counted: shadows are neither. */
static void test_not_the_canary(void **state)
{
    struct keypool_trial *trial;
    struct keypool_grant grant;
    struct evidence_tick tick;
    struct key *key;
    struct play play;

    play_start(&play, 2);
    key = keypool_find_key(play.pool, SPAN("k0"));
    assert_int_equal(keypool_trial_begin(play.pool, key, 500000, &trial), 0);
    for (int i = 0; i < 20; i++) {
        assert_true(take(&play, &grant));
        assert_int_equal(play_number(key_name(grant.key)), 1);
        assert_int_equal(grant.trial, 0);
        give(&play, &grant);
    }
    keypool_trial_end(&trial, &tick);
    assert_int_equal(tick.canary.requests + tick.control.requests, 0);
    key_unref(&key);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_of_each_limit_is_left),
        cmocka_unit_test(test_half_of_a_model_s_limit_is_left),
        cmocka_unit_test(test_of_one_there_is_no_half),
        cmocka_unit_test(test_only_a_key_that_is_well),
        cmocka_unit_test(test_only_a_model_that_is_free),
        cmocka_unit_test(test_another_key),
        cmocka_unit_test(test_a_key_by_its_name),
        cmocka_unit_test(test_nothing_is_told),
        cmocka_unit_test(test_not_the_canary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
