/*
 * One question to Vault's key-value engine on its way through all that it takes: a token, the
 * version of the mount where that is not known yet, what stands there where a change depends on it,
 * and then what was asked for; begun anew where the token is refused or somebody else was quicker.
 * Embedded in its owner; control thread.
 */
#ifndef SECRETS_VAULT_ERRAND_H
#define SECRETS_VAULT_ERRAND_H

#include "secrets/secret_store_kind.h"
#include "secrets/vault_answer.h"
#include "secrets/vault_session.h"

enum { VAULT_API_BYTES = 4 * SECRET_PATH_MAX_BYTES };

/* Where entries stand; its owner outlives the errands. */
struct vault_place {
    struct vault_server server;
    struct vault_session *session;
    char *mount;  /* "secret" */
    char *prefix; /* "": all of the mount */
    unsigned kv;  /* 0: not known yet */
};

enum vault_step { VAULT_STEP_MOUNT, VAULT_STEP_FIND, VAULT_STEP_ACT, VAULT_STEP_LOOK };

struct vault_errand {
    /* The owner's. */
    void (*on_end)(struct vault_errand *errand, const struct secret_answer *answer);
    void *owner;
    bool is_look;  /* SECRET_READ, of which only a number is wanted that differs where the entry
                      does: the answer's version */
    bool is_whole; /* the metadata are forbidden: a look reads the entry itself */
    /* The errand's. */
    struct vault_place *place; /* NULL: not under way */
    bool is_lost;              /* it failed, and another path would have */
    enum secret_act act;
    uint64_t expected;
    struct buf text; /* secret */
    struct vault_found found;
    bool has_found, has_to_find, was_refused;
    enum vault_step step;
    unsigned tries;
    struct secret *token; /* that the call was made with */
    struct vault_wait wait;
    struct vault_call call;
    char api[VAULT_API_BYTES]; /* what the call is for */
    char path[SECRET_PATH_MAX_BYTES + 1];
    char version[SECRET_VERSION_MAX_BYTES + 1]; /* that is to be read; "": the current one */
};

/* Begins; on_end is called once, never before this has returned: nothing is under way then, and the
 * errand's memory may go. The errand was zeroed but for its owner's part. 0 or ERR_NOMEM, with
 * nothing under way. */
int vault_errand_begin(struct vault_errand *errand, struct vault_place *place,
                       const struct secret_request *request);

/* Harmless where nothing is under way. */
void vault_errand_cancel(struct vault_errand *errand);

#endif
