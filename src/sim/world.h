/*
 * The provider's side as it stands: keys, accounts, their windows, and what each key saw. Made from
 * a scenario and replaced whole by another; counted, for calls under way keep the world in which
 * they began. One thread.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/map.h"
#include "base/span.h"
#include "sim/ask.h"
#include "sim/behaviour.h"
#include "sim/dialect.h"
#include "sim/failure.h"
#include "sim/fate.h"
#include "sim/issuing.h"
#include "sim/scenario.h"
#include "sim/window.h"

enum { SIM_MAX_STATUSES = 16, SIM_REPEAT_SLOTS = 1 << 21 };

/* How a request ended; each ends once. X(NAME, "name in the statistics") */
#define SIM_ENDS(X)                                                                                \
    X(ANSWERED, "answered")   /* well and whole */                                                 \
    X(REFUSED, "refused")     /* for the key's state, or none */                                   \
    X(REJECTED, "rejected")   /* for what it asks */                                               \
    X(LIMITED, "limited")     /* by the account's limits */                                        \
    X(FAILED, "failed")       /* by a fault */                                                     \
    X(CANCELLED, "cancelled") /* the client left */

enum sim_end {
#define X(NAME, text) SIM_END_##NAME,
    SIM_ENDS(X)
#undef X
        SIM_END_COUNT
};

struct sim_counts {
    uint64_t requests; /* all; generations and lookups make them up */
    uint64_t lookups;  /* of models: what a gateway probes with */
    uint64_t streams;
    uint64_t ends[SIM_END_COUNT];
    uint64_t generation_ends[SIM_END_COUNT];
    uint64_t in_flight, max_in_flight;
    uint64_t prompt_tokens, completion_tokens; /* of those answered */
    struct {
        int status;
        uint64_t count;
    } statuses[SIM_MAX_STATUSES];
};

struct sim_account {
    struct sim_name name;
    struct sim_limits limits;
    struct sim_window requests, tokens;
    uint64_t in_flight;
};

struct sim_key {
    char *name; /* NULL: stands for requests without a known key */
    uint64_t hash;
    struct sim_behaviour *behaviour;
    struct sim_account *account; /* `own`, or one of the world's */
    struct sim_account own;
    struct sim_fate_memory memory;
    uint64_t drawn;                /* requests whose fate was drawn */
    uint64_t known_us, expires_us; /* of an issued one: else it is unknown; 0: no such time */
    struct sim_counts counts;
};

struct sim_world {
    unsigned refs;
    struct sim_scenario *scenario;
    uint64_t seed;
    struct map keys, accounts;
    struct sim_issuing issuing;
    struct sim_key nobody;  /* counts what no key can be blamed for */
    uint64_t *repeat_slots; /* hashes of bodies answered; NULL unless asked for */
    uint64_t repeat_count;  /* of slots taken */
    uint64_t repeats;       /* whole answers to a body that had one already */
};

/* seed 0: the scenario's. Takes a reference to the scenario: 0 or ERR_NOMEM. */
int sim_world_new(struct sim_scenario *scenario, uint64_t seed, struct sim_world **ret_world);
struct sim_world *sim_world_ref(struct sim_world *world);
void sim_world_unref(struct sim_world **world);

/* The key of that name, made where the scenario takes unknown keys; NULL: there is none. */
struct sim_key *sim_world_key(struct sim_world *world, struct span name);

/* Gives a key, known or not, another behaviour; the reference is taken over in any case. Its
 * windows start afresh where its limits change: 0, ERR_RANGE (over SIM_KEY_BYTES), ERR_FULL or
 * ERR_NOMEM. */
int sim_world_set_key(struct sim_world *world, struct span name, struct sim_behaviour *behaviour);

/* The behaviour that a change of this key starts from. */
const struct sim_behaviour *sim_world_behaviour(struct sim_world *world, struct span name);

/* Charges a request to the account's windows: true, or false with the failure set (kind, limit,
 * used, requested, retry_after_us). */
bool sim_account_admit(struct sim_account *account, uint64_t tokens, uint64_t now_us,
                       struct sim_failure *ret_failure);

struct sim_meter sim_account_meter(struct sim_window *window, uint64_t now_us);

/* One request of the key begins, and ends; status 0: none was answered. */
void sim_key_begin(struct sim_key *key, enum sim_op op);
void sim_key_end(struct sim_key *key, enum sim_op op, enum sim_end end, int status);

/* A body with that hash got a whole answer. */
void sim_world_note_answer(struct sim_world *world, uint64_t body_hash);

/* All of GET /sim/stats, or of one key. */
void sim_world_write_stats(const struct sim_world *world, struct buf *out);
void sim_key_write_stats(const struct sim_key *key, struct buf *out);

#endif
