/*
 * The classes of exchanges, by who goes first, and whose turn it is where they contend for one
 * thing: the highest that waits, but each lower one has at least one turn in PRIORITY_SHARE, so
 * that none starves. Plain values; struct priority_turns is under its owner's lock.
 */
#ifndef LIMITS_PRIORITY_H
#define LIMITS_PRIORITY_H

#include <stdint.h>

#include "base/span.h"

/* The highest first. The words of tables/settings.def have these values. */
enum priority { PRIORITY_CRITICAL, PRIORITY_STANDARD, PRIORITY_BATCH, PRIORITIES };

enum { PRIORITY_SHARE = 10 };

/* "critical", "standard", "batch". */
struct span priority_name(enum priority priority);

/* The class of that name, in any case of letters; of any other text, and of none: standard. */
enum priority priority_of(struct span name);

/* The class that an exchange runs in: as it wishes (empty: its client's own), never above that. */
enum priority priority_pick(struct span own, struct span wish);

/* How often each was passed over since its last turn. All zero at the start. */
struct priority_turns {
    uint32_t passed[PRIORITIES];
};

/* Gives the next turn to one of those that wait (a bit each, 1 << priority; at least one). */
enum priority priority_next(struct priority_turns *turns, uint32_t waiting);

#endif
