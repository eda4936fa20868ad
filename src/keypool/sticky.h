/*
 * Sessions to keys, so that the requests of one meet the prompt cache that the last one filled:
 * weighted rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
 * rates", 1998). The same keys give a session the same key on every worker and in every process; a
 * key that comes or goes, or whose weight changes, moves its own share of the sessions and no
 * other; one that rests for a while lends its sessions out, to the key that stands second for each.
 *
 * Every key is given a score by each session, so the work grows with their number: done once for
 * each of a few tens of thousands of groups of sessions, and then known. Internal to keypool/. One
 * thread.
 */
#ifndef KEYPOOL_STICKY_H
#define KEYPOOL_STICKY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STICKY_GROUP_BITS = 16,
    STICKY_CHOICES = 3, /* keys that are known for each group: where all of these rest, it is as if
                           there were no session */
};

/* What is scored. */
struct sticky_key {
    uint64_t identity;     /* hash_mix of what the key is known by for ever */
    uint32_t tier;         /* lower goes first, whatever the score */
    uint32_t weight_milli; /* 0: behind all others of its tier */
};

/* The key at that place, in *ret_key; false where none stands there that may be chosen. */
typedef bool sticky_key_at(const void *owner, uint32_t place, struct sticky_key *ret_key);

/* Places in the order in which the session prefers them. */
struct sticky_choice {
    uint32_t places[STICKY_CHOICES];
    uint32_t count;
};

struct sticky;

/* Nothing is known yet; where keys or weights change, a new one is needed. NULL without memory: 384
 * KiB, of which only what is used is touched. */
struct sticky *sticky_new(void);
void sticky_free(struct sticky **place);

/* The choice of a session, among `places` places (at most KEYPOOL_MAX_KEYS). `session`: evenly
 * spread, as of hash_mix. */
struct sticky_choice sticky_choose(struct sticky *sticky, uint64_t session, uint32_t places,
                                   sticky_key_at *key_at, const void *owner);

#endif
