#include "server/gateway_inner.h"

#include <stdio.h>

#include "admin/client_desk.h"
#include "alerts/journal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "limits/estimates.h"
#include "server/gateway_store.h"
#include "server/limits_of_system.h"

enum { SPARE_DESCRIPTORS = 256 };

static uint32_t count_workers(const struct config *config)
{
    return config->server.workers ? config->server.workers : system_cores();
}

/* Connections that the descriptors allow; a lower number than the configuration's is said aloud. */
static size_t connections_per_worker(struct gateway *gateway, const struct config *config)
{
    uint64_t descriptors = system_raise_descriptors(), wanted = config->server.max_connections,
             allowed;

    /* Each client's connection may need one upstream. */
    allowed = descriptors > 2 * SPARE_DESCRIPTORS ? (descriptors - SPARE_DESCRIPTORS) / 2
                                                  : SPARE_DESCRIPTORS;
    if (allowed < wanted) {
        log_write(gateway->log, LOG_LEVEL_WARNING,
                  "max_connections is lowered to what the descriptor limit allows",
                  LOG_UINT("max_connections", allowed), LOG_UINT("descriptors", descriptors));
        wanted = allowed;
    }
    wanted /= gateway->worker_count;
    return wanted ? (size_t)wanted : 1;
}

int gateway_make_tls(const struct config *config, char *ret_error, struct tls_context **ret_tls)
{
    struct tls_server_options options = {config->server.tls.certificate.ptr,
                                         config->server.tls.private_key.ptr};

    *ret_tls = NULL;
    if (!config->server.tls.certificate.len)
        return 0;
    return tls_server_context_new(&options, ret_error, ret_tls);
}

static int make_workers(struct gateway *gateway, const struct config *config)
{
    size_t max_connections = connections_per_worker(gateway, config);
    int err = 0;

    for (uint32_t i = 0; i < gateway->registry.workers && !err; i++) {
        struct worker_options options = {
            .registry = &gateway->registry,
            .snapshot = gateway->snapshot,
            .index = i,
            .sockets = sockets_of(&gateway->sockets, i),
            .socket_count = gateway->sockets.address_count,
            .tls = gateway->tls,
            .max_connections = max_connections,
        };

        err = worker_new(&options, &gateway_worker_ops, gateway, &gateway->workers[i]);
    }
    if (!err)
        err = gateway_make_clients(gateway);
    for (uint32_t i = 0; i < gateway->registry.workers && !err; i++) {
        err = worker_start(gateway->workers[i]);
        gateway->started = i + 1;
    }
    return err;
}

static int make_admin(struct gateway *gateway)
{
    struct admin_options options = {
        .loop = gateway->loop,
        .registry = &gateway->registry,
        .fd = gateway->sockets.admin_fd,
        .state = gateway_state,
        .rotation = gateway_rotation,
        .clients = gateway->clients,
        .rotate = gateway_rotate,
        .migration = gateway_migrator,
        .budget = gateway_budget,
        .books = gateway_books,
        .on_effect = gateway_follow,
        .store = gateway_store,
        .on_order = gateway_note_order,
        .owner = gateway,
    };
    int err = admin_new(&options, &gateway->admin);

    if (err)
        return err;
    gateway->sockets.admin_fd = -1;
    admin_set_snapshot(gateway->admin, gateway->snapshot);
    return 0;
}

/* Log, sockets and TLS: what the outside may refuse. */
static int open_outside(struct gateway *gateway, const struct config *config, char *ret_error)
{
    struct log_options options = gateway_log_options(config);
    int err = log_new(&options, &gateway->log);

    if (err) {
        snprintf(ret_error, GATEWAY_ERROR_BYTES, "cannot open the log %.*s: %s",
                 SPAN_ARG(config->log.file), err_text(err));
        return err;
    }
    err = gateway_make_tls(config, ret_error, &gateway->tls);
    if (!err)
        err = sockets_open(&gateway->sockets, config, gateway->worker_count, ret_error,
                           GATEWAY_ERROR_BYTES);
    return err;
}

