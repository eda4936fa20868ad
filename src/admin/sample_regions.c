#include "admin/sample_regions.h"

#include "exchange/snapshot.h"

static const double us_in_ms = 1000;

/* Nothing where no sample is left. */
static void sample_times(const struct span *names, const struct meter *meter,
                         struct metrics_out *out)
{
    static const char *const statistics[] = {"ewma", "p95"};
    const double values[] = {(double)meter->ewma_us, (double)meter_quantile_us(meter, 950)};

    for (size_t i = 0; meter->weight && i < 2; i++) {
        struct span labels[] = {names[0], names[1], span_from_text(statistics[i])};

        metrics_sample(out, labels, values[i] / us_in_ms);
    }
}

static void sample(const struct snapshot_provider *row, size_t at, enum metric metric,
                   struct metrics_out *out)
{
    const struct region *region = row->regions[at];
    struct span labels[] = {row->conf->name, row->sites[at].name,
                            span_from_text(region_state_text(region->state))};

    if (metric == METRIC_REGION_SHARE) {
        metrics_sample(out, labels,
                       atomic_load_explicit(&region->shared.share_ppm, memory_order_relaxed) / 1e6);
    } else if (metric == METRIC_REGION_LATENCY) {
        sample_times(labels, &region->traffic, out);
    } else if (metric == METRIC_REGION_PROBE_LATENCY) {
        sample_times(labels, &region->probes, out);
    } else if (metric == METRIC_REGION_STATE) {
        metrics_sample(out, labels, 1);
    } else {
        metrics_sample(out, labels, (double)region->ejected_total);
    }
}

void sample_regions(const struct page_view *view, enum metric metric, struct metrics_out *out)
{
    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &view->snapshot->providers[i];

        for (size_t k = 0; row->regions && k < row->site_count; k++)
            sample(row, k, metric, out);
    }
}
