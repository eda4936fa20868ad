/*
 * Thousands of histories, each from its seed: any settings, any traffic, a clock that jumps, a
 * store between, an operator. After every tick what must always hold is checked.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "canary/state.h"
#include "canary/weights.h"
#include "traffic.h"

enum { HISTORIES = 4000, TICKS = 400 };

struct history {
    struct canary_settings settings;
    struct canary canary;
    struct rand rand;
    uint64_t now, watched; /* time that may have counted for this step */
    uint64_t seen;         /* the canary's requests */
    uint32_t fails_ppm;
    bool is_over;
};

static uint64_t below(struct history *history, uint64_t most)
{
    return rand_below(&history->rand, most);
}

static bool one_in(struct history *history, uint64_t n)
{
    return below(history, n) == 0;
}

static uint32_t any_ppm(struct history *history)
{
    static const uint32_t some[] = {0, 1, 1000, 50000, 500000, 999999, 1000000, UINT32_MAX};

    return one_in(history, 2) ? some[below(history, 8)] : (uint32_t)below(history, 1000001);
}

static void any_settings(struct history *history)
{
    struct canary_settings *settings = &history->settings;
    uint64_t every_us = below(history, 30) * US_PER_SEC;

    *settings = traffic_defaults();
    if (one_in(history, 2))
        settings->ramp = ramp_in_steps(any_ppm(history), (uint32_t)below(history, 12), every_us);
    else
        settings->ramp = ramp_in_strides(any_ppm(history), any_ppm(history),
                                         below(history, 60) * US_PER_SEC, every_us);
    settings->min_requests = below(history, 200);
    settings->evidence.has_control = !one_in(history, 5);
    if (one_in(history, 2))
        settings->evidence.max_error_ppm = any_ppm(history);
    if (one_in(history, 2))
        settings->evidence.max_divergence_ppm = any_ppm(history);
    if (one_in(history, 2))
        settings->evidence.max_added_latency_ms = (uint32_t)below(history, 100000);
    if (one_in(history, 3))
        settings->evidence.max_latency_milli = (uint32_t)rand_u64(&history->rand);
}

static void any_arm(struct history *history, struct evidence_arm *ret_arm)
{
    bool is_huge = one_in(history, 200);

    ret_arm->requests = (uint32_t)(is_huge ? rand_u64(&history->rand) : below(history, 12));
    for (uint32_t i = 0; i < ret_arm->requests && i < 12; i++)
        ret_arm->failures += below(history, 1000000) < history->fails_ppm;
    if (one_in(history, 50))
        ret_arm->refused = (uint32_t)below(history, 4);
    if (is_huge)
        ret_arm->failures = (uint32_t)rand_u64(&history->rand);
    for (uint32_t i = ret_arm->failures; i < ret_arm->requests && i < 12; i++)
        ret_arm->latencies[below(history, LATENCY_BUCKETS)] += is_huge ? UINT32_MAX / 2 : 1;
}

static void pass_time(struct history *history)
{
    uint64_t step = below(history, 2000) * US_PER_MS;

    if (one_in(history, 60))
        history->now += 86400 * US_PER_SEC;
    else if (one_in(history, 60))
        history->now = below(history, history->now + 1);
    else
        history->now += step;
    if (one_in(history, 2000))
        history->now = UINT64_MAX - below(history, 5);
}

static void check_numbers(const struct evidence *evidence)
{
    const struct wager *wagers[] = {&evidence->excess, &evidence->against, &evidence->alone,
                                    &evidence->slow, &evidence->diverged};

    for (size_t i = 0; i < 5; i++) {
        for (int k = 0; k < WAGER_BETS; k++)
            assert_true(isfinite(wagers[i]->ln[k]));
    }
    assert_true(isfinite(evidence->usual.requests) && isfinite(evidence->lately.requests));
    assert_true(evidence->usual.failures <= evidence->usual.requests);
    assert_true(evidence->lately.failures <= evidence->lately.requests);
    assert_true(isfinite(evidence->refused_score) && evidence->refused_score >= 0);
    assert_true(evidence->canary.failures <= evidence->canary.requests);
    assert_true(evidence->canary.refused <= evidence->canary.failures);
    assert_true(evidence->step.requests <= evidence->canary.requests);
    assert_true(evidence->step.times.slow <= evidence->step.times.timed + 1e-6);
}

/* The share moves up one step at a time, and down only to nothing. */
static void check_verdict(struct history *history, const struct canary *before,
                          enum canary_verdict verdict)
{
    const struct canary *canary = &history->canary;
    const struct canary_settings *settings = &history->settings;
    uint32_t was = canary_share_ppm(before, settings), is = canary_share_ppm(canary, settings);

