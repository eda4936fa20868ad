/*
 * Alerts on their way: raised by whoever sees something, collected (alerts/collector.h), and sent
 * to all webhooks that the configuration names (alerts/webhook.h). The control thread's; nothing
 * waits. What is raised in one turn of the loop shares a message.
 */
#ifndef ALERTS_ALERTS_H
#define ALERTS_ALERTS_H

#include <stdbool.h>
#include <stddef.h>

#include "alerts/alert.h"
#include "alerts/webhook.h"

enum { ALERTS_WEBHOOKS_MAX = 16 };

struct alerts;

/* surroundings is copied. NULL without memory. There is no webhook at first. */
struct alerts *alerts_new(const struct webhook_surroundings *surroundings);

/* What was not sent yet is not sent. Accepts NULL. */
void alerts_free(struct alerts **alerts);

/* The webhooks from here on. One whose settings stay keeps what waits for it; of one that goes,
 * what waits is not sent. 0; ERR_RANGE (too many), ERR_FULL or ERR_NOMEM, in which those before
 * stay. */
int alerts_set_webhooks(struct alerts *alerts, const struct webhook_settings *settings,
                        size_t count);

/* It happened, or is over. Copied; cannot fail. Where there is no webhook nobody is told. */
void alerts_raise(struct alerts *alerts, const struct alert *alert);

/* The end of the process is near: what was collected goes out without waiting for its time. */
void alerts_flush(struct alerts *alerts);

/* Nothing is collected, waits or is under way. */
bool alerts_is_idle(const struct alerts *alerts);

#endif
