/*
 * A server of so many places, which serves first who came first (or anyone), and clients who ask it
 * through a limit of how many may be under way: one that is found (limits/gradient), or a fixed
 * one. On virtual time, from a seed. Used by the tests and by bench/gradient.
 */
#ifndef TESTS_LIMITS_GRADIENT_PLAY_H
#define TESTS_LIMITS_GRADIENT_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"
#include "limits/gradient.h"

enum {
    GRADIENT_PLAY_QUEUE = 4096, /* who finds so many waiting at the server is refused */
    GRADIENT_PLAY_PLACES = 256,
    GRADIENT_PLAY_WAITING = 65536, /* at the gateway */
    GRADIENT_PLAY_BUCKETS = 400,   /* of latencies, each a thirtieth more than the one before */
};

struct gradient_server {
    uint32_t capacity;   /* at most GRADIENT_PLAY_PLACES */
    uint32_t queue;      /* that it lets wait; 0: GRADIENT_PLAY_QUEUE */
    uint64_t service_us; /* on average */
    double spread;       /* sigma of a log-normal; 0: exponential */
    double first_part;   /* of a service, until its first byte; 1: all of it */
    bool is_unfair;      /* serves anyone next of those who wait */
    uint32_t first_model;
    uint32_t models; /* of which the second takes three times the first, and so on; 0: one */
};

struct gradient_request {
    uint64_t came_us, sent_us, first_us, end_us;
    uint32_t model;
    bool has_begun; /* its first byte is there */
};

struct gradient_play_stats {
    uint64_t answered, in_time, refused, gave_up;
    double service_us; /* of those answered, without their waits */
    double latency_us; /* from sent to the end, all together */
    double limit_us;   /* the limit, for each microsecond */
    uint32_t least, most;
    uint64_t latencies[GRADIENT_PLAY_BUCKETS]; /* from come to answered, of those in time or not */
};

struct gradient_play {
    struct gradient_server server;
    struct gradient gradient; /* off: `fixed` holds */
    uint32_t fixed;
    double per_second;    /* who come; 0: there is always one more */
    uint64_t patience_us; /* of a client, from its coming to its answer; 0: for ever */
    uint64_t wait_us;     /* at the gateway; 0: for ever */
    uint64_t now_us;
    struct rand rand;
    struct gradient_play_stats stats; /* to be zeroed by whoever wants to count anew */

    uint64_t next_us; /* when the next comes */
    uint32_t in_flight;
    struct gradient_request places[GRADIENT_PLAY_PLACES];
    uint32_t busy;
    struct gradient_request queue[GRADIENT_PLAY_QUEUE];
    uint64_t queue_first, queue_end;
    uint64_t waiting[GRADIENT_PLAY_WAITING]; /* when they came */
    uint64_t waiting_first, waiting_end;
};

/* By the found limit, or (settings NULL) by a fixed one, 0 being none. The rest of the play is its
 * caller's to set. NULL without memory; free() it. */
struct gradient_play *gradient_play_new(const struct gradient_server *server,
                                        const struct gradient_settings *settings, uint32_t fixed,
                                        uint64_t seed);

/* For so long. */
void gradient_play_run(struct gradient_play *play, uint64_t for_us);

/* The latency below which so many of a thousand were answered. */
double gradient_play_quantile_us(const struct gradient_play_stats *stats, uint32_t milli);

#endif
