#include "server/gateway.h"

#include <stdio.h>

#include "admin/admin.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "exchange/notice.h"
#include "exchange/registry.h"
#include "server/limits_of_system.h"
#include "server/sockets.h"
#include "server/worker.h"
#include "upstream/prober.h"

enum { READY_CHECK_US = 20000, SPARE_DESCRIPTORS = 256 };

/* How far the process has come. */
enum phase { PHASE_STARTING, PHASE_READY, PHASE_DELAYING, PHASE_DRAINING, PHASE_CUT };

struct gateway {
    struct gateway_options options;
    struct loop *loop;
    struct log *log;
    struct registry registry;
    bool has_registry;
    struct snapshot *snapshot;
    struct tls_context *tls;
    struct sockets sockets;
    struct worker **workers;
    uint32_t worker_count;
    struct admin *admin;
    struct prober *prober;
    struct metrics *metrics;
    uint32_t reloads;
    enum phase phase;
    struct loop_timer timer; /* readiness, then the steps of shutting down */
    uint32_t started; /* workers whose thread took its sockets over */
    uint32_t drained;
    uint64_t started_wall_us, loaded_wall_us;
};

/* --- messages from workers --- */

struct note {
    struct loop_mail mail;
    struct gateway *gateway;
    struct provider *provider; /* NULL: a worker is drained */
};

static void on_drained_note(struct gateway *gateway)
{
    if (++gateway->drained == gateway->worker_count)
        loop_stop(gateway->loop);
}

static void on_note(struct loop_mail *mail)
{
    struct note *note = container_of(mail, struct note, mail);

    if (!note->provider)
        on_drained_note(note->gateway);
    else if (note->gateway->prober)
        prober_kick(note->gateway->prober, note->provider);
    provider_unref(&note->provider);
    mem_free(note);
}

static void send_note(struct gateway *gateway, struct provider *provider)
{
    struct note *note = mem_zalloc(1, sizeof(*note));

    if (!note)
        return; /* the next probe's time comes all the same */
    note->mail.on_arrival = on_note;
    note->gateway = gateway;
    note->provider = provider ? provider_ref(provider) : NULL;
    loop_post(gateway->loop, &note->mail);
}

static void worker_grants(void *owner, struct waiting_ticket ticket)
{
    struct gateway *gateway = owner;

    if (ticket.worker < gateway->worker_count)
        worker_grant(gateway->workers[ticket.worker], ticket);
}

static void worker_wants_probe(void *owner, struct provider *provider)
{
    send_note(owner, provider);
}

static void worker_is_drained(void *owner, uint32_t index)
{
    (void)index;
    send_note(owner, NULL);
}

static const struct worker_ops worker_ops = {
    .grant = worker_grants,
    .want_probe = worker_wants_probe,
    .drained = worker_is_drained,
};

/* --- probes --- */

static void on_probe_result(void *owner, struct provider *provider, enum probe_result result)
{
    struct gateway *gateway = owner;
    struct span name = provider_name(provider);
    uint32_t series = metrics_series(gateway->registry.metrics, METRIC_PROBES, &name);
    static const uint32_t offset[] = {
        [PROBE_SILENT] = METRIC_PROBE_SILENT,
        [PROBE_KNOWN] = METRIC_PROBE_VALID,
        [PROBE_REFUSED] = METRIC_PROBE_INVALID,
    };

    metrics_add(gateway->metrics, series + offset[result], 1);
}

static void notice_probe(struct gateway *gateway, const struct probe_report *report)
{
    const struct notice notice = {
        .log = gateway->log,
        .provider = provider_name(report->provider),
        .cause = "probe",
        .now_us = loop_now_us(gateway->loop),
        .wall_us = loop_wall_us(gateway->loop),
    };
    uint64_t until_us;
    bool is_welcome = report->was == KEY_NEW && report->effect.key_moved &&
                      key_health(report->key, &until_us) == KEY_HEALTHY;

    if (is_welcome)
        notice_new_key(&notice, report->key);
    else if (report->key)
        notice_key(&notice, report->key, span_of(NULL, 0), &report->effect);
    if (report->effect.endpoint_moved)
        notice_endpoint(&notice, report->endpoint);
}

static void on_probe_effect(void *owner, const struct probe_report *report)
{
    struct gateway *gateway = owner;
    struct waiting_ticket tickets[64];
    size_t count;

    notice_probe(gateway, report);
    if (!report->effect.wakes)
        return;
    do {
        count = waiting_grant(provider_waiting(report->provider), tickets, 64);
        for (size_t i = 0; i < count; i++)
            worker_grants(gateway, tickets[i]);
    } while (count == 64);
}

