/*
 * Migrations of models from one target to another, one row for each model, and what happened in
 * them. Who drives one writes the state it is about to act on, and acts once it is told that it is
 * on the disk; so a restart goes on where it was. The words and the notes are the driver's
 * (migration/migration.h, migration/side.h). The thread of the loop.
 */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { MIGRATION_MOVES_KEPT = 500 }; /* of each model */

/* Names have 1 to 256 bytes, sides ("PROVIDER/MODEL") 1 to 520; a reason is cut at 512. Notes are
 * numbers by name, in small letters, up to 65536 bytes. */
struct migration_row {
    struct span model;    /* a name; unique */
    struct span from, to; /* sides */
    struct span state;    /* a word */
    uint64_t run;         /* how often it was started */
    uint32_t share_ppm;   /* of the new side */
    struct span reason;   /* of its last move; may be empty */
    struct span note;     /* the driver's; may be empty */
    struct span old_side; /* what became of their requests; may be empty */
    struct span new_side;
    uint64_t changed_wall_us; /* set by the store */
};

/* One move of a migration. */
struct migration_move {
    uint64_t seq; /* in order */
    uint64_t at_wall_us;
    uint64_t run;
    struct span from, to; /* states; from is empty for the first */
    uint32_t share_ppm;
    struct span reason;
};

/* What it is from now on, in place of what it was; and, where run, state or share became another
 * one, a line of its history, of that time. */
int migrations_put(struct store *store, struct store_ask *ask, const struct migration_row *row,
                   uint64_t at_wall_us);

/* One, by model (migrations_told). The answer: ERR_NOTFOUND. */
int migrations_find(struct store *store, struct store_ask *ask, struct span model);

/* The last moves of one, newest first (migrations_moves_told), up to `limit` (1 to STORE_MAX_ROWS).
 */
int migrations_history(struct store *store, struct store_ask *ask, struct span model, size_t limit);

static inline const struct migration_row *migrations_told(const struct store_answer *answer)
{
    return answer->rows;
}

static inline const struct migration_move *migrations_moves_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
