/*
 * The audit trail: who did what to which key, when, from where, and what came of it; of operators
 * and of the program itself. Lines are only ever added, and dropped by age. The thread of the loop.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* Whoever asked may have made names up, and that is worth a line too: they are cut at 256 bytes,
 * the detail at 512, and control characters become spaces. Words are ours: up to 32 small letters
 * and
 * "_". */
struct audit_line {
    uint64_t at_wall_us;
    struct span actor;    /* who asked for it, or the part that did it; not empty */
    struct span origin;   /* the address it came from; empty: from within */
    struct span action;   /* a word: "rotate", "drain", ... */
    struct span provider; /* empty: it was about none */
    struct span key;      /* empty: it was about none; never without provider */
    struct span result;   /* a word: "done", "refused", ... */
    struct span detail;   /* in plain words; may be empty */
    uint64_t seq;         /* told only: their order */
};

/* Appends a line. */
int audit_add(struct store *store, struct store_ask *ask, const struct audit_line *line);

/* What to list. */
struct audit_page {
    struct span provider; /* empty: all */
    struct span key;      /* empty: all; never without provider (ERR_RANGE) */
    uint64_t before_seq;  /* below the last of the page before; 0: from the newest */
    size_t limit;         /* 1 to STORE_MAX_ROWS */
};

/* Newest first (audit_told). A page that is not full is the last. */
int audit_list(struct store *store, struct store_ask *ask, const struct audit_page *page);

/* Drops lines older than that. The answer's count: how many. */
int audit_prune(struct store *store, struct store_ask *ask, uint64_t before_wall_us);

static inline const struct audit_line *audit_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
