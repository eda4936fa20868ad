/*
 * What Azure Key Vault answers (secrets, api-version 7.4), read without trust. No state; any
 * thread.
 */
#ifndef SECRETS_AZURE_ANSWER_H
#define SECRETS_AZURE_ANSWER_H

#include "base/buf.h"
#include "secrets/secret_store.h"
#include "secrets/secret_versions.h"

/* A secret: appends its value to `out` (secret; NULL: it is not wanted), and its version. 0,
 * ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int azure_answer_value(struct span body, struct buf *out, char id[SECRET_VERSION_MAX_BYTES + 1]);

/* A page of versions, and the URL where it goes on to `next` (nothing: it is the last); one that
 * does not begin with the vault's own is ERR_PROTO, as no token goes elsewhere. ERR_FULL or
 * ERR_NOMEM too. */
int azure_answer_versions(struct span body, struct span vault, struct secret_versions *versions,
                          struct buf *next);

/* A page of secrets: each name is told. The same, or what on_name returns. */
int azure_answer_names(struct span body, struct span vault,
                       int (*on_name)(void *owner, struct span name), void *owner,
                       struct buf *next);

#endif
