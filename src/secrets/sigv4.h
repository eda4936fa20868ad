/*
 * AWS's Signature Version 4 (docs.aws.amazon.com, "Create a signed AWS API request"): what stands
 * in the Authorization header of a request. Pure; the time is an argument. Any thread.
 */
#ifndef SECRETS_SIGV4_H
#define SECRETS_SIGV4_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { SIGV4_DATE_BYTES = 16, SIGV4_DIGEST_BYTES = 32 };

/* A header line; values are trimmed, and their inner spaces joined, as the signature has them. */
struct sigv4_header {
    struct span name; /* in small letters */
    struct span value;
};

struct sigv4_request {
    struct span method;
    struct span path;                   /* encoded already, "/" at least */
    struct span query;                  /* encoded, its members sorted; or empty */
    const struct sigv4_header *headers; /* sorted by name, each once: all that are signed */
    size_t header_count;
    struct span body;
};

struct sigv4_scope {
    struct span key_id, secret; /* the access key's */
    struct span region, service;
    const char *date; /* SIGV4_DATE_BYTES characters, as sigv4_date writes them */
};

/* "20261120T101500Z" with a NUL: x-amz-date. */
void sigv4_date(uint64_t wall_us, char date[SIGV4_DATE_BYTES + 1]);

/* The canonical request: 0, ERR_FULL or ERR_NOMEM, remembered by the buffer. */
int sigv4_canonical(struct buf *out, const struct sigv4_request *request);

/* Appends "AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..": 0, ERR_FULL or
 * ERR_NOMEM. `out` is a secret buffer. */
int sigv4_authorization(struct buf *out, const struct sigv4_request *request,
                        const struct sigv4_scope *scope);

#endif
