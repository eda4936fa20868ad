/*
 * What is known of one region: how long its answers take, by real traffic and by probes, what went
 * wrong there of late, and whether it is in use. Workers count into tallies of their own, which the
 * control thread gathers; of a region that does well no word is written by two. Owned by the
 * endpoint whose region it is, so that it outlives configurations. Pure: times are arguments.
 */
#ifndef REGIONS_REGION_H
#define REGIONS_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "regions/meter.h"

/* One worker's counts: written by that worker alone, read by the control thread. They only grow,
 * and may come round. */
struct region_tally {
    struct region_tally *next;
    _Atomic uint32_t counts[METER_BUCKETS];
    _Atomic uint64_t sum_us;
    _Atomic uint32_t good, bad;
};

enum region_state {
    REGION_STANDBY,   /* measured, with a small share */
    REGION_SERVING,   /* the one that has the traffic */
    REGION_RETURNING, /* was ejected; may have more of it by and by */
    REGION_EJECTED,   /* gets none before its time, but where no other can */
};

/* Why it was ejected last. */
enum region_cause {
    REGION_NO_CAUSE,
    REGION_FAILURES, /* in a row */
    REGION_PROBES,   /* that failed, in a row */
    REGION_ERRORS,   /* more of its answers than of the others' */
    REGION_SLOW,     /* far slower than the others */
};

struct region {
    struct {
        _Atomic(struct region_tally *) tallies; /* linked once, never taken off */
        /* Written by whoever meets a failure, and by the first that does not after one: relaxed, a
         * lost one is met again. */
        _Atomic uint32_t failures;
        /* Written by the control thread, read by workers: relaxed, any mixture of old and new ones
         * leads somewhere. */
        _Atomic uint32_t share_ppm;
        _Atomic uint32_t rank; /* in which order the others are asked where that one cannot */
    } shared;
    /* The control thread's own from here on. */
    struct meter traffic, probes;
    struct region_seen {
        uint32_t counts[METER_BUCKETS];
        uint64_t sum_us;
        uint32_t good, bad;
    } seen;                  /* of the tallies, so far */
    uint64_t good, bad;      /* of late, in METER_UNIT */
    uint64_t faded_us;       /* until when those have faded */
    uint64_t requests;       /* ever */
    uint32_t probe_failures; /* in a row */
    uint64_t probed_us,
        answer_us; /* the last probe's end; how long its answer took, 0: none came */
    enum region_state state;
    enum region_cause cause;
    uint64_t until_us;           /* REGION_EJECTED: its time */
    uint64_t since_us;           /* REGION_RETURNING: it began then */
    uint64_t calm_us;            /* since when it has not been ejected, or the last one forgiven */
    uint64_t better_us, slow_us; /* since when it is so; 0: it is not */
    uint32_t ejections;          /* not forgiven: the next is as many times as long */
    uint64_t ejected_total;      /* ever */
    bool is_home;                /* the traffic is its, but for what others need to be measured */
    bool is_news;                /* it was ejected, or let back in, and nobody has been told */
};

void region_init(struct region *region);

/* Links a worker's tally, zeroed, which must live as long as the region. Any thread. */
void region_join(struct region *region, struct region_tally *tally);

/* An answer began well after so long, from the moment that its attempt was begun. The worker's. */
void region_note_good(struct region *region, struct region_tally *tally, uint64_t latency_us);

/* An attempt failed, and the region may be to blame. The worker's. */
void region_note_bad(struct region *region, struct region_tally *tally);

/* A probe ended: its answer took so long; 0: it failed. The control thread's, as all below. */
void region_note_probe(struct region *region, uint64_t latency_us, uint64_t now_us);

/* Takes over what the workers have counted. */
void region_gather(struct region *region, uint64_t probe_tau_us, uint64_t now_us);

/* What is known of it is of before: forgets how long its answers took, and its failures. */
void region_begin_anew(struct region *region);

const char *region_state_text(enum region_state state);
const char *region_cause_text(enum region_cause cause); /* NULL: none */

#endif
