#include "sim/latency.h"

#include <math.h>

#include "base/err.h"

/* The standard normal distribution's 95th and 99th percentile. */
static const double Z95 = 1.6448536269514722;
static const double Z99 = 2.3263478740408408;

static const double MAX_US = 1e15;

void sim_latency_constant(struct sim_latency *latency, uint64_t wait_us)
{
    *latency = (struct sim_latency){.kind = SIM_LATENCY_CONSTANT, .low_us = wait_us};
}

void sim_latency_uniform(struct sim_latency *latency, uint64_t low_us, uint64_t high_us)
{
    *latency =
        (struct sim_latency){.kind = SIM_LATENCY_UNIFORM, .low_us = low_us, .high_us = high_us};
}

/* The probability of a standard normal draw below z. */
static double normal_below(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

/* What the draws between the standard normal's `from` and infinity add to the mean. */
static double mean_above(struct sim_lognormal half, double from)
{
    return exp(half.location + half.scale * half.scale / 2) * normal_below(half.scale - from);
}

static double mean_below(struct sim_lognormal half, double to)
{
    return exp(half.location + half.scale * half.scale / 2) * normal_below(to - half.scale);
}

static struct sim_lognormal through(double z, double value, double scale)
{
    return (struct sim_lognormal){log(value) - z * scale, scale};
}

/* mean / value at percentile z is exp(scale^2 / 2 - z * scale); of its two solutions the narrower.
 */
static int from_mean(double mean, double z, double value, struct sim_lognormal *ret_half)
{
    double root = z * z - 2 * log(value / mean);

    if (value < mean || root < 0)
        return ERR_RANGE;
    *ret_half = through(z, value, z - sqrt(root));
    return 0;
}

static int from_two_points(double z, double value, double far_z, double far_value,
                           struct sim_lognormal *ret_half)
{
    if (far_value < value)
        return ERR_RANGE;
    *ret_half = through(z, value, log(far_value / value) / (far_z - z));
    return 0;
}

/* The lower half's mean falls as it gets wider, so its scale is found by halving. */
static int split_halves(const struct sim_latency_facts *facts, struct sim_lognormal *ret_lower,
                        struct sim_lognormal *ret_upper)
{
    struct sim_lognormal upper;
    double low = 0, high = 8, wanted;
    int err = from_two_points(Z95, facts->p95_us, Z99, facts->p99_us, &upper);

    if (err)
        return err;
    wanted = facts->mean_us - mean_above(upper, Z95);
    if (wanted > mean_below(through(Z95, facts->p95_us, low), Z95) ||
        wanted < mean_below(through(Z95, facts->p95_us, high), Z95))
        return ERR_RANGE;
    for (int i = 0; i < 60; i++) {
        double scale = (low + high) / 2;

        if (mean_below(through(Z95, facts->p95_us, scale), Z95) > wanted)
            low = scale;
        else
            high = scale;
    }
    *ret_lower = through(Z95, facts->p95_us, low);
    *ret_upper = upper;
    return 0;
}

static int from_median(const struct sim_latency_facts *facts, struct sim_lognormal *ret_half)
{
    if (facts->p95_us > 0)
        return from_two_points(0, facts->p50_us, Z95, facts->p95_us, ret_half);
    if (facts->p99_us > 0)
        return from_two_points(0, facts->p50_us, Z99, facts->p99_us, ret_half);
    if (facts->mean_us < facts->p50_us)
        return ERR_RANGE;
    *ret_half = through(0, facts->p50_us, sqrt(2 * log(facts->mean_us / facts->p50_us)));
    return 0;
}

int sim_latency_lognormal(struct sim_latency *latency, const struct sim_latency_facts *facts)
{
    int given =
        (facts->p50_us > 0) + (facts->mean_us > 0) + (facts->p95_us > 0) + (facts->p99_us > 0);
    struct sim_lognormal lower = {0}, upper;
    int err;

    if (given == 3 && !(facts->p50_us > 0)) {
        err = split_halves(facts, &lower, &upper);
    } else {
        if (given != 2)
            return ERR_RANGE;
        if (facts->p50_us > 0)
            err = from_median(facts, &lower);
        else if (!(facts->mean_us > 0))
            err = from_two_points(Z95, facts->p95_us, Z99, facts->p99_us, &lower);
        else if (facts->p95_us > 0)
            err = from_mean(facts->mean_us, Z95, facts->p95_us, &lower);
        else
            err = from_mean(facts->mean_us, Z99, facts->p99_us, &lower);
        upper = lower;
    }
    if (err)
        return err;
    *latency = (struct sim_latency){.kind = SIM_LATENCY_LOGNORMAL, .lower = lower, .upper = upper};
    return 0;
}

/* Box and Muller; one of the pair is not used, so that every draw takes two numbers. */
static double draw_normal(struct rand *rand)
{
    double radius = sqrt(-2 * log(1 - rand_unit(rand)));

    return radius * cos(2 * 3.14159265358979323846 * rand_unit(rand));
}

static uint64_t draw_lognormal(const struct sim_latency *latency, struct rand *rand)
{
    double z = draw_normal(rand);
    const struct sim_lognormal *half = z <= Z95 ? &latency->lower : &latency->upper;
    double wait_us = fmin(exp(half->location + half->scale * z), MAX_US);

    if (latency->max_us && wait_us > (double)latency->max_us)
        return latency->max_us;
    return (uint64_t)wait_us;
}

uint64_t sim_latency_draw(const struct sim_latency *latency, struct rand *rand)
{
    switch (latency->kind) {
    case SIM_LATENCY_CONSTANT:
        break;
    case SIM_LATENCY_UNIFORM:
        return latency->low_us + rand_below(rand, latency->high_us - latency->low_us + 1);
    case SIM_LATENCY_LOGNORMAL:
        return draw_lognormal(latency, rand);
    }
    return latency->low_us;
}
