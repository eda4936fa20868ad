/*
 * What one configuration says of a provider's keys: who they are, in which tier and group, and by
 * which rules they are picked. Never changed once published; counted, as each worker's view holds
 * the one it was built from. Internal to keypool/.
 */
#ifndef KEYPOOL_ROSTER_H
#define KEYPOOL_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "conf/config.h"
#include "keypool/health.h"
#include "keypool/key.h"
#include "limits/breaker.h"

struct key_label;
struct keypool_extra;

/* Keys that serve the same models for the same clients. */
struct roster_group {
    struct conf_strings models; /* patterns; empty: all. Borrowed from a key's label */
    uint64_t signature;         /* equal for equal groups */
    uint64_t pool;              /* map_hash of the pool's name; 0: everybody */
};

struct roster_entry {
    struct key *key; /* holds a reference */
    uint32_t group;
    uint32_t tier; /* 0 is tried first */
};

struct roster {
    _Atomic uint32_t refs;
    uint64_t generation;

    enum conf_selection selection;
    struct conf_health health;
    struct health_rules rules;
    struct breaker_settings breaker;
    uint32_t margin_ppm; /* kept free of every limit */

    struct roster_entry *entries; /* in the order of the file */
    uint32_t count;
    uint32_t places; /* above every key's place */
    struct roster_group *groups;
    uint32_t group_count;
    bool is_uniform; /* one group, for all models and everybody */
};

/* Room for that many keys, none yet; one reference. NULL without memory. */
struct roster *roster_new(const struct conf_provider *provider, uint32_t room);

/* What one entry is arranged by. */
struct roster_input {
    const struct conf_key *conf;
    const struct keypool_extra *extra; /* NULL: only the file has it */
    const struct key_label *label;     /* whose patterns the groups borrow */
};

/* Gives every entry its tier and group; `inputs` stands beside `entries`. 0 or ERR_NOMEM. */
int roster_arrange(struct roster *roster, const struct roster_input *inputs);

struct roster *roster_ref(struct roster *roster);
void roster_unref(struct roster **place);

/* May keys of this group be used for that model by a client of that pool? */
bool roster_group_serves(const struct roster_group *group, struct span model, uint64_t pool);

#endif
