#include "server/gateway_inner.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/gateway_store.h"

/* A worker answers within a turn of its loop, unless something is wrong with it. */
enum { RELOAD_WAIT_US = 5 * (int)US_PER_SEC };

/* Of a place in an alert, so that the store's words have room. */
enum { PLACE_BYTES = 100 };

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

/* --- taking effect: nothing here can fail --- */

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

/* A log file that cannot be opened leaves the log where it is. */
static void reconfigure_log(struct gateway *gateway, const struct config *config)
{
    struct log_options options = gateway_log_options(config);
    int err = log_reconfigure(gateway->log, &options);

    if (err)
        log_write(gateway->log, LOG_LEVEL_ERROR, "cannot open the log: it stays as it was",
                  LOG_SPAN("file", config->log.file), LOG_TEXT("reason", err_text(err)));
}

static void take_over(struct gateway *gateway)
{
    struct reload *reload = &gateway->reload;
    struct snapshot *old = gateway->snapshot, *fresh = reload->snapshot;

    tell_what_waits(gateway, old->config, fresh->config);
    reload->snapshot = NULL;
    gateway->snapshot = fresh;
    gateway->loaded_wall_us = loop_wall_us(gateway->loop);
    reconfigure_log(gateway, fresh->config);
    take_over_tls(gateway, reload->tls);
    tls_context_unref(&reload->tls);
    snapshot_commit(&gateway->registry, fresh);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_commit(gateway->workers[i], gateway->tls);
    admin_set_snapshot(gateway->admin, fresh);
    prober_commit(&reload->probes);
    gateway_commit_tokens(&reload->tokens);
    gateway_follow_alerts(gateway);
    gateway_look_at_kept_keys(gateway);
    gateway_follow_rotations(gateway);
    gateway_follow_budgets(gateway);
    gateway_look_at_regions(&gateway->regions_timer);
    gateway_follow_migrations(gateway);
    config_reader_follow(gateway->reader, fresh->config, &gateway_reader_ops, gateway);
    snapshot_unref(&old);
}

/* --- or not --- */

void gateway_drop_reload(struct gateway *gateway)
{
    struct reload *reload = &gateway->reload;

    prober_discard(&reload->probes);
    gateway_discard_tokens(&reload->tokens);
    tls_context_unref(&reload->tls);
    if (reload->snapshot)
        snapshot_refuse(&gateway->registry, &reload->snapshot);
}

static void refuse(struct gateway *gateway, const char *reason)
{
    gateway_drop_reload(gateway);
    log_write(gateway->log, LOG_LEVEL_ERROR,
              "reload refused: the running configuration stays in force",
              LOG_TEXT("reason", reason));
    metrics_add(gateway->metrics, gateway->reloads + METRIC_RELOAD_REFUSED, 1);
    gateway_note(gateway, EVENT_CONFIGURATION, "refused", reason);
}

/* --- the way there --- */

/* Addresses change at a restart alone: what a file leaves open because of the addresses in it must
 * not come into force on others. */
static int check_openness(const struct gateway *gateway, const struct config *config,
                          char *ret_error)
{
    const struct sockets *sockets = &gateway->sockets;
    bool is_undecided = config->clients.is_open && !config->clients.is_decided;

    if (!config->admin.token && !addr_is_loopback(&sockets->admin)) {
        snprintf(ret_error, GATEWAY_ERROR_BYTES,
                 "admin.token is gone, and the admin address in force is not loopback: restart");
        return ERR_DENIED;
    }
    for (size_t i = 0; i < sockets->address_count && is_undecided; i++) {
        if (addr_is_loopback(&sockets->addrs[i]))
            continue;
        snprintf(ret_error, GATEWAY_ERROR_BYTES,
                 "nobody is asked for a key any more, and an address in force is not loopback: "
                 "restart, or say clients.open: true");
        return ERR_DENIED;
    }
    return 0;
}

/* All that this thread can make before the workers are asked. The configuration becomes the
 * reload's, or goes. */
static int prepare(struct gateway *gateway, struct config *config, char *ret_error)
{
    struct reload *reload = &gateway->reload;
    int err = check_openness(gateway, config, ret_error);

    if (!err)
        err = gateway_make_tls(config, ret_error, &reload->tls);
    gateway_tell_extras(gateway, config);
    if (!err)
        err = snapshot_prepare(&gateway->registry, config, loop_now_us(gateway->loop),
                               loop_wall_us(gateway->loop), ret_error, &reload->snapshot);
    if (err) {
        config_free(&config);
        return err;
    }
    err = gateway_prepare_probes(gateway, reload->snapshot, &reload->probes);
    return err ? err : gateway_prepare_tokens(gateway, reload->snapshot, &reload->tokens);
}

