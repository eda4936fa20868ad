/*
 * What is known of one endpoint (a base URL): its breaker, a rest that an IP-wide refusal asked
 * for, and the gate for an endpoint that refuses connections, through which one connect is tried
 * every 100 ms. Embedded in the endpoint; a few atomic words, shared by all workers; any thread. A
 * healthy endpoint is only read.
 */
#ifndef KEYPOOL_ENDPOINT_HEALTH_H
#define KEYPOOL_ENDPOINT_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "limits/breaker.h"

enum { ENDPOINT_CONNECT_EVERY_US = 100000 };

/* A worker's own successes at an endpoint: embedded in that worker's part of the endpoint, and
 * linked into the endpoint's list by endpoint_health_join. */
struct endpoint_tally {
    struct tally good;
    struct endpoint_tally *next;
};

struct endpoint_health {
    struct breaker breaker;
    _Atomic uint64_t next_connect_us; /* 0: the gate is open; else when the next one may try */
    _Atomic uint64_t rest_until_us;   /* refused for its rate whatever the key */
    _Atomic(struct endpoint_tally *) tallies;
};

/* What a call holds; zeroed means none. */
struct endpoint_pass {
    struct breaker_pass breaker;
    bool is_held;
};

enum endpoint_verdict {
    ENDPOINT_PASS,
    ENDPOINT_OPEN,    /* its breaker is open, or it refuses connections */
    ENDPOINT_RESTING, /* it asked for a rest */
};

void endpoint_health_init(struct endpoint_health *endpoint);

/* Each worker joins once, before its first call; the tally must live as long as the endpoint. */
void endpoint_health_join(struct endpoint_health *endpoint, struct endpoint_tally *tally);

/* The breaker's settings out of the configuration. */
struct breaker_settings breaker_settings_from(const struct conf_breaker *conf);

/* What endpoint_health_enter would say; takes nothing. */
enum endpoint_verdict endpoint_health_look(const struct endpoint_health *endpoint,
                                           const struct breaker_settings *settings,
                                           bool is_last_way, uint64_t now_us,
                                           uint64_t *ret_free_at_us);

/* A connection was refused, and none has come about since: one at a time tries. */
bool endpoint_health_is_refusing(const struct endpoint_health *endpoint);

/* May a call go there? ENDPOINT_PASS with *ret_pass; else *ret_free_at_us tells when to ask again.
 * `is_last_way`: no other endpoint serves this: an open breaker then turns half-open before its
 * time. */
enum endpoint_verdict endpoint_health_enter(struct endpoint_health *endpoint,
                                            const struct breaker_settings *settings,
                                            bool is_last_way, uint64_t now_us,
                                            struct endpoint_pass *ret_pass,
                                            uint64_t *ret_free_at_us);

/* The call's result, once; gives the pass back. `tally` is the calling worker's. True where the
 * breaker changed its state. */
bool endpoint_health_leave(struct endpoint_health *endpoint,
                           const struct breaker_settings *settings, struct endpoint_tally *tally,
                           struct endpoint_pass *pass, enum breaker_result result, uint64_t now_us);

/* A connection came about: the gate opens, and a breaker that had opened meanwhile closes. True
 * where somebody may be waiting for that. */
bool endpoint_health_connected(struct endpoint_health *endpoint);

/* No address of it accepted a connection: one try in 100 ms from now on. */
void endpoint_health_refused(struct endpoint_health *endpoint, uint64_t now_us);

/* An IP-wide refusal: nobody goes there before until_us (never shortened). */
void endpoint_health_rest(struct endpoint_health *endpoint, uint64_t until_us);

/* Until when it is so; in the past, or 0: it is not. */
uint64_t endpoint_health_rests_until(const struct endpoint_health *endpoint);

/* A probe was answered with any HTTP status below 500. True where that closed the breaker. */
bool endpoint_health_probed(struct endpoint_health *endpoint);

/* For the admin API and the probes. */
enum breaker_state endpoint_health_state(const struct endpoint_health *endpoint, uint64_t now_us);

#endif
