/* obs/metrics and obs/stats: indexes, counting from threads, limits of names, sums, quantiles. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/rand.h"
#include "obs/metrics.h"
#include "obs/metrics_schema.h"
#include "obs/stats.h"

#define VALUES(...) ((struct span[]){__VA_ARGS__})

static int set_up(void **state)
{
    *state = metrics_schema_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    struct metrics_schema *schema = *state;

    metrics_schema_free(&schema);
    return schema ? -1 : 0;
}

static uint32_t requests(struct metrics_schema *schema, struct span provider, struct span model)
{
    return metrics_series(schema, METRIC_REQUESTS, VALUES(provider, model));
}

static void gives_the_same_values_the_same_index(void **state)
{
    struct metrics_schema *schema = *state;
    uint32_t first = requests(schema, SPAN("openai"), SPAN("gpt-4.1"));

    assert_int_equal(requests(schema, SPAN("openai"), SPAN("gpt-4.1")), first);
    assert_int_not_equal(requests(schema, SPAN("openai"), SPAN("gpt-5")), first);
    assert_int_not_equal(requests(schema, SPAN("gpt-4.1"), SPAN("openai")), first);
    assert_int_not_equal(
        metrics_series(schema, METRIC_TOKENS, VALUES(SPAN("openai"), SPAN("gpt-4.1"))), first);
    assert_int_equal(metrics_series(schema, METRIC_ACTIVE_REQUESTS, NULL),
                     metrics_series(schema, METRIC_ACTIVE_REQUESTS, NULL));
}

/* No series stands in the cells of another. */
static void gives_every_series_cells_of_its_own(void **state)
{
    struct metrics_schema *schema = *state;
    static unsigned char used[8192];
    char name[16];

    for (int i = 0; i < 10; i++) {
        for (int metric = 0; metric < METRIC_COUNT; metric++) {
            struct span values[3];
            uint32_t index, width = metric_width((enum metric)metric);

            if (!*metric_rows[metric].labels)
                continue;
            snprintf(name, sizeof(name), "n%d", i);
            values[0] = values[1] = values[2] = span_from_text(name);
            index = metrics_series(schema, (enum metric)metric, values);
            assert_true(index + width <= sizeof(used));
            for (uint32_t cell = index; cell < index + width; cell++)
                assert_int_equal(used[cell]++, 0);
        }
    }
}

static void sums_what_threads_count(void **state)
{
    struct metrics_schema *schema = *state;
    struct metrics *one = metrics_attach(schema), *two = metrics_attach(schema);
    uint32_t index = requests(schema, SPAN("openai"), SPAN("gpt-4.1"));
    uint32_t active = metrics_series(schema, METRIC_ACTIVE_REQUESTS, NULL);

    metrics_add(one, index + metrics_status(200), 3);
    metrics_add(two, index + metrics_status(204), 4);
    metrics_add(two, index + metrics_status(0), 1);
    metrics_add(one, active, 1);
    metrics_add(two, active, (uint64_t)-1);
    metrics_add(two, active, 1);
    assert_int_equal(metrics_sum(schema, index + METRIC_STATUS_2XX), 7);
    assert_int_equal(metrics_sum(schema, index + METRIC_STATUS_NONE), 1);
    assert_int_equal(metrics_sum(schema, index + METRIC_STATUS_5XX), 0);
    assert_int_equal(metrics_sum(schema, active), 1);
    metrics_set(two, active, 5);
    assert_int_equal(metrics_sum(schema, active), 6);
}

static void knows_the_class_of_a_status(void **state)
{
    assert_int_equal(metrics_status(0), METRIC_STATUS_NONE);
    assert_int_equal(metrics_status(100), METRIC_STATUS_1XX);
    assert_int_equal(metrics_status(299), METRIC_STATUS_2XX);
    assert_int_equal(metrics_status(429), METRIC_STATUS_4XX);
    assert_int_equal(metrics_status(599), METRIC_STATUS_5XX);
    assert_int_equal(metrics_status(600), METRIC_STATUS_NONE);
    assert_int_equal(metrics_status(99), METRIC_STATUS_NONE);
}

