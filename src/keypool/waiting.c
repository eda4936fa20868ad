#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "keypool/waiting_inner.h"

enum { FIRST_SEATS = 64 };

struct waiting_room *waiting_room_new(uint32_t max, uint32_t workers)
{
    struct waiting_room *room = mem_zalloc(1, sizeof(*room));
    uint32_t heads = (workers + WAITING_CROWDS) * PRIORITIES;

    if (!room)
        return NULL;
    bug_fatal_unless(pthread_mutex_init(&room->lock, NULL) == 0);
    room->wanted = mem_zalloc(workers, sizeof(*room->wanted));
    room->seats = mem_zalloc(heads, sizeof(*room->seats));
    if (!room->wanted || !room->seats) {
        waiting_room_free(&room);
        return NULL;
    }
    for (uint32_t i = 0; i < heads; i++)
        room->seats[i] = (struct seat){.prev = i, .next = i};
    for (uint32_t i = 0; i < WAITING_CROWDS; i++)
        room->crowds[i].look_us = WAITING_NEVER;
    room->workers = workers;
    room->size = heads;
    room->room_for = max;
    room->max = heads + max + workers * WAITING_BACK;
    return room;
}

void waiting_room_free(struct waiting_room **room)
{
    if (!*room)
        return;
    pthread_mutex_destroy(&(*room)->lock);
    mem_free((*room)->wanted);
    mem_free((*room)->seats);
    MEM_CLEAR(*room);
}

/* ---- seats ---- */

