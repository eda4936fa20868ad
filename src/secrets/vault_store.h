/*
 * HashiCorp Vault or OpenBao as a store: the key-value engine, version 1 or 2, of one mount. In
 * version 2 a write names the version that it replaces (check-and-set); in version 1, and when an
 * entry is removed, it is compared just before. Removing takes all versions of an entry away. What
 * is watched is looked at now and then, one entry after another: in version 2 the metadata, or,
 * where a policy forbids those, the entry itself. Control thread.
 */
#ifndef SECRETS_VAULT_STORE_H
#define SECRETS_VAULT_STORE_H

#include "secrets/fetch.h"
#include "secrets/secret_store.h"
#include "secrets/vault_session.h"

/* All texts are copied. */
struct vault_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets; /* of tokens */
    const char *url;              /* "https://vault.example:8200" */
    const char *name_space;       /* "team/eu"; NULL: none */
    const char *ca_file;          /* PEM; NULL: the system's certificates */
    const char *mount;            /* "secret" */
    unsigned kv;                  /* 1 or 2; 0: the server is asked */
    const char *prefix;           /* a folder that all paths are below; NULL: none */
    struct vault_login login;
    uint64_t poll_us;    /* between two looks at what is watched, give or take a tenth; 0: 30 s */
    uint64_t connect_us; /* 0: 5 s */
    uint64_t total_us;   /* of one request; 0: 15 s */
};

/* Nothing is asked yet. 0; ERR_SYNTAX where the options cannot be, and `why` (SECRET_WORDS_BYTES)
 * says what of them; ERR_NOMEM. */
int vault_store_open(const struct vault_options *options, struct secret_store **ret_store,
                     char *why);

/* Where "secret/data/llm/openai" stands, as Vault's own API spells it, or "secret/llm/openai", as
 * its users do: the mount is the first part, and what follows `data` is of KV version 2. *ret_kv is
 * 2 or 0, not known; *ret_path may be empty. Borrowed of the text. False where it is no such path.
 */
bool vault_store_place(struct span text, struct span *ret_mount, unsigned *ret_kv,
                       struct span *ret_path);

#endif
