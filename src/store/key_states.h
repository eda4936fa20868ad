/*
 * What is known of each upstream key, so that a restart neither uses a key that an operator took
 * out nor asks one that is set aside: wish, weight, health, breaker, and the models it is set aside
 * for. A key is known by its identity (conf_key.identity), the digest of its provider and secret;
 * the secret is never here. States are words, spelled by whoever owns them (keypool/key.h,
 * limits/breaker.h, keypool/aside.h): one that a later version spells anew is theirs to understand.
 * The thread of the loop.
 */
#ifndef STORE_KEY_STATES_H
#define STORE_KEY_STATES_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum {
    KEY_STATES_MAX = 16384,    /* of one call */
    KEY_STATE_MAX_ASIDES = 64, /* of one key */
};

/* A model that a key is set aside for. Clients may have named it, so it is no reason to refuse
 * anything: one of no bytes is not kept, one of more than 256 is cut, and control characters become
 * spaces. */
struct key_state_aside {
    struct span model;
    struct span state; /* a word */
    uint64_t until_wall_us;
};

/* One key. Names have 1 to 256 bytes; words 1 to 32, of small letters and "_". */
struct key_state {
    uint8_t identity[STORE_IDENTITY_BYTES];
    struct span provider, name;
    struct span wish, health, breaker; /* words */
    uint32_t weight_milli;
    uint32_t said_milli;            /* what the configuration said of its weight then */
    uint32_t failures;              /* in a row */
    uint64_t until_wall_us;         /* of the health; 0: by no time */
    uint64_t breaker_until_wall_us; /* 0: by no time */
    const struct key_state_aside *asides;
    size_t aside_count;
    uint64_t changed_wall_us; /* when the store last saw it change; set by the store */
};

/* Writes these keys in one transaction, those that differ from what is kept; others stay as they
 * are. The answer's count: keys that were written. */
int key_states_put(struct store *store, struct store_ask *ask, const struct key_state *states,
                   size_t count);

/* Forgets keys, by identity; ones that are not kept are no error. The answer's count: keys that
 * were. */
int key_states_forget(struct store *store, struct store_ask *ask,
                      const uint8_t (*identities)[STORE_IDENTITY_BYTES], size_t count);

/* Reads all of them: the answer's rows, in the order of their identities (key_states_told). */
int key_states_load(struct store *store, struct store_ask *ask);

static inline const struct key_state *key_states_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
