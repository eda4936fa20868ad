/*
 * When the next event of each paced stream is due: a binary heap of items that are embedded in
 * their connections.
 *
 * Owned by the mock upstream; single threaded. An item is in at most one heap, and must be taken
 * out before its memory goes.
 */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: in no heap. */
struct pace_item {
    uint64_t due_ns;
    size_t place; /* its index + 1; 0 while it is in no heap */
};

struct pace {
    struct pace_item **items;
    size_t count;
    size_t room;
};

/* Puts the item in, or moves it, to be due at due_ns. */
void pace_set(struct pace *pace, struct pace_item *item, uint64_t due_ns);

/* Takes the item out; does nothing when it is not in. */
void pace_remove(struct pace *pace, struct pace_item *item);

/* The item that is due first; NULL when there is none. */
struct pace_item *pace_find_first(const struct pace *pace);

#endif
