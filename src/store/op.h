/*
 * One piece of work for the writer, from the ask that wanted it to its answer. A matter embeds it
 * as the first member of what it takes along. It is the loop's thread's until it is handed over,
 * the writer's until it comes back; only `ask` is the loop's thread's all the time. Internal to
 * store/.
 */
#ifndef STORE_OP_H
#define STORE_OP_H

#include "base/arena.h"
#include "base/list.h"
#include "store/sql.h"
#include "store/store.h"

struct store_op_kind {
    bool is_write;
    /* On the writer's thread, in a transaction: 0 or an error, by which all that it wrote is taken
     * back. May run again after trouble with the disk. */
    int (*run)(struct sql *sql, struct store_op *op);
};

struct store_op {
    struct list link;
    const struct store_op_kind *kind;
    struct store_ask *ask; /* NULL: cancelled, or nobody needs to hear */
    struct arena_pool pool;
    struct arena arena; /* arguments, and an answer's rows */
    size_t held_bytes;  /* as counted when it was queued */
    /* The answer. err is also set by the functions below, as they run out of memory. */
    int err;
    char why[STORE_WORDS_BYTES];
    const void *rows;
    size_t count;
};

/* A zeroed op of size bytes, which begins with its struct store_op; NULL without memory. */
void *store_op_new(size_t size, const struct store_op_kind *kind);
void store_op_free(struct store_op **place);

/* Copies of arguments; an empty text stays empty. Without memory they set op->err, and what they
 * return is of no use. */
struct span store_op_keep(struct store_op *op, struct span text);
struct span store_op_keep_reason(struct store_op *op, struct span text);  /* cut and cleaned */
struct span store_op_keep_foreign(struct store_op *op, struct span name); /* a name, likewise */
void *store_op_alloc(struct store_op *op, size_t count, size_t size);     /* zeroed; NULL */

/* A copy of a column's text. Without memory the query fails. */
struct span store_op_column(struct store_op *op, struct sql_query *query, int column);

/* The wall clock of the store's loop. */
uint64_t store_wall_us(const struct store *store);

/* Queues the op, which is then gone from the caller: 0, or op->err, ERR_FULL or ERR_RANGE
 * (`is_sound` is false), in which it is freed; ERR_NOMEM where it is NULL. */
int store_submit(struct store *store, struct store_ask *ask, struct store_op *op, bool is_sound);

#endif
