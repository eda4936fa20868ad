#include "keypool/waiting.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

enum { FIRST_SEATS = 64, NOBODY = 0 };

/* The first seats are the heads of the lines, PRIORITIES a worker; the rest are linked by number,
 * so that they may move when the room grows. */
struct seat {
    struct waiting_ticket ticket;
    uint64_t order; /* of entering, over all lines */
    uint32_t prev, next;
    uint32_t turn; /* counts its guests: a place that was given up names an earlier one */
    bool is_taken;
};

/* Those in front of `waits` are granted. */
struct line {
    uint32_t waits; /* the first that is not; the line's head: there is none */
    uint32_t waiting;
    _Atomic uint32_t granted; /* read without the lock */
};

struct waiting_room {
    _Atomic uint32_t count; /* not granted */
    uint32_t workers;
    pthread_mutex_t lock;         /* for all that follows */
    struct line *lines;           /* of the first worker by class, of the second, ... */
    uint32_t waiting[PRIORITIES]; /* over all workers, not granted */
    struct priority_turns turns;
    struct seat *seats;
    uint64_t entered;
    uint32_t size, max, free;
};

struct waiting_room *waiting_room_new(uint32_t max, uint32_t workers)
{
    struct waiting_room *room = mem_zalloc(1, sizeof(*room));
    uint32_t lines = workers * PRIORITIES;

    if (!room)
        return NULL;
    bug_fatal_unless(pthread_mutex_init(&room->lock, NULL) == 0);
    room->lines = mem_zalloc(lines, sizeof(*room->lines));
    room->seats = mem_zalloc(lines, sizeof(*room->seats));
    if (!room->lines || !room->seats) {
        waiting_room_free(&room);
        return NULL;
    }
    for (uint32_t i = 0; i < lines; i++) {
        room->lines[i].waits = i;
        room->seats[i] = (struct seat){.prev = i, .next = i};
    }
    room->workers = workers;
    room->size = lines;
    room->max = lines + max;
    return room;
}

void waiting_room_free(struct waiting_room **room)
{
    if (!*room)
        return;
    pthread_mutex_destroy(&(*room)->lock);
    mem_free((*room)->lines);
    mem_free((*room)->seats);
    MEM_CLEAR(*room);
}

static int add_seats(struct waiting_room *room)
{
    uint64_t size = room->size < FIRST_SEATS ? FIRST_SEATS : (uint64_t)room->size * 2;
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

/* The number of the line, and of the seat at its head. */
static uint32_t line_at(uint32_t worker, enum priority priority)
{
    return worker * PRIORITIES + priority;
}

static struct line *line_of(const struct waiting_room *room, const struct seat *seat)
{
    return &room->lines[line_at(seat->ticket.worker, seat->ticket.priority)];
}

static void stand_up(struct waiting_room *room, uint32_t at)
{
    struct seat *seat = &room->seats[at];

    room->seats[seat->prev].next = seat->next;
    room->seats[seat->next].prev = seat->prev;
    seat->is_taken = false;
    seat->next = room->free;
    room->free = at;
}

static void sit_down(struct waiting_room *room, uint32_t at, struct waiting_ticket ticket)
{
    uint32_t number = line_at(ticket.worker, ticket.priority);
    struct seat *seat = &room->seats[at], *head = &room->seats[number];
    struct line *line = &room->lines[number];

    seat->ticket = ticket;
    seat->ticket.room = room;
    seat->ticket.passes = 0;
    seat->order = room->entered++;
    seat->turn++;
    seat->is_taken = true;
    seat->prev = head->prev;
    seat->next = number;
    room->seats[head->prev].next = at;
    head->prev = at;
    if (line->waiting++ == 0)
        line->waits = at;
    room->waiting[ticket.priority]++;
    /* Both this and waiting_count write the word, so that one of them comes first: either whoever
     * frees something sees this one, or this one, looking once more, sees what was freed. */
    atomic_fetch_add(&room->count, 1);
}

int waiting_enter(struct waiting_room *room, struct waiting_ticket ticket, waiting_place *ret_place)
{
    int err = 0;

    bug_fatal_unless(ticket.worker < room->workers && ticket.priority < PRIORITIES);
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

static bool is_granted(const struct waiting_room *room, const struct seat *seat)
{
    const struct line *line = line_of(room, seat);

    return line->waiting == 0 || seat->order < room->seats[line->waits].order;
}

static void add_granted(struct line *line, uint32_t count)
{
    atomic_store_explicit(&line->granted,
                          atomic_load_explicit(&line->granted, memory_order_relaxed) + count,
                          memory_order_relaxed);
}

/* True where it was not granted. */
static bool leave_seat(struct waiting_room *room, uint32_t at)
{
    struct seat *seat = &room->seats[at];
    struct line *line = line_of(room, seat);
    bool was_granted = is_granted(room, seat);

    if (was_granted) {
        add_granted(line, (uint32_t)-1);
    } else {
        line->waiting--;
        room->waiting[seat->ticket.priority]--;
        if (line->waits == at)
            line->waits = seat->next;
        atomic_fetch_sub_explicit(&room->count, 1, memory_order_relaxed);
    }
    stand_up(room, at);
    return !was_granted;
}

bool waiting_leave(struct waiting_room *room, waiting_place *place)
{
    uint32_t at = (uint32_t)*place;
    bool was_waiting = false;

    if (*place == 0)
        return true;
    pthread_mutex_lock(&room->lock);
    bug_fatal_unless(at < room->size);
    if (room->seats[at].is_taken && room->seats[at].turn == (uint32_t)(*place >> 32))
        was_waiting = leave_seat(room, at);
    pthread_mutex_unlock(&room->lock);
    *place = 0;
    return was_waiting;
}

static uint32_t grant_all(struct waiting_room *room)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < room->workers * PRIORITIES; i++) {
        struct line *line = &room->lines[i];

        add_granted(line, line->waiting);
        count += line->waiting;
        line->waiting = 0;
        line->waits = i;
    }
    memset(room->waiting, 0, sizeof(room->waiting));
    atomic_fetch_sub_explicit(&room->count, count, memory_order_relaxed);
    return count;
}