static int make_inside(struct gateway *gateway, struct config **config, char *ret_error)
{
    struct prober_plan *probes;
    struct tokens_plan *tokens;
    int err = registry_init(&gateway->registry, gateway->worker_count, gateway->options.secrets,
                            gateway->log);

    if (err)
        return err;
    gateway->has_registry = true;
    err = gateway_open_journal(gateway);
    if (err)
        return err;
    err = snapshot_new(&gateway->registry, *config, loop_now_us(gateway->loop),
                       loop_wall_us(gateway->loop), ret_error, &gateway->snapshot);
    if (err)
        return err;
    *config = NULL; /* the snapshot's */
    err = gateway_open_store(gateway, ret_error);
    if (err)
        return err;
    err = gateway_open_books(gateway);
    if (err)
        return err;
    gateway->metrics = metrics_attach(gateway->registry.metrics);
    gateway->reloads = metrics_series(gateway->registry.metrics, METRIC_RELOADS, NULL);
    gateway->media_fetches = metrics_series(gateway->registry.metrics, METRIC_MEDIA_FETCHES, NULL);
    gateway->prober =
        prober_new(gateway->loop, gateway->registry.resolver, &gateway_prober_ops, gateway);
    if (!gateway->metrics || !gateway->prober)
        return ERR_NOMEM;
    err = gateway_open_alerts(gateway);
    if (!err)
        err = gateway_prepare_tokens(gateway, gateway->snapshot, &tokens);
    if (err)
        return err;
    gateway_commit_tokens(&tokens);
    err = gateway_prepare_probes(gateway, gateway->snapshot, &probes);
    if (err)
        return err;
    prober_commit(&probes);
    gateway->reader = gateway->options.reader;
    if (!gateway->reader) {
        gateway->reader = config_reader_new(gateway->loop, gateway->options.source);
        gateway->is_reader_own = true;
    }
    if (!gateway->reader)
        return ERR_NOMEM;
    gateway_follow_rotations(gateway);
    gateway_follow_budgets(gateway);
    gateway_look_at_regions(&gateway->regions_timer);
    gateway_follow_migrations(gateway);
    return 0;
}

/* All addresses of the data plane, with commas between them. */
static void write_addresses(const struct sockets *sockets, struct buf *out)
{
    char text[ADDR_TEXT_BYTES];

    for (size_t i = 0; i < sockets->address_count; i++) {
        addr_write(&sockets->addrs[i], text);
        buf_printf(out, "%s%s", i ? ", " : "", text);
    }
}

static void greet(struct gateway *gateway)
{
    char admin[ADDR_TEXT_BYTES];
    struct buf listen;

    buf_init(&listen, LOG_LINE_BYTES);
    write_addresses(&gateway->sockets, &listen);
    addr_write(&gateway->sockets.admin, admin);
    log_write(gateway->log, LOG_LEVEL_INFO, "listening", LOG_SPAN("listen", buf_span(&listen)),
              LOG_TEXT("admin", admin), LOG_UINT("workers", gateway->worker_count),
              LOG_TEXT("version", BW_VERSION));
    buf_fini(&listen);
    if (!gateway->options.is_locked)
        log_write(
            gateway->log, LOG_LEVEL_WARNING,
            "secrets are not locked in memory and may be swapped: raise RLIMIT_MEMLOCK to 8 MiB");
}

/* How late estimates of tokens know what providers counted. */
#define LEARNING_US US_PER_SEC

static void on_learning(struct loop_timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, learning);

    estimates_learn(gateway->registry.estimates);
    (void)loop_timer_set(timer, loop_now_us(gateway->loop) + LEARNING_US); /* reserved */
}

int gateway_new(const struct gateway_options *options, struct config *config, char *ret_error,
                struct gateway **ret_gateway)
{
    struct gateway *gateway = mem_zalloc(1, sizeof(*gateway));
    int err = ERR_NOMEM;

