#include "server/gateway_inner.h"

#include "base/err.h"

struct log_options gateway_log_options(const struct config *config)
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
        .file = is_stderr                             ? NULL
                : span_is_equal(file, SPAN("stdout")) ? "/dev/stdout"
                                                      : file.ptr,
    };
}

static void log_complaints(struct gateway *gateway, const struct complaints *complaints)
{
    struct buf text;
    struct span rest, line;

    buf_init(&text, 1 << 20);
    complaints_print(complaints, &text);
    rest = buf_span(&text);
    while (span_next_token(&rest, '\n', &line)) {
        if (line.len)
            log_write(gateway->log, complaints->errors ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                      "configuration", LOG_SPAN("complaint", line));
    }
    buf_fini(&text);
}

/* A renewed certificate serves the next connections; whether there is one is settled at the start.
 */
static void take_over_tls(struct gateway *gateway, struct tls_context *fresh)
{
    if (!fresh || !gateway->tls)
        return;
    tls_context_unref(&gateway->tls);
    gateway->tls = tls_context_ref(fresh);
}

/* One line for each setting that the reload cannot change. */
static void tell_what_waits(struct gateway *gateway, const struct config *from,
                            const struct config *to)
{
    const char *names[CONFIG_RESTART_SETTINGS];
    size_t count = config_needs_restart(from, to, names);

    for (size_t i = 0; i < count; i++)
        log_write(gateway->log, LOG_LEVEL_WARNING, "this setting takes effect at the next restart",
                  LOG_TEXT("setting", names[i]));
}

static void take_over(struct gateway *gateway, struct snapshot *fresh)
{
    struct snapshot *old = gateway->snapshot;
    struct log_options options = gateway_log_options(fresh->config);

    tell_what_waits(gateway, old->config, fresh->config);
    gateway->snapshot = fresh;
    gateway->loaded_wall_us = loop_wall_us(gateway->loop);
    log_reconfigure(gateway->log, &options);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_bind(gateway->workers[i], fresh, gateway->tls);
    admin_set_snapshot(gateway->admin, fresh);
    if (gateway_set_probes(gateway, fresh))
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
    struct tls_context *tls = NULL;
    int err;

    complaints_init(&complaints);
    err = config_load(gateway->options.source, gateway->options.config_path, &complaints, &config);
    log_complaints(gateway, &complaints);
    complaints_fini(&complaints);
    if (!err)
        err = gateway_make_tls(config, error, &tls);
    if (!err)
        err = snapshot_new(&gateway->registry, config, loop_now_us(gateway->loop),
                           loop_wall_us(gateway->loop), error, &fresh);
    if (err) {
        config_free(&config);
        tls_context_unref(&tls);
        log_write(gateway->log, LOG_LEVEL_ERROR,
                  "reload refused: the running configuration stays in force",
                  LOG_TEXT("reason", err == ERR_SYNTAX ? "see the complaints"
                                     : error[0]        ? error
                                                       : err_text(err)));
        metrics_add(gateway->metrics, gateway->reloads + METRIC_RELOAD_REFUSED, 1);
        return;
    }
    take_over_tls(gateway, tls);
    tls_context_unref(&tls);
    take_over(gateway, fresh);
    log_write(gateway->log, LOG_LEVEL_INFO, "configuration reloaded");
    metrics_add(gateway->metrics, gateway->reloads + METRIC_RELOAD_APPLIED, 1);
}
