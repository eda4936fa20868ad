/*
 * The durable store: what must outlive a restart, in one SQLite file (write-ahead log, one writer).
 * This header is the file, its line of work and its health; what is kept stands in a header for
 * each matter: key_states.h, rotations.h, migrations.h, client_keys.h, audit.h, meta.h. No SQL
 * stands outside this folder.
 *
 * NO SECRET IS EVER WRITTEN TO IT. Keys are known by name and by the digest of their identity. No
 * function here takes a struct secret, and no column is made for one: there are numbers, digests of
 * 32 bytes, words of small letters, and short names and reasons. Who writes a reason sees to it
 * that it quotes none (secrets/token_answer.h has the guard).
 *
 * Everything belongs to the thread of the loop, which never waits: SQLite runs on one helper thread
 * of the store's own, which begins, as the file is opened, with the first ask. Asks of one turn of
 * the loop, and those that come while others are being written, share one transaction; each is told
 * once its transaction is on the disk. Asks are done in the order in which they came: a read sees
 * the writes before it.
 *
 * A disk that is full, or another such trouble, is told once (on_health), and once when it is over.
 * Meanwhile writes are kept, within the bounds below, and tried again after 1 s, 2 s, ... 30 s;
 * reads go on, and see what is on the disk. A file that cannot be opened, or turns out to be
 * damaged, is an answer to every ask, without keeping it; opening is tried again by the first ask
 * after 5 s. A file that is not ours, newer than this program, damaged or cut is never written to.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "io/loop.h"

struct store;
struct store_ask;
struct store_op;

enum {
    STORE_MAX_QUEUED = 4096,    /* asks */
    STORE_MAX_BYTES = 64 << 20, /* of what waits to be written */
    STORE_MAX_ROWS = 500,       /* of one page of a list */
    STORE_WORDS_BYTES = 256,    /* of an error's text */
    STORE_IDENTITY_BYTES = 32,  /* of a key: conf_key.identity */
};

/* How it stands. */
struct store_health {
    bool is_open;
    int err; /* 0: all is well; else the last failure, which stands until a write or an opening
                works: ERR_EXISTS (another program's file), ERR_UNSUPPORTED (a newer version's),
                ERR_SYNTAX (damaged), ERR_DENIED (or its file system), ERR_NOTFOUND (its folder),
                ERR_FULL, ERR_AGAIN (another process holds it), ERR_NOMEM, ERR_IO */
    char why[STORE_WORDS_BYTES]; /* with err: what to tell the operator */
    uint64_t since_wall_us;      /* with err: since when */
    bool is_keeping;   /* writes are kept and tried again; else (with err) they are refused */
    size_t queued;     /* asks that are not done */
    size_t held_bytes; /* of them */
    uint64_t written;  /* writes that are on the disk */
    uint64_t refused;  /* asks that were answered with an error of the store's */
};

struct store_options {
    struct loop *loop;
    const char *path; /* of the file, made with mode 0600 where there is none; or ":memory:" */
    /* Called when trouble begins, when it is over, and when what was kept begins to be refused or
     * the other way round: to log and to alert. May be NULL. It may not free the store. */
    void (*on_health)(void *owner, const struct store_health *health);
    void *owner;
};

/* What came of an ask; borrowed for the call. Each matter says which rows its reads give. */
struct store_answer {
    /* 0: a write is on the disk, a read is answered. ERR_NOTFOUND, ERR_EXISTS, ERR_RANGE: as the
     * matter says. Else the store's own (see struct store_health). */
    int err;
    const char *why;  /* with err */
    const void *rows; /* see the matter; NULL where count is 0 */
    size_t count;     /* of rows; of a write: rows that it changed */
};

/* One ask. Embedded in its owner; zeroed before its first use. */
struct store_ask {
    struct store_op *op; /* NULL: nothing under way */
    /* Called once, never before the function that began it has returned; the ask may then be used
     * again, or be freed. It may not free the store. */
    void (*on_done)(struct store_ask *ask, const struct store_answer *answer);
};

/* Touches nothing yet. NULL without memory. */
struct store *store_new(const struct store_options *options);

/* Writes what is queued (see store_flush), closes the file and frees. Asks under way end untold.
 * Accepts a pointer to NULL. */
void store_free(struct store **place);

/* Waits, for the end of the process alone, until all that is queued has been tried once: 0, or the
 * error that stands in the health then; what is kept for better times is still queued. Asks that
 * are done by then are told by a later turn of the loop. */
int store_flush(struct store *store);

/* Waits, at the start of the process alone, until all that is queued has been tried once, but no
 * longer than that, and tells the asks that are done. True where nothing is under way any more. */
bool store_await(struct store *store, uint64_t most_us);

/* Nothing is queued or under way that time alone would not bring on: with a virtual clock, the next
 * turn may jump. */
bool store_is_idle(const struct store *store);

/* Borrowed, until the next turn. */
const struct store_health *store_health(const struct store *store);

/* The ask is not told any more; a write is written all the same, a read need not be read. Harmless
 * on one that is not under way. */
void store_cancel(struct store_ask *ask);

/*
 * Every function of the matters that takes an ask begins it: 0; ERR_NOMEM; ERR_FULL (the bounds
 * above); or ERR_RANGE (a text or number that the matter does not allow), in which nothing is under
 * way. `ask` may be NULL for a write of which nobody needs to hear; what goes wrong with it then
 * shows in the health alone. All arguments are copied. Spans may be empty only where the matter
 * says so.
 */

#endif
