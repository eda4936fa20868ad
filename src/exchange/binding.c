#include "exchange/binding.h"

#include "base/alloc.h"
#include "base/err.h"

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

static int fill(struct binding_home *home, struct outlet *outlet,
                const struct snapshot_provider *row)
{
    outlet->row = row;
    outlet->local_view = view_get(home, row->provider);
    outlet->local_pool = pool_get(home, row->endpoint, row->provider);
    if (!outlet->local_view || !outlet->local_pool)
        return ERR_NOMEM;
    outlet->view = outlet->local_view->view;
    outlet->pool = outlet->local_pool->pool;
    outlet->tally = endpoint_pool_tally(outlet->pool);
    return 0;
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
    for (size_t i = 0; i < snapshot->provider_count && !err; i++)
        err = fill(home, &binding->outlets[i], &snapshot->providers[i]);
    if (err)
        binding_unref(&binding);
    else
        *ret_binding = binding;
    return err;
}

void binding_apply(struct binding *binding)
{
    for (size_t i = 0; i < binding->snapshot->provider_count; i++) {
        const struct conf_provider *conf = binding->outlets[i].row->conf;

        endpoint_pool_set_bounds(binding->outlets[i].pool, &conf->connections,
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
    for (size_t i = 0; i < b->snapshot->provider_count; i++) {
        view_put(b->outlets[i].local_view);
        pool_put(b->outlets[i].local_pool);
    }
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
