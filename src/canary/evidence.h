/*
 * What speaks for and against a canary: its failures and latencies against those of the old keys in
 * the same minutes. Four questions are asked, each by a test that may be looked at any time and as
 * often as one likes (canary/wager.h), so that a clear loss ends the trial early and noise does
 * not:
 *
 * - Refused: 401, or a 403 that blames the key. Such failures are not noise. Two of a few requests
 *   decide, if the provider answered an old key meanwhile.
 * - Too many failures. Wald's sequential probability ratio test: a failure adds evidence, a success
 *   takes some away, by amounts for which a key that fails at exactly max_error_rate stands still.
 *   Whoever fails more comes to the bound sooner or later, whoever fails less only by noise. What
 * is usual is a fifth of max_error_rate, or the old keys' own rate where it is surely higher; then
 *   the rate that stands still is at least twice that.
 * - More failures than the old keys. Requests of the same moments are put together; of the failures
 *   among them the canary should have its share of the requests, whatever the common rate of
 * failing was just then: a bad minute of the provider is no evidence (Fisher's conditional test
 * made sequential: a bet on the odds ratio; the normalizer is the binomial's, which Hoeffding's
 * theorem allows). A key is failed by errors only where this and the one before agree, but where no
 * old keys are there to compare.
 * - Slower. In each group of requests of the same moments the canary's first bytes are held against
 *   the old keys' median there, times max_latency_ratio: more than half of them later is a loss (a
 *   sequential sign test). It does not depend on the distribution's form, so no tail is too heavy.
 *
 * For a migration also: of compared pairs of answers, more that differ than max_divergence.
 * Embedded in a canary; the control thread. Pure.
 */
#ifndef CANARY_EVIDENCE_H
#define CANARY_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "canary/latency.h"
#include "canary/wager.h"

#define EVIDENCE_NO_LIMIT UINT32_MAX

struct evidence_settings {
    uint32_t max_error_ppm;        /* 1,000,000 and more: not judged */
    uint32_t max_latency_milli;    /* ratio in thousandths; EVIDENCE_NO_LIMIT: not judged */
    uint32_t max_added_latency_ms; /* EVIDENCE_NO_LIMIT: not judged */
    uint32_t max_divergence_ppm;   /* 1,000,000 and more: not judged */
    bool has_control;              /* there are old keys that get traffic */
    bool needs_comparisons;        /* without any the gate is shut */
};

/* The requests of one arm: the canary, or all old keys (the control). One counts once it is known
 * how it went, at its first byte or when it failed; those whose failure the key is not to blame for
 * are left out. More failures than requests are cut to them. */
struct evidence_arm {
    uint32_t requests;
    uint32_t failures;                   /* that the key is to blame for */
    uint32_t refused;                    /* of those: 401, or 403 that blames the key */
    uint32_t latencies[LATENCY_BUCKETS]; /* from sending to the first byte */
};

/* What has become known since the last tick: sums over all workers, of failures and successes
 * alike. When a failure is told at once, all counters are summed then: a failure without the
 * successes beside it would be evidence of nothing. */
struct evidence_tick {
    struct evidence_arm canary, control;
    uint32_t compared, differing; /* pairs of answers (migrations) */
};

enum evidence_cause {
    EVIDENCE_NOTHING,
    EVIDENCE_REFUSED,
    EVIDENCE_ERRORS,
    EVIDENCE_LATENCY,
    EVIDENCE_DIVERGENCE,
    EVIDENCE_UNMEASURED, /* of a gate alone: nothing was compared, and it should be */
    EVIDENCE_CAUSES,
};

/* All of one arm since the ramp began, for people. */
struct evidence_totals {
    uint64_t requests, failures, refused;
    uint64_t timed;        /* how many have a latency */
    double latency_ln_sum; /* the sum of their logarithms */
};

/* What the sign test has seen, weighed: first bytes, and of those how many came too late. */
struct evidence_times {
    double timed, slow;
};

/* Since the step began. */
struct evidence_step {
    uint64_t requests, failures;
    uint64_t compared, differing;
    struct evidence_times times;
};

/* Requests that fade as others come. */
struct evidence_memory {
    double requests, failures;
};

/* To be stored and loaded by canary/state.c, but for the group that is being filled. */
struct evidence {
    struct evidence_totals canary, control;
    uint64_t compared, differing;
    struct evidence_times times;
    struct evidence_step step;

    struct evidence_memory usual, lately; /* of the old keys */
    struct wager excess;                  /* too many failures */
    struct wager alone;                   /* the same, while there is nobody to compare with */
    struct wager against;                 /* more failures than the old keys */
    struct wager slow;
    struct wager diverged;

    double refused_score;  /* 0: none lately */
    uint64_t run_refused;  /* the canary's, since the score left 0 */
    uint64_t run_answered; /* the old keys', meanwhile */
    uint64_t run_doubts;   /* how often they were refused themselves, meanwhile */

    bool is_alone; /* for long no old key had a request to compare with */
    struct evidence_arm group_canary, group_control;
};

void evidence_init(struct evidence *evidence);

/* Adds what has become known. Order within a tick does not matter, and no number is too large. */
void evidence_add(struct evidence *evidence, const struct evidence_settings *settings,
                  const struct evidence_tick *tick);

/* The ramp has taken a step. */
void evidence_begin_step(struct evidence *evidence);

/* Why the canary has lost; EVIDENCE_NOTHING where it has not. */
enum evidence_cause evidence_loss(const struct evidence *evidence,
                                  const struct evidence_settings *settings);

/* What keeps this step from being followed by the next: more of its requests failed than
 * max_error_rate (a single one never does), clearly more than half were too slow, more answers
 * differ. EVIDENCE_NOTHING where the gate is open. */
enum evidence_cause evidence_gate(const struct evidence *evidence,
                                  const struct evidence_settings *settings);

/* The same for the whole ramp: what keeps it from being promoted. */
enum evidence_cause evidence_doubt(const struct evidence *evidence,
                                   const struct evidence_settings *settings);

/* "refused", "errors", ...: for metrics and events. */
const char *evidence_cause_text(enum evidence_cause cause);

#endif
