/*
 * A histogram of durations, exact to a thousandth, of fixed size: what the bench's percentiles are
 * read from.
 *
 * Owned by whoever embeds or allocates it; zeroed memory is an empty one. Single threaded.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

/* Values below 2^HIST_BITS fall into buckets one wide; each octave above has 2^HIST_BITS of them.
 */
#define HIST_BITS    10
#define HIST_OCTAVES 31
#define HIST_BUCKETS ((HIST_OCTAVES + 1) << HIST_BITS)

struct hist {
    uint64_t count;
    uint64_t max_ns;
    double sum_ns;
    uint32_t bucket[HIST_BUCKETS];
};

/* Counts one duration; what is longer than 2^40 ns (18 minutes) counts as that. */
void hist_add(struct hist *hist, uint64_t ns);

/* The duration, in ns, that `share` (0..1) of all are not longer than; 0 when nothing was counted.
 */
double hist_percentile(const struct hist *hist, double share);

/* The mean in ns; 0 when nothing was counted. */
double hist_mean(const struct hist *hist);

/* Prints {"count":…,"mean_us":…,"p50_us":…,"p90_us":…,"p99_us":…,"max_us":…} to `out`. */
void hist_print(const struct hist *hist, FILE *out);

#endif
