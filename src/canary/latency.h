/*
 * Latencies as counts in buckets on a log scale: sixteen to an octave (each 3% to 6% wide), from a
 * millisecond to a thousand seconds. A bucket is found by shifts alone, since workers count into
 * them; sums of several workers' counts are counts again, whatever their order. Pure; any thread.
 */
#ifndef CANARY_LATENCY_H
#define CANARY_LATENCY_H

#include <stdint.h>

enum { LATENCY_BUCKETS = 320 };

/* The bucket of that many microseconds; what is shorter or longer is in the first or the last. */
uint32_t latency_bucket(uint64_t us);

/* The middle of a bucket, in microseconds. */
uint64_t latency_of(uint32_t bucket);

/* How many there are in all. */
uint64_t latency_count(const uint32_t counts[LATENCY_BUCKETS]);

/* The bucket of the median, of two middle ones the upper; of none: the last. */
uint32_t latency_median(const uint32_t counts[LATENCY_BUCKETS]);

/* How many lie above that many microseconds, each taken as its bucket's middle. */
uint64_t latency_above(const uint32_t counts[LATENCY_BUCKETS], uint64_t us);

/* The sum of the natural logarithms of all, in microseconds. */
double latency_ln_sum(const uint32_t counts[LATENCY_BUCKETS]);

#endif