static const struct prober_ops prober_ops = {
    .on_result = on_probe_result,
    .on_effect = on_probe_effect,
};

static int set_probes(struct gateway *gateway, struct snapshot *snapshot)
{
    struct prober_target *targets = mem_zalloc(snapshot->provider_count, sizeof(*targets));
    int err;

    if (!targets)
        return ERR_NOMEM;
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        struct snapshot_provider *row = &snapshot->providers[i];

        targets[i] = (struct prober_target){
            .conf = row->conf,
            .provider = row->provider,
            .endpoint = row->endpoint,
            .fields = row->fields,
            /* Where the file names none, the providers' own are listed. */
            .wants_models = snapshot->config->models.count == 0,
        };
    }
    err = prober_set(gateway->prober, targets, snapshot->provider_count);
    mem_free(targets);
    return err;
}

/* --- readiness --- */

static bool is_settled(const struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->snapshot->provider_count; i++) {
        if (!keypool_is_settled(provider_keys(gateway->snapshot->providers[i].provider)))
            return false;
    }
    return true;
}

static void set_ready(struct gateway *gateway, bool is_ready)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_set_ready(gateway->workers[i], is_ready);
}

static struct admin_state state(void *owner)
{
    struct gateway *gateway = owner;

    return (struct admin_state){
        .is_ready = gateway->phase == PHASE_READY,
        .started_wall_us = gateway->started_wall_us,
        .loaded_wall_us = gateway->loaded_wall_us,
    };
}

static void check_ready(struct gateway *gateway)
{
    if (!is_settled(gateway)) {
        loop_timer_set(&gateway->timer, loop_now_us(gateway->loop) + READY_CHECK_US);
        return;
    }
    gateway->phase = PHASE_READY;
    set_ready(gateway, true);
    log_write(gateway->log, LOG_LEVEL_INFO, "ready");
}

/* --- shutting down --- */

static void begin_drain(struct gateway *gateway)
{
    gateway->phase = PHASE_DRAINING;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_drain(gateway->workers[i]);
    loop_timer_set(&gateway->timer,
                   loop_now_us(gateway->loop) + gateway->snapshot->config->server.shutdown_grace_us);
}

static void cut(struct gateway *gateway)
{
    gateway->phase = PHASE_CUT;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_cut(gateway->workers[i]);
    /* Error events need a moment to leave; who does not take them is not waited for. */
    loop_timer_set(&gateway->timer, loop_now_us(gateway->loop) + US_PER_SEC);
}

static void on_timer(struct loop_timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, timer);

    switch (gateway->phase) {
    case PHASE_STARTING:
        check_ready(gateway);
        break;
    case PHASE_READY:
        break;
    case PHASE_DELAYING:
        begin_drain(gateway);
        break;
    case PHASE_DRAINING:
        cut(gateway);
        break;
    case PHASE_CUT:
        loop_stop(gateway->loop);
        break;
    }
}

void gateway_shut_down(struct gateway *gateway)
{
    uint64_t delay_us = gateway->snapshot->config->server.shutdown_delay_us;

    switch (gateway->phase) {
    case PHASE_STARTING:
    case PHASE_READY:
        log_write(gateway->log, LOG_LEVEL_INFO, "shutting down");
        gateway->phase = PHASE_DELAYING;
        set_ready(gateway, false);
        loop_timer_set(&gateway->timer, loop_now_us(gateway->loop) + delay_us);
        break;
    case PHASE_DELAYING:
    case PHASE_DRAINING:
        cut(gateway);
        break;
    case PHASE_CUT:
        loop_stop(gateway->loop);
        break;
    }
}

/* --- the log --- */

static struct log_options log_options_from(const struct config *config)
{
    static const enum log_level levels[] = {
        [CONF_LOG_ERROR] = LOG_LEVEL_ERROR,
        [CONF_LOG_WARN] = LOG_LEVEL_WARNING,
        [CONF_LOG_INFO] = LOG_LEVEL_INFO,
        [CONF_LOG_DEBUG] = LOG_LEVEL_DEBUG,
    };
    struct span file = config->log.file;
    bool is_stderr = span_is_equal(file, SPAN("stderr"));

