/*
 * What AWS Secrets Manager answers (API 2017-10-17), read without trust: what is told of a version
 * is a name that one can have, and what is told of a refusal is the caller's to clean. No state;
 * any thread.
 */
#ifndef SECRETS_AWS_ANSWER_H
#define SECRETS_AWS_ANSWER_H

#include <stdbool.h>

#include "base/buf.h"
#include "secrets/secret_store_kind.h"
#include "secrets/secret_versions.h"

/* Of a refusal, what is done about it. */
enum aws_refusal {
    AWS_OTHER,
    AWS_NOT_FOUND,    /* the secret, or a version of it */
    AWS_EXISTS,       /* a secret of that name, or a version of that token */
    AWS_STATE,        /* not now, or no more: the secret is marked for deletion */
    AWS_INVALID,      /* a value: a version that can be none, a label that is elsewhere */
    AWS_BUSY,         /* later; nothing was done */
    AWS_LOGIN,        /* the keys are none, or no more */
    AWS_DENIED,       /* they may not */
    AWS_LIMIT,        /* there are too many */
    AWS_SERVER_FAILS, /* unknown whether it was done */
};

enum aws_refusal aws_answer_refusal(int status, struct span body);

/* Appends "ResourceNotFoundException: ...", as the server says it. */
void aws_answer_words(struct span body, struct buf *out);

/* What stands in a version: appends its text, of either kind, and its id. 0, ERR_PROTO, ERR_FULL or
 * ERR_NOMEM. `out` is a secret buffer. */
int aws_answer_value(struct span body, struct buf *out, char id[SECRET_VERSION_MAX_BYTES + 1]);

/* The id that PutSecretValue or CreateSecret made: 0, ERR_PROTO or ERR_NOMEM. */
int aws_answer_made(struct span body, char id[SECRET_VERSION_MAX_BYTES + 1]);

/* Of DescribeSecret: the version that is AWSCURRENT ("": none), and whether the secret is marked
 * for deletion: 0, ERR_PROTO or ERR_NOMEM. */
int aws_answer_described(struct span body, char id[SECRET_VERSION_MAX_BYTES + 1],
                         bool *ret_is_deleted);

/* A page of ListSecrets: each name is told, and where it goes on appended to `next` (nothing: it is
 * the last). 0, what on_name returns, ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int aws_answer_names(struct span body, int (*on_name)(void *owner, struct span name), void *owner,
                     struct buf *next);

/* The same of ListSecretVersionIds. */
int aws_answer_versions(struct span body, struct secret_versions *versions, struct buf *next);

#endif
