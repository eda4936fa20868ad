/*
 * What was used, by whom, in which period: sums that outlive the process. A row belongs to a kind
 * ("key", "client", "model", "provider"), a name, a period by its word ("day", "month", "all") and
 * its beginning. The thread of the loop.
 */
#ifndef STORE_USES_H
#define STORE_USES_H

#include "store/store.h"

enum {
    USES_ROWS_MAX = 1024,     /* of one put */
    USES_ROWS_LOADED = 262144 /* the rest is not told */
};

struct use_row {
    struct span kind;   /* a word: 1 to 32 small letters and "_" */
    struct span name;   /* 1 to 520 bytes */
    struct span period; /* a word */
    uint64_t start_wall_us;
    uint64_t requests, input_tokens, cached_tokens, output_tokens, reasoning_tokens;
    uint64_t cost_nanousd, unpriced;
};

/* Writes them, each in place of what it was. */
int uses_put(struct store *store, struct store_ask *ask, const struct use_row *rows, size_t count);

/* Reads those of that period that began then (uses_told). */
int uses_load(struct store *store, struct store_ask *ask, struct span period,
              uint64_t start_wall_us);

/* Forgets those of that period that began before that time. */
int uses_prune(struct store *store, struct store_ask *ask, struct span period,
               uint64_t before_wall_us);

static inline const struct use_row *uses_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
