/* What answers tell of limits counts before the provider has to refuse; and selection: headroom. */
#include "pool_play.h"

#include "base/alloc.h"
#include "keypool/heard.h"

static void start(struct play *play, size_t count)
{
    play_init(play, count);
    play->conf.selection = CONF_SELECTION_HEADROOM;
}

/* The answer to that grant says: so many of so many requests a minute are left, as a bucket. */
static void tell(struct play *play, struct keypool_grant *grant, uint64_t limit, uint64_t remaining,
                 const char *account)
{
    struct limits_told told = {.account = span_from_text(account)};

    told.items[LIMITS_REQUESTS].limit = limit;
    told.items[LIMITS_REQUESTS].remaining = remaining;
    told.items[LIMITS_REQUESTS].reset_us = (limit - remaining) * 60 * SECONDS / limit;
    play->effect = keypool_hear(play->views[0], grant, &told, play->now);
}

/* One whole request, whose answer tells that. */
static size_t request(struct play *play, const char *model, uint64_t limit, uint64_t remaining,
                      const char *account)
{
    struct keypool_grant grant = play_pick(play, model);
    size_t id = play_id(&grant);

    keypool_sent(play->views[0], &grant, play->now);
    tell(play, &grant, limit, remaining, account);
    play_finish(play, &grant, OUTCOME_SUCCESS, 0);
    return id;
}

/* Requests until one goes to that key, which then says so. */
static void make_say(struct play *play, size_t id, const char *model, uint64_t remaining)
{
    for (int i = 0; i < 100; i++) {
        struct keypool_grant grant = play_pick(play, model);

        keypool_sent(play->views[0], &grant, play->now);
        if (play_id(&grant) == id) {
            tell(play, &grant, 100, remaining, "");
            play_finish(play, &grant, OUTCOME_SUCCESS, 0);
            return;
        }
        keypool_cancel(play->views[0], &grant, play->now);
    }
    fail_msg("k%zu is not picked", id);
}

static void test_unknown_is_least_used(void **state)
{
    struct keypool_grant grants[8];
    unsigned counts[4] = {0};
    struct play play;

    start(&play, 4);
    play_apply(&play);
    for (int i = 0; i < 8; i++) {
        grants[i] = play_pick(&play, "m");
        counts[play_id(&grants[i])]++;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(counts[i], 2);
    for (int i = 0; i < 8; i++)
        play_finish(&play, &grants[i], OUTCOME_SUCCESS, 0);
    play_end(&play);
}

static void test_most_left_is_picked(void **state)
{
    struct play play;

    start(&play, 3);
    play_apply(&play);
    make_say(&play, 0, "m", 20);
    make_say(&play, 1, "m", 80);
    make_say(&play, 2, "m", 50);
    for (int i = 0; i < 10; i++)
        assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 1);
    /* Of another model nothing is known. */
    assert_int_equal(play_row(&play, 1).limit_count, 1);
    assert_string_equal(play_row(&play, 1).limits[0].scope, "requests:m");
    assert_int_equal(play_row(&play, 1).limits[0].limit, 100);
    assert_int_equal(play_row(&play, 1).limits[0].remaining, 70);
    play_end(&play);
}

/* Nothing is sent to a key that has nothing left, and all of it is told when it may be. */
static void test_foreseen_rather_than_refused(void **state)
{
    struct keypool_choice choice;
    struct play play;

    start(&play, 1);
    play_apply(&play);
    assert_int_equal(request(&play, "m", 60, 0, ""), 0);
    choice = play_refused(&play, "m");
    assert_int_equal(choice.verdict, KEYPOOL_LATER);
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_in_range(choice.free_at_us, play.now + SECONDS, play.now + SECONDS + 1);
    assert_int_equal(play_request(&play, "other", OUTCOME_SUCCESS, 0), 0);
    play.now = choice.free_at_us;
    assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 0);
    (void)play_refused(&play, "m");
    play_end(&play);
}

/* Two keys, of weight 1 and 3, of which so many requests in all are picked one after another;
 * *ret_light is the lighter one's. */
static void share_out(struct play *play, int requests, uint64_t limit, unsigned *ret_light)
{
    uint64_t left[] = {limit, limit};

    *ret_light = 0;
    for (int i = 0; i < requests; i++) {
        struct keypool_grant grant = play_pick(play, "m");
        size_t id = play_id(&grant);

        keypool_sent(play->views[0], &grant, play->now);
        assert_true(!limit || left[id] > 0);
        left[id]--;
        if (limit)
            tell(play, &grant, limit, left[id], "");
        play_finish(play, &grant, OUTCOME_SUCCESS, 0);
        *ret_light += id == 0;
    }
}

static void start_weighed(struct play *play)
{
    start(play, 2);
    play_key(play, 0)->weight = 1;
    play_key(play, 1)->weight = 3;
    play_apply(play);
}

