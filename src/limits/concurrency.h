/*
 * How many may be under way at once. Embedded in whoever is limited, which keeps those apart who
 * enter and leave (a latch); any thread may read.
 */
#ifndef LIMITS_CONCURRENCY_H
#define LIMITS_CONCURRENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct concurrency {
    _Atomic uint32_t used;
};

void concurrency_init(struct concurrency *concurrency);

/* True where one more is within max; it then stands until concurrency_leave. */
bool concurrency_enter(struct concurrency *concurrency, uint32_t max);

/* True where this made the first room under max: somebody may be waiting for it. */
bool concurrency_leave(struct concurrency *concurrency, uint32_t max);

uint32_t concurrency_used(const struct concurrency *concurrency);

#endif
