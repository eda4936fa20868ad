/*
 * Counters, gauges and histograms. What there is stands in src/tables/metrics.def. The schema, the
 * control thread's, knows the series (a metric with label values) and gives each a fixed index when
 * the configuration is loaded; each worker counts into an array of its own, a struct metrics, so
 * that counting is one load and one store at a known place. The reader sums the arrays.
 *
 *     load:    ids->requests = metrics_series(schema, METRIC_REQUESTS, (struct span[]){provider,
 * model}); worker:  metrics_add(metrics, ids->requests + metrics_status(status), 1);
 *
 * Series are never taken back: after a reload the old ones stay, new label values get new indexes.
 */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct buf;
struct metrics_schema;
struct metrics_out;

enum metric {
#define METRIC(symbol, name, type, source, labels, set, help) METRIC_##symbol,
#include "tables/metrics.def"
    METRIC_COUNT
};

/* Labels with fixed values. */
enum metric_set {
#define METRIC_AS_SET(symbol, label) METRIC_SET_##symbol,
    METRIC_SETS(METRIC_AS_SET) METRIC_SET_NONE
#undef METRIC_AS_SET
};

/* What is added to the index of a series that has a set: METRIC_STATUS_2XX and its like. For
 * FAILURE it is enum failure, or METRIC_FAILURE_PASSED_ON for a provider's error passed on as it
 * was; for OUTCOME it is enum outcome. */
#define METRIC_AS_VALUE(set, symbol, text) METRIC_##set##_##symbol,
enum metric_status { METRIC_STATUS_VALUES(METRIC_AS_VALUE) METRIC_STATUS_COUNT };
enum metric_tokens { METRIC_TOKENS_VALUES(METRIC_AS_VALUE) METRIC_TOKENS_COUNT };
enum metric_flow { METRIC_FLOW_VALUES(METRIC_AS_VALUE) METRIC_FLOW_COUNT };
enum metric_hedge { METRIC_HEDGE_VALUES(METRIC_AS_VALUE) METRIC_HEDGE_COUNT };
enum metric_retry { METRIC_RETRY_VALUES(METRIC_AS_VALUE) METRIC_RETRY_COUNT };
enum metric_cancel { METRIC_CANCEL_VALUES(METRIC_AS_VALUE) METRIC_CANCEL_COUNT };
enum metric_probe { METRIC_PROBE_VALUES(METRIC_AS_VALUE) METRIC_PROBE_COUNT };
enum metric_renewal { METRIC_RENEWAL_VALUES(METRIC_AS_VALUE) METRIC_RENEWAL_COUNT };
enum metric_media { METRIC_MEDIA_VALUES(METRIC_AS_VALUE) METRIC_MEDIA_COUNT };
enum metric_reload { METRIC_RELOAD_VALUES(METRIC_AS_VALUE) METRIC_RELOAD_COUNT };
enum metric_delivery { METRIC_DELIVERY_VALUES(METRIC_AS_VALUE) METRIC_DELIVERY_COUNT };
enum metric_refusal { METRIC_REFUSAL_VALUES(METRIC_AS_VALUE) METRIC_REFUSAL_COUNT };
enum metric_writes { METRIC_WRITES_VALUES(METRIC_AS_VALUE) METRIC_WRITES_COUNT };
#undef METRIC_AS_VALUE
enum {
#define FAILURE(...) +1
    METRIC_FAILURE_PASSED_ON = 0
#include "tables/failures.def"
#undef FAILURE
    ,
    METRIC_FAILURE_COUNT,
#define OUTCOME(...) +1
    METRIC_OUTCOME_COUNT = 0
#include "tables/outcomes.def"
#undef OUTCOME
};

enum {
    METRICS_MAX_NAMES = 1000,    /* values of one label; further ones count as "other" */
    METRICS_MAX_CELLS = 1 << 20, /* 8 MiB of address space a worker; touched as it is used */
    METRICS_MAX_BUCKETS = 24,
};

/* The label value of what has no name of its own: a model that the configuration does not name, a
 * provider where none was reached. */
#define METRICS_OTHER SPAN("other")

/* The bounds of a kind of histogram, and where to start looking for a value of so many bits. */
struct metrics_bounds {
    uint32_t count;
    uint64_t upper_us[METRICS_MAX_BUCKETS];
    uint8_t first[65];
};
extern const struct metrics_bounds metrics_bounds_ms, metrics_bounds_us;

