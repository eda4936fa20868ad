/*
 * The helper thread that has the database to itself: opens it, runs one batch of work after
 * another, each in one transaction, and closes it. A batch is the loop's thread's until it is
 * handed over, and again once it was taken back. Internal to store/. The loop's thread.
 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "store/sql.h"

struct writer;
struct schema;

enum batch_verdict {
    BATCH_DONE,    /* each op has its own answer, and what was written is on the disk */
    BATCH_TROUBLE, /* nothing was written; the same may work later */
    BATCH_SHUT,    /* nothing was written, and the database is not open (any more) */
};

struct batch {
    struct list ops;
    size_t writes; /* among them */
    /* What came of it. */
    enum batch_verdict verdict;
    int err; /* of the other verdicts */
    char why[SQL_WORDS_BYTES];
};

/* Begins the thread, which makes the descriptor told_fd readable (an eventfd) with each batch that
 * is done. The path is copied. NULL without memory or thread. */
struct writer *writer_new(const char *path, const struct schema *schema, int told_fd);

/* Waits for the batch under way and closes the database. Accepts a pointer to NULL. */
void writer_free(struct writer **place);

/* A batch is with the writer, or done and not taken back. */
bool writer_is_busy(const struct writer *writer);

/* Not while it is busy. */
void writer_hand(struct writer *writer, struct batch *batch);

/* The batch that is done; NULL where none is. `is_to_wait`: until it is, where one is under way. */
struct batch *writer_take(struct writer *writer, bool is_to_wait);

#endif
