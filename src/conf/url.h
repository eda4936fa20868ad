/*
 * A provider's base URL in the pieces that a client needs. Nothing is resolved here. Pure; any
 * thread.
 */
#ifndef CONF_URL_H
#define CONF_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct conf_url {
    struct span text; /* the whole, as written */
    bool is_tls;
    struct span host;      /* without brackets; "localhost" for a unix socket */
    uint16_t port;         /* filled in from the scheme where the URL has none */
    struct span authority; /* what the Host field says: host, and the port where it was written */
    struct span path;      /* "" or "/v1": never with a slash at its end */
    struct span unix_path; /* of the socket in http://unix:/path/to/socket:/v1, else empty */
};

/* "http" or "https" URL without user, query and fragment (RFC 3986), borrowed from text: 0 or
 * ERR_SYNTAX with *ret_why a static text that says what is wrong. */
int conf_url_parse(struct span text, struct conf_url *ret_url, const char **ret_why);

#endif
