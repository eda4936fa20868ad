#include "limits/estimates.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/map.h"

enum { PLACES = 2 * ESTIMATES_MAX, PROBES = 16, CACHE_LINE = 64 };

struct name {
    char text[ESTIMATES_NAME_BYTES];
    size_t len;
};

/* Made and written by the control thread. */
struct entry {
    uint64_t hash;
    struct name provider, model;
    struct estimate estimate;
    struct {
        /* Copies for those who guess, each read alone: a guess made of weights from before and
         * after a step lies between both. */
        _Atomic float parts[ESTIMATE_PART_COUNT];
        _Atomic float answer;
    } shared;
};

/* One exchange. */
struct sample {
    uint64_t hash;
    struct json_kinds kinds;
    uint64_t numbers, tool_bytes, media;
    uint64_t prompt, answer;
    bool has_names;              /* the model was not known */
    struct name provider, model; /* with has_names */
};

/* From one worker to the control thread: each end is written by one of them alone, and lies a
 * cache line off the other. */
struct ring {
    struct {
        _Atomic uint32_t written;
        char apart[CACHE_LINE];
    } worker;
    struct {
        _Atomic uint32_t read;
        char apart[CACHE_LINE];
    } control;
    struct sample samples[ESTIMATES_RING];
};

struct estimates {
    uint32_t workers, count;
    struct ring *rings;
    struct {
        /* Each set once, from NULL, by the control thread. */
        _Atomic(struct entry *) places[PLACES];
    } shared;
};

struct estimates *estimates_new(uint32_t workers)
{
    struct estimates *estimates = mem_zalloc(1, sizeof(*estimates));

    if (!estimates)
        return NULL;
    estimates->workers = workers;
    estimates->rings = mem_zalloc(workers, sizeof(*estimates->rings));
    if (!estimates->rings)
        estimates_free(&estimates);
    return estimates;
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
    mem_free((*place)->rings);
    MEM_CLEAR(*place);
}

uint64_t estimates_hash(struct span provider, uint64_t model_hash)
{
    return map_hash(provider) * UINT64_C(0x9E3779B97F4A7C15) ^ model_hash;
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

static void publish(struct entry *entry)
{
    struct estimate_weights weights = estimate_weights(&entry->estimate);

    for (int i = 0; i < ESTIMATE_PART_COUNT; i++)
        atomic_store_explicit(&entry->shared.parts[i], weights.parts[i], memory_order_relaxed);
    atomic_store_explicit(&entry->shared.answer, weights.answer, memory_order_relaxed);
}

static struct entry *make(const struct sample *sample)
{
    struct entry *entry = mem_zalloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->hash = sample->hash;
    entry->provider = sample->provider;
    entry->model = sample->model;
    estimate_init(&entry->estimate);
    publish(entry);
    return entry;
}

/* The sample's model, made where there is none so far; NULL where there is no room. */
static struct entry *claim(struct estimates *estimates, const struct sample *sample)
{
    struct entry *entry = find(estimates, sample->hash);

    if (entry || !sample->has_names || estimates->count >= ESTIMATES_MAX)
        return entry;
    for (unsigned i = 0; i < PROBES; i++) {
        _Atomic(struct entry *) *place = &estimates->shared.places[place_of(sample->hash, i)];

        if (atomic_load_explicit(place, memory_order_relaxed))
            continue;
        entry = make(sample);
        estimates->count += entry != NULL;
        atomic_store_explicit(place, entry, memory_order_release);
        return entry;
    }
    return NULL;
}

struct estimates_guess estimates_guess(const struct estimates *estimates,
                                       const struct estimates_key *key,
                                       const struct estimate_text *text)
{
    const struct entry *entry = find(estimates, key->hash);
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

static struct sample sample_of(const struct estimate_text *text, uint64_t hash, uint64_t prompt,
                               uint64_t answer)
{
    return (struct sample){.hash = hash,
                           .kinds = *text->kinds,
                           .numbers = text->numbers,
                           .tool_bytes = text->tool_bytes,
                           .media = text->media,
                           .prompt = prompt,
                           .answer = answer};
}

bool estimates_has_room(const struct estimates *estimates, uint32_t worker)
{
    const struct ring *ring = &estimates->rings[worker];

    bug_fatal_unless(worker < estimates->workers);
    return atomic_load_explicit(&ring->worker.written, memory_order_relaxed) -
               atomic_load_explicit(&ring->control.read, memory_order_acquire) <
           ESTIMATES_RING;
}

void estimates_tell(struct estimates *estimates, uint32_t worker, const struct estimates_key *key,
                    const struct estimate_text *text, uint64_t prompt, uint64_t answer)
{
    struct ring *ring = &estimates->rings[worker];
    uint32_t at = atomic_load_explicit(&ring->worker.written, memory_order_relaxed);
    struct sample *sample = &ring->samples[at % ESTIMATES_RING];

    if ((!prompt && !answer) || !estimates_has_room(estimates, worker))
        return;
    *sample = sample_of(text, key->hash, prompt, answer);
    sample->has_names = !find(estimates, key->hash);
    if (sample->has_names) {
        sample->provider = name_of(key->provider);
        sample->model = name_of(key->model);
    }
    atomic_store_explicit(&ring->worker.written, at + 1, memory_order_release);
}

static void learn(struct estimates *estimates, const struct sample *sample)
{
    const struct estimate_text text = {.kinds = &sample->kinds,
                                       .numbers = sample->numbers,
                                       .tool_bytes = sample->tool_bytes,
                                       .media = sample->media};
    struct entry *entry = claim(estimates, sample);

    if (!entry)
        return;
    estimate_learn(&entry->estimate, &text, sample->prompt);
    estimate_learn_answer(&entry->estimate, sample->answer);
    publish(entry);
}

void estimates_learn(struct estimates *estimates)
{
    for (uint32_t i = 0; i < estimates->workers; i++) {
        struct ring *ring = &estimates->rings[i];
        uint32_t upto = atomic_load_explicit(&ring->worker.written, memory_order_acquire);
        uint32_t at = atomic_load_explicit(&ring->control.read, memory_order_relaxed);

        for (; at != upto; at++)
            learn(estimates, &ring->samples[at % ESTIMATES_RING]);
        atomic_store_explicit(&ring->control.read, at, memory_order_release);
    }
}

bool estimates_next(struct estimates *estimates, size_t *at, struct estimates_row *ret_row)
{
    while (*at < PLACES) {
        const struct entry *entry =
            atomic_load_explicit(&estimates->shared.places[(*at)++], memory_order_relaxed);

        if (!entry)
            continue;
        *ret_row = (struct estimates_row){
            .provider = span_of(entry->provider.text, entry->provider.len),
            .model = span_of(entry->model.text, entry->model.len),
            .error = entry->estimate.error,
            .learned = entry->estimate.learned,
        };
        return true;
    }
    return false;
}
