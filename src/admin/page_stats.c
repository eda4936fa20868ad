/* GET /v1/admin/stats: sums for people, out of the numbers that /metrics has. */
#include "admin/page.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "obs/stats.h"

/* "other" stands beside the names. */
enum { MOST_MODELS = METRICS_MAX_NAMES + 1 };

static void put_process(struct json_writer *writer, const struct page_view *view)
{
    uint64_t started_us = view->state.started_wall_us;
    uint64_t up_us = view->wall_us > started_us ? view->wall_us - started_us : 0;

    json_member_text(writer, "version", BW_VERSION);
    json_member_bool(writer, "ready", view->state.is_ready);
    page_put_time(writer, "started_at", started_us);
    page_put_time(writer, "config_loaded_at", view->state.loaded_wall_us);
    json_member_uint(writer, "uptime_seconds", up_us / US_PER_SEC);
}

static void put_times(struct json_writer *writer, const char *name,
                      const struct stats_histogram *histogram)
{
    json_name(writer, name);
    json_begin_object(writer);
    page_put_ms(writer, "average", stats_mean_us(histogram));
    page_put_ms(writer, "p50", stats_quantile_us(histogram, 0.5));
    page_put_ms(writer, "p95", stats_quantile_us(histogram, 0.95));
    page_put_ms(writer, "p99", stats_quantile_us(histogram, 0.99));
    json_end_object(writer);
}

static void put_totals(struct json_writer *writer, const struct stats *stats)
{
    json_member_uint(writer, "total_requests", stats->requests);
    json_member_uint(writer, "failed_requests", stats->errors);
    json_member_uint(writer, "active_requests", stats->active);
    json_member_uint(writer, "total_attempts", stats->attempts);
    page_put_ms(writer, "average_latency_ms", stats_mean_us(&stats->latency));
    put_times(writer, "latency_ms", &stats->latency);
    put_times(writer, "time_to_first_byte_ms", &stats->ttfb);
    put_times(writer, "overhead_ms", &stats->overhead);
    json_name(writer, "tokens");
    json_begin_object(writer);
    json_member_uint(writer, "prompt", stats->prompt_tokens);
    json_member_uint(writer, "completion", stats->completion_tokens);
    json_member_uint(writer, "cached", stats->cached_tokens);
    json_end_object(writer);
}

static void put_cost(struct json_writer *writer, const struct page_view *view,
                     const struct stats *stats)
{
    page_begin_cost(writer, view, stats->cost_nanousd);
    json_member_uint(writer, "unpriced_requests", stats->unpriced);
    json_end_object(writer);
}

/* --- models --- */

static void put_model(struct json_writer *writer, const struct stats_model *model)
{
    uint64_t count = model->latency_count;

    json_begin_object(writer);
    json_member_string(writer, "model", model->model);
    json_member_uint(writer, "requests", model->requests);
    json_member_uint(writer, "errors", model->errors);
    page_put_ms(writer, "average_latency_ms", count ? model->latency_sum_us / count : 0);
    json_member_uint(writer, "prompt_tokens", model->prompt_tokens);
    json_member_uint(writer, "completion_tokens", model->completion_tokens);
    page_put_nano(writer, "cost_usd", model->cost_nanousd);
    json_end_object(writer);
}

/* Names that were asked for; those of the file that nobody asked for yet are left out. */
static void put_models(struct json_writer *writer, const struct stats_model *models, size_t count)
{
    json_name(writer, "requests_by_model");
    json_begin_object(writer);
    for (size_t i = 0; i < count; i++) {
        if (!models[i].requests)
            continue;
        json_name_span(writer, models[i].model);
        json_uint(writer, models[i].requests);
    }
    json_end_object(writer);
    json_name(writer, "models");
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        if (models[i].requests)
            put_model(writer, &models[i]);
    }
    json_end_array(writer);
}

/* --- classes --- */

static void put_class_limit(struct json_writer *writer, const struct page_view *view,
                            const struct bulkhead *bulkhead, enum rates_what what)
{
    struct rates_reading reading = bulkhead_read(bulkhead, what, view->now_us);

    if (!reading.limit)
        return;
    json_begin_object(writer);
    json_member_text(writer, "scope", what == RATES_REQUESTS ? "rpm" : "tpm");
    json_member_uint(writer, "limit", reading.limit);
    json_member_uint(writer, "remaining", reading.remaining);
    page_put_time(writer, "reset", reading.reset_us ? view->wall_us + reading.reset_us : 0);
    json_end_object(writer);
}

/* Left out where it has none. */
static void put_class_limits(struct json_writer *writer, const struct page_view *view,
                             const struct conf_class *conf, const struct bulkhead *bulkhead)
{
    if (!conf->limits.rpm && !conf->limits.tpm)
        return;
    json_name(writer, "limits");
    json_begin_array(writer);
    put_class_limit(writer, view, bulkhead, RATES_REQUESTS);
    put_class_limit(writer, view, bulkhead, RATES_TOKENS);
    json_end_array(writer);
}

