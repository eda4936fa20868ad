/*
 * Lengths of time as providers spell them: Go's time.Duration and English prose. (The configuration
 * has a stricter form of its own.) Pure; any thread.
 */
#ifndef DIALECT_DURATION_H
#define DIALECT_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* "6m0s", "7.66s", "76ms", "1h2m3.5s"; also days: 0, ERR_SYNTAX or ERR_RANGE. Rounded down to whole
 * microseconds. */
int duration_read(struct span text, uint64_t *ret_us);

/* A number with an optional fraction, counting units of unit_us: 0, ERR_SYNTAX or ERR_RANGE. */
int duration_read_number(struct span text, uint64_t unit_us, uint64_t *ret_us);

/* A duration at the front of *rest, which is moved behind it: as many terms as there are, at least
 * one. With is_prose spaces may stand between ("45 seconds", "1 min 30 s"). 0, ERR_SYNTAX or
 * ERR_RANGE. */
int duration_take(struct span *rest, bool is_prose, uint64_t *ret_us);

#endif
