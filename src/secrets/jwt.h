/*
 * JSON Web Tokens signed by RSA with SHA-256 (RFC 7515, RFC 7518 3.3): what Google's token server
 * takes as proof of a service account. OpenSSL does the arithmetic. No state; any thread.
 */
#ifndef SECRETS_JWT_H
#define SECRETS_JWT_H

#include "base/buf.h"
#include "base/span.h"

/* Appends base64url without padding (RFC 7515 2): 0, ERR_FULL or ERR_NOMEM. */
int jwt_base64url(struct buf *out, struct span bytes);

/* Whether the text is a private RSA key in PEM that needs no passphrase: 0, ERR_SYNTAX or
 * ERR_NOMEM. */
int jwt_check_key(struct span pem);

/* Appends "HEADER.CLAIMS.SIGNATURE" for two JSON texts, whose form the caller answers for: 0,
 * ERR_SYNTAX (no such key), ERR_FULL or ERR_NOMEM; then out may hold a part of it. */
int jwt_sign(struct buf *out, struct span header, struct span claims, struct span pem);

#endif
