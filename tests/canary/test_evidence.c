/* What speaks for and against a canary, told by hand, and what a person on call reads of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "traffic.h"

static const uint64_t start = 777 * US_PER_SEC;

struct play {
    struct canary_settings settings;
    struct canary canary;
    struct evidence_tick tick;
    uint64_t now;
    char text[CANARY_EXPLAIN_BYTES];
};

static void begin(struct play *play)
{
    *play = (struct play){.settings = traffic_defaults(), .now = start};
    canary_init(&play->canary, &play->settings, play->now);
}

static enum canary_verdict tell(struct play *play)
{
    enum canary_verdict verdict =
        canary_tick(&play->canary, &play->settings, &play->tick, play->now += 100 * US_PER_MS);

    play->tick = (struct evidence_tick){.compared = 0};
    return verdict;
}

static enum canary_verdict requests(struct play *play, uint32_t canary, uint32_t failures,
                                    uint32_t old, uint32_t old_failures)
{
    play->tick.canary.requests = canary;
    play->tick.canary.failures = failures;
    play->tick.control.requests = old;
    play->tick.control.failures = old_failures;
    return tell(play);
}

static enum canary_verdict refusals(struct play *play, uint32_t canary, uint32_t refused,
                                    uint32_t old, uint32_t old_refused)
{
    play->tick.canary = (struct evidence_arm){canary, refused, refused, {0}};
    play->tick.control = (struct evidence_arm){old, old_refused, old_refused, {0}};
    return tell(play);
}

static void times(struct evidence_arm *arm, uint32_t count, uint64_t ms)
{
    arm->requests += count;
    arm->latencies[latency_bucket(ms * 1000)] += count;
}

static const char *explain(struct play *play)
{
    size_t len = canary_explain(&play->canary, &play->settings, play->text);

    assert_int_equal(len, strlen(play->text));
    return play->text;
}

/* ---- latencies ---- */

static void test_buckets_are_narrow_and_in_order(void **state)
{
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        assert_int_equal(latency_bucket(latency_of(i)), i);
    for (uint64_t us = 1100; us < 1000 * US_PER_SEC; us += us / 50) {
        double middle = (double)latency_of(latency_bucket(us)), ratio = middle / (double)us;

        assert_true(ratio > 0.96 && ratio < 1.04);
        assert_true(latency_bucket(us) <= latency_bucket(us + us / 50));
    }
    assert_int_equal(latency_bucket(0), 0);
    assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

static void test_medians(void **state)
{
    struct evidence_arm arm = {.requests = 0};

    assert_int_equal(latency_median(arm.latencies), LATENCY_BUCKETS - 1);
    times(&arm, 1, 100);
    times(&arm, 1, 400);
    assert_int_equal(latency_median(arm.latencies), latency_bucket(400000)); /* the upper */
    times(&arm, 1, 200);
    assert_int_equal(latency_median(arm.latencies), latency_bucket(200000));
    assert_int_equal(latency_above(arm.latencies, 150000), 2);
    assert_int_equal(latency_above(arm.latencies, 0), 3);
    assert_int_equal(latency_above(arm.latencies, UINT64_MAX), 0);
    assert_int_equal(latency_count(arm.latencies), 3);
}

/* ---- refused ---- */

static void test_two_refusals_decide(void **state)
{
    struct play play;

    begin(&play);
    assert_int_equal(refusals(&play, 1, 1, 9, 0), CANARY_GOES_ON);
    assert_int_equal(refusals(&play, 1, 1, 9, 0), CANARY_ROLL_BACK);
    assert_int_equal(canary_share_ppm(&play.canary, &play.settings), 0);
    assert_string_equal(explain(&play),
                        "2 of 2 requests were refused for the key (old keys: 0 of 18)");
    assert_int_equal(refusals(&play, 1, 1, 9, 0), CANARY_GOES_ON); /* told once */
}

static void test_a_stray_refusal_decides_nothing(void **state)
{
    struct play play;

    begin(&play);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(refusals(&play, 1, 1, 9, 0), CANARY_GOES_ON);
        for (int k = 0; k < 10; k++)
            assert_int_not_equal(requests(&play, 10, 0, 90, 0), CANARY_ROLL_BACK);
    }
}

static void test_a_provider_that_refuses_everybody_is_not_the_keys_fault(void **state)
{
    struct play play;

    begin(&play);
    for (int i = 0; i < 50; i++)
        assert_int_equal(refusals(&play, 2, 2, 18, 18), CANARY_GOES_ON);
    assert_int_equal(requests(&play, 0, 0, 60, 0), CANARY_GOES_ON);
    /* It answers others again, by far more often than it refused them. */
    assert_int_equal(requests(&play, 0, 0, 900, 0), CANARY_ROLL_BACK);
}

static void test_refusals_without_a_witness_wait_for_one(void **state)
{
    struct play play;

    begin(&play);
    for (int i = 0; i < 9; i++)
        assert_int_equal(refusals(&play, 1, 1, 0, 0), CANARY_GOES_ON);
    assert_int_equal(refusals(&play, 1, 1, 0, 0), CANARY_ROLL_BACK);
    begin(&play);
    play.settings.evidence.has_control = false;
    refusals(&play, 1, 1, 0, 0);
    assert_int_equal(refusals(&play, 1, 1, 0, 0), CANARY_ROLL_BACK);
}

