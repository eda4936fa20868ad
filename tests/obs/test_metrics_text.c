/* obs/metrics_text: /metrics read by a strict parser, and the page of docs/. */
#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "obs/metrics.h"
#include "obs/metrics_schema.h"

#define VALUES(...) ((struct span[]){__VA_ARGS__})

enum { TEXT_MAX = 16 * 1024 * 1024, SERIES_MAX = 200000 };

/* The parser: the text format 0.0.4, and promtool's rules. */

struct parser {
    struct map families; /* names that have had their TYPE */
    struct map series;   /* name and labels as they stand */
    struct span family, type;
    struct span bucket_labels; /* of the histogram series under way, up to le */
    double last_le, last_value;
    bool is_after_help;
    size_t samples;
};

static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && text.ptr[i] != '_')
            return false;
    return text.len && !isdigit((unsigned char)text.ptr[0]);
}

static struct span take_until(struct span *rest, char c)
{
    size_t at = span_find_byte(*rest, c);
    struct span taken;

    assert_int_not_equal(at, SIZE_MAX);
    taken = span_of(rest->ptr, at);
    *rest = span_skip(*rest, at + 1);
    return taken;
}

static double parse_number(struct span text)
{
    char copy[64];
    char *end;
    double number;

    assert_in_range(text.len, 1, sizeof(copy) - 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    number = strtod(copy, &end);
    assert_int_equal(*end, '\0');
    return number;
}

static void parse_comment(struct parser *parser, struct span line)
{
    struct span rest = span_skip(line, 2);
    struct span word = take_until(&rest, ' '), name = take_until(&rest, ' ');

    assert_true(is_name(name));
    assert_true(span_has_prefix(name, SPAN("bellwether_")));
    if (span_is_equal(word, SPAN("HELP"))) {
        assert_false(parser->is_after_help);
        assert_true(rest.len > 0 && rest.ptr[rest.len - 1] == '.');
        parser->family = name;
        parser->is_after_help = true;
        return;
    }
    assert_true(span_is_equal(word, SPAN("TYPE")));
    assert_true(parser->is_after_help && span_is_equal(name, parser->family));
    assert_true(span_is_equal(rest, SPAN("counter")) || span_is_equal(rest, SPAN("gauge")) ||
                span_is_equal(rest, SPAN("histogram")));
    assert_int_equal(span_is_equal(rest, SPAN("counter")), span_has_suffix(name, SPAN("_total")));
    assert_int_equal(map_add(&parser->families, name, parser), 0);
    parser->type = rest;
    parser->is_after_help = false;
    parser->bucket_labels = span_of(NULL, 0);
}

/* name="value",...}: returns the rest behind the brace; the value of le in *ret_le. */
static struct span parse_labels(struct span rest, struct span *ret_le)
{
    for (;;) {
        struct span name = take_until(&rest, '='), value;
        size_t at = 1;

        assert_true(is_name(name));
        assert_true(rest.len > 1 && rest.ptr[0] == '"');
        while (rest.ptr[at] != '"') {
            assert_int_not_equal(rest.ptr[at], '\n');
            if (rest.ptr[at] == '\\') {
                at++;
                assert_true(rest.ptr[at] == 'n' || rest.ptr[at] == '\\' || rest.ptr[at] == '"');
            }
            at++;
            assert_true(at < rest.len);
        }
        value = span_of(rest.ptr + 1, at - 1);
        if (span_is_equal(name, SPAN("le")))
            *ret_le = value;
        rest = span_skip(rest, at + 1);
        assert_true(rest.len > 0);
        if (rest.ptr[0] == '}')
            return span_skip(rest, 1);
        assert_int_equal(rest.ptr[0], ',');
        rest = span_skip(rest, 1);
    }
}

/* The buckets of one series follow each other in order, then _sum and _count. */
static void check_histogram(struct parser *parser, struct span suffix, struct span labels,
                            struct span le, double value)
{
    struct span base = labels;

    if (!span_is_equal(suffix, SPAN("_bucket"))) {
        assert_null(le.ptr);
        assert_true(isinf(parser->last_le));
        assert_true(span_is_equal(suffix, SPAN("_sum")) ||
                    (span_is_equal(suffix, SPAN("_count")) && value == parser->last_value));
        return;
    }
    assert_non_null(le.ptr);
    base.len = (size_t)(le.ptr - labels.ptr);
    if (!parser->bucket_labels.ptr || !span_is_equal(base, parser->bucket_labels)) {
        parser->bucket_labels = base;
        parser->last_le = -1;
        parser->last_value = 0;
    }
    assert_true(parse_number(le) > parser->last_le);
    assert_true(value >= parser->last_value);
    parser->last_le = parse_number(le);
    parser->last_value = value;
}

static void parse_sample(struct parser *parser, struct span line)
{
    struct span rest = line, name, labels = {NULL, 0}, le = {NULL, 0}, suffix;
    size_t brace = span_find_byte(line, '{'), space = span_find_byte(line, ' ');
    double value;

    assert_false(parser->is_after_help);
    if (brace < space) {
        name = take_until(&rest, '{');
        labels = rest;
        rest = parse_labels(rest, &le);
        labels.len = (size_t)(rest.ptr - labels.ptr);
        assert_int_equal(rest.ptr[0], ' ');
        rest = span_skip(rest, 1);
    } else {
        name = take_until(&rest, ' ');
    }
    assert_true(is_name(name));
    assert_true(span_has_prefix(name, parser->family));
    suffix = span_skip(name, parser->family.len);
    value = parse_number(rest);
    assert_int_equal(
        map_add(&parser->series, span_of(line.ptr, (size_t)(rest.ptr - line.ptr)), parser), 0);
    if (span_is_equal(parser->type, SPAN("histogram")))
        check_histogram(parser, suffix, labels, le, value);
    else
        assert_int_equal(suffix.len, 0);
    if (!span_is_equal(parser->type, SPAN("gauge")))
        assert_true(value >= 0);
    parser->samples++;
}

static size_t parse(struct span text)
{
    struct parser parser = {0};
    struct span rest = text;

    map_init(&parser.families, SERIES_MAX);
    map_init(&parser.series, SERIES_MAX);
    assert_true(text.len && text.ptr[text.len - 1] == '\n');
    while (rest.len) {
        struct span line = take_until(&rest, '\n');

        assert_true(line.len > 0);
        if (line.ptr[0] == '#')
            parse_comment(&parser, line);
        else
            parse_sample(&parser, line);
    }
    assert_false(parser.is_after_help);
    map_fini(&parser.families);
    map_fini(&parser.series);
    return parser.samples;
}

/* The stage */

struct stage {
    struct metrics_schema *schema;
    struct metrics *metrics;
    struct buf text;
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    stage->schema = metrics_schema_new();
    stage->metrics = metrics_attach(stage->schema);
    buf_init(&stage->text, TEXT_MAX);
    *state = stage;
    return stage->metrics ? 0 : -1;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;

    metrics_schema_free(&stage->schema);
    buf_fini(&stage->text);
    free(stage);
    return 0;
}

static void sample_all(void *context, enum metric metric, struct metrics_out *out)
{
    switch ((int)metric) {
    case METRIC_BODY_MEMORY:
        metrics_sample(out, NULL, 1048576);
        break;
    case METRIC_KEY_STATE:
        metrics_sample(out, VALUES(SPAN("openai"), SPAN("k1"), SPAN("healthy")), 1);
        metrics_sample(out, VALUES(SPAN("openai"), SPAN("k1"), SPAN("cooling")), 0);
        break;
    case METRIC_KEY_COOLDOWN:
        metrics_sample(out, VALUES(SPAN("openai"), SPAN("k1")), 12.5);
        metrics_sample(out, VALUES(SPAN("openai"), SPAN("k2")), NAN);
        metrics_sample(out, VALUES(SPAN("openai"), SPAN("k3")), INFINITY);
        break;
    case METRIC_START_TIME:
        metrics_sample(out, NULL, 1795169700.123);
        break;
    }
}

static const struct metrics_sampler sampler = {sample_all, NULL};

static size_t write_text(struct stage *stage, const struct metrics_sampler *sampled)
{
    buf_clear(&stage->text);
    assert_int_equal(metrics_write(stage->schema, sampled, &stage->text), 0);
    return parse(buf_span(&stage->text));
}

static void expect_line(struct stage *stage, const char *line)
{
    char whole[512];

    snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (span_find(buf_span(&stage->text), span_from_text(whole)) == SIZE_MAX)
        fail_msg("no line: %s", line);
}

static void expect_nothing_of(struct stage *stage, const char *words)
{
    if (span_find(buf_span(&stage->text), span_from_text(words)) != SIZE_MAX)
        fail_msg("found: %s", words);
}

static void is_well_formed_before_anything_happened(void **state)
{
    struct stage *stage = *state;

    assert_true(write_text(stage, NULL) > 20);
    expect_line(stage, "bellwether_active_requests 0");
    expect_line(stage, "# TYPE bellwether_requests_total counter");
    expect_line(stage, "bellwether_bytes_total{flow=\"to_client\"} 0");
    expect_line(stage, "bellwether_overhead_us_count 0");
    expect_nothing_of(stage, "bellwether_key_state");
}

static void writes_counters_gauges_and_samples(void **state)
{
    struct stage *stage = *state;
    struct span who[] = {SPAN("openai"), SPAN("gpt-4.1")};

    metrics_add(stage->metrics, metrics_series(stage->schema, METRIC_REQUESTS, who) + 2, 41);
    metrics_add(
        stage->metrics,
        metrics_series(stage->schema, METRIC_REQUEST_ERRORS, who) + METRIC_FAILURE_PASSED_ON, 2);
    metrics_add(stage->metrics, metrics_series(stage->schema, METRIC_ACTIVE_REQUESTS, NULL),
                (uint64_t)-3);
    write_text(stage, &sampler);
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"gpt-4.1\","
                       "status=\"2xx\"} 41");
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"gpt-4.1\","
                       "status=\"5xx\"} 0");
    expect_line(stage, "bellwether_request_errors_total{provider=\"openai\",model=\"gpt-4.1\","
                       "failure=\"passed_on\"} 2");
    expect_nothing_of(stage, "failure=\"timeout\"");
    expect_line(stage, "bellwether_active_requests -3");
    expect_line(stage, "bellwether_body_memory_bytes 1048576");
    expect_line(stage, "bellwether_key_cooldown_seconds{provider=\"openai\",key=\"k1\"} 12.5");
    expect_line(stage, "bellwether_key_cooldown_seconds{provider=\"openai\",key=\"k2\"} NaN");
    expect_line(stage, "bellwether_key_cooldown_seconds{provider=\"openai\",key=\"k3\"} +Inf");
    expect_line(stage, "bellwether_start_timestamp_seconds 1795169700.123");
    expect_nothing_of(stage, "bellwether_active_keys_count");
}

