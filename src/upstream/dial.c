#include "upstream/endpoint_pool_inner.h"

#include "base/alloc.h"
#include "base/err.h"

enum { STAGGER_US = 250000 };

static struct uplink *uplink_of(struct http_client *http)
{
    return container_of(http, struct uplink, http);
}

static void on_timer(struct loop_timer *timer)
{
    struct uplink *uplink = container_of(timer, struct uplink, timer);

    if (uplink->user)
        uplink->ops->on_timer(uplink->user);
}

static void on_dial_end(struct loop_task *task)
{
    mem_free(container_of(task, struct dial, end));
}

void dial_finish(struct dial *dial)
{
    struct endpoint_pool *pool = dial->pool;

    dial->is_over = true;
    while (!list_is_empty(&dial->uplinks))
        pool_drop(container_of(dial->uplinks.next, struct uplink, link));
    loop_timer_fini(&dial->timer);
    list_remove(&dial->link);
    pool->dial_count--;
    loop_defer(pool->loop, &dial->end);
    pool_pump_later(pool);
}

static void dial_fail(struct dial *dial)
{
    struct endpoint_pool *pool = dial->pool;
    struct uplink_asker *asker =
        dial->is_spare ? pool_pop_asker(pool, &pool->spare_askers) : pool_next_asker(pool);
    int err = dial->err ? dial->err : ERR_TIMEOUT;

    dial_finish(dial);
    if (asker)
        asker->on_no_uplink(asker, err);
}

static void on_open(struct http_client *http)
{
    struct uplink *uplink = uplink_of(http);
    struct dial *dial = uplink->dial;
    struct endpoint_pool *pool = uplink->pool;
    struct uplink_asker *asker;

    list_remove(&uplink->link);
    uplink->dial = NULL;
    pool->count++;
    endpoint_note_connected(pool->endpoint);
    dial_finish(dial);
    if (endpoint_health_connected(endpoint_health_of(pool->endpoint)) && pool->on_back)
        pool->on_back(pool->owner);
    asker = pool_next_asker(pool);
    if (asker)
        asker->on_uplink(asker, uplink);
    else
        pool_make_idle(uplink);
}

/* A handshake that went well is no sign yet: in TLS 1.3 the server refuses our certificate after
 * it.
 */
static void on_head(struct http_client *http, const struct http_head *head)
{
    struct uplink *uplink = uplink_of(http);
    struct endpoint *endpoint = uplink->pool->endpoint;

    if (uplink->is_fresh && endpoint_tls(endpoint))
        endpoint_news_note_tls(endpoint_news_of(endpoint), NULL);
    uplink->ops->on_head(uplink->user, head);
}

static void on_data(struct http_client *http, char *data, size_t len, bool is_last)
{
    struct uplink *uplink = uplink_of(http);

    uplink->ops->on_data(uplink->user, data, len, is_last);
}

static void on_room(struct http_client *http)
{
    struct uplink *uplink = uplink_of(http);

    if (uplink->user)
        uplink->ops->on_room(uplink->user);
}

static void on_fail(struct http_client *http, int err)
{
    struct uplink *uplink = uplink_of(http);
    struct dial *dial = uplink->dial;

    if (err == ERR_TLS && (dial || uplink->user))
        endpoint_news_note_tls(endpoint_news_of(uplink->pool->endpoint), http->tls_error);
    if (dial) {
        if (!dial->err)
            dial->err = err;
        pool_drop(uplink);
        dial_go_on(dial);
    } else if (uplink->user) {
        uplink->ops->on_fail(uplink->user, err);
    } else {
        uplink->pool->idle_count--;
        pool_drop(uplink);
    }
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

static void on_uplink_end(struct loop_task *task)
{
    mem_free(container_of(task, struct uplink, end));
}

static int start_uplink(struct dial *dial, const struct addr *addr)
{
    struct endpoint_pool *pool = dial->pool;
    struct uplink *uplink = mem_zalloc(1, sizeof(*uplink));
    int err;

    if (!uplink)
        return ERR_NOMEM;
    uplink->pool = pool;
    uplink->dial = dial;
    uplink->is_fresh = true;
    loop_task_init(&uplink->end, on_uplink_end);
    loop_timer_init(&uplink->timer, pool->loop, on_timer);
    err = http_client_connect(&uplink->http, pool->loop, addr, endpoint_tls(pool->endpoint),
                              endpoint_host(pool->endpoint), pool->head_scratch, &ops);
    if (err) {
        mem_free(uplink);
        return err;
    }
    list_push_back(&dial->uplinks, &uplink->link);
    return 0;
}

/* Tries the next address; with none left and none under way the dial has failed. */
void dial_go_on(struct dial *dial)
{
    struct endpoint_pool *pool = dial->pool;
    uint64_t now_us = loop_now_us(pool->loop), next_us = dial->deadline_us;

    if (dial->is_over || (pool->query && pool->addr_count == 0))
        return;
    while (dial->next_addr < pool->addr_count) {
        int err = start_uplink(dial, &pool->addrs[dial->next_addr++]);

        if (err == 0)
            break;
        if (!dial->err)
            dial->err = err;
    }
    if (list_is_empty(&dial->uplinks)) {
        if (!dial->err)
            dial->err = ERR_RESOLVE;
        /* Told from the timer, so that nobody is told before his question has returned. */
        next_us = now_us;
        dial->deadline_us = now_us;
    } else if (dial->next_addr < pool->addr_count && now_us + STAGGER_US < next_us) {
        next_us = now_us + STAGGER_US;
    }
    if (loop_timer_set(&dial->timer, next_us))
        dial->err = ERR_NOMEM;
}

static void on_dial_timer(struct loop_timer *timer)
{
    struct dial *dial = container_of(timer, struct dial, timer);

    if (loop_now_us(dial->pool->loop) >= dial->deadline_us)
        dial_fail(dial);
    else
        dial_go_on(dial);
}

int dial_new(struct endpoint_pool *pool, bool is_spare)
{
    struct dial *dial = mem_zalloc(1, sizeof(*dial));

    if (!dial)
        return ERR_NOMEM;
    dial->pool = pool;
    dial->is_spare = is_spare;
    dial->deadline_us = loop_now_us(pool->loop) + pool->connect_us;
    list_init(&dial->uplinks);
    loop_task_init(&dial->end, on_dial_end);
    loop_timer_init(&dial->timer, pool->loop, on_dial_timer);
    list_push_back(&pool->dials, &dial->link);
    pool->dial_count++;
    if (loop_timer_set(&dial->timer, dial->deadline_us)) {
        dial_finish(dial);
        return ERR_NOMEM;
    }
    dial_go_on(dial);
    return 0;
}
