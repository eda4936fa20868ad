/*
 * The inside of a keypool: for the files of keypool/ alone.
 *
 * Locks, in the order of taking: `lock` (roster, trial, names, places), then `probe_lock` (the
 * schedule of probes). Both are held for a few instructions by workers, and by the control thread
 * for no longer than it takes to swap what it has prepared.
 */
#ifndef KEYPOOL_POOL_BODY_H
#define KEYPOOL_POOL_BODY_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/heap.h"
#include "base/map.h"
#include "keypool/aside.h"
#include "keypool/health.h"
#include "keypool/keypool.h"
#include "keypool/roster.h"
#include "keypool/trial_body.h"

enum { KEYPOOL_NEWS = 256, KEYPOOL_MAX_ACCOUNTS = 16384 };

/* What one worker tells of its view: one writer, any reader, on a cache line of its own. */
struct pool_local {
    _Atomic uint64_t shared_writes; /* how often it has written words that workers share */
    _Atomic uint64_t seen_news;     /* what its view has taken over; UINT64_MAX: it has none */
    char apart[48];
};

struct keypool {
    _Atomic uint32_t refs;
    uint32_t workers;
    struct pool_local *locals; /* one a worker */
    struct secret_arena *secrets;
    char *provider;

    /* What every view looks at before it picks. */
    struct {
        _Atomic uint64_t generation; /* of the roster */
        _Atomic uint64_t news_count;
        /* Keys that may be picked sooner than a view believes: number of the news (32 bits), place.
         * A view that is more than KEYPOOL_NEWS behind looks at all its keys. */
        _Atomic uint64_t news[KEYPOOL_NEWS];
        _Atomic uint32_t trial_number; /* another one with each begin and end of a trial */
        atomic_bool has_heard;         /* the provider tells of limits */
        /* Models with declared limits of their own: a bit for each 64th part of all hashes. */
        _Atomic uint64_t limited_models;
        atomic_bool has_tpm;        /* a key has had tokens a minute declared, once */
        struct aside_table *asides; /* models that the provider has no capacity for */
        struct health_moves moves;
    } shared;

    pthread_mutex_t lock;
    struct roster *roster;
    struct keypool_trial *trial; /* NULL: none. A reference, beside its owner's */
    struct map by_identity;      /* listed keys */
    struct account *accounts;
    struct organisation *organisations;
    uint32_t organisation_count;
    struct map account_by_name;
    uint64_t places_used[KEYPOOL_MAX_KEYS / 64]; /* bits */
    uint32_t places_full;                        /* words of places_used below this one are full */

    pthread_mutex_t probe_lock;
    struct heap probes; /* keys by the time of their next probe */
};

struct keypool *keypool_ref(struct keypool *pool);
void keypool_unref(struct keypool **place);

/* A place that no living key has: 0 or ERR_FULL. */
int keypool_claim_place(struct keypool *pool, uint32_t *ret_place);
void keypool_release_place(struct keypool *pool, uint32_t place);

/* The key is no longer of the pool: it is not probed. Under `lock`. */
void keypool_unlist(struct keypool *pool, struct key *key);

/* Gives back what organisations there are. */
void keypool_free_organisations(struct keypool *pool);

/* Limits are declared for that model alone: a request for it may find other keys ready than one for
 * another. Forgotten with the pool only. */
static inline void keypool_note_limited(struct keypool *pool, uint64_t model_hash)
{
    atomic_fetch_or_explicit(&pool->shared.limited_models, UINT64_C(1) << model_hash % 64,
                             memory_order_relaxed);
}

/* False: none are. True: they are, or were, or are for one whose hash falls together. */
static inline bool keypool_may_be_limited(const struct keypool *pool, uint64_t model_hash)
{
    return atomic_load_explicit(&pool->shared.limited_models, memory_order_relaxed) >>
               model_hash % 64 &
           1;
}

/* A reference to the roster in force. */
struct roster *keypool_roster(struct keypool *pool);

/* Tells the views that a key may be picked sooner than they believe, or that there is something
 * else new about it. Returns the number of this news. */
uint64_t keypool_tell(struct keypool *pool, uint32_t place);

/* Plans the key's next probe anew, after something about it changed. */
void keypool_plan_probe(struct keypool *pool, struct key *key, const struct roster *roster,
                        uint64_t now_us);

#endif