/* Against the plain definition: the first bound that the value does not pass. */
static void expect_bucket(const struct metrics_bounds *bounds, uint64_t value_us)
{
    uint32_t wanted = 0;

    while (wanted < bounds->count && value_us > bounds->upper_us[wanted])
        wanted++;
    assert_int_equal(metrics_bucket(bounds, value_us), wanted);
}

static void finds_the_bucket_of_every_value(void **state)
{
    const struct metrics_bounds *all[] = {&metrics_bounds_ms, &metrics_bounds_us};
    struct rand rand;

    rand_init(&rand, 3);
    for (int kind = 0; kind < 2; kind++) {
        for (uint32_t i = 0; i < all[kind]->count; i++)
            for (uint64_t near = 0; near < 3; near++)
                expect_bucket(all[kind], all[kind]->upper_us[i] + near - 1);
        for (int i = 0; i < 10000; i++)
            expect_bucket(all[kind], rand_u64(&rand) >> rand_below(&rand, 64));
        expect_bucket(all[kind], 0);
        expect_bucket(all[kind], UINT64_MAX);
    }
}

static void counts_names_past_the_limit_as_other(void **state)
{
    struct metrics_schema *schema = *state;
    uint32_t other = metrics_series(schema, METRIC_CLIENT_REQUESTS, VALUES(METRICS_OTHER));
    uint32_t first = metrics_series(schema, METRIC_CLIENT_REQUESTS, VALUES(SPAN("c0")));
    uint32_t cells;
    char name[16];

    for (int i = 1; i < METRICS_MAX_NAMES; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_int_not_equal(
            metrics_series(schema, METRIC_CLIENT_REQUESTS, VALUES(span_from_text(name))), other);
    }
    cells = schema->cells_used;
    for (int i = METRICS_MAX_NAMES; i < 10000; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_int_equal(
            metrics_series(schema, METRIC_CLIENT_REQUESTS, VALUES(span_from_text(name))), other);
    }
    assert_int_equal(schema->cells_used, cells);
    assert_int_equal(metrics_series(schema, METRIC_CLIENT_REQUESTS, VALUES(SPAN("c0"))), first);
}

/* A product of names too large for the cells: what has none may still be counted, into nothing. */
static void outlives_the_end_of_its_cells(void **state)
{
    struct metrics_schema *schema = *state;
    struct metrics *metrics = metrics_attach(schema);
    char provider[16], model[16];
    uint32_t index = 1, width = metric_width(METRIC_REQUEST_ERRORS);
    struct buf text;

    for (int p = 0; p < 100; p++) {
        for (int m = 0; m < 999; m++) {
            snprintf(provider, sizeof(provider), "p%d", p);
            snprintf(model, sizeof(model), "m%d", m);
            index = metrics_series(schema, METRIC_REQUEST_ERRORS,
                                   VALUES(span_from_text(provider), span_from_text(model)));
            assert_true(index + width <= METRICS_MAX_CELLS);
        }
    }
    assert_int_equal(index, 0);
    for (uint32_t i = 0; i < width; i++)
        metrics_add(metrics, index + i, 77777);
    metrics_observe(metrics, index, &metrics_bounds_ms, 77777);
    buf_init(&text, 64 * 1024 * 1024);
    assert_int_equal(metrics_write(schema, NULL, &text), 0);
    assert_int_equal(span_find(buf_span(&text), SPAN("77777")), SIZE_MAX);
    buf_fini(&text);
}

/* With the build option `faults` each allocation fails in its turn: there is always an index that
 * may be counted at, and once there is memory it is the series' own. */
static void has_an_index_without_memory(void **state)
{
    struct metrics_schema *schema = NULL;
    struct metrics *metrics = NULL;
    uint32_t index, other;

    for (long after = 0; !metrics && after < 200; after++) {
        metrics_schema_free(&schema);
        mem_fail_after(after);
        schema = metrics_schema_new();
        metrics = schema ? metrics_attach(schema) : NULL;
    }
    for (long after = 0; after < 20; after++) {
        mem_fail_after(after);
        index = requests(schema, SPAN("openai"), SPAN("gpt-4.1"));
        metrics_add(metrics, index + METRIC_STATUS_2XX, 1);
    }
    mem_fail_after(-1);
    other = requests(schema, METRICS_OTHER, METRICS_OTHER);
    assert_int_not_equal(index, 0);
    assert_int_not_equal(index, other);
    assert_int_equal(requests(schema, SPAN("openai"), SPAN("gpt-4.1")), index);
    assert_int_not_equal(metrics_sum(schema, index + METRIC_STATUS_2XX), 0);
    metrics_schema_free(&schema);
}

