/*
 * What HashiCorp Vault and OpenBao answer over HTTP (their API documentation: kv/kv-v1, kv/kv-v2,
 * auth/token, auth/approle, auth/kubernetes), read without trust: numbers have bounds, a token that
 * a header could not carry is none, and what is told of a refusal is one line of plain words. No
 * state; any thread.
 */
#ifndef SECRETS_VAULT_ANSWER_H
#define SECRETS_VAULT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"
#include "secrets/secret_store.h"

#define VAULT_MAX_LEASE_US (UINT64_C(3650) * 86400 * 1000000)

/* Of a login, or of a renewal. */
struct vault_token {
    struct secret *token; /* a reference of the caller's */
    uint64_t lease_us;    /* 0: it lives for ever */
    bool is_renewable;
};

/* 0; ERR_PROTO: it holds no token; ERR_FULL, ERR_NOMEM. */
int vault_answer_token(struct span body, struct secret_arena *arena, struct vault_token *ret_token);

/* What a token says of itself (auth/token/lookup-self): lease_us and is_renewable; no token. 0 or
 * ERR_PROTO, ERR_NOMEM. */
int vault_answer_lookup(struct span body, struct vault_token *ret_token);

/* The version of a mount's key-value store (sys/internal/ui/mounts/...), 1 or 2: 0; ERR_PROTO;
 * ERR_UNSUPPORTED: something else is mounted there; ERR_NOMEM. */
int vault_answer_mount(struct span body, unsigned *ret_kv);

/* What a read of an entry finds. */
struct vault_found {
    uint64_t version; /* 0: there never was one; of the last one where is_deleted */
    bool is_deleted;  /* KV v2: the last version was deleted or destroyed */
};

/* Reads the answer, of status 200 or 404, of a read, and appends the entry. KV v1 counts no
 * versions: it is the content's. 0; ERR_SYNTAX: what stands there is no entry, and *ret_why, a
 * static text; ERR_PROTO; ERR_NOMEM. `out` is a secret buffer. */
int vault_answer_entry(unsigned kv, int status, struct span body, struct buf *out,
                       struct vault_found *ret_found, const char **ret_why);

/* The version that a write of KV v2 made: 0, ERR_PROTO or ERR_NOMEM. */
int vault_answer_written(struct span body, uint64_t *ret_version);

/* A number that differs where KV v2's metadata say that something was changed: 0, ERR_PROTO or
 * ERR_NOMEM. */
int vault_answer_stamp(struct span body, uint64_t *ret_stamp);

/* The names of a list, as secret_answer.names has them; those that no path could hold are left out:
 * 0, ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int vault_answer_names(struct span body, struct buf *out);

/* The versions that KV v2's metadata tell of, as secret_answer.names has them, but for those that
 * are deleted by now or destroyed: 0, ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int vault_answer_versions(struct span body, uint64_t wall_us, struct buf *out);

/* Why it was refused, as the server says it, or the status: "permission denied". `words` has
 * TOKEN_WORDS_BYTES (secrets/token_answer.h). */
void vault_answer_words(int status, struct span body, char *words);

/* A 404 that is Vault's own, with errors (even none) or data; another's, where the address is wrong
 * or something stands in between, says nothing of what is there. */
bool vault_answer_is_none(struct span body);

/* Refusals of a write: another version is there than the one named; or none was named. */
bool vault_answer_is_mismatch(int status, struct span body);
bool vault_answer_wants_version(int status, struct span body);

#endif
