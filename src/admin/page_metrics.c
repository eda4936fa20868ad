/* GET /metrics: the workers' counters as obs/ writes them, and between them what is asked of the
 * registry at the moment of reading. */
#include "admin/page.h"
#include "admin/sample_migrations.h"
#include "admin/sample_regions.h"
#include "admin/sample_shadows.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "limits/estimates.h"

/* What is shown of one key; the reference keeps the texts alive. */
struct key_sample {
    struct key *key;
    struct span provider, name;
    const char *state;
    enum breaker_state breaker;
    uint64_t cooldown_until_us;
    uint64_t requests, errors, adaptive_rpm, adaptive_concurrency;
};

/* What the samplers read, gathered once a page. */
struct sampling {
    const struct page_view *view;
    struct keypool_totals *totals; /* by place in the snapshot */
    struct key_sample *keys;
    size_t key_count;
};

typedef void sample_fn(const struct sampling *sampling, struct metrics_out *out);

/* --- gathering --- */

static struct keypool *pool_at(const struct sampling *sampling, size_t i)
{
    return provider_keys(sampling->view->snapshot->providers[i].provider);
}

static void gather_keys(struct sampling *sampling, size_t provider, size_t max)
{
    struct keypool *pool = pool_at(sampling, provider);
    struct keypool_row row;
    size_t at = 0;

    while (sampling->key_count < max && keypool_describe(pool, &at, sampling->view->now_us, &row)) {
        sampling->keys[sampling->key_count++] = (struct key_sample){
            .key = row.key,
            .provider = keypool_provider(pool),
            .name = row.name,
            .state = row.health_text,
            .breaker = row.breaker,
            .cooldown_until_us = row.cooldown_until_us,
            .requests = row.requests,
            .errors = row.errors,
            .adaptive_rpm = row.adaptive_rpm,
            .adaptive_concurrency = row.adaptive_concurrency,
        };
    }
}

static void sampling_fini(struct sampling *sampling)
{
    for (size_t i = 0; i < sampling->key_count; i++)
        key_unref(&sampling->keys[i].key);
    mem_free(sampling->keys);
    mem_free(sampling->totals);
}

static int sampling_init(struct sampling *sampling, const struct page_view *view)
{
    size_t providers = view->snapshot->provider_count, keys = 0;

    *sampling = (struct sampling){.view = view};
    sampling->totals = mem_zalloc(providers, sizeof(*sampling->totals));
    if (!sampling->totals)
        return ERR_NOMEM;
    for (size_t i = 0; i < providers; i++) {
        sampling->totals[i] = keypool_totals(pool_at(sampling, i), view->now_us);
        keys += sampling->totals[i].keys;
    }
    sampling->keys = mem_zalloc(keys, sizeof(*sampling->keys));
    if (!sampling->keys) {
        sampling_fini(sampling);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < providers; i++)
        gather_keys(sampling, i, keys);
    return 0;
}

/* --- the registry --- */

static void sample_body_memory(const struct sampling *sampling, struct metrics_out *out)
{
    const struct body_budget *bodies = &sampling->view->registry->bodies;

    metrics_sample(out, NULL,
                   (double)atomic_load_explicit(&bodies->shared.leased, memory_order_relaxed));
}

static void sample_log_dropped(const struct sampling *sampling, struct metrics_out *out)
{
    const struct log *log = sampling->view->registry->log;

    metrics_sample(out, NULL, log ? (double)log_dropped(log) : 0);
}

static void sample_bugs(const struct sampling *sampling, struct metrics_out *out)
{
    (void)sampling;
    metrics_sample(out, NULL, (double)bug_count());
}

static void sample_config_time(const struct sampling *sampling, struct metrics_out *out)
{
    metrics_sample(out, NULL, (double)sampling->view->state.loaded_wall_us / US_PER_SEC);
}

static void sample_start_time(const struct sampling *sampling, struct metrics_out *out)
{
    metrics_sample(out, NULL, (double)sampling->view->state.started_wall_us / US_PER_SEC);
}

static void sample_build(const struct sampling *sampling, struct metrics_out *out)
{
    struct span version = SPAN(BW_VERSION);

    (void)sampling;
    metrics_sample(out, &version, 1);
}

/* --- providers --- */

