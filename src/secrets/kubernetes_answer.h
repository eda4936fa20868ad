/*
 * What a Kubernetes cluster's API answers of Secrets (v1), read without trust. No state; any
 * thread.
 */
#ifndef SECRETS_KUBERNETES_ANSWER_H
#define SECRETS_KUBERNETES_ANSWER_H

#include "base/buf.h"
#include "secrets/secret_store.h"

/* The resourceVersion of a Secret, or of its metadata alone: 0, ERR_PROTO or ERR_NOMEM. */
int kubernetes_answer_version(struct span body, char id[SECRET_VERSION_MAX_BYTES + 1]);

/* What a Secret holds as an entry: appends what stands under "entry", else under "api_key", to
 * `out`, which is secret. 0; ERR_NOTFOUND: neither is there; ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int kubernetes_answer_value(struct span body, struct buf *out);

/* A page of Secrets: each name is told, and where it goes on appended to `next` (nothing: it is the
 * last). 0, what on_name returns, ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int kubernetes_answer_names(struct span body, int (*on_name)(void *owner, struct span name),
                            void *owner, struct buf *next);

#endif
