/* admin/page_*: what each page shows of keys, totals and metrics. */
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "dialect/failure.h"
#include "limits/estimates.h"
#include "obs/metrics_schema.h"

/* Every secret of the configuration has this in it. */
#define SECRET_MARK "hidden"

static const char yaml[] =
    "providers:\n"
    "  sim:\n"
    "    kind: compatible\n"
    "    base_url: http://127.0.0.1:9/v1\n"
    "    selection: priority\n"
    "    health: {validate_new: false}\n"
    "    headers: {X-Team: sk-hidden-team}\n"
    "    keys:\n"
    "      - {name: first, secret: sk-hidden-1, account: org-1, weight: 3,\n"
    "         models: [gpt-4.1, \"gpt-5*\"], limits: {rpm: 60, tpm: 1000, concurrent: 4}}\n"
    "      - {name: second, secret: sk-hidden-2, weight: 0}\n"
    "  idle:\n"
    "    kind: compatible\n"
    "    base_url: http://127.0.0.1:10/v1\n"
    "    adaptive: {initial_rpm: 50, concurrency: {initial: 7}}\n"
    "    keys: [sk-hidden-3]\n"
    "models:\n"
    "  fast: sim/gpt-4.1\n"
    "  slow: {targets: [idle/gpt-5], shadow: {to: sim/gpt-4.1, share: 5%}}\n";

static int set_up(void **state)
{
    struct stage *stage = malloc(sizeof(*stage));

    stage_begin(stage, yaml);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_end(*state);
    free(*state);
    return 0;
}

/* --- keys --- */

static void shows_keys_nobody_used(void **state)
{
    struct stage *stage = *state;

    assert_string_equal(
        stage_show(stage, page_keys),
        "{\"keys\":["
        "{\"provider\":\"sim\",\"name\":\"first\",\"account\":\"org-1\",\"wish\":\"enabled\","
        "\"health\":\"trial\",\"healthy\":true,\"step\":\"active\",\"weight\":3,"
        "\"models\":[\"gpt-4.1\",\"gpt-5*\"],\"failures\":0,\"request_count\":0,"
        "\"error_count\":0,\"spent_usd\":0,\"last_used\":null,\"last_success_seconds_ago\":null,"
        "\"cooldown_until\":null,\"limits\":["
        "{\"scope\":\"rpm\",\"limit\":60,\"remaining\":60,\"reset\":null},"
        "{\"scope\":\"tpm\",\"limit\":1000,\"remaining\":1000,\"reset\":null},"
        "{\"scope\":\"concurrent\",\"limit\":4,\"remaining\":4,\"reset\":null}]},"
        "{\"provider\":\"sim\",\"name\":\"second\",\"account\":null,\"wish\":\"enabled\","
        "\"health\":\"trial\",\"healthy\":true,\"step\":\"active\",\"weight\":0,"
        "\"models\":[\"*\"],\"failures\":0,\"request_count\":0,"
        "\"error_count\":0,\"spent_usd\":0,\"last_used\":null,\"last_success_seconds_ago\":null,"
        "\"cooldown_until\":null,\"limits\":[]},"
        "{\"provider\":\"idle\",\"name\":\"idle-1\",\"account\":null,\"wish\":\"enabled\","
        "\"health\":\"new\",\"healthy\":false,\"step\":\"active\",\"weight\":1,"
        "\"models\":[\"*\"],\"failures\":0,\"request_count\":0,"
        "\"error_count\":0,\"spent_usd\":0,\"last_used\":null,\"last_success_seconds_ago\":null,"
        "\"cooldown_until\":null,\"limits\":["
        "{\"scope\":\"adaptive_rpm\",\"limit\":50,\"remaining\":1,\"reset\":null},"
        "{\"scope\":\"concurrent\",\"limit\":7,\"remaining\":7,\"reset\":null}]}]}\n");
}

