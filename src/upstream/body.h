/*
 * A request's body, whole and in memory, in blocks; and readers that walk over it with edits
 * applied, as an attempt sends it. The body is counted, so that attempts, hedges and shadows share
 * it. What all bodies of the process may hold is one budget, of which each worker leases a part.
 * One thread (its worker's, or whose it is with a lease of its own meanwhile), but for the budget.
 */
#ifndef UPSTREAM_BODY_H
#define UPSTREAM_BODY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"
#include "dialect/dialect.h"

/* A worker keeps less than three leases that it does not use; these are lost to the others, so they
 * are small against the least that body_memory may be. */
enum { BODY_BLOCK_BYTES = 16384, BODY_LEASE_BYTES = 64 << 10 };

/* A small body is one piece of memory, of one of a few sizes; of those that were freed a worker
 * keeps so many bytes for the next. */
enum { BODY_SIZE_STEP = 256, BODY_SIZES = 8, BODY_SPARE_BYTES = 256 << 10 };

/* What the bodies of all workers hold together. */
struct body_budget {
    struct {
        /* Leased bytes: relaxed, for it guards nothing but itself. */
        atomic_uint_least64_t leased;
        atomic_uint_least64_t max; /* changed by a reload */
    } shared;
};

/* A worker's part of it. */
struct body_lease {
    struct body_budget *budget;
    uint64_t leased;
    uint64_t used;
    uint64_t shared_writes;          /* to the budget; whoever counts them sets it back to 0 */
    struct body *spares[BODY_SIZES]; /* freed small bodies, by their size; not counted as used */
    size_t spare_bytes;
};

struct body_block {
    struct body_block *next;
    size_t len, cap;
    char data[];
};

struct body {
    struct body_lease *lease;
    struct body_block *first, *last;
    uint64_t len;
    uint64_t held; /* bytes counted against the lease */
    unsigned refs;
    unsigned size;     /* of a small body, in steps; 0: another */
    struct body *next; /* among the spare ones */
};

void body_budget_init(struct body_budget *budget, uint64_t max_bytes);
void body_lease_init(struct body_lease *lease, struct body_budget *budget);
/* Gives everything back, and frees what was spare; no body of the lease may be left. */
void body_lease_fini(struct body_lease *lease);

/* Counts so many bytes that are held beside the bodies: 0, or ERR_FULL where the budget is used up.
 * What was taken is given back before the lease ends. */
int body_lease_take(struct body_lease *lease, uint64_t bytes);
void body_lease_give(struct body_lease *lease, uint64_t bytes);

/* So many of the bytes that `from` holds count against `to`, of the same budget, from now on. */
void body_lease_move(struct body_lease *from, struct body_lease *to, uint64_t bytes);

/* An empty body; NULL without memory. expected: its length if known, else 0. */
struct body *body_new(struct body_lease *lease, uint64_t expected);
struct body *body_ref(struct body *body);
void body_unref(struct body **body);

/* The body counts against this lease, of the same budget, from now on, and is freed by who has
 * that; its spare memory too. */
void body_move(struct body *body, struct body_lease *lease);

/* 0, or ERR_FULL where the budget or the memory is used up. */
int body_append(struct body *body, struct span data);

/* Puts text in between, behind the first byte or later, at most BODY_BLOCK_BYTES of it: 0, or
 * ERR_FULL with all as it was. Only where nobody else has a reference and no reader is under way.
 */
int body_insert(struct body *body, uint64_t offset, struct span text);

/* Walks over a body; edits stand by rising offset and do not overlap. Borrows all of it. */
struct body_reader {
    const struct body *body;
    const struct dialect_edit *edits;
    size_t edit_count;
    const struct body_block *block;
    size_t block_at;   /* in block */
    uint64_t offset;   /* in the body */
    size_t edit;       /* the next */
    bool is_at_insert; /* its insertion is due */
};

void body_reader_init(struct body_reader *reader, const struct body *body,
                      const struct dialect_edit *edits, size_t edit_count);

/* Up to max pieces and about window bytes: how many pieces were written; 0 at the end. */
int body_reader_next(struct body_reader *reader, struct iovec *ret_iov, int max, size_t window);

bool body_reader_is_done(const struct body_reader *reader);

/* Bytes of a body after the edits. */
uint64_t body_edited_length(const struct body *body, const struct dialect_edit *edits,
                            size_t edit_count);

#endif
