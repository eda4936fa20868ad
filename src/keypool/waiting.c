#include "keypool/waiting.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

enum { FIRST_SEATS = 64, NOBODY = 0, NO_CROWD = WAITING_CROWDS, REST = WAITING_CROWDS - 1 };

/* While so many stand granted, who finds something has one more granted, not two: else half of a
 * large crowd would be on its way when there is nothing left. */
enum { MANY_GRANTED = 64 };

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

/* How a grant goes out. */
struct grant {
    bool is_moment;
    uint32_t missed, passes;
};

/* Workers to be called, once the lock is given back. */
struct calls {
    uint32_t workers[WAITING_FIRST];
    uint32_t count;
};

static void make_calls(const struct calls *calls, waiting_call *call, void *owner)
{
    for (uint32_t i = 0; i < calls->count; i++)
        call(owner, calls->workers[i]);
}

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

/* The heads of lists. */
static uint32_t granted_at(uint32_t worker, enum priority priority)
{
    return worker * PRIORITIES + priority;
}

static uint32_t waiting_at(const struct waiting_room *room, uint32_t crowd, enum priority priority)
{
    return (room->workers + crowd) * PRIORITIES + priority;
}

static void link_before(struct waiting_room *room, uint32_t at, uint32_t next)
{
    struct seat *seats = room->seats;

    seats[at].prev = seats[next].prev;
    seats[at].next = next;
    seats[seats[next].prev].next = at;
    seats[next].prev = at;
}

static void unlink_seat(struct waiting_room *room, uint32_t at)
{
    struct seat *seats = room->seats;

    seats[seats[at].prev].next = seats[at].next;
    seats[seats[at].next].prev = seats[at].prev;
}

static void free_seat(struct waiting_room *room, uint32_t at)
{
    room->seated--;
    room->seats[at].state = SEAT_FREE;
    room->seats[at].next = room->free;
    room->free = at;
}

static void add_wanted(struct waiting_room *room, uint32_t worker, uint32_t count)
{
    _Atomic uint32_t *wanted = &room->wanted[worker];

    atomic_store_explicit(wanted, atomic_load_explicit(wanted, memory_order_relaxed) + count,
                          memory_order_relaxed);
    room->granted += count;
}

/* ---- crowds ---- */

static bool is_empty(const struct crowd *crowd)
{
    uint32_t waiting = 0;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        waiting += crowd->waiting[p];
    return waiting == 0;
}

/* One that is empty stays until another need wants its place: those who were granted come back to
 * it, and must not begin a round of their own. NO_CROWD: there is none. */
static uint32_t find_crowd(const struct waiting_room *room, uint64_t need)
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

/* No longer among those that wait. */
static void stop_waiting(struct waiting_room *room, uint32_t at)
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

/* NULL where it has been taken. Under the lock. */
static struct seat *seat_of(const struct waiting_room *room, waiting_place place)
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
    seat = seat_of(room, *place);
    if (seat) {
        uint32_t at = (uint32_t)*place;

        was_granted = seat->state == SEAT_GRANTED;
        if (was_granted) {
            *ret_ticket = seat->ticket;
            add_wanted(room, seat->ticket.worker, (uint32_t)-1);
            unlink_seat(room, at);
        } else {
            stop_waiting(room, at);
        }
        free_seat(room, at);
    }
    pthread_mutex_unlock(&room->lock);
    *place = 0;
    return !was_granted;
}

/* ---- granting: all of it under the lock ---- */

static void grant_seat(struct waiting_room *room, uint32_t at, struct grant how,
                       struct calls *calls)
{
    struct waiting_ticket *ticket = &room->seats[at].ticket;

    ticket->round = room->crowds[room->seats[at].crowd].round;
    ticket->room = room;
    ticket->is_moment = how.is_moment;
    ticket->missed = how.missed;
    ticket->passes = how.passes;
    stop_waiting(room, at);
    room->seats[at].state = SEAT_GRANTED;
    link_before(room, at, granted_at(ticket->worker, ticket->priority));
    add_wanted(room, ticket->worker, 1);
    calls->workers[calls->count++] = ticket->worker;
}

/* The first of that class in a crowd who has not asked in this round. Few have: they are the
 * WAITING_LOOKS that came back to their places in front. */
static uint32_t first_of(const struct waiting_room *room, uint32_t crowd, enum priority priority)
{
    uint32_t head = waiting_at(room, crowd, priority), at = room->seats[head].next;

    while (at != head && room->seats[at].ticket.round == room->crowds[crowd].round)
        at = room->seats[at].next;
    return at == head ? NOBODY : at;
}

