/* What is worth waking somebody for: told to the webhooks of the configuration in force. */
#include "server/gateway_inner.h"

#include "alerts/alerts.h"
#include "base/alloc.h"
#include "base/err.h"

struct alert_desk {
    struct gateway *gateway;
    struct alerts *alerts;
};

void gateway_alert(struct gateway *gateway, const struct alert *alert)
{
    if (gateway->alerts)
        alerts_raise(gateway->alerts->alerts, alert);
}

/* ---- its life ---- */

int gateway_open_alerts(struct gateway *gateway)
{
    struct alert_desk *desk = mem_zalloc(1, sizeof(*desk));

    gateway->alerts = desk;
    if (desk && !gateway->fetcher)
        gateway->fetcher = fetcher_new(gateway->loop);
    if (desk && gateway->fetcher) {
        const struct webhook_surroundings surroundings = {.loop = gateway->loop,
                                                          .fetcher = gateway->fetcher,
                                                          .log = gateway->log,
                                                          .schema = gateway->registry.metrics,
                                                          .metrics = gateway->metrics};

        desk->gateway = gateway;
        desk->alerts = alerts_new(&surroundings);
    }
    if (!desk || !desk->alerts) {
        gateway_drop_alerts(gateway);
        return ERR_NOMEM;
    }
    gateway_follow_alerts(gateway);
    return 0;
}

void gateway_follow_alerts(struct gateway *gateway)
{
    (void)gateway;
}

void gateway_drop_alerts(struct gateway *gateway)
{
    struct alert_desk *desk = gateway->alerts;

    gateway->alerts = NULL;
    if (!desk)
        return;
    alerts_free(&desk->alerts);
    mem_free(desk);
}
