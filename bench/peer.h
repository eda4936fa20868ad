/*
 * One connection of the mock upstream, plain or TLS, and the bytes that it has not taken yet.
 *
 * Owned by the mock's connection; single threaded. A peer that broke stays broken, so that one
 * place alone closes it.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "answers.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer {
    int fd;
    bool is_broken;
    SSL *tls;
    struct bytes out; /* said, and not taken yet */
};

/* What TLS connections were seen to do. */
struct peer_handshakes {
    uint64_t done;
    uint64_t resumed;
};

/*
 * A server's context with the certificate and the key of the two PEM files: TLS 1.3 and one cipher,
 * that of the big providers, so that no proxy gets a cheaper one. Dies when it cannot be made.
 */
SSL_CTX *peer_tls_new(const char *certificate, const char *private_key);

/* Takes the descriptor; speaks TLS unless `tls` is NULL. */
void peer_init(struct peer *peer, int fd, SSL_CTX *tls);

/* Closes it and frees what was kept. */
void peer_fini(struct peer *peer);

/* Sends the bytes, and keeps for later what the connection does not take now. */
void peer_say(struct peer *peer, const struct bytes *bytes);

/* Sends what was kept, as far as the connection takes it. */
void peer_flush(struct peer *peer);

/* Reads once: how many bytes, 0 when there are none now; a peer that has ended is broken. */
size_t peer_read(struct peer *peer, char *buffer, size_t room, struct peer_handshakes *handshakes);

/* Appends to bytes that are kept. */
void bytes_keep(struct bytes *store, const char *bytes, size_t size);

/* Drops the first `size` of them. */
void bytes_drop(struct bytes *store, size_t size);

#endif
