#include "alerts/alerts.h"

#include "alerts/collector.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

#define MEMORY_PAUSE_US US_PER_SEC

struct alerts {
    struct webhook_surroundings surroundings;
    struct alert_collector collector;
    struct loop_timer timer;
    struct webhook *webhooks[ALERTS_WEBHOOKS_MAX];
    size_t count;
};

/* Reserved: it cannot fail. */
static void set_timer(struct alerts *alerts)
{
    uint64_t due_us = alert_collector_due_us(&alerts->collector);

    if (due_us == UINT64_MAX)
        loop_timer_clear(&alerts->timer);
    else
        (void)loop_timer_set(&alerts->timer, due_us ? due_us : 1);
}

/* What was collected goes to all webhooks: false where memory is short. */
static bool deliver(struct alerts *alerts)
{
    struct alert_message *message;
    int err =
        alert_collector_take(&alerts->collector, loop_now_us(alerts->surroundings.loop), &message);

    if (err)
        return err != ERR_NOMEM;
    for (size_t i = 0; i < alerts->count; i++)
        webhook_push(alerts->webhooks[i], message);
    alert_message_unref(&message);
    return true;
}

static void on_timer(struct loop_timer *timer)
{
    struct alerts *alerts = container_of(timer, struct alerts, timer);
    uint64_t now_us = loop_now_us(alerts->surroundings.loop);

    if (now_us < alert_collector_due_us(&alerts->collector) || deliver(alerts))
        set_timer(alerts);
    else
        (void)loop_timer_set(&alerts->timer, now_us + MEMORY_PAUSE_US);
}

struct alerts *alerts_new(const struct webhook_surroundings *surroundings)
{
    struct alerts *alerts = mem_zalloc(1, sizeof(*alerts));

    if (!alerts)
        return NULL;
    alerts->surroundings = *surroundings;
    alert_collector_init(&alerts->collector);
    loop_timer_init(&alerts->timer, surroundings->loop, on_timer);
    if (loop_timer_reserve(&alerts->timer))
        alerts_free(&alerts);
    return alerts;
}

void alerts_free(struct alerts **alerts)
{
    struct alerts *a = *alerts;

    *alerts = NULL;
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++)
        webhook_free(&a->webhooks[i]);
    loop_timer_fini(&a->timer);
    mem_free(a);
}

/* The webhook of these settings, which is among those before and not among the new ones; its index,
 * or the count. */
static size_t find(const struct alerts *alerts, const struct webhook_settings *settings,
                   struct webhook *const *made, size_t made_count)
{
    for (size_t i = 0; i < alerts->count; i++) {
        bool is_taken = false;

        for (size_t j = 0; j < made_count; j++)
            is_taken |= made[j] == alerts->webhooks[i];
        if (!is_taken && webhook_is_of(alerts->webhooks[i], settings))
            return i;
    }
    return alerts->count;
}

int alerts_set_webhooks(struct alerts *alerts, const struct webhook_settings *settings,
                        size_t count)
{
    struct webhook *next[ALERTS_WEBHOOKS_MAX] = {NULL};
    bool is_kept[ALERTS_WEBHOOKS_MAX] = {false}, is_made[ALERTS_WEBHOOKS_MAX] = {false};
    int err = count > ALERTS_WEBHOOKS_MAX ? ERR_RANGE : 0;

    for (size_t i = 0; i < count && !err; i++) {
        size_t at = find(alerts, &settings[i], next, i);

        if (at < alerts->count) {
            next[i] = alerts->webhooks[at];
            is_kept[at] = true;
        } else {
            err = webhook_new(&alerts->surroundings, &settings[i], (unsigned)i + 1, &next[i]);
            is_made[i] = !err;
        }
    }
    if (err) {
        for (size_t i = 0; i < ALERTS_WEBHOOKS_MAX; i++) {
            if (is_made[i])
                webhook_free(&next[i]);
        }
        return err;
    }
    for (size_t i = 0; i < alerts->count; i++) {
        if (!is_kept[i])
            webhook_free(&alerts->webhooks[i]);
    }
    for (size_t i = 0; i < count; i++) {
        alerts->webhooks[i] = next[i];
        webhook_set_number(next[i], (unsigned)i + 1);
    }
    alerts->count = count;
    return 0;
}

void alerts_raise(struct alerts *alerts, const struct alert *alert)
{
    alert_collector_add(&alerts->collector, alert, loop_now_us(alerts->surroundings.loop));
    set_timer(alerts);
}

void alerts_flush(struct alerts *alerts)
{
    if (deliver(alerts))
        set_timer(alerts);
}

bool alerts_is_idle(const struct alerts *alerts)
{
    bool is_idle = alert_collector_due_us(&alerts->collector) == UINT64_MAX;

    for (size_t i = 0; i < alerts->count; i++)
        is_idle &= webhook_is_idle(alerts->webhooks[i]);
    return is_idle;
}
