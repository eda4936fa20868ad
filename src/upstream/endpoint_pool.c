#include "upstream/endpoint.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

enum { STAGGER_US = 250000, RESOLVE_AGAIN_US = 30000000 };

struct endpoint_pool {
    struct endpoint *endpoint;
    struct loop *loop;
    struct resolver *resolver;
    struct http_head *head_scratch;
    struct endpoint_tally *tally; /* owned by the endpoint, which outlives this pool */
    struct list idle;             /* used last stands first */
    struct list askers;
    struct list dials;
    size_t count; /* connections that stand; dial_count are being made */
    size_t idle_count, asker_count, dial_count;
    size_t max, max_idle;
    uint64_t keepalive_us, connect_us;
    struct loop_timer janitor;
    struct loop_task pump;
    struct addr addrs[RESOLVE_MAX_ADDRS];
    size_t addr_count;
    uint64_t resolved_us;
    struct resolve_query *query; /* under way */
    bool is_name;                /* the host needs resolving */
    bool is_ending;
};

/* The making of one connection: addresses are tried one after another, the next as soon as one
 * failed or 250 ms have passed; the first to stand wins (RFC 8305 section 5). */
struct dial {
    struct endpoint_pool *pool;
    struct list link;
    struct list uplinks;
    struct loop_timer timer;
    struct loop_task end;
    uint64_t deadline_us;
    size_t next_addr;
    int err;
    bool is_over;
};

static void pump_later(struct endpoint_pool *pool)
{
    if (!pool->is_ending)
        loop_defer(pool->loop, &pool->pump);
}

/* --- connections --- */

static void on_uplink_end(struct loop_task *task)
{
    mem_free(container_of(task, struct uplink, end));
}

static void uplink_drop(struct uplink *uplink)
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
    pump_later(pool);
}

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

static void set_janitor(struct endpoint_pool *pool)
{
    struct uplink *oldest;

    if (list_is_empty(&pool->idle))
        return;
    oldest = container_of(pool->idle.prev, struct uplink, link);
    loop_timer_set(&pool->janitor, oldest->idle_since_us + pool->keepalive_us);
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
        uplink_drop(oldest);
    }
    set_janitor(pool);
}

static void make_idle(struct uplink *uplink)
{
    struct endpoint_pool *pool = uplink->pool;

    uplink->user = NULL;
    loop_timer_clear(&uplink->timer);
    if (pool->idle_count >= pool->max_idle || pool->is_ending) {
        uplink_drop(uplink);
        return;
    }
    uplink->idle_since_us = loop_now_us(pool->loop);
    list_push_front(&pool->idle, &uplink->link);
    pool->idle_count++;
    /* Lazily: the timer stands at some earlier moment and moves on when it comes. */
    if (pool->janitor.deadline_us == 0)
        set_janitor(pool);
}

/* --- dialling --- */

static void on_dial_end(struct loop_task *task)
{
    mem_free(container_of(task, struct dial, end));
}

static void dial_finish(struct dial *dial)
{
    struct endpoint_pool *pool = dial->pool;

    dial->is_over = true;
    while (!list_is_empty(&dial->uplinks))
        uplink_drop(container_of(dial->uplinks.next, struct uplink, link));
    loop_timer_fini(&dial->timer);
    list_remove(&dial->link);
    pool->dial_count--;
    loop_defer(pool->loop, &dial->end);
    pump_later(pool);
}

static void dial_fail(struct dial *dial)
{
    struct endpoint_pool *pool = dial->pool;
    struct list *first = list_pop_front(&pool->askers);
    int err = dial->err ? dial->err : ERR_TIMEOUT;

    dial_finish(dial);
    if (!first)
        return;
    pool->asker_count--;
    container_of(first, struct uplink_asker, link)
        ->on_no_uplink(container_of(first, struct uplink_asker, link), err);
}

static void dial_go_on(struct dial *dial);

static void on_open(struct http_client *http)
{
    struct uplink *uplink = uplink_of(http);
    struct dial *dial = uplink->dial;
    struct endpoint_pool *pool = uplink->pool;
    struct list *first;

    list_remove(&uplink->link);
    uplink->dial = NULL;
    pool->count++;
    endpoint_note_connected(pool->endpoint);
    dial_finish(dial);
    endpoint_health_connected(endpoint_health_of(pool->endpoint));
    first = list_pop_front(&pool->askers);
    if (!first) {
        make_idle(uplink);
        return;
    }
    pool->asker_count--;
    container_of(first, struct uplink_asker, link)
        ->on_uplink(container_of(first, struct uplink_asker, link), uplink);
}

