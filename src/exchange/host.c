#include "exchange/host.h"

#include "access/issued.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "exchange/hedge.h"
#include "exchange/select.h"
#include "exchange/turn.h"

enum { SPARE_EXCHANGES = 1024, SPARE_BLOCKS = 4096, SPARE_SCANNERS = 16 };

/* --- the host --- */

static void name_series(struct exchange_host *host)
{
    struct metrics_schema *schema = host->registry->metrics;

    host->series = (struct exchange_series){
        .active = metrics_series(schema, METRIC_ACTIVE_REQUESTS, NULL),
        .waiting = metrics_series(schema, METRIC_WAITING_REQUESTS, NULL),
        .overhead = metrics_series(schema, METRIC_OVERHEAD, NULL),
        .cancelled = metrics_series(schema, METRIC_CANCELLED, NULL),
        .bytes = metrics_series(schema, METRIC_BYTES, NULL),
        .writes = metrics_series(schema, METRIC_OTHER_SHARED_WRITES, NULL),
        .connections = metrics_series(schema, METRIC_CLIENT_CONNECTIONS, NULL),
        .connections_total = metrics_series(schema, METRIC_CLIENT_CONNECTIONS_TOTAL, NULL),
        .large_bodies = metrics_series(schema, METRIC_LARGE_BODIES, NULL),
        .large_bodies_total = metrics_series(schema, METRIC_LARGE_BODIES_TOTAL, NULL),
    };
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        struct span name = priority_name(p);

        host->series.class_running[p] = metrics_series(schema, METRIC_CLASS_RUNNING, &name);
        host->series.class_waiting[p] = metrics_series(schema, METRIC_CLASS_WAITING, &name);
        host->series.class_wait[p] = metrics_series(schema, METRIC_CLASS_WAIT, &name);
        host->series.class_refused[p] = metrics_series(schema, METRIC_CLASS_REFUSED, &name);
    }
}

/* Those taken now may be gone when their turn comes, by what those before them do. */
static void on_waking(struct loop_task *task)
{
    struct exchange_host *host = container_of(task, struct exchange_host, waking);
    struct waiting_ticket tickets[HOST_WAKES_A_TURN];
    size_t count = binding_home_take(&host->home, tickets, HOST_WAKES_A_TURN);

    for (size_t i = 0; i < count; i++) {
        struct exchange *x = parking_find(&host->parking, tickets[i]);

        if (!x) {
            exchange_host_pass(host, &tickets[i]);
            continue;
        }
        select_note_grant(x, &tickets[i]);
        exchange_run(x);
    }
    if (count < HOST_WAKES_A_TURN)
        count += turn_look(host, HOST_WAKES_A_TURN - count);
    if (count == HOST_WAKES_A_TURN)
        loop_defer(host->loop, &host->waking);
}

static void on_looking(struct loop_timer *timer)
{
    struct exchange_host *host = container_of(timer, struct exchange_host, looking);
    uint64_t next_us =
        binding_home_look(&host->home, loop_now_us(host->loop), exchange_host_call, host);

    if (next_us != WAITING_NEVER)
        exchange_host_look_at(host, next_us);
}

static void on_granting(struct loop_timer *timer)
{
    turn_grant(container_of(timer, struct exchange_host, granting));
}

static void on_endpoint_back(void *owner, struct provider *provider)
{
    exchange_host_follow(owner, provider, (struct keypool_effect){.wakes = UINT32_MAX});
}

int exchange_host_init(struct exchange_host *host, struct loop *loop, struct registry *registry,
                       uint32_t worker, const struct exchange_host_ops *ops, void *owner)
{
    *host = (struct exchange_host){
        .loop = loop, .registry = registry, .worker = worker, .ops = ops, .owner = owner};
    buf_init(&host->told, HOST_TOLD_MAX_BYTES);
    list_init(&host->exchanges);
    list_init(&host->spare);
    shadows_init(&host->shadows);
    loop_task_init(&host->waking, on_waking);
    loop_timer_init(&host->looking, loop, on_looking);
    loop_timer_init(&host->granting, loop, on_granting);
    arena_pool_init(&host->arenas, SPARE_BLOCKS);
    arena_pool_init(&host->scanners, SPARE_SCANNERS);
    arena_pool_init(&host->loose, 0);
    parking_init(&host->parking, worker);
    body_lease_init(&host->lease, &registry->bodies);
    rand_init_from_system(&host->rand);
    host->head_scratch = mem_alloc(sizeof(*host->head_scratch));
    host->metrics = metrics_attach(registry->metrics);
    host->uses = registry->uses[worker];
    host->log = registry->log ? log_ring_new(registry->log) : NULL;
    if (window_watch_init(&host->windows, loop, turn_look_at_windows) || !host->head_scratch ||
        !host->metrics || (registry->log && !host->log) || loop_timer_reserve(&host->looking) ||
        loop_timer_reserve(&host->granting)) {
        exchange_host_fini(host);
        return ERR_NOMEM;
    }
    binding_home_init(&host->home, loop, registry->resolver, host->head_scratch, worker,
                      on_endpoint_back, host);
    name_series(host);
    return 0;
}