/* Those of the file, the highest first; concurrent 0: no limit, and what runs is not counted but
 * with windows. */
static void put_classes(struct json_writer *writer, const struct page_view *view)
{
    json_name(writer, "classes");
    json_begin_array(writer);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        const struct conf_class *conf = view->snapshot->classes[p].conf;
        const struct bulkhead *bulkhead = view->registry->bulkheads[p];

        if (!conf)
            continue;
        json_begin_object(writer);
        json_member_string(writer, "class", conf->name);
        json_member_uint(writer, "running", bulkhead_running(bulkhead));
        json_member_uint(writer, "waiting", bulkhead_waiting(bulkhead));
        json_member_uint(writer, "concurrent", conf->concurrent);
        json_member_uint(writer, "queue", conf->queue);
        put_class_limits(writer, view, conf, bulkhead);
        json_end_object(writer);
    }
    json_end_array(writer);
}

/* --- keys --- */

/* Of several regions, the one that lets most in. */
static enum breaker_state breaker_of(const struct page_view *view,
                                     const struct snapshot_provider *provider)
{
    enum breaker_state best = BREAKER_OPEN;

    for (size_t i = 0; i < provider->site_count; i++) {
        enum breaker_state state =
            endpoint_health_state(endpoint_health_of(provider->sites[i].endpoint), view->now_us);

        if (state == BREAKER_CLOSED || (state == BREAKER_HALF_OPEN && best == BREAKER_OPEN))
            best = state;
    }
    return best;
}

static void put_provider(struct json_writer *writer, const struct page_view *view,
                         const struct snapshot_provider *provider,
                         const struct keypool_totals *totals)
{
    enum breaker_state breaker = breaker_of(view, provider);

    json_begin_object(writer);
    json_member_string(writer, "provider", provider->conf->name);
    json_member_text(writer, "breaker", breaker_state_text(breaker));
    json_member_uint(writer, "total_keys", totals->keys);
    json_member_uint(writer, "healthy_keys", totals->healthy);
    json_member_uint(writer, "new_keys", totals->fresh);
    json_member_uint(writer, "cooling_keys", totals->cooling);
    json_member_uint(writer, "depleted_keys", totals->depleted);
    json_member_uint(writer, "invalid_keys", totals->invalid);
    json_end_object(writer);
}

static void put_providers(struct json_writer *writer, const struct page_view *view)
{
    size_t keys = 0, healthy = 0;

    json_name(writer, "providers");
    json_begin_array(writer);
    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        const struct snapshot_provider *provider = &view->snapshot->providers[i];
        struct keypool_totals totals =
            keypool_totals(provider_keys(provider->provider), view->now_us);

        put_provider(writer, view, provider, &totals);
        keys += totals.keys;
        healthy += totals.healthy;
    }
    json_end_array(writer);
    json_member_uint(writer, "total_keys", keys);
    json_member_uint(writer, "healthy_keys", healthy);
}

/* --- budgets --- */

static void put_budgets(struct json_writer *writer, const struct page_view *view)
{
    struct admin_budget budget;
    size_t at = 0;

    json_name(writer, "budgets");
    json_begin_array(writer);
    while (view->admin->budget && view->admin->budget(view->admin->owner, &at, &budget)) {
        json_begin_object(writer);
        json_member_text(writer, "of", budget.of);
        if (budget.provider.len)
            json_member_string(writer, "provider", budget.provider);
        json_member_string(writer, "name", budget.name);
        page_put_nano(writer, "usd", budget.limit_nanousd);
        json_member_text(writer, "per", budget.per);
        page_put_nano(writer, "spent_usd", budget.spent_nanousd);
        page_put_nano(writer, "left_usd",
                      budget.spent_nanousd < budget.limit_nanousd
                          ? budget.limit_nanousd - budget.spent_nanousd
                          : 0);
        json_member_bool(writer, "spent", budget.is_spent);
        page_put_time(writer, "resets_at", budget.resets_wall_us);
        json_end_object(writer);
    }
    json_end_array(writer);
}

void page_stats(const struct page_view *view, struct page *page)
{
    struct stats_model *models = mem_zalloc(MOST_MODELS, sizeof(*models));
    struct json_writer writer;
    struct stats stats;

    if (!models) {
        page->body.err = ERR_NOMEM;
        return;
    }
    stats_read(view->registry->metrics, &stats);
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    put_process(&writer, view);
    put_totals(&writer, &stats);
    put_cost(&writer, view, &stats);
    put_models(&writer, models, stats_read_models(view->registry->metrics, models, MOST_MODELS));
    page_put_totals(&writer, view);
    put_budgets(&writer, view);
    put_classes(&writer, view);
    put_providers(&writer, view);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
    mem_free(models);
}
