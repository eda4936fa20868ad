/*
 * The rotation of one provider's keys in a running gateway: what rotation/rotation.h asks of its
 * surroundings, done with the provider's keypool, and told to the log. The control thread's.
 */
#ifndef SERVER_ROTOR_H
#define SERVER_ROTOR_H

#include "alerts/alert.h"
#include "keypool/trial.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "rotation/rotation.h"
#include "upstream/provider.h"

struct rotor;

/* Each is used until on_left tells of it, or the rotor is freed. */
struct rotor_stores {
    struct secret_store *keep; /* where its keys are kept */
    struct secret_store *from; /* where somebody puts the next one; NULL: nowhere */
};

struct rotor_options {
    struct loop *loop;
    struct secret_arena *secrets;
    struct fetcher *fetcher;
    struct rotor_stores stores;
    struct span folder;     /* of the store; outlives it, as does created_by */
    struct span created_by; /* as entries say it */
    struct log *log;
    struct provider *provider;        /* a reference is taken */
    const struct conf_provider *conf; /* with a rotation; as long as rotor_set_conf says */
    /* The pool cannot be changed now: a reload is under way. */
    bool (*is_busy)(void *owner);
    /* A key has changed: who waits for one goes on. */
    void (*on_effect)(void *owner, struct provider *provider, const struct keypool_effect *effect);
    /* Something is worth waking somebody for; borrowed for the call. */
    void (*on_alert)(void *owner, const struct alert *alert);
    /* A store is not used any more, once for each time that it was told. */
    void (*on_left)(void *owner, struct span provider, struct secret_store *store);
    /* A key has taken a step, as rotation_ops.on_news; NULL: nobody hears of it but the log. */
    void (*on_news)(void *owner, struct span provider, const struct rotation_news *news);
    void *owner;
};

/* 0, or an error with `why` (ISSUER_WHY_BYTES): ERR_SYNTAX or ERR_RANGE of the issuer's settings,
 * ERR_FULL, ERR_NOMEM. */
int rotor_new(const struct rotor_options *options, char *why, struct rotor **ret_rotor);

/* Its keys stay in the pool as they stand. Accepts a pointer to NULL. */
void rotor_free(struct rotor **place);

/* Before rotor_free, where the file asks for no rotation any more: its keys, of which conf tells,
 * are as the file says, but for those that leaked. Nothing else may follow. */
void rotor_let_go(struct rotor *rotor, const struct conf_provider *conf);

struct span rotor_provider(const struct rotor *rotor);
struct keypool *rotor_pool(const struct rotor *rotor);
struct rotation *rotor_rotation(struct rotor *rotor);

/* What the file says from now on. Another issuer, or store, is asked from the next call on; keep is
 * another way to the same place, or NULL, where there is none: it stays as it was. */
void rotor_set_conf(struct rotor *rotor, const struct conf_provider *conf,
                    const struct rotor_stores *stores);

/* The keys beside the file, for a reload to `next` (NULL: to one that leaves them alone); borrowed
 * until the rotor next runs, as is next. */
struct keypool_extras rotor_extras(struct rotor *rotor, const struct conf_provider *next);

/* What was asked last of the key of that identity (LIFE_IDENTITY_BYTES); false: nothing. An
 * operator may have asked for something else besides. */
bool rotor_says(const struct rotor *rotor, const uint8_t *identity, enum key_wish *ret_wish,
                uint32_t *ret_weight_milli);

/* Replaces the key of that name. As rotation_begin. */
enum rotation_begun rotor_rotate(struct rotor *rotor, struct span name, enum life_trigger trigger,
                                 uint64_t *ret_id);

#endif
