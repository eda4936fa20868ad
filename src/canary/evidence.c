#include "canary/evidence.h"

#include <math.h>

#include "canary/evidence_inner.h"
#include "canary/ramp.h"

/* Fortunes that decide. The false alarms and misses that follow stand in docs/canary.md. */
#define EXCESS_DECIDES   100.0
#define AGAINST_DECIDES  10.0
#define ALONE_DECIDES    1000.0 /* excess, where there is nobody to compare with */
#define SLOW_DECIDES     200.0
#define DIVERGED_DECIDES 200.0

/* Refused: as likely as not for a key that is refused, one of 200 for any other. */
#define REFUSED_USUAL   0.005
#define REFUSED_BAD     0.5
#define REFUSED_DECIDES 200.0

enum {
    ALONE_LEAST = 30,      /* requests before anything but a refusal is judged alone */
    UNWITNESSED = 10,      /* refusals that decide although no old key was asked meanwhile */
    USUAL_REQUESTS = 2000, /* of the old keys that are remembered for their usual rate */
    STEP_TIMED = 8,        /* first bytes that a step is judged by */
};

/* ---- too many failures ---- */

/* What a failure adds to the evidence, and what a success does. */
struct gains {
    double failure, success;
};

/* A key's usual rate: of the old keys what they surely have, and never less than a fifth of the
 * limit. */
static double usual_rate(const struct evidence *evidence, double limit)
{
    double failures = evidence->usual_failures - sqrt(evidence->usual_failures);
    double rate = failures > 0 ? failures / evidence->usual_requests : 0;

    rate = rate > limit / 5 ? rate : limit / 5;
    return rate < 0.45 ? rate : 0.45;
}

static double drift(double usual, double bad, double rate)
{
    return rate * log(bad / usual) + (1 - rate) * log((1 - bad) / (1 - usual));
}

/* The bad rate for which one who fails at `still` neither gains nor loses: by bisection, since the
 * drift falls from there on. */
