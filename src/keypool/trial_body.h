/*
 * The inside of a trial: for the files of keypool/ alone. Made by the control thread, counted; each
 * worker's view holds a reference while it counts.
 */
#ifndef KEYPOOL_TRIAL_BODY_H
#define KEYPOOL_TRIAL_BODY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "canary/turns.h"
#include "keypool/trial.h"

enum { TRIAL_LINE_BYTES = 64 };

enum trial_arm { TRIAL_CANARY, TRIAL_CONTROL, TRIAL_ARMS };

/* What one worker has counted of one arm since the trial began. Each request is in one of these
 * words and is counted by a single store, so that whoever reads them meanwhile sees it wholly or
 * not at all. They wrap: the reader takes differences. */
struct trial_counts {
    _Atomic uint32_t untimed; /* good, and its latency is unknown */
    _Atomic uint32_t failed;
    _Atomic uint32_t refused;
    _Atomic uint32_t good[LATENCY_BUCKETS];
};

/* One writer, one reader, on cache lines of its own. */
struct trial_local {
    _Alignas(TRIAL_LINE_BYTES) struct trial_counts arms[TRIAL_ARMS];
};

/* The same as the control thread has seen it. */
struct trial_seen {
    struct {
        uint32_t untimed, failed, refused;
        uint32_t good[LATENCY_BUCKETS];
    } arms[TRIAL_ARMS];
};

struct keypool_trial {
    _Atomic uint32_t refs;
    _Atomic uint32_t share_ppm;
    uint32_t number; /* of the pool's trials; never 0 */
    uint32_t workers;
    struct key *key; /* holds a reference */
    void *locals_block;
    struct trial_local *locals; /* one a worker */
    struct trial_seen *seen;    /* one a worker; control thread */
};

struct keypool_trial *trial_ref(struct keypool_trial *trial);
void trial_unref(struct keypool_trial **place);

#endif