static void test_weight_is_a_share(void **state)
{
    struct play play;
    unsigned light;

    start_weighed(&play);
    share_out(&play, 400, 0, &light);
    assert_int_equal(light, 100);
    play_end(&play);
    /* With limits, as long as these hold out. */
    start_weighed(&play);
    share_out(&play, 400, 1000, &light);
    assert_in_range(light, 95, 105);
    play_end(&play);
}

/* Neither is asked for more than it has: who weighs more is used up first, then the other. */
static void test_weight_drives_nobody_past_its_limit(void **state)
{
    struct play play;
    unsigned light;

    start_weighed(&play);
    share_out(&play, 200, 100, &light);
    assert_int_equal(light, 100);
    (void)play_refused(&play, "m");
    play_end(&play);
}

/* A key whose window has refilled comes back, though nothing is said of it. */
static void test_refilled_comes_back(void **state)
{
    unsigned counts[2] = {0};
    struct play play;

    start(&play, 2);
    play_apply(&play);
    make_say(&play, 0, "m", 5);
    make_say(&play, 1, "m", 60);
    assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 1);
    play.now += 60 * SECONDS;
    for (int i = 0; i < 40; i++)
        counts[play_request(&play, "m", OUTCOME_SUCCESS, 0)]++;
    assert_in_range(counts[0], 15, 25);
    play_end(&play);
}

static void test_account_is_shared(void **state)
{
    struct play play;

    start(&play, 3);
    play_key(&play, 0)->account = play_key(&play, 1)->account = SPAN("a");
    play_apply(&play);
    make_say(&play, 0, "m", 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 2);
    play_end(&play);
}