static void on_head(struct http_client *http, const struct http_head *head)
{
    struct uplink *uplink = uplink_of(http);

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

    if (dial) {
        if (!dial->err)
            dial->err = err;
        uplink_drop(uplink);
        dial_go_on(dial);
    } else if (uplink->user) {
        uplink->ops->on_fail(uplink->user, err);
    } else {
        uplink->pool->idle_count--;
        uplink_drop(uplink);
    }
}

static const struct http_client_ops ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
};

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
static void dial_go_on(struct dial *dial)
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

static int dial_new(struct endpoint_pool *pool)
{
    struct dial *dial = mem_zalloc(1, sizeof(*dial));

    if (!dial)
        return ERR_NOMEM;
    dial->pool = pool;
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

/* --- names --- */

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
    query->loop = pool->loop;
    query->on_done = on_resolved;
    query->port = endpoint_port(pool->endpoint);
    memcpy(query->host, host.ptr,
           host.len < sizeof(query->host) ? host.len : sizeof(query->host) - 1);
    *(struct endpoint_pool **)(void *)(query + 1) = pool;
    pool->query = query; /* where there is no address yet, dials wait for it */
    resolver_ask(pool->resolver, query);
}

/* Asks for the name's addresses where there are none, or only old ones. */
static void refresh_addrs(struct endpoint_pool *pool)
{
    uint64_t now_us = loop_now_us(pool->loop);

    if (!pool->is_name || pool->query)
        return;
    if (pool->addr_count && now_us - pool->resolved_us < RESOLVE_AGAIN_US)
        return;
    pool->resolved_us = now_us; /* one question at a time */
    resolve(pool);
}

static int literal_addr(struct endpoint_pool *pool)
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

/* --- the pool --- */

/* Whoever waits gets what there is; what is missing is made, up to the bound. */
static void on_pump(struct loop_task *task)
{
    struct endpoint_pool *pool = container_of(task, struct endpoint_pool, pump);

    while (pool->asker_count && pool->idle_count) {
        struct uplink_asker *asker =
            container_of(list_pop_front(&pool->askers), struct uplink_asker, link);

        pool->asker_count--;
        asker->on_uplink(asker, endpoint_pool_take_idle(pool));
    }
    while (pool->dial_count < pool->asker_count && pool->count + pool->dial_count < pool->max) {
        size_t dials = pool->dial_count;

        refresh_addrs(pool);
        if (dial_new(pool) || pool->dial_count == dials)
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
    list_init(&pool->dials);
    loop_timer_init(&pool->janitor, loop, on_janitor);
    loop_task_init(&pool->pump, on_pump);
    pool->is_name = literal_addr(pool) != 0;
    pool->addr_count = pool->is_name ? 0 : 1;
    pool->tally = endpoint_tally_new(endpoint);
    if (!pool->tally)
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
        uplink_drop(container_of(p->idle.next, struct uplink, link));
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

struct endpoint *endpoint_pool_endpoint(struct endpoint_pool *pool)
{
    return pool->endpoint;
}

struct endpoint_tally *endpoint_pool_tally(struct endpoint_pool *pool)
{
    return pool->tally;
}

struct uplink *endpoint_pool_take_idle(struct endpoint_pool *pool)
{
    struct list *link = list_pop_front(&pool->idle);

    if (!link)
        return NULL;
    pool->idle_count--;
    return container_of(link, struct uplink, link);
}

bool endpoint_pool_ask(struct endpoint_pool *pool, struct uplink_asker *asker)
{
    list_push_back(&pool->askers, &asker->link);
    pool->asker_count++;
    if (pool->count + pool->dial_count >= pool->max)
        return false;
    refresh_addrs(pool);
    /* Without memory the asker waits for a connection that somebody gives back, or for its own
     * deadline. */
    (void)dial_new(pool);
    return true;
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
        uplink_drop(uplink);
        return;
    }
    uplink->is_fresh = false;
    make_idle(uplink);
    if (uplink->pool->asker_count)
        pump_later(uplink->pool);
}

size_t endpoint_pool_count(const struct endpoint_pool *pool)
{
    return pool->count + pool->dial_count;
}
