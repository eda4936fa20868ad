/*
 * Work that would hold up an event loop, done by a few helper threads behind one bounded line: so
 * names are looked up, and large bodies told anew; those that nobody waits for come last. A job is
 * its maker's until it is asked for, the helpers' until it comes back by mail to the loop that it
 * names, and its maker's again from on_done on; nobody else may touch meanwhile what it works on.
 * One set of helpers serves all loops.
 */
#ifndef IO_HELPERS_H
#define IO_HELPERS_H

#include <stdbool.h>
#include <stddef.h>

#include "io/loop.h"

struct helpers;

/* Embedded in what it works on. loop, is_spare, work and on_done are its maker's. */
struct helper_job {
    struct loop_mail mail;
    struct helper_job *next;
    struct loop *loop; /* where it comes back; must live until then */
    bool is_spare;     /* nobody waits for it: it is done while there is no other */
    void (*work)(struct helper_job *job);             /* on a helper thread */
    void (*on_done)(struct helper_job *job, int err); /* on the loop's; err: see helpers_ask */
    int err;
};

/* NULL without memory or thread; fewer threads than asked for do as well. */
struct helpers *helpers_new(size_t threads, size_t max_queued);

/* Waits for the jobs under way; the others come back with ERR_CANCELLED. Accepts a pointer to NULL.
 */
void helpers_free(struct helpers **helpers);

/* on_done is always called, never before this returns: with 0 when the work was done, else with
 * ERR_FULL (the line) or ERR_CANCELLED. Any thread. */
void helpers_ask(struct helpers *helpers, struct helper_job *job);

/* Sends a job back as it is, for which there is nothing to do. Any thread. */
void helper_job_return(struct helper_job *job, int err);

#endif
