/*
 * The candidates for one kind of request, in order: each key that may serve it stands in one of
 * four heaps or outside all of them. A view has a lineup for each set of keys that requests ask
 * for; one with a model of its own (`model_hash`) knows what is set aside for that model, while the
 * common one is told so candidate by candidate. Internal to keypool/. One worker.
 */
#ifndef KEYPOOL_LINEUP_H
#define KEYPOOL_LINEUP_H

#include <stdbool.h>
#include <stdint.h>

#include "keypool/keypool.h"
#include "keypool/order.h"
#include "keypool/sticky.h"

enum lineup_where {
    LINEUP_READY,   /* by rank: as far as known it may be picked */
    LINEUP_RESTING, /* by time: we ourselves do not trust it; may become the last way */
    LINEUP_BARRED,  /* by time: something else stands against it */
    LINEUP_MISSING, /* by time: it does not have the model */
    LINEUP_HEAPS,
    LINEUP_OUT = LINEUP_HEAPS, /* only news will bring it back */
    LINEUP_ABSENT,             /* does not serve such requests */
};

/* Where a key stands, why, and until when. */
struct standing {
    enum lineup_where where;
    enum keypool_reason reason;
    uint64_t until_us;
};

/* Where in a rank its place's level of headroom stands: above load and turn, below the tier. */
enum { LINEUP_LEVEL_SHIFT = 44 };

struct lineup_spot {
    uint8_t where;
    uint8_t reason;
    uint8_t level; /* how little was left of its limits when it was last looked at (view_level) */
};

struct lineup {
    uint64_t signature; /* which groups of keys; 0: this lineup is unused */
    uint64_t model_hash;
    uint64_t used;     /* the view's count of picks when it was last asked */
    uint64_t now_pass; /* pass of the last pick: who comes back starts from there */
    uint32_t places;   /* size of the arrays */
    uint32_t members;
    uint32_t turn; /* whose level is looked at next */
    struct order heaps[LINEUP_HEAPS];
    uint32_t *positions;
    struct lineup_spot *spots;
    uint32_t out[KEYPOOL_REASONS]; /* how many are LINEUP_OUT for each reason */
    struct sticky *sticky;         /* what sessions prefer of it; NULL: none has asked yet */
    void *block;
};

/* An empty lineup for places below that number: 0 or ERR_NOMEM. */
int lineup_init(struct lineup *lineup, uint64_t signature, uint64_t model_hash, uint32_t places);
void lineup_fini(struct lineup *lineup);

/* Puts a place where it belongs, from wherever it stands; `rank`, with the place's level, counts
 * for LINEUP_READY, the other heaps go by the standing's time. */
void lineup_put(struct lineup *lineup, uint32_t place, struct standing standing, uint64_t rank);

/* Gives a ready place another rank; nothing where it is not ready. */
void lineup_rank(struct lineup *lineup, uint32_t place, uint64_t rank);

/* The same where that is lower than what it stands by. A higher rank may be left for when the place
 * comes first: what it stands by is its rank or less. */
void lineup_lower(struct lineup *lineup, uint32_t place, uint64_t rank);

/* The rank of the place that is first among the ready, where it stands by a lower one. True where
 * it did, and another place may be the first now. */
bool lineup_raise_first(struct lineup *lineup, uint64_t rank);

static inline enum lineup_where lineup_where(const struct lineup *lineup, uint32_t place)
{
    return (enum lineup_where)lineup->spots[place].where;
}

#endif
