/*
 * Simulated providers: an HTTP server in a given loop that answers as a provider of language models
 * would, with scripted limits, states and faults per key. It is the upstream of the tests and of
 * `bellwether demo`; docs/simulator.md has the scenario format, the answers and the control calls.
 * Everything belongs to the thread of the loop, which may run on virtual time.
 *
 * Answers are a function of the request, and the fate of a key's n-th request one of the seed, the
 * key and n: the same seed and requests repeat a run exactly.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "io/addr.h"
#include "io/loop.h"
#include "io/tls.h"

struct sim;

struct sim_options {
    struct span listen;      /* as addr_parse reads it; port 0: one that is free */
    struct span scenario;    /* a built-in scenario's name or YAML text; empty: "default" */
    const char *name;        /* how complaints call the text; NULL: "scenario" */
    uint64_t seed;           /* 0: the scenario's */
    double time_scale;       /* every duration is divided by it; 0: the scenario's */
    struct tls_context *tls; /* NULL: plain; a reference is taken */
};

/* Listens and answers from now on. 0; ERR_SYNTAX with lines "name:line:column: what" appended to
 * complaints; what listening failed with, said there too; or ERR_NOMEM. The loop and the options'
 * text are borrowed, the text only during the call. */
int sim_new(struct loop *loop, const struct sim_options *options, struct buf *complaints,
            struct sim **ret_sim);

/* Stops and frees. Not from a callback of its own; the loop must still exist. */
void sim_free(struct sim **sim);

/* Listens no more and cuts every connection, as a crash would; harmless twice. */
void sim_stop(struct sim *sim);

/* Where it listens. */
const struct addr *sim_addr(const struct sim *sim);

/* Changes a key from its next request on; text is a YAML or JSON map as under `keys` of a scenario
 * and replaces only what it names. 0, ERR_SYNTAX with complaints, ERR_FULL or ERR_NOMEM. */
int sim_set_key(struct sim *sim, struct span key, struct span text, struct buf *complaints);

/* Changes the provider's own key API from its next creation on; text is a map as `issuer` of a
 * scenario. Errors as above. */
int sim_set_issuing(struct sim *sim, struct span text, struct buf *complaints);

/* What GET /sim/issuer answers, appended as JSON: 0 or the buffer's error. */
int sim_write_issuing_stats(const struct sim *sim, struct buf *out);

/* Another scenario (its name or YAML) with fresh counts. 0, or the old one stays: as sim_new. */
int sim_load(struct sim *sim, struct span text, struct buf *complaints);

/* Counts, windows and keys as they were at the start. 0 or ERR_NOMEM. */
int sim_reset(struct sim *sim);

/* What GET /sim/stats answers, appended as JSON: 0 or the buffer's error. */
int sim_write_stats(const struct sim *sim, struct buf *out);

/* The part of it that is of one key; ERR_NOTFOUND where none of that name was seen. */
int sim_write_key_stats(const struct sim *sim, struct span name, struct buf *out);

#endif
