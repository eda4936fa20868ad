/*
 * Whether a failed attempt is followed by another: the failover policy of `retry:` as plain code
 * over values. Legal only before commit. Pure; any thread.
 */
#ifndef EXCHANGE_RETRY_H
#define EXCHANGE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "dialect/outcome.h"

enum retry_verdict {
    RETRY_NO,
    RETRY_KEY,    /* another key of the same target; the same one, later, if there is no other */
    RETRY_TARGET, /* the next target */
};

struct retry_facts {
    const struct conf_retry *conf;
    const struct outcome_row *row;
    uint32_t tries;     /* that counted against `attempts`, the failed one included if it does */
    uint32_t rotations; /* likewise against `rotations` */
    uint32_t timeouts;  /* time-outs after the request was sent, tried again so far */
    bool was_sent;      /* the request had left: a further try may be billed twice */
    bool has_other_target;
    bool is_committed;
};

enum retry_verdict retry_decide(const struct retry_facts *facts);

/* True where the failed attempt counts against `attempts`. A refused connection does not: the
 * exchange waits for the endpoint, or goes to another, within retry.wait. */
bool retry_counts_try(const struct outcome_row *row);

#endif