static void sample_keys(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->view->snapshot->provider_count; i++) {
        struct span provider = keypool_provider(pool_at(sampling, i));

        metrics_sample(out, &provider, (double)sampling->totals[i].keys);
    }
}

static void sample_active_keys(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->view->snapshot->provider_count; i++) {
        struct span provider = keypool_provider(pool_at(sampling, i));

        metrics_sample(out, &provider, (double)sampling->totals[i].healthy);
    }
}

static void sample_endpoint_breakers(const struct sampling *sampling, struct metrics_out *out)
{
    const struct page_view *view = sampling->view;

    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &view->snapshot->providers[i];

        for (size_t k = 0; k < row->site_count; k++) {
            struct endpoint *endpoint = row->sites[k].endpoint;
            enum breaker_state state =
                endpoint_health_state(endpoint_health_of(endpoint), view->now_us);
            struct span values[] = {row->conf->name, endpoint_url(endpoint),
                                    span_from_text(breaker_state_text(state))};

            metrics_sample(out, values, 1);
        }
    }
}

static void sample_connections_of(const struct sampling *sampling, bool is_total,
                                  struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->view->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &sampling->view->snapshot->providers[i];

        for (size_t k = 0; k < row->site_count; k++) {
            const struct endpoint *endpoint = row->sites[k].endpoint;
            struct span values[] = {row->conf->name, endpoint_url(endpoint)};
            uint64_t total, standing = endpoint_connections(endpoint, &total);

            metrics_sample(out, values, (double)(is_total ? total : standing));
        }
    }
}

static void sample_connections(const struct sampling *sampling, struct metrics_out *out)
{
    sample_connections_of(sampling, false, out);
}

static void sample_connections_total(const struct sampling *sampling, struct metrics_out *out)
{
    sample_connections_of(sampling, true, out);
}

static void sample_shared_writes(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->view->snapshot->provider_count; i++) {
        struct span provider = keypool_provider(pool_at(sampling, i));

        metrics_sample(out, &provider, (double)sampling->totals[i].shared_writes);
    }
}

static void sample_key_adaptive(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name};

        if (key->adaptive_rpm)
            metrics_sample(out, values, (double)key->adaptive_rpm);
    }
}

static void sample_key_adaptive_concurrency(const struct sampling *sampling,
                                            struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name};

        if (key->adaptive_concurrency)
            metrics_sample(out, values, (double)key->adaptive_concurrency);
    }
}

/* Before so many were compared, one text that is unlike the others says it all. */
enum { ESTIMATES_COMPARED_MIN = 20 };

static void sample_estimates(const struct sampling *sampling, struct metrics_out *out)
{
    struct estimates_row row;
    size_t at = 0;

    while (estimates_next(sampling->view->registry->estimates, &at, &row)) {
        struct span values[] = {row.provider, row.model};

        if (row.learned >= ESTIMATES_COMPARED_MIN)
            metrics_sample(out, values, row.error);
    }
}

/* Two states have one name for users: their moves are one sample. */
static void sample_moves_to(const struct sampling *sampling, size_t provider, const char *state,
                            struct metrics_out *out)
{
    struct span values[] = {keypool_provider(pool_at(sampling, provider)), span_from_text(state)};
    uint64_t moves = 0;

    for (int i = 0; i < KEY_HEALTH_COUNT; i++) {
        if (span_is_equal(span_from_text(key_health_text((enum key_health)i)), values[1]))
            moves += sampling->totals[provider].moves[i];
    }
    metrics_sample(out, values, (double)moves);
}

static void sample_key_moves(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->view->snapshot->provider_count; i++) {
        for (int state = 0; state < KEY_HEALTH_COUNT; state++) {
            /* The text of KEY_COOLING stands for KEY_LIMITED too. */
            if (state != KEY_LIMITED)
                sample_moves_to(sampling, i, key_health_text((enum key_health)state), out);
        }
    }
}

/* --- keys --- */

static void sample_key_states(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name, span_from_text(key->state)};

        metrics_sample(out, values, 1);
    }
}

static void sample_key_cooldowns(const struct sampling *sampling, struct metrics_out *out)
{
    uint64_t now_us = sampling->view->now_us;

    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name};
        uint64_t until_us = key->cooldown_until_us;

        metrics_sample(out, values,
                       until_us > now_us ? (double)(until_us - now_us) / US_PER_SEC : 0);
    }
}

