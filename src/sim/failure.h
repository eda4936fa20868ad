/*
 * Why a simulated provider refuses or fails, in words that hold for every dialect; each dialect has
 * its own status and body for them. A plain value; any thread.
 */
#ifndef SIM_FAILURE_H
#define SIM_FAILURE_H

#include <stdint.h>

#include "base/span.h"

enum sim_failure_kind {
    SIM_FAILURE_STATUS, /* any status; the dialect's usual body for it */
    SIM_FAILURE_NO_KEY,
    SIM_FAILURE_BAD_KEY,
    SIM_FAILURE_FORBIDDEN,
    SIM_FAILURE_QUOTA,   /* the account is used up, said as a 429 */
    SIM_FAILURE_PAYMENT, /* the account is used up, said as a 402 */
    SIM_FAILURE_CREDIT,  /* the account is used up, said as that provider does for want of money */
    SIM_FAILURE_PATH,
    SIM_FAILURE_MODEL,
    SIM_FAILURE_JSON,
    SIM_FAILURE_FIELD,         /* `field` is missing or wrong, `message` says how */
    SIM_FAILURE_UNKNOWN_FIELD, /* `field` is not known, answered with `status` */
    SIM_FAILURE_CONTEXT,       /* the prompt is `requested` tokens long, over `limit` */
    SIM_FAILURE_FILTER,        /* the prompt is against the rules */
    SIM_FAILURE_BODY_LARGE,
    SIM_FAILURE_RATE_REQUESTS,
    SIM_FAILURE_RATE_TOKENS,
    SIM_FAILURE_RATE_SIZE, /* one request over the whole limit: it can never pass */
    SIM_FAILURE_CONCURRENT,
    SIM_FAILURE_SLOW_DOWN,
    SIM_FAILURE_SERVER,
    SIM_FAILURE_OVERLOADED
};

struct sim_failure {
    enum sim_failure_kind kind;
    int status;    /* of STATUS and UNKNOWN_FIELD */
    unsigned form; /* of the route, where there is one */
    uint64_t id;   /* the request's */
    struct span field;
    const char *message; /* of FIELD */
    struct span model;   /* the request's, where known */
    struct span account;
    struct span key;
    uint64_t limit, used, requested; /* of limits */
    uint64_t retry_after_us;         /* 0: not told */
};

#endif