/* False where all of the crowd have asked in this round. */
static bool grant_in(struct waiting_room *room, uint32_t number, struct grant how,
                     struct calls *calls)
{
    uint32_t firsts[PRIORITIES], waiting = 0;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        firsts[p] = first_of(room, number, p);
        waiting |= firsts[p] == NOBODY ? 0 : 1u << p;
    }
    if (!waiting)
        return false;
    grant_seat(room, firsts[priority_next(&room->crowds[number].turns, waiting)], how, calls);
    return true;
}

static void begin_round(struct waiting_room *room, uint32_t number)
{
    room->crowds[number].round = ++room->rounds;
    room->crowds[number].misses = 0;
}

/* Of that class the crowd whose first came first, but for those that have missed. */
static uint32_t longest(const struct waiting_room *room, enum priority priority, uint32_t missed)
{
    uint32_t found = NO_CROWD;
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < WAITING_CROWDS; i++) {
        uint32_t head = waiting_at(room, i, priority);
        const struct seat *first = &room->seats[room->seats[head].next];

        if (!room->crowds[i].waiting[priority] || (missed & (1u << i)) ||
            first->ticket.order >= least)
            continue;
        found = i;
        least = first->ticket.order;
    }
    return found;
}

/* Of that class who came first and has not asked, over all crowds whose moment has come. */
static uint32_t first_open(const struct waiting_room *room, enum priority priority)
{
    uint32_t found = NOBODY;

    for (uint32_t i = 0; i < WAITING_CROWDS; i++) {
        const struct crowd *crowd = &room->crowds[i];
        uint32_t at =
            crowd->is_open && crowd->waiting[priority] ? first_of(room, i, priority) : NOBODY;

        if (at != NOBODY &&
            (found == NOBODY || room->seats[at].ticket.order < room->seats[found].ticket.order))
            found = at;
    }
    return found;
}

/* One more of those whose moment has come, whatever it is that they need: classes go before the
 * order in which crowds were looked at. False where nobody is left. */
static bool grant_open(struct waiting_room *room, struct calls *calls)
{
    uint32_t firsts[PRIORITIES], waiting = 0;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        firsts[p] = first_open(room, p);
        waiting |= firsts[p] == NOBODY ? 0 : 1u << p;
    }
    if (!waiting)
        return false;
    grant_seat(room, firsts[priority_next(&room->turns, waiting)],
               (struct grant){.is_moment = true}, calls);
    return true;
}

/* Something came free: false where nobody waits but in the crowds that have missed. */
static bool grant_any(struct waiting_room *room, struct grant how, struct calls *calls)
{
    uint32_t crowds[PRIORITIES], waiting = 0, number;
    enum priority priority;

    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        crowds[p] = longest(room, p, how.missed);
        waiting |= crowds[p] == NO_CROWD ? 0 : 1u << p;
    }
    if (!waiting)
        return false;
    priority = priority_next(&room->turns, waiting);
    number = crowds[priority];
    begin_round(room, number);
    grant_seat(room, first_of(room, number, priority), how, calls);
    return true;
}

static uint32_t grant_firsts(struct waiting_room *room, waiting_call *call, void *owner)
{
    const struct grant how = {.is_moment = true};
    uint32_t granted = 0;

    for (uint32_t i = 0; i < WAITING_CROWDS; i++) {
        struct calls calls = {.count = 0};

        pthread_mutex_lock(&room->lock);
        begin_round(room, i);
        room->crowds[i].is_open = true;
        while (calls.count < WAITING_FIRST && grant_in(room, i, how, &calls)) {
        }
        pthread_mutex_unlock(&room->lock);
        make_calls(&calls, call, owner);
        granted += calls.count;
    }
    return granted;
}

uint32_t waiting_grant(struct waiting_room *room, uint32_t count, waiting_call *call, void *owner)
{
    const struct grant how = {.passes = WAITING_PASSES};
    uint32_t granted = 0;
    bool is_there = true;

    if (count == 0 || waiting_count(room) == 0)
        return 0;
    if (count == UINT32_MAX)
        return grant_firsts(room, call, owner);
    while (granted < count && is_there) {
        struct calls calls = {.count = 0};

        pthread_mutex_lock(&room->lock);
        is_there = grant_any(room, how, &calls);
        pthread_mutex_unlock(&room->lock);
        make_calls(&calls, call, owner);
        granted += calls.count;
    }
    return granted;
}