    return (struct log_options){
        .level = levels[config->log.level],
        .format = LOG_FORMAT_JSON,
        .has_access = config->log.access,
        .file = is_stderr ? NULL : span_is_equal(file, SPAN("stdout")) ? "/dev/stdout" : file.ptr,
    };
}

/* --- the life of the gateway --- */

static uint32_t count_workers(const struct config *config)
{
    return config->server.workers ? config->server.workers : system_cores();
}

/* Connections that the descriptors allow; a lower number than the configuration's is said aloud. */
static size_t connections_per_worker(struct gateway *gateway, const struct config *config)
{
    uint64_t descriptors = system_raise_descriptors(), wanted = config->server.max_connections, allowed;

    /* Each client's connection may need one upstream. */
    allowed = descriptors > 2 * SPARE_DESCRIPTORS ? (descriptors - SPARE_DESCRIPTORS) / 2 : SPARE_DESCRIPTORS;
    if (allowed < wanted) {
        log_write(gateway->log, LOG_LEVEL_WARNING, "max_connections is lowered to what the descriptor limit allows",
                  LOG_UINT("max_connections", allowed), LOG_UINT("descriptors", descriptors));
        wanted = allowed;
    }
    wanted /= gateway->worker_count;
    return wanted ? (size_t)wanted : 1;
}

static int make_tls(struct gateway *gateway, const struct config *config, char *ret_error)
{
    struct tls_server_options options = {config->server.tls.certificate.ptr, config->server.tls.private_key.ptr};

    if (!config->server.tls.certificate.len)
        return 0;
    return tls_server_context_new(&options, ret_error, &gateway->tls);
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

        err = worker_new(&options, &worker_ops, gateway, &gateway->workers[i]);
    }
    for (uint32_t i = 0; i < gateway->registry.workers && !err; i++) {
        err = worker_start(gateway->workers[i]);
        gateway->started = i + !err;
    }
    return err;
}