    if (history->is_over)
        assert_int_equal(verdict, CANARY_GOES_ON);
    switch (verdict) {
    case CANARY_GOES_ON:
        assert_int_equal(was, is);
        assert_int_equal(before->state, canary->state);
        assert_int_equal(before->ramp.step, canary->ramp.step);
        break;
    case CANARY_GROWS:
        assert_int_equal(canary->ramp.step, before->ramp.step + 1);
        assert_true(is >= was);
        assert_int_equal(canary->evidence.step.requests, 0);
        break;
    case CANARY_PROMOTE:
        assert_int_equal(is, RAMP_WHOLE_PPM);
        assert_true(canary->evidence.canary.requests >= settings->min_requests);
        assert_int_equal(evidence_loss(&canary->evidence, &settings->evidence), EVIDENCE_NOTHING);
        assert_int_equal(evidence_doubt(&canary->evidence, &settings->evidence), EVIDENCE_NOTHING);
        break;
    case CANARY_ROLL_BACK:
        assert_int_equal(is, 0);
        assert_int_not_equal(canary->cause, EVIDENCE_NOTHING);
        break;
    }
    history->is_over = canary->state != CANARY_RAMPING;
}

/* A step never took less watched time than it should. */
static void check_time(struct history *history, const struct canary *before, uint64_t was_us,
                       enum canary_verdict verdict)
{
    const struct ramp_settings *ramp = &history->settings.ramp;
    uint64_t gone_us = history->now > was_us ? history->now - was_us : 0;

    history->watched += gone_us < RAMP_TICK_MAX_US ? gone_us : RAMP_TICK_MAX_US;
    if (verdict != CANARY_GROWS && verdict != CANARY_PROMOTE)
        return;
    assert_true(history->watched >= (before->ramp.step ? ramp->every_us : ramp->first_us));
    history->watched = 0;
}

static void store_and_load(struct history *history)
{
    struct canary copy;
    struct buf buf;

    buf_init(&buf, CANARY_STATE_BYTES);
    assert_int_equal(canary_write(&history->canary, &buf), 0);
    assert_int_equal(canary_read(buf_span(&buf), history->now, &copy), 0);
    assert_int_equal(copy.state, history->canary.state);
    assert_int_equal(copy.ramp.step, history->canary.ramp.step);
    assert_int_equal(canary_share_ppm(&copy, &history->settings),
                     canary_share_ppm(&history->canary, &history->settings));
    history->canary = copy;
    buf_fini(&buf);
}

static void check_weights(struct history *history)
{
    uint32_t place = (uint32_t)below(history, 100000);
    struct canary_weights weights =
        canary_weigh(canary_share_ppm(&history->canary, &history->settings), place, 0, true);

    assert_int_equal(weights.canary_milli + weights.predecessor_milli, place);
    if (history->canary.state == CANARY_ROLLED_BACK)
        assert_int_equal(weights.predecessor_milli, place);
    if (history->canary.state == CANARY_PROMOTED)
        assert_int_equal(weights.predecessor_milli, 0);
}

static void one_tick(struct history *history)
{
    struct evidence_tick tick = {.compared = (uint32_t)below(history, 3)};
    struct canary before = history->canary;
    char text[CANARY_EXPLAIN_BYTES];
    uint64_t was_us = history->canary.ramp.last_us;
    enum canary_verdict verdict;
    size_t len;

    any_arm(history, &tick.canary);
    any_arm(history, &tick.control);
    tick.differing = (uint32_t)below(history, 4);
    pass_time(history);
    verdict = canary_tick(&history->canary, &history->settings, one_in(history, 3) ? NULL : &tick,
                          history->now);
    check_verdict(history, &before, verdict);
    check_time(history, &before, was_us, verdict);
    check_numbers(&history->canary.evidence);
    check_weights(history);
    len = canary_explain(&history->canary, &history->settings, text);
    assert_int_equal(len, strlen(text));
    if (one_in(history, 40))
        store_and_load(history);
}

static void test_histories(void **state)
{
    uint32_t ends[CANARY_STATES] = {0};

    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct history history = {.now = 777 * US_PER_SEC};

        rand_init(&history.rand, seed);
        any_settings(&history);
        history.fails_ppm = (uint32_t)below(&history, one_in(&history, 2) ? 1000000 : 20000);
        canary_init(&history.canary, &history.settings, history.now);
        history.is_over = history.canary.state != CANARY_RAMPING;
        for (int i = 0; i < TICKS && (i < 5 || !history.is_over); i++)
            one_tick(&history);
        ends[history.canary.state]++;
    }
    /* They tell of all of them. */
    for (int i = 0; i < CANARY_STATES; i++)
        assert_true(ends[i] > HISTORIES / 50);
}

/* Whatever the clock does, a good key is promoted in the time that was watched. */
static void test_no_clock_holds_a_good_key_up(void **state)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct history history = {.now = 777 * US_PER_SEC};
        struct evidence_tick tick = {.canary = {.requests = 1}, .control = {.requests = 9}};
        uint64_t ticks = 0;

        rand_init(&history.rand, seed);
        history.settings = traffic_defaults();
        canary_init(&history.canary, &history.settings, history.now);
        while (history.canary.state == CANARY_RAMPING) {
            pass_time(&history);
            canary_tick(&history.canary, &history.settings, &tick, history.now);
            ticks++;
            /* 600 s at a second a tick on average, but for those in which the clock stood wrong. */
            assert_true(ticks < 1000);
        }
        assert_true(ticks > 300);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_no_clock_holds_a_good_key_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
