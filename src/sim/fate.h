/*
 * What befalls one request: drawn from its key's behaviour, a generator of its own and what the key
 * has seen before. Pure; one thread.
 */
#ifndef SIM_FATE_H
#define SIM_FATE_H

#include "base/rand.h"
#include "sim/ask.h"
#include "sim/behaviour.h"

/* How often each fault's conditions were met by a key's requests, and from when on a fault that
 * comes once in a period may come again. Embedded in the key; zeroed at its start and with each new
 * behaviour. */
struct sim_fate_memory {
    uint64_t met[SIM_MAX_FAULTS];
    uint64_t due_us[SIM_MAX_FAULTS];
};

struct sim_fate {
    const struct sim_fault *failure;  /* in the behaviour; NULL: all goes well */
    uint64_t wait_us;                 /* from the whole request to the answer's first byte */
    uint64_t head_stall_us;           /* between the head and what follows */
    uint64_t queue_us, queue_gap_us;  /* comments for that long, one each gap */
    uint64_t drip_bytes, drip_gap_us; /* so many bytes at a time; 0: all at once */
    struct span finish;               /* why the answer ends, in place of the true reason */
    bool has_no_done, has_no_usage, is_chunked, is_padded, is_crlf, is_blocked;
};

/* The generator of a key's n-th request: the same for the same seed, key and n. */
void sim_fate_seed(struct rand *rand, uint64_t seed, uint64_t key_hash, uint64_t n);

/* When the head has arrived: the fault that answers before the body is whole, or NULL. */
const struct sim_fault *sim_fate_early(const struct sim_behaviour *behaviour,
                                       struct sim_fate_memory *memory, struct rand *rand,
                                       enum sim_op op, uint64_t now_us);

/* True where 100 Continue is to be withheld. */
bool sim_fate_ignores_expect(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                             struct rand *rand, enum sim_op op, uint64_t now_us);

/* When the request is whole. */
void sim_fate_draw(const struct sim_behaviour *behaviour, struct sim_fate_memory *memory,
                   struct rand *rand, const struct sim_ask *ask, uint64_t now_us,
                   struct sim_fate *ret_fate);

#endif
