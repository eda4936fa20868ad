#include "upstream/endpoint_pool_inner.h"

#include "base/alloc.h"
#include "base/err.h"

void pool_pump_later(struct endpoint_pool *pool)
{
    if (!pool->is_ending)
        loop_defer(pool->loop, &pool->pump);
}

void pool_drop(struct uplink *uplink)
{
    struct endpoint_pool *pool = uplink->pool;

    http_client_close(&uplink->http);
    loop_timer_fini(&uplink->timer);
    list_remove(&uplink->link);
    uplink->user = NULL;
    if (!uplink->dial) {
        pool->count--;
        endpoint_note_closed(pool->endpoint);
    }
    /* Callers up the stack still look at it. */
    loop_defer(pool->loop, &uplink->end);
    pool_pump_later(pool);
}

static void set_janitor(struct endpoint_pool *pool)
{
    struct uplink *oldest;

    if (list_is_empty(&pool->idle))
        return;
    oldest = container_of(pool->idle.prev, struct uplink, link);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&pool->janitor, oldest->idle_since_us + pool->keepalive_us);
}

static void on_janitor(struct loop_timer *timer)
{
    struct endpoint_pool *pool = container_of(timer, struct endpoint_pool, janitor);
    uint64_t now_us = loop_now_us(pool->loop);

    while (!list_is_empty(&pool->idle)) {
        struct uplink *oldest = container_of(pool->idle.prev, struct uplink, link);

        if (oldest->idle_since_us + pool->keepalive_us > now_us)
            break;
        pool->idle_count--;
        pool_drop(oldest);
    }
    set_janitor(pool);
}

void pool_make_idle(struct uplink *uplink)
{
    struct endpoint_pool *pool = uplink->pool;

    uplink->user = NULL;
    loop_timer_clear(&uplink->timer);
    if (pool->idle_count >= pool->max_idle || pool->is_ending) {
        pool_drop(uplink);
        return;
    }
    uplink->idle_since_us = loop_now_us(pool->loop);
    list_push_front(&pool->idle, &uplink->link);
    pool->idle_count++;
    /* Lazily: the timer stands at some earlier moment and moves on when it comes. */
    if (pool->janitor.deadline_us == 0)
        set_janitor(pool);
}

static struct uplink *take_first(struct endpoint_pool *pool)
{
    struct list *link = list_pop_front(&pool->idle);

    if (!link)
        return NULL;
    pool->idle_count--;
    return container_of(link, struct uplink, link);
}

struct uplink_asker *pool_pop_asker(struct endpoint_pool *pool, struct list *line)
{
    struct list *link = list_pop_front(line);

    if (!link)
        return NULL;
    pool->asker_count--;
    return container_of(link, struct uplink_asker, link);
}

struct uplink_asker *pool_next_asker(struct endpoint_pool *pool)
{
    return pool_pop_asker(pool, list_is_empty(&pool->askers) ? &pool->spare_askers : &pool->askers);
}

/* Whoever waits gets what there is; what is missing is made, up to the bound. */
static void on_pump(struct loop_task *task)
{
    struct endpoint_pool *pool = container_of(task, struct endpoint_pool, pump);

    while (pool->asker_count && pool->idle_count) {
        struct uplink_asker *asker = pool_next_asker(pool);

        asker->on_uplink(asker, take_first(pool));
    }
    while (pool->dial_count < pool->asker_count && pool->count + pool->dial_count < pool->max) {
        size_t dials = pool->dial_count;

        names_refresh(pool);
        if (dial_new(pool, list_is_empty(&pool->askers)) || pool->dial_count == dials)
            break;
    }
}

struct endpoint_pool *endpoint_pool_new(struct endpoint *endpoint, struct loop *loop,
                                        struct resolver *resolver, struct http_head *head_scratch)
{
    struct endpoint_pool *pool = mem_zalloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->endpoint = endpoint_ref(endpoint);
    pool->loop = loop;
    pool->resolver = resolver;
    pool->head_scratch = head_scratch;
    list_init(&pool->idle);
    list_init(&pool->askers);
    list_init(&pool->spare_askers);
    list_init(&pool->dials);
    loop_timer_init(&pool->janitor, loop, on_janitor);
    loop_task_init(&pool->pump, on_pump);
    pool->is_name = names_take_literal(pool) != 0;
    pool->addr_count = pool->is_name ? 0 : 1;
    pool->tally = endpoint_tally_new(endpoint);
    if (!pool->tally || loop_timer_reserve(&pool->janitor))
        endpoint_pool_free(&pool);
    return pool;
}

void endpoint_pool_free(struct endpoint_pool **pool)
{
    struct endpoint_pool *p = *pool;

    if (!p)
        return;
    p->is_ending = true;
    while (!list_is_empty(&p->dials))
        dial_finish(container_of(p->dials.next, struct dial, link));
    while (!list_is_empty(&p->idle))
        pool_drop(container_of(p->idle.next, struct uplink, link));
    loop_task_cancel(&p->pump);
    loop_timer_fini(&p->janitor);
    if (p->query)
        *(struct endpoint_pool **)(void *)(p->query + 1) = NULL;
    endpoint_unref(&p->endpoint);
    mem_free(p);
    *pool = NULL;
}

void endpoint_pool_set_bounds(struct endpoint_pool *pool, const struct conf_connections *bounds,
                              uint64_t connect_us)
{
    pool->max = bounds->max;
    pool->max_idle = bounds->idle;
    pool->keepalive_us = bounds->keepalive_us;
    pool->connect_us = connect_us;
}

void endpoint_pool_set_back(struct endpoint_pool *pool, void (*on_back)(void *owner), void *owner)
{
    pool->on_back = on_back;
    pool->owner = owner;
}

struct endpoint *endpoint_pool_endpoint(struct endpoint_pool *pool)
{
    return pool->endpoint;
}

struct endpoint_tally *endpoint_pool_tally(struct endpoint_pool *pool)
{
    return pool->tally;
}

struct uplink *endpoint_pool_take_idle(struct endpoint_pool *pool, bool is_spare)
{
    bool has_others = is_spare ? pool->asker_count > 0 : !list_is_empty(&pool->askers);

    return has_others ? NULL : take_first(pool);
}

bool endpoint_pool_ask(struct endpoint_pool *pool, struct uplink_asker *asker)
{
    list_push_back(asker->is_spare ? &pool->spare_askers : &pool->askers, &asker->link);
    pool->asker_count++;
    if (pool->count + pool->dial_count >= pool->max)
        return false;
    names_refresh(pool);
    return dial_new(pool, asker->is_spare) == 0;
}

void endpoint_pool_unask(struct endpoint_pool *pool, struct uplink_asker *asker)
{
    if (!list_is_linked(&asker->link))
        return;
    list_remove(&asker->link);
    pool->asker_count--;
}

void endpoint_pool_give(struct uplink *uplink)
{
    if (!http_client_is_reusable(&uplink->http)) {
        pool_drop(uplink);
        return;
    }
    uplink->is_fresh = false;
    pool_make_idle(uplink);
    if (uplink->pool->asker_count)
        pool_pump_later(uplink->pool);
}

size_t endpoint_pool_count(const struct endpoint_pool *pool)
{
    return pool->count + pool->dial_count;
}