/* One thread's numbers. Owned by the schema, written by that thread alone: so a load and a store
 * do, and no other thread's write can come between. Relaxed suffices: every cell stands alone, and
 * a reader wants each at some recent moment, not all at the same one. */
struct metrics {
    struct {
        atomic_uint_least64_t *cells;
    } shared;
};

/* NULL without memory. */
struct metrics_schema *metrics_schema_new(void);

/* Frees the metrics of all threads too: these have ended. Accepts NULL. */
void metrics_schema_free(struct metrics_schema **schema);

/* Numbers for one more thread, all zero; NULL without memory. Any thread. */
struct metrics *metrics_attach(struct metrics_schema *schema);

/*
 * The index of the series with these label values, one for each of the metric's labels (the set's
 * label excepted); NULL where it has none. The same values give the same index. A label value past
 * METRICS_MAX_NAMES becomes "other", and METRIC_LABEL_FULL says so; where memory or cells
 * are used up, the index of a place that nobody reads. So there is always a usable index. Texts are
 * copied. The control thread alone; a worker may use the index as soon as it has been told of it.
 */
uint32_t metrics_series(struct metrics_schema *schema, enum metric metric,
                        const struct span *values);

/* The same for names that the configuration does not know, and of which most may never count: the
 * series is shown once it has counted something. False, with nothing written, where half of a
 * label's names or of the cells are used up, or memory: the rest is for the configuration. */
bool metrics_quiet_series(struct metrics_schema *schema, enum metric metric,
                          const struct span *values, uint32_t *ret_index);

/* A configuration is being tried: until metrics_settle says whether it came into force. Where it
 * did not, the series that it added are shown only once one that did names them too. The control
 * thread. */
void metrics_try(struct metrics_schema *schema);
void metrics_settle(struct metrics_schema *schema, bool is_in_force);

/* Counts. For a gauge n may be negative: (uint64_t)-1 takes one away. */
static inline void metrics_add(struct metrics *metrics, uint32_t index, uint64_t n)
{
    atomic_uint_least64_t *cell = &metrics->shared.cells[index];

    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Gives a gauge of this thread its value. */
static inline void metrics_set(struct metrics *metrics, uint32_t index, uint64_t value)
{
    atomic_store_explicit(&metrics->shared.cells[index], value, memory_order_relaxed);
}

/* The bucket that a value falls into; bounds->count: above all. */
static inline uint32_t metrics_bucket(const struct metrics_bounds *bounds, uint64_t value_us)
{
    uint32_t at = bounds->first[value_us ? 64 - __builtin_clzll(value_us) : 0];

    while (at < bounds->count && value_us > bounds->upper_us[at])
        at++;
    return at;
}

/* One value into a histogram: HISTOGRAM_MS with metrics_bounds_ms, HISTOGRAM_US with the other. */
static inline void metrics_observe(struct metrics *metrics, uint32_t index,
                                   const struct metrics_bounds *bounds, uint64_t value_us)
{
    metrics_add(metrics, index + metrics_bucket(bounds, value_us), 1);
    metrics_add(metrics, index + bounds->count + 1, value_us);
}

/* The class of an HTTP status; 0: none was sent. */
static inline enum metric_status metrics_status(unsigned status)
{
    return status >= 100 && status < 600 ? (enum metric_status)(status / 100) : METRIC_STATUS_NONE;
}

/* Asked for each SAMPLED metric while /metrics is written: calls metrics_sample for its values, or
 * does nothing, and the metric is then left out. */
struct metrics_sampler {
    void (*sample)(void *context, enum metric metric, struct metrics_out *out);
    void *context;
};

/* One value of the metric being sampled, with all its label values (NULL where it has none); no
 * two alike. A label value past METRICS_MAX_NAMES is left out, and a gauge says so. */
void metrics_sample(struct metrics_out *out, const struct span *values, double value);

/* All metrics in the Prometheus text format 0.0.4, appended to `text`: 0, ERR_FULL or ERR_NOMEM.
 * The control thread; sampler may be NULL. */
int metrics_write(struct metrics_schema *schema, const struct metrics_sampler *sampler,
                  struct buf *text);

/* docs/metrics.md, appended to `text`: 0, ERR_FULL or ERR_NOMEM. */
int metrics_print_table(struct buf *text);

#endif