/* The line whose first has waited longest, of those of that class; UINT32_MAX: none. */
static uint32_t longest(const struct waiting_room *room, enum priority priority)
{
    uint32_t first = UINT32_MAX;

    if (!room->waiting[priority])
        return first;
    for (uint32_t i = priority; i < room->workers * PRIORITIES; i += PRIORITIES) {
        const struct line *line = &room->lines[i];

        if (line->waiting &&
            (first == UINT32_MAX ||
             room->seats[line->waits].order < room->seats[room->lines[first].waits].order))
            first = i;
    }
    return first;
}

/* The line whose turn it is, of those whose first came before the horizon; UINT32_MAX: none. */
static uint32_t next_line(struct waiting_room *room, uint64_t horizon)
{
    uint32_t firsts[PRIORITIES], waiting = 0;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        firsts[p] = longest(room, p);
        if (firsts[p] != UINT32_MAX && room->seats[room->lines[firsts[p]].waits].order < horizon)
            waiting |= 1u << p;
    }
    return waiting ? firsts[priority_next(&room->turns, waiting)] : UINT32_MAX;
}

/* Grants the first of the line: its worker. */
static uint32_t grant_line(struct waiting_room *room, uint32_t number, uint64_t horizon,
                           uint32_t passes)
{
    struct line *line = &room->lines[number];
    struct waiting_ticket *ticket = &room->seats[line->waits].ticket;

    ticket->horizon = horizon;
    ticket->passes = passes;
    line->waits = room->seats[line->waits].next;
    line->waiting--;
    room->waiting[ticket->priority]--;
    add_granted(line, 1);
    atomic_fetch_sub_explicit(&room->count, 1, memory_order_relaxed);
    return ticket->worker;
}

static uint32_t granted_of(const struct line *line)
{
    return atomic_load_explicit(&line->granted, memory_order_relaxed);
}

static bool has_granted(const struct waiting_room *room, uint32_t worker)
{
    const struct line *lines = &room->lines[line_at(worker, PRIORITY_CRITICAL)];

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        if (granted_of(&lines[p]))
            return true;
    }
    return false;
}

/* Nobody came after the last. */
#define NO_HORIZON UINT64_MAX

/* False where nobody waits who came before the horizon. */
static bool grant_one(struct waiting_room *room, uint64_t horizon, uint32_t passes,
                      waiting_call *call, void *owner)
{
    uint32_t line, worker = 0;

    pthread_mutex_lock(&room->lock);
    line = next_line(room, horizon);
    if (line != UINT32_MAX)
        worker = grant_line(room, line, horizon == NO_HORIZON ? room->entered : horizon, passes);
    pthread_mutex_unlock(&room->lock);
    if (line == UINT32_MAX)
        return false;
    call(owner, worker);
    return true;
}

uint32_t waiting_grant(struct waiting_room *room, uint32_t count, waiting_call *call, void *owner)
{
    uint32_t granted = 0, worker = 0;

    if (count == 0 || waiting_count(room) == 0)
        return 0;
    if (count == UINT32_MAX) {
        pthread_mutex_lock(&room->lock);
        granted = grant_all(room);
        pthread_mutex_unlock(&room->lock);
        for (worker = 0; worker < room->workers; worker++) {
            if (has_granted(room, worker))
                call(owner, worker);
        }
        return granted;
    }
    while (granted < count && grant_one(room, NO_HORIZON, WAITING_PASSES, call, owner))
        granted++;
    return granted;
}

void waiting_pass(struct waiting_ticket *ticket, waiting_call *call, void *owner)
{
    struct waiting_room *room = ticket->room;
    uint32_t passes = ticket->passes;

    ticket->room = NULL;
    ticket->passes = 0;
    if (room && passes && waiting_count(room))
        grant_one(room, ticket->horizon, passes - 1, call, owner);
}

/* Under the lock. */
static size_t take_line(struct waiting_room *room, uint32_t number,
                        struct waiting_ticket *ret_tickets, size_t max)
{
    struct line *line = &room->lines[number];
    size_t count = 0;

    while (count < max && granted_of(line)) {
        uint32_t at = room->seats[number].next;

        ret_tickets[count++] = room->seats[at].ticket;
        add_granted(line, (uint32_t)-1);
        stand_up(room, at);
    }
    return count;
}

size_t waiting_take(struct waiting_room *room, uint32_t worker, struct waiting_ticket *ret_tickets,
                    size_t max)
{
    size_t count = 0;

    if (!has_granted(room, worker))
        return 0;
    pthread_mutex_lock(&room->lock);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        count += take_line(room, line_at(worker, p), ret_tickets + count, max - count);
    pthread_mutex_unlock(&room->lock);
    return count;
}

uint32_t waiting_count(const struct waiting_room *room)
{
    /* A write that changes nothing: see sit_down. ThreadSanitizer knows no fences. */
    return atomic_fetch_add(&((struct waiting_room *)(uintptr_t)room)->count, 0);
}
