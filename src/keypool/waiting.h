/*
 * A waiting room: exchanges of any worker that wait for something of which there is too little (a
 * key, a connection), first come first served. They stand as tickets: worker, id and generation, so
 * that a late grant looks up and finds nothing. Under a lock, for they wait anyway; whoever frees
 * something reads one relaxed counter first, and takes the lock only where somebody waits. Any
 * thread.
 */
#ifndef KEYPOOL_WAITING_H
#define KEYPOOL_WAITING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who waits. */
struct waiting_ticket {
    uint32_t worker;
    uint32_t generation;
    uint64_t id;
};

struct waiting_room;

/* A ticket's place in the room, to leave it again; 0 is none. */
typedef uint64_t waiting_place;

/* Room for at most max tickets; NULL without memory. */
struct waiting_room *waiting_room_new(uint32_t max);
void waiting_room_free(struct waiting_room **room);

/* Enters at the end: 0 with *ret_place, ERR_FULL or ERR_NOMEM. To lose no wake-up: enter, ask once
 * more whether it is free, and leave again if it is. */
int waiting_enter(struct waiting_room *room, struct waiting_ticket ticket,
                  waiting_place *ret_place);

/* Leaves before being granted, and sets *place to 0; nothing where it was granted meanwhile. True
 * where the ticket was still there; false where a grant is on its way, which the caller must pass
 * on (waiting_grant) if it has no use for it. */
bool waiting_leave(struct waiting_room *room, waiting_place *place);

/* Takes up to `max` tickets from the front, in order: returns how many. Without a lock where nobody
 * waits. The caller posts each to its worker. */
size_t waiting_grant(struct waiting_room *room, struct waiting_ticket *ret_tickets, size_t max);

/* How many wait: one atomic operation, no lock. behind a fence. */
uint32_t waiting_count(const struct waiting_room *room);

#endif
