#include "keypool/waiting.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

enum { FIRST_SEATS = 64, NOBODY = 0 };

/* Seats are numbered from 1 and linked by number, so that they may move when the room grows. */
struct seat {
    struct waiting_ticket ticket;
    uint32_t prev, next;
    uint32_t turn; /* counts its guests: a place that was given up names an earlier one */
    bool is_taken;
};

struct waiting_room {
    _Atomic uint32_t count;
    pthread_mutex_t lock; /* for all that follows */
    struct seat *seats;   /* [0] is the head of the line */
    uint32_t size, max, free;
};

struct waiting_room *waiting_room_new(uint32_t max)
{
    struct waiting_room *room = mem_zalloc(1, sizeof(*room));

    if (!room)
        return NULL;
    room->seats = mem_zalloc(1, sizeof(*room->seats));
    if (!room->seats) {
        mem_free(room);
        return NULL;
    }
    room->size = 1;
    room->max = max;
    atomic_init(&room->count, 0);
    bug_fatal_unless(pthread_mutex_init(&room->lock, NULL) == 0);
    return room;
}

void waiting_room_free(struct waiting_room **room)
{
    if (!*room)
        return;
    pthread_mutex_destroy(&(*room)->lock);
    mem_free((*room)->seats);
    MEM_CLEAR(*room);
}

static int add_seats(struct waiting_room *room)
{
    uint64_t size = room->size < FIRST_SEATS ? FIRST_SEATS : (uint64_t)room->size * 2;
    struct seat *seats;

    if (size > (uint64_t)room->max + 1)
        size = (uint64_t)room->max + 1;
    if (size <= room->size)
        return ERR_FULL;
    seats = mem_realloc(room->seats, size * sizeof(*seats));
    if (!seats)
        return ERR_NOMEM;
    room->seats = seats;
    for (uint32_t i = room->size; i < size; i++) {
        seats[i] = (struct seat){.next = room->free};
        room->free = i;
    }
    room->size = (uint32_t)size;
    return 0;
}

static void stand_up(struct waiting_room *room, uint32_t at)
{
    struct seat *seat = &room->seats[at];

    room->seats[seat->prev].next = seat->next;
    room->seats[seat->next].prev = seat->prev;
    seat->is_taken = false;
    seat->next = room->free;
    room->free = at;
    atomic_fetch_sub_explicit(&room->count, 1, memory_order_relaxed);
}

static void sit_down(struct waiting_room *room, uint32_t at, struct waiting_ticket ticket)
{
    struct seat *seat = &room->seats[at], *head = &room->seats[0];

    seat->ticket = ticket;
    seat->turn++;
    seat->is_taken = true;
    seat->prev = head->prev;
    seat->next = 0;
    room->seats[head->prev].next = at;
    head->prev = at;
    /* Both this and waiting_count write the word, so that one of them comes first: either whoever
     * frees something sees this one, or this one, looking once more, sees what was freed. */
    atomic_fetch_add(&room->count, 1);
}

int waiting_enter(struct waiting_room *room, struct waiting_ticket ticket, waiting_place *ret_place)
{
    int err = 0;

    pthread_mutex_lock(&room->lock);
    if (room->free == NOBODY)
        err = add_seats(room);
    if (!err) {
        uint32_t at = room->free;

        room->free = room->seats[at].next;
        sit_down(room, at, ticket);
        *ret_place = (waiting_place)room->seats[at].turn << 32 | at;
    }
    pthread_mutex_unlock(&room->lock);
    return err;
}

bool waiting_leave(struct waiting_room *room, waiting_place *place)
{
    uint32_t at = (uint32_t)*place;
    bool was_there;

    if (*place == 0)
        return true;
    pthread_mutex_lock(&room->lock);
    bug_fatal_unless(at < room->size);
    was_there = room->seats[at].is_taken && room->seats[at].turn == (uint32_t)(*place >> 32);
    if (was_there)
        stand_up(room, at);
    pthread_mutex_unlock(&room->lock);
    *place = 0;
    return was_there;
}

size_t waiting_grant(struct waiting_room *room, struct waiting_ticket *ret_tickets, size_t max)
{
    size_t count = 0;

    if (waiting_count(room) == 0)
        return 0;
    pthread_mutex_lock(&room->lock);
    while (count < max && room->seats[0].next) {
        uint32_t at = room->seats[0].next;

        ret_tickets[count++] = room->seats[at].ticket;
        stand_up(room, at);
    }
    pthread_mutex_unlock(&room->lock);
    return count;
}

uint32_t waiting_count(const struct waiting_room *room)
{
    /* A write that changes nothing: see sit_down. ThreadSanitizer knows no fences. */
    return atomic_fetch_add(&((struct waiting_room *)(uintptr_t)room)->count, 0);
}