static void end_reload(struct gateway *gateway)
{
    bool is_asked_again = gateway->reload.is_asked_again;

    gateway->reload = (struct reload){.snapshot = NULL};
    if (is_asked_again)
        gateway_reload(gateway);
}

void gateway_note_prepared(struct gateway *gateway, int err)
{
    struct reload *reload = &gateway->reload;

    if (err && !reload->err)
        reload->err = err;
    if (++reload->answers < gateway->worker_count || gateway->is_ending)
        return;
    loop_timer_clear(&gateway->reload_timer);
    if (reload->err) {
        for (uint32_t i = 0; i < gateway->worker_count; i++)
            worker_discard(gateway->workers[i]);
        refuse(gateway, err_text(reload->err));
        end_reload(gateway);
    } else {
        reload->is_committing = true;
        reload->answers = 0;
        take_over(gateway);
    }
}

/* Told once it is true wherever a request may come in. */
void gateway_note_committed(struct gateway *gateway)
{
    if (++gateway->reload.answers < gateway->worker_count || gateway->is_ending)
        return;
    log_write(gateway->log, LOG_LEVEL_INFO, "configuration reloaded");
    metrics_add(gateway->metrics, gateway->reloads + METRIC_RELOAD_APPLIED, 1);
    gateway_note(gateway, EVENT_CONFIGURATION, "reloaded", NULL);
    end_reload(gateway);
}

void gateway_on_reload_timer(struct loop_timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, reload_timer);

    log_write(
        gateway->log, LOG_LEVEL_WARNING,
        "reload waits for workers: the running configuration stays in force until they answer",
        LOG_UINT("workers", gateway->worker_count - gateway->reload.answers));
}

/* --- the file --- */

static void on_read(void *owner, const struct config_read *read)
{
    struct gateway *gateway = owner;
    char error[GATEWAY_ERROR_BYTES] = "";
    int err = read->err;

    gateway->reload.is_reading = false;
    log_complaints(gateway, read->complaints);
    if (!err)
        err = prepare(gateway, read->config, error);
    if (err) {
        refuse(gateway, err == ERR_SYNTAX ? "see the complaints"
                        : error[0]        ? error
                                          : err_text(err));
        end_reload(gateway);
        return;
    }
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_prepare(gateway->workers[i], gateway->reload.snapshot);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&gateway->reload_timer, loop_now_us(gateway->loop) + RELOAD_WAIT_US);
}

static void read_file(struct gateway *gateway, bool is_fresh)
{
    struct reload *reload = &gateway->reload;

    if (gateway->is_ending)
        return;
    if (reload->snapshot || reload->is_committing || reload->is_reading) {
        reload->is_asked_again = true;
        log_write(gateway->log, LOG_LEVEL_INFO,
                  "a reload is under way: the file is read again after it");
        return;
    }
    reload->is_reading = true;
    config_reader_begin(gateway->reader, gateway->options.config_path, is_fresh, on_read, gateway);
}

void gateway_reload(struct gateway *gateway)
{
    read_file(gateway, true);
}

static void on_change(void *owner)
{
    struct gateway *gateway = owner;

    log_write(gateway->log, LOG_LEVEL_INFO,
              "a secret has changed: the configuration is read again");
    read_file(gateway, false);
}

static void on_trouble(void *owner, struct span place, const char *why)
{
    struct gateway *gateway = owner;

    if (why)
        log_write(gateway->log, LOG_LEVEL_WARNING,
                  "a secret cannot be read: what its store told last stays in force",
                  LOG_SPAN("secret", place), LOG_TEXT("reason", why));
    else
        log_write(gateway->log, LOG_LEVEL_INFO, "a secret can be read again",
                  LOG_SPAN("secret", place));
}

/* No provider's own: many may have their keys there. */
static void on_away(void *owner, struct span place, const char *why)
{
    struct gateway *gateway = owner;
    char reason[ALERT_REASON_BYTES] = "";

    if (why)
        snprintf(reason, sizeof(reason), "%.*s: %s", (int)alert_fit(place, PLACE_BYTES), place.ptr,
                 why);
    gateway_alert(gateway, &(struct alert){.kind = ALERT_STORE_UNREACHABLE,
                                           .is_over = !why,
                                           .reason = span_from_text(reason),
                                           .wall_us = loop_wall_us(gateway->loop)});
}

const struct config_reader_ops gateway_reader_ops = {
    .on_change = on_change, .on_trouble = on_trouble, .on_away = on_away};
