#include "regions/meter.h"

enum { PER_OCTAVE = 1 << METER_OCTAVE_BITS, FOLLOW_MAX = 64, P95 = 950, FADE_STEPS = 64 };

size_t meter_bucket(uint64_t us)
{
    unsigned octave;

    if (us < (UINT64_C(1) << METER_LOW_BITS))
        return 0;
    if (us >= UINT64_C(1) << METER_HIGH_BITS)
        return METER_BUCKETS - 1;
    octave = 63 - (unsigned)__builtin_clzll(us);
    return 1 + ((size_t)(octave - METER_LOW_BITS) << METER_OCTAVE_BITS) +
           (size_t)((us >> (octave - METER_OCTAVE_BITS)) & (PER_OCTAVE - 1));
}

static uint64_t upper_edge_us(size_t bucket)
{
    size_t octave, step;

    if (bucket == 0)
        return UINT64_C(1) << METER_LOW_BITS;
    octave = METER_LOW_BITS + ((bucket - 1) >> METER_OCTAVE_BITS);
    step = ((bucket - 1) & (PER_OCTAVE - 1)) + 1;
    return (UINT64_C(1) << octave) + ((uint64_t)step << (octave - METER_OCTAVE_BITS));
}

void meter_add(struct meter *meter, size_t bucket, uint32_t count)
{
    meter->counts[bucket] += (uint64_t)count * METER_UNIT;
    meter->weight += (uint64_t)count * METER_UNIT;
}

void meter_follow(struct meter *meter, uint64_t mean_us, uint32_t count)
{
    if (count && !meter->ewma_us)
        meter->ewma_us = mean_us ? mean_us : 1;
    /* After so many it stands at their mean. */
    for (uint32_t i = 0; i < count && i < FOLLOW_MAX; i++) {
        uint64_t most_us = meter->ewma_us * METER_MOST;
        uint64_t us = mean_us < most_us ? mean_us : most_us;

        /* Rounded up, or a small average would stand still. */
        if (us >= meter->ewma_us)
            meter->ewma_us += (us - meter->ewma_us + (1 << METER_SHIFT) - 1) >> METER_SHIFT;
        else
            meter->ewma_us -= (meter->ewma_us - us + (1 << METER_SHIFT) - 1) >> METER_SHIFT;
        meter->ewma_us += meter->ewma_us == 0;
    }
}

/* The last units too come to their end. */
static uint64_t faded(uint64_t count, uint64_t passed_us, uint64_t tau_us)
{
    uint64_t loss = count * passed_us / tau_us;

    return loss || !count ? loss : 1;
}

void meter_fade(struct meter *meter, uint64_t now_us, uint64_t tau_us)
{
    uint64_t passed_us = now_us - meter->faded_us;

    if (meter->faded_us == 0 || now_us <= meter->faded_us) {
        meter->faded_us = meter->faded_us ? meter->faded_us : now_us;
        return;
    }
    /* In steps in which a sample loses several units, or rounding would do the fading. */
    if (passed_us < tau_us / FADE_STEPS)
        return;
    meter->faded_us = now_us;
    meter->weight = 0;
    for (size_t i = 0; i < METER_BUCKETS; i++) {
        uint64_t *count = &meter->counts[i];

        *count = passed_us >= tau_us ? 0 : *count - faded(*count, passed_us, tau_us);
        meter->weight += *count;
    }
    /* Nothing is known any more: the average begins anew too. */
    if (meter->weight == 0)
        meter->ewma_us = 0;
}

uint64_t meter_quantile_us(const struct meter *meter, uint32_t permille)
{
    uint64_t need = (meter->weight * permille + 999) / 1000, sum = 0;

    if (meter->weight == 0)
        return 0;
    for (size_t i = 0; i < METER_BUCKETS; i++) {
        sum += meter->counts[i];
        if (sum >= need)
            return upper_edge_us(i);
    }
    return upper_edge_us(METER_BUCKETS - 1);
}

uint64_t meter_samples(const struct meter *meter)
{
    return meter->weight / METER_UNIT;
}

uint64_t meter_score_us(const struct meter *meter)
{
    return (3 * meter->ewma_us + meter_quantile_us(meter, P95)) / 4;
}
