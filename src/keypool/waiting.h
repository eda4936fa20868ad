/*
 * A waiting room: exchanges of any worker that wait for something of which there is too little (a
 * key, a connection). Those who wait for the same (`need`) are a crowd; within it the classes go by
 * limits/priority.h, and within a class first come first served, whichever worker they are on.
 * They stand as tickets: worker, id and generation, so that a late grant looks up and finds
 * nothing. Under a lock, for they wait anyway; whoever frees something reads one counter first, and
 * takes the lock only where somebody waits.
 *
 * A grant says: ask again, it is your turn. It comes of two things.
 *
 *   event   something came free (waiting_grant): as many are granted. Who has no use for it hands
 *           it on, a few times in its crowd, then to the first of other crowds.
 *   moment  what they wait for comes back by time: whoever asked in vain tells its crowd when it
 *           may be free (waiting_tell), and then the first of the crowd is granted (waiting_look).
 *           Who finds something has two more granted (waiting_use), by class and then in order of
 *           coming over all crowds whose moment has come, so that those for whom there is plenty go
 *           on quickly; a crowd ends after WAITING_LOOKS who asked in vain, who have told of the
 *           next moment. So a hundred thousand that wait for one key cost no more than a few.
 *
 * Who asked in vain keeps its place. A granted ticket is its worker's: the worker is called, and
 * takes as many at a time as it can run. Any thread.
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
    uint64_t need;          /* alike for those whom the same keys serve; not 0 */
    enum priority priority; /* which class */
    /* Its place, for who asked in vain and enters anew: all zero, or as of the granted ticket. */
    struct waiting_room *stood_in;
    uint64_t order, round;
    /* Of one that was granted: by which room (NULL: it holds no grant), whether by its moment, and
     * else which crowds have had no use for the grant and to how many more it may be handed. */
    struct waiting_room *room;
    bool is_moment;
    uint32_t missed, passes;
};

enum {
    WAITING_CROWDS = 32, /* of more needs, the rest are one crowd that looks for itself */
    WAITING_LOOKS = 4,   /* that ask in vain, before the others of a crowd are left alone */
    WAITING_PASSES = 8,  /* crowds that something which came free is offered to, after the first */
    WAITING_FIRST = 8,   /* of each crowd, where everybody may go on */
    WAITING_BACK = 256,  /* seats of each worker for those alone who come back to their places */
};

/* When there is nothing to look for. */
#define WAITING_NEVER UINT64_MAX

/* A ticket's place in the room, to leave it again; 0 is none. */
typedef uint64_t waiting_place;

/* Has the worker look for its granted tickets (waiting_take); called without a lock. */
typedef void waiting_call(void *owner, uint32_t worker);

/* Room for at most max tickets of that many workers; NULL without memory. */
struct waiting_room *waiting_room_new(uint32_t max, uint32_t workers);
void waiting_room_free(struct waiting_room **room);

/* Enters, at the end or where it stood before: 0 with *ret_place, ERR_FULL or ERR_NOMEM. To lose no
 * wake-up: enter, ask once more whether it is free, and leave again if it is, else tell when. */
int waiting_enter(struct waiting_room *room, struct waiting_ticket ticket,
                  waiting_place *ret_place);

/* Leaves, and sets *place to 0. True where it holds no grant here: it had none, or its ticket has
 * been taken. False where it was granted and not taken yet: *ret_ticket is then as waiting_take has
 * it, to be used or passed. */
bool waiting_leave(struct waiting_room *room, waiting_place *place,
                   struct waiting_ticket *ret_ticket);

/* It asked in vain, and something may be free at look_us: true where its crowd is looked after
 * then, which is the caller's duty (waiting_look at that time); false where it must look for
 * itself. */
bool waiting_tell(struct waiting_room *room, waiting_place place, uint64_t look_us);

/* Grants those whose moment has come. Returns when to call it next, WAITING_NEVER: nobody knows. */
uint64_t waiting_look(struct waiting_room *room, uint64_t now_us, waiting_call *call, void *owner);

/* Something came free: grants `count` of those that wait, by class and then in the order in which
 * they came; UINT32_MAX: everybody may go on, which begins with the first of each crowd. Calls
 * their workers. Returns how many. Without a lock where nobody waits. */
uint32_t waiting_grant(struct waiting_room *room, uint32_t count, waiting_call *call, void *owner);

/* What became of a ticket that was taken. Nothing for one that holds no grant; it holds none
 * afterwards. */

/* It found what it waits for. */
void waiting_use(struct waiting_ticket *ticket, waiting_call *call, void *owner);
/* It asked in vain, will wait on, and knows when something may be free, as waiting_tell does. */
void waiting_miss(struct waiting_ticket *ticket, uint64_t look_us, waiting_call *call, void *owner);
/* It is gone, or waits no longer: its turn is the next one's. */
void waiting_pass(struct waiting_ticket *ticket, waiting_call *call, void *owner);

/* Takes up to `max` granted tickets of that worker out of the room, by class and in order: returns
 * how many. */
size_t waiting_take(struct waiting_room *room, uint32_t worker, struct waiting_ticket *ret_tickets,
                    size_t max);

/* How many wait and were not granted yet: one atomic operation, no lock. */
uint32_t waiting_count(const struct waiting_room *room);

/* How many of those that wait for the same will at least be served before one of that class who
 * comes now. Of higher classes none is counted beyond their share. Under the lock. */
uint32_t waiting_ahead(struct waiting_room *room, uint64_t need, enum priority priority);

#endif
