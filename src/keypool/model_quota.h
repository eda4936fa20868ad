/*
 * The declared limits of a key, or of an account whose keys share them, for single models: each has
 * a quota of its own (quota.h) beside that of all models together. Found by the model's hash in a
 * list that only grows, for as long as its owner lives: who runs on one may hold what it took of it
 * when a reload declares it no longer, and then it limits nothing. Lists are short: the models that
 * a file names. Internal to keypool/. Changed by the control thread, read by any.
 */
#ifndef KEYPOOL_MODEL_QUOTA_H
#define KEYPOOL_MODEL_QUOTA_H

#include <stdatomic.h>
#include <stdint.h>

#include "keypool/quota.h"

struct model_quota {
    struct quota quota;
    uint64_t model_hash;        /* map_hash of its name */
    struct conf_limits merging; /* while a configuration is applied: control thread */
    struct model_quota *next;   /* never changes once others can see it */
    char model[];               /* NUL-terminated */
};

/* NULL without memory. */
struct model_quota *model_quota_new(struct span model);

/* The whole list. */
void model_quota_free_all(struct model_quota **first);

/* NULL: there is none. `first` may be NULL. */
struct model_quota *model_quota_find(struct model_quota *first, uint64_t model_hash);

/* Puts those of `fresh` that the list lacks at its begin, and frees the others. */
void model_quota_adopt(_Atomic(struct model_quota *) *list, struct model_quota **fresh);

#endif