static int make_admin(struct gateway *gateway)
{
    struct admin_options options = {
        .loop = gateway->loop,
        .registry = &gateway->registry,
        .fd = gateway->sockets.admin_fd,
        .state = state,
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
    struct log_options options = log_options_from(config);
    int err = log_new(&options, &gateway->log);

    if (err) {
        snprintf(ret_error, GATEWAY_ERROR_BYTES, "cannot open the log %.*s: %s", SPAN_ARG(config->log.file),
                 err_text(err));
        return err;
    }
    err = make_tls(gateway, config, ret_error);
    if (!err)
        err = sockets_open(&gateway->sockets, config, gateway->worker_count, ret_error, GATEWAY_ERROR_BYTES);
    return err;
}

static int make_inside(struct gateway *gateway, struct config **config, char *ret_error)
{
    int err = registry_init(&gateway->registry, gateway->worker_count, gateway->options.secrets, gateway->log);

    if (err)
        return err;
    gateway->has_registry = true;
    err = snapshot_new(&gateway->registry, *config, loop_now_us(gateway->loop), loop_wall_us(gateway->loop), ret_error,
                       &gateway->snapshot);
    if (err)
        return err;
    *config = NULL; /* the snapshot's */
    gateway->metrics = metrics_attach(gateway->registry.metrics);
    gateway->reloads = metrics_series(gateway->registry.metrics, METRIC_RELOADS, NULL);
    gateway->prober = prober_new(gateway->loop, gateway->registry.resolver, &prober_ops, gateway);
    if (!gateway->metrics || !gateway->prober)
        return ERR_NOMEM;
    return set_probes(gateway, gateway->snapshot);
}

static void greet(struct gateway *gateway)
{
    char listen[ADDR_TEXT_BYTES], admin[ADDR_TEXT_BYTES];

    addr_write(&gateway->sockets.first, listen);
    addr_write(&gateway->sockets.admin, admin);
    log_write(gateway->log, LOG_LEVEL_INFO, "listening", LOG_TEXT("listen", listen), LOG_TEXT("admin", admin),
              LOG_UINT("workers", gateway->worker_count), LOG_TEXT("version", BW_VERSION));
    if (!gateway->options.is_locked)
        log_write(gateway->log, LOG_LEVEL_WARNING,
                  "secrets are not locked in memory and may be swapped: raise RLIMIT_MEMLOCK to 8 MiB");
}

int gateway_new(const struct gateway_options *options, struct config *config, char *ret_error,
                struct gateway **ret_gateway)
{
    struct gateway *gateway = mem_zalloc(1, sizeof(*gateway));
    int err = ERR_NOMEM;

    ret_error[0] = '\0';
    if (!gateway) {
        config_free(&config);
        return ERR_NOMEM;
    }
    gateway->options = *options;
    gateway->loop = options->loop;
    gateway->sockets.admin_fd = -1;
    gateway->started_wall_us = gateway->loaded_wall_us = clock_wall_us();
    gateway->worker_count = count_workers(config);
    loop_timer_init(&gateway->timer, gateway->loop, on_timer);
    gateway->workers = mem_zalloc(gateway->worker_count, sizeof(*gateway->workers));
    if (gateway->workers)
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
    greet(gateway);
    check_ready(gateway);
    *ret_gateway = gateway;
    return 0;
}

void gateway_free(struct gateway **gateway)
{
    struct gateway *g = *gateway;

    if (!g)
        return;
    loop_timer_fini(&g->timer);
    admin_free(&g->admin);
    for (uint32_t i = 0; g->workers && i < g->worker_count; i++)
        worker_free(&g->workers[i]);
    mem_free(g->workers);
    prober_free(&g->prober);
    sockets_close(&g->sockets, g->snapshot ? g->snapshot->config : NULL, g->started);
    /* Notes that workers sent at their end are read here. */
    loop_turn(g->loop, 0);
    snapshot_unref(&g->snapshot);
    if (g->has_registry)
        registry_fini(&g->registry);
    tls_context_unref(&g->tls);
    log_free(&g->log);
    mem_free(g);
    *gateway = NULL;
}

/* --- reload --- */

static void log_complaints(struct gateway *gateway, const struct complaints *complaints)
{
    struct buf text;
    struct span rest, line;

    buf_init(&text, 1 << 20);
    complaints_print(complaints, &text);
    rest = buf_span(&text);
    while (span_next_token(&rest, '\n', &line)) {
        if (line.len)
            log_write(gateway->log, complaints->errors ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "configuration",
                      LOG_SPAN("complaint", line));
    }
    buf_fini(&text);
}

static void take_over(struct gateway *gateway, struct snapshot *fresh)
{
    struct snapshot *old = gateway->snapshot;
    struct log_options options = log_options_from(fresh->config);
    const char *what;

    if (config_needs_restart(old->config, fresh->config, &what))
        log_write(gateway->log, LOG_LEVEL_WARNING, "this setting takes effect at the next restart",
                  LOG_TEXT("setting", what));
    gateway->snapshot = fresh;
    gateway->loaded_wall_us = loop_wall_us(gateway->loop);
    log_reconfigure(gateway->log, &options);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_bind(gateway->workers[i], fresh);
    admin_set_snapshot(gateway->admin, fresh);
    if (set_probes(gateway, fresh))
        log_write(gateway->log, LOG_LEVEL_ERROR, "out of memory: probes stay as they were");
    else
        snapshot_unref(&old);
}

void gateway_reload(struct gateway *gateway)
{
    char error[GATEWAY_ERROR_BYTES] = "";
    struct complaints complaints;
    struct config *config = NULL;
    struct snapshot *fresh = NULL;
    int err;

    complaints_init(&complaints);
    err = config_load(gateway->options.source, gateway->options.config_path, &complaints, &config);
    log_complaints(gateway, &complaints);
    complaints_fini(&complaints);
    if (!err)
        err = snapshot_new(&gateway->registry, config, loop_now_us(gateway->loop), loop_wall_us(gateway->loop), error,
                           &fresh);
    if (err) {
        config_free(&config);
        log_write(gateway->log, LOG_LEVEL_ERROR, "reload refused: the running configuration stays in force",
                  LOG_TEXT("reason", err == ERR_SYNTAX ? "see the complaints" : error[0] ? error : err_text(err)));
        metrics_add(gateway->metrics, gateway->reloads + METRIC_RELOAD_REFUSED, 1);
        return;
    }
    take_over(gateway, fresh);
    log_write(gateway->log, LOG_LEVEL_INFO, "configuration reloaded");
    metrics_add(gateway->metrics, gateway->reloads + METRIC_RELOAD_APPLIED, 1);
}

void gateway_reopen_log(struct gateway *gateway)
{
    log_reopen(gateway->log);
}

const struct addr *gateway_listen_addr(const struct gateway *gateway)
{
    return &gateway->sockets.first;
}

const struct addr *gateway_admin_addr(const struct gateway *gateway)
{
    return &gateway->sockets.admin;
}
