/*
 * Exchanges of one worker that wait for a key, for what is fetched for them, or for a large body
 * that is told anew, each under a number and a generation, so that what comes late finds nothing.
 * Embedded in the host; one thread.
 */
#ifndef EXCHANGE_PARKING_H
#define EXCHANGE_PARKING_H

#include <stddef.h>
#include <stdint.h>

#include "keypool/waiting.h"

struct exchange;

struct parking_spot {
    struct exchange *x; /* NULL: free */
    uint32_t generation;
    uint32_t next_free; /* number + 1 */
};

struct parking {
    struct parking_spot *spots;
    size_t count, cap;
    uint32_t first_free; /* number + 1; 0: none */
    uint32_t worker;
};

void parking_init(struct parking *parking, uint32_t worker);
void parking_fini(struct parking *parking);

/* Gives the exchange a ticket: 0 or ERR_NOMEM. */
int parking_enter(struct parking *parking, struct exchange *x, struct waiting_ticket *ret_ticket);
void parking_leave(struct parking *parking, struct waiting_ticket ticket);

/* Who holds that ticket, or NULL. */
struct exchange *parking_find(const struct parking *parking, struct waiting_ticket ticket);

#endif
