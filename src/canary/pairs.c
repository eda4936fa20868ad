#include <math.h>
#include <string.h>

#include "canary/evidence_inner.h"

const struct wager_plan against_plan = {2, {0.2, 0.8}};
const struct wager_plan slow_plan = {4, {0.25, 0.25, 0.25, 0.25}};

/* Odds ratios that are betted on. */
static const double odds_ratios[WAGER_BETS] = {3, 10};

/* What share of a slow canary's first bytes may come too late. */
static const double late_shares[WAGER_BETS] = {0.55, 0.62, 0.72, 0.86};

static uint32_t sum_of(uint32_t a, uint32_t b)
{
    return b < UINT32_MAX - a ? a + b : UINT32_MAX;
}

static void merge(struct evidence_arm *arm, const struct evidence_arm *more)
{
    if (more->requests == 0)
        return;
    arm->requests = sum_of(arm->requests, more->requests);
    arm->failures = sum_of(arm->failures, more->failures);
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        arm->latencies[i] = sum_of(arm->latencies[i], more->latencies[i]);
}

/* Of N requests n are the canary's, of F failures it has f. If all are equal, f is hypergeometric,
 * and the mean of ratio^f is at most that of a binomial: of F draws at n/N, and also of n at F/N.
 */
static double gain_of(const struct evidence *evidence, double ratio)
{
    double n = evidence->group_canary.requests, f = evidence->group_canary.failures;
    double all = n + evidence->group_control.requests;
    double failed = f + evidence->group_control.failures;
    double by_failure = failed * log1p(n / all * (ratio - 1));
    double by_request = n * log1p(failed / all * (ratio - 1));

    return f * log(ratio) - (by_failure < by_request ? by_failure : by_request);
}

static void judge_failures(struct evidence *evidence)
{
    wager_stake(&evidence->against, &against_plan, evidence->group_canary.requests);
    for (int i = 0; i < against_plan.bets; i++)
        wager_settle(&evidence->against, i, gain_of(evidence, odds_ratios[i]));
}

/* The latest first byte that is still allowed beside that median; UINT64_MAX: any. */
static uint64_t bound_of(const struct evidence_settings *settings, uint64_t median_us)
{
    uint64_t bound_us = UINT64_MAX;

    if (settings->max_latency_milli != EVIDENCE_NO_LIMIT)
        bound_us = median_us * settings->max_latency_milli / 1000;
    if (settings->max_added_latency_ms != EVIDENCE_NO_LIMIT) {
        uint64_t sum_us = median_us + (uint64_t)settings->max_added_latency_ms * 1000;

        bound_us = sum_us < bound_us ? sum_us : bound_us;
    }
    return bound_us;
}

static void count_times(struct evidence_times *times, double timed, double slow)
{
    times->timed += timed;
    times->slow += slow;
}

/* All of a group are held against one median, which a few of the old keys' requests make: their
 * results hang together, and count as many as a comparison of two samples is worth. */
static void judge_latencies(struct evidence *evidence, const struct evidence_settings *settings)
{
    double canary = (double)latency_count(evidence->group_canary.latencies);
    double control = (double)latency_count(evidence->group_control.latencies);
    uint64_t bound_us;
    double late, weight;

    if (canary < 1 || control < 1)
        return;
    bound_us = bound_of(settings, latency_of(latency_median(evidence->group_control.latencies)));
    if (bound_us == UINT64_MAX)
        return;
    late = (double)latency_above(evidence->group_canary.latencies, bound_us);
    weight = control / (canary + control);
    wager_stake(&evidence->slow, &slow_plan, (uint64_t)canary);
    for (int i = 0; i < slow_plan.bets; i++) {
        double share = late_shares[i];

        wager_settle(&evidence->slow, i,
                     weight * (late * log(2 * share) + (canary - late) * log(2 * (1 - share))));
    }
    count_times(&evidence->times, weight * canary, weight * late);
    count_times(&evidence->step.times, weight * canary, weight * late);
}

static void clear_group(struct evidence *evidence)
{
    memset(&evidence->group_canary, 0, sizeof(evidence->group_canary));
    memset(&evidence->group_control, 0, sizeof(evidence->group_control));
}

/* At the end of a ramp many of the old keys' requests are those that the canary failed before: they
 * come as often as it fails, and in small groups that looks like a difference. */
static uint32_t least_of(const struct evidence_arm *canary, const struct evidence_arm *control)
{
    return control->requests >= canary->requests / 4 ? GROUP_LEAST : GROUP_SCARCE;
}

/* When a group ends depends on how many requests it has, never on how they went. */
void pairs_add(struct evidence *evidence, const struct evidence_settings *settings,
               const struct evidence_tick *tick)
{
    const struct evidence_arm *canary = &evidence->group_canary,
                              *control = &evidence->group_control;

    merge(&evidence->group_canary, &tick->canary);
    merge(&evidence->group_control, &tick->control);
    if (control->requests > 0)
        evidence->is_alone = false;
    if (canary->requests > 0 && control->requests > 0) {
        if (sum_of(canary->requests, control->requests) < least_of(canary, control))
            return;
        judge_failures(evidence);
        judge_latencies(evidence, settings);
    } else if (canary->requests >= GROUP_ALONE) {
        evidence->is_alone = true;
    } else if (control->requests < GROUP_UNSEEN) {
        return;
    }
    clear_group(evidence);
}
