#include "server/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "access/issued.h"
#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "exchange/host.h"
#include "io/helpers.h"
#include "io/listener.h"
#include "ledger/uses.h"

enum {
    MAX_SOCKETS = 64,
    HANDSHAKE_US = 200000, /* from a listener's shutting to its close */
};

struct worker {
    struct loop *loop;
    struct exchange_host host;
    struct http_server server;
    struct listener *listeners[MAX_SOCKETS];
    size_t listener_count;
    struct loop_timer closing; /* of the listeners, which were shut */
    struct worker_socket sockets[MAX_SOCKETS];
    size_t socket_count;
    const struct worker_ops *ops;
    void *owner;
    uint32_t index;
    size_t max_connections;
    pthread_t thread;
    bool has_thread, has_ended;
    bool is_listening, is_draining, is_full, has_told;
    /* What it is told to do, in a message that stands ready: whoever finds no order yet sends it.
     */
    struct {
        atomic_uint orders; /* ORDER_* */
        atomic_bool is_ready;
        struct loop_mail mail;
        /* Written by the control thread before the order, read by the worker after it. */
        struct snapshot *snapshot;
        struct tls_context *tls;
        struct issued_hold *issued;
    } shared;
};

/* --- connections --- */

static void pause_listeners(struct worker *worker, bool is_full)
{
    if (worker->is_full == is_full)
        return;
    worker->is_full = is_full;
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (is_full)
            listener_pause(worker->listeners[i]);
        else
            listener_resume(worker->listeners[i]);
    }
}

static void on_accept(void *owner, int fd, const struct addr *peer)
{
    struct worker *worker = owner;
    struct exchange_host *host = &worker->host;

    if (http_server_accept(&worker->server, fd, peer))
        return;
    metrics_add(host->metrics, host->series.connections, 1);
    metrics_add(host->metrics, host->series.connections_total, 1);
    if (worker->server.conn_count >= worker->max_connections)
        pause_listeners(worker, true);
}

static void tell_drained(struct worker *worker)
{
    bool is_empty = !worker->is_listening && worker->server.conn_count == 0;

    if (!worker->is_draining || worker->has_told || !is_empty)
        return;
    worker->has_told = true;
    worker->ops->drained(worker->owner, worker->index);
}

/* --- the host's calls --- */

static void host_call(void *owner, uint32_t index)
{
    struct worker *worker = owner;

    worker->ops->call(worker->owner, index);
}

static void host_want_probe(void *owner, struct provider *provider)
{
    struct worker *worker = owner;

    worker->ops->want_probe(worker->owner, provider);
}

static void host_fetch_media(void *owner, struct media_errand *errand)
{
    struct worker *worker = owner;

    worker->ops->fetch_media(worker->owner, errand);
}

static void host_help(void *owner, struct helper_job *job)
{
    struct worker *worker = owner;

    helpers_ask(worker->host.registry->helpers, job);
}

static void host_conn_closed(void *owner)
{
    struct worker *worker = owner;

    if (worker->server.conn_count < worker->max_connections)
        pause_listeners(worker, false);
    tell_drained(worker);
}

static const struct exchange_host_ops host_ops = {
    .call = host_call,
    .want_probe = host_want_probe,
    .fetch_media = host_fetch_media,
    .help = host_help,
    .conn_closed = host_conn_closed,
};

/* --- orders --- */

enum {
    ORDER_READY = 1,
    ORDER_LOOK = 2,
    ORDER_PREPARE = 4,
    ORDER_COMMIT = 8,
    ORDER_DISCARD = 16,
    ORDER_DRAIN = 32,
    ORDER_CUT = 64,
    ORDER_ISSUED = 128,
    ORDER_USES = 256,
};

static void apply_settings(struct worker *worker, const struct conf_server *conf)
{
    worker->server.header_timeout_us = conf->timeouts.header_us;
    worker->server.body_timeout_us = conf->timeouts.body_us;
    worker->server.write_timeout_us = conf->timeouts.write_us;
    worker->server.idle_timeout_us = conf->timeouts.idle_us;
    worker->server.is_half_close_answered = conf->half_close == CONF_HALF_CLOSE_ANSWER;
}

