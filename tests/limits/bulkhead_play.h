/*
 * A bulkhead under test, and how often each worker was called. Included by the tests of bulkheads.
 */
#ifndef TESTS_LIMITS_BULKHEAD_PLAY_H
#define TESTS_LIMITS_BULKHEAD_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "limits/bulkhead.h"

enum { WORKERS = 2 };

static const uint64_t start = 1000 * US_PER_SEC;

struct play {
    struct bulkhead *bulkhead;
    struct bulkhead_caller caller;
    unsigned calls[WORKERS];
    struct bulkhead_refusal refusal;
};

static inline void note_call(void *owner, uint32_t worker)
{
    ((struct play *)owner)->calls[worker]++;
}

static inline void begin(struct play *play, uint32_t concurrent, uint32_t queue)
{
    const struct bulkhead_rules rules = {.concurrent = concurrent, .queue = queue};

    *play = (struct play){.caller = {note_call, play}};
    play->bulkhead = bulkhead_new(WORKERS);
    assert_non_null(play->bulkhead);
    bulkhead_set(play->bulkhead, &rules);
}

/* A held one stands in line from now on, at the time of its ask. */
static inline enum bulkhead_verdict release_by(struct play *play, struct bulkhead_waiter *waiter,
                                               const struct bulkhead_ask *ask, uint64_t now_us)
{
    struct bulkhead_ask now = *ask;

    now.now_us = now_us;
    now.held_until_us = 0;
    return bulkhead_release(play->bulkhead, waiter, &now, &play->caller);
}

static inline void end(struct play *play)
{
    assert_int_equal(bulkhead_running(play->bulkhead), 0);
    assert_int_equal(bulkhead_waiting(play->bulkhead), 0);
    bulkhead_free(&play->bulkhead);
    bulkhead_free(&play->bulkhead);
}

#endif
