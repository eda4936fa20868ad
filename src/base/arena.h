/*
 * A bump arena: things made one after another and freed all at once. One thread. Blocks are taken
 * from a pool of equal blocks, so that the warm path never asks the heap; larger things get a block
 * of their own. Every arena states the most it may hold.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { ARENA_BLOCK_BYTES = 4096 };

struct arena_block;

/* Free blocks of one thread, kept for reuse up to max_free. Embedded in its owner. One that keeps
 * none (0) never changes: arenas of any thread may take from it and give back to it. */
struct arena_pool {
    struct arena_block *free;
    size_t free_count;
    size_t max_free;
};

struct arena {
    struct arena_pool *pool;
    struct arena_block *head; /* the block being filled; the others hang behind it */
    size_t used;              /* bytes used in head */
    size_t held;              /* bytes of all blocks */
    size_t max;
    bool is_full; /* something would have gone beyond max: it was not the system's memory */
};

void arena_pool_init(struct arena_pool *pool, size_t max_free);
void arena_pool_fini(struct arena_pool *pool);

/* An empty arena; takes no block yet. The pool outlives it. */
void arena_init(struct arena *arena, struct arena_pool *pool, size_t max_bytes);

/* Gives every block back; the arena is empty and may be used again. */
void arena_fini(struct arena *arena);

/* size bytes aligned for any type, not cleared; NULL at the maximum or without memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same, cleared. */
void *arena_zalloc(struct arena *arena, size_t size);

/* A copy with a NUL behind it; its ptr is NULL where it failed. */
struct span arena_copy(struct arena *arena, struct span text);

/* The formatted text, NUL-terminated; its ptr is NULL where it failed. */
struct span arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
