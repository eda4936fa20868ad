/*
 * How long to wait before trying again: exponential with full jitter, so that those who failed
 * together do not come back together. Pure; any thread.
 */
#ifndef LIMITS_BACKOFF_H
#define LIMITS_BACKOFF_H

#include <stdint.h>

#include "base/rand.h"

/* Uniform between 0 and the smaller of max_us and base_us doubled `tries` times; tries counts from
 * 0 for the first wait. */
uint64_t backoff_delay_us(uint64_t base_us, uint64_t max_us, uint32_t tries, struct rand *rand);

#endif
