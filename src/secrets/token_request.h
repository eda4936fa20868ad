/*
 * The request by which a credential is exchanged for a token: an HTTP POST with a form (RFC 6749
 * 4.4, RFC 7523 2) or, for Anthropic, JSON. No I/O; belongs to whoever sends it, one thread.
 */
#ifndef SECRETS_TOKEN_REQUEST_H
#define SECRETS_TOKEN_REQUEST_H

#include <stdint.h>

#include "base/buf.h"
#include "secrets/credential.h"

enum { TOKEN_ASSERTION_MAX_BYTES = 16384 };

struct token_request {
    struct buf url;
    struct buf body;           /* wiped when it goes */
    const char *const *fields; /* whole lines without their end; ends with NULL */
};

/* For that credential; `assertion` is what its token file holds (empty: it has none), trimmed; the
 * wall clock dates what is signed. 0; ERR_SYNTAX where the assertion is no token, or the private
 * key none; ERR_FULL; ERR_NOMEM. token_request_fini is right in any case. */
int token_request_write(struct token_request *request, const struct credential *credential,
                        struct span assertion, uint64_t wall_us);

void token_request_fini(struct token_request *request);

#endif
