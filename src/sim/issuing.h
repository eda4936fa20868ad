/*
 * The provider's own key API, and what the scenario says of it: keys are made, listed and revoked
 * while the simulator runs, and are keys like any other from then on. Embedded in a world; one
 * thread. docs/simulator.md states requests, answers and faults.
 */
#ifndef SIM_ISSUING_H
#define SIM_ISSUING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "sim/behaviour.h"

struct fy_node;
struct sim_reader;
struct sim_world;

enum { SIM_ISSUED_MAX = 16384, SIM_ISSUED_ID_BYTES = 24, SIM_ISSUED_KEY_BYTES = 48 };

/* What goes wrong when a key is asked for. */
enum sim_issuing_fault {
    SIM_ISSUING_WELL,
    SIM_ISSUING_LOST,  /* made; the answer never comes */
    SIM_ISSUING_CUT,   /* made; the connection is closed instead of an answer */
    SIM_ISSUING_LATE,  /* made; the answer is a 500 */
    SIM_ISSUING_BUSY,  /* not made: 503 */
    SIM_ISSUING_LIMIT, /* not made: 429 */
    SIM_ISSUING_EMPTY, /* made; the answer's key is empty */
};

struct sim_issuing_rules {
    struct sim_name admin_key;
    uint64_t known_after_us; /* until then a new key is refused as unknown */
    enum sim_issuing_fault fault;
    uint64_t first;                 /* creations that the fault befalls; 0: all */
    struct sim_behaviour *new_keys; /* how they behave; NULL: as the scenario's defaults */
};

struct sim_issued {
    char id[SIM_ISSUED_ID_BYTES]; /* NUL-terminated, as the key is */
    char key[SIM_ISSUED_KEY_BYTES];
    char *name;
    uint64_t made_wall_us, expires_wall_us; /* expires 0: never */
    bool is_revoked;
};

struct sim_issuing {
    struct sim_issuing_rules rules;
    uint64_t befallen; /* creations that a fault may have befallen */
    struct sim_issued *issued;
    size_t count, capacity;
    uint64_t revoked;          /* of them */
    uint64_t revoked_requests; /* that showed any key whose state is revoked */
};

/* What is asked for. */
struct sim_issuing_wish {
    struct span name;
    uint64_t life_us; /* 0: for ever */
    uint64_t rpm;     /* 0: as the rules have it */
};

/* Everything as at the start, by these rules, whose reference is shared. */
void sim_issuing_init(struct sim_issuing *issuing, const struct sim_issuing_rules *rules);
void sim_issuing_fini(struct sim_issuing *issuing);

/* The rules change from the next creation on. Takes the behaviour's reference over. */
void sim_issuing_set(struct sim_issuing *issuing, const struct sim_issuing_rules *rules);

/* The fault of the creation that comes now; counts it. */
enum sim_issuing_fault sim_issuing_fate(struct sim_issuing *issuing);

/* Makes a key of the world's: 0 and the row, valid until the next is made; ERR_FULL; ERR_NOMEM. */
int sim_issuing_make(struct sim_world *world, const struct sim_issuing_wish *wish, uint64_t now_us,
                     uint64_t wall_us, const struct sim_issued **ret_issued);

/* Its requests get 401 from now on: 0; ERR_NOTFOUND, also where it was revoked before; ERR_NOMEM.
 */
int sim_issuing_revoke(struct sim_world *world, struct span id);

/* Up to `limit` keys that are not revoked, from behind the one of that id (empty: from the start),
 * as {"keys": [..], "next": ID or null}. */
void sim_issuing_list(const struct sim_issuing *issuing, struct span after, size_t limit,
                      struct buf *out);

/* {"key_id", "name", "created_at", "expires_at"}; with its secret for whoever made it. */
void sim_issued_write(const struct sim_issued *issued, struct span secret, struct buf *out);

/* {"issued", "revoked", "revoked_requests"}. */
void sim_issuing_write_stats(const struct sim_issuing *issuing, struct buf *out);

/* Sets anew what the map names; new_keys starts from the defaults, or from those it had. */
void sim_issuing_read(struct sim_reader *reader, struct fy_node *node,
                      const struct sim_behaviour *defaults, struct sim_issuing_rules *rules);

#endif
