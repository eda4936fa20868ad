#include "upstream/endpoint_pool_inner.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"

enum { RESOLVE_AGAIN_US = 30000000 };

static void on_resolved(struct resolve_query *query)
{
    struct endpoint_pool *pool = *(struct endpoint_pool **)(void *)(query + 1);

    if (!pool) { /* freed meanwhile */
        mem_free(query);
        return;
    }
    pool->query = NULL;
    if (query->err == 0) {
        memcpy(pool->addrs, query->addrs, query->count * sizeof(query->addrs[0]));
        pool->addr_count = query->count;
    }
    /* A name that fails keeps its last addresses, and is asked again with the next connection. */
    pool->resolved_us = query->err ? 0 : loop_now_us(pool->loop);
    mem_free(query);
    list_for_each_safe (link, &pool->dials) {
        struct dial *dial = container_of(link, struct dial, link);

        if (list_is_empty(&dial->uplinks))
            dial_go_on(dial);
    }
}

static void resolve(struct endpoint_pool *pool)
{
    struct resolve_query *query = mem_zalloc(1, sizeof(*query) + sizeof(struct endpoint_pool *));
    struct span host = endpoint_host(pool->endpoint);

    if (!query)
        return;
    query->job.loop = pool->loop;
    query->on_done = on_resolved;
    query->port = endpoint_port(pool->endpoint);
    memcpy(query->host, host.ptr,
           host.len < sizeof(query->host) ? host.len : sizeof(query->host) - 1);
    *(struct endpoint_pool **)(void *)(query + 1) = pool;
    pool->query = query; /* where there is no address yet, dials wait for it */
    resolver_ask(pool->resolver, query);
}

void names_refresh(struct endpoint_pool *pool)
{
    uint64_t now_us = loop_now_us(pool->loop);

    if (!pool->is_name || pool->query)
        return;
    if (pool->addr_count && now_us - pool->resolved_us < RESOLVE_AGAIN_US)
        return;
    pool->resolved_us = now_us; /* one question at a time */
    resolve(pool);
}

int names_take_literal(struct endpoint_pool *pool)
{
    struct span path = endpoint_unix_path(pool->endpoint);
    struct buf text;
    int err;

    if (path.len == 0)
        return addr_from_ip(endpoint_host(pool->endpoint), endpoint_port(pool->endpoint),
                            &pool->addrs[0]);
    buf_init(&text, 512);
    err = buf_printf(&text, "unix:%.*s", SPAN_ARG(path));
    if (!err)
        err = addr_parse(buf_span(&text), &pool->addrs[0]);
    buf_fini(&text);
    return err;
}
