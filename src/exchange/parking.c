#include "exchange/parking.h"

#include "base/alloc.h"
#include "base/err.h"

void parking_init(struct parking *parking, uint32_t worker)
{
    *parking = (struct parking){.worker = worker};
}

void parking_fini(struct parking *parking)
{
    mem_free(parking->spots);
    parking_init(parking, parking->worker);
}

static int grow(struct parking *parking)
{
    size_t cap = parking->cap ? parking->cap * 2 : 64;
    struct parking_spot *spots = mem_realloc(parking->spots, cap * sizeof(*spots));

    if (!spots)
        return ERR_NOMEM;
    parking->spots = spots;
    parking->cap = cap;
    return 0;
}

int parking_enter(struct parking *parking, struct exchange *x, struct waiting_ticket *ret_ticket)
{
    struct parking_spot *spot;
    uint32_t number;

    if (parking->first_free) {
        number = parking->first_free - 1;
        parking->first_free = parking->spots[number].next_free;
    } else {
        if (parking->count == parking->cap && grow(parking))
            return ERR_NOMEM;
        number = (uint32_t)parking->count++;
        parking->spots[number].generation = 0;
    }
    spot = &parking->spots[number];
    spot->x = x;
    *ret_ticket = (struct waiting_ticket){parking->worker, ++spot->generation, number};
    return 0;
}

struct exchange *parking_find(const struct parking *parking, struct waiting_ticket ticket)
{
    if (ticket.id >= parking->count || parking->spots[ticket.id].generation != ticket.generation)
        return NULL;
    return parking->spots[ticket.id].x;
}

void parking_leave(struct parking *parking, struct waiting_ticket ticket)
{
    if (!parking_find(parking, ticket))
        return;
    parking->spots[ticket.id].x = NULL;
    parking->spots[ticket.id].generation++;
    parking->spots[ticket.id].next_free = parking->first_free;
    parking->first_free = (uint32_t)ticket.id + 1;
}
