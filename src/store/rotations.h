/*
 * The rotations of keys and what happened in them: a row for each rotation, and a history line for
 * each move of it, written together. A rotation's driver writes the move it is about to act on, and
 * acts once it is told that it is on the disk; so a crash is taken up where it stood. Keys are
 * known by name and by what their issuer calls them, never by secret. The words are the driver's
 * (rotation/rotation.h). The thread of the loop.
 */
#ifndef STORE_ROTATIONS_H
#define STORE_ROTATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { ROTATIONS_KEPT = 100 }; /* of each provider, however old */

/* One rotation. Names have up to 256 bytes, an issuer's ids 520, words 32 (small letters and "_");
 * a reason is cut at 512. */
struct rotation_row {
    struct span id;       /* a name; unique */
    struct span provider; /* a name */
    /* Names, and the issuer's ids, by which a key is revoked; may be empty. */
    struct span predecessor, successor;
    struct span predecessor_id, successor_id;
    struct span cause;        /* a word: what triggered it */
    struct span state;        /* a word */
    struct span reason;       /* of its last move; may be empty */
    uint32_t step;            /* of the state's: how far its canary is */
    uint64_t started_wall_us; /* not 0 */
    uint64_t until_wall_us;   /* when its state ends by itself; 0: by no time */
    uint64_t ended_wall_us;   /* 0: it is under way */
    uint64_t seq;             /* told only: the order in which they began */
};

/* One move of a rotation. */
struct rotation_move {
    uint64_t seq; /* in order */
    uint64_t at_wall_us;
    struct span from, to; /* states; from is empty for the first */
    struct span reason;
    uint32_t step;
};

/* A new rotation, with the first line of its history. The answer: ERR_EXISTS where there is one of
 * that id. */
int rotations_add(struct store *store, struct store_ask *ask, const struct rotation_row *row);

/* What it is from now on: all of the row but provider, cause and start; and, where state, step or
 * reason became another one, a line of its history, of that time. The answer: ERR_NOTFOUND. */
int rotations_update(struct store *store, struct store_ask *ask, const struct rotation_row *row,
                     uint64_t at_wall_us);

/* What to list. */
struct rotations_page {
    struct span provider; /* empty: all */
    bool is_open;         /* only those under way */
    uint64_t before_seq;  /* below the last of the page before; 0: from the newest */
    size_t limit;         /* 1 to STORE_MAX_ROWS */
};

/* Newest first (rotations_told). A page that is not full is the last. */
int rotations_list(struct store *store, struct store_ask *ask, const struct rotations_page *page);

/* One, by id (rotations_told). The answer: ERR_NOTFOUND. */
int rotations_find(struct store *store, struct store_ask *ask, struct span id);

/* The moves of one, oldest first (rotations_moves_told), behind that seq (0: from the first), up to
 * `limit` (1 to STORE_MAX_ROWS). None where there is no such rotation. */
int rotations_history(struct store *store, struct store_ask *ask, struct span id,
                      uint64_t after_seq, size_t limit);

/* Drops rotations that ended before that time, with their history, but for the last ROTATIONS_KEPT
 * of each provider. The answer's count: how many. */
int rotations_prune(struct store *store, struct store_ask *ask, uint64_t before_wall_us);

static inline const struct rotation_row *rotations_told(const struct store_answer *answer)
{
    return answer->rows;
}

static inline const struct rotation_move *rotations_moves_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
