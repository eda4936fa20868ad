/*
 * The calls of a conversation that wait for their results: how a dialect's reader finds one without
 * the other. Lives in the arena of its request; one thread. Pure.
 */
#ifndef SIM_PAIRING_H
#define SIM_PAIRING_H

#include "base/arena.h"
#include "base/span.h"

enum { SIM_MAX_PAIRS = 1024 };

struct sim_pair {
    struct span id; /* the call's; borrowed */
    bool is_answered;
};

/* Zeroed at its start. */
struct sim_pairing {
    struct sim_pair *pairs;
    size_t count;
};

/* One more call: 0; ERR_EXISTS where its id is open already; ERR_FULL; ERR_NOMEM. */
int sim_pairing_open(struct sim_pairing *pairing, struct arena *arena, struct span id);

/* The call's result has come: 0; ERR_NOTFOUND where there is no such call; ERR_EXISTS where it had
 * one. */
int sim_pairing_answer(struct sim_pairing *pairing, struct span id);

/* The first call that has no result; ptr NULL: all have. */
struct span sim_pairing_unanswered(const struct sim_pairing *pairing);

#endif
