/*
 * What is sent at once: alerts that were collected, a line for each kind and provider. Immutable
 * once made, and counted, as several webhooks send the same one. One thread.
 */
#ifndef ALERTS_MESSAGE_H
#define ALERTS_MESSAGE_H

#include "alerts/alert.h"

enum { ALERT_LINES_MAX = 20 };

/* One of the alerts of a line. */
struct alert_moment {
    char key[ALERT_NAME_BYTES];
    char reason[ALERT_REASON_BYTES];
    uint64_t wall_us;
};

/* All alerts of one kind about one provider. */
struct alert_line {
    enum alert_kind kind;
    bool is_over; /* it ended last of all; `last` is then of the end */
    char provider[ALERT_NAME_BYTES];
    uint64_t count; /* of alerts */
    uint64_t overs; /* of ends */
    struct alert_moment first, last;
};

struct alert_message {
    unsigned refs;
    uint64_t total; /* alerts and ends that it tells of, `more` included */
    uint64_t more;  /* of them, those that stand in no line */
    size_t line_count;
    struct alert_line lines[];
};

/* A reference more; the last one gone frees it. alert_message_unref accepts NULL. */
struct alert_message *alert_message_ref(struct alert_message *message);
void alert_message_unref(struct alert_message **message);

#endif
