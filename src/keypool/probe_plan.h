/*
 * When a key or an endpoint is probed next, and what a probe's answer means: pure functions of what
 * is known. The probes themselves are sent by upstream/. Any thread.
 *
 * A new key is probed at once and then 1, 2, 4, 8 and 16 s after it came; after three silent ones
 * it goes on trial. An invalid key is probed at once and then every `probe_interval`, with longer
 * pauses where probe and real requests contradict each other. A key on trial, or one that nobody
 * has heard of for `ttl`, is probed every `probe_interval`. A cooling, limited or depleted one is
 * not: its time and one real request settle it.
 */
#ifndef KEYPOOL_PROBE_PLAN_H
#define KEYPOOL_PROBE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "keypool/key.h"

enum { PROBE_NEW_TRIES = 5, PROBE_SILENT_BEFORE_TRIAL = 3 };

#define PROBE_NEVER UINT64_MAX

enum probe_result {
    PROBE_SILENT,  /* 5xx, a time-out, no connection: says nothing about the key */
    PROBE_KNOWN,   /* 2xx, 403, 404, 405 (and 400, 429, the rest of 4xx): the key is known */
    PROBE_REFUSED, /* 401 */
};

/* What a status means; 0 stands for no answer. */
enum probe_result probe_result_of_status(int status);

/* True where the status also shows that the endpoint works. */
bool probe_shows_endpoint(int status);

struct probe_facts {
    enum key_health health;
    enum key_wish wish;
    uint32_t silent;         /* probes in a row without an answer */
    uint32_t contradictions; /* cured by a probe and refused by a real request, in a row */
    uint64_t born_us;        /* when the key came */
    uint64_t invalid_us;     /* when it was found invalid */
    uint64_t last_probe_us;  /* end of the last probe; 0: none yet */
    uint64_t last_news_us;   /* last success, real or by probe; 0: none */
    uint64_t interval_us;
    uint64_t ttl_us;
};

/* When to probe next: a time (past: now), or PROBE_NEVER. */
uint64_t probe_plan_next(const struct probe_facts *facts);

/* The health that a probe's result leads to; the same where it changes nothing. `silent` counts
 * this one. */
enum key_health probe_plan_move(enum key_health health, enum probe_result result, uint32_t silent);

/* When an open endpoint is probed next; PROBE_NEVER for one that is not open. */
uint64_t probe_plan_endpoint(bool is_open, uint64_t last_probe_us, uint64_t interval_us);

#endif
