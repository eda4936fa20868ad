/*
 * A distribution of waiting times, drawn from with a seeded generator. A plain value, embedded in
 * whoever waits; pure; any thread.
 *
 * A log-normal one is given by two of its median, mean, 95th and 99th percentile. With mean, p95
 * and p99 it is two log-normal halves that meet at the 95th percentile: the upper through both
 * percentiles, the lower as wide as the mean asks for. Measured latencies have such a tail, and one
 * log-normal alone cannot have all three.
 */
#ifndef SIM_LATENCY_H
#define SIM_LATENCY_H

#include <stdint.h>

#include "base/rand.h"

enum sim_latency_kind { SIM_LATENCY_CONSTANT, SIM_LATENCY_UNIFORM, SIM_LATENCY_LOGNORMAL };

/* exp(location + scale * z) microseconds for a standard normal z. */
struct sim_lognormal {
    double location, scale;
};

struct sim_latency {
    enum sim_latency_kind kind;
    uint64_t low_us, high_us;          /* constant: low_us; uniform: both included */
    uint64_t max_us;                   /* log-normal: no draw is longer; 0: no bound */
    struct sim_lognormal lower, upper; /* below and above the 95th percentile */
};

/* What is known of a log-normal distribution; 0: not given. */
struct sim_latency_facts {
    double p50_us, mean_us, p95_us, p99_us;
};

void sim_latency_constant(struct sim_latency *latency, uint64_t wait_us);

/* Any wait from low_us to high_us; low_us must not be above high_us. */
void sim_latency_uniform(struct sim_latency *latency, uint64_t low_us, uint64_t high_us);

/* 0, or ERR_RANGE where no such distribution exists or the facts given are not two of the four, nor
 * mean, p95 and p99. */
int sim_latency_lognormal(struct sim_latency *latency, const struct sim_latency_facts *facts);

/* One waiting time in microseconds. */
uint64_t sim_latency_draw(const struct sim_latency *latency, struct rand *rand);

#endif
