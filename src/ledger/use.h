/*
 * What was used: requests, tokens and what they cost, as sums that only grow and stand still at
 * their most. Values; any thread.
 */
#ifndef LEDGER_USE_H
#define LEDGER_USE_H

#include <stdint.h>

#include "base/span.h"

/* The members, with their names in JSON and in the store. */
#define USE_MEMBERS(X)                                                                             \
    X(requests)                                                                                    \
    X(input_tokens)     /* of prompts, cached ones too */                                          \
    X(cached_tokens)    /* of these: read from a cache */                                          \
    X(output_tokens)    /* of answers, reasoning too */                                            \
    X(reasoning_tokens) /* of these */                                                             \
    X(cost_nanousd)     /* thousand-millionths of a dollar, as far as prices are known */          \
    X(unpriced)         /* requests of which the cost is not known */

struct use {
#define X(member) uint64_t member;
    USE_MEMBERS(X)
#undef X
};

/* The most of each member, so that the durable store can take it. */
#define USE_MOST (UINT64_C(1) << 62)

static inline void use_add_one(uint64_t *sum, uint64_t more)
{
    *sum = *sum < USE_MOST && more < USE_MOST - *sum ? *sum + more : USE_MOST;
}

static inline void use_add(struct use *sum, const struct use *more)
{
#define X(member) use_add_one(&sum->member, more->member);
    USE_MEMBERS(X)
#undef X
}

/* Whose it is. */
struct use_of {
    struct span client, model, provider, key; /* no name holds a newline */
};

#endif