static void shows_use_and_limits_in_wall_time(void **state)
{
    struct stage *stage = *state;
    const char *text;

    stage_attempt(stage, 0, OUTCOME_SUCCESS, 0);
    stage_attempt(stage, 1, OUTCOME_SUCCESS, 0);
    stage_pass(stage, 2 * US_PER_SEC + 250 * US_PER_MS);
    text = stage_show(stage, page_keys);
    stage_expect_part(text, "\"health\":\"healthy\",\"healthy\":true");
    stage_expect_part(text, "\"request_count\":2,\"error_count\":0,\"spent_usd\":0,"
                            "\"last_used\":\"2025-10-09T08:53:20.000Z\","
                            "\"last_success_seconds_ago\":2.25,\"cooldown_until\":null");
    stage_expect_part(text, "{\"scope\":\"rpm\",\"limit\":60,\"remaining\":58,\"reset\":\"2025-10-"
                            "09T08:54:2");
    stage_expect_part(text, "{\"scope\":\"tpm\",\"limit\":1000,\"remaining\":700,");
    stage_expect_part(text,
                      "{\"scope\":\"concurrent\",\"limit\":4,\"remaining\":4,\"reset\":null}");
}

static void shows_a_depleted_key_until_when(void **state)
{
    struct stage *stage = *state;
    const char *text;

    stage_attempt(stage, 0, OUTCOME_KEY_DEPLETED, 0);
    text = stage_show(stage, page_keys);
    stage_expect_part(text, "\"health\":\"depleted\",\"healthy\":false");
    stage_expect_part(text, "\"request_count\":1,\"error_count\":1,");
    stage_expect_part(text, "\"last_success_seconds_ago\":null,"
                            "\"cooldown_until\":\"2025-10-09T09:03:20.");
}

static void shows_a_model_set_aside_among_the_limits(void **state)
{
    struct stage *stage = *state;
    const char *text;

    stage_attempt(stage, 0, OUTCOME_RATE_LIMITED, 30 * US_PER_SEC);
    text = stage_show(stage, page_keys);
    stage_expect_part(text, "\"health\":\"cooling\",\"healthy\":false");
    stage_expect_part(text, "{\"scope\":\"model:gpt-4.1\",\"limit\":0,\"remaining\":0,"
                            "\"reset\":\"2025-10-09T08:53:50.");
    stage_pass(stage, 31 * US_PER_SEC);
    stage_expect_no_part(stage_show(stage, page_keys), "model:gpt-4.1");
}

static void shows_the_operators_wish(void **state)
{
    struct stage *stage = *state;
    struct keypool *pool = provider_keys(stage->view.snapshot->providers[0].provider);
    struct key *key = keypool_find_key(pool, SPAN("first"));

    (void)keypool_wish(pool, key, KEY_DRAINED, stage->view.now_us);
    (void)keypool_weigh(pool, key, 2500);
    stage_expect_part(stage_show(stage, page_keys),
                      "\"wish\":\"drained\",\"health\":\"trial\",\"healthy\":false,"
                      "\"step\":\"active\",\"weight\":2.5");
    key_unref(&key);
}

/* --- totals --- */

static struct metrics *count_traffic(struct stage *stage)
{
    struct metrics_schema *schema = stage->registry.metrics;
    struct metrics *metrics = metrics_attach(schema);
    struct span fast[] = {SPAN("sim"), SPAN("fast")};
    uint32_t requests = metrics_series(schema, METRIC_REQUESTS, fast);
    uint32_t latency = metrics_series(schema, METRIC_REQUEST_LATENCY, fast);
    uint32_t tokens = metrics_series(schema, METRIC_TOKENS, fast);

    assert_non_null(metrics);
    metrics_add(metrics, requests + METRIC_STATUS_2XX, 9);
    metrics_add(metrics, requests + METRIC_STATUS_5XX, 1);
    metrics_add(metrics, metrics_series(schema, METRIC_REQUEST_ERRORS, fast) + FAILURE_TIMEOUT, 1);
    metrics_add(metrics, metrics_series(schema, METRIC_ATTEMPTS, fast) + OUTCOME_SUCCESS, 12);
    metrics_add(metrics, metrics_series(schema, METRIC_ACTIVE_REQUESTS, NULL), 3);
    metrics_add(metrics, tokens + METRIC_TOKENS_PROMPT, 1000);
    metrics_add(metrics, tokens + METRIC_TOKENS_COMPLETION, 500);
    metrics_add(metrics, tokens + METRIC_TOKENS_CACHED, 250);
    for (int i = 0; i < 10; i++)
        metrics_observe(metrics, latency, &metrics_bounds_ms, 100 * US_PER_MS);
    return metrics;
}