void exchange_host_fini(struct exchange_host *host)
{
    struct list *link;

    shadows_drop(host);
    hedge_times_free(&host->hedge_times);
    loop_task_cancel(&host->waking);
    window_watch_fini(&host->windows);
    loop_timer_fini(&host->looking);
    loop_timer_fini(&host->granting);
    binding_unref(&host->prepared);
    binding_unref(&host->binding);
    issued_hold_unref(&host->issued);
    while ((link = list_pop_front(&host->spare)))
        mem_free(container_of(link, struct exchange, link));
    buf_fini(&host->told);
    arena_pool_fini(&host->arenas);
    arena_pool_fini(&host->scanners);
    parking_fini(&host->parking);
    if (host->lease.budget)
        body_lease_fini(&host->lease);
    MEM_CLEAR(host->head_scratch);
}

void exchange_host_clear_told(struct exchange_host *host)
{
    if (host->told.cap > HOST_TOLD_KEPT_BYTES)
        buf_fini(&host->told);
    buf_clear(&host->told);
}

int exchange_host_bind(struct exchange_host *host, struct snapshot *snapshot)
{
    int err = exchange_host_prepare(host, snapshot);

    if (!err)
        exchange_host_commit(host);
    return err;
}

int exchange_host_prepare(struct exchange_host *host, struct snapshot *snapshot)
{
    return binding_new(&host->home, snapshot, &host->prepared);
}

void exchange_host_discard(struct exchange_host *host)
{
    binding_unref(&host->prepared);
}

static void forget_callers(struct exchange_host *host)
{
    uint8_t key[CLIENTS_TAG_BYTES];

    rand_fill_secure(key, sizeof(key));
    clients_memo_clear(&host->memo, key);
}

void exchange_host_commit(struct exchange_host *host)
{
    binding_unref(&host->binding);
    host->binding = host->prepared;
    host->prepared = NULL;
    binding_apply(host->binding);
    turn_grant(host);
    forget_callers(host);
}

void exchange_host_set_issued(struct exchange_host *host, struct issued_hold *issued)
{
    issued_hold_unref(&host->issued);
    host->issued = issued;
    forget_callers(host);
}

void exchange_host_spare(struct exchange_host *host, struct exchange *x)
{
    if (host->spare_count >= SPARE_EXCHANGES) {
        mem_free(x);
        return;
    }
    list_init(&x->link);
    list_push_front(&host->spare, &x->link);
    host->spare_count++;
}

void exchange_host_look(struct exchange_host *host)
{
    loop_defer(host->loop, &host->waking);
}

void exchange_host_call(void *owner, uint32_t worker)
{
    struct exchange_host *host = owner;

    if (worker == host->worker)
        exchange_host_look(host);
    else
        host->ops->call(host->owner, worker);
}

void exchange_host_grant(struct exchange_host *host, struct waiting_room *room, uint32_t count)
{
    if (count == 0)
        return;
    /* That it asks whether anybody waits; what follows for those who do is not the exchange's. */
    metrics_add(host->metrics, host->series.writes + METRIC_WRITES_WAITING, 1);
    waiting_grant(room, count, exchange_host_call, host);
}

void exchange_host_look_at(struct exchange_host *host, uint64_t look_us)
{
    /* Setting it cannot fail: its place is reserved. */
    if (host->looking.deadline_us == 0 || look_us < host->looking.deadline_us)
        (void)loop_timer_set(&host->looking, look_us);
}

void exchange_host_grant_turns_at(struct exchange_host *host, uint64_t at_us)
{
    /* As above. */
    if (host->granting.deadline_us == 0 || at_us < host->granting.deadline_us)
        (void)loop_timer_set(&host->granting, at_us);
}

void exchange_host_miss(struct exchange_host *host, struct waiting_ticket *ticket, uint64_t look_us)
{
    if (!ticket->room)
        return;
    metrics_add(host->metrics, host->series.writes + METRIC_WRITES_WAITING, 1);
    waiting_miss(ticket, look_us, exchange_host_call, host);
    exchange_host_look_at(host, look_us);
}

void exchange_host_use(struct exchange_host *host, struct waiting_ticket *ticket)
{
    if (!ticket->room)
        return;
    metrics_add(host->metrics, host->series.writes + METRIC_WRITES_WAITING, 1);
    waiting_use(ticket, exchange_host_call, host);
}

