/*
 * A large body on its way to a helper thread, which tells it anew (exchange/rewrite), and back to
 * the worker of its exchange. While it is away it alone holds what it works on: the client's body,
 * the request in neutral form, and a lease of its own that both count against; the exchange has
 * none of them, and so none of them is ever used by two threads. It comes back to the exchange, or
 * frees all of it where that has gone. Made and freed on the worker.
 */
#ifndef EXCHANGE_REWRITE_ERRAND_H
#define EXCHANGE_REWRITE_ERRAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "exchange/rewrite.h"
#include "io/helpers.h"
#include "keypool/waiting.h"

struct exchange;
struct exchange_host;

/* From how many bytes on a body is large: reading it and telling it anew takes 1 to 1.5
 * milliseconds a megabyte, so that less takes no more than a third of a millisecond of a turn; the
 * way to a helper and back costs some tens of microseconds. */
enum { REWRITE_LARGE_BYTES = 256 << 10 };

struct rewrite_errand {
    struct helper_job job;
    struct exchange_host *host;
    struct waiting_ticket ticket; /* of the exchange that waits */
    struct rewrite rewrite;
    struct body *body;       /* what rewrite.body reads */
    struct body_lease lease; /* of the budget of all bodies */
    uint64_t media_bytes;    /* of what was fetched for the translation */
    struct buf told;
    struct chat_drops drops;
    struct chat_refusal refusal;
    int err;      /* of rewrite_run; ERR_NOMEM also where the helpers did not come to it */
    bool is_back; /* the exchange has it again, and may take what came of it */
    struct {
        /* Set by the worker when nobody waits any more, read by the helper: relaxed, for nothing
         * hangs on it but time. */
        atomic_bool is_unwanted;
    } shared;
    char models[]; /* that the rewrite names: the exchange, with its own, may go before */
};

#endif
