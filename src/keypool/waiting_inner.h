/*
 * The inside of a waiting room: for waiting.c, which seats those that wait, and waiting_turns.c,
 * which grants. All of it under the room's lock, but for what is said to be read without.
 */
#ifndef KEYPOOL_WAITING_INNER_H
#define KEYPOOL_WAITING_INNER_H

#include <pthread.h>

#include "keypool/waiting.h"

enum { NOBODY = 0, NO_CROWD = WAITING_CROWDS, REST = WAITING_CROWDS - 1 };

enum seat_state { SEAT_FREE, SEAT_WAITS, SEAT_GRANTED };

/* The first seats are the heads of the lists: of each worker those that are granted, by class, then
 * of each crowd those that wait, by class. The rest are linked by number, so that they may move
 * when the room grows. */
struct seat {
    struct waiting_ticket ticket;
    uint32_t prev, next;
    uint32_t turn; /* counts its guests: a place that was given up names an earlier one */
    uint32_t crowd;
    enum seat_state state;
};

/* Those who wait for the same; the last, REST, for all sorts of things. */
struct crowd {
    uint64_t need;    /* 0: nobody has waited here */
    uint64_t look_us; /* when something may be free; WAITING_NEVER: nobody has told */
    uint64_t round;   /* who has asked in this round is not granted again in it */
    uint32_t misses;  /* of this round */
    bool is_open;     /* its moment has come, and the round has not ended */
    uint32_t waiting[PRIORITIES];
    struct priority_turns turns;
};

struct waiting_room {
    _Atomic uint32_t count; /* not granted */
    uint32_t workers;
    pthread_mutex_t lock;     /* for all that follows */
    _Atomic uint32_t *wanted; /* granted, of each worker; read without the lock */
    struct crowd crowds[WAITING_CROWDS];
    struct priority_turns turns;
    struct seat *seats;
    uint64_t entered, rounds;
    uint32_t granted; /* and not taken */
    uint32_t size, max, free;
    uint32_t seated, room_for; /* and how many may come anew */
};

/* The heads of lists. */
static inline uint32_t granted_at(uint32_t worker, enum priority priority)
{
    return worker * PRIORITIES + priority;
}

static inline uint32_t waiting_at(const struct waiting_room *room, uint32_t crowd,
                                  enum priority priority)
{
    return (room->workers + crowd) * PRIORITIES + priority;
}

static inline void link_before(struct waiting_room *room, uint32_t at, uint32_t next)
{
    struct seat *seats = room->seats;

    seats[at].prev = seats[next].prev;
    seats[at].next = next;
    seats[seats[next].prev].next = at;
    seats[next].prev = at;
}

static inline void unlink_seat(struct waiting_room *room, uint32_t at)
{
    struct seat *seats = room->seats;

    seats[seats[at].prev].next = seats[at].next;
    seats[seats[at].next].prev = seats[at].prev;
}

static inline void add_wanted(struct waiting_room *room, uint32_t worker, uint32_t count)
{
    _Atomic uint32_t *wanted = &room->wanted[worker];

    atomic_store_explicit(wanted, atomic_load_explicit(wanted, memory_order_relaxed) + count,
                          memory_order_relaxed);
    room->granted += count;
}

/* One that is empty stays until another need wants its place: those who were granted come back to
 * it, and must not begin a round of their own. NO_CROWD: there is none. */
uint32_t waiting_find_crowd(const struct waiting_room *room, uint64_t need);

/* It is no longer among those that wait. */
void waiting_stand_up(struct waiting_room *room, uint32_t at);

/* NULL where it has been taken. */
struct seat *waiting_seat_of(const struct waiting_room *room, waiting_place place);

#endif