void exchange_host_pass(struct exchange_host *host, struct waiting_ticket *ticket)
{
    if (!ticket->room)
        return;
    metrics_add(host->metrics, host->series.writes + METRIC_WRITES_WAITING, 1);
    waiting_pass(ticket, exchange_host_call, host);
}

void exchange_host_follow(struct exchange_host *host, struct provider *provider,
                          struct keypool_effect effect)
{
    exchange_host_grant(host, provider_waiting(provider), effect.wakes);
    if (effect.wants_probe || effect.canary_failed)
        host->ops->want_probe(host->owner, provider);
}

void exchange_host_cut(struct exchange_host *host)
{
    host->is_terminating = true;
    while (!list_is_empty(&host->exchanges))
        exchange_interrupt(container_of(host->exchanges.next, struct exchange, link),
                           INTERRUPT_SHUTDOWN);
    shadows_drop(host);
}

/* --- the server's calls --- */

static struct exchange_host *host_of(struct http_server_conn *conn)
{
    return http_server_of(conn)->owner;
}

/* Without memory for an exchange there is none for an answer in the right words either. */
static void refuse_bare(struct http_server_conn *conn)
{
    struct http_answer answer = {.status = 503,
                                 .fields = SPAN("Retry-After: 1\r\nretry-after-ms: 1000\r\n"),
                                 .is_closing = true};

    http_server_answer(conn, &answer, span_of(NULL, 0), true);
}

static void on_head(struct http_server_conn *conn, const struct http_head *head)
{
    struct exchange *x = exchange_new(host_of(conn), conn, head);

    if (!x)
        refuse_bare(conn);
    else
        exchange_run(x);
}

static void on_body(struct http_server_conn *conn, struct span data)
{
    struct exchange *x = http_server_request(conn);

    if (x && x->step == STEP_BODY && body_take(x, data))
        exchange_run(x);
}

static void on_end(struct http_server_conn *conn)
{
    struct exchange *x = http_server_request(conn);

    if (!x || x->step != STEP_BODY)
        return;
    x->body.is_whole = true;
    x->body.whole_ns = clock_now_ns();
    exchange_run(x);
}

enum failure exchange_failure_of_bad(enum http_bad bad, enum http_problem problem)
{
    if (bad != HTTP_BAD_REQUEST)
        return FAILURE_REQUEST_TIMEOUT;
    switch (problem) {
    case HTTP_PROBLEM_HEAD_LARGE:
        return FAILURE_HEAD_TOO_LARGE;
    case HTTP_PROBLEM_TARGET_LONG:
        return FAILURE_URI_TOO_LONG;
    case HTTP_PROBLEM_VERSION:
        return FAILURE_HTTP_VERSION;
    case HTTP_PROBLEM_CODING:
        return FAILURE_TRANSFER_CODING;
    case HTTP_PROBLEM_EXPECTATION:
        return FAILURE_EXPECTATION;
    case HTTP_PROBLEM_NONE:
    case HTTP_PROBLEM_SYNTAX:
    case HTTP_PROBLEM_FRAMING:
    case HTTP_PROBLEM_HOST:
        break;
    }
    return FAILURE_BAD_FRAMING;
}

static void on_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    struct exchange *x = http_server_request(conn);
    enum failure failure = exchange_failure_of_bad(bad, problem);

    if (!x)
        x = exchange_new(host_of(conn), conn, NULL);
    if (!x) {
        refuse_bare(conn);
        return;
    }
    if (!x->head.request_id.len)
        head_name_request(x, span_of(NULL, 0));
    if (bad == HTTP_BAD_REQUEST)
        exchange_refuse(x, failure, span_from_text(http_problem_text(problem)), span_of(NULL, 0));
    else
        exchange_refuse(x, failure, span_of(NULL, 0), span_of(NULL, 0));
    x->head.head = NULL;
    exchange_interrupt(x, INTERRUPT_DEADLINE);
}

static void on_gone(struct http_server_conn *conn, int err)
{
    struct exchange *x = http_server_request(conn);

    http_server_set_request(conn, NULL);
    if (!x)
        return;
    /* Some clients close at the terminal event, before the last chunk is there. */
    x->relay.is_whole = err == ERR_EOF && http_server_pending(conn) == 0 && relay_has_done(x);
    exchange_interrupt(x, INTERRUPT_CLIENT_GONE);
}

static void on_room(struct http_server_conn *conn)
{
    struct exchange *x = http_server_request(conn);

    if (x)
        attempt_resume(exchange_attempt(x));
}

static void on_closed(struct http_server_conn *conn)
{
    struct exchange_host *host = host_of(conn);

    metrics_add(host->metrics, host->series.connections, (uint64_t)-1);
    host->ops->conn_closed(host->owner);
}

const struct http_server_ops exchange_server_ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_bad = on_bad,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_closed = on_closed,
};
