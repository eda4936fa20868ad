/*
 * The metrics of regions, of providers that have several. Control thread.
 */
#ifndef ADMIN_SAMPLE_REGIONS_H
#define ADMIN_SAMPLE_REGIONS_H

#include "admin/page.h"
#include "obs/metrics.h"

/* METRIC_REGION_SHARE to METRIC_REGION_EJECTIONS. */
void sample_regions(const struct page_view *view, enum metric metric, struct metrics_out *out);

#endif