static void writes_histograms_in_their_unit(void **state)
{
    struct stage *stage = *state;
    uint32_t index =
        metrics_series(stage->schema, METRIC_REQUEST_LATENCY, VALUES(SPAN("p"), SPAN("m")));

    metrics_series(stage->schema, METRIC_REQUEST_LATENCY, VALUES(SPAN("p"), SPAN("unused")));
    metrics_observe(stage->metrics, index, &metrics_bounds_ms, 900);
    metrics_observe(stage->metrics, index, &metrics_bounds_ms, 2500);
    metrics_observe(stage->metrics, index, &metrics_bounds_ms, 700000001);
    metrics_observe(stage->metrics, metrics_series(stage->schema, METRIC_OVERHEAD, NULL),
                    &metrics_bounds_us, 11);
    write_text(stage, NULL);
#define LATENCY "bellwether_request_latency_ms"
    expect_line(stage, LATENCY "_bucket{provider=\"p\",model=\"m\",le=\"1\"} 1");
    expect_line(stage, LATENCY "_bucket{provider=\"p\",model=\"m\",le=\"2.5\"} 2");
    expect_line(stage, LATENCY "_bucket{provider=\"p\",model=\"m\",le=\"600000\"} 2");
    expect_line(stage, LATENCY "_bucket{provider=\"p\",model=\"m\",le=\"+Inf\"} 3");
    expect_line(stage, LATENCY "_sum{provider=\"p\",model=\"m\"} 700003.401");
    expect_line(stage, LATENCY "_count{provider=\"p\",model=\"m\"} 3");
    expect_nothing_of(stage, "unused");
    expect_line(stage, "bellwether_overhead_us_bucket{le=\"10\"} 0");
    expect_line(stage, "bellwether_overhead_us_bucket{le=\"25\"} 1");
    expect_line(stage, "bellwether_overhead_us_sum 11");
}

