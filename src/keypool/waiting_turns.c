#include "keypool/waiting_inner.h"

/* While so many stand granted, who finds something has one more granted, not two: else half of a
 * large crowd would be on its way when there is nothing left. */
enum { MANY_GRANTED = 64 };

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

/* ---- granting: under the lock ---- */

static void grant_seat(struct waiting_room *room, uint32_t at, struct grant how,
                       struct calls *calls)
{
    struct waiting_ticket *ticket = &room->seats[at].ticket;

    ticket->round = room->crowds[room->seats[at].crowd].round;
    ticket->room = room;
    ticket->is_moment = how.is_moment;
    ticket->missed = how.missed;
    ticket->passes = how.passes;
    waiting_stand_up(room, at);
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
    seat = waiting_seat_of(room, place);
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
    number = waiting_find_crowd(room, ticket->need);
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
    hand_on(room, ticket, waiting_find_crowd(room, ticket->need), &calls);
    pthread_mutex_unlock(&room->lock);
    make_calls(&calls, call, owner);
}
