/*
 * Sums for people, read from the same numbers as /metrics: for GET /v1/admin/stats and whoever
 * watches a rule. The control thread's.
 */
#ifndef OBS_STATS_H
#define OBS_STATS_H

#include <stdint.h>

#include "base/span.h"
#include "obs/metrics.h"

/* A histogram of the past: sums over all workers and series, at one moment. */
struct stats_histogram {
    const struct metrics_bounds *bounds;
    uint64_t counts[METRICS_MAX_BUCKETS + 1]; /* in each bucket alone; the last: above all */
    uint64_t count;
    uint64_t sum_us;
};

struct stats {
    uint64_t requests; /* ended */
    uint64_t errors;   /* of these, with a failure */
    uint64_t active;   /* under way */
    uint64_t attempts;
    uint64_t prompt_tokens, completion_tokens, cached_tokens;
    uint64_t cost_nanousd, unpriced; /* exchanges that cost something unknown besides */
    struct stats_histogram latency, ttfb, overhead;
};

/* What one model name of clients has come to. */
struct stats_model {
    struct span model; /* borrowed from the schema, which never forgets a name */
    uint64_t requests;
    uint64_t errors;
    uint64_t prompt_tokens, completion_tokens;
    uint64_t latency_count, latency_sum_us;
    uint64_t cost_nanousd;
};

/* Everything up to now. */
void stats_read(struct metrics_schema *schema, struct stats *ret_stats);

/* "other", then the models in the order they were first named; at most `max`, of which
 * METRICS_MAX_NAMES + 1 suffice for all: how many were written. */
size_t stats_read_models(struct metrics_schema *schema, struct stats_model *ret_models, size_t max);

/* Exchanges ended, of one provider and model (names of the configuration). */
uint64_t stats_requests(struct metrics_schema *schema, const struct span values[2]);

/* Average in microseconds; 0 of nothing. */
uint64_t stats_mean_us(const struct stats_histogram *histogram);

/* The value that a share (0.95) of all values does not pass, in microseconds, interpolated within
 * its bucket; 0 of nothing, the largest bound where it lies above all. */
uint64_t stats_quantile_us(const struct stats_histogram *histogram, double share);

/* What was added between two readings of one histogram. */
void stats_since(const struct stats_histogram *now, const struct stats_histogram *before,
                 struct stats_histogram *ret_added);

#endif
