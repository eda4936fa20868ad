/*
 * The metrics of migrations, read from those that run while /metrics is written. The control
 * thread's.
 */
#ifndef ADMIN_SAMPLE_MIGRATIONS_H
#define ADMIN_SAMPLE_MIGRATIONS_H

#include "admin/page.h"
#include "obs/metrics.h"

/* The values of one of METRIC_MIGRATION_*. */
void sample_migrations(const struct page_view *view, enum metric metric, struct metrics_out *out);

#endif
