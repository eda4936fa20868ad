/*
 * A bulkhead: how many exchanges of one class may run at once, how many requests and tokens a
 * minute they may be, and whose turn it is among those that wait. The clients of a class go in turn
 * (limits/fair_queue.h), each exchange at the cost of one: what they share is places, and for how
 * long one will be held is known to nobody; what a client announces, max_tokens, would cost those
 * who are honest.
 *
 * The queue is bounded. Where it is full, one of a client that has fewer in it takes the place of
 * the last one of a client that has most: a greedy one does not keep the others out. Who would have
 * no turn by its time, judged by how long places were held of late and by what the rates allow
 * those before it, is told at once. An exchange
 * may be held back until a moment (a window that opens); it counts as waiting from the beginning,
 * is judged as one that comes when it is released, and may be held anew while it stands in line.
 *
 * Requests and tokens are taken with the turn: those who wait have used none. Where a rate is what
 * the line stands for, nobody may be left to hand on a turn: whoever finds it so is asked to grant
 * again in time (bulkhead_caller's later), and what is given back moves the line sooner. The next
 * one in line is waited for, however much it asks for: small ones don't pass a large one.
 *
 * Shared by all workers. Who finds room and nobody waiting takes a place by one read-modify-write
 * of one word, and gives it back by one, with rates by two each; all else is under a lock, held for
 * a few instructions. Who waits is a link inside the exchange, and on its own worker alone it comes
 * and goes; so a grant needs no memory, and the lock is what keeps a late one from finding nobody.
 * The owner outlives all who are in it.
 */
#ifndef LIMITS_BULKHEAD_H
#define LIMITS_BULKHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/sm.h"
#include "base/span.h"
#include "limits/fair_queue.h"
#include "limits/rates.h"

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
    struct sm state;          /* under the lock */
    struct fair_entry entry;  /* while it waits */
    struct list link;         /* once its wait is over, until it is taken */
    struct rates_taken taken; /* with its turn */
    void *owner;
    uint32_t worker;
};

/* Has the worker look for its own (bulkhead_take); called without the lock. */
typedef void bulkhead_call(void *owner, uint32_t worker);

/* The next in line stands for a rate until then: bulkhead_grant is to be called at that moment, by
 * whom does not matter. Called without the lock; never where there are no rates. */
typedef void bulkhead_later(void *owner, uint64_t at_us);

struct bulkhead_caller {
    bulkhead_call *call;
    void *owner;
    bulkhead_later *later;
    uint64_t now_us; /* where there are rates */
};

/* NULL without memory. */
struct bulkhead *bulkhead_new(uint32_t workers);
/* Nobody may be in it. Accepts a pointer to NULL. */
void bulkhead_free(struct bulkhead **place);

struct bulkhead_rules {
    uint32_t concurrent; /* 0: no limit; who runs is counted all the same */
    uint32_t queue;      /* that may wait, held ones included */
    struct rates_rules rates;
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
    uint64_t tokens;        /* that it will use, about; also where no rates are set yet */
};

/* What is told to one that is refused. */
struct bulkhead_refusal {
    uint64_t retry_us; /* in how long it would be let in; 0: not known */
    bool is_limited;   /* for want of a rate rather than of a place: */
    enum rates_what what;
    struct rates_reading reading;
};

/* The uncontended way in, without lock: BULKHEAD_FREE, BULKHEAD_TAKEN, or BULKHEAD_WAITS where
 * bulkhead_enter must be asked. tokens, now_us: where there are rates. *ret_taken is written
 * with BULKHEAD_TAKEN where there are, and may be NULL where there are none. */
enum bulkhead_verdict bulkhead_try(struct bulkhead *bulkhead, uint64_t tokens, uint64_t now_us,
                                   struct rates_taken *ret_taken);

/* Enters, or stands in line. *ret_refusal is written with FULL and LATE, waiter->taken with
 * TAKEN. */
enum bulkhead_verdict bulkhead_enter(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                     const struct bulkhead_ask *ask,
                                     const struct bulkhead_caller *caller,
                                     struct bulkhead_refusal *ret_refusal);

/* One that stands in line is held from now on, and so may those behind it be in a moment: where
 * there are rates, the line goes on only after that (bulkhead_caller's later). Nothing where it has
 * been granted or displaced, and where the class is gone. */
void bulkhead_hold(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                   const struct bulkhead_caller *caller);

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

/* Takes the place that it was granted, of which its worker was not told yet; false: it was not. */
bool bulkhead_claim(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter);

/* Leaves before it runs; a place that was granted meanwhile is the next one's. Nothing where the
 * waiter stands nowhere. */
void bulkhead_quit(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                   const struct bulkhead_caller *caller);

/* What one that runs took came to so many tokens. Those that wait for it are granted by the
 * bulkhead_leave that must follow. */
void bulkhead_settle(struct bulkhead *bulkhead, const struct rates_taken *taken, uint64_t used,
                     uint64_t now_us);

/* Gives back the place held since then, to the next one where somebody waits. waiter: under which
 * it was granted, or NULL. */
void bulkhead_leave(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter, uint64_t since_us,
                    uint64_t now_us, const struct bulkhead_caller *caller);

/* Grants what is free to those that wait. Returns how many. */
uint32_t bulkhead_grant(struct bulkhead *bulkhead, const struct bulkhead_caller *caller);

/* What one is told that asks so and is refused: until the next turn, and longer where it would then
 * be late; or (is_late) until it would not be late. Where the waiter still stands in line, it quits
 * first: it is not told to wait for itself. */
struct bulkhead_refusal bulkhead_refuse(struct bulkhead *bulkhead, struct bulkhead_waiter *waiter,
                                        const struct bulkhead_ask *ask, bool is_late,
                                        const struct bulkhead_caller *caller);

/* Its limit of that kind as it stands; no lock. */
struct rates_reading bulkhead_read(const struct bulkhead *bulkhead, enum rates_what what,
                                   uint64_t now_us);

/* At some recent moment; no lock. */
uint32_t bulkhead_running(const struct bulkhead *bulkhead);
uint32_t bulkhead_waiting(const struct bulkhead *bulkhead);

#endif
