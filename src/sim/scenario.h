/*
 * A scenario: what a YAML text says of the simulated provider, its accounts and its keys. Never
 * changed once read; counted; one thread. docs/simulator.md states the format.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "sim/behaviour.h"
#include "sim/issuing.h"

enum { SIM_KEY_BYTES = 256 };

struct sim_scenario_account {
    struct sim_name name;
    struct sim_limits limits;
};

struct sim_scenario_key {
    char *name; /* a pattern where it has a '*' */
    struct sim_behaviour *behaviour;
};

enum sim_manners { SIM_ACCEPT, SIM_REFUSE };

struct sim_scenario {
    unsigned refs;
    uint64_t seed;
    double time_scale;
    enum sim_manners unknown_keys, missing_keys;
    bool counts_repeats; /* of whole answers to equal bodies */
    uint64_t idle_timeout_us;
    struct sim_name *models; /* none: every model is served */
    size_t model_count;
    struct sim_behaviour *defaults;
    struct sim_issuing_rules issuing;
    struct sim_scenario_account *accounts;
    size_t account_count;
    struct sim_scenario_key *keys;
    size_t key_count;
};

/* Reads a text, or a built-in scenario where the text is its name. time_scale 0: the text's. 0;
 * ERR_SYNTAX with complaints as "name:line:column: what" lines; or ERR_NOMEM. */
int sim_scenario_new(const char *name, struct span text, double time_scale, struct buf *complaints,
                     struct sim_scenario **ret_scenario);
struct sim_scenario *sim_scenario_ref(struct sim_scenario *scenario);
void sim_scenario_unref(struct sim_scenario **scenario);

/* A copy of `base` with what the text's map names set anew; errors as above. */
int sim_scenario_read_key(const char *name, struct span text, double time_scale,
                          const struct sim_behaviour *base, struct buf *complaints,
                          struct sim_behaviour **ret_behaviour);

/* The same of the rules of issuing: the text's map changes a copy of `base`, whose behaviour is the
 * caller's to release. */
int sim_scenario_read_issuing(const char *name, struct span text,
                              const struct sim_scenario *scenario,
                              const struct sim_issuing_rules *base, struct buf *complaints,
                              struct sim_issuing_rules *ret_rules);

/* The i-th built-in scenario's name, NULL behind the last; *ret_text, if not NULL, is its text. */
const char *sim_scenario_builtin(size_t i, struct span *ret_text);

#endif
