#include "obs/stats.h"

#include "base/bug.h"
#include "obs/metrics_schema.h"

/* All cells of one series, from the first on, or one of them. */
static uint64_t sum_cells(const struct metrics_schema *schema, uint32_t index, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += metrics_sum(schema, index + i);
    return sum;
}

static uint64_t sum_value(const struct metrics_schema *schema, enum metric metric, uint32_t value)
{
    uint64_t sum = 0;

    for (const struct metrics_series *s = schema->families[metric].first; s; s = s->next)
        sum += metrics_sum(schema, s->index + value);
    return sum;
}

static uint64_t sum_metric(const struct metrics_schema *schema, enum metric metric)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < metric_width(metric); i++)
        sum += sum_value(schema, metric, i);
    return sum;
}

static void read_histogram(const struct metrics_schema *schema, enum metric metric,
                           struct stats_histogram *ret_histogram)
{
    const struct metrics_bounds *bounds = metric_bounds(metric_rows[metric].type);

    *ret_histogram = (struct stats_histogram){.bounds = bounds};
    for (uint32_t i = 0; i <= bounds->count; i++) {
        ret_histogram->counts[i] = sum_value(schema, metric, i);
        ret_histogram->count += ret_histogram->counts[i];
    }
    ret_histogram->sum_us = sum_value(schema, metric, bounds->count + 1);
}

void stats_read(struct metrics_schema *schema, struct stats *ret_stats)
{
    *ret_stats = (struct stats){
        .requests = sum_metric(schema, METRIC_REQUESTS),
        .errors = sum_metric(schema, METRIC_REQUEST_ERRORS),
        .active = sum_metric(schema, METRIC_ACTIVE_REQUESTS),
        .attempts = sum_metric(schema, METRIC_ATTEMPTS),
        .prompt_tokens = sum_value(schema, METRIC_TOKENS, METRIC_TOKENS_PROMPT),
        .completion_tokens = sum_value(schema, METRIC_TOKENS, METRIC_TOKENS_COMPLETION),
        .cached_tokens = sum_value(schema, METRIC_TOKENS, METRIC_TOKENS_CACHED),
        .cost_nanousd = sum_value(schema, METRIC_COST, 0),
        .unpriced = sum_value(schema, METRIC_UNPRICED, 0),
    };
    read_histogram(schema, METRIC_REQUEST_LATENCY, &ret_stats->latency);
    read_histogram(schema, METRIC_TTFB, &ret_stats->ttfb);
    read_histogram(schema, METRIC_OVERHEAD, &ret_stats->overhead);
}

/* Which of a metric's labels is called "model": it must have one. */
static size_t model_label(const struct metrics_schema *schema, enum metric metric)
{
    const struct metrics_family *family = &schema->families[metric];

    for (size_t i = 0; i < family->label_count; i++)
        if (span_is_equal(family->labels[i]->name, SPAN("model")))
            return i;
    bug_abort(__FILE__, __LINE__, "a metric of models has a label for them");
}

/* The models being read: each stands at the place of its name, "other" at 0. */
struct models {
    const struct metrics_schema *schema;
    struct stats_model *all;
    size_t max;
};

/* Adds up `count` cells of each series, from `from` on, into the member at `offset`. */
static void add_up(const struct models *models, enum metric metric, uint32_t from, uint32_t count,
                   size_t offset)
{
    const struct metrics_schema *schema = models->schema;
    size_t label = model_label(schema, metric);

    for (const struct metrics_series *s = schema->families[metric].first; s; s = s->next) {
        size_t place = s->values[label]->place;

        if (place < models->max)
            *(uint64_t *)(void *)((char *)&models->all[place] + offset) +=
                sum_cells(schema, s->index + from, count);
    }
}

size_t stats_read_models(struct metrics_schema *schema, struct stats_model *ret_models, size_t max)
{
    const struct metrics_label *label =
        schema->families[METRIC_REQUESTS].labels[model_label(schema, METRIC_REQUESTS)];
    struct models models = {schema, ret_models, max};
    uint32_t buckets = metrics_bounds_ms.count + 1;
    size_t count = 0;

    if (max)
        ret_models[count++] = (struct stats_model){.model = METRICS_OTHER};
    for (const struct metrics_name *name = label->first; name && count < max; name = name->next)
        ret_models[count++] = (struct stats_model){.model = name->text};
#define MEMBER(name) offsetof(struct stats_model, name)
    add_up(&models, METRIC_REQUESTS, 0, METRIC_STATUS_COUNT, MEMBER(requests));
    add_up(&models, METRIC_REQUEST_ERRORS, 0, METRIC_FAILURE_COUNT, MEMBER(errors));
    add_up(&models, METRIC_TOKENS, METRIC_TOKENS_PROMPT, 1, MEMBER(prompt_tokens));
    add_up(&models, METRIC_TOKENS, METRIC_TOKENS_COMPLETION, 1, MEMBER(completion_tokens));
    add_up(&models, METRIC_REQUEST_LATENCY, 0, buckets, MEMBER(latency_count));
    add_up(&models, METRIC_REQUEST_LATENCY, buckets, 1, MEMBER(latency_sum_us));
    add_up(&models, METRIC_COST, 0, 1, MEMBER(cost_nanousd));
#undef MEMBER
    return count;
}

uint64_t stats_requests(struct metrics_schema *schema, const struct span values[2])
{
    return sum_cells(schema, metrics_series(schema, METRIC_REQUESTS, values), METRIC_STATUS_COUNT);
}

uint64_t stats_mean_us(const struct stats_histogram *histogram)
{
    return histogram->count ? histogram->sum_us / histogram->count : 0;
}

uint64_t stats_quantile_us(const struct stats_histogram *histogram, double share)
{
    const struct metrics_bounds *bounds = histogram->bounds;
    double wanted = share * (double)histogram->count, below = 0;
    uint64_t lower = 0;

    if (!histogram->count)
        return 0;
    for (uint32_t i = 0; i < bounds->count; i++) {
        double inside = (double)histogram->counts[i];
        uint64_t upper = bounds->upper_us[i];

        if (inside > 0 && below + inside >= wanted)
            return lower + (uint64_t)((double)(upper - lower) * (wanted - below) / inside);
        below += inside;
        lower = upper;
    }
    return lower;
}

void stats_since(const struct stats_histogram *now, const struct stats_histogram *before,
                 struct stats_histogram *ret_added)
{
    *ret_added = (struct stats_histogram){
        .bounds = now->bounds,
        .count = now->count - before->count,
        .sum_us = now->sum_us - before->sum_us,
    };
    for (uint32_t i = 0; i <= now->bounds->count; i++)
        ret_added->counts[i] = now->counts[i] - before->counts[i];
}