static void sums_up_requests_and_keys(void **state)
{
    struct stage *stage = *state;
    const char *text;

    count_traffic(stage);
    stage_attempt(stage, 0, OUTCOME_INVALID_KEY, 0);
    text = stage_show(stage, page_stats);
    stage_expect_part(text, "\"started_at\":\"2025-10-09T08:53:10.000Z\","
                            "\"config_loaded_at\":\"2025-10-09T08:53:15.000Z\","
                            "\"uptime_seconds\":10,\"total_requests\":10,\"failed_requests\":1,"
                            "\"active_requests\":3,\"total_attempts\":12,"
                            "\"average_latency_ms\":100,\"latency_ms\":{\"average\":100,\"p50\":75,"
                            "\"p95\":97.5,\"p99\":99.5}");
    stage_expect_part(text, "\"tokens\":{\"prompt\":1000,\"completion\":500,\"cached\":250}");
    stage_expect_part(text, "\"requests_by_model\":{\"fast\":10},");
    stage_expect_part(text, "\"models\":[{\"model\":\"fast\",\"requests\":10,\"errors\":1,"
                            "\"average_latency_ms\":100,\"prompt_tokens\":1000,"
                            "\"completion_tokens\":500,\"cost_usd\":0}]");
    stage_expect_part(text,
                      "{\"provider\":\"sim\",\"breaker\":\"closed\",\"total_keys\":2,"
                      "\"healthy_keys\":1,\"new_keys\":1,\"cooling_keys\":0,\"depleted_keys\":0,"
                      "\"invalid_keys\":1}");
    stage_expect_part(text, "\"total_keys\":3,\"healthy_keys\":1}\n");
}

static void sums_up_nothing(void **state)
{
    stage_expect_part(stage_show(*state, page_stats),
                      "\"average_latency_ms\":0,\"latency_ms\":{\"average\":0,\"p50\":0,\"p95\":0,"
                      "\"p99\":0}");
}

/* --- metrics --- */

/* So many prompts are compared with what their provider counts. */
static void compare_prompts(struct stage *stage, unsigned count)
{
    const struct estimates_key key = {SPAN("sim"), SPAN("gpt-9"), 9};
    const struct json_kinds kinds = {.texts = 1, .words = 100, .letters = 500, .spaces = 100};
    const struct estimate_text text = {.kinds = &kinds};

    for (unsigned i = 0; i < count; i++)
        estimates_tell(stage->registry.estimates, 0, &key, &text, 220, 0);
    estimates_learn(stage->registry.estimates);
}

static void tells_how_far_estimates_are_off(void **state)
{
    static const char line[] =
        "\nbellwether_estimate_error_ratio{provider=\"sim\",model=\"gpt-9\"} 0.";

    compare_prompts(*state, 19);
    assert_null(strstr(stage_show(*state, page_metrics), line));
    compare_prompts(*state, 1);
    stage_expect_part(stage_show(*state, page_metrics), line);
}

/* But for those of migrations and of regions, of which there are none here:
 * tests/blackbox/test_migration.py, test_regions.py. */
static void samples_every_metric_that_is_asked_for_when_read(void **state)
{
    const char *text;
    char head[128];

    compare_prompts(*state, 20);
    text = stage_show(*state, page_metrics);
    for (int i = 0; i < METRIC_COUNT; i++) {
        if ((i >= METRIC_MIGRATION_SHARE && i <= METRIC_MIGRATION_ERRORS) ||
            (i >= METRIC_REGION_SHARE && i <= METRIC_REGION_EJECTIONS))
            continue;
        snprintf(head, sizeof(head), "# TYPE bellwether_%s ", metric_rows[i].name);
        stage_expect_part(text, head);
    }
    assert_string_equal(((struct stage *)*state)->page.type,
                        "text/plain; version=0.0.4; charset=utf-8");
}