static void escapes_label_values(void **state)
{
    struct stage *stage = *state;

    metrics_series(stage->schema, METRIC_CLIENT_REQUESTS, VALUES(SPAN("a\"b\\c\nd")));
    metrics_series(stage->schema, METRIC_CLIENT_REQUESTS, VALUES(SPAN("")));
    metrics_series(stage->schema, METRIC_CLIENT_REQUESTS, VALUES(SPAN("gr\xc3\xbc\xc3\x9f")));
    write_text(stage, NULL);
    expect_line(stage, "bellwether_client_requests_total{client=\"a\\\"b\\\\c\\nd\","
                       "status=\"2xx\"} 0");
}

static void sample_many(void *context, enum metric metric, struct metrics_out *out)
{
    char name[16];

    if (metric != METRIC_KEY_COOLDOWN)
        return;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        metrics_sample(out, VALUES(SPAN("openai"), span_from_text(name)), i);
    }
}

static void stops_at_a_thousand_names_and_says_so(void **state)
{
    struct stage *stage = *state;
    const struct metrics_sampler many = {sample_many, NULL};
    char name[16];

    write_text(stage, &sampler);
    expect_line(stage, "bellwether_label_is_full{label=\"client\"} 0");
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        metrics_series(stage->schema, METRIC_CLIENT_REQUESTS, VALUES(span_from_text(name)));
    }
    assert_in_range(write_text(stage, &many), 7000, 8500);
    expect_line(stage, "bellwether_label_is_full{label=\"client\"} 1");
    expect_line(stage, "bellwether_label_is_full{label=\"key\"} 1");
    expect_line(stage, "bellwether_label_is_full{label=\"model\"} 0");
    expect_line(stage, "bellwether_client_requests_total{client=\"other\",status=\"2xx\"} 0");
    expect_line(stage, "bellwether_key_cooldown_seconds{provider=\"openai\",key=\"k996\"} 996");
    expect_nothing_of(stage, "key=\"k1001\"");
}

