/*
 * Time, asked of the system here alone. Everything else is told: `now_us` is monotonic
 * microseconds, `wall_us` microseconds since the Unix epoch. Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define US_PER_MS  1000ull
#define US_PER_SEC 1000000ull

/* Monotonic; starts anywhere, never goes back. */
uint64_t clock_now_us(void);

/* The same in nanoseconds, for the stamps that measure our own overhead. */
uint64_t clock_now_ns(void);

/* May jump in both directions. */
uint64_t clock_wall_us(void);

#endif
