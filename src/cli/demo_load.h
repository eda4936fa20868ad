/*
 * Clients of the demo that ask at an even pace, whatever becomes of their requests, and the count
 * of what they were answered. The thread of the loop.
 */
#ifndef CLI_DEMO_LOAD_H
#define CLI_DEMO_LOAD_H

#include <stdint.h>

#include "io/addr.h"
#include "io/loop.h"

struct demo_load;

/* What came of the requests of a time. */
struct demo_count {
    uint64_t answered;
    uint64_t refused;        /* 429 */
    uint64_t failed;         /* any other way, or nobody was free to ask */
    uint64_t p50_us, p90_us; /* of the answered; 0 where there are none */
};

/* ask: the request, JSON, borrowed. Begins with demo_load_start. NULL without memory. */
struct demo_load *demo_load_new(struct loop *loop, const struct addr *addr, const char *ask,
                                uint32_t per_second);
/* Accepts a pointer to NULL. */
void demo_load_free(struct demo_load **place);

/* 0 or ERR_NOMEM. */
int demo_load_start(struct demo_load *load);
/* Asks no more; what is under way goes on. */
void demo_load_stop(struct demo_load *load);

/* Requests under way. */
uint32_t demo_load_under_way(const struct demo_load *load);

/* Two counts run side by side, each emptied by itself. */
enum demo_span { DEMO_SECOND, DEMO_ROUND, DEMO_SPANS };

/* What was counted since the last time, which begins anew. */
struct demo_count demo_load_take(struct demo_load *load, enum demo_span span);

#endif
