#include "canary/latency.h"

#include <math.h>

enum {
    UNIT_SHIFT = 6, /* counted in 64 us: sixteen of them are the first octave's start */
    PART_SHIFT = 4,
    PARTS = 1 << PART_SHIFT,
};

uint32_t latency_bucket(uint64_t us)
{
    uint64_t units = us >> UNIT_SHIFT;
    uint32_t octave, bucket;

    if (units < PARTS)
        return 0;
    octave = 63 - (uint32_t)__builtin_clzll(units) - PART_SHIFT;
    bucket = octave * PARTS + (uint32_t)(units >> octave) - PARTS;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

uint64_t latency_of(uint32_t bucket)
{
    uint32_t octave = bucket / PARTS;
    uint64_t start = (uint64_t)(PARTS + bucket % PARTS) << octave;

    return ((start << 1) + (UINT64_C(1) << octave)) << (UNIT_SHIFT - 1);
}

uint64_t latency_count(const uint32_t counts[LATENCY_BUCKETS])
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        sum += counts[i];
    return sum;
}

uint32_t latency_median(const uint32_t counts[LATENCY_BUCKETS])
{
    uint64_t below = latency_count(counts) / 2, seen = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += counts[i];
        if (seen > below)
            return i;
    }
    return LATENCY_BUCKETS - 1;
}

uint64_t latency_above(const uint32_t counts[LATENCY_BUCKETS], uint64_t us)
{
    uint64_t sum = 0;

    for (uint32_t i = LATENCY_BUCKETS; i > 0 && latency_of(i - 1) > us; i--)
        sum += counts[i - 1];
    return sum;
}

double latency_ln_sum(const uint32_t counts[LATENCY_BUCKETS])
{
    double sum = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        if (counts[i])
            sum += counts[i] * log((double)latency_of(i));
    }
    return sum;
}
