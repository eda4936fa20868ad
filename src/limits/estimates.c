#include "limits/estimates.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/latch.h"
#include "base/map.h"

enum { PLACES = 2 * ESTIMATES_MAX, PROBES = 16 };

struct name {
    char text[ESTIMATES_NAME_BYTES];
    size_t len;
};

struct entry {
    uint64_t hash;
    struct name provider, model;
    struct {
        struct latch latch; /* who writes what follows */
        struct estimate estimate;
        /* Copies for those who guess, each read alone: a guess made of weights from before and
         * after a step lies between both. */
        _Atomic float parts[ESTIMATE_PART_COUNT];
        _Atomic float answer;
        _Atomic float error;
        _Atomic uint64_t learned;
    } shared;
};

struct estimates {
    struct {
        /* Each set once, from NULL, by whoever learns of a model first. */
        _Atomic(struct entry *) places[PLACES];
        _Atomic uint32_t count;
    } shared;
};

struct estimates *estimates_new(void)
{
    return mem_zalloc(1, sizeof(struct estimates));
}

void estimates_free(struct estimates **place)
{
    if (!*place)
        return;
    for (size_t i = 0; i < PLACES; i++) {
        struct entry *entry =
            atomic_load_explicit(&(*place)->shared.places[i], memory_order_relaxed);

        mem_free(entry);
    }
    MEM_CLEAR(*place);
}

static uint64_t hash_of(const struct estimates_key *key)
{
    return map_hash(key->provider) * UINT64_C(0x9E3779B97F4A7C15) ^ key->model_hash;
}

static size_t place_of(uint64_t hash, unsigned probe)
{
    return ((size_t)(hash ^ hash >> 32) + probe) & (PLACES - 1);
}

static struct entry *find(const struct estimates *estimates, uint64_t hash)
{
    for (unsigned i = 0; i < PROBES; i++) {
        struct entry *entry = atomic_load_explicit(&estimates->shared.places[place_of(hash, i)],
                                                   memory_order_acquire);

        if (!entry || entry->hash == hash)
            return entry;
    }
    return NULL;
}

static struct name name_of(struct span text)
{
    struct name name = {.len = text.len < ESTIMATES_NAME_BYTES ? text.len : ESTIMATES_NAME_BYTES};

    if (name.len)
        memcpy(name.text, text.ptr, name.len);
    return name;
}

/* Under its latch, or before anybody sees it. */
static void publish(struct entry *entry)
{
    struct estimate_weights weights = estimate_weights(&entry->shared.estimate);

    for (int i = 0; i < ESTIMATE_PART_COUNT; i++)
        atomic_store_explicit(&entry->shared.parts[i], weights.parts[i], memory_order_relaxed);
    atomic_store_explicit(&entry->shared.answer, weights.answer, memory_order_relaxed);
    atomic_store_explicit(&entry->shared.error, (float)entry->shared.estimate.error,
                          memory_order_relaxed);
    atomic_store_explicit(&entry->shared.learned, entry->shared.estimate.learned,
                          memory_order_relaxed);
}

static struct entry *make(const struct estimates_key *key, uint64_t hash)
{
    struct entry *entry = mem_zalloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->hash = hash;
    entry->provider = name_of(key->provider);
    entry->model = name_of(key->model);
    latch_init(&entry->shared.latch);
    estimate_init(&entry->shared.estimate);
    publish(entry);
    return entry;
}

/* Puts it into the first free place; the one that is there, where another thread was quicker; NULL
 * where there is no room. */
static struct entry *place(struct estimates *estimates, struct entry *fresh)
{
    for (unsigned i = 0; i < PROBES; i++) {
        struct entry *found = NULL;

        if (atomic_compare_exchange_strong_explicit(
                &estimates->shared.places[place_of(fresh->hash, i)], &found, fresh,
                memory_order_acq_rel, memory_order_acquire))
            return fresh;
        if (found->hash == fresh->hash)
            return found;
    }
    return NULL;
}

static struct entry *claim(struct estimates *estimates, const struct estimates_key *key)
{
    uint64_t hash = hash_of(key);
    struct entry *found = find(estimates, hash), *fresh;

    if (found ||
        atomic_load_explicit(&estimates->shared.count, memory_order_relaxed) >= ESTIMATES_MAX)
        return found;
    fresh = make(key, hash);
    if (!fresh)
        return NULL;
    found = place(estimates, fresh);
    if (found == fresh)
        atomic_fetch_add_explicit(&estimates->shared.count, 1, memory_order_relaxed);
    else
        mem_free(fresh);
    return found;
}

struct estimates_guess estimates_guess(const struct estimates *estimates,
                                       const struct estimates_key *key,
                                       const struct estimate_text *text)
{
    const struct entry *entry = find(estimates, hash_of(key));
    struct estimate_weights weights;

    if (!entry) {
        weights = estimate_prior();
        return (struct estimates_guess){.prompt = estimate_prompt(&weights, text)};
    }
    for (int i = 0; i < ESTIMATE_PART_COUNT; i++)
        weights.parts[i] = atomic_load_explicit(&entry->shared.parts[i], memory_order_relaxed);
    weights.answer = atomic_load_explicit(&entry->shared.answer, memory_order_relaxed);
    return (struct estimates_guess){.prompt = estimate_prompt(&weights, text),
                                    .answer = (uint64_t)weights.answer};
}

void estimates_learn(struct estimates *estimates, const struct estimates_key *key,
                     const struct estimate_text *text, uint64_t prompt, uint64_t answer,
                     uint64_t *shared_writes)
{
    struct entry *entry;

    if (!prompt && !answer)
        return;
    entry = claim(estimates, key);
    if (!entry)
        return;
    ++*shared_writes;
    if (!latch_try(&entry->shared.latch))
        return;
    estimate_learn(&entry->shared.estimate, text, prompt);
    estimate_learn_answer(&entry->shared.estimate, answer);
    publish(entry);
    latch_give(&entry->shared.latch);
}

bool estimates_next(struct estimates *estimates, size_t *at, struct estimates_row *ret_row)
{
    while (*at < PLACES) {
        struct entry *entry =
            atomic_load_explicit(&estimates->shared.places[(*at)++], memory_order_acquire);

        if (!entry)
            continue;
        *ret_row = (struct estimates_row){
            .provider = span_of(entry->provider.text, entry->provider.len),
            .model = span_of(entry->model.text, entry->model.len),
            .error = atomic_load_explicit(&entry->shared.error, memory_order_relaxed),
            .learned = atomic_load_explicit(&entry->shared.learned, memory_order_relaxed),
        };
        return true;
    }
    return false;
}
