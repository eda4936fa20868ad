/*
 * The declared limits of a key, or of an account whose keys share them, for single models: each has
 * a quota of its own (quota.h) beside that of all models together. Found by the model's hash in a
 * table that never changes: a reload that brings models publishes another, with all of the one
 * before it in it, and the tables before it go with their owner, as do the quotas: who runs on one
 * may hold what it took of it when a reload declares it no longer, and then it limits nothing.
 * MODEL_QUOTAS_MAX models, ever, of one owner. Internal to keypool/. Changed by the control thread,
 * read by any.
 */
#ifndef KEYPOOL_MODEL_QUOTA_H
#define KEYPOOL_MODEL_QUOTA_H

#include <stdatomic.h>
#include <stdint.h>

#include "keypool/quota.h"

enum { MODEL_QUOTAS_MAX = 1024 };

struct model_quota {
    struct quota quota;
    struct conf_limits merging; /* while a configuration is applied: control thread */
    char model[];               /* NUL-terminated */
};

struct model_quotas {
    struct model_quotas *before; /* whom it replaced */
    uint32_t count, room;
    struct {
        uint64_t model_hash; /* map_hash of its name; rising */
        struct model_quota *item;
    } rows[];
};

/* NULL: there is none. `table` may be NULL. */
struct model_quota *model_quotas_find(const struct model_quotas *table, uint64_t model_hash);

/* Adds the model to *fresh, which nobody sees yet and which is made from `known` (or NULL) where it
 * is NULL; nothing where it is known already. ERR_NOMEM, ERR_FULL: *fresh is as before. */
int model_quotas_add(struct model_quotas **fresh, struct model_quotas *known, struct span model);

/* Frees what stands in *fresh alone. */
void model_quotas_drop(struct model_quotas **fresh, const struct model_quotas *known);

/* *fresh, where there is one, takes the place of the table that it was made from. */
void model_quotas_publish(_Atomic(struct model_quotas *) *place, struct model_quotas **fresh);

/* The table, those before it, and all quotas. */
void model_quotas_free(_Atomic(struct model_quotas *) *place);

#endif