static void shows_a_quiet_series_once_it_has_counted(void **state)
{
    struct stage *stage = *state;
    uint32_t index;

    assert_true(metrics_quiet_series(stage->schema, METRIC_REQUESTS,
                                     VALUES(SPAN("openai"), SPAN("listed")), &index));
    write_text(stage, NULL);
    expect_nothing_of(stage, "model=\"listed\"");
    metrics_add(stage->metrics, index + METRIC_STATUS_5XX, 1);
    write_text(stage, NULL);
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"listed\","
                       "status=\"5xx\"} 1");
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"listed\","
                       "status=\"2xx\"} 0");
    /* What the configuration names is shown before it counts. */
    assert_true(metrics_quiet_series(stage->schema, METRIC_REQUESTS,
                                     VALUES(SPAN("openai"), SPAN("named")), &index));
    metrics_series(stage->schema, METRIC_REQUESTS, VALUES(SPAN("openai"), SPAN("named")));
    write_text(stage, NULL);
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"named\","
                       "status=\"2xx\"} 0");
}

/* Names of a configuration that was refused do not show, until one that comes into force has them
 * too. */
static void shows_what_came_into_force(void **state)
{
    struct stage *stage = *state;

    metrics_series(stage->schema, METRIC_REQUESTS, VALUES(SPAN("openai"), SPAN("old")));
    metrics_try(stage->schema);
    metrics_series(stage->schema, METRIC_REQUESTS, VALUES(SPAN("openai"), SPAN("old")));
    metrics_series(stage->schema, METRIC_REQUESTS, VALUES(SPAN("openai"), SPAN("refused")));
    metrics_settle(stage->schema, false);
    write_text(stage, NULL);
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"old\","
                       "status=\"2xx\"} 0");
    expect_nothing_of(stage, "model=\"refused\"");
    metrics_try(stage->schema);
    metrics_series(stage->schema, METRIC_REQUESTS, VALUES(SPAN("openai"), SPAN("refused")));
    metrics_series(stage->schema, METRIC_REQUESTS, VALUES(SPAN("openai"), SPAN("new")));
    metrics_settle(stage->schema, true);
    write_text(stage, NULL);
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"refused\","
                       "status=\"2xx\"} 0");
    expect_line(stage, "bellwether_requests_total{provider=\"openai\",model=\"new\","
                       "status=\"2xx\"} 0");
}

static void tells_when_the_text_is_too_long(void **state)
{
    struct stage *stage = *state;
    struct buf small;

    buf_init(&small, 1000);
    assert_int_equal(metrics_write(stage->schema, NULL, &small), ERR_FULL);
    buf_fini(&small);
}

/* docs/metrics.md is what the table says. BW_UPDATE_DOCS=1 writes it anew. */
static void read_page(const char *path, struct buf *page)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    assert_true(fd >= 0);
    assert_int_equal(buf_reserve(page, 1024 * 1024), 0);
    len = read(fd, page->data, 1024 * 1024);
    assert_true(len >= 0);
    page->len = (size_t)len;
    close(fd);
}

static void write_page(const char *path, struct span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
    close(fd);
}

static void agrees_with_the_page_of_the_docs(void **state)
{
    struct stage *stage = *state;
    const char *root = getenv("BW_SOURCE_ROOT");
    char path[4096];
    struct buf page;

    if (!root)
        skip();
    snprintf(path, sizeof(path), "%s/docs/metrics.md", root);
    assert_int_equal(metrics_print_table(&stage->text), 0);
    if (getenv("BW_UPDATE_DOCS"))
        write_page(path, buf_span(&stage->text));
    buf_init(&page, 2 * 1024 * 1024);
    read_page(path, &page);
    assert_string_equal(buf_text(&page), buf_text(&stage->text));
    buf_fini(&page);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_well_formed_before_anything_happened),  TEST(writes_counters_gauges_and_samples),
        TEST(writes_histograms_in_their_unit),          TEST(escapes_label_values),
        TEST(stops_at_a_thousand_names_and_says_so),    TEST(tells_when_the_text_is_too_long),
        TEST(shows_a_quiet_series_once_it_has_counted), TEST(shows_what_came_into_force),
        TEST(agrees_with_the_page_of_the_docs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