/* No account is declared: the answers name the organisation that both keys belong to. */
static void test_organisation_is_learned(void **state)
{
    struct play play;

    start(&play, 2);
    play_apply(&play);
    for (int i = 0; i < 2; i++)
        (void)request(&play, "m", 100, 100, "org-1");
    (void)request(&play, "m", 100, 0, "org-1");
    assert_int_equal(play_refused(&play, "m").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* Tokens that do not fit here fit there. */
static void test_large_request_finds_room(void **state)
{
    const struct keypool_ask ask = {.model = SPAN("m"), .tokens = 5000, .tokens_out = 1000};
    struct limits_told told = {.account = {NULL, 0}};
    struct keypool_grant grant;
    struct keypool_choice choice;
    struct play play;

    start(&play, 2);
    play_apply(&play);
    for (int i = 0; i < 2; i++) {
        grant = play_pick(&play, "m");
        told.items[LIMITS_TOKENS].limit = 10000;
        told.items[LIMITS_TOKENS].remaining = play_id(&grant) == 0 ? 3000 : 6000;
        keypool_sent(play.views[0], &grant, play.now);
        keypool_hear(play.views[0], &grant, &told, play.now);
        play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    }
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    assert_int_equal(play_id(&grant), 1);
    keypool_cancel(play.views[0], &grant, play.now);
    assert_int_equal(play_ask(&play, &ask, &grant).verdict, KEYPOOL_CHOSEN);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    choice = play_ask(&play, &ask, &grant);
    assert_int_equal(choice.verdict, KEYPOOL_LATER);
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_in_range(choice.free_at_us, play.now + 10 * SECONDS, play.now + 13 * SECONDS);
    play_end(&play);
}

/* What is declared wins over what is told; what is not declared is foreseen all the same. */
static void test_declared_limits_win(void **state)
{
    struct play play;

    start(&play, 1);
    play_key(&play, 0)->limits.rpm = 3;
    play_apply(&play);
    assert_int_equal(request(&play, "m", 60, 0, ""), 0);
    assert_int_equal(request(&play, "m", 60, 0, ""), 0);
    assert_int_equal(request(&play, "m", 60, 0, ""), 0);
    assert_int_equal(play_refused(&play, "m").reason, KEYPOOL_AT_LIMIT);
    play_key(&play, 0)->limits = (struct conf_limits){.tpm = 1000};
    play_apply(&play);
    play.now += 61 * SECONDS;
    assert_int_equal(request(&play, "m", 60, 0, ""), 0);
    assert_int_equal(play_refused(&play, "m").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_margin_is_kept_free(void **state)
{
    struct play play;

    start(&play, 1);
    play.conf.limits.margin_ppm = 100000;
    play_apply(&play);
    (void)request(&play, "m", 100, 11, "");
    assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 0);
    assert_int_equal(play_refused(&play, "m").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_slow_and_failing_count_for_less(void **state)
{
    struct play play;

    start(&play, 3);
    play_apply(&play);
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < 3; i++) {
            struct keypool_grant grant = play_pick(&play, "warm");
            uint64_t sent = play.now;

            keypool_sent(play.views[0], &grant, sent);
            play.now = sent + (play_id(&grant) == 0 ? 20 : 1) * SECONDS / 10;
            keypool_good(play.views[0], &grant, play.now);
            play.now = sent + 1000;
            play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
        }
    }
    make_say(&play, 0, "m", 90);
    make_say(&play, 1, "m", 70);
    make_say(&play, 2, "m", 72);
    assert_int_equal(play_request(&play, "m", OUTCOME_SERVER_ERROR, 0), 2);
    assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 1);
    play_end(&play);
}

/* Also where every other answer is a slow key's. */
static void test_half_of_all_is_slow(void **state)
{
    struct play play;

    start(&play, 2);
    play_apply(&play);
    for (int round = 0; round < 200; round++) {
        struct keypool_grant grant = play_pick(&play, "warm");
        uint64_t sent = play.now;

        keypool_sent(play.views[0], &grant, sent);
        play.now = sent + (play_id(&grant) == 0 ? 20 : 1) * SECONDS / 10;
        keypool_good(play.views[0], &grant, play.now);
        play.now = sent + 1000;
        play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    }
    make_say(&play, 0, "m", 90);
    make_say(&play, 1, "m", 30);
    assert_int_equal(play_request(&play, "m", OUTCOME_SUCCESS, 0), 1);
    play_end(&play);
}

/* Where a provider tells nothing, no shared word is written; where it does, one to take and one to
 * hear. */
static void test_shared_writes(void **state)
{
    struct play play;
    uint64_t before;

    start(&play, 2);
    play_apply(&play);
    for (int i = 0; i < 4; i++)
        (void)play_request(&play, "m", OUTCOME_SUCCESS, 0);
    before = keypool_view_shared_writes(play.views[0]);
    for (int i = 0; i < 100; i++)
        (void)play_request(&play, "m", OUTCOME_SUCCESS, 0);
    assert_int_equal(keypool_view_shared_writes(play.views[0]) - before, 0);
    for (int i = 0; i < 2; i++)
        (void)request(&play, "m", 1000, 1000, "");
    before = keypool_view_shared_writes(play.views[0]);
    for (int i = 0; i < 100; i++)
        (void)request(&play, "m", 1000, 900, "");
    assert_in_range(keypool_view_shared_writes(play.views[0]) - before, 100, 200);
    play_end(&play);
}

static void test_more_models_than_places(void **state)
{
    struct play play;
    char name[16];

    start(&play, 1);
    play_apply(&play);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        play.now += SECONDS;
        (void)request(&play, name, 100, 0, "");
    }
    /* Only the last eight are remembered. */
    assert_int_equal(play_refused(&play, "m39").reason, KEYPOOL_AT_LIMIT);
    assert_int_equal(play_request(&play, "m0", OUTCOME_SUCCESS, 0), 0);
    assert_int_equal(play_row(&play, 0).limit_count, 8);
    play_end(&play);
}

/* What is heard without memory is not kept, and nothing else happens. */
static void test_without_memory(void **state)
{
    for (long after = 0; after < 5; after++) {
        struct play play;

        start(&play, 2);
        play_apply(&play);
        (void)play_request(&play, "m", OUTCOME_SUCCESS, 0);
        mem_fail_after(after);
        (void)request(&play, "m", 60, 0, "org");
        mem_fail_after(-1);
        (void)play_request(&play, "m", OUTCOME_SUCCESS, 0);
        play_end(&play);
    }
}

/* Limits that are found by trying count as any: a key of which little was found is used as much
 * less as it allows less. */
static void test_limits_that_are_found_count(void **state)
{
    static struct conf_adaptive found = {.initial_rpm = 500,
                                         .min_rpm = 10,
                                         .max_rpm = 500,
                                         .backoff_milli = 20,
                                         .growth_milli = 1001};
    struct keypool_grant grant;
    unsigned counts[2] = {0};
    struct play play;
    size_t small;

    (void)state;
    start(&play, 2);
    play.conf.adaptive = &found;
    play_apply(&play);
    grant = play_pick(&play, "m");
    small = play_id(&grant);
    play_finish(&play, &grant, OUTCOME_RATE_LIMITED, 0);
    assert_int_equal(play_row(&play, small).adaptive_rpm, 10);
    /* A request a second for ten minutes: a fifth of what both allow. */
    for (int i = 0; i < 600; i++) {
        play.now += SECONDS;
        counts[play_request(&play, "m", OUTCOME_SUCCESS, 0)]++;
    }
    assert_in_range(counts[small], 1, 40);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_is_least_used),
        cmocka_unit_test(test_most_left_is_picked),
        cmocka_unit_test(test_foreseen_rather_than_refused),
        cmocka_unit_test(test_weight_is_a_share),
        cmocka_unit_test(test_weight_drives_nobody_past_its_limit),
        cmocka_unit_test(test_refilled_comes_back),
        cmocka_unit_test(test_account_is_shared),
        cmocka_unit_test(test_organisation_is_learned),
        cmocka_unit_test(test_large_request_finds_room),
        cmocka_unit_test(test_declared_limits_win),
        cmocka_unit_test(test_margin_is_kept_free),
        cmocka_unit_test(test_slow_and_failing_count_for_less),
        cmocka_unit_test(test_half_of_all_is_slow),
        cmocka_unit_test(test_shared_writes),
        cmocka_unit_test(test_more_models_than_places),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_limits_that_are_found_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
