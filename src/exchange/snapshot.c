#include "exchange/snapshot.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/err.h"
#include "conf/region.h"
#include "exchange/classes.h"
#include "exchange/estimating.h"
#include "exchange/learned.h"
#include "exchange/registry.h"
#include "ledger/prices.h"

/* The counted whole around what the road reads. */
struct counted {
    struct snapshot snapshot;
    struct config *config;
    struct keypool_change **changes; /* one a provider, until the commit; control thread */
    atomic_uint refs;                /* acquire-release on the last drop */
};

static struct counted *counted_of(struct snapshot *snapshot)
{
    return container_of(snapshot, struct counted, snapshot);
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&counted_of(snapshot)->refs, 1, memory_order_relaxed);
    return snapshot;
}

static void free_changes(struct counted *counted)
{
    for (size_t i = 0; counted->changes && i < counted->snapshot.provider_count; i++)
        keypool_discard(&counted->changes[i]);
    MEM_CLEAR(counted->changes);
}

static void free_sites(struct snapshot_provider *row)
{
    for (size_t i = 0; i < row->site_count; i++)
        endpoint_unref(&row->sites[i].endpoint);
    mem_free(row->sites);
    mem_free(row->regions);
}

static void free_parts(struct snapshot *snapshot)
{
    free_changes(counted_of(snapshot));
    for (size_t i = 0; snapshot->providers && i < snapshot->provider_count; i++) {
        free_sites(&snapshot->providers[i]);
        provider_unref(&snapshot->providers[i].provider);
        secret_unref(&snapshot->providers[i].fields);
        learned_unref(&snapshot->providers[i].learned);
    }
    mem_free(snapshot->providers);
    mem_free(snapshot->series);
    mem_free(snapshot->client_series);
    mem_free(snapshot->forward_fields.items);
    routes_free(&snapshot->routes);
    clients_free(&snapshot->clients);
    prices_free(&snapshot->prices);
    classes_forget(snapshot->classes);
}

