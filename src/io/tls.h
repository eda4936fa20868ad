/*
 * TLS by OpenSSL over our own buffers: a context per listener or endpoint (made on first need,
 * shared by threads), a session per connection (one thread). Verification is on unless switched
 * off; names are checked against RFC 6125 by OpenSSL itself.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct tls_context;

struct tls_server_options {
    const char *certificate_path; /* PEM chain */
    const char *private_key_path; /* PEM */
};

struct tls_client_options {
    const char *ca_path;          /* PEM file; NULL: the system's */
    const char *certificate_path; /* NULL: none is shown */
    const char *private_key_path;
    bool is_unverified; /* accept any certificate */
};

enum { TLS_ERROR_BYTES = 256 };

/* Both: 0, ERR_TLS (a file cannot be used; ret_error says which and why, without contents) or
 * ERR_NOMEM. */
int tls_server_context_new(const struct tls_server_options *options, char *ret_error,
                           struct tls_context **ret_context);
int tls_client_context_new(const struct tls_client_options *options, char *ret_error,
                           struct tls_context **ret_context);

/* Counted: connections hold a reference each. */
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context **context);

#endif
