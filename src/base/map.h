/*
 * A hash map from byte strings to pointers. Keys are borrowed: they must live as long as their
 * entry, usually inside the value. Hashed by SipHash with a key of the process, so that names
 * chosen by a client cannot make it slow. Built by one thread; any number may read while none
 * writes.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct map_entry {
    struct span key;
    void *value; /* NULL: the place is free */
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    size_t count;
    size_t cap; /* 0 or a power of two */
    size_t max;
};

void map_init(struct map *map, size_t max);
void map_fini(struct map *map);

/* The value, or NULL. */
void *map_find(const struct map *map, struct span key);

/* Adds an entry; value is not NULL: 0, ERR_EXISTS, ERR_FULL or ERR_NOMEM. */
int map_add(struct map *map, struct span key, void *value);

/* Takes an entry out and returns its value, or NULL. */
void *map_remove(struct map *map, struct span key);

/* Walks all entries: start with *at = 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *map, size_t *at, struct span *ret_key);

/* The hash that maps use: the same within one process. */
uint64_t map_hash(struct span key);

#endif
