/*
 * One rate limit as a provider keeps it: so many units (requests or tokens) per period. Embedded in
 * an account; pure, `now_us` is an argument; one thread.
 *
 * bucket: as OpenAI's, full at first, refilled evenly; a burst of the whole limit is allowed, so
 * that any period may see up to twice the limit. sliding: never more than the limit within any
 * period, to the microsecond; the strictest judge of a client that counts for itself.
 */
#ifndef SIM_WINDOW_H
#define SIM_WINDOW_H

#include <stddef.h>
#include <stdint.h>

enum sim_window_kind { SIM_WINDOW_BUCKET, SIM_WINDOW_SLIDING };

enum {
    SIM_WINDOW_MAX_LIMIT = 100000000, /* units per period */
    SIM_WINDOW_MAX_PASSES = 1 << 20,  /* that a sliding window remembers; then it is as if full */
};

struct sim_pass {
    uint64_t at_us, units;
};

struct sim_window {
    enum sim_window_kind kind;
    uint64_t limit; /* 0: none; then everything passes */
    uint64_t period_us;
    uint64_t now_us;         /* of the last call: time that goes back is held here */
    uint64_t used;           /* sliding: units within the period; bucket: units * period_us */
    struct sim_pass *passes; /* sliding: a ring, oldest at `first` */
    size_t first, count, cap;
};

/* limit up to SIM_WINDOW_MAX_LIMIT; period_us at least 1 and at most a day. Allocates nothing. */
void sim_window_init(struct sim_window *window, enum sim_window_kind kind, uint64_t limit,
                     uint64_t period_us);
void sim_window_fini(struct sim_window *window);

/* How long until so many units may pass: 0 now; UINT64_MAX: never, they are over the limit. */
uint64_t sim_window_wait_us(struct sim_window *window, uint64_t units, uint64_t now_us);

/* Lets units pass whose wait is 0: 0, or ERR_NOMEM with nothing taken. */
int sim_window_take(struct sim_window *window, uint64_t units, uint64_t now_us);

/* Units that may still pass now. */
uint64_t sim_window_remaining(struct sim_window *window, uint64_t now_us);

/* How long until the whole limit is free again, if nothing more passes. */
uint64_t sim_window_reset_us(struct sim_window *window, uint64_t now_us);

#endif
