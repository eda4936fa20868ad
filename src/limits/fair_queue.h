/*
 * A queue in which clients take turns: one of each, then the next of each; of one client first come
 * first served. That is deficit round robin whose quantum and cost are one entry. Entries may be
 * held: they stand in it without having a turn until they are released. Memory is taken for a
 * client's first entry, and goes with its last. Embedded; under its owner's lock.
 */
#ifndef LIMITS_FAIR_QUEUE_H
#define LIMITS_FAIR_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

struct fair_flow;

/* Embedded in who waits; private. */
struct fair_entry {
    struct list link;
    struct fair_flow *flow;
    uint64_t weight; /* its owner's, set before it is added: what queued_weight adds up */
    bool is_held;
};

struct fair_queue {
    struct map flows;
    struct list turns; /* flows with entries that are not held, the next one first */
    uint32_t flows_in_turn;
    uint32_t queued;        /* entries that are not held */
    uint64_t queued_weight; /* of them, together */
    struct heap lengths;    /* of the flows, the longest first */
};

void fair_queue_init(struct fair_queue *queue);
/* It must be empty. */
void fair_queue_fini(struct fair_queue *queue);

/* Adds it behind those of the same client: 0 or ERR_NOMEM. */
int fair_queue_add(struct fair_queue *queue, struct fair_entry *entry, struct span client,
                   bool is_held);

/* It is held from now on, behind those of its client that are; nothing where it is held. */
void fair_queue_hold(struct fair_queue *queue, struct fair_entry *entry);

/* A held one has its turn from now on; nothing where it is not held. All of them. */
void fair_queue_release(struct fair_queue *queue, struct fair_entry *entry);
void fair_queue_release_all(struct fair_queue *queue);

/* Takes it out, wherever it stands. */
void fair_queue_remove(struct fair_queue *queue, struct fair_entry *entry);

/* Whose turn it is; NULL: nobody has one. It stays where it is, or (next) is taken out. */
struct fair_entry *fair_queue_peek(const struct fair_queue *queue);
struct fair_entry *fair_queue_next(struct fair_queue *queue);

/* Whether some client has more in it than that one would have with one more; then the last of the
 * client that has most, taken out. */
bool fair_queue_may_displace(struct fair_queue *queue, struct span client);
struct fair_entry *fair_queue_displace(struct fair_queue *queue);

/* How many go before one that comes now: its client's own, and of each other client as many and one
 * more, if it has them. */
uint64_t fair_queue_turns_before(const struct fair_queue *queue, struct span client);

#endif
