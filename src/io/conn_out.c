#include "io/conn_out.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/secret.h"
#include "io/outbox.h"
#include "io/sys.h"
#include "io/tls_session.h"

/* What a loop keeps for the next connection that must keep output. */
enum { SPARE_MOST_BYTES = 256 << 10 };

/* The most plaintext of one TLS record (RFC 8446 5.1). */
enum { RECORD_BYTES = 16384 };

void conn_out_free(struct conn *conn)
{
    struct buf *spare = loop_spare(conn->loop);

    conn->out_at = 0;
    if (spare->data || conn->out.is_secret || conn->out.cap > SPARE_MOST_BYTES) {
        buf_fini(&conn->out);
        conn->out.max = CONN_OUT_MAX;
        return;
    }
    spare->data = conn->out.data;
    spare->cap = conn->out.cap;
    buf_init(&conn->out, CONN_OUT_MAX);
}

/* Before something is kept; TLS records always are, for a moment. */
static void borrow_out(struct conn *conn)
{
    struct buf *spare = loop_spare(conn->loop);

    if (conn->out.data || !spare->data)
        return;
    conn->out.data = spare->data;
    conn->out.cap = spare->cap;
    spare->data = NULL;
    spare->cap = 0;
}

int conn_fail(struct conn *conn, int err)
{
    if (!conn->error)
        conn->error = err;
    conn->may_read = true;
    conn_out_free(conn);
    return conn->error;
}

