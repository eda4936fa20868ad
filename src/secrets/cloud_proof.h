/*
 * What is asked, step by step, to get what proves who a gateway is (secrets/cloud_login.h), and
 * what the answers mean, read without trust. What comes of it is one secret: a bearer token, or
 * AWS's three keys in lines: the access key id, the secret access key, and the session token, which
 * may be empty. No I/O but token files; any thread.
 */
#ifndef SECRETS_CLOUD_PROOF_H
#define SECRETS_CLOUD_PROOF_H

#include "secrets/cloud_call.h"
#include "secrets/cloud_login.h"
#include "secrets/token_answer.h"

enum { CLOUD_STEPS_MAX = 3 };

/* Where a login stands; zeroed, and buf_init of `kept`, before its first step. */
struct cloud_proof {
    const struct cloud_login *login;
    const char *region;   /* AWS */
    const char *resource; /* AZURE_IDENTITY */
    struct secret_arena *secrets;
    unsigned step;
    struct buf kept; /* the answer before: secret */
    struct buf more; /* the one before that: secret */
    /* What came of it. */
    struct secret *secret;         /* a reference of the caller's */
    uint64_t life_us;              /* from the moment that it was asked for; 0: for ever */
    char words[TOKEN_WORDS_BYTES]; /* why there is none */
};

void cloud_proof_init(struct cloud_proof *proof, const struct cloud_login *login,
                      struct secret_arena *secrets);

/* Not of `secret`, whose reference is the caller's. */
void cloud_proof_fini(struct cloud_proof *proof);

/* Writes the question of the step; or, where there is nothing to ask, proof->secret. 0; ERR_SYNTAX,
 * ERR_IO ... (words); ERR_NOMEM. */
int cloud_proof_ask(struct cloud_proof *proof, uint64_t wall_us, struct cloud_question *question);

/* Reads its answer: 0, and proof->secret, or, where that is NULL, another step is to be asked; else
 * ERR_DENIED, ERR_PROTO (words), ERR_FULL or ERR_NOMEM. */
int cloud_proof_take(struct cloud_proof *proof, const struct cloud_reply *reply, uint64_t wall_us);

/* AWS's three keys of a secret; the session may be empty. Borrowed. */
struct cloud_keys {
    struct span id, secret, session;
};
struct cloud_keys cloud_keys_of(const struct secret *secret);

/* The text of the first element of that name in an XML document, as it stands: for values that need
 * no escape. Empty where there is none, or it has children or references. */
struct span cloud_xml_text(struct span xml, const char *name);

#endif
