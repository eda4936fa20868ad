/*
 * Where an attempt goes, of a provider with several regions: the one that is drawn for it, but for
 * those whose breaker stands open or that failed this exchange already; and what becomes of it, as
 * the region is told. Nothing here is called for a provider with one base URL. Its worker.
 */
#ifndef EXCHANGE_SITES_H
#define EXCHANGE_SITES_H

#include <stdbool.h>
#include <stdint.h>

#include "dialect/outcome.h"

struct exchange;
struct outlet;

/* The sites that stand against the exchange's wish to go there: by bit. */
struct sites {
    struct exchange *x;
    const struct outlet *outlet;
    uint32_t target;
    uint64_t now_us;
    uint64_t shut; /* found so */
};

/* The next site to ask for, not among `sites->shut`: true with *ret_site. Those that failed this
 * exchange come after the others. False where all are shut: then *ret_site is the one that is free
 * first, to be asked as the last way. */
bool sites_next(struct sites *sites, uint64_t random, uint32_t *ret_site);

/* The attempt at hand failed: the region is told where it may be to blame. True where another one
 * is there that has not failed this exchange: it is asked next, at once. */
bool sites_note_failure(struct exchange *x, const struct outcome_row *row);

/* The answer of the attempt at hand has begun well. */
void sites_note_good(struct exchange *x, uint64_t now_us);

#endif
