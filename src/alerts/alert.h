/*
 * An alert: what happened to which provider and key, when, and why, as plain values. What there is
 * to be told stands in src/tables/alerts.def. Whoever tells one sees to it that its reason, in
 * plain words, holds no secret. Any thread.
 */
#ifndef ALERTS_ALERT_H
#define ALERTS_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum alert_kind {
#define ALERT(symbol, name, severity, text, over) ALERT_##symbol,
#include "tables/alerts.def"
#undef ALERT
    ALERT_KINDS,
};

/* From the least on. */
enum alert_severity { ALERT_INFO, ALERT_WARNING, ALERT_ERROR, ALERT_CRITICAL };

struct alert {
    enum alert_kind kind;
    /* Of a kind that lasts: it has ended, for that provider. May be said as often as it is seen:
     * it is told once, and only where the alert itself had been. Of others it means nothing. */
    bool is_over;
    struct span provider; /* empty: the gateway itself. Longer texts than the next are cut */
    struct span key;      /* its name; empty: none, or all */
    struct span reason;   /* empty: what the kind says is all */
    uint64_t wall_us;     /* when; microseconds since the Unix epoch */
};

enum {
    ALERT_NAME_BYTES = 128, /* each with a NUL */
    ALERT_REASON_BYTES = 256,
};

/* A row of the table. */
struct alert_row {
    const char *name; /* "store_unreachable" */
    enum alert_severity severity;
    const char *text; /* in plain words */
    const char *over; /* empty: it does not last */
};

const struct alert_row *alert_row(enum alert_kind kind);

/* "info", "warning", "error" or "critical". */
const char *alert_severity_text(enum alert_severity severity);

/* Copies the text, with a NUL, on one line: control characters become spaces, and what does not fit
 * into cap bytes is cut between two characters (UTF-8). */
void alert_copy(char *out, size_t cap, struct span text);

/* How much of the text fits into max bytes, cut between two characters (UTF-8). */
size_t alert_fit(struct span text, size_t max);

#endif
