/*
 * Seeded traffic on virtual time for a canary: requests that come at random, fall to it or to the
 * old keys by its share, fail and take their time as the scene says; told to it as the control
 * thread would, every 100 ms and at each of its failures. For tests, and for bench/canary_rates.
 */
#ifndef TESTS_CANARY_TRAFFIC_H
#define TESTS_CANARY_TRAFFIC_H

#include "base/rand.h"
#include "canary/canary.h"

enum { TRAFFIC_LATENCIES = 16384 };

enum traffic_shape {
    TRAFFIC_UNTIMED,    /* no latencies are told */
    TRAFFIC_LOG_NORMAL, /* sigma 1: the 99th percentile is ten times the median */
    TRAFFIC_PARETO,     /* exponent 1.1: no variance, hardly a mean */
    TRAFFIC_TWO_MODELS, /* one half fast, one half 20 times as slow */
    TRAFFIC_SHAPES,
};

/* What is true, whatever the canary finds. Rates are shares of 1. */
struct traffic_scene {
    double per_second; /* requests of the whole pool */
    double place;      /* the share of the pool that the canary is to have at the end; 0: 1 */
    double canary_fails, old_fails;
    double canary_refused, old_refused; /* of all requests, besides those that fail */
    enum traffic_shape shape;
    double latency_ratio; /* the canary's to the old keys'; 0: 1 */
    /* A bad time that all share: from, for how long; errors of everybody, latencies times. */
    uint64_t bad_from_us, bad_us;
    double bad_fails, bad_latency;
    uint64_t breaks_us; /* the canary fails at `broken_fails` from then on; 0: never */
    double broken_fails;
    bool is_retried;   /* a failed request of the canary is sent again with an old key */
    bool is_alone;     /* there are no old keys */
    double divergence; /* share of its requests that are compared and differ */
    double patience;   /* how often the planned time until it is given up; 0: twice */
};

struct traffic_end {
    enum canary_state state;
    enum evidence_cause cause;
    uint64_t requests, old_requests; /* judged */
    uint64_t after_break;            /* the canary's since breaks_us */
    uint64_t took_us;
    uint32_t step;
};

struct traffic {
    struct traffic_scene scene;
    struct canary_settings settings;
    struct canary canary;
    struct rand rand;
    uint64_t now_us, start_us;
    struct traffic_end end;
    struct evidence_tick tick;
    bool has_news;
    uint16_t latencies[3][TRAFFIC_LATENCIES]; /* buckets: the old keys', the canary's, bad times' */
    uint16_t bad_canary[TRAFFIC_LATENCIES];
};

/* The defaults of `canary:`. */
struct canary_settings traffic_defaults(void);

/* Settles what does not depend on the seed; once for many plays. */
void traffic_init(struct traffic *traffic, const struct traffic_scene *scene,
                  const struct canary_settings *settings);

/* One rotation from its seed until its end, or until patience ends (RAMPING then). */
struct traffic_end traffic_play(struct traffic *traffic, uint64_t seed);

/* The same in pieces: begins; then 100 ms a call. False once it has ended. */
void traffic_begin(struct traffic *traffic, uint64_t seed);
bool traffic_go_on(struct traffic *traffic);

#endif
