/*
 * A bulkhead: how many exchanges of one class may run at once, and whose turn it is among those
 * that wait. The clients of a class go in turn (limits/fair_queue.h), each exchange at the cost of
 * one: what they share is places, and for how long one will be held is known to nobody; what a
 * client announces, max_tokens, would cost those who are honest.
 *
 * The queue is bounded. Where it is full, one of a client that has fewer in it takes the place of
 * the last one of a client that has most: a greedy one does not keep the others out. Who would have
 * no turn by its time, judged by how long places were held of late, is told at once. An exchange
 * may be held back until a moment (a window that opens); it counts as waiting from the beginning,
 * is judged as one that comes when it is released, and may be held anew while it stands in line.
 *
 * Shared by all workers. Who finds room and nobody waiting takes a place by one read-modify-write
 * of one word, and gives it back by one; all else is under a lock, held for a few instructions. Who
 * waits is a link inside the exchange, and on its own worker alone it comes and goes; so a grant
 * needs no memory, and the lock is what keeps a late one from finding nobody. The owner outlives
 * all who are in it.
 */
#ifndef LIMITS_BULKHEAD_H
#define LIMITS_BULKHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/sm.h"
#include "base/span.h"
#include "limits/fair_queue.h"

struct bulkhead;

/* In the order of a life; bulkhead_state_rows says what each means. */
enum bulkhead_state {
    BULKHEAD_OUTSIDE,
    BULKHEAD_WAITING,
    BULKHEAD_GRANTED,
    BULKHEAD_DISPLACED,
    BULKHEAD_RUNNING,
    BULKHEAD_STATES,
};
extern const struct sm_state bulkhead_state_rows[BULKHEAD_STATES];

/* One who waits. Owned by the exchange, zeroed at first; private, but for the owner. */
struct bulkhead_waiter {
    struct sm state;         /* under the lock */
    struct fair_entry entry; /* while it waits */
    struct list link;        /* once its wait is over, until it is taken */
    void *owner;
    uint32_t worker;
};

/* Has the worker look for its own (bulkhead_take); called without the lock. */
typedef void bulkhead_call(void *owner, uint32_t worker);

struct bulkhead_caller {
    bulkhead_call *call;
    void *owner;
};

/* NULL without memory. */
struct bulkhead *bulkhead_new(uint32_t workers);
/* Nobody may be in it. Accepts a pointer to NULL. */
void bulkhead_free(struct bulkhead **place);

struct bulkhead_rules {
    uint32_t concurrent; /* 0: no limit; who runs is counted all the same */
    uint32_t queue;      /* that may wait, held ones included */
};

/* The rules from now on; NULL: there is no such class any more, and who waits goes on. Who may run
 * by them is granted by bulkhead_grant. The control thread. */
void bulkhead_set(struct bulkhead *bulkhead, const struct bulkhead_rules *rules);

enum bulkhead_verdict {
    BULKHEAD_FREE,  /* there is no such class: goes on, and holds nothing */
    BULKHEAD_TAKEN, /* goes on with a place: bulkhead_leave must follow */
    BULKHEAD_WAITS, /* stands in it: bulkhead_take, bulkhead_release and bulkhead_quit follow */
    BULKHEAD_FULL,  /* as many wait as may, and of no client more than of this one */
    BULKHEAD_LATE,  /* its turn would not come by its time */
    BULKHEAD_NOMEM,
};

struct bulkhead_ask {
    struct span client; /* its name */
    uint32_t worker;
    uint64_t now_us;
    uint64_t until_us;      /* its time; after now */
    uint64_t held_until_us; /* 0, or not after now: it is not held */
};

/* The uncontended way in, without lock: BULKHEAD_FREE, BULKHEAD_TAKEN, or BULKHEAD_WAITS where
 * bulkhead_enter must be asked. */
enum bulkhead_verdict bulkhead_try(struct bulkhead *bulkhead);

/* Enters, or stands in line. With FULL and LATE *ret_retry_us says in how long it would be let in
 * (0: not known). */
enum bulkhead_verdict bulkhead_enter(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                     const struct bulkhead_ask *ask,
                                     const struct bulkhead_caller *caller, uint64_t *ret_retry_us);

/* One that stands in line is held from now on. Nothing where it has been granted or displaced, and
 * where the class is gone. */
void bulkhead_hold(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter);

/* A held one stands in line from now on: BULKHEAD_WAITS; or its turn would not come by its time,
 * and it stands nowhere: BULKHEAD_LATE. ask: as it would enter now. Nothing where it is not held:
 * BULKHEAD_WAITS. */
enum bulkhead_verdict bulkhead_release(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                       const struct bulkhead_ask *ask,
                                       const struct bulkhead_caller *caller);

/* The next one of that worker whose wait is over; or NULL. *ret_has_place: it was granted a place,
 * which it holds from now on; else it was displaced, and stands nowhere. */
struct bulkhead_waiter *bulkhead_take(struct bulkhead *bulkhead, uint32_t worker,
                                      bool *ret_has_place);

/* Leaves before it runs; a place that was granted meanwhile is the next one's. Nothing where the
 * waiter stands nowhere. */
void bulkhead_quit(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                   const struct bulkhead_caller *caller);

/* Gives back the place held since then, to the next one where somebody waits. waiter: under which
 * it was granted, or NULL. */
void bulkhead_leave(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter, uint64_t since_us,
                    uint64_t now_us, const struct bulkhead_caller *caller);

/* Grants what is free to those that wait. Returns how many. */
uint32_t bulkhead_grant(struct bulkhead *bulkhead, const struct bulkhead_caller *caller);

/* In how long one of that client who can wait for so long would be let in; 0: not known. */
uint64_t bulkhead_retry_us(struct bulkhead *bulkhead, struct span client, uint64_t now_us,
                           uint64_t wait_us);

/* At some recent moment; no lock. */
uint32_t bulkhead_running(const struct bulkhead *bulkhead);
uint32_t bulkhead_waiting(const struct bulkhead *bulkhead);

#endif
