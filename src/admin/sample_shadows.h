/*
 * The metrics of shadows, read from their board while /metrics is written. The control thread's.
 */
#ifndef ADMIN_SAMPLE_SHADOWS_H
#define ADMIN_SAMPLE_SHADOWS_H

#include "admin/page.h"
#include "obs/metrics.h"

/* The values of one of METRIC_SHADOW_*. */
void sample_shadows(const struct page_view *view, enum metric metric, struct metrics_out *out);

#endif