void snapshot_unref(struct snapshot **snapshot)
{
    struct counted *counted = *snapshot ? counted_of(*snapshot) : NULL;

    *snapshot = NULL;
    if (!counted || atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
        return;
    free_parts(&counted->snapshot);
    config_free(&counted->config);
    mem_free(counted);
}

/* The lines of `headers:` as they are sent, kept as one secret: a value may be a credential. */
static int join_fields(struct registry *registry, const struct conf_headers *headers,
                       struct secret **ret_fields)
{
    struct span *pieces;
    int err;

    if (headers->count == 0)
        return 0;
    pieces = mem_zalloc(4 * headers->count, sizeof(*pieces));
    if (!pieces)
        return ERR_NOMEM;
    for (size_t i = 0; i < headers->count; i++) {
        pieces[4 * i] = headers->items[i].name;
        pieces[4 * i + 1] = SPAN(": ");
        pieces[4 * i + 2] = secret_reveal(headers->items[i].value);
        pieces[4 * i + 3] = SPAN("\r\n");
    }
    err = secret_join(registry->secrets, pieces, 4 * headers->count, ret_fields);
    mem_free(pieces);
    return err;
}

/* Those of the regions, the nearest first, or the one of the base URL. */
static int add_sites(struct snapshot_provider *row, const struct registry_entry *entry,
                     struct span zone, char *ret_error)
{
    const struct conf_regions *regions = &row->conf->regions;
    size_t order[REGIONS_MAX], count = regions->count ? regions->count : 1;
    int err = 0;

    row->sites = mem_zalloc(count, sizeof(*row->sites));
    if (!row->sites)
        return ERR_NOMEM;
    conf_region_order(row->conf, zone, order);
    for (size_t i = 0; i < count && !err; i++) {
        const struct conf_region *region = regions->count ? &regions->items[order[i]] : NULL;
        struct snapshot_site *site = &row->sites[i];

        site->name = region ? region->name : span_of(NULL, 0);
        err = registry_endpoint(entry, row->conf, region ? &region->url : &row->conf->base_url,
                                ret_error, &site->endpoint);
        row->site_count += !err;
    }
    if (!err)
        row->endpoint = row->sites[0].endpoint;
    return err;
}

/* Where there is a choice, each is measured. */
static int add_regions(struct snapshot_provider *row)
{
    if (row->site_count < 2)
        return 0;
    row->regions = mem_zalloc(row->site_count, sizeof(*row->regions));
    if (!row->regions)
        return ERR_NOMEM;
    for (size_t i = 0; i < row->site_count; i++) {
        row->regions[i] = endpoint_make_region(row->sites[i].endpoint);
        if (!row->regions[i])
            return ERR_NOMEM;
    }
    return 0;
}

static int add_provider(struct snapshot *snapshot, struct registry *registry,
                        const struct conf_provider *conf, char *ret_error)
{
    struct snapshot_provider *row = &snapshot->providers[snapshot->provider_count];
    struct registry_entry *entry;
    int err = registry_prepare(registry, conf, &entry);

    if (err)
        return err;
    snapshot->provider_count++;
    row->conf = conf;
    err = add_sites(row, entry, snapshot->config->server.zone, ret_error);
    if (!err)
        err = add_regions(row);
    if (err)
        return err;
    row->provider = provider_ref(entry->provider);
    row->extras = entry->extras;
    row->include_usage = provider_row(conf->kind)->include_usage;
    row->traits = traits_of(conf);
    row->attempts = metrics_series(registry->metrics, METRIC_ATTEMPTS, &conf->name);
    row->retries = metrics_series(registry->metrics, METRIC_RETRIES, &conf->name);
    row->hedges = metrics_series(registry->metrics, METRIC_HEDGES, &conf->name);
    row->hedge_tokens = metrics_series(registry->metrics, METRIC_HEDGE_TOKENS, &conf->name);
    row->hedge_cost = metrics_series(registry->metrics, METRIC_HEDGE_COST, &conf->name);
    if (snapshot->config->models.count == 0)
        row->learned = learned_ref(entry->learned);
    return join_fields(registry, &conf->headers, &row->fields);
}

static int prepare_keys(struct counted *counted, uint64_t now_us, uint64_t wall_us)
{
    struct snapshot *snapshot = &counted->snapshot;
    int err = 0;

    counted->changes = mem_zalloc(snapshot->provider_count, sizeof(*counted->changes));
    if (!counted->changes)
        return ERR_NOMEM;
    for (size_t i = 0; i < snapshot->provider_count && !err; i++) {
        struct snapshot_provider *row = &snapshot->providers[i];

        err = keypool_prepare(provider_keys(row->provider), row->conf, &row->extras, now_us,
                              wall_us, &counted->changes[i]);
    }
    return err;
}

static int collect_forward_fields(struct snapshot *snapshot, const struct config *config)
{
    struct conf_strings *all = &snapshot->forward_fields;
    size_t count = 0;

    for (size_t i = 0; i < config->providers.count; i++)
        count += config->providers.items[i].forward_headers.count;
    all->items = mem_zalloc(count, sizeof(*all->items));
    if (!all->items)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->providers.count; i++) {
        const struct conf_strings *one = &config->providers.items[i].forward_headers;

        for (size_t k = 0; k < one->count; k++)
            all->items[all->count++] = one->items[k];
    }
    return 0;
}

static const struct {
    enum metric metric;
    size_t at; /* in struct snapshot_series */
} series_rows[] = {
    {METRIC_REQUESTS, offsetof(struct snapshot_series, requests)},
    {METRIC_REQUEST_ERRORS, offsetof(struct snapshot_series, errors)},
    {METRIC_REQUEST_LATENCY, offsetof(struct snapshot_series, latency)},
    {METRIC_TTFB, offsetof(struct snapshot_series, ttfb)},
    {METRIC_TOKENS, offsetof(struct snapshot_series, tokens)},
    {METRIC_USAGE_ESTIMATED, offsetof(struct snapshot_series, estimated)},
    {METRIC_COST, offsetof(struct snapshot_series, cost)},
    {METRIC_UNPRICED, offsetof(struct snapshot_series, unpriced)},
};

