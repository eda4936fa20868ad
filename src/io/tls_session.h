/*
 * The TLS state of one connection, moving bytes between buffers: it never touches the socket. Used
 * by io/conn.c alone; one thread.
 */
#ifndef IO_TLS_SESSION_H
#define IO_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"
#include "io/tls.h"

struct tls_session;

/* Ciphertext to send is appended to *out, which outlives the session. server_name: clients only. 0,
 * ERR_NOMEM or ERR_TLS. */
int tls_session_new(struct tls_context *context, struct span server_name, struct buf *out,
                    struct tls_session **ret_session);
void tls_session_free(struct tls_session **session);

/* True where reading would give nothing without more ciphertext. */
bool tls_session_is_hungry(const struct tls_session *session);

/* Ciphertext from the socket; borrowed until it is used up or tls_session_hold is called. Only when
 * hungry. */
void tls_session_feed(struct tls_session *session, struct span ciphertext);

/* Copies what is left of the borrowed bytes: 0 or ERR_NOMEM, ERR_FULL. */
int tls_session_hold(struct tls_session *session);

/* 0: done; ERR_AGAIN: more ciphertext is needed; ERR_TLS. */
int tls_session_handshake(struct tls_session *session);

/* Plaintext: 0 with *ret_len > 0; ERR_AGAIN; ERR_EOF (close_notify); ERR_TLS. */
int tls_session_read(struct tls_session *session, char *data, size_t cap, size_t *ret_len);

/* All of the plaintext, in records of its own, becomes ciphertext in *out: 0, ERR_FULL, ERR_NOMEM
 * or ERR_TLS. */
int tls_session_write(struct tls_session *session, struct span data);

/* Appends close_notify. */
void tls_session_end(struct tls_session *session);

bool tls_session_is_resumed(const struct tls_session *session);

/* Why it failed, a static text; "" where it has not. */
const char *tls_session_error(const struct tls_session *session);

#endif
