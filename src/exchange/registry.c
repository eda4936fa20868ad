#include "exchange/registry.h"

#include "base/alloc.h"
#include "base/err.h"
#include "exchange/classes.h"
#include "exchange/learned.h"
#include "exchange/shadow.h"
#include "io/helpers.h"
#include "io/resolve.h"
#include "ledger/uses.h"
#include "limits/estimates.h"
#include "shadow/board.h"

enum {
    MAX_PROVIDERS = 1024,
    MAX_RESOLVES = 4096,
    /* Each tells some hundred megabytes a second anew; a few keep the others out of its line. */
    MAX_HELPERS = 4,
};

static struct uses **make_uses(uint32_t workers)
{
    struct uses **uses = mem_zalloc(workers, sizeof(struct uses *));

    for (uint32_t i = 0; uses && i < workers; i++) {
        uses[i] = uses_new();
        if (uses[i])
            continue;
        while (i-- > 0)
            uses_free(&uses[i]);
        MEM_CLEAR(uses);
        break;
    }
    return uses;
}

int registry_init(struct registry *registry, uint32_t workers, struct secret_arena *secrets,
                  struct log *log)
{
    *registry = (struct registry){.workers = workers, .secrets = secrets, .log = log};
    map_init(&registry->providers, MAX_PROVIDERS);
    body_budget_init(&registry->bodies, 0);
    body_budget_init(&registry->shadow_bodies, workers * (uint64_t)SHADOW_BODIES_BYTES);
    registry->shadows = shadow_board_new();
    registry->limiters = limiter_book_new();
    registry->purses = purse_book_new();
    registry->uses = make_uses(workers);
    registry->crossings = crossing_book_new(workers);
    registry->paces = pace_book_new();
    registry->retry_budget = retry_budget_new(workers);
    registry->estimates = estimates_new(workers);
    registry->metrics = metrics_schema_new();
    registry->resolver = resolver_new(MAX_RESOLVES);
    /* Whatever stands in line is bounded already: requests by server.body_memory, answers by what
     * their exchanges may hold of one. */
    registry->helpers = helpers_new(workers < MAX_HELPERS ? workers : MAX_HELPERS, SIZE_MAX);
    if (classes_init(registry->bulkheads, workers) == 0 && registry->limiters && registry->purses &&
        registry->uses && registry->crossings && registry->retry_budget && registry->estimates &&
        registry->metrics && registry->resolver && registry->helpers && registry->shadows &&
        registry->paces)
        return 0;
    registry_fini(registry);
    return ERR_NOMEM;
}

static void drop_endpoints(struct registry_entry *entry)
{
    for (size_t i = 0; i < entry->endpoint_count; i++)
        endpoint_unref(&entry->endpoints[i]);
    entry->endpoint_count = 0;
}

static void entry_free(struct registry_entry *entry)
{
    drop_endpoints(entry);
    provider_unref(&entry->provider);
    learned_unref(&entry->learned);
    mem_free(entry);
}

void registry_fini(struct registry *registry)
{
    struct registry_entry *entry;
    size_t at = 0;

    while ((entry = map_next(&registry->providers, &at, NULL)))
        entry_free(entry);
    map_fini(&registry->providers);
    helpers_free(&registry->helpers);
    resolver_free(&registry->resolver);
    limiter_book_free(&registry->limiters);
    purse_book_free(&registry->purses);
    for (uint32_t i = 0; registry->uses && i < registry->workers; i++)
        uses_free(&registry->uses[i]);
    MEM_CLEAR(registry->uses);
    classes_fini(registry->bulkheads);
    crossing_book_free(&registry->crossings);
    pace_book_free(&registry->paces);
    retry_budget_free(&registry->retry_budget);
    estimates_free(&registry->estimates);
    metrics_schema_free(&registry->metrics);
    shadow_board_free(&registry->shadows);
}

static int entry_new(struct registry *registry, struct span name, struct registry_entry **ret_entry)
{
    struct registry_entry *entry = mem_zalloc(1, sizeof(*entry));
    int err = ERR_NOMEM;

    if (!entry)
        return ERR_NOMEM;
    entry->provider = provider_new(name, registry->workers, registry->secrets);
    entry->learned = learned_new();
    if (entry->provider && entry->learned)
        err = map_add(&registry->providers, provider_name(entry->provider), entry);
    if (err) {
        entry_free(entry);
        return err;
    }
    *ret_entry = entry;
    return 0;
}

int registry_prepare(struct registry *registry, const struct conf_provider *conf,
                     struct registry_entry **ret_entry)
{
    struct registry_entry *entry = map_find(&registry->providers, conf->name);
    int err = 0;

    if (!entry)
        err = entry_new(registry, conf->name, &entry);
    if (err)
        return err;
    *ret_entry = entry;
    return 0;
}

int registry_endpoint(const struct registry_entry *entry, const struct conf_provider *conf,
                      const struct conf_url *url, char *ret_error, struct endpoint **ret_endpoint)
{
    ret_error[0] = '\0';
    for (size_t i = 0; i < entry->endpoint_count; i++) {
        if (endpoint_is_same(entry->endpoints[i], conf, url)) {
            *ret_endpoint = endpoint_ref(entry->endpoints[i]);
            return 0;
        }
    }
    return endpoint_new(conf, url, ret_error, ret_endpoint);
}

void registry_set_extras(struct registry *registry, struct span provider,
                         struct keypool_extras extras)
{
    struct registry_entry *entry = map_find(&registry->providers, provider);

    if (entry)
        entry->extras = extras;
}

void registry_apply(struct registry *registry, const struct conf_provider *conf,
                    struct endpoint *const *endpoints, size_t count, struct keypool_change **change)
{
    struct registry_entry *entry = map_find(&registry->providers, conf->name);

    keypool_commit(change);
    /* Whoever has them holds references too: none is freed in between. */
    drop_endpoints(entry);
    for (size_t i = 0; i < count; i++)
        entry->endpoints[i] = endpoint_ref(endpoints[i]);
    entry->endpoint_count = count;
}

void registry_learn(struct registry *registry, struct provider *provider)
{
    struct registry_entry *entry = map_find(&registry->providers, provider_name(provider));
    struct model_list *models = provider_models(provider);

    if (entry && models)
        learned_add(entry->learned, registry->metrics, provider_name(provider), models);
    model_list_unref(&models);
}

void registry_prune(struct registry *registry, const struct config *config)
{
    struct registry_entry *entry;
    size_t at = 0;

    while ((entry = map_next(&registry->providers, &at, NULL))) {
        if (config_find_provider(config, provider_name(entry->provider)))
            continue;
        map_remove(&registry->providers, provider_name(entry->provider));
        entry_free(entry);
        at = 0; /* the map has moved its entries */
    }
}

void registry_refuse(struct registry *registry)
{
    struct registry_entry *entry;
    size_t at = 0;

    while ((entry = map_next(&registry->providers, &at, NULL))) {
        if (entry->endpoint_count)
            continue;
        map_remove(&registry->providers, provider_name(entry->provider));
        entry_free(entry);
        at = 0; /* the map has moved its entries */
    }
}