static void expect_line(const char *text, const char *line)
{
    char whole[512];

    snprintf(whole, sizeof(whole), "\nbellwether_%s\n", line);
    stage_expect_part(text, whole);
}

static void tells_the_state_of_each_key(void **state)
{
    struct stage *stage = *state;
    const char *text;

    stage_attempt(stage, 0, OUTCOME_SUCCESS, 0);
    stage_attempt(stage, 1, OUTCOME_KEY_DEPLETED, 0);
    text = stage_show(stage, page_metrics);
    expect_line(text, "keys_configured{provider=\"sim\"} 2");
    expect_line(text, "key_adaptive_rpm{provider=\"idle\",key=\"idle-1\"} 50");
    expect_line(text, "key_adaptive_concurrency{provider=\"idle\",key=\"idle-1\"} 7");
    expect_line(text, "active_keys_count{provider=\"sim\"} 1");
    expect_line(text, "active_keys_count{provider=\"idle\"} 0");
    expect_line(text, "key_state{provider=\"sim\",key=\"first\",state=\"depleted\"} 1");
    expect_line(text, "key_state{provider=\"idle\",key=\"idle-1\",state=\"new\"} 1");
    expect_line(text, "key_requests_total{provider=\"sim\",key=\"first\"} 2");
    expect_line(text, "key_errors_total{provider=\"sim\",key=\"first\"} 1");
    stage_expect_part(text,
                      "\nbellwether_key_cooldown_seconds{provider=\"sim\",key=\"first\"} 600.");
    expect_line(text, "key_cooldown_seconds{provider=\"sim\",key=\"second\"} 0");
    expect_line(text, "key_breaker_state{provider=\"sim\",key=\"first\",state=\"closed\"} 1");
    expect_line(text, "key_state_changes_total{provider=\"sim\",state=\"depleted\"} 1");
    expect_line(text, "key_state_changes_total{provider=\"sim\",state=\"healthy\"} 1");
    expect_line(text, "key_state_changes_total{provider=\"sim\",state=\"cooling\"} 0");
}

static void tells_what_the_process_and_its_endpoints_do(void **state)
{
    struct stage *stage = *state;
    struct endpoint *endpoint = stage->view.snapshot->providers[0].endpoint;
    struct body_lease lease;
    const char *text;

    endpoint_note_connected(endpoint);
    endpoint_note_connected(endpoint);
    endpoint_note_closed(endpoint);
    body_lease_init(&lease, &stage->registry.bodies);
    stage_attempt(stage, 0, OUTCOME_SUCCESS, 0);
    text = stage_show(stage, page_metrics);
    expect_line(text,
                "upstream_connections{provider=\"sim\",endpoint=\"http://127.0.0.1:9/v1\"} 1");
    expect_line(text, "upstream_connections_total{provider=\"sim\",endpoint=\"http://127.0.0.1:9/"
                      "v1\"} 2");
    expect_line(text, "endpoint_breaker_state{provider=\"sim\",endpoint=\"http://127.0.0.1:9/v1\","
                      "state=\"closed\"} 1");
    expect_line(text, "body_memory_bytes 0");
    expect_line(text, "bugs_total 0");
    expect_line(text, "log_lines_dropped_total 0");
    expect_line(text, "start_timestamp_seconds 1759999990");
    expect_line(text, "config_loaded_timestamp_seconds 1759999995");
    expect_line(text, "build_info{version=\"" BW_VERSION "\"} 1");
    /* Three limits, each taken and settled or given back. */
    expect_line(text, "shared_writes_total{provider=\"sim\"} 2");
    expect_line(text, "shared_writes_total{provider=\"idle\"} 0");
    body_lease_fini(&lease);
}

