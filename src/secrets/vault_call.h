/*
 * One request to Vault, with what all of them have in common: the address, the header lines, one
 * redirect to the active node (its token goes with it, but never from https to http), and another
 * try where a server lags behind (412). Embedded in its owner; control thread.
 */
#ifndef SECRETS_VAULT_CALL_H
#define SECRETS_VAULT_CALL_H

#include "base/buf.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"
#include "secrets/token_answer.h"

/* Where the server is; borrowed from its owner, who outlives the calls. */
struct vault_server {
    struct loop *loop;
    struct fetcher *fetcher;
    const char *url;        /* "https://vault:8200" */
    const char *name_space; /* "team/eu"; NULL: the root's */
    const char *ca_file;    /* NULL: the system's certificates */
    uint64_t connect_us, total_us;
};

/* What came of it; borrowed for the call. */
struct vault_reply {
    int err;         /* 0: there is an answer, of whatever status */
    const char *why; /* with err */
    int status;
    struct span body;
    uint64_t retry_after_us;
};

struct vault_call {
    const struct vault_server *server; /* NULL: not under way */
    void (*on_done)(struct vault_call *call, const struct vault_reply *reply);
    struct fetch fetch;
    struct loop_timer timer;
    struct buf url, lines, body; /* lines, body: secret */
    const char *fields[5];
    const char *method;
    unsigned redirects, tries;
    bool has_timer;
};

/* What is asked; borrowed for the call. */
struct vault_question {
    const char *method;
    struct span path;  /* below /v1/ */
    struct span token; /* empty: none */
    struct span body;  /* JSON, or empty */
};

/* Begins; set on_done before. 0 or ERR_NOMEM, in which nothing is under way. */
int vault_call_begin(struct vault_call *call, const struct vault_server *server,
                     const struct vault_question *question);

/* Harmless where nothing is under way. */
void vault_call_cancel(struct vault_call *call);

/* "vault: permission denied for secret/data/a (403)", of a reply that is no success; err is the
 * enum err that stands for it. What holds a part of `secret` is not shown. `why` has
 * SECRET_WORDS_BYTES.
 */
int vault_reply_refusal(const struct vault_reply *reply, struct span path, struct span secret,
                        char *why);

#endif
