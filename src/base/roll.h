/*
 * Records by name: of whoever is there, in the order in which they came. A record is one block with
 * its name behind it, and the first member of what its owner keeps. Whoever goes round marks those
 * who are still there, and sweeps the others out. One thread, that of its owner.
 */
#ifndef BASE_ROLL_H
#define BASE_ROLL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

/* The first member of an owner's record. */
struct roll_record {
    struct list link;
    struct span name;
    bool is_there; /* the owner has seen it since the last sweep */
};

struct roll {
    struct list all;
    struct map by_name;
    size_t bytes; /* of an owner's record */
    /* A record is about to be freed; may be NULL. It may not change the roll. */
    void (*on_drop)(struct roll *roll, struct roll_record *record);
};

/* Records of so many bytes, `max` of them at most. on_drop may be NULL. */
void roll_init(struct roll *roll, size_t bytes, size_t max,
               void (*on_drop)(struct roll *roll, struct roll_record *record));

/* Drops all. Harmless on one that is zeroed. */
void roll_fini(struct roll *roll);

/* The record of that name; NULL: there is none. */
void *roll_find(const struct roll *roll, struct span name);

/* The same, made, zeroed, where there is none; NULL without memory or room. */
void *roll_find_or_add(struct roll *roll, struct span name);

void roll_drop(struct roll *roll, struct roll_record *record);

/* Drops those that are not there, and takes the marks of the others back. */
void roll_sweep(struct roll *roll);

static inline size_t roll_count(const struct roll *roll)
{
    return roll->by_name.count;
}

/* Walks all, in the order in which they came: NULL at the end. `record` NULL: the first. */
void *roll_next(const struct roll *roll, const struct roll_record *record);

#endif
