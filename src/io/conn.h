/*
 * One byte stream: TCP or unix socket, plain or TLS, non-blocking. It is embedded in its owner and
 * belongs to the thread of its loop. Writes are accepted whole: what the socket does not take at
 * once is kept, and the owner is expected to give no more until on_drained (that is the
 * backpressure). Reads are pulled.
 *
 * Any callback may close the connection; nothing is called after conn_close.
 */
#ifndef IO_CONN_H
#define IO_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "io/addr.h"
#include "io/loop.h"
#include "io/tls.h"

struct conn;
struct tls_session;

struct conn_ops {
    /* The connection stands, TLS included. For accepted plain sockets it is called by conn_accept.
     */
    void (*on_open)(struct conn *conn);
    /* Bytes may be there: call conn_read until it says ERR_AGAIN, or remember to call it later. */
    void (*on_readable)(struct conn *conn);
    /* All kept output has been taken by the socket. */
    void (*on_drained)(struct conn *conn);
    /* The peer ended its side, or (is_broken) both sides are over: told once for each, even while
     * the owner does not read. Bytes may still be readable. */
    void (*on_hangup)(struct conn *conn);
    /* Connecting or the handshake failed, or (is_open) kept output could not be sent: the owner
     * must conn_close, then or once it has read what the peer had said before. */
    void (*on_error)(struct conn *conn, int err);
    /* Output given to conn_send_soon was not taken whole: on_drained follows. May be NULL. */
    void (*on_kept)(struct conn *conn);
};

struct conn {
    struct loop_fd fd;
    struct loop *loop;
    const struct conn_ops *ops;
    struct tls_session *tls; /* NULL: plain */
    struct buf out;          /* output the socket has not taken yet, from out_at on */
    size_t out_at;
    uint64_t sent_bytes;    /* given to the socket so far */
    unsigned outbox_number; /* of what leaves at the end of the turn; 0: nothing does */
    int error;              /* negative once nothing can be sent any more */
    bool is_open;           /* on_open has been called */
    bool is_connecting;
    bool may_read;           /* an edge came and the end of it was not seen yet */
    bool is_hung_up;         /* the peer ended its side */
    bool is_broken;          /* both sides are over */
    unsigned char told_ends; /* how many of the two on_hangup has told */
    bool is_finishing;       /* conn_shutdown once drained */
};

/* The most that may wait in `out`. */
enum { CONN_OUT_MAX = 4 << 20 };

/* Takes an accepted, non-blocking descriptor (closed on failure): 0, ERR_NOMEM, ERR_FULL. context
 * NULL: plain. on_open follows, for plain sockets before this returns. */
int conn_accept(struct conn *conn, struct loop *loop, int fd, struct tls_context *context,
                const struct conn_ops *ops);

/* Begins to connect. server_name: for SNI and verification (RFC 6066), a host name or IP literal;
 * only read here. 0, or the error that came at once (nothing is left open then and nothing will be
 * called). */
int conn_connect(struct conn *conn, struct loop *loop, const struct addr *addr,
                 struct tls_context *context, struct span server_name, const struct conn_ops *ops);

/* Up to cap bytes: 0 with *ret_len > 0; ERR_AGAIN; ERR_EOF; else what broke. A TLS peer that ends
 * without close_notify is ERR_RESET: what it sent may be cut (RFC 8446 6.1). A failed write does
 * not keep from reading what came before. For TLS, cap should be at least 16 KiB. */
int conn_read(struct conn *conn, char *data, size_t cap, size_t *ret_len);

/* False where conn_read would say ERR_AGAIN for certain. */
static inline bool conn_may_read(const struct conn *conn)
{
    return conn->may_read || conn->tls;
}

/* Sends or keeps all the bytes: 0, ERR_FULL, ERR_NOMEM or what broke (on_error is not called for
 * it, and nothing is kept any more). The iovec array is used up. */
int conn_send(struct conn *conn, struct iovec *iov, int count);

/* The same, but a small write leaves before the loop waits next, with those of other connections;
 * until then conn_pending does not count it. What breaks then is told by on_error. Never in another
 * order than given. */
int conn_send_soon(struct conn *conn, struct iovec *iov, int count);

/* A piece of so many bytes comes next that is in memory as a whole anyway: room is made for it
 * beyond CONN_OUT_MAX, until all that is kept has been taken. */
void conn_admit(struct conn *conn, size_t bytes);

/* Sends now what waits for the end of the turn: for io/outbox.c. Calls back. */
void conn_flush(struct conn *conn);

static inline size_t conn_pending(const struct conn *conn)
{
    return conn->out.len - conn->out_at;
}

/* What is kept holds a secret: it is wiped when it has been sent. Call it before the first send. */
static inline void conn_keep_secret(struct conn *conn)
{
    conn->out.is_secret = !conn->tls;
}

/* Ends our side of the stream (FIN; close_notify first for TLS) once everything pending is sent. */
void conn_shutdown(struct conn *conn);

/* Closes at once and forgets pending output; harmless twice. */
void conn_close(struct conn *conn);

/* The same with a reset, so that the peer cannot take what it has for all there is. */
void conn_reset(struct conn *conn);

static inline bool conn_is_closed(const struct conn *conn)
{
    return conn->fd.fd < 0;
}

/* What still stands in the socket's own queue, not yet acknowledged by the peer, in bytes. A system
 * call. */
size_t conn_unsent_in_kernel(const struct conn *conn);

/* A number that changes whenever the peer takes some of our bytes: a peer is stuck when it stays. A
 * system call. */
uint64_t conn_progress(const struct conn *conn);

/* True where the TLS session was resumed (RFC 8446 2.2). */
bool conn_is_resumed(const struct conn *conn);

/* Why TLS failed on this connection, a static text; "" where it has not. */
const char *conn_tls_error(const struct conn *conn);

#endif
