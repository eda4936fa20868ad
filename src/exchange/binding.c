#include "exchange/binding.h"

#include "base/alloc.h"
#include "base/err.h"
#include "regions/regions.h"

struct local_view {
    struct list link;
    struct provider *provider;
    struct keypool_view *view;
    unsigned refs;
};

struct local_pool {
    struct list link;
    struct endpoint *endpoint;
    struct endpoint_pool *pool;
    struct region_tally *seen; /* the endpoint's; NULL until it is one of several */
    struct binding_home *home;
    struct provider *provider; /* held by the view that stands beside it in every outlet */
    unsigned refs;
};

void binding_home_init(struct binding_home *home, struct loop *loop, struct resolver *resolver,
                       struct http_head *head_scratch, uint32_t worker,
                       void (*on_back)(void *owner, struct provider *provider), void *owner)
{
    *home = (struct binding_home){.loop = loop,
                                  .resolver = resolver,
                                  .head_scratch = head_scratch,
                                  .worker = worker,
                                  .on_back = on_back,
                                  .owner = owner};
    list_init(&home->views);
    list_init(&home->pools);
}

static struct local_view *view_get(struct binding_home *home, struct provider *provider)
{
    struct local_view *local;

    list_for_each (link, &home->views) {
        local = container_of(link, struct local_view, link);
        if (local->provider == provider) {
            local->refs++;
            return local;
        }
    }
    local = mem_zalloc(1, sizeof(*local));
    if (!local)
        return NULL;
    local->view = keypool_view_new(provider_keys(provider), home->worker, loop_now_us(home->loop));
    if (!local->view) {
        mem_free(local);
        return NULL;
    }
    local->refs = 1;
    local->provider = provider_ref(provider);
    list_push_back(&home->views, &local->link);
    return local;
}

static void view_put(struct local_view *local)
{
    if (!local || --local->refs > 0)
        return;
    list_remove(&local->link);
    keypool_view_free(&local->view);
    provider_unref(&local->provider);
    mem_free(local);
}

static void on_back(void *owner)
{
    struct local_pool *local = owner;

    local->home->on_back(local->home->owner, local->provider);
}

static struct local_pool *pool_get(struct binding_home *home, struct endpoint *endpoint,
                                   struct provider *provider)
{
    struct local_pool *local;

    list_for_each (link, &home->pools) {
        local = container_of(link, struct local_pool, link);
        if (local->endpoint == endpoint) {
            local->refs++;
            return local;
        }
    }
    local = mem_zalloc(1, sizeof(*local));
    if (!local)
        return NULL;
    local->pool = endpoint_pool_new(endpoint, home->loop, home->resolver, home->head_scratch);
    if (!local->pool) {
        mem_free(local);
        return NULL;
    }
    local->refs = 1;
    local->endpoint = endpoint_ref(endpoint);
    local->home = home;
    local->provider = provider;
    endpoint_pool_set_back(local->pool, on_back, local);
    list_push_back(&home->pools, &local->link);
    return local;
}

static void pool_put(struct local_pool *local)
{
    if (!local || --local->refs > 0)
        return;
    list_remove(&local->link);
    endpoint_pool_free(&local->pool);
    endpoint_unref(&local->endpoint);
    mem_free(local);
}

static int fill_site(struct binding_home *home, struct outlet_site *site,
                     const struct snapshot_provider *row, size_t at)
{
    struct local_pool *local = pool_get(home, row->sites[at].endpoint, row->provider);

    if (!local)
        return ERR_NOMEM;
    *site = (struct outlet_site){.row = &row->sites[at],
                                 .pool = local->pool,
                                 .tally = endpoint_pool_tally(local->pool),
                                 .local_pool = local};
    if (!row->regions)
        return 0;
    if (!local->seen)
        local->seen = endpoint_region_tally_new(local->endpoint);
    site->seen = local->seen;
    return site->seen ? 0 : ERR_NOMEM;
}

