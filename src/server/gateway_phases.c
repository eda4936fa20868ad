#include "server/gateway_inner.h"

#include "base/clock.h"

enum { READY_CHECK_US = 20000 };

/* It is reserved: without memory too, the steps come. */
static void set_timer(struct gateway *gateway, uint64_t after_us)
{
    (void)loop_timer_set(&gateway->timer, loop_now_us(gateway->loop) + after_us);
}

/* --- readiness --- */

static bool is_settled(const struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->snapshot->provider_count; i++) {
        if (!keypool_is_settled(provider_keys(gateway->snapshot->providers[i].provider)))
            return false;
    }
    return gateway_has_loaded_migrations(gateway);
}

static void set_ready(struct gateway *gateway, bool is_ready)
{
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_set_ready(gateway->workers[i], is_ready);
}

struct admin_state gateway_state(void *owner)
{
    struct gateway *gateway = owner;

    return (struct admin_state){
        .is_ready = gateway->phase == PHASE_READY,
        .started_wall_us = gateway->started_wall_us,
        .loaded_wall_us = gateway->loaded_wall_us,
    };
}

void gateway_check_ready(struct gateway *gateway)
{
    if (!is_settled(gateway)) {
        set_timer(gateway, READY_CHECK_US);
        return;
    }
    gateway->phase = PHASE_READY;
    set_ready(gateway, true);
    log_write(gateway->log, LOG_LEVEL_INFO, "ready");
    gateway_note(gateway, EVENT_GATEWAY, "ready", NULL);
}

/* --- shutting down --- */

static void begin_drain(struct gateway *gateway)
{
    gateway->phase = PHASE_DRAINING;
    sockets_hide(&gateway->sockets, false);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_drain(gateway->workers[i]);
    set_timer(gateway, gateway->snapshot->config->server.shutdown_grace_us);
}

static void cut(struct gateway *gateway)
{
    gateway->phase = PHASE_CUT;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_cut(gateway->workers[i]);
    /* Error events need a moment to leave; who does not take them is not waited for. */
    set_timer(gateway, US_PER_SEC);
}

void gateway_on_timer(struct loop_timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, timer);

    switch (gateway->phase) {
    case PHASE_STARTING:
        gateway_check_ready(gateway);
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
        gateway_note(gateway, EVENT_GATEWAY, "shutting_down", NULL);
        gateway->phase = PHASE_DELAYING;
        set_ready(gateway, false);
        set_timer(gateway, delay_us);
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