/* A scraper refuses the whole page where a series stands twice. */
static void no_series_stands_twice(void **state)
{
    struct stage *stage = *state;
    struct span rest, line;
    struct map seen;

    stage_attempt(stage, 0, OUTCOME_SUCCESS, 0);
    rest = span_from_text(stage_show(stage, page_metrics));
    map_init(&seen, 4096);
    while (span_next_token(&rest, '\n', &line)) {
        if (!line.len || line.ptr[0] == '#')
            continue;
        while (line.ptr[line.len - 1] != ' ')
            line.len--;
        if (map_add(&seen, line, stage))
            fail_msg("twice, or too many: %.*s", SPAN_ARG(line));
    }
    assert_true(seen.count > 100);
    map_fini(&seen);
}

/* --- all of them --- */

static void no_page_shows_a_secret(void **state)
{
    struct stage *stage = *state;

    stage_attempt(stage, 0, OUTCOME_INVALID_KEY, 0);
    stage_expect_no_part(stage_show(stage, page_keys), SECRET_MARK);
    stage_expect_no_part(stage_show(stage, page_stats), SECRET_MARK);
    stage_expect_no_part(stage_show(stage, page_metrics), SECRET_MARK);
}

/* A page is whole, or says what failed. */
static void show_with_failures(struct stage *stage, page_write_fn *write)
{
    char *whole = strdup(stage_show(stage, write));
    bool is_over = false;

    assert_non_null(whole);
    for (long after = 0; !is_over; after++) {
        buf_fini(&stage->page.body);
        buf_init(&stage->page.body, PAGE_MAX_BYTES);
        mem_fail_after(after);
        write(&stage->view, &stage->page);
        is_over = mem_fail_is_pending() || !stage->page.body.err;
        mem_fail_after(-1);
        if (stage->page.body.err)
            assert_int_equal(stage->page.body.err, ERR_NOMEM);
        else
            assert_string_equal(buf_text(&stage->page.body), whole);
    }
    free(whole);
}

static void a_page_is_whole_or_says_what_failed(void **state)
{
    show_with_failures(*state, page_keys);
    show_with_failures(*state, page_stats);
    show_with_failures(*state, page_metrics);
}

static void ready_is_what_the_process_says(void **state)
{
    struct stage *stage = *state;

    assert_string_equal(stage_show(stage, page_ready), "{\"status\":\"ok\"}\n");
    assert_int_equal(stage->page.status, 200);
    stage->view.state.is_ready = false;
    assert_string_equal(stage_show(stage, page_ready), "{\"status\":\"not ready\"}\n");
    assert_int_equal(stage->page.status, 503);
    assert_string_equal(stage_show(stage, page_health), "{\"status\":\"ok\"}\n");
    assert_int_equal(stage->page.status, 200);
}

/* A model with a shadow that nobody has asked for so far; the others are left out. */
static void shows_shadows(void **state)
{
    const char *text = stage_show(*state, page_shadows);

    stage_expect_part(text, "{\"shadows\":[{\"model\":\"slow\",\"to\":\"sim/gpt-4.1\",\"key\":null,"
                            "\"share\":0.05,\"drawn\":0,\"under_way\":0,\"compared\":0,"
                            "\"diverged\":0,\"divergence\":null,");
    stage_expect_part(text, "\"budget\":{\"usd\":null,\"requests\":null,\"tokens\":1000000,"
                            "\"per\":\"day\",");
    stage_expect_part(text, "\"recent\":[]}]}\n");
}

int main(void)
{
#define PLAY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PLAY(shows_keys_nobody_used),
        PLAY(shows_use_and_limits_in_wall_time),
        PLAY(shows_a_depleted_key_until_when),
        PLAY(shows_a_model_set_aside_among_the_limits),
        PLAY(shows_the_operators_wish),
        PLAY(sums_up_requests_and_keys),
        PLAY(sums_up_nothing),
        PLAY(shows_shadows),
        PLAY(samples_every_metric_that_is_asked_for_when_read),
        PLAY(tells_how_far_estimates_are_off),
        PLAY(tells_the_state_of_each_key),
        PLAY(tells_what_the_process_and_its_endpoints_do),
        PLAY(no_series_stands_twice),
        PLAY(no_page_shows_a_secret),
        PLAY(a_page_is_whole_or_says_what_failed),
        PLAY(ready_is_what_the_process_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