/* ---- errors ---- */

static void test_many_failures_roll_back_with_a_reason(void **state)
{
    struct play play;

    begin(&play);
    assert_int_equal(requests(&play, 20, 0, 205, 1), CANARY_GOES_ON);
    assert_int_equal(requests(&play, 18, 9, 205, 1), CANARY_ROLL_BACK);
    assert_int_equal(play.canary.cause, EVIDENCE_ERRORS);
    assert_string_equal(explain(&play), "9 of 38 requests failed (old keys: 2 of 410)");
}

static void test_a_bad_minute_holds_the_ramp_and_ends_nothing(void **state)
{
    struct play play;

    begin(&play);
    for (int i = 0; i < 300; i++)
        assert_int_equal(requests(&play, 1, 0, 9, 0), CANARY_GOES_ON);
    for (int i = 0; i < 1200; i++)
        assert_int_equal(requests(&play, 10, 2, 90, 18), CANARY_GOES_ON);
    assert_int_equal(canary_share_ppm(&play.canary, &play.settings), 100000);
    assert_string_equal(
        explain(&play),
        "10%, step 1 of 10: 2400 of 12300 requests failed (old keys: 21600 of 110700); "
        "waits: in this step 2400 of 12300 failed, allowed are 5%");
}

static void test_no_group_depends_on_its_order(void **state)
{
    struct play one, two;

    /* Three workers' counts, told as three ticks in one order or the other, or as one sum. */
    begin(&one);
    begin(&two);
    one.tick.canary = (struct evidence_arm){5, 3, 1, {0}};
    times(&one.tick.canary, 2, 100);
    times(&one.tick.control, 30, 120);
    two.tick = one.tick;
    tell(&one);
    tell(&two);
    assert_memory_equal(&one.canary.evidence.excess, &two.canary.evidence.excess,
                        sizeof(struct wager));
    assert_memory_equal(&one.canary.evidence.slow, &two.canary.evidence.slow, sizeof(struct wager));
}

static void test_alone_the_limit_alone_decides(void **state)
{
    struct play play;

    begin(&play);
    play.settings.evidence.has_control = false;
    for (int i = 0; i < 200; i++)
        assert_int_not_equal(requests(&play, 1, i % 100 == 0, 0, 0), CANARY_ROLL_BACK);
    while (requests(&play, 5, 1, 0, 0) == CANARY_GOES_ON)
        assert_true(play.canary.evidence.canary.requests < 600);
    assert_int_equal(play.canary.state, CANARY_ROLLED_BACK);
    assert_non_null(strstr(explain(&play), "(no old keys to compare with)"));
}

/* At the last step the old keys of a pool of one have no traffic left. */
static void test_who_loses_its_company_is_judged_by_what_comes_then(void **state)
{
    struct play play;

    begin(&play);
    /* A bad time that all share... */
    for (int i = 0; i < 100; i++)
        assert_int_equal(requests(&play, 10, 3, 10, 3), CANARY_GOES_ON);
    /* ...says nothing later, when there is nobody left to compare with. */
    for (int i = 0; i < 300; i++)
        assert_int_equal(requests(&play, 10, 0, 0, 0), CANARY_GOES_ON);
    assert_true(play.canary.evidence.is_alone);
    for (int i = 0; i < 30 && play.canary.state == CANARY_RAMPING; i++)
        requests(&play, 10, 2, 0, 0);
    assert_int_equal(play.canary.state, CANARY_ROLLED_BACK);
}

/* ---- latency and divergence ---- */

static void test_slow_first_bytes_roll_back(void **state)
{
    struct play play;
    enum canary_verdict verdict = CANARY_GOES_ON;

    begin(&play);
    for (int i = 0; i < 200 && verdict == CANARY_GOES_ON; i++) {
        times(&play.tick.control, 10, 400);
        times(&play.tick.canary, 1, 800);
        verdict = tell(&play);
    }
    assert_int_equal(verdict, CANARY_ROLL_BACK);
    assert_int_equal(play.canary.cause, EVIDENCE_LATENCY);
    assert_true(play.canary.evidence.canary.requests < 30);
    assert_non_null(strstr(explain(&play), "(old keys: 40"));
    assert_non_null(strstr(play.text, "allowed: 1.5 times)"));
}

static void test_added_latency_of_a_migration(void **state)
{
    struct play play;

    for (int added = 20; added <= 100; added += 80) {
        begin(&play);
        play.settings.evidence.max_latency_milli = EVIDENCE_NO_LIMIT;
        play.settings.evidence.max_added_latency_ms = 50;
        for (int i = 0; i < 200 && play.canary.state == CANARY_RAMPING; i++) {
            times(&play.tick.control, 10, 400);
            times(&play.tick.canary, 2, 400 + (uint64_t)added);
            tell(&play);
        }
        assert_int_equal(play.canary.state, added > 50 ? CANARY_ROLLED_BACK : CANARY_RAMPING);
    }
    assert_non_null(strstr(explain(&play), "allowed: 50 ms more)"));
}