int conn_out_flush(struct conn *conn)
{
    while (conn_pending(conn)) {
        ssize_t n =
            sys_send(conn->fd.fd, conn->out.data + conn->out_at, conn_pending(conn), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : conn_fail(conn, err_from_errno(errno));
        conn->out_at += (size_t)n;
        conn->sent_bytes += (size_t)n;
    }
    if (conn->out.data)
        conn_out_free(conn);
    return 0;
}

/* What was sent makes room once it is the larger part, so that bytes move at most once. */
static void make_room(struct conn *conn)
{
    if (conn->out_at <= conn->out.len / 2)
        return;
    buf_drop_front(&conn->out, conn->out_at);
    conn->out_at = 0;
}

void conn_admit(struct conn *conn, size_t bytes)
{
    size_t most = conn->out.len + bytes + CONN_OUT_MAX;

    if (conn->out.max < most)
        conn->out.max = most;
}

static int keep_rest(struct conn *conn, const struct iovec *iov, int count, size_t skip)
{
    size_t whole = 0;
    int err;

    for (int i = 0; i < count; i++)
        whole += iov[i].iov_len;
    if (whole == skip)
        return 0;
    if (!conn->out.is_secret)
        borrow_out(conn);
    make_room(conn);
    err = buf_reserve(&conn->out, whole - skip);
    if (err)
        return conn_fail(conn, err);
    for (int i = 0; i < count; i++) {
        size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        skip -= cut;
        /* There is room. */
        (void)buf_append(&conn->out, (char *)iov[i].iov_base + cut, iov[i].iov_len - cut);
    }
    return 0;
}

/* One write to the socket; what it does not take is kept. */
static int send_now(struct conn *conn, struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n;

    do {
        n = sendmsg(conn->fd.fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN)
        return conn_fail(conn, err_from_errno(errno));
    n = n < 0 ? 0 : n;
    conn->sent_bytes += (size_t)n;
    return keep_rest(conn, iov, count, (size_t)n);
}

/* True where the socket comes next: nothing that was given before still waits. */
static bool is_clear(const struct conn *conn)
{
    return conn->out.len == 0 && !conn->outbox_number && !conn->is_connecting;
}

static int send_plain(struct conn *conn, struct iovec *iov, int count)
{
    return is_clear(conn) ? send_now(conn, iov, count) : keep_rest(conn, iov, count, 0);
}

/* A record costs far more than the copying of small pieces into one. */
static int write_records(struct tls_session *tls, const struct iovec *iov, int count)
{
    char record[RECORD_BYTES];
    size_t len = 0, most = 0;
    int err = 0;

    if (count == 1)
        return tls_session_write(tls, span_of(iov->iov_base, iov->iov_len));
    for (int i = 0; i < count && !err; i++) {
        struct span piece = span_of(iov[i].iov_base, iov[i].iov_len);

        if (piece.len > sizeof(record) - len) {
            err = tls_session_write(tls, span_of(record, len));
            len = 0;
        }
        if (!err && piece.len > sizeof(record)) {
            err = tls_session_write(tls, piece);
        } else if (!err && piece.len) {
            memcpy(record + len, piece.ptr, piece.len);
            len += piece.len;
            most = len > most ? len : most;
        }
    }
    if (!err)
        err = tls_session_write(tls, span_of(record, len));
    secret_wipe(record, most); /* heads with keys pass here */
    return err;
}

static int send_tls(struct conn *conn, struct iovec *iov, int count)
{
    bool was_empty = conn->out.len == 0;
    int err;

    borrow_out(conn);
    make_room(conn);
    err = write_records(conn->tls, iov, count);
    if (err)
        return conn_fail(conn, err);
    return was_empty ? conn_out_flush(conn) : 0;
}

/* --- what leaves before the loop waits --- */

int conn_out_send(struct conn *conn)
{
    struct span bytes;
    struct iovec iov;
    ssize_t n;

    if (!conn->outbox_number)
        return 0;
    bytes = outbox_take(loop_outbox(conn->loop), conn->outbox_number);
    conn->outbox_number = 0;
    do {
        n = sys_send(conn->fd.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        conn_fail(conn, err_from_errno(errno));
    } else {
        n = n < 0 ? 0 : n;
        iov = (struct iovec){(void *)(uintptr_t)bytes.ptr, bytes.len};
        conn->sent_bytes += (size_t)n;
        (void)keep_rest(conn, &iov, 1, (size_t)n);
    }
    if (conn->out.is_secret)
        secret_wipe((void *)(uintptr_t)bytes.ptr, bytes.len);
    return conn->error;
}

void conn_flush(struct conn *conn)
{
    if (conn_out_send(conn) != 0)
        conn->ops->on_error(conn, conn->error);
    else if (conn_pending(conn) && conn->ops->on_kept)
        conn->ops->on_kept(conn);
}

static bool put_in_outbox(struct conn *conn, const struct iovec *iov, int count)
{
    conn->outbox_number = outbox_put(loop_outbox(conn->loop), conn, iov, count);
    return conn->outbox_number != 0;
}

/* The records are what is copied: what is kept for them is free again at once. */
static int send_tls_soon(struct conn *conn, struct iovec *iov, int count)
{
    struct iovec records;
    int err;

    borrow_out(conn);
    err = write_records(conn->tls, iov, count);
    if (err)
        return conn_fail(conn, err);
    records = (struct iovec){conn->out.data, conn->out.len};
    if (!put_in_outbox(conn, &records, 1))
        return conn_out_flush(conn);
    conn_out_free(conn);
    return 0;
}

int conn_send_soon(struct conn *conn, struct iovec *iov, int count)
{
    if (conn->error || conn->fd.fd < 0 || !is_clear(conn))
        return conn_send(conn, iov, count);
    if (conn->tls)
        return send_tls_soon(conn, iov, count);
    return put_in_outbox(conn, iov, count) ? 0 : send_now(conn, iov, count);
}

int conn_send(struct conn *conn, struct iovec *iov, int count)
{
    (void)conn_out_send(conn); /* what breaks stays in conn->error */
    if (conn->error)
        return conn->error;
    if (conn->fd.fd < 0)
        return ERR_RESET;
    return conn->tls ? send_tls(conn, iov, count) : send_plain(conn, iov, count);
}

void conn_shutdown(struct conn *conn)
{
    if (conn->fd.fd < 0 || conn->is_finishing)
        return;
    (void)conn_out_send(conn); /* what breaks stays in conn->error */
    conn->is_finishing = true;
    if (conn->tls) {
        tls_session_end(conn->tls);
        conn_out_flush(conn);
    }
    if (conn_pending(conn) == 0)
        shutdown(conn->fd.fd, SHUT_WR);
}
