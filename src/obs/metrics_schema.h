/*
 * The inside of struct metrics_schema, for the files that read it: metrics_text.c and stats.c.
 * Everything but `metrics` belongs to the control thread.
 */
#ifndef OBS_METRICS_SCHEMA_H
#define OBS_METRICS_SCHEMA_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/map.h"
#include "obs/metrics.h"

#define METRICS_PREFIX "bellwether_"

enum { METRICS_MAX_LABELS = 3, METRICS_MAX_LABEL_NAMES = 16 };

enum metric_type {
    METRIC_COUNTER,
    METRIC_COUNTER_NANO, /* counted in billionths, shown as whole ones */
    METRIC_GAUGE,
    METRIC_HISTOGRAM_MS,
    METRIC_HISTOGRAM_US,
};
enum metric_source { METRIC_CELLS, METRIC_SAMPLED };

/* A row of metrics.def. */
struct metric_row {
    const char *name; /* without its prefix */
    enum metric_type type;
    enum metric_source source;
    const char *labels; /* separated by commas */
    enum metric_set set;
    const char *help;
};
extern const struct metric_row metric_rows[METRIC_COUNT];

/* A fixed label: values as their table writes them, to be shown in lower case. */
struct metric_set_row {
    const char *label;
    const char *const *values;
    uint32_t count;
};
extern const struct metric_set_row metric_set_rows[METRIC_SET_NONE];

/* The bounds of a histogram's type; NULL for the others. */
const struct metrics_bounds *metric_bounds(enum metric_type type);

/* "counter", "gauge" or "histogram". */
const char *metric_type_text(enum metric_type type);

/* Microseconds in the unit that the type is printed in: exact, without zeros at the end. */
void metric_put_time(struct buf *text, enum metric_type type, uint64_t us);

/* Cells that a series takes. */
uint32_t metric_width(enum metric metric);

/* A label, such as "model", and the names it has had: "other" first. */
struct metrics_label {
    struct span name; /* a piece of metrics.def */
    struct map by_text;
    struct metrics_name *first, **end;
    bool is_full; /* a further name was asked for */
};

struct metrics_name {
    struct metrics_name *next; /* in the order of their making */
    size_t place;              /* in that order, from 0 */
    struct span text;
    char bytes[];
};

struct metrics_series {
    struct metrics_series *next; /* of the same metric, in the order of their making */
    uint64_t key;                /* of the schema's map: the metric and the places of its names */
    uint32_t index, width;       /* its cells */
    bool is_quiet;               /* shown once it has counted something */
    const struct metrics_name *values[METRICS_MAX_LABELS];
    struct span labels; /* `provider="x",model="y"`, escaped; owned */
};

struct metrics_family {
    struct metrics_label *labels[METRICS_MAX_LABELS];
    size_t label_count;
    struct metrics_series *first, **end;
};

struct metrics_schema {
    struct metrics_family families[METRIC_COUNT];
    struct metrics_label labels[METRICS_MAX_LABEL_NAMES];
    size_t label_count;
    struct map series; /* by metric and label values */
    uint32_t cells_used;
    uint32_t tried_from; /* series from this index on may not come into force */

    /* The numbers of all threads: the list only grows; release and acquire, so that one is complete
     * when it is seen. */
    struct {
        _Atomic(struct metrics_block *) blocks;
    } shared;
};

struct metrics_block {
    struct metrics metrics;
    struct metrics_block *next;
};

/* A cell, summed over all threads. */
uint64_t metrics_sum(const struct metrics_schema *schema, uint32_t index);

/* False where the series is quiet and has counted nothing yet. */
bool metrics_is_shown(const struct metrics_schema *schema, const struct metrics_series *series);

/* The label's name of that text: "other" where the label is full or memory is used up. */
const struct metrics_name *metrics_name_get(struct metrics_label *label, struct span text);

/* Appends label values, escaped: `a="x",b="y"`. */
void metrics_put_labels(struct buf *text, const struct metrics_family *family,
                        const struct span *values);

#endif