static void test_divergence(void **state)
{
    struct play play;
    enum canary_verdict verdict = CANARY_GOES_ON;

    begin(&play);
    play.settings.evidence.max_divergence_ppm = 20000;
    for (int i = 0; i < 100 && verdict == CANARY_GOES_ON; i++) {
        play.tick.compared = 10;
        play.tick.differing = 1;
        verdict = tell(&play);
    }
    assert_int_equal(verdict, CANARY_ROLL_BACK);
    assert_int_equal(play.canary.cause, EVIDENCE_DIVERGENCE);
    assert_non_null(strstr(explain(&play), " compared answers differ (allowed: 2%)"));
}

/* ---- promotion ---- */

static enum canary_verdict quiet_until(struct play *play, uint64_t span_us)
{
    enum canary_verdict last = CANARY_GOES_ON;

    for (uint64_t end = play->now + span_us; play->now < end;) {
        enum canary_verdict verdict = requests(play, 0, 0, 0, 0);

        last = verdict == CANARY_GOES_ON ? last : verdict;
    }
    return last;
}

static void test_a_quiet_pool_ramps_by_time_and_waits_for_its_requests(void **state)
{
    struct play play;

    begin(&play);
    assert_int_equal(quiet_until(&play, 3600 * US_PER_SEC), CANARY_GROWS);
    assert_int_equal(canary_share_ppm(&play.canary, &play.settings), RAMP_WHOLE_PPM);
    assert_non_null(strstr(explain(&play), "; waits for 100 requests to be judged by"));
    assert_int_equal(requests(&play, 99, 0, 0, 0), CANARY_GOES_ON);
    assert_int_equal(requests(&play, 1, 0, 0, 0), CANARY_PROMOTE);
    assert_int_equal(canary_share_ppm(&play.canary, &play.settings), RAMP_WHOLE_PPM);
    assert_false(canary_revert(&play.canary));
}

static void test_one_failure_holds_no_step_but_promotion(void **state)
{
    struct play play;

    begin(&play);
    play.settings.min_requests = 5;
    play.settings.evidence.has_control = false;
    requests(&play, 10, 1, 0, 0);
    assert_int_equal(quiet_until(&play, 1200 * US_PER_SEC), CANARY_GROWS);
    assert_int_equal(canary_share_ppm(&play.canary, &play.settings), RAMP_WHOLE_PPM);
    assert_int_equal(requests(&play, 9, 0, 0, 0), CANARY_GOES_ON);
    assert_int_equal(requests(&play, 1, 0, 0, 0), CANARY_PROMOTE);
}

static void test_without_a_ramp_it_is_promoted_at_once(void **state)
{
    struct play play;

    begin(&play);
    play.settings.ramp.steps = 0;
    canary_init(&play.canary, &play.settings, start);
    assert_int_equal(play.canary.state, CANARY_PROMOTED);
    assert_int_equal(canary_share_ppm(&play.canary, &play.settings), RAMP_WHOLE_PPM);
}

static void test_the_operator(void **state)
{
    struct play play;

    begin(&play);
    canary_hold(&play.canary, true);
    assert_int_equal(quiet_until(&play, 600 * US_PER_SEC), CANARY_GOES_ON);
    assert_non_null(strstr(explain(&play), "; held by the operator"));
    for (int i = 0; i < 9; i++)
        assert_int_equal(canary_advance(&play.canary, &play.settings), CANARY_GROWS);
    assert_int_equal(canary_advance(&play.canary, &play.settings), CANARY_PROMOTE);
    begin(&play);
    assert_true(canary_revert(&play.canary));
    assert_string_equal(explain(&play), "by the operator");
    assert_int_equal(canary_advance(&play.canary, &play.settings), CANARY_GOES_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_are_narrow_and_in_order),
        cmocka_unit_test(test_medians),
        cmocka_unit_test(test_two_refusals_decide),
        cmocka_unit_test(test_a_stray_refusal_decides_nothing),
        cmocka_unit_test(test_a_provider_that_refuses_everybody_is_not_the_keys_fault),
        cmocka_unit_test(test_refusals_without_a_witness_wait_for_one),
        cmocka_unit_test(test_many_failures_roll_back_with_a_reason),
        cmocka_unit_test(test_a_bad_minute_holds_the_ramp_and_ends_nothing),
        cmocka_unit_test(test_no_group_depends_on_its_order),
        cmocka_unit_test(test_alone_the_limit_alone_decides),
        cmocka_unit_test(test_who_loses_its_company_is_judged_by_what_comes_then),
        cmocka_unit_test(test_slow_first_bytes_roll_back),
        cmocka_unit_test(test_added_latency_of_a_migration),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_a_quiet_pool_ramps_by_time_and_waits_for_its_requests),
        cmocka_unit_test(test_one_failure_holds_no_step_but_promotion),
        cmocka_unit_test(test_without_a_ramp_it_is_promoted_at_once),
        cmocka_unit_test(test_the_operator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