static int fill(struct binding_home *home, struct outlet *outlet,
                const struct snapshot_provider *row)
{
    int err = 0;

    outlet->row = row;
    outlet->local_view = view_get(home, row->provider);
    if (!outlet->local_view)
        return ERR_NOMEM;
    outlet->view = outlet->local_view->view;
    for (size_t i = 0; i < row->site_count && !err; i++)
        err = fill_site(home, &outlet->sites[i], row, i);
    return err;
}

static size_t count_sites(const struct snapshot *snapshot)
{
    size_t count = 0;

    for (size_t i = 0; i < snapshot->provider_count; i++)
        count += snapshot->providers[i].site_count;
    return count;
}

size_t outlet_home(const struct outlet *outlet)
{
    return outlet->row->regions ? regions_first(outlet->row->regions, outlet->row->site_count, 0)
                                : 0;
}

int binding_new(struct binding_home *home, struct snapshot *snapshot, struct binding **ret_binding)
{
    struct binding *binding =
        mem_zalloc(1, sizeof(*binding) + snapshot->provider_count * sizeof(binding->outlets[0]));
    int err = 0;

    if (!binding)
        return ERR_NOMEM;
    binding->refs = 1;
    binding->snapshot = snapshot_ref(snapshot);
    binding->sites = mem_zalloc(count_sites(snapshot), sizeof(*binding->sites));
    if (!binding->sites)
        err = ERR_NOMEM;
    for (size_t i = 0, at = 0; i < snapshot->provider_count && !err; i++) {
        binding->outlets[i].sites = binding->sites + at;
        at += snapshot->providers[i].site_count;
        err = fill(home, &binding->outlets[i], &snapshot->providers[i]);
    }
    if (err)
        binding_unref(&binding);
    else
        *ret_binding = binding;
    return err;
}

void binding_apply(struct binding *binding)
{
    for (size_t i = 0; i < binding->snapshot->provider_count; i++) {
        const struct outlet *outlet = &binding->outlets[i];
        const struct conf_provider *conf = outlet->row->conf;

        for (size_t k = 0; k < outlet->row->site_count; k++)
            endpoint_pool_set_bounds(outlet->sites[k].pool, &conf->connections,
                                     conf->timeouts.connect_us);
    }
}

struct binding *binding_ref(struct binding *binding)
{
    binding->refs++;
    return binding;
}

void binding_unref(struct binding **binding)
{
    struct binding *b = *binding;

    *binding = NULL;
    if (!b || --b->refs > 0)
        return;
    for (size_t i = 0; b->sites && i < count_sites(b->snapshot); i++)
        pool_put(b->sites[i].local_pool);
    for (size_t i = 0; i < b->snapshot->provider_count; i++)
        view_put(b->outlets[i].local_view);
    mem_free(b->sites);
    snapshot_unref(&b->snapshot);
    mem_free(b);
}

size_t binding_home_take(struct binding_home *home, struct waiting_ticket *ret_tickets, size_t max)
{
    struct list *first = list_pop_front(&home->views);
    size_t count = 0;

    if (!first)
        return 0;
    list_push_back(&home->views, first);
    list_for_each (link, &home->views) {
        struct local_view *local = container_of(link, struct local_view, link);

        if (count == max)
            break;
        count += waiting_take(provider_waiting(local->provider), home->worker, ret_tickets + count,
                              max - count);
    }
    return count;
}

uint64_t binding_home_look(struct binding_home *home, uint64_t now_us, waiting_call *call,
                           void *owner)
{
    uint64_t next_us = WAITING_NEVER;

    list_for_each (link, &home->views) {
        const struct local_view *local = container_of(link, struct local_view, link);
        uint64_t look_us = waiting_look(provider_waiting(local->provider), now_us, call, owner);

        next_us = look_us < next_us ? look_us : next_us;
    }
    return next_us;
}
