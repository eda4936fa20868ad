/*
 * A message as webhooks take it: Slack's format, or JSON with every value under its name. Pure; any
 * thread.
 */
#ifndef ALERTS_PAYLOAD_H
#define ALERTS_PAYLOAD_H

#include "alerts/message.h"
#include "base/buf.h"

enum alert_format { ALERT_FORMAT_SLACK, ALERT_FORMAT_JSON };

enum {
    /* Slack cuts a longer text some day, and advises this many characters; as escaped, in bytes. */
    ALERT_SLACK_TEXT_BYTES = 4000,
    ALERT_PAYLOAD_MAX_BYTES = 128 << 10, /* more than any message needs */
};

/* What stands in a payload besides its message. */
struct alert_sender {
    struct span instance; /* which gateway; empty: not told */
    uint64_t wall_us;     /* when it is sent */
    uint64_t missed;      /* alerts that could not be sent there before */
};

/*
 * {"text": "..."}: a heading, a line for each line of the message, the worst first, and what has no
 * line as a number. '&', '<' and '>' are escaped, so that no text becomes a link, or calls a
 * channel or a person. Where not all fits, each line gets its share of the room, and is cut.
 *
 * Appends: 0, ERR_FULL or ERR_NOMEM.
 */
int alert_write_slack(struct buf *out, const struct alert_message *message,
                      const struct alert_sender *sender);

/*
 * {"instance", "sent_at", "alerts": [{"kind", "severity", "state": "firing" or "over", "text",
 * "provider", "key", "reason", "at", "count", "first": {"key", "reason", "at"}}], "more",
 * "missed"}: key, reason and at are the last alert's; `first` stands there where there were
 * several; times are RFC 3339; a text that is empty is null.
 *
 * Appends: 0, ERR_FULL or ERR_NOMEM.
 */
int alert_write_json(struct buf *out, const struct alert_message *message,
                     const struct alert_sender *sender);

#endif