static double bad_rate(double usual, double still)
{
    double low = still, high = 1 - 1e-9;

    for (int i = 0; i < 50; i++) {
        double middle = (low + high) / 2;

        if (drift(usual, middle, still) > 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double limit_of(uint32_t limit_ppm)
{
    double limit = (double)limit_ppm / RAMP_WHOLE_PPM;

    return limit > 1e-4 ? limit : 1e-4;
}

static struct gains gains_of(const struct evidence *evidence,
                             const struct evidence_settings *settings)
{
    double limit = limit_of(settings->max_error_ppm);
    double usual = usual_rate(evidence, limit);
    double still = limit > 2 * usual ? limit : 2 * usual;
    double bad = bad_rate(usual, still < 0.95 ? still : 0.95);

    return (struct gains){log(bad / usual), log((1 - bad) / (1 - usual))};
}

static void judge_excess(struct evidence *evidence, const struct evidence_settings *settings,
                         const struct evidence_arm *canary)
{
    struct gains gains;

    if (settings->max_error_ppm >= RAMP_WHOLE_PPM || canary->requests == 0)
        return;
    gains = gains_of(evidence, settings);
    wager_stake(&evidence->excess, EXCESS_BETS, canary->requests);
    wager_settle(&evidence->excess, 0,
                 canary->failures * gains.failure +
                     (double)(canary->requests - canary->failures) * gains.success);
}

static void learn_usual(struct evidence *evidence, const struct evidence_arm *control)
{
    double keep = exp(-(double)control->requests / USUAL_REQUESTS);

    evidence->usual_requests = evidence->usual_requests * keep + control->requests;
    evidence->usual_failures = evidence->usual_failures * keep + control->failures;
}

/* ---- refused ---- */

static void judge_refused(struct evidence *evidence, const struct evidence_tick *tick)
{
    double refused = tick->canary.refused, others = tick->canary.requests - refused;
    double score = evidence->refused_score + refused * log(REFUSED_BAD / REFUSED_USUAL) +
                   others * log((1 - REFUSED_BAD) / (1 - REFUSED_USUAL));

    if (score <= 0) {
        evidence->refused_score = 0;
        evidence->run_refused = evidence->run_answered = evidence->run_doubts = 0;
        return;
    }
    evidence->refused_score = score < 1e9 ? score : 1e9;
    evidence->run_refused += tick->canary.refused;
    evidence->run_answered += tick->control.requests - tick->control.refused;
    evidence->run_doubts += tick->control.refused;
}

/* The provider may be refusing everybody. */
static bool is_refused(const struct evidence *evidence, const struct evidence_settings *settings)
{
    if (evidence->refused_score < log(REFUSED_DECIDES))
        return false;
    if (!settings->has_control || evidence->run_answered > evidence->run_doubts)
        return true;
    return evidence->run_answered == 0 && evidence->run_doubts == 0 &&
           evidence->run_refused >= UNWITNESSED;
}

/* ---- divergence ---- */

static const double divergences[DIVERGED_BETS] = {1.5, 2.5, 6};

static void judge_divergence(struct evidence *evidence, const struct evidence_settings *settings,
                             const struct evidence_tick *tick)
{
    double limit = limit_of(settings->max_divergence_ppm);

    if (settings->max_divergence_ppm >= RAMP_WHOLE_PPM || tick->compared == 0)
        return;
    wager_stake(&evidence->diverged, DIVERGED_BETS, tick->compared);
    for (int i = 0; i < DIVERGED_BETS; i++) {
        double share = limit * divergences[i];

        /* Where there is little room above the limit, within it. */
        if (share > 0.99)
            share = limit + (1 - limit) * (0.3 * (i + 1));
        wager_settle(&evidence->diverged, i,
                     tick->differing * log(share / limit) +
                         (double)(tick->compared - tick->differing) *
                             log((1 - share) / (1 - limit)));
    }
}

/* ---- adding ---- */

static uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void cut_arm(struct evidence_arm *arm)
{
    arm->failures = least_of(arm->failures, arm->requests);
    arm->refused = least_of(arm->refused, arm->failures);
}

static void total(struct evidence_totals *totals, const struct evidence_arm *arm)
{
    totals->requests += arm->requests;
    totals->failures += arm->failures;
    totals->refused += arm->refused;
    totals->timed += latency_count(arm->latencies);
    totals->latency_ln_sum += latency_ln_sum(arm->latencies);
}

void evidence_init(struct evidence *evidence)
{
    *evidence = (struct evidence){.is_alone = false};
    wager_init(&evidence->excess, EXCESS_BETS);
    wager_init(&evidence->against, AGAINST_BETS);
    wager_init(&evidence->slow, SLOW_BETS);
    wager_init(&evidence->diverged, DIVERGED_BETS);
}

void evidence_add(struct evidence *evidence, const struct evidence_settings *settings,
                  const struct evidence_tick *given)
{
    struct evidence_tick tick = *given;

    cut_arm(&tick.canary);
    cut_arm(&tick.control);
    tick.differing = least_of(tick.differing, tick.compared);
    total(&evidence->canary, &tick.canary);
    total(&evidence->control, &tick.control);
    evidence->compared += tick.compared;
    evidence->differing += tick.differing;
    evidence->step.requests += tick.canary.requests;
    evidence->step.failures += tick.canary.failures;
    evidence->step.compared += tick.compared;
    evidence->step.differing += tick.differing;
    learn_usual(evidence, &tick.control);
    judge_refused(evidence, &tick);
    judge_excess(evidence, settings, &tick.canary);
    judge_divergence(evidence, settings, &tick);
    pairs_add(evidence, settings, &tick);
}

void evidence_begin_step(struct evidence *evidence)
{
    evidence->step = (struct evidence_step){.requests = 0};
}

/* ---- verdicts ---- */

static bool has_failed(const struct evidence *evidence, const struct evidence_settings *settings)
{
    double excess = wager_ln(&evidence->excess, EXCESS_BETS);

    if (!settings->has_control || evidence->is_alone)
        return excess >= log(ALONE_DECIDES) && evidence->canary.requests >= ALONE_LEAST;
    return excess >= log(EXCESS_DECIDES) &&
           wager_ln(&evidence->against, AGAINST_BETS) >= log(AGAINST_DECIDES);
}

enum evidence_cause evidence_loss(const struct evidence *evidence,
                                  const struct evidence_settings *settings)
{
    if (is_refused(evidence, settings))
        return EVIDENCE_REFUSED;
    if (has_failed(evidence, settings))
        return EVIDENCE_ERRORS;
    if (wager_ln(&evidence->slow, SLOW_BETS) >= log(SLOW_DECIDES))
        return EVIDENCE_LATENCY;
    if (wager_ln(&evidence->diverged, DIVERGED_BETS) >= log(DIVERGED_DECIDES))
        return EVIDENCE_DIVERGENCE;
    return EVIDENCE_NOTHING;
}

static bool is_over(uint64_t part, uint64_t whole, uint32_t limit_ppm)
{
    return limit_ppm < RAMP_WHOLE_PPM && (double)part > (double)whole * limit_ppm / RAMP_WHOLE_PPM;
}

enum evidence_cause evidence_gate(const struct evidence *evidence,
                                  const struct evidence_settings *settings)
{
    const struct evidence_step *step = &evidence->step;

    if (step->failures > 1 && is_over(step->failures, step->requests, settings->max_error_ppm))
        return EVIDENCE_ERRORS;
    if (step->timed >= STEP_TIMED && step->slow > step->timed / 2)
        return EVIDENCE_LATENCY;
    if (step->differing > 1 &&
        is_over(step->differing, step->compared, settings->max_divergence_ppm))
        return EVIDENCE_DIVERGENCE;
    return EVIDENCE_NOTHING;
}

enum evidence_cause evidence_doubt(const struct evidence *evidence,
                                   const struct evidence_settings *settings)
{
    if (is_over(evidence->canary.failures, evidence->canary.requests, settings->max_error_ppm))
        return EVIDENCE_ERRORS;
    if (is_over(evidence->differing, evidence->compared, settings->max_divergence_ppm))
        return EVIDENCE_DIVERGENCE;
    return EVIDENCE_NOTHING;
}

const char *evidence_cause_text(enum evidence_cause cause)
{
    static const char *const texts[EVIDENCE_CAUSES] = {
        [EVIDENCE_NOTHING] = "nothing",       [EVIDENCE_REFUSED] = "refused",
        [EVIDENCE_ERRORS] = "errors",         [EVIDENCE_LATENCY] = "latency",
        [EVIDENCE_DIVERGENCE] = "divergence",
    };

    return texts[cause];
}
