/* What is worth waking somebody for: told to the webhooks of the configuration in force. */
#include "server/gateway_inner.h"

#include <stdio.h>
#include <unistd.h>

#include "alerts/alerts.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/alert_rules.h"
#include "server/spend_watch.h"
#include "server/usage_watch.h"

/* At the end of the process, for what has not been sent yet. */
#define END_US   (2 * US_PER_SEC)
#define CHECK_US (20 * US_PER_MS)

struct alert_desk {
    struct gateway *gateway;
    struct alerts *alerts;
    struct alert_rules *rules;
    struct spend_watch *spend;
    struct usage_watch *usage;
    struct loop_timer timer; /* of the end */
    uint64_t end_us;         /* 0: it has not come */
};

static void count_failure(struct gateway *gateway, struct span provider)
{
    uint32_t series = metrics_series(gateway->registry.metrics, METRIC_ROTATION_ERRORS, &provider);

    metrics_add(gateway->metrics, series, 1);
    alert_rules_note_failure(gateway->alerts->rules, provider);
}

void gateway_alert(struct gateway *gateway, const struct alert *alert)
{
    const struct happening happening = {
        .kind = EVENT_ALERT,
        .provider = alert->provider,
        .key = alert->key,
        .state = span_from_text(alert_row(alert->kind)->name),
        .reason = alert->reason,
        .wall_us = alert->wall_us,
        .is_over = alert->is_over,
    };

    if (!gateway->alerts)
        return;
    journal_note(gateway->registry.journal, &happening);
    alerts_raise(gateway->alerts->alerts, alert);
    if (alert->kind == ALERT_ROTATION_FAILED || alert->kind == ALERT_ROLLED_BACK)
        count_failure(gateway, alert->provider);
}

static void on_rule(void *owner, const struct alert *alert)
{
    gateway_alert(owner, alert);
}

/* ---- the end ---- */

static void stop(struct gateway *gateway)
{
    if (gateway->admin)
        admin_end_events(gateway->admin);
    loop_stop(gateway->loop);
}

static void look_at_end(struct alert_desk *desk)
{
    uint64_t now_us = loop_now_us(desk->gateway->loop);

    if (alerts_is_idle(desk->alerts) || now_us >= desk->end_us)
        stop(desk->gateway);
    else
        (void)loop_timer_set(&desk->timer, now_us + CHECK_US); /* reserved: it cannot fail */
}

static void on_timer(struct loop_timer *timer)
{
    look_at_end(container_of(timer, struct alert_desk, timer));
}

void gateway_end(struct gateway *gateway)
{
    struct alert_desk *desk = gateway->alerts;

    if (!desk) {
        stop(gateway);
        return;
    }
    alerts_flush(desk->alerts);
    desk->end_us = loop_now_us(gateway->loop) + END_US;
    look_at_end(desk);
}

/* ---- following the file ---- */

/* Borrows from the configuration; the webhooks take what they need of it. */
static size_t read_webhooks(const struct conf_webhooks *conf,
                            struct webhook_settings settings[CONF_WEBHOOKS_MAX])
{
    static const enum alert_format formats[] = {
        [CONF_ALERT_SLACK] = ALERT_FORMAT_SLACK,
        [CONF_ALERT_JSON] = ALERT_FORMAT_JSON,
    };

    _Static_assert((int)CONF_WEBHOOKS_MAX <= (int)ALERTS_WEBHOOKS_MAX, "all have a place");
    for (size_t i = 0; i < conf->count; i++)
        settings[i] = (struct webhook_settings){
            .url = conf->items[i].url,
            .format = formats[conf->items[i].format],
            .ca_file = conf->items[i].ca.len ? conf->items[i].ca.ptr : NULL};
    return conf->count;
}

/* What has not been counted yet is 0, not absent. */
static void show_counters(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->snapshot->provider_count; i++) {
        const struct conf_provider *conf = gateway->snapshot->providers[i].conf;

        if (conf->rotation)
            (void)metrics_series(gateway->registry.metrics, METRIC_ROTATION_ERRORS, &conf->name);
    }
}

void gateway_follow_alerts(struct gateway *gateway)
{
    const struct conf_alerts *conf = &gateway->snapshot->config->alerts;
    struct webhook_settings settings[CONF_WEBHOOKS_MAX];
    size_t count = read_webhooks(&conf->webhooks, settings);
    int err = alerts_set_webhooks(gateway->alerts->alerts, settings, count);

    if (err)
        log_write(gateway->log, LOG_LEVEL_ERROR, "the webhooks of alerts stay as they were",
                  LOG_TEXT("reason", err_text(err)));
    show_counters(gateway);
    alert_rules_set(gateway->alerts->rules, gateway->snapshot);
    spend_watch_set(gateway->alerts->spend, gateway->snapshot);
    usage_watch_set(gateway->alerts->usage, gateway->snapshot);
}

/* ---- its life ---- */

static struct alerts *make_alerts(struct gateway *gateway)
{
    struct webhook_surroundings surroundings = {.loop = gateway->loop,
                                                .log = gateway->log,
                                                .schema = gateway->registry.metrics,
                                                .metrics = gateway->metrics};

    if (!gateway->fetcher)
        gateway->fetcher = fetcher_new(gateway->loop);
    if (!gateway->fetcher)
        return NULL;
    surroundings.fetcher = gateway->fetcher;
    /* A name that is cut has no NUL; without one nothing is told. */
    if (gethostname(surroundings.instance, sizeof(surroundings.instance) - 1))
        surroundings.instance[0] = '\0';
    return alerts_new(&surroundings);
}

/* NULL without memory. */
static struct usage_watch *make_usage_watch(struct gateway *gateway)
{
    const struct usage_watch_options options = {.loop = gateway->loop,
                                                .fetcher = gateway->fetcher,
                                                .secrets = gateway->registry.secrets,
                                                .log = gateway->log,
                                                .rotation = gateway_rotation,
                                                .on_alert = on_rule,
                                                .owner = gateway};

    return usage_watch_new(&options);
}

int gateway_open_alerts(struct gateway *gateway)
{
    const struct alert_rules_options rules = {.loop = gateway->loop,
                                              .registry = &gateway->registry,
                                              .rotation = gateway_rotation,
                                              .on_alert = on_rule,
                                              .owner = gateway};
    struct alert_desk *desk = mem_zalloc(1, sizeof(*desk));

    if (!desk)
        return ERR_NOMEM;
    gateway->alerts = desk;
    desk->gateway = gateway;
    loop_timer_init(&desk->timer, gateway->loop, on_timer);
    desk->alerts = make_alerts(gateway);
    desk->rules = alert_rules_new(&rules);
    desk->spend = spend_watch_new(gateway->loop, on_rule, gateway);
    desk->usage = make_usage_watch(gateway);
    if (!desk->alerts || !desk->rules || !desk->spend || !desk->usage ||
        loop_timer_reserve(&desk->timer)) {
        gateway_drop_alerts(gateway);
        return ERR_NOMEM;
    }
    gateway_follow_alerts(gateway);
    return 0;
}

void gateway_drop_alerts(struct gateway *gateway)
{
    struct alert_desk *desk = gateway->alerts;

    gateway->alerts = NULL;
    if (!desk)
        return;
    loop_timer_fini(&desk->timer);
    alert_rules_free(&desk->rules);
    spend_watch_free(&desk->spend);
    usage_watch_free(&desk->usage);
    alerts_free(&desk->alerts);
    mem_free(desk);
}
