/*
 * One webhook: a line of messages that wait for it, and the one that is being sent. The control
 * thread's. Its URL is a secret, and stands in no log, nor does anything that could hold a part of
 * it.
 *
 * Messages go out one by one, a second apart at least, as Slack asks for. 2xx: it is told. 408,
 * 429, 5xx and no answer: again after a pause that doubles from 1 s to 5 min, of which the second
 * half is by chance, and not before the server's own Retry-After; for an hour from when the message
 * came. Any other answer: given up, and said in the log, with Slack's own word for it. A
 * message that is given up, or that was the oldest of too many that wait, becomes a number in the
 * next one that is told.
 */
#ifndef ALERTS_WEBHOOK_H
#define ALERTS_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/message.h"
#include "alerts/payload.h"
#include "base/secret.h"
#include "io/loop.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "secrets/fetch.h"

enum { WEBHOOK_QUEUE_MAX = 16 }; /* messages */

struct webhook;

/* What all webhooks share; what it points to outlives them. */
struct webhook_surroundings {
    struct loop *loop;
    struct fetcher *fetcher;
    struct log *log;                 /* may be NULL */
    struct metrics_schema *schema;   /* may be NULL: nothing is counted */
    struct metrics *metrics;         /* of the control thread; NULL with it */
    char instance[ALERT_NAME_BYTES]; /* which gateway, for who reads it; empty: not told */
};

/* As the configuration has it. */
struct webhook_settings {
    struct secret *url;
    enum alert_format format;
    const char *ca_file; /* trusted in place of the system's certificates; copied; NULL: none */
};

/* number: its place in the configuration, from 1. A reference to the URL is taken. 0, ERR_NOMEM or
 * ERR_FULL (timers). */
int webhook_new(const struct webhook_surroundings *surroundings,
                const struct webhook_settings *settings, unsigned number,
                struct webhook **ret_webhook);

/* What waits, or is under way, is not sent. Accepts NULL. */
void webhook_free(struct webhook **webhook);

/* Whether it is made of the same settings. */
bool webhook_is_of(const struct webhook *webhook, const struct webhook_settings *settings);

/* It stands elsewhere in the configuration now. */
void webhook_set_number(struct webhook *webhook, unsigned number);

/* One more message to send; takes a reference of its own. */
void webhook_push(struct webhook *webhook, struct alert_message *message);

/* Nothing waits or is under way. */
bool webhook_is_idle(const struct webhook *webhook);

#endif
