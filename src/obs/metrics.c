#include "obs/metrics.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bug.h"
#include "base/err.h"
#include "obs/metrics_schema.h"
#include "obs/pages.h"

enum { LABELS_MAX_BYTES = 64 * 1024, PLACE_BITS = 16 };

static const size_t CELLS_BYTES = METRICS_MAX_CELLS * sizeof(atomic_uint_least64_t);

/* Names */

/* "other" of every label, also of one that could not be set up. */
static const struct metrics_name other = {.text = {"other", 5}};

const struct metrics_name *metrics_name_get(struct metrics_label *label, struct span text)
{
    struct metrics_name *name = map_find(&label->by_text, text);
    size_t place = label->by_text.count + 1;

    if (name || span_is_equal(text, other.text))
        return name ? name : &other;
    if (place > METRICS_MAX_NAMES) {
        label->is_full = true;
        return &other;
    }
    name = mem_zalloc(1, sizeof(*name) + text.len);
    if (!name)
        return &other;
    if (text.len)
        memcpy(name->bytes, text.ptr, text.len);
    name->text = span_of(name->bytes, text.len);
    name->place = place;
    if (map_add(&label->by_text, name->text, name)) {
        mem_free(name);
        return &other;
    }
    *label->end = name;
    label->end = &name->next;
    return name;
}

static struct metrics_label *label_get(struct metrics_schema *schema, struct span name)
{
    struct metrics_label *label;

    for (label = schema->labels; label < schema->labels + schema->label_count; label++)
        if (span_is_equal(label->name, name))
            return label;
    bug_fatal_unless(schema->label_count < METRICS_MAX_LABEL_NAMES);
    schema->label_count++;
    label->name = name;
    map_init(&label->by_text, METRICS_MAX_NAMES);
    label->end = &label->first;
    return label;
}

static void label_fini(struct metrics_label *label)
{
    struct metrics_name *name, *next;

    for (name = label->first; name; name = next) {
        next = name->next;
        mem_free(name);
    }
    map_fini(&label->by_text);
}

/* Families and series */

static void family_init(struct metrics_schema *schema, enum metric metric)
{
    struct metrics_family *family = &schema->families[metric];
    struct span rest = span_from_text(metric_rows[metric].labels), label;

    family->end = &family->first;
    while (rest.len && span_next_token(&rest, ',', &label)) {
        bug_fatal_unless(family->label_count < METRICS_MAX_LABELS);
        family->labels[family->label_count++] = label_get(schema, label);
    }
}

static void put_escaped(struct buf *text, struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '\\' || c == '"' || c == '\n')
            buf_append_byte(text, '\\');
        buf_append_byte(text, c == '\n' ? 'n' : c);
    }
}

void metrics_put_labels(struct buf *text, const struct metrics_family *family,
                        const struct span *values)
{
    for (size_t i = 0; i < family->label_count; i++) {
        if (i)
            buf_append_byte(text, ',');
        buf_append_span(text, family->labels[i]->name);
        buf_append(text, "=\"", 2);
        put_escaped(text, values[i]);
        buf_append_byte(text, '"');
    }
}

static void series_free(struct metrics_series *series)
{
    mem_free((char *)series->labels.ptr);
    mem_free(series);
}

/* A series with its label text, that nobody knows yet; NULL without memory. */
static struct metrics_series *series_new(const struct metrics_family *family,
                                         const struct metrics_name *const *names, uint64_t key)
{
    struct metrics_series *series = mem_zalloc(1, sizeof(*series));
    struct span values[METRICS_MAX_LABELS];
    struct buf labels;

    if (!series)
        return NULL;
    series->key = key;
    for (size_t i = 0; i < family->label_count; i++) {
        series->values[i] = names[i];
        values[i] = names[i]->text;
    }
    buf_init(&labels, LABELS_MAX_BYTES);
    metrics_put_labels(&labels, family, values);
    if (labels.err) {
        buf_fini(&labels);
        series_free(series);
        return NULL;
    }
    series->labels.ptr = buf_take(&labels, &series->labels.len);
    return series;
}

/* The cells at the front are nobody's: they take what has no series. They are enough for any
 * metric. */
static uint32_t lost_index(void)
{
    return 0;
}

static uint32_t lost_width(void)
{
    uint32_t most = 0;

    for (int i = 0; i < METRIC_COUNT; i++)
        if (metric_width((enum metric)i) > most)
            most = metric_width((enum metric)i);
    return most;
}

/* A new series with these names, known by the key; NULL where there is no room or memory for it. */
static struct metrics_series *series_add(struct metrics_schema *schema, enum metric metric,
                                         const struct metrics_name *const *names, uint64_t key)
{
    struct metrics_family *family = &schema->families[metric];
    uint32_t width = metric_width(metric);
    struct metrics_series *series;

    if (schema->cells_used + width > METRICS_MAX_CELLS)
        return NULL;
    series = series_new(family, names, key);
    if (!series)
        return NULL;
    if (map_add(&schema->series, span_of((const char *)&series->key, sizeof(key)), series)) {
        series_free(series);
        return NULL;
    }
    series->index = schema->cells_used;
    series->width = width;
    schema->cells_used += width;
    *family->end = series;
    family->end = &series->next;
    return series;
}

