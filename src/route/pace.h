/*
 * How soon a target answers: a running average of the times from a request's end to the first good
 * byte of its answer, for models that choose by latency. Shared by all workers; found by name in a
 * book that outlives configurations, so that a reload forgets nothing. An average that two workers
 * change at once loses one of the two samples, which does not matter: a relaxed load and a store a
 * sample, no read-modify-write. Counted; pure.
 */
#ifndef ROUTE_PACE_H
#define ROUTE_PACE_H

#include <stdint.h>

#include "base/span.h"

struct pace;
struct pace_book;

enum {
    PACE_KNOWN_FROM = 3, /* samples; before, a target counts as untried */
    PACE_SHIFT = 3,      /* a sample counts for an eighth */
    PACE_TRIES = 16,     /* plans that begin with an untried target, until chance alone tries it */
};

/* What an attempt that failed counts as: a client would have had to wait for another one. */
#define PACE_FAILED_US UINT64_C(30000000)

/* ---- the book; the thread that loads configurations ---- */

/* NULL without memory. */
struct pace_book *pace_book_new(void);

/* Paces live on with their references. Accepts a pointer to NULL. */
void pace_book_free(struct pace_book **place);

/* The pace of that name ("PROVIDER/MODEL"), with a reference: the one that is there, or a new one.
 * 0 or ERR_NOMEM. */
int pace_book_get(struct pace_book *book, struct span name, struct pace **ret_pace);

/* Forgets those that nobody else holds. */
void pace_book_sweep(struct pace_book *book);

/* Accepts a pointer to NULL. */
void pace_unref(struct pace **place);

/* ---- workers ---- */

/* One more. */
void pace_note(struct pace *pace, uint64_t first_byte_us);

/* The average, at least 1; 0: too few samples so far. */
uint64_t pace_us(const struct pace *pace);

/* A plan begins with it. Counted as long as it is untried: one without a usable key would never
 * have a sample, and is not to stand in front for ever. */
void pace_try(struct pace *pace);

/* How many did, at most UINT32_MAX; a few are lost where workers count at once. */
uint32_t pace_tries(const struct pace *pace);

#endif
