/*
 * For which models a provider has had no key free, as operators were told it: once when it begins,
 * once when a key has been found again and nobody was refused for a while. A key that comes and
 * goes by the second is one shortage, not hundreds. A few models are remembered at a time, the ones
 * not asked for any more make room for others. Embedded in the provider; any thread.
 */
#ifndef KEYPOOL_SHORTAGE_H
#define KEYPOOL_SHORTAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHORTAGE_MODELS = 8 };

/* Since the last refusal: then a key that is found ends the shortage; and so long a shortage of
 * which nothing is heard keeps its place from other models. */
#define SHORTAGE_CALM_US   UINT64_C(10000000)
#define SHORTAGE_FORGET_US UINT64_C(60000000)

/* Relaxed all of it, for it guards nothing; two threads that meet may tell a thing twice. */
struct shortage {
    atomic_uint count; /* places taken */
    struct {
        _Atomic uint64_t model; /* map_hash of its name; 0: free */
        _Atomic uint64_t refused_us;
    } places[SHORTAGE_MODELS];
};

/* A request for the model was refused for want of a key. True where that is to be told. */
bool shortage_note_refused(struct shortage *shortage, uint64_t model_hash, uint64_t now_us);

/* A key was found for the model. True where the end of its shortage is to be told. */
bool shortage_note_found(struct shortage *shortage, uint64_t model_hash, uint64_t now_us);

/* True where there is any: else shortage_note_found need not be called. */
static inline bool shortage_is_there(const struct shortage *shortage)
{
    return atomic_load_explicit(&shortage->count, memory_order_relaxed) != 0;
}

#endif
