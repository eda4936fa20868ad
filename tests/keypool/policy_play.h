/*
 * Eight keys of four accounts under more load than their provider allows, on virtual time: a
 * keypool, clients that wait for a key as long as `retry.wait`, and a provider (policy_provider.h).
 * Everything from one seed. Used by the tests and by bench/policies.
 */
#ifndef TESTS_KEYPOOL_POLICY_PLAY_H
#define TESTS_KEYPOOL_POLICY_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"

enum { POLICY_KEYS = 8 };

struct policy {
    const char *name;
    enum conf_selection selection;
    bool is_random;   /* of the keys that are ready any */
    bool is_foreseen; /* what answers tell of limits is learned; else refusals alone count */
};

enum policy_mishap {
    MISHAP_NONE,
    MISHAP_HALVED, /* one account's limits, without notice */
    MISHAP_SLOW,   /* one key answers ten times as late */
    MISHAP_DEAD,   /* one key is refused as unknown */
};

/* What happened in one second; waiting: at its end. */
struct policy_second {
    uint32_t sent, answered, refused, waiting;
};

struct policy_question {
    struct policy policy;
    uint64_t seed;
    uint64_t seconds;      /* how long clients come */
    uint32_t load_percent; /* of what the limits allow */
    enum policy_mishap mishap;
    uint64_t mishap_s;            /* when */
    bool has_windows;             /* limits come back at once at the end of each minute */
    bool is_whole;                /* and resets are told in whole seconds */
    struct policy_second *series; /* of `seconds` places, zeroed; NULL: not wanted */
};

struct policy_result {
    uint64_t offered, served;
    uint64_t sent, refused;                 /* upstream, and of these with a 429 */
    uint64_t client_refused;                /* clients that got a 429 */
    uint64_t refused_early;                 /* of these, while an account had room for it */
    uint64_t opening_sent, opening_refused; /* arrived within 100 ms after a window had opened */
    double goodput;   /* share of what the limits allowed, of each account's scarcest */
    double recovered; /* the same from 5 s to 35 s after the mishap */
    double wait_p50_s, wait_p99_s; /* of those served */
};

/* The policies of the table: headroom first. Returns how many. */
unsigned policy_list(const struct policy **ret_policies);

struct policy_result policy_play(const struct policy_question *question);

#endif
