/*
 * A credential that is no key itself, but is exchanged for one: what the configuration declares of
 * it. Whoever asks with it gets a token that lives for minutes or hours (secrets/token_source.h).
 * As part of a configuration its texts are borrowed from that; credential_copy makes one that
 * outlives it. Never changed once made; any thread.
 */
#ifndef SECRETS_CREDENTIAL_H
#define SECRETS_CREDENTIAL_H

#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"

enum credential_kind {
    CREDENTIAL_AZURE_ENTRA,            /* Microsoft Entra ID, client credentials */
    CREDENTIAL_GOOGLE_SERVICE_ACCOUNT, /* a signed JWT for a token, RFC 7523 */
    CREDENTIAL_ANTHROPIC_FEDERATION,   /* an OIDC token for one of Anthropic's */
    CREDENTIAL_KINDS,
};

enum { CREDENTIAL_DIGEST_BYTES = 32 };

/* Texts that a kind does not use are empty. */
struct credential {
    enum credential_kind kind;
    struct span url;        /* azure: the authority; google: the token URI; anthropic: the API */
    struct span tenant;     /* azure */
    struct span client_id;  /* azure: the application; google: the account's address */
    struct span key_id;     /* google: of the private key; may be empty */
    struct secret *secret;  /* azure: the client's secret; google: the private key, PEM; or NULL */
    struct span token_file; /* azure, anthropic: whose content proves who asks; NUL-terminated */
    struct span scope;      /* azure, google */
    struct span rule, organization;         /* anthropic */
    struct span service_account, workspace; /* anthropic; may be empty */
};

/* "azure_entra", as the configuration says it. */
struct span credential_kind_text(enum credential_kind kind);

/* SHA-256 over all of it, the secret too, which it does not tell: equal exactly where two
 * credentials of equally named providers are the same. */
void credential_digest(const struct credential *credential, struct span provider,
                       uint8_t ret_digest[CREDENTIAL_DIGEST_BYTES]);

/* A copy of its own, with a reference to the secret. NULL without memory. */
struct credential *credential_copy(const struct credential *credential);
void credential_free(struct credential **credential);

#endif
