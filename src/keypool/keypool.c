#include "keypool/keypool.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "keypool/key_body.h"
#include "keypool/pool_body.h"

/* ---- life ---- */

struct keypool *keypool_new(struct span provider, uint32_t workers, struct secret_arena *secrets)
{
    struct keypool *pool = mem_zalloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    atomic_init(&pool->refs, 1);
    pool->workers = workers;
    pool->secrets = secrets;
    pool->provider = mem_strdup(provider.ptr, provider.len);
    pool->locals = mem_zalloc(workers, sizeof(*pool->locals));
    for (uint32_t i = 0; pool->locals && i < workers; i++)
        atomic_init(&pool->locals[i].seen_news, UINT64_MAX);
    pool->shared.asides = aside_new();
    map_init(&pool->by_identity, KEYPOOL_MAX_KEYS);
    map_init(&pool->account_by_name, KEYPOOL_MAX_ACCOUNTS);
    heap_init(&pool->probes, KEYPOOL_MAX_KEYS);
    bug_fatal_unless(pthread_mutex_init(&pool->lock, NULL) == 0);
    bug_fatal_unless(pthread_mutex_init(&pool->probe_lock, NULL) == 0);
    if (!pool->provider || !pool->locals || !pool->shared.asides)
        keypool_unref(&pool);
    return pool;
}

struct keypool *keypool_ref(struct keypool *pool)
{
    atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

void keypool_unref(struct keypool **place)
{
    struct keypool *pool = *place;

    *place = NULL;
    if (!pool || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (pool->accounts) {
        struct account *account = pool->accounts;

        pool->accounts = account->next;
        account_free(&account);
    }
    keypool_free_organisations(pool);
    map_fini(&pool->by_identity);
    map_fini(&pool->account_by_name);
    heap_fini(&pool->probes);
    aside_free(&pool->shared.asides);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->probe_lock);
    mem_free(pool->provider);
    mem_free(pool->locals);
    mem_free(pool);
}

void keypool_unlist(struct keypool *pool, struct key *key)
{
    pthread_mutex_lock(&pool->probe_lock);
    key->control.is_listed = false;
    heap_remove(&pool->probes, &key->control.probe);
    pthread_mutex_unlock(&pool->probe_lock);
}

void keypool_free(struct keypool **place)
{
    struct keypool *pool = *place;
    struct roster *roster;
    struct keypool_trial *trial;

    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    roster = pool->roster;
    pool->roster = NULL;
    trial = pool->trial;
    pool->trial = NULL;
    for (uint32_t i = 0; roster && i < roster->count; i++)
        keypool_unlist(pool, roster->entries[i].key);
    map_fini(&pool->by_identity);
    pthread_mutex_unlock(&pool->lock);
    roster_unref(&roster);
    trial_unref(&trial);
    keypool_unref(place);
}

struct span keypool_provider(const struct keypool *pool)
{
    return span_from_text(pool->provider);
}

struct roster *keypool_roster(struct keypool *pool)
{
    struct roster *roster;

    pthread_mutex_lock(&pool->lock);
    roster = pool->roster ? roster_ref(pool->roster) : NULL;
    pthread_mutex_unlock(&pool->lock);
    return roster;
}

/* ---- places ---- */

int keypool_claim_place(struct keypool *pool, uint32_t *ret_place)
{
    int err = ERR_FULL;

    pthread_mutex_lock(&pool->lock);
    for (; pool->places_full < KEYPOOL_MAX_KEYS / 64; pool->places_full++) {
        uint64_t *word = &pool->places_used[pool->places_full];

        if (*word == UINT64_MAX)
            continue;
        *ret_place = pool->places_full * 64 + (uint32_t)__builtin_ctzll(~*word);
        *word |= UINT64_C(1) << (*ret_place % 64);
        err = 0;
        break;
    }
    pthread_mutex_unlock(&pool->lock);
    return err;
}

void keypool_release_place(struct keypool *pool, uint32_t place)
{
    pthread_mutex_lock(&pool->lock);
    pool->places_used[place / 64] &= ~(UINT64_C(1) << (place % 64));
    if (place / 64 < pool->places_full)
        pool->places_full = place / 64;
    pthread_mutex_unlock(&pool->lock);
}

/* ---- news ---- */

uint64_t keypool_tell(struct keypool *pool, uint32_t place)
{
    uint64_t number =
        atomic_fetch_add_explicit(&pool->shared.news_count, 1, memory_order_acq_rel) + 1;

    atomic_store_explicit(&pool->shared.news[number % KEYPOOL_NEWS], number << 32 | place,
                          memory_order_release);
    return number;
}

struct key *keypool_find_key(struct keypool *pool, struct span name)
{
    struct roster *roster = keypool_roster(pool);
    struct key *found = NULL;

    for (uint32_t i = 0; roster && i < roster->count && !found; i++) {
        if (span_is_equal(key_name(roster->entries[i].key), name))
            found = key_ref(roster->entries[i].key);
    }
    roster_unref(&roster);
    return found;
}

struct keypool_effect keypool_wish(struct keypool *pool, struct key *key, enum key_wish wish,
                                   uint64_t now_us)
{
    struct roster *roster = keypool_roster(pool);

    atomic_store_explicit(&key->shared.wish, wish, memory_order_release);
    key->control.wish_us = now_us;
    key->control.wish_number = keypool_tell(pool, key->place);
    if (roster)
        keypool_plan_probe(pool, key, roster, now_us);
    roster_unref(&roster);
    return (struct keypool_effect){.wakes = UINT32_MAX, .wants_probe = true};
}

/* Every view has taken over the news of the wish, or is idle. Before what runs on the key is
 * looked at: what a view picked before it took the news over can be seen then. */
static bool is_wish_known(const struct keypool *pool, const struct key *key, uint64_t now_us)
{
    if (now_us - key->control.wish_us >= KEYPOOL_DRAIN_GRACE_US)
        return true;
    for (uint32_t i = 0; i < pool->workers; i++) {
        if (atomic_load_explicit(&pool->locals[i].seen_news, memory_order_acquire) <
            key->control.wish_number)
            return false;
    }
    return true;
}

static bool is_probing(struct keypool *pool, const struct key *key)
{
    bool is_probing;

    pthread_mutex_lock(&pool->probe_lock);
    is_probing = key->control.is_probing;
    pthread_mutex_unlock(&pool->probe_lock);
    return is_probing;
}

bool keypool_is_drained(struct keypool *pool, const struct key *key, uint64_t now_us)
{
    return key_wish(key) != KEY_ENABLED && is_wish_known(pool, key, now_us) &&
           key_in_flight(key) == 0 && !is_probing(pool, key);
}

struct keypool_effect keypool_rest(struct keypool *pool, struct key *key, uint64_t until_us)
{
    atomic_store_explicit(&key->shared.rest_until_us, until_us, memory_order_release);
    keypool_tell(pool, key->place);
    return (struct keypool_effect){.wakes = UINT32_MAX};
}

uint64_t keypool_spent(const struct keypool *pool, const struct key *key)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < pool->workers; i++)
        sum += atomic_load_explicit(&key->locals[i].spent_nanousd, memory_order_relaxed);
    return sum;
}

struct keypool_effect keypool_weigh(struct keypool *pool, struct key *key, uint32_t weight_milli)
{
    atomic_store_explicit(&key->shared.weight_milli, weight_milli, memory_order_release);
    keypool_tell(pool, key->place);
    return (struct keypool_effect){.wakes = UINT32_MAX};
}
