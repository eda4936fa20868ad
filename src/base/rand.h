/*
 * Seeded randomness for decisions (jitter, weights, the simulator's faults): fast, repeatable, not
 * for secrets. A struct rand belongs to one thread and is passed to whoever decides.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

struct rand {
    uint64_t state[4];
};

/* The same seed gives the same sequence for ever. */
void rand_init(struct rand *rand, uint64_t seed);

/* Seeded by the system. */
void rand_init_from_system(struct rand *rand);

uint64_t rand_u64(struct rand *rand);

/* Uniform in [0, below); below is at least 1. */
uint64_t rand_below(struct rand *rand, uint64_t below);

/* Uniform in [0, 1). */
double rand_unit(struct rand *rand);

/* Unpredictable bytes from the system, for identifiers and keys. */
void rand_fill_secure(void *bytes, size_t len);

#endif
