/*
 * A binary min-heap of intrusive nodes, each knowing its place, so that any node can be moved or
 * taken out in O(log n). Equal keys come out in no given order unless the caller breaks ties in the
 * key. One thread.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t place; /* index + 1 in the heap; 0: in none */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t cap;
    size_t max; /* nodes that may ever be held */
};

void heap_init(struct heap *heap, size_t max);
void heap_fini(struct heap *heap);

/* Puts a node that stands in no heap in: 0, ERR_FULL or ERR_NOMEM. */
int heap_push(struct heap *heap, struct heap_node *node, uint64_t key);

/* Room for `count` nodes in all, so that pushes up to there cannot fail. */
int heap_reserve(struct heap *heap, size_t count);

/* Gives a node of this heap another key. */
void heap_move(struct heap *heap, struct heap_node *node, uint64_t key);

/* Takes a node out; harmless where it stands in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node with the least key, or NULL; it stays. */
static inline struct heap_node *heap_peek(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

static inline bool heap_has(const struct heap_node *node)
{
    return node->place != 0;
}

#endif
