#include "canary/evidence.h"

#include <math.h>

#include "canary/evidence_inner.h"
#include "canary/ramp.h"

/* Fortunes that decide. The false alarms and misses that follow stand in docs/canary.md. */
#define EXCESS_DECIDES   100.0
#define ALONE_DECIDES    10000.0
#define SLOW_DECIDES     200.0
#define DIVERGED_DECIDES 200.0

/* The old keys' failures tell how much a comparison with them must say: little where hardly any of
 * their requests fail, since then the limit's own test is as good as sure. */
#define AGAINST_LEAST 25.0
#define AGAINST_MOST  300.0
#define AGAINST_POWER 2.0

/* Refused: as likely as not for a key that is refused, one of 200 for any other. */
#define REFUSED_USUAL   0.005
#define REFUSED_BAD     0.5
#define REFUSED_DECIDES 200.0

/* Of the old keys' requests: how many are remembered, and what is taken for known beforehand. */
#define USUAL_REQUESTS  2000.0
#define LATELY_REQUESTS 300.0
#define KNOWN_REQUESTS  200.0 /* at the rate that is usual by the limit */

enum {
    ALONE_LEAST = 30, /* requests before failures are judged alone */
    UNWITNESSED = 10, /* refusals that decide although no old key was asked meanwhile */
    STEP_TIMED = 30,  /* first bytes that hold a step */
    RAMP_TIMED = 8,   /* first bytes that hold promotion */
};

static const struct wager_plan excess_plan = {1, {1}};
static const struct wager_plan diverged_plan = {3, {0.4, 0.3, 0.3}};

/* ---- too many failures ---- */

/* What a failure adds to the evidence, and what a success does. */
struct gains {
    double failure, success;
};

static double limit_of(uint32_t limit_ppm)
{
    double limit = (double)limit_ppm / RAMP_WHOLE_PPM;

    return limit > 1e-4 ? limit : 1e-4;
}

/* What is usual by the limit: a fifth of it. */
static double floor_of(const struct evidence_settings *settings)
{
    return limit_of(settings->max_error_ppm) / 5;
}

static double rate_of(const struct evidence_memory *memory, double floor)
{
    return (memory->failures + KNOWN_REQUESTS * floor) / (memory->requests + KNOWN_REQUESTS);
}

