#include "hist.h"

#include <stddef.h>

static size_t bucket_of(uint64_t ns)
{
    if (ns >> HIST_BITS == 0)
        return ns;
    unsigned octave = 63U - (unsigned)__builtin_clzll(ns) - HIST_BITS;
    size_t index = ((size_t)octave << HIST_BITS) + (ns >> octave);
    return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

/* The middle of a bucket. */
static double value_of(size_t index)
{
    if (index >> (HIST_BITS + 1) == 0)
        return (double)index;
    size_t octave = (index >> HIST_BITS) - 1;
    size_t low = (index - (octave << HIST_BITS)) << octave;
    return (double)low + (double)((size_t)1 << octave) / 2;
}

void hist_add(struct hist *hist, uint64_t ns)
{
    hist->count++;
    hist->sum_ns += (double)ns;
    if (ns > hist->max_ns)
        hist->max_ns = ns;
    hist->bucket[bucket_of(ns)]++;
}

double hist_percentile(const struct hist *hist, double share)
{
    double wanted = share * (double)hist->count;
    double seen = 0;
    for (size_t i = 0; i < HIST_BUCKETS && hist->count > 0; i++) {
        seen += hist->bucket[i];
        if (hist->bucket[i] > 0 && seen >= wanted)
            return value_of(i);
    }
    return 0;
}

double hist_mean(const struct hist *hist)
{
    return hist->count > 0 ? hist->sum_ns / (double)hist->count : 0;
}

void hist_print(const struct hist *hist, FILE *out)
{
    fprintf(
        out, "{\"count\":%llu,\"mean_us\":%.3f,\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,",
        (unsigned long long)hist->count, hist_mean(hist) / 1e3, hist_percentile(hist, 0.50) / 1e3,
        hist_percentile(hist, 0.90) / 1e3, hist_percentile(hist, 0.99) / 1e3);
    fprintf(out, "\"max_us\":%.3f}", (double)hist->max_ns / 1e3);
}
