/*
 * Inside TLS: what contexts (tls.c) and sessions (tls_session.c) share. Nobody else includes this.
 */
#ifndef IO_TLS_CONTEXT_H
#define IO_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct tls_context {
    atomic_size_t refs; /* acquire-release on the last drop */
    SSL_CTX *ctx;
    bool is_server;
    bool is_unverified;
    /* The newest session of this endpoint, for resumption; guarded by lock, touched once a
     * handshake. */
    pthread_mutex_t lock;
    SSL_SESSION *session;
};

/* Words for the first error in the thread's queue, which is the cause; what follows it only says
 * who was told. NULL where the queue is empty. */
const char *tls_first_reason(void);

#endif
