/*
 * What Google Secret Manager answers (REST, v1), read without trust: a payload that does not have
 * the sum that came with it is none. No state; any thread.
 */
#ifndef SECRETS_GOOGLE_ANSWER_H
#define SECRETS_GOOGLE_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "secrets/secret_versions.h"

/* CRC-32C (Castagnoli; RFC 3720 B.4). */
uint32_t google_crc32c(struct span bytes);

/* A payload: appends its bytes, and the number of its version. 0, ERR_PROTO, ERR_FULL or ERR_NOMEM.
 * `out` is a secret buffer. */
int google_answer_value(struct span body, struct buf *out, uint64_t *ret_number);

/* A version's number, and one more number that differs where its state does: 0, ERR_PROTO or
 * ERR_NOMEM. */
int google_answer_version(struct span body, uint64_t *ret_number, uint64_t *ret_stamp);

/* What a list of versions, or its first pages, tell. */
struct google_newest {
    uint64_t highest; /* of all; 0: there are none */
    uint64_t enabled; /* the highest of those that can be read; 0: none so far */
};

/* A page of them, the newest first: adds to what the pages before told, and to versions (may be
 * NULL) those that can be read; and where it goes on to `next` (nothing: it is the last). 0,
 * ERR_PROTO, ERR_FULL or ERR_NOMEM. */
int google_answer_versions(struct span body, struct google_newest *newest,
                           struct secret_versions *versions, struct buf *next);

/* A page of secrets: each name is told. The same, or what on_name returns. */
int google_answer_names(struct span body, int (*on_name)(void *owner, struct span name),
                        void *owner, struct buf *next);

#endif
