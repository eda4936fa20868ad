/*
 * The exchanges of one worker that stand in line in classes with windows, held or not, in the order
 * in which they came. They are looked at when the next window opens or closes, and at least once a
 * minute besides: a wall clock that was set shows within that. A round that looks at all of them
 * takes as many turns of the loop as it needs, a bounded number in each, so that a thousand that a
 * window lets go stand in nobody's way.
 *
 * Embedded in its worker's host. While nobody stands in it, it costs nothing.
 */
#ifndef EXCHANGE_WINDOW_WATCH_H
#define EXCHANGE_WINDOW_WATCH_H

#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"

/* Looks at one; it may leave then, and be gone. */
typedef void window_look(struct list *link);

struct window_watch {
    struct loop *loop;
    window_look *look;
    struct list links;
    struct list *next;  /* whom the round comes to; NULL: none is under way */
    uint64_t change_us; /* the next that was told of */
    struct loop_timer timer;
    struct loop_task round;
};

/* 0 or ERR_NOMEM; window_watch_fini follows either way. */
int window_watch_init(struct window_watch *watch, struct loop *loop, window_look *look);
/* Nobody may stand in it. Accepts one that is zeroed. */
void window_watch_fini(struct window_watch *watch);

/* It stands in it until it leaves, which is harmless where it does not. */
void window_watch_add(struct window_watch *watch, struct list *link);
void window_watch_remove(struct window_watch *watch, struct list *link);

/* For one that stands in it something changes at that moment of the loop's clock. */
void window_watch_note(struct window_watch *watch, uint64_t change_us);

#endif
