/*
 * A large body of a request that is told anew away from its worker. It takes the client's body and
 * what was read of it along, and a lease of its own that both count against.
 */
#ifndef EXCHANGE_REWRITE_ERRAND_H
#define EXCHANGE_REWRITE_ERRAND_H

#include <stdint.h>

#include "exchange/away.h"
#include "exchange/rewrite.h"

struct rewrite_errand {
    struct away away;
    struct rewrite rewrite;
    struct body *body;       /* what rewrite.body reads */
    struct body_lease lease; /* of the budget of all bodies */
    uint64_t media_bytes;    /* of what was fetched for the translation */
    struct buf told;
    struct chat_drops drops;
    struct chat_refusal refusal;
    int err;       /* of rewrite_run */
    char models[]; /* that the rewrite names: the exchange, with its own, may go before */
};

#endif