    ret_error[0] = '\0';
    if (!gateway) {
        snprintf(ret_error, GATEWAY_ERROR_BYTES, "cannot start: %s", err_text(ERR_NOMEM));
        config_free(&config);
        return ERR_NOMEM;
    }
    gateway->options = *options;
    gateway->loop = options->loop;
    list_init(&gateway->rotors);
    list_init(&gateway->migrators);
    gateway->sockets.admin_fd = -1;
    gateway->started_wall_us = gateway->loaded_wall_us = clock_wall_us();
    gateway->worker_count = count_workers(config);
    loop_timer_init(&gateway->timer, gateway->loop, gateway_on_timer);
    loop_timer_init(&gateway->learning, gateway->loop, on_learning);
    loop_timer_init(&gateway->reload_timer, gateway->loop, gateway_on_reload_timer);
    loop_timer_init(&gateway->regions_timer, gateway->loop, gateway_look_at_regions);
    gateway->workers = mem_zalloc(gateway->worker_count, sizeof(*gateway->workers));
    if (gateway->workers)
        err = gateway_make_news(gateway);
    if (!err)
        err = loop_timer_reserve(&gateway->timer);
    if (!err)
        err = loop_timer_reserve(&gateway->reload_timer);
    if (!err)
        err = loop_timer_reserve(&gateway->regions_timer);
    if (!err)
        err = loop_timer_reserve(&gateway->learning);
    if (!err)
        err = open_outside(gateway, config, ret_error);
    if (!err)
        err = make_inside(gateway, &config, ret_error);
    if (!err)
        err = make_workers(gateway, gateway->snapshot->config);
    if (!err)
        err = make_admin(gateway);
    if (err) {
        if (!ret_error[0])
            snprintf(ret_error, GATEWAY_ERROR_BYTES, "cannot start: %s", err_text(err));
        config_free(&config);
        gateway_free(&gateway);
        return err;
    }
    config_reader_follow(gateway->reader, gateway->snapshot->config, &gateway_reader_ops, gateway);
    on_learning(&gateway->learning);
    greet(gateway);
    gateway_check_ready(gateway);
    *ret_gateway = gateway;
    return 0;
}

void gateway_free(struct gateway **gateway)
{
    struct gateway *g = *gateway;

    /* A signal that comes while the loop turns below finds no gateway. */
    *gateway = NULL;
    if (!g)
        return;
    g->is_ending = true;
    sockets_hide(&g->sockets, true);
    loop_timer_fini(&g->timer);
    loop_timer_fini(&g->learning);
    loop_timer_fini(&g->reload_timer);
    loop_timer_fini(&g->regions_timer);
    client_desk_close(g->clients);
    admin_free(&g->admin);
    for (uint32_t i = 0; g->workers && i < g->worker_count; i++)
        worker_stop(g->workers[i]);
    if (g->reader)
        config_reader_leave(g->reader);
    gateway_drop_reload(g);
    gateway_end_store(g);
    gateway_drop_media(g);
    gateway_discard_tokens(&g->tokens);
    gateway_drop_books(g);
    gateway_drop_budgets(g);
    gateway_drop_rotations(g);
    gateway_drop_migrations(g);
    gateway_drop_alerts(g);
    gateway_silence_journal(g);
    gateway_close_store(g);
    fetcher_free(&g->fetcher);
    prober_free(&g->prober);
    if (g->is_reader_own)
        config_reader_free(&g->reader);
    /* Bodies that are still being told anew, and names that are being looked up, go back to the
     * loops that asked. */
    if (g->has_registry) {
        helpers_free(&g->registry.helpers);
        resolver_free(&g->registry.resolver);
    }
    for (uint32_t i = 0; g->workers && i < g->worker_count; i++)
        worker_free(&g->workers[i]);
    mem_free(g->workers);
    sockets_close(&g->sockets, g->started);
    /* Notes that workers sent at their end are read here. */
    loop_turn(g->loop, 0);
    mem_free(g->news);
    snapshot_unref(&g->snapshot);
    client_desk_free(&g->clients);
    if (g->has_registry) {
        journal_free(&g->registry.journal);
        registry_fini(&g->registry);
    }
    tls_context_unref(&g->tls);
    log_free(&g->log);
    mem_free(g);
}

void gateway_reopen_log(struct gateway *gateway)
{
    log_reopen(gateway->log);
}

const struct addr *gateway_listen_addr(const struct gateway *gateway)
{
    return &gateway->sockets.addrs[0];
}

const struct addr *gateway_admin_addr(const struct gateway *gateway)
{
    return &gateway->sockets.admin;
}
