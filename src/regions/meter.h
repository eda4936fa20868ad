/*
 * How long something takes, as far as it is known of late: an average that follows (EWMA) and a
 * histogram whose old samples fade, for the p95. The time of a sample is told, none is asked. Owned
 * by whoever embeds it; one thread.
 */
#ifndef REGIONS_METER_H
#define REGIONS_METER_H

#include <stddef.h>
#include <stdint.h>

/* Eight buckets an octave, from 256 us to 18 minutes: within 12% of the truth. */
enum { METER_OCTAVE_BITS = 3, METER_LOW_BITS = 8, METER_HIGH_BITS = 30 };
enum { METER_BUCKETS = ((METER_HIGH_BITS - METER_LOW_BITS) << METER_OCTAVE_BITS) + 1 };

/* Samples are counted in thousandths, so that they can fade. */
enum { METER_UNIT = 1024 };

struct meter {
    uint64_t counts[METER_BUCKETS]; /* in METER_UNIT */
    uint64_t weight;                /* their sum */
    uint64_t ewma_us;               /* valid where weight is not 0 */
    uint64_t faded_us;              /* until when they have faded; 0: never yet */
};

/* The bucket of a time. */
size_t meter_bucket(uint64_t us);

/* `count` samples of one bucket. */
void meter_add(struct meter *meter, size_t bucket, uint32_t count);

/* The average follows `count` samples of that mean. One that is far above all before counts as
 * METER_MOST times the average, so that a single one, however late, cannot move it far. */
enum { METER_SHIFT = 4, METER_MOST = 4 };
void meter_follow(struct meter *meter, uint64_t mean_us, uint32_t count);

/* What is older counts for less: a sample is worth 1/e of one after tau_us. */
void meter_fade(struct meter *meter, uint64_t now_us, uint64_t tau_us);

/* The upper edge of the bucket in which that part (in 1/1000) of the samples ends; 0: there is
 * none. */
uint64_t meter_quantile_us(const struct meter *meter, uint32_t permille);

/* How many samples it is worth, rounded down. */
uint64_t meter_samples(const struct meter *meter);

/* One number to compare: three parts the average, one part the p95. */
uint64_t meter_score_us(const struct meter *meter);

#endif