static struct metrics_series *series_get(struct metrics_schema *schema, enum metric metric,
                                         const struct span *values, bool is_quiet)
{
    struct metrics_family *family = &schema->families[metric];
    const struct metrics_name *names[METRICS_MAX_LABELS];
    uint64_t key = (uint64_t)metric << METRICS_MAX_LABELS * PLACE_BITS;
    struct metrics_series *series;

    for (size_t i = 0; i < family->label_count; i++) {
        names[i] = metrics_name_get(family->labels[i], values[i]);
        key |= (uint64_t)names[i]->place << i * PLACE_BITS;
    }
    series = map_find(&schema->series, span_of((const char *)&key, sizeof(key)));
    if (!series) {
        series = series_add(schema, metric, names, key);
        if (series)
            series->is_quiet = is_quiet;
    }
    return series;
}

uint32_t metrics_series(struct metrics_schema *schema, enum metric metric,
                        const struct span *values)
{
    struct metrics_series *series = series_get(schema, metric, values, false);

    if (!series)
        return lost_index();
    series->is_quiet = false;
    return series->index;
}

/* Half of the names and of the cells are for those who must have them. */
static bool has_room_for_quiet(const struct metrics_schema *schema, enum metric metric,
                               const struct span *values)
{
    const struct metrics_family *family = &schema->families[metric];

    for (size_t i = 0; i < family->label_count; i++)
        if (!map_find(&family->labels[i]->by_text, values[i]) &&
            family->labels[i]->by_text.count >= METRICS_MAX_NAMES / 2)
            return false;
    return schema->cells_used < METRICS_MAX_CELLS / 2;
}

bool metrics_quiet_series(struct metrics_schema *schema, enum metric metric,
                          const struct span *values, uint32_t *ret_index)
{
    struct metrics_series *series = NULL;

    if (has_room_for_quiet(schema, metric, values))
        series = series_get(schema, metric, values, true);
    if (series)
        *ret_index = series->index;
    return series != NULL;
}

void metrics_try(struct metrics_schema *schema)
{
    schema->tried_from = schema->cells_used;
}

void metrics_settle(struct metrics_schema *schema, bool is_in_force)
{
    for (int i = 0; i < METRIC_COUNT && !is_in_force; i++) {
        for (struct metrics_series *series = schema->families[i].first; series;
             series = series->next)
            series->is_quiet |= series->index >= schema->tried_from;
    }
    schema->tried_from = UINT32_MAX;
}

/* The schema */

struct metrics_schema *metrics_schema_new(void)
{
    struct metrics_schema *schema = mem_zalloc(1, sizeof(*schema));

    if (!schema)
        return NULL;
    map_init(&schema->series, METRICS_MAX_CELLS);
    schema->cells_used = lost_width();
    schema->tried_from = UINT32_MAX;
    for (int i = 0; i < METRIC_COUNT; i++)
        family_init(schema, (enum metric)i);
    /* What has no labels is there from the start. */
    for (int i = 0; i < METRIC_COUNT; i++)
        if (!schema->families[i].label_count && metric_rows[i].source == METRIC_CELLS)
            metrics_series(schema, (enum metric)i, NULL);
    return schema;
}

static void family_fini(struct metrics_family *family)
{
    struct metrics_series *series, *next;

    for (series = family->first; series; series = next) {
        next = series->next;
        series_free(series);
    }
}

void metrics_schema_free(struct metrics_schema **schema)
{
    struct metrics_schema *s = *schema;
    struct metrics_block *block, *next;

    if (!s)
        return;
    for (block = atomic_load(&s->shared.blocks); block; block = next) {
        next = block->next;
        pages_free(block->metrics.shared.cells, CELLS_BYTES);
        mem_free(block);
    }
    for (int i = 0; i < METRIC_COUNT; i++)
        family_fini(&s->families[i]);
    for (size_t i = 0; i < s->label_count; i++)
        label_fini(&s->labels[i]);
    map_fini(&s->series);
    mem_free(s);
    *schema = NULL;
}

struct metrics *metrics_attach(struct metrics_schema *schema)
{
    struct metrics_block *block = mem_zalloc(1, sizeof(*block));

    if (!block)
        return NULL;
    block->metrics.shared.cells = pages_new(CELLS_BYTES);
    if (!block->metrics.shared.cells) {
        mem_free(block);
        return NULL;
    }
    block->next = atomic_load_explicit(&schema->shared.blocks, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&schema->shared.blocks, &block->next, block,
                                                  memory_order_release, memory_order_relaxed))
        continue;
    return &block->metrics;
}

uint64_t metrics_sum(const struct metrics_schema *schema, uint32_t index)
{
    const struct metrics_block *block =
        atomic_load_explicit(&schema->shared.blocks, memory_order_acquire);
    uint64_t sum = 0;

    for (; block; block = block->next)
        sum += atomic_load_explicit(&block->metrics.shared.cells[index], memory_order_relaxed);
    return sum;
}

bool metrics_is_shown(const struct metrics_schema *schema, const struct metrics_series *series)
{
    for (uint32_t i = 0; series->is_quiet && i < series->width; i++)
        if (metrics_sum(schema, series->index + i))
            return true;
    return !series->is_quiet;
}
