/*
 * Hashes that come out the same on every machine, in every process and after every restart: for
 * what is made of them to be found again. Anybody can make two texts that collide, so nothing may
 * depend on that they do not; map_hash is for what callers choose. Pure; any thread.
 */
#ifndef BASE_FNV_H
#define BASE_FNV_H

#include <stdint.h>

#include "base/span.h"

/* FNV-1a, 64 bits: begin with FNV_START, and go on with each further piece. */
#define FNV_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t fnv_byte(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static inline uint64_t fnv_span(uint64_t hash, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = fnv_byte(hash, (unsigned char)text.ptr[i]);
    return hash;
}

/* Every bit of the result depends on every bit given (the end of splitmix64). */
static inline uint64_t hash_mix(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

#endif
