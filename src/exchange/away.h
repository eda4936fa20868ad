/*
 * A large piece of an exchange's work on its way to a helper thread and back; embedded in what it
 * works on. That alone holds, while it is away, all that the work takes: the exchange has given it
 * away for as long, so that nothing is ever used by two threads, and may go before it comes back.
 * Made and freed on the exchange's worker.
 */
#ifndef EXCHANGE_AWAY_H
#define EXCHANGE_AWAY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "io/helpers.h"
#include "keypool/waiting.h"

struct exchange;
struct exchange_host;

/* From how many bytes on a body is large: reading it and telling it anew takes 1 to 1.5
 * milliseconds a megabyte, so that less takes no more than a third of a millisecond of a turn; the
 * way to a helper and back costs some tens of microseconds. */
enum { AWAY_LARGE_BYTES = 256 << 10 };

struct away {
    struct helper_job job;
    struct exchange_host *host;
    struct waiting_ticket ticket;      /* of the exchange that waits */
    void (*work)(struct away *away);   /* on a helper thread */
    void (*forget)(struct away *away); /* frees all of it: nobody waits any more */
    bool is_back;                      /* the exchange has it again */
    bool is_done;                      /* with the work done */
    struct {
        /* Set by the worker when nobody waits any more, read by the helper: relaxed, for nothing
         * hangs on it but time. */
        atomic_bool is_unwanted;
    } shared;
};

/* The exchange gets a ticket for it: 0 or ERR_NOMEM. Then away_send must follow. */
int away_enter(struct away *away, struct exchange *x);

/* Sends it, with work and forget set; the exchange is run, in the step that it stands in, when it
 * is back. */
void away_send(struct away *away, struct exchange *x);

/* It is of no use any more: forgotten, now or when it comes back. */
void away_leave(struct away *away, struct exchange *x);

#endif