enum { SERIES_ROWS = sizeof(series_rows) / sizeof(series_rows[0]) };

_Static_assert(SERIES_ROWS * sizeof(uint32_t) == sizeof(struct snapshot_series), "all have a row");

static uint32_t *series_at(struct snapshot_series *series, size_t row)
{
    return (uint32_t *)(void *)((char *)series + series_rows[row].at);
}

static void name_series(struct metrics_schema *schema, struct span provider, struct span label,
                        struct snapshot_series *series)
{
    struct span values[2] = {provider, label};

    for (size_t i = 0; i < SERIES_ROWS; i++)
        *series_at(series, i) = metrics_series(schema, series_rows[i].metric, values);
}

bool snapshot_series_quiet(struct metrics_schema *schema, struct span provider, struct span model,
                           struct snapshot_series *ret_series)
{
    struct span values[2] = {provider, model};
    struct snapshot_series series;

    for (size_t i = 0; i < SERIES_ROWS; i++) {
        if (!metrics_quiet_series(schema, series_rows[i].metric, values, series_at(&series, i)))
            return false;
    }
    *ret_series = series;
    return true;
}

static int name_all_series(struct snapshot *snapshot, struct registry *registry)
{
    size_t labels = routes_label_count(snapshot->routes), width = snapshot->provider_count + 1;
    size_t clients = clients_count(snapshot->clients);

    snapshot->series = mem_zalloc(labels * width, sizeof(*snapshot->series));
    snapshot->client_series = mem_zalloc(clients, sizeof(*snapshot->client_series));
    if (!snapshot->series || !snapshot->client_series)
        return ERR_NOMEM;
    for (size_t l = 0; l < labels; l++) {
        struct span label = routes_label_at(snapshot->routes, l);

        name_series(registry->metrics, SPAN("none"), label, &snapshot->series[l * width]);
        for (size_t p = 0; p < snapshot->provider_count; p++)
            name_series(registry->metrics, snapshot->providers[p].conf->name, label,
                        &snapshot->series[l * width + p + 1]);
    }
    for (size_t i = 0; i < clients; i++) {
        struct span name = clients_at(snapshot->clients, i)->name;

        snapshot->client_series[i].requests =
            metrics_series(registry->metrics, METRIC_CLIENT_REQUESTS, &name);
        snapshot->client_series[i].tokens =
            metrics_series(registry->metrics, METRIC_CLIENT_TOKENS, &name);
        snapshot->client_series[i].cost =
            metrics_series(registry->metrics, METRIC_CLIENT_COST, &name);
    }
    return 0;
}

static int build(struct snapshot *snapshot, struct registry *registry, const struct config *config,
                 uint64_t now_us, uint64_t wall_us, char *ret_error)
{
    int err = 0;

    snapshot->config = config;
    snapshot->loaded_wall_us = wall_us;
    snapshot->providers = mem_zalloc(config->providers.count, sizeof(*snapshot->providers));
    if (!snapshot->providers)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->providers.count && !err; i++)
        err = add_provider(snapshot, registry, &config->providers.items[i], ret_error);
    if (!err)
        err = routes_new(config, registry->limiters, &snapshot->routes);
    if (!err)
        err = routes_join(snapshot->routes, registry->crossings);
    if (!err)
        err = clients_new(config, registry->limiters, registry->purses, &snapshot->clients);
    if (!err)
        err = prices_new(config, &snapshot->prices);
    if (!err) {
        routes_price(snapshot->routes, snapshot->prices);
        err = routes_measure(snapshot->routes, registry->paces);
    }
    if (!err)
        err = classes_read(config, snapshot->classes);
    if (!err)
        err = collect_forward_fields(snapshot, config);
    if (!err)
        err = name_all_series(snapshot, registry);
    if (!err)
        err = prepare_keys(counted_of(snapshot), now_us, wall_us);
    return err;
}