static int add_seats(struct waiting_room *room)
{
    uint64_t size = (uint64_t)room->size + (room->size < FIRST_SEATS ? FIRST_SEATS : room->size);
    struct seat *seats;

    if (size > room->max)
        size = room->max;
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

static void free_seat(struct waiting_room *room, uint32_t at)
{
    room->seated--;
    room->seats[at].state = SEAT_FREE;
    room->seats[at].next = room->free;
    room->free = at;
}

/* ---- crowds ---- */

static bool is_empty(const struct crowd *crowd)
{
    uint32_t waiting = 0;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        waiting += crowd->waiting[p];
    return waiting == 0;
}

uint32_t waiting_find_crowd(const struct waiting_room *room, uint64_t need)
{
    for (uint32_t i = 0; i < REST; i++) {
        if (room->crowds[i].need == need)
            return i;
    }
    return is_empty(&room->crowds[REST]) ? NO_CROWD : REST;
}

static uint32_t ensure_crowd(struct waiting_room *room, uint64_t need)
{
    uint32_t unused = REST;

    for (uint32_t i = 0; i < REST; i++) {
        if (room->crowds[i].need == need)
            return i;
        if (is_empty(&room->crowds[i]) &&
            (unused == REST || (room->crowds[i].need == 0 && room->crowds[unused].need != 0)))
            unused = i;
    }
    if (unused != REST)
        room->crowds[unused] =
            (struct crowd){.need = need, .look_us = WAITING_NEVER, .round = ++room->rounds};
    return unused;
}

void waiting_stand_up(struct waiting_room *room, uint32_t at)
{
    const struct seat *seat = &room->seats[at];
    struct crowd *crowd = &room->crowds[seat->crowd];

    unlink_seat(room, at);
    crowd->waiting[seat->ticket.priority]--;
    if (is_empty(crowd)) {
        crowd->look_us = WAITING_NEVER;
        crowd->is_open = false;
    }
    atomic_fetch_sub_explicit(&room->count, 1, memory_order_relaxed);
}

/* The seat before which one with that order belongs. Who comes back was among the first. */
static uint32_t place_of(const struct waiting_room *room, uint32_t head, uint64_t order)
{
    uint32_t at = room->seats[head].next;

    while (at != head && room->seats[at].ticket.order < order)
        at = room->seats[at].next;
    return at;
}

static bool has_stood(const struct waiting_room *room, const struct waiting_ticket *ticket)
{
    return ticket->stood_in == room && ticket->order;
}

static void sit_down(struct waiting_room *room, uint32_t at, struct waiting_ticket ticket)
{
    uint32_t crowd = ensure_crowd(room, ticket.need);
    uint32_t head = waiting_at(room, crowd, ticket.priority);
    struct seat *seat = &room->seats[at];
    bool is_back = has_stood(room, &ticket);

    seat->ticket = ticket;
    seat->ticket.stood_in = room;
    seat->ticket.room = NULL;
    seat->crowd = crowd;
    seat->turn++;
    seat->state = SEAT_WAITS;
    if (!is_back) {
        seat->ticket.order = ++room->entered;
        seat->ticket.round = 0;
    }
    link_before(room, at, is_back ? place_of(room, head, ticket.order) : head);
    room->crowds[crowd].waiting[ticket.priority]++;
    /* Both this and waiting_count write the word, so that one of them comes first: either whoever
     * frees something sees this one, or this one, looking once more, sees what was freed. */
    atomic_fetch_add(&room->count, 1);
}

int waiting_enter(struct waiting_room *room, struct waiting_ticket ticket, waiting_place *ret_place)
{
    int err = 0;

    bug_fatal_unless(ticket.worker < room->workers && ticket.priority < PRIORITIES && ticket.need);
    pthread_mutex_lock(&room->lock);
    /* Who asked in vain has stood here for longer than those who took the seats meanwhile. */
    if (room->seated >= room->room_for && !has_stood(room, &ticket))
        err = ERR_FULL;
    else if (room->free == NOBODY)
        err = add_seats(room);
    if (!err) {
        uint32_t at = room->free;

        room->seated++;
        room->free = room->seats[at].next;
        sit_down(room, at, ticket);
        *ret_place = (waiting_place)room->seats[at].turn << 32 | at;
    }
    pthread_mutex_unlock(&room->lock);
    return err;
}

struct seat *waiting_seat_of(const struct waiting_room *room, waiting_place place)
{
    struct seat *seat;

    bug_fatal_unless((uint32_t)place < room->size);
    seat = &room->seats[(uint32_t)place];
    return seat->state != SEAT_FREE && seat->turn == (uint32_t)(place >> 32) ? seat : NULL;
}

bool waiting_leave(struct waiting_room *room, waiting_place *place,
                   struct waiting_ticket *ret_ticket)
{
    bool was_granted = false;
    struct seat *seat;

    if (*place == 0)
        return true;
    pthread_mutex_lock(&room->lock);
    seat = waiting_seat_of(room, *place);
    if (seat) {
        uint32_t at = (uint32_t)*place;

        was_granted = seat->state == SEAT_GRANTED;
        if (was_granted) {
            *ret_ticket = seat->ticket;
            add_wanted(room, seat->ticket.worker, (uint32_t)-1);
            unlink_seat(room, at);
        } else {
            waiting_stand_up(room, at);
        }
        free_seat(room, at);
    }
    pthread_mutex_unlock(&room->lock);
    *place = 0;
    return !was_granted;
}

/* ---- for the workers ---- */

static uint32_t wanted_of(const struct waiting_room *room, uint32_t worker)
{
    return atomic_load_explicit(&room->wanted[worker], memory_order_relaxed);
}

size_t waiting_take(struct waiting_room *room, uint32_t worker, struct waiting_ticket *ret_tickets,
                    size_t max)
{
    size_t count = 0;

    if (wanted_of(room, worker) == 0)
        return 0;
    pthread_mutex_lock(&room->lock);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        uint32_t head = granted_at(worker, p), at;

        while (count < max && (at = room->seats[head].next) != head) {
            ret_tickets[count++] = room->seats[at].ticket;
            unlink_seat(room, at);
            free_seat(room, at);
        }
    }
    add_wanted(room, worker, (uint32_t)-count);
    pthread_mutex_unlock(&room->lock);
    return count;
}

uint32_t waiting_count(const struct waiting_room *room)
{
    /* A write that changes nothing: see sit_down. ThreadSanitizer knows no fences. */
    return atomic_fetch_add(&((struct waiting_room *)(uintptr_t)room)->count, 0);
}

uint32_t waiting_ahead(struct waiting_room *room, uint64_t need, enum priority priority)
{
    uint64_t ahead = 0, share;

    pthread_mutex_lock(&room->lock);
    for (uint32_t i = 0; i < REST; i++) {
        const uint32_t *waiting = room->crowds[i].waiting;

        if (room->crowds[i].need != need)
            continue;
        for (enum priority p = PRIORITY_CRITICAL; p <= priority; p++)
            ahead += waiting[p];
        /* A class that is passed over has its turn for all that. */
        share = ((uint64_t)waiting[priority] + 1) * PRIORITY_SHARE - 1;
        ahead = ahead < share ? ahead : share;
    }
    pthread_mutex_unlock(&room->lock);
    return (uint32_t)ahead;
}
