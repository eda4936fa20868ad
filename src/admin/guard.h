/*
 * Who may ask the admin address. With a token configured, who sends it. Without one the address is
 * loopback, and what threatens it is a page in a browser on the same machine: it can make the
 * browser connect, also under a name that it made to mean 127.0.0.1 (DNS rebinding), but it cannot
 * keep the browser from sending that name as Host, or its Origin. Pure; any thread.
 */
#ifndef ADMIN_GUARD_H
#define ADMIN_GUARD_H

#include <stdbool.h>

#include "base/secret.h"
#include "dialect/failure.h"
#include "http/head.h"
#include "io/addr.h"

/* What stands against the request, or NULL. token NULL: none is configured. peer: where the request
 * came from; over a unix socket no browser comes, so any Host will do. is_token_asked: false where
 * anybody may ask. The token is compared in constant time (RFC 6750 2.1), and
 * the one shown is wiped where it stands. */
const struct failure_row *guard_refuse(const struct http_head *head, const struct addr *peer,
                                       const struct secret *token, bool is_token_asked);

#endif
