/*
 * A ramp: a share that grows by steps to the whole, each step held for a time. What ramps (a key, a
 * provider, a model's target) and whether it does well is not known here: a gate is an argument.
 * Time is summed up from small pieces: a clock that jumps ahead, or a process that slept, cannot
 * skip a step, and one that jumps back cannot hold one up. Embedded in who ramps; the control
 * thread. Pure.
 */
#ifndef CANARY_RAMP_H
#define CANARY_RAMP_H

#include <stdbool.h>
#include <stdint.h>

#define RAMP_WHOLE_PPM UINT32_C(1000000)

/* The most that one tick adds to a step's time: what is looked at every 100 ms and has not been for
 * longer than this was not watched, and time that nobody watched proves nothing. */
#define RAMP_TICK_MAX_US UINT64_C(5000000)

enum { RAMP_MAX_STEPS = 1000 };

struct ramp_settings {
    uint32_t initial_ppm; /* share of the first step */
    uint32_t stride_ppm;  /* what each further step adds; 0: equal steps that end with the whole */
    uint32_t steps;       /* number of steps, the first included; 0: there is no ramp */
    uint64_t first_us;    /* how long the first step lasts */
    uint64_t every_us;    /* how long each other lasts */
};

struct ramp {
    uint32_t step;       /* from 0 */
    uint64_t elapsed_us; /* of this step, watched and not held */
    uint64_t last_us;    /* the clock at the last tick */
    bool is_held;        /* by the operator */
};

enum ramp_move {
    RAMP_STAYS,
    RAMP_STEPS, /* the next step has begun: there is another share */
    RAMP_ENDS,  /* the last step is over; told again by each tick while its gate is open */
};

/* `canary: {initial, steps, every}`: equal steps from initial to the whole, both among them. No
 * steps, or an initial share of the whole: no ramp. More than RAMP_MAX_STEPS are cut. */
struct ramp_settings ramp_in_steps(uint32_t initial_ppm, uint32_t steps, uint64_t every_us);

/* `migration: {initial, first_hold, step, every}`: as many steps as it takes; the last may be a
 * shorter one. A stride that would take more than RAMP_MAX_STEPS is widened. */
struct ramp_settings ramp_in_strides(uint32_t initial_ppm, uint32_t stride_ppm, uint64_t first_us,
                                     uint64_t every_us);

/* False where there is nothing to ramp: all of it at once. */
bool ramp_is_on(const struct ramp_settings *settings);

/* At the first step, whose time begins now. */
void ramp_init(struct ramp *ramp, uint64_t now_us);

/* The share that stands now; the whole where there is no ramp. */
uint32_t ramp_share_ppm(const struct ramp *ramp, const struct ramp_settings *settings);

/* The operator's: back to the last step whose share is no larger than that, or to the first; its
 * time begins anew. */
void ramp_step_back(struct ramp *ramp, const struct ramp_settings *settings, uint32_t share_ppm);

/* What is left of this step's time, if the gate then is open. */
uint64_t ramp_left_us(const struct ramp *ramp, const struct ramp_settings *settings);

/* Time goes on; to be called often (RAMP_TICK_MAX_US). At most one step is taken at a time, and
 * only where this one has lasted, the gate is open, and nobody holds it. */
enum ramp_move ramp_tick(struct ramp *ramp, const struct ramp_settings *settings, bool is_gate_open,
                         uint64_t now_us);

/* The operator's: while it is held no time counts and no step is taken. */
void ramp_hold(struct ramp *ramp, bool is_held);

/* The operator's: the next step now, whatever its time and gate; ends a hold. False at the last. */
bool ramp_advance(struct ramp *ramp, const struct ramp_settings *settings);

#endif
