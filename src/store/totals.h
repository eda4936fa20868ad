/*
 * Sums that outlive the process: of what (`kind`, which says the unit too), whose, in which period.
 * A sum belongs to a period of the calendar, by its word and its beginning; a further kind of sum
 * needs no further column. The thread of the loop.
 */
#ifndef STORE_TOTALS_H
#define STORE_TOTALS_H

#include "store/store.h"

enum {
    TOTALS_MAX = 256,           /* of one put */
    TOTALS_MAX_LOADED = 262144, /* the rest is not told */
};

/* Spent of a budget, in thousand-millionths of a dollar: of a key, by its identity in hex; of a
 * client and of a pool, by their names. */
#define TOTAL_KEY_SPEND    "key_nanousd"
#define TOTAL_CLIENT_SPEND "client_nanousd"
#define TOTAL_POOL_SPEND   "pool_nanousd"

struct total {
    struct span kind;   /* a word: 1 to 32 small letters and "_" */
    struct span name;   /* 1 to 520 bytes */
    struct span period; /* a word */
    uint64_t start_wall_us;
    uint64_t sum;
};

/* Writes them, each in place of what it was. */
int totals_put(struct store *store, struct store_ask *ask, const struct total *totals,
               size_t count);

/* Reads those of that kind whose period began at one of those times (totals_told): of the hour, the
 * day, the week and the month at hand, so that what is told is bounded by names, however many hours
 * are kept. */
enum { TOTALS_STARTS = 4 };
int totals_load(struct store *store, struct store_ask *ask, struct span kind,
                const uint64_t start_wall_us[TOTALS_STARTS]);

/* Forgets all whose period began before that time. */
int totals_prune(struct store *store, struct store_ask *ask, uint64_t before_wall_us);

static inline const struct total *totals_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
