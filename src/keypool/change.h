/*
 * A configuration of a pool being applied: apply.c goes through it, change_models.c has the part of
 * limits of single models. Internal to keypool/. The control thread.
 */
#ifndef KEYPOOL_CHANGE_H
#define KEYPOOL_CHANGE_H

#include "keypool/pool_body.h"

/* A configuration being applied: first all that can fail is made, then all of it takes effect. */
struct keypool_change {
    struct keypool *pool; /* holds a reference */
    const struct conf_provider *provider;
    struct keypool_extras extras;
    struct map extra_by_identity;
    uint64_t now_us, wall_us;
    struct roster *roster;
    struct roster_input *inputs;
    struct quota **quotas;              /* new ones, for keys that have none yet */
    struct model_quotas **model_quotas; /* the same of single models: a list each */
    struct account **accounts;
    struct map by_identity; /* the keys of the new roster */
    uint32_t count;
};

/* Makes the quotas of models that the key, or its account, has none for yet; nothing of it shows.
 * ERR_NOMEM, ERR_FULL. */
int change_prepare_models(struct keypool_change *change, const struct conf_key *conf, uint32_t at);

/* Frees those that were made and did not take effect. */
void change_drop_models(struct keypool_change *change);

/* From here on nothing can fail. All that were made come into their lists, and what keys declare of
 * models is put together. */
void change_merge_models(struct keypool_change *change);

/* The key at that entry has what was put together. After its account is set. */
void change_set_models(struct keypool_change *change, uint32_t at);

#endif