/* Threads count while the reader reads and the control thread makes series. */
enum { THREADS = 3, COUNTED = 200000 };

struct counter {
    pthread_t thread;
    struct metrics_schema *schema;
    uint32_t index, histogram;
};

static void *count(void *argument)
{
    struct counter *counter = argument;
    struct metrics *metrics = metrics_attach(counter->schema);

    for (int i = 0; metrics && i < COUNTED; i++) {
        metrics_add(metrics, counter->index + METRIC_STATUS_2XX, 1);
        metrics_observe(metrics, counter->histogram, &metrics_bounds_ms, 1500);
    }
    return NULL;
}

static void loses_nothing_while_it_is_read(void **state)
{
    struct metrics_schema *schema = *state;
    struct counter counters[THREADS];
    uint32_t index = requests(schema, SPAN("p"), SPAN("m"));
    uint32_t histogram =
        metrics_series(schema, METRIC_REQUEST_LATENCY, VALUES(SPAN("p"), SPAN("m")));
    struct stats stats = {0};
    uint64_t before = 0;
    char name[16];

    for (int i = 0; i < THREADS; i++) {
        counters[i] = (struct counter){.schema = schema, .index = index, .histogram = histogram};
        assert_int_equal(pthread_create(&counters[i].thread, NULL, count, &counters[i]), 0);
    }
    for (int i = 0; stats.requests < THREADS * COUNTED; i++) {
        snprintf(name, sizeof(name), "m%d", i % 2000);
        requests(schema, SPAN("p"), span_from_text(name));
        stats_read(schema, &stats);
        assert_true(stats.requests >= before);
        before = stats.requests;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(counters[i].thread, NULL), 0);
    stats_read(schema, &stats);
    assert_int_equal(stats.requests, THREADS * COUNTED);
    assert_int_equal(stats.latency.count, THREADS * COUNTED);
    assert_int_equal(stats_mean_us(&stats.latency), 1500);
}

static void reads_sums_and_models(void **state)
{
    struct metrics_schema *schema = *state;
    struct metrics *metrics = metrics_attach(schema);
    struct stats_model models[METRICS_MAX_NAMES + 1];
    struct span a[] = {SPAN("p"), SPAN("a")}, b[] = {SPAN("p"), SPAN("b")};
    struct span other_b[] = {SPAN("q"), SPAN("b")};
    struct stats stats;

    metrics_add(metrics, metrics_series(schema, METRIC_REQUESTS, a) + METRIC_STATUS_2XX, 5);
    metrics_add(metrics, metrics_series(schema, METRIC_REQUESTS, b) + METRIC_STATUS_2XX, 1);
    metrics_add(metrics, metrics_series(schema, METRIC_REQUESTS, other_b) + METRIC_STATUS_5XX, 2);
    metrics_add(metrics, metrics_series(schema, METRIC_REQUEST_ERRORS, other_b) + 3, 2);
    metrics_add(metrics, metrics_series(schema, METRIC_TOKENS, a) + METRIC_TOKENS_PROMPT, 100);
    metrics_add(metrics, metrics_series(schema, METRIC_TOKENS, a) + METRIC_TOKENS_COMPLETION, 20);
    metrics_add(metrics, metrics_series(schema, METRIC_TOKENS, b) + METRIC_TOKENS_CACHED, 7);
    metrics_observe(metrics, metrics_series(schema, METRIC_REQUEST_LATENCY, b), &metrics_bounds_ms,
                    4000);
    metrics_observe(metrics, metrics_series(schema, METRIC_OVERHEAD, NULL), &metrics_bounds_us, 40);
    stats_read(schema, &stats);
    assert_int_equal(stats.requests, 8);
    assert_int_equal(stats.errors, 2);
    assert_int_equal(stats.prompt_tokens, 100);
    assert_int_equal(stats.completion_tokens, 20);
    assert_int_equal(stats.cached_tokens, 7);
    assert_int_equal(stats.latency.sum_us, 4000);
    assert_int_equal(stats.overhead.count, 1);
    assert_int_equal(stats_read_models(schema, models, METRICS_MAX_NAMES + 1), 3);
    assert_true(span_is_equal(models[0].model, METRICS_OTHER));
    assert_int_equal(models[0].requests, 0);
    assert_true(span_is_equal(models[1].model, SPAN("a")));
    assert_int_equal(models[1].requests, 5);
    assert_int_equal(models[1].prompt_tokens, 100);
    assert_int_equal(models[1].completion_tokens, 20);
    assert_int_equal(models[2].requests, 3);
    assert_int_equal(models[2].errors, 2);
    assert_int_equal(models[2].latency_count, 1);
    assert_int_equal(models[2].latency_sum_us, 4000);
    assert_int_equal(stats_read_models(schema, models, 2), 2);
}

