/* docs/metrics.md, made of tables/metrics.def. */
#include "base/buf.h"
#include "obs/metrics_schema.h"

static void put(struct buf *text, const char *words)
{
    buf_append_span(text, span_from_text(words));
}

static void put_labels(struct buf *text, const struct metric_row *row)
{
    struct span rest = span_from_text(row->labels), label;
    const char *before = "`";

    while (rest.len && span_next_token(&rest, ',', &label)) {
        put(text, before);
        buf_append_span(text, label);
        before = "`, `";
    }
    if (row->set != METRIC_SET_NONE) {
        put(text, before);
        put(text, metric_set_rows[row->set].label);
    }
    put(text, *row->labels || row->set != METRIC_SET_NONE ? "`" : "");
}

static void put_metrics(struct buf *text)
{
    put(text, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < METRIC_COUNT; i++) {
        put(text, "| `" METRICS_PREFIX);
        put(text, metric_rows[i].name);
        put(text, "` | ");
        put(text, metric_type_text(metric_rows[i].type));
        put(text, " | ");
        put_labels(text, &metric_rows[i]);
        put(text, " | ");
        put(text, metric_rows[i].help);
        put(text, " |\n");
    }
}

static void put_values(struct buf *text, enum metric_set set)
{
    const struct metric_set_row *row = &metric_set_rows[set];

    if (set == METRIC_SET_FAILURE) {
        put(text, "those of [errors.md](errors.md); `passed_on`: an error of the provider's");
    } else if (set == METRIC_SET_OUTCOME) {
        put(text, "those of [outcomes.md](outcomes.md)");
    } else {
        for (uint32_t i = 0; i < row->count; i++) {
            put(text, i ? ", `" : "`");
            put(text, row->values[i]);
            put(text, "`");
        }
    }
}

static void put_set(struct buf *text, enum metric_set set)
{
    const struct metric_set_row *row = &metric_set_rows[set];
    const char *before = "| ";

    for (int i = 0; i < METRIC_COUNT; i++) {
        if (metric_rows[i].set != set)
            continue;
        put(text, before);
        put(text, "`" METRICS_PREFIX);
        put(text, metric_rows[i].name);
        put(text, "`");
        before = ", ";
    }
    put(text, " | `");
    put(text, row->label);
    put(text, "` | ");
    put_values(text, set);
    put(text, " |\n");
}

static void put_bounds(struct buf *text, enum metric_type type, const char *unit)
{
    const struct metrics_bounds *bounds = metric_bounds(type);

    put(text, "- ");
    put(text, unit);
    put(text, ": ");
    for (uint32_t i = 0; i < bounds->count; i++) {
        put(text, i ? ", " : "");
        metric_put_time(text, type, bounds->upper_us[i]);
    }
    put(text, "\n");
}

int metrics_print_table(struct buf *text)
{
    put(text,
        "# Metrics\n"
        "\n"
        "`GET /metrics` on the admin address, in the Prometheus text format 0.0.4. This page is "
        "printed from\n"
        "`src/tables/metrics.def`; a test compares them.\n"
        "\n");
    put_metrics(text);
    put(text,
        "\n"
        "Values of `provider`, `endpoint`, `model`, `key` and `client` are names of the "
        "configuration; what it does not name is\n"
        "`other`. Where it has no `models`, values of `model` are the names that the providers "
        "list, once they have been asked for:\n"
        "at most 500, in the order of the lists. A label has at most 1,000 values: what comes "
        "after them counts as `other`, and "
        "`" METRICS_PREFIX "label_is_full` says so.\n"
        "Series of a reloaded configuration's old names stay until the process ends. Histograms, "
        "and series of failures and\n"
        "outcomes, appear once they have counted something.\n"
        "\n"
        "## Labels with fixed values\n"
        "\n"
        "| metrics | label | values |\n|---|---|---|\n");
    for (int i = 0; i < METRIC_SET_NONE; i++)
        put_set(text, (enum metric_set)i);
    put(text, "\n## Buckets of the histograms\n\n");
    put_bounds(text, METRIC_HISTOGRAM_MS, "`_ms`, in milliseconds");
    put_bounds(text, METRIC_HISTOGRAM_US, "`_us`, in microseconds");
    return text->err;
}
