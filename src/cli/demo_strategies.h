/*
 * The demo of ways to choose a key: the same even load under one `selection` after another, over
 * keys whose limits differ, with a line a second; half-way through each, one key becomes slow. Then
 * the load goes on under the last, until somebody changes the file. The thread of the loop.
 */
#ifndef CLI_DEMO_STRATEGIES_H
#define CLI_DEMO_STRATEGIES_H

#include <stdbool.h>

#include "io/addr.h"
#include "io/loop.h"
#include "sim/sim.h"

struct demo_strategies;

/* What the simulator plays for it: a scenario's text. */
extern const char demo_strategies_scenario[];

/* Writes the gateway's file for that round (0: the first) before that simulator: 0, or -1 with
 * errno. */
int demo_strategies_write(const char *path, const struct sim *sim, unsigned round);

struct demo_strategies_options {
    struct loop *loop;
    struct sim *sim;            /* with demo_strategies_scenario */
    const struct addr *gateway; /* copied; it has read the file of round 0 */
    const char *path;           /* of that file; borrowed */
    const char *ask;            /* a client's request, JSON; borrowed */
    bool is_once;               /* ends after the last round */
    void (*reload)(void *owner);
    /* It is over; why: what went wrong, NULL: nothing. Not before the next turn; it may free
     * the show. */
    void (*on_end)(void *owner, const char *why);
    void *owner;
};

/* Begins at once. NULL without memory. */
struct demo_strategies *demo_strategies_new(const struct demo_strategies_options *options);

/* Accepts a pointer to NULL. */
void demo_strategies_free(struct demo_strategies **place);

#endif