static double usual_rate(const struct evidence *evidence, const struct evidence_settings *settings)
{
    double floor = floor_of(settings), rate = rate_of(&evidence->usual, floor);

    rate = rate > floor ? rate : floor;
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

    for (int i = 0; i < 36; i++) {
        double middle = (low + high) / 2;

        if (drift(usual, middle, still) > 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static struct gains gains_of(double usual, double limit)
{
    double still = limit > 2 * usual ? limit : 2 * usual;
    double bad = bad_rate(usual, still < 0.95 ? still : 0.95);

    return (struct gains){log(bad / usual), log((1 - bad) / (1 - usual))};
}

static bool is_alone(const struct evidence *evidence, const struct evidence_settings *settings)
{
    return !settings->has_control || evidence->is_alone;
}

static void bet_on_excess(struct wager *wager, const struct evidence_arm *arm, struct gains gains)
{
    wager_stake(wager, &excess_plan, arm->requests);
    wager_settle(wager, 0,
                 arm->failures * gains.failure +
                     (double)(arm->requests - arm->failures) * gains.success);
}

/* Alone, the limit is the limit: a bad time that all shared before does not raise it. */
static void judge_excess(struct evidence *evidence, const struct evidence_settings *settings,
                         const struct evidence_arm *canary)
{
    double limit = limit_of(settings->max_error_ppm), usual = usual_rate(evidence, settings);

    if (settings->max_error_ppm >= RAMP_WHOLE_PPM || canary->requests == 0)
        return;
    bet_on_excess(&evidence->excess, canary, gains_of(usual, limit));
    if (is_alone(evidence, settings))
        bet_on_excess(&evidence->alone, canary,
                      gains_of(usual < limit / 2 ? usual : limit / 2, limit));
}

static void remember(struct evidence_memory *memory, const struct evidence_arm *arm, double span)
{
    double keep = exp(-(double)arm->requests / span);

    memory->requests = memory->requests * keep + arm->requests;
    memory->failures = memory->failures * keep + arm->failures;
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

static const double divergences[WAGER_BETS] = {1.5, 2.5, 6};

static void judge_divergence(struct evidence *evidence, const struct evidence_settings *settings,
                             const struct evidence_tick *tick)
{
    double limit = limit_of(settings->max_divergence_ppm);

    if (settings->max_divergence_ppm >= RAMP_WHOLE_PPM || tick->compared == 0)
        return;
    wager_stake(&evidence->diverged, &diverged_plan, tick->compared);
    for (int i = 0; i < diverged_plan.bets; i++) {
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
    if (arm->requests == 0)
        return;
    totals->requests += arm->requests;
    totals->failures += arm->failures;
    totals->refused += arm->refused;
    totals->timed += latency_count(arm->latencies);
    totals->latency_ln_sum += latency_ln_sum(arm->latencies);
}

void evidence_init(struct evidence *evidence)
{
    *evidence = (struct evidence){.is_alone = false};
    wager_init(&evidence->excess, &excess_plan);
    wager_init(&evidence->alone, &excess_plan);
    wager_init(&evidence->against, &against_plan);
    wager_init(&evidence->slow, &slow_plan);
    wager_init(&evidence->diverged, &diverged_plan);
}

void evidence_add(struct evidence *evidence, const struct evidence_settings *settings,
                  const struct evidence_tick *tick)
{
    struct evidence_tick known = *tick;

    cut_arm(&known.canary);
    cut_arm(&known.control);
    known.differing = least_of(known.differing, known.compared);
    total(&evidence->canary, &known.canary);
    total(&evidence->control, &known.control);
    evidence->compared += known.compared;
    evidence->differing += known.differing;
    evidence->step.requests += known.canary.requests;
    evidence->step.failures += known.canary.failures;
    evidence->step.compared += known.compared;
    evidence->step.differing += known.differing;
    remember(&evidence->usual, &known.control, USUAL_REQUESTS);
    remember(&evidence->lately, &known.control, LATELY_REQUESTS);
    judge_refused(evidence, &known);
    judge_excess(evidence, settings, &known.canary);
    judge_divergence(evidence, settings, &known);
    pairs_add(evidence, settings, &known);
}

void evidence_begin_step(struct evidence *evidence)
{
    evidence->step = (struct evidence_step){.requests = 0};
}

/* ---- verdicts ---- */

static double against_decides(const struct evidence *evidence,
                              const struct evidence_settings *settings)
{
    double floor = floor_of(settings);
    double usual = rate_of(&evidence->usual, floor), lately = rate_of(&evidence->lately, floor);
    double times = (usual > lately ? usual : lately) / floor;
    double decides = AGAINST_LEAST * (times > 1 ? pow(times, AGAINST_POWER) : 1);

    return decides < AGAINST_MOST ? decides : AGAINST_MOST;
}

static bool is_over(uint64_t part, uint64_t whole, uint32_t limit_ppm)
{
    return limit_ppm < RAMP_WHOLE_PPM && (double)part > (double)whole * limit_ppm / RAMP_WHOLE_PPM;
}

/* More than half, by that many times the square root of the number: at the last step there may be
 * nobody left to compare with, and what a few requests said at its beginning would stand. */
static bool is_slow(const struct evidence_times *times, double least, double margin)
{
    return times->timed >= least && times->slow > times->timed / 2 + margin * sqrt(times->timed);
}

static bool is_step_over(const struct evidence *evidence, const struct evidence_settings *settings)
{
    const struct evidence_step *step = &evidence->step;

    return step->failures > 1 && is_over(step->failures, step->requests, settings->max_error_ppm);
}

/* Alone a run of bad luck is not enough: the whole step must be over the limit. */
static bool has_failed(const struct evidence *evidence, const struct evidence_settings *settings)
{
    if (is_alone(evidence, settings))
        return wager_ln(&evidence->alone, &excess_plan) >= log(ALONE_DECIDES) &&
               evidence->canary.requests >= ALONE_LEAST && is_step_over(evidence, settings);
    return wager_ln(&evidence->excess, &excess_plan) >= log(EXCESS_DECIDES) &&
           wager_ln(&evidence->against, &against_plan) >= log(against_decides(evidence, settings));
}

enum evidence_cause evidence_loss(const struct evidence *evidence,
                                  const struct evidence_settings *settings)
{
    if (is_refused(evidence, settings))
        return EVIDENCE_REFUSED;
    if (has_failed(evidence, settings))
        return EVIDENCE_ERRORS;
    if (wager_ln(&evidence->slow, &slow_plan) >= log(SLOW_DECIDES))
        return EVIDENCE_LATENCY;
    if (wager_ln(&evidence->diverged, &diverged_plan) >= log(DIVERGED_DECIDES))
        return EVIDENCE_DIVERGENCE;
    return EVIDENCE_NOTHING;
}

enum evidence_cause evidence_gate(const struct evidence *evidence,
                                  const struct evidence_settings *settings)
{
    const struct evidence_step *step = &evidence->step;

    if (is_step_over(evidence, settings))
        return EVIDENCE_ERRORS;
    if (is_slow(&step->times, STEP_TIMED, 0.8))
        return EVIDENCE_LATENCY;
    if (step->differing > 1 &&
        is_over(step->differing, step->compared, settings->max_divergence_ppm))
        return EVIDENCE_DIVERGENCE;
    if (settings->needs_comparisons && evidence->compared == 0)
        return EVIDENCE_UNMEASURED;
    return EVIDENCE_NOTHING;
}

enum evidence_cause evidence_doubt(const struct evidence *evidence,
                                   const struct evidence_settings *settings)
{
    if (is_over(evidence->canary.failures, evidence->canary.requests, settings->max_error_ppm))
        return EVIDENCE_ERRORS;
    if (is_slow(&evidence->times, RAMP_TIMED, 0))
        return EVIDENCE_LATENCY;
    if (is_over(evidence->differing, evidence->compared, settings->max_divergence_ppm))
        return EVIDENCE_DIVERGENCE;
    return EVIDENCE_NOTHING;
}

const char *evidence_cause_text(enum evidence_cause cause)
{
    static const char *const texts[EVIDENCE_CAUSES] = {
        [EVIDENCE_NOTHING] = "nothing",       [EVIDENCE_REFUSED] = "refused",
        [EVIDENCE_ERRORS] = "errors",         [EVIDENCE_LATENCY] = "latency",
        [EVIDENCE_DIVERGENCE] = "divergence", [EVIDENCE_UNMEASURED] = "unmeasured",
    };

    return texts[cause];
}
