/*
 * From a canary's share to weights in its pool. Its share is of the place that it is to have: its
 * predecessor's. The two together always weigh what the predecessor weighed, so that no other key
 * carries more or less at any time of the ramp; at the whole the predecessor stands at 0 and the
 * canary where it stood, and a way back restores it exactly. Were the share one of the pool's whole
 * traffic, a ramp to 100% would empty the other keys, and promotion had to fill them again; and of
 * ten keys the first 10% would be all of the predecessor's. In a pool of one key both are the same.
 * Both stand in the predecessor's priority. Pure; any thread.
 */
#ifndef CANARY_WEIGHTS_H
#define CANARY_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

struct canary_weights {
    uint32_t canary_milli;
    uint32_t predecessor_milli;
    uint32_t pool_ppm; /* the canary's share of the traffic of all keys of the priority */
};

/* `place_milli`: what the predecessor weighed before the ramp, or, without one, what the new key is
 * to weigh; in thousandths. `others_milli`: the sum of the weights of the other keys of that
 * priority, which change nothing but pool_ppm. `has_predecessor`: it is there to share its place; a
 * leaked key is not, and then the others carry what the canary does not. A canary of any share
 * weighs at least a thousandth: 0 would make it a standby. A place of 0 is a standby's: it has no
 * traffic to be judged by, and both weights are 0 (promote once validated). */
struct canary_weights canary_weigh(uint32_t share_ppm, uint32_t place_milli, uint64_t others_milli,
                                   bool has_predecessor);

#endif