int snapshot_prepare(struct registry *registry, struct config *config, uint64_t now_us,
                     uint64_t wall_us, char *ret_error, struct snapshot **ret_snapshot)
{
    struct counted *counted = mem_zalloc(1, sizeof(*counted));
    int err;

    ret_error[0] = '\0';
    if (!counted)
        return ERR_NOMEM;
    atomic_init(&counted->refs, 1);
    metrics_try(registry->metrics);
    counted->snapshot.counts_kinds = estimating_is_wanted(config);
    err = build(&counted->snapshot, registry, config, now_us, wall_us, ret_error);
    if (err) {
        free_parts(&counted->snapshot);
        mem_free(counted);
        metrics_settle(registry->metrics, false);
        limiter_book_commit(registry->limiters, true);
        registry_refuse(registry);
        return err;
    }
    counted->config = config;
    *ret_snapshot = &counted->snapshot;
    return 0;
}

static void apply_provider(struct registry *registry, const struct snapshot_provider *row,
                           struct keypool_change **change)
{
    struct endpoint *endpoints[REGIONS_MAX];

    for (size_t i = 0; i < row->site_count; i++)
        endpoints[i] = row->sites[i].endpoint;
    registry_apply(registry, row->conf, endpoints, row->site_count, change);
}

void snapshot_commit(struct registry *registry, struct snapshot *snapshot)
{
    struct counted *counted = counted_of(snapshot);

    for (size_t i = 0; i < snapshot->provider_count; i++)
        apply_provider(registry, &snapshot->providers[i], &counted->changes[i]);
    free_changes(counted);
    metrics_settle(registry->metrics, true);
    limiter_book_commit(registry->limiters, false);
    classes_apply(snapshot->classes, registry->bulkheads);
    atomic_store_explicit(&registry->bodies.shared.max, snapshot->config->server.body_memory,
                          memory_order_relaxed);
    registry_prune(registry, snapshot->config);
    crossing_book_sweep(registry->crossings);
    pace_book_sweep(registry->paces);
}

void snapshot_refuse(struct registry *registry, struct snapshot **snapshot)
{
    /* A worker may hold the snapshot a while longer: the pools must not see two changes. */
    free_changes(counted_of(*snapshot));
    snapshot_unref(snapshot);
    metrics_settle(registry->metrics, false);
    limiter_book_commit(registry->limiters, true);
    registry_refuse(registry);
}

int snapshot_new(struct registry *registry, struct config *config, uint64_t now_us,
                 uint64_t wall_us, char *ret_error, struct snapshot **ret_snapshot)
{
    int err = snapshot_prepare(registry, config, now_us, wall_us, ret_error, ret_snapshot);

    if (!err)
        snapshot_commit(registry, *ret_snapshot);
    return err;
}

/* Of a model that only its provider lists; NULL: it is another. */
static const struct snapshot_series *learned_series(const struct snapshot *snapshot, uint32_t label,
                                                    const struct plan_target *target)
{
    const struct learned *learned =
        target && label == 0 ? snapshot->providers[target->provider_index].learned : NULL;

    return learned ? learned_find(learned, target->model_hash) : NULL;
}

const struct snapshot_series *snapshot_series_of(const struct snapshot *snapshot, uint32_t label,
                                                 const struct plan_target *target)
{
    size_t column = target ? target->provider_index + 1 : 0;
    const struct snapshot_series *own = learned_series(snapshot, label, target);

    return own ? own : &snapshot->series[label * (snapshot->provider_count + 1) + column];
}

struct span snapshot_model_of(const struct snapshot *snapshot, uint32_t label,
                              const struct plan_target *target)
{
    if (learned_series(snapshot, label, target))
        return target->model;
    return routes_label_at(snapshot->routes, label);
}