static void use_tls(struct worker *worker, struct tls_context *tls)
{
    tls_context_unref(&worker->server.tls);
    worker->server.tls = tls ? tls_context_ref(tls) : NULL;
}

static void prepare(struct worker *worker)
{
    int err = exchange_host_prepare(&worker->host, worker->shared.snapshot);

    worker->ops->prepared(worker->owner, worker->index, err);
}

static void commit(struct worker *worker)
{
    exchange_host_commit(&worker->host);
    apply_settings(worker, &worker->host.binding->snapshot->config->server);
    use_tls(worker, worker->shared.tls);
    tls_context_unref(&worker->shared.tls);
    worker->ops->committed(worker->owner, worker->index);
}

static void take_issued(struct worker *worker)
{
    exchange_host_set_issued(&worker->host, worker->shared.issued);
    worker->shared.issued = NULL;
    worker->ops->issued(worker->owner, worker->index);
}

static void stop_listening(struct worker *worker)
{
    size_t count = worker->listener_count;

    loop_timer_clear(&worker->closing);
    /* Whom they still accept pauses none of them. */
    worker->listener_count = 0;
    for (size_t i = 0; i < count; i++)
        listener_free(&worker->listeners[i]);
    worker->is_listening = false;
    tell_drained(worker);
}

static void on_closing(struct loop_timer *timer)
{
    stop_listening(container_of(timer, struct worker, closing));
}

/* It is reserved: without memory too, the listeners close. */
static void drain(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++)
        listener_shut(worker->listeners[i]);
    (void)loop_timer_set(&worker->closing, loop_now_us(worker->loop) + HANDSHAKE_US);
    worker->is_draining = true;
    http_server_begin_closing(&worker->server);
}

static void on_orders(struct loop_mail *mail)
{
    struct worker *worker = container_of(mail, struct worker, shared.mail);
    /* From here on the next order sends the message anew. */
    unsigned orders = atomic_exchange(&worker->shared.orders, 0);

    /* Sent just before it was stopped: there is nobody left to follow it. */
    if (worker->has_ended)
        return;
    if (orders & ORDER_READY)
        worker->host.is_ready = atomic_load(&worker->shared.is_ready);
    if (orders & ORDER_ISSUED)
        take_issued(worker);
    if (orders & ORDER_USES)
        uses_hand_over(worker->host.uses);
    if (orders & ORDER_LOOK)
        exchange_host_look(&worker->host);
    /* What was prepared comes first: the next is prepared only after it was decided. */
    if (orders & ORDER_COMMIT)
        commit(worker);
    if (orders & ORDER_DISCARD)
        exchange_host_discard(&worker->host);
    if (orders & ORDER_PREPARE)
        prepare(worker);
    if (orders & ORDER_DRAIN)
        drain(worker);
    if (orders & ORDER_CUT) {
        stop_listening(worker);
        exchange_host_cut(&worker->host);
        http_server_close_idle(&worker->server);
    }
}

static void order(struct worker *worker, unsigned what)
{
    if (atomic_fetch_or(&worker->shared.orders, what) == 0)
        loop_post(worker->loop, &worker->shared.mail);
}

void worker_set_ready(struct worker *worker, bool is_ready)
{
    atomic_store(&worker->shared.is_ready, is_ready);
    order(worker, ORDER_READY);
}

void worker_drain(struct worker *worker)
{
    order(worker, ORDER_DRAIN);
}

void worker_cut(struct worker *worker)
{
    order(worker, ORDER_CUT);
}

void worker_look(struct worker *worker)
{
    order(worker, ORDER_LOOK);
}

void worker_hand_over(struct worker *worker)
{
    order(worker, ORDER_USES);
}

void worker_prepare(struct worker *worker, struct snapshot *snapshot)
{
    /* The gateway holds the snapshot until it has been told; then the binding does. */
    worker->shared.snapshot = snapshot;
    order(worker, ORDER_PREPARE);
}