/* Names that nobody configured have half of the room. */
static void gives_quiet_series_half_of_the_room(void **state)
{
    struct metrics_schema *schema = *state;
    uint32_t index, again;
    char name[16];
    size_t n = 0;

    for (int i = 0; i < METRICS_MAX_NAMES; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        if (!metrics_quiet_series(schema, METRIC_REQUESTS,
                                  (struct span[]){SPAN("p"), span_from_text(name)}, &index))
            break;
        n++;
    }
    assert_int_equal(n, METRICS_MAX_NAMES / 2);
    /* The configuration finds room still, and a series is the same to both. */
    assert_int_not_equal(requests(schema, SPAN("p"), SPAN("new")),
                         requests(schema, SPAN("p"), METRICS_OTHER));
    index = requests(schema, SPAN("p"), SPAN("m1"));
    assert_true(metrics_quiet_series(schema, METRIC_REQUESTS,
                                     (struct span[]){SPAN("p"), SPAN("m1")}, &again));
    assert_int_equal(again, index);
}

static void interpolates_quantiles(void **state)
{
    struct stats_histogram histogram = {.bounds = &metrics_bounds_us}, before, added;

    assert_int_equal(stats_mean_us(&histogram), 0);
    assert_int_equal(stats_quantile_us(&histogram, 0.5), 0);
    histogram.counts[0] = 50; /* up to 10 */
    histogram.counts[2] = 50; /* 25 to 50 */
    histogram.count = 100;
    histogram.sum_us = 2000;
    assert_int_equal(stats_mean_us(&histogram), 20);
    assert_int_equal(stats_quantile_us(&histogram, 0), 0);
    assert_int_equal(stats_quantile_us(&histogram, 0.25), 5);
    assert_int_equal(stats_quantile_us(&histogram, 0.5), 10);
    assert_int_equal(stats_quantile_us(&histogram, 0.75), 37);
    assert_int_equal(stats_quantile_us(&histogram, 1), 50);
    before = histogram;
    histogram.counts[metrics_bounds_us.count] += 100;
    histogram.count += 100;
    histogram.sum_us += 5000000000;
    assert_int_equal(stats_quantile_us(&histogram, 0.99), 1000000);
    stats_since(&histogram, &before, &added);
    assert_int_equal(added.count, 100);
    assert_int_equal(added.counts[0], 0);
    assert_int_equal(added.counts[metrics_bounds_us.count], 100);
    assert_int_equal(stats_mean_us(&added), 50000000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(gives_the_same_values_the_same_index),
        TEST(gives_every_series_cells_of_its_own),
        TEST(sums_what_threads_count),
        TEST(knows_the_class_of_a_status),
        TEST(finds_the_bucket_of_every_value),
        TEST(counts_names_past_the_limit_as_other),
        TEST(outlives_the_end_of_its_cells),
        TEST(has_an_index_without_memory),
        TEST(loses_nothing_while_it_is_read),
        TEST(reads_sums_and_models),
        TEST(gives_quiet_series_half_of_the_room),
        TEST(interpolates_quantiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