static void sample_key_breakers(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name,
                                span_from_text(breaker_state_text(key->breaker))};

        metrics_sample(out, values, 1);
    }
}

static void sample_key_requests(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name};

        metrics_sample(out, values, (double)key->requests);
    }
}

static void sample_key_errors(const struct sampling *sampling, struct metrics_out *out)
{
    for (size_t i = 0; i < sampling->key_count; i++) {
        const struct key_sample *key = &sampling->keys[i];
        struct span values[] = {key->provider, key->name};

        metrics_sample(out, values, (double)key->errors);
    }
}

/* --- rotation --- */

static void sample_canaries(const struct sampling *sampling, struct metrics_out *out)
{
    const struct page_view *view = sampling->view;

    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        struct span provider = keypool_provider(pool_at(sampling, i));
        const struct rotation *rotation = view->admin->rotation(view->admin->owner, provider);
        const struct canary *canary = rotation ? rotation_canary(rotation) : NULL;

        uint64_t requests = canary ? canary->evidence.canary.requests : 0;
        double failures = canary ? (double)canary->evidence.canary.failures : 0;

        metrics_sample(out, &provider, requests ? failures / (double)requests : 0);
    }
}

/* --- the page --- */

/* By metric; a metric that the workers count has none. */
static sample_fn *const samplers[METRIC_COUNT] = {
    [METRIC_ESTIMATE_ERROR] = sample_estimates,
    [METRIC_BODY_MEMORY] = sample_body_memory,
    [METRIC_KEYS] = sample_keys,
    [METRIC_ACTIVE_KEYS] = sample_active_keys,
    [METRIC_KEY_STATE] = sample_key_states,
    [METRIC_KEY_COOLDOWN] = sample_key_cooldowns,
    [METRIC_KEY_REQUESTS] = sample_key_requests,
    [METRIC_KEY_ERRORS] = sample_key_errors,
    [METRIC_KEY_MOVES] = sample_key_moves,
    [METRIC_KEY_ADAPTIVE] = sample_key_adaptive,
    [METRIC_KEY_ADAPTIVE_CONCURRENCY] = sample_key_adaptive_concurrency,
    [METRIC_KEY_BREAKER] = sample_key_breakers,
    [METRIC_UPSTREAM_CONNECTIONS] = sample_connections,
    [METRIC_UPSTREAM_CONNECTIONS_TOTAL] = sample_connections_total,
    [METRIC_SHARED_WRITES] = sample_shared_writes,
    [METRIC_ENDPOINT_BREAKER] = sample_endpoint_breakers,
    [METRIC_CANARY_ERROR_RATE] = sample_canaries,
    [METRIC_LOG_DROPPED] = sample_log_dropped,
    [METRIC_BUGS] = sample_bugs,
    [METRIC_CONFIG_TIME] = sample_config_time,
    [METRIC_START_TIME] = sample_start_time,
    [METRIC_BUILD] = sample_build,
};

static void sample(void *context, enum metric metric, struct metrics_out *out)
{
    const struct sampling *sampling = context;

    if (samplers[metric])
        samplers[metric](sampling, out);
    else if (metric >= METRIC_REGION_SHARE && metric <= METRIC_REGION_EJECTIONS)
        sample_regions(sampling->view, metric, out);
    else if (metric >= METRIC_SHADOW_DRAWN && metric <= METRIC_SHADOW_COST)
        sample_shadows(sampling->view, metric, out);
    else if (metric >= METRIC_MIGRATION_SHARE && metric <= METRIC_MIGRATION_ERRORS)
        sample_migrations(sampling->view, metric, out);
}

void page_metrics(const struct page_view *view, struct page *page)
{
    struct sampling sampling;
    struct metrics_sampler sampler = {sample, &sampling};

    page->type = "text/plain; version=0.0.4; charset=utf-8";
    page->body.err = sampling_init(&sampling, view);
    if (page->body.err)
        return;
    /* What fails stands in the buffer. */
    (void)metrics_write(view->registry->metrics, &sampler, &page->body);
    sampling_fini(&sampling);
}
