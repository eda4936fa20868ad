/*
 * The inside of a trial: for the files of keypool/ alone. Made by the control thread, counted; each
 * worker's view holds a reference while it counts.
 */
#ifndef KEYPOOL_TRIAL_BODY_H
#define KEYPOOL_TRIAL_BODY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"
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

/* A worker's way of sharing out picks. */
struct trial_turns {
    struct rand rand;
    int32_t passed; /* of this whole, in millionths; below 0: a turn was taken early */
    int32_t mark;   /* where its turn comes: 1 to the whole */
    bool is_due;    /* it has come, and is not taken yet: no second one adds up behind it */
};

struct keypool_trial *trial_ref(struct keypool_trial *trial);
void trial_unref(struct keypool_trial **place);

/* The first whole begins. */
void trial_turns_init(struct trial_turns *turns, uint64_t seed);

/* One more pick: is it the canary's turn? It stays so until the turn is taken. */
bool trial_turns_step(struct trial_turns *turns, uint32_t share_ppm);

/* The canary was picked, in its turn or not: one fewer to come. */
void trial_turns_take(struct trial_turns *turns);

/* It was not, after all. */
void trial_turns_give_back(struct trial_turns *turns);

#endif
