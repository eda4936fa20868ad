#include "base/alloc.h"
#include "base/err.h"
#include "keypool/key_body.h"
#include "keypool/pool_body.h"
#include "keypool/trial_body.h"

/* ---- life ---- */

struct keypool_trial *trial_ref(struct keypool_trial *trial)
{
    atomic_fetch_add_explicit(&trial->refs, 1, memory_order_relaxed);
    return trial;
}

void trial_unref(struct keypool_trial **place)
{
    struct keypool_trial *trial = *place;

    *place = NULL;
    if (!trial || atomic_fetch_sub_explicit(&trial->refs, 1, memory_order_acq_rel) != 1)
        return;
    key_unref(&trial->key);
    mem_free(trial->locals_block);
    mem_free(trial->seen);
    mem_free(trial);
}

static struct keypool_trial *trial_new(struct key *key, uint32_t workers)
{
    struct keypool_trial *trial = mem_zalloc(1, sizeof(*trial));
    uintptr_t block;

    if (!trial)
        return NULL;
    atomic_init(&trial->refs, 1);
    trial->workers = workers;
    trial->key = key_ref(key);
    trial->seen = mem_zalloc(workers, sizeof(*trial->seen));
    /* One more than there are, as the first must begin a cache line. */
    trial->locals_block = mem_zalloc((size_t)workers + 1, sizeof(*trial->locals));
    if (!trial->seen || !trial->locals_block)
        trial_unref(&trial);
    else {
        block = (uintptr_t)trial->locals_block;
        trial->locals =
            (void *)((block + TRIAL_LINE_BYTES - 1) & ~(uintptr_t)(TRIAL_LINE_BYTES - 1));
    }
    return trial;
}

/* ---- begin and end ---- */

/* Under the pool's lock: what the views take over with the next news. */
static int install(struct keypool *pool, struct keypool_trial *trial)
{
    uint32_t number = atomic_load_explicit(&pool->shared.trial_number, memory_order_relaxed) + 1;

    if (pool->trial)
        return ERR_EXISTS;
    if (map_find(&pool->by_identity, key_identity(trial->key)) != trial->key)
        return ERR_NOTFOUND;
    trial->number = number ? number : 1;
    pool->trial = trial_ref(trial);
    atomic_store_explicit(&pool->shared.trial_number, trial->number, memory_order_release);
    return 0;
}

int keypool_trial_begin(struct keypool *pool, struct key *key, uint32_t share_ppm,
                        struct keypool_trial **ret_trial)
{
    struct keypool_trial *trial = trial_new(key, pool->workers);
    int err;

    if (!trial)
        return ERR_NOMEM;
    keypool_trial_set_share(trial, share_ppm);
    pthread_mutex_lock(&pool->lock);
    err = install(pool, trial);
    pthread_mutex_unlock(&pool->lock);
    if (err) {
        trial_unref(&trial);
        return err;
    }
    keypool_tell(pool, key->place);
    *ret_trial = trial;
    return 0;
}

void keypool_trial_end(struct keypool_trial **place, struct evidence_tick *ret_tick)
{
    struct keypool_trial *trial = *place;
    struct keypool *pool;

    if (!trial)
        return;
    pool = trial->key->pool;
    pthread_mutex_lock(&pool->lock);
    trial_unref(&pool->trial);
    /* The number of no trial, and another one than before: the views see that there is news. */
    atomic_fetch_add_explicit(&pool->shared.trial_number, 1, memory_order_release);
    pthread_mutex_unlock(&pool->lock);
    keypool_tell(pool, trial->key->place);
    if (ret_tick)
        keypool_trial_take(trial, ret_tick);
    trial_unref(place);
}

void keypool_trial_set_share(struct keypool_trial *trial, uint32_t share_ppm)
{
    atomic_store_explicit(&trial->share_ppm,
                          share_ppm < KEYPOOL_TRIAL_WHOLE ? share_ppm : KEYPOOL_TRIAL_WHOLE,
                          memory_order_relaxed);
}

struct key *keypool_trial_key(const struct keypool_trial *trial)
{
    return trial->key;
}

/* ---- reading ---- */

static uint32_t take_word(const _Atomic uint32_t *word, uint32_t *seen)
{
    uint32_t now = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t more = now - *seen;

    *seen = now;
    return more;
}

static void take_arm(struct keypool_trial *trial, uint32_t worker, enum trial_arm arm,
                     struct evidence_arm *sum)
{
    const struct trial_counts *counts = &trial->locals[worker].arms[arm];
    uint32_t refused = take_word(&counts->refused, &trial->seen[worker].arms[arm].refused);
    uint32_t failed = take_word(&counts->failed, &trial->seen[worker].arms[arm].failed) + refused;
    uint32_t good = take_word(&counts->untimed, &trial->seen[worker].arms[arm].untimed);

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint32_t timed = take_word(&counts->good[i], &trial->seen[worker].arms[arm].good[i]);

        sum->latencies[i] += timed;
        good += timed;
    }
    sum->requests += good + failed;
    sum->failures += failed;
    sum->refused += refused;
}

void keypool_trial_take(struct keypool_trial *trial, struct evidence_tick *ret_tick)
{
    *ret_tick = (struct evidence_tick){.compared = 0};
    for (uint32_t i = 0; i < trial->workers; i++) {
        take_arm(trial, i, TRIAL_CANARY, &ret_tick->canary);
        take_arm(trial, i, TRIAL_CONTROL, &ret_tick->control);
    }
}
