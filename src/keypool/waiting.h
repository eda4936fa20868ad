/*
 * A waiting room: exchanges of any worker that wait for something of which there is too little (a
 * key, a connection). The classes go by limits/priority.h; within one, first come first served.
 * They stand as tickets: worker, id and generation, so that a late grant looks up and finds
 * nothing. Under a lock, for they wait anyway; whoever frees something reads one counter first, and
 * takes the lock only where somebody waits.
 *
 * A grant moves nobody and needs no memory: each worker has a line for each class, of which a part
 * is granted. The worker is called, and takes those of its line as many at a time as it can run.
 * Any thread.
 */
#ifndef KEYPOOL_WAITING_H
#define KEYPOOL_WAITING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits/priority.h"

/* Who waits. */
struct waiting_ticket {
    uint32_t worker; /* below the room's number */
    uint32_t generation;
    uint64_t id;
    enum priority priority; /* which class */
    /* Of one that was granted: by which room, how often the grant may still be passed on, and to
     * whom (those who came before the horizon). Left zeroed by those who enter. */
    struct waiting_room *room;
    uint64_t horizon;
    uint32_t passes;
};

/* A key that came free may be of no use to those who wait longest (it lacks their model): a grant
 * is passed on so often, and they go to the end, so that the next grant reaches those behind them.
 * A grant tells of no key: who takes another key of that provider than the one that came free uses
 * it up, and those behind it find what is left when they look again by themselves, 100 ms later at
 * most (view_body.h). */
enum { WAITING_PASSES = 8 };

/* A ticket's place in the room, to leave it again; 0 is none. */
typedef uint64_t waiting_place;

/* Has the worker look for its granted tickets (waiting_take); called without a lock. */
typedef void waiting_call(void *owner, uint32_t worker);

/* Room for at most max tickets of that many workers; NULL without memory. */
struct waiting_room *waiting_room_new(uint32_t max, uint32_t workers);
void waiting_room_free(struct waiting_room **room);

/* Enters at the end: 0 with *ret_place, ERR_FULL or ERR_NOMEM. To lose no wake-up: enter, ask once
 * more whether it is free, and leave again if it is. */
int waiting_enter(struct waiting_room *room, struct waiting_ticket ticket,
                  waiting_place *ret_place);

/* Leaves, and sets *place to 0. True where the ticket was not granted yet; false where it was,
 * which the caller must pass on (waiting_grant) if it has no use for it. */
bool waiting_leave(struct waiting_room *room, waiting_place *place);

/* Grants `count` of those that wait, across all workers by class and then in the order in which
 * they came (UINT32_MAX: all, at the cost of one), and calls their workers. Returns how many.
 * Without a lock where nobody waits. */
uint32_t waiting_grant(struct waiting_room *room, uint32_t count, waiting_call *call, void *owner);

/* The grant of a ticket that was taken is of no use to it: gives it to the next of those who waited
 * when it was first given, once for each of its passes. Nothing for a ticket that holds none; it
 * holds none afterwards. */
void waiting_pass(struct waiting_ticket *ticket, waiting_call *call, void *owner);

/* Takes up to `max` granted tickets of that worker out of the room, by class and in order: returns
 * how many. */
size_t waiting_take(struct waiting_room *room, uint32_t worker, struct waiting_ticket *ret_tickets,
                    size_t max);

/* How many wait and were not granted yet: one atomic operation, no lock. */
uint32_t waiting_count(const struct waiting_room *room);

#endif