void worker_commit(struct worker *worker, struct tls_context *tls)
{
    tls_context_unref(&worker->shared.tls);
    worker->shared.tls = tls ? tls_context_ref(tls) : NULL;
    order(worker, ORDER_COMMIT);
}

void worker_discard(struct worker *worker)
{
    order(worker, ORDER_DISCARD);
}

void worker_set_issued(struct worker *worker, struct issued_hold *issued)
{
    worker->shared.issued = issued;
    if (worker->has_thread)
        order(worker, ORDER_ISSUED);
    else
        take_issued(worker);
}

/* --- its life --- */

static int listen_all(struct worker *worker)
{
    worker->is_listening = true;
    for (size_t i = 0; i < worker->socket_count; i++) {
        int err = listener_new(worker->loop, worker->sockets[i].fd, worker->sockets[i].is_shared,
                               on_accept, worker, &worker->listeners[i]);

        if (err)
            return err;
        worker->listener_count++;
    }
    return 0;
}

int worker_new(const struct worker_options *options, const struct worker_ops *ops, void *owner,
               struct worker **ret_worker)
{
    struct worker *worker = mem_zalloc(1, sizeof(*worker));
    int err = ERR_NOMEM;

    if (!worker)
        return ERR_NOMEM;
    worker->ops = ops;
    worker->owner = owner;
    worker->index = options->index;
    worker->max_connections = options->max_connections;
    worker->shared.mail.on_arrival = on_orders;
    worker->loop = loop_new();
    if (worker->loop) {
        loop_timer_init(&worker->closing, worker->loop, on_closing);
        err = loop_timer_reserve(&worker->closing);
    }
    if (!err)
        err = exchange_host_init(&worker->host, worker->loop, options->registry, options->index,
                                 &host_ops, worker);
    if (!err)
        err = http_server_init(&worker->server, worker->loop, &exchange_server_ops, &worker->host);
    if (!err)
        err = exchange_host_bind(&worker->host, options->snapshot);
    if (err) {
        worker_free(&worker);
        return err;
    }
    use_tls(worker, options->tls);
    apply_settings(worker, &options->snapshot->config->server);
    bug_fatal_unless(options->socket_count <= MAX_SOCKETS);
    for (size_t i = 0; i < options->socket_count; i++)
        worker->sockets[i] = options->sockets[i];
    worker->socket_count = options->socket_count;
    *ret_worker = worker;
    return 0;
}

static void *run(void *arg)
{
    struct worker *worker = arg;

    loop_run(worker->loop);
    /* What still stands is ended on the thread that owns it; the turn sends the last words. */
    worker->is_draining = false;
    exchange_host_cut(&worker->host);
    stop_listening(worker);
    loop_turn(worker->loop, 0);
    http_server_fini(&worker->server);
    loop_turn(worker->loop, 0);
    exchange_host_fini(&worker->host);
    return NULL;
}

int worker_start(struct worker *worker)
{
    sigset_t all, old;
    int failed, err = listen_all(worker);

    if (err)
        return err;
    /* Signals are the control thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    worker->has_thread = !failed;
    return failed ? ERR_FULL : 0;
}

void worker_stop(struct worker *worker)
{
    if (!worker || !worker->has_thread)
        return;
    loop_stop(worker->loop);
    pthread_join(worker->thread, NULL);
    worker->has_thread = false;
    worker->has_ended = true;
}

void worker_free(struct worker **worker)
{
    struct worker *w = *worker;

    if (!w)
        return;
    worker_stop(w);
    if (w->has_ended) {
        /* What others sent meanwhile finds nobody. */
        loop_turn(w->loop, 0);
    } else {
        stop_listening(w);
        if (w->server.head)
            http_server_fini(&w->server);
        if (w->host.metrics)
            exchange_host_fini(&w->host);
    }
    tls_context_unref(&w->server.tls);
    tls_context_unref(&w->shared.tls);
    issued_hold_unref(&w->shared.issued);
    loop_timer_fini(&w->closing);
    loop_free(&w->loop);
    mem_free(w);
    *worker = NULL;
}