/* ---- moments ---- */

static void note_look(struct crowd *crowd, uint64_t look_us)
{
    if (look_us < crowd->look_us)
        crowd->look_us = look_us;
}

bool waiting_tell(struct waiting_room *room, waiting_place place, uint64_t look_us)
{
    const struct seat *seat;
    bool is_led = false;

    pthread_mutex_lock(&room->lock);
    seat = seat_of(room, place);
    /* One that has been granted meanwhile will ask, and tell. */
    if (seat && seat->state == SEAT_WAITS && seat->crowd != REST)
        note_look(&room->crowds[seat->crowd], look_us);
    is_led = seat && (seat->state == SEAT_GRANTED || seat->crowd != REST);
    pthread_mutex_unlock(&room->lock);
    return is_led;
}

uint64_t waiting_look(struct waiting_room *room, uint64_t now_us, waiting_call *call, void *owner)
{
    uint64_t next_us = WAITING_NEVER;

    if (waiting_count(room) == 0)
        return next_us;
    for (uint32_t i = 0; i < REST; i++) {
        struct crowd *crowd = &room->crowds[i];
        struct calls calls = {.count = 0};

        pthread_mutex_lock(&room->lock);
        if (crowd->look_us <= now_us) {
            crowd->look_us = WAITING_NEVER;
            begin_round(room, i);
            crowd->is_open = true;
            (void)grant_in(room, i, (struct grant){.is_moment = true}, &calls);
        } else if (crowd->look_us < next_us) {
            next_us = crowd->look_us;
        }
        pthread_mutex_unlock(&room->lock);
        make_calls(&calls, call, owner);
    }
    return next_us;
}

/* ---- what became of a grant ---- */

/* The room whose grant the ticket holds; from now on it holds none. */
static struct waiting_room *drop_grant(struct waiting_ticket *ticket)
{
    struct waiting_room *room = ticket->room;

    ticket->room = NULL;
    return room;
}

void waiting_use(struct waiting_ticket *ticket, waiting_call *call, void *owner)
{
    struct waiting_room *room = drop_grant(ticket);
    struct calls calls = {.count = 0};
    uint32_t more;

    if (!room || !ticket->is_moment || waiting_count(room) == 0)
        return;
    pthread_mutex_lock(&room->lock);
    more = room->granted < MANY_GRANTED ? 2 : 1;
    while (calls.count < more && grant_open(room, &calls)) {
    }
    pthread_mutex_unlock(&room->lock);
    make_calls(&calls, call, owner);
}

/* Under the lock: to the next of its crowd; what came free goes on to other crowds. */
static void hand_on(struct waiting_room *room, const struct waiting_ticket *ticket, uint32_t number,
                    struct calls *calls)
{
    struct grant how = {ticket->is_moment, ticket->missed, ticket->passes};

    if (number != NO_CROWD && room->crowds[number].misses < WAITING_LOOKS &&
        grant_in(room, number, how, calls))
        return;
    if (how.is_moment || how.passes == 0)
        return;
    how.passes--;
    how.missed |= number == NO_CROWD ? 0 : 1u << number;
    (void)grant_any(room, how, calls);
}

void waiting_miss(struct waiting_ticket *ticket, uint64_t look_us, waiting_call *call, void *owner)
{
    struct waiting_room *room = drop_grant(ticket);
    struct calls calls = {.count = 0};
    uint32_t number;

    if (!room || waiting_count(room) == 0)
        return;
    pthread_mutex_lock(&room->lock);
    number = find_crowd(room, ticket->need);
    if (number != NO_CROWD) {
        struct crowd *crowd = &room->crowds[number];

        crowd->is_open &= ++crowd->misses < WAITING_LOOKS;
        note_look(crowd, look_us);
    }
    hand_on(room, ticket, number, &calls);
    pthread_mutex_unlock(&room->lock);
    make_calls(&calls, call, owner);
}

void waiting_pass(struct waiting_ticket *ticket, waiting_call *call, void *owner)
{
    struct waiting_room *room = drop_grant(ticket);
    struct calls calls = {.count = 0};

    if (!room || waiting_count(room) == 0)
        return;
    pthread_mutex_lock(&room->lock);
    hand_on(room, ticket, find_crowd(room, ticket->need), &calls);
    pthread_mutex_unlock(&room->lock);
    make_calls(&calls, call, owner);
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
