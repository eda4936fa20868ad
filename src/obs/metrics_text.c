/* /metrics: the Prometheus text format 0.0.4. */
#include <math.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/err.h"
#include "obs/line.h"
#include "obs/metrics_schema.h"

#define PREFIX METRICS_PREFIX

/* Sets of more values than these show only those that were counted. */
enum { SET_SHOWN_WHOLE = 8 };

struct metrics_out {
    struct metrics_schema *schema;
    struct buf *text;
    enum metric metric;
    size_t samples;
};

static void put(struct buf *text, const char *words)
{
    buf_append_span(text, span_from_text(words));
}

static void put_head(struct buf *text, const struct metric_row *row)
{
    put(text, "# HELP " PREFIX);
    put(text, row->name);
    buf_append_byte(text, ' ');
    put(text, row->help);
    put(text, "\n# TYPE " PREFIX);
    put(text, row->name);
    buf_append_byte(text, ' ');
    put(text, metric_type_text(row->type));
    buf_append_byte(text, '\n');
}

static void put_uint(struct buf *text, uint64_t number)
{
    char digits[LINE_NUMBER_BYTES];

    buf_append(text, digits, (size_t)(line_put_uint(digits, number) - digits));
}

static void put_int(struct buf *text, int64_t number)
{
    char digits[LINE_NUMBER_BYTES];

    buf_append(text, digits, (size_t)(line_put_int(digits, number) - digits));
}

/* The name and labels of a sample; the label `extra` comes last, and its value is put next. */
static void put_start(struct buf *text, const struct metric_row *row, const char *suffix,
                      struct span labels, const char *extra)
{
    put(text, PREFIX);
    put(text, row->name);
    put(text, suffix);
    if (labels.len || extra)
        buf_append_byte(text, '{');
    buf_append_span(text, labels);
    if (extra) {
        put(text, labels.len ? "," : "");
        put(text, extra);
        put(text, "=\"");
    } else if (labels.len) {
        buf_append_byte(text, '}');
    }
}

static void put_end_of_extra(struct buf *text)
{
    put(text, "\"}");
}

static void put_value(struct buf *text, enum metric_type type, uint64_t value)
{
    char digits[DECIMAL_NANO_BYTES];

    buf_append_byte(text, ' ');
    if (type == METRIC_GAUGE)
        put_int(text, (int64_t)value);
    else if (type == METRIC_COUNTER_NANO)
        buf_append_span(text, decimal_nano_text(value, digits));
    else
        put_uint(text, value);
    buf_append_byte(text, '\n');
}

/* The tables of failures and outcomes write their names in capitals. */
static void put_lower(struct buf *text, const char *name)
{
    for (; *name; name++)
        buf_append_byte(text, *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name);
}

static void put_set(struct metrics_out *out, const struct metrics_series *series)
{
    const struct metric_row *row = &metric_rows[out->metric];
    const struct metric_set_row *set = &metric_set_rows[row->set];

    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t value = metrics_sum(out->schema, series->index + i);

        if (!value && set->count > SET_SHOWN_WHOLE)
            continue;
        put_start(out->text, row, "", series->labels, set->label);
        put_lower(out->text, set->values[i]);
        put_end_of_extra(out->text);
        put_value(out->text, row->type, value);
    }
}

static void put_bucket(struct metrics_out *out, const struct metrics_series *series,
                       const uint64_t *bound, uint64_t below)
{
    const struct metric_row *row = &metric_rows[out->metric];

    put_start(out->text, row, "_bucket", series->labels, "le");
    if (bound)
        metric_put_time(out->text, row->type, *bound);
    else
        put(out->text, "+Inf");
    put_end_of_extra(out->text);
    put_value(out->text, row->type, below);
}

/* _count is the sum of the buckets that were read, so that they always agree. */
static void put_histogram(struct metrics_out *out, const struct metrics_series *series)
{
    const struct metric_row *row = &metric_rows[out->metric];
    const struct metrics_bounds *bounds = metric_bounds(row->type);
    uint64_t counts[METRICS_MAX_BUCKETS + 1], below = 0, count = 0;

    for (uint32_t i = 0; i <= bounds->count; i++)
        count += counts[i] = metrics_sum(out->schema, series->index + i);
    if (!count && series->labels.len)
        return;
    for (uint32_t i = 0; i < bounds->count; i++) {
        below += counts[i];
        put_bucket(out, series, &bounds->upper_us[i], below);
    }
    put_bucket(out, series, NULL, count);
    put_start(out->text, row, "_sum", series->labels, NULL);
    buf_append_byte(out->text, ' ');
    metric_put_time(out->text, row->type,
                    metrics_sum(out->schema, series->index + bounds->count + 1));
    buf_append_byte(out->text, '\n');
    put_start(out->text, row, "_count", series->labels, NULL);
    put_value(out->text, row->type, count);
}

static void put_series(struct metrics_out *out, const struct metrics_series *series)
{
    const struct metric_row *row = &metric_rows[out->metric];

    if (!metrics_is_shown(out->schema, series))
        return;
    if (metric_bounds(row->type)) {
        put_histogram(out, series);
    } else if (row->set != METRIC_SET_NONE) {
        put_set(out, series);
    } else {
        put_start(out->text, row, "", series->labels, NULL);
        put_value(out->text, row->type, metrics_sum(out->schema, series->index));
    }
}

/* Whether each label value is one of the names that have series. */
static bool is_within_names(const struct metrics_family *family, const struct span *values)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (!span_is_equal(metrics_name_get(family->labels[i], values[i])->text, values[i]))
            return false;
    return true;
}

static void put_double(struct buf *text, double value)
{
    if (isnan(value))
        put(text, "NaN");
    else if (isinf(value))
        put(text, value > 0 ? "+Inf" : "-Inf");
    else
        buf_printf(text, "%.15g", value);
}

void metrics_sample(struct metrics_out *out, const struct span *values, double value)
{
    const struct metric_row *row = &metric_rows[out->metric];
    const struct metrics_family *family = &out->schema->families[out->metric];

    if (!is_within_names(family, values))
        return;
    if (!out->samples++)
        put_head(out->text, row);
    put_start(out->text, row, "", span_of(NULL, 0), NULL);
    if (family->label_count) {
        buf_append_byte(out->text, '{');
        metrics_put_labels(out->text, family, values);
        buf_append_byte(out->text, '}');
    }
    buf_append_byte(out->text, ' ');
    put_double(out->text, value);
    buf_append_byte(out->text, '\n');
}

static void sample_full_labels(struct metrics_out *out)
{
    for (size_t i = 0; i < out->schema->label_count; i++)
        metrics_sample(out, &out->schema->labels[i].name, out->schema->labels[i].is_full);
}

int metrics_write(struct metrics_schema *schema, const struct metrics_sampler *sampler,
                  struct buf *text)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        struct metrics_out out = {schema, text, (enum metric)i, 0};

        if (i == METRIC_LABEL_FULL) {
            sample_full_labels(&out);
        } else if (metric_rows[i].source == METRIC_SAMPLED) {
            if (sampler)
                sampler->sample(sampler->context, out.metric, &out);
        } else {
            put_head(text, &metric_rows[i]);
            for (const struct metrics_series *series = schema->families[i].first; series;
                 series = series->next)
                put_series(&out, series);
        }
    }
    return text->err;
}
