/*
 * When may one try again: the hint in an answer's headers or message, in any of the forms that
 * providers use. Pure: the time of day is an argument. Any thread.
 */
#ifndef DIALECT_RESET_H
#define DIALECT_RESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"

enum { RESET_FLOOR_MS = 100 }; /* no hint is honoured as less: a 0 would be a busy loop */

struct reset_question {
    const struct dialect_header *headers;
    size_t header_count;
    const struct dialect_error *error; /* NULL: nothing known */
    uint64_t wall_us;                  /* now */
    uint64_t max_us;                   /* a longer wait is cut to this; at least the floor */
};

/* Where a hint came from. Those up to RESET_RETRY_AFTER are said of this very request, whatever
 * became of it; the others of limits. */
enum reset_source {
    RESET_NONE,
    RESET_RETRY_AFTER_MS,
    RESET_RETRY_INFO, /* the body's own: Google's RetryInfo */
    RESET_RETRY_AFTER,
    RESET_HEADER,  /* x-ratelimit-reset* and their kin */
    RESET_MESSAGE, /* "Please try again in 2s" */
    RESET_DAY,     /* a quota of a day is used up: until that day ends */
};

struct reset_hint {
    uint64_t wait_us; /* from now; RESET_FLOOR_MS up to max_us; 0 with RESET_NONE */
    enum reset_source source;
};

/* The best hint. First what is meant for this very request: retry-after-ms, Retry-After, the body's
 * own, then the message; then the limits' resets, which tell when a limit is full again: of several
 * the one that is used up (remaining 0), else the one that the error speaks of (tokens or
 * requests), else the longest of those whose remaining is not told. A hint that cannot be read, is
 * negative, lies in the past or is 0 gives way to the others; a Retry-After of 0 means the floor
 * where there are none. Where Google names a quota of the day (quotaId …PerDay…), the wait is until
 * midnight in California at least: beside it stands a RetryInfo of seconds, which is only the
 * minute's. */
struct reset_hint reset_find(const struct reset_question *question);

/* One value: "6m0s", "76ms", "1h2m3.5s", "12", "1.5", Unix seconds or milliseconds, RFC 3339 or an
 * HTTP-date: 0 and the microseconds from wall_us until then (0 if past), or ERR_SYNTAX. A bare
 * number counts seconds. */
int reset_read(struct span text, uint64_t wall_us, uint64_t *ret_wait_us);

/* Whether such a value is told in whole seconds, of which nobody knows how they were rounded: "1s",
 * "12", Unix seconds and dates, but neither "120ms" nor "1.5". */
bool reset_is_whole(struct span text);

#endif
