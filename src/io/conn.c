#include "io/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/secret.h"
#include "io/tls_session.h"

/* What a loop keeps for the next connection that must keep output. */
enum { SPARE_MOST_BYTES = 256 << 10 };

/* The most plaintext of one TLS record (RFC 8446 5.1). */
enum { RECORD_BYTES = 16384 };

static void on_ready(struct loop_fd *fd, unsigned ready);

static void conn_init(struct conn *conn, struct loop *loop, int fd, const struct conn_ops *ops)
{
    *conn = (struct conn){.fd = {fd, on_ready}, .loop = loop, .ops = ops};
    buf_init(&conn->out, CONN_OUT_MAX);
}

/* Nothing is kept any more: the memory goes to the loop for the next connection in need. */
static void free_out(struct conn *conn)
{
    struct buf *spare = loop_spare(conn->loop);

    conn->out_at = 0;
    if (spare->data || conn->out.is_secret || conn->out.cap > SPARE_MOST_BYTES) {
        buf_fini(&conn->out);
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

void conn_close(struct conn *conn)
{
    if (conn->fd.fd < 0)
        return;
    loop_remove(conn->loop, &conn->fd);
    close(conn->fd.fd);
    conn->fd.fd = -1;
    tls_session_free(&conn->tls);
    free_out(conn);
}

void conn_reset(struct conn *conn)
{
    struct linger linger = {.l_onoff = 1};

    /* Where it fails, closing still ends the stream. */
    if (conn->fd.fd >= 0)
        (void)setsockopt(conn->fd.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    conn_close(conn);
}

/* Nothing can be sent any more. What the peer said before may still be read, up to an end that is
 * certain to be found. */
static int fail(struct conn *conn, int err)
{
    if (!conn->error)
        conn->error = err;
    conn->may_read = true;
    free_out(conn);
    return conn->error;
}

/* --- output --- */

/* Writes what stands in `out`: 0 also where some is left, or what broke. */
static int flush_out(struct conn *conn)
{
    while (conn_pending(conn)) {
        ssize_t n =
            send(conn->fd.fd, conn->out.data + conn->out_at, conn_pending(conn), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : fail(conn, err_from_errno(errno));
        conn->out_at += (size_t)n;
        conn->sent_bytes += (size_t)n;
    }
    if (conn->out.data)
        free_out(conn);
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
        return fail(conn, err);
    for (int i = 0; i < count; i++) {
        size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        skip -= cut;
        /* There is room. */
        (void)buf_append(&conn->out, (char *)iov[i].iov_base + cut, iov[i].iov_len - cut);
    }
    return 0;
}

static int send_plain(struct conn *conn, struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n = 0;

    if (conn->out.len == 0 && !conn->is_connecting) {
        do {
            n = sendmsg(conn->fd.fd, &message, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN)
            return fail(conn, err_from_errno(errno));
        n = n < 0 ? 0 : n;
        conn->sent_bytes += (size_t)n;
    }
    return keep_rest(conn, iov, count, (size_t)n);
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
        return fail(conn, err);
    return was_empty ? flush_out(conn) : 0;
}

int conn_send(struct conn *conn, struct iovec *iov, int count)
{
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
    conn->is_finishing = true;
    if (conn->tls) {
        tls_session_end(conn->tls);
        flush_out(conn);
    }
    if (conn_pending(conn) == 0)
        shutdown(conn->fd.fd, SHUT_WR);
}

/* --- input --- */

static int read_socket(struct conn *conn, char *data, size_t cap, size_t *ret_len)
{
    ssize_t n;

    do {
        n = recv(conn->fd.fd, data, cap, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        conn->may_read = false;
        return ERR_AGAIN;
    }
    if (n < 0)
        return fail(conn, err_from_errno(errno));
    if (n == 0)
        return conn->tls ? ERR_RESET : ERR_EOF; /* TLS ends by close_notify, before this */
    /* A short read has drained the socket; the next bytes bring a new edge, and an end has already
     * brought its own, or is about to be found. */
    if ((size_t)n < cap && !conn->is_hung_up && !conn->error)
        conn->may_read = false;
    *ret_len = (size_t)n;
    return 0;
}

static int read_tls(struct conn *conn, char *data, size_t cap, size_t *ret_len)
{
    char *scratch = loop_write_scratch(conn->loop);
    size_t most = cap < LOOP_SCRATCH_BYTES ? cap : LOOP_SCRATCH_BYTES;

    for (;;) {
        size_t n = 0;
        int err = tls_session_read(conn->tls, data, cap, ret_len);

        if (err == 0 && tls_session_hold(conn->tls) != 0)
            return fail(conn, ERR_NOMEM);
        if (err != ERR_AGAIN)
            return err == ERR_TLS ? fail(conn, err) : err;
        if (!conn->may_read)
            return ERR_AGAIN;
        err = read_socket(conn, scratch, most, &n);
        if (err)
            return err;
        tls_session_feed(conn->tls, span_of(scratch, n));
    }
}

int conn_read(struct conn *conn, char *data, size_t cap, size_t *ret_len)
{
    bool was_empty;
    int err;

    if (conn->fd.fd < 0 || !conn->is_open)
        return conn->error ? conn->error : ERR_RESET;
    if (!conn->tls)
        return conn->may_read ? read_socket(conn, data, cap, ret_len) : ERR_AGAIN;
    was_empty = conn_pending(conn) == 0;
    err = read_tls(conn, data, cap, ret_len);
    /* Reading may have produced alerts, tickets' answers or key updates. What stood before them
     * leaves by an event, so that on_drained is told. */
    if (was_empty && conn_pending(conn) && !conn->error)
        flush_out(conn);
    return err;
}

/* --- opening --- */

static int handshake(struct conn *conn)
{
    char *scratch = loop_write_scratch(conn->loop);
    int err;

    for (;;) {
        size_t n = 0;

        err = tls_session_handshake(conn->tls);
        if (err != ERR_AGAIN || !conn->may_read)
            break;
        err = read_socket(conn, scratch, LOOP_SCRATCH_BYTES, &n);
        if (err)
            break;
        tls_session_feed(conn->tls, span_of(scratch, n));
    }
    if (tls_session_hold(conn->tls) != 0)
        err = ERR_NOMEM;
    if (flush_out(conn) != 0 && (err == 0 || err == ERR_AGAIN))
        err = conn->error;
    return err;
}

static void open_further(struct conn *conn)
{
    int err = conn->tls ? handshake(conn) : 0;

    if (err == ERR_AGAIN)
        return;
    if (err) {
        fail(conn, err);
        conn->ops->on_error(conn, conn->error);
        return;
    }
    conn->is_open = true;
    conn->ops->on_open(conn);
}

static void finish_connect(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(conn->fd.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    conn->is_connecting = false;
    if (error) {
        fail(conn, err_from_errno(error));
        conn->ops->on_error(conn, conn->error);
        return;
    }
    open_further(conn);
}

static void write_further(struct conn *conn)
{
    if (conn_pending(conn) == 0)
        return;
    if (flush_out(conn) != 0) {
        conn->ops->on_error(conn, conn->error);
        return;
    }
    if (conn_pending(conn))
        return;
    if (conn->is_finishing)
        shutdown(conn->fd.fd, SHUT_WR);
    if (conn->is_open)
        conn->ops->on_drained(conn);
}

static void tell_ends(struct conn *conn)
{
    unsigned char ends = (unsigned char)(conn->is_hung_up + conn->is_broken);

    if (ends <= conn->told_ends)
        return;
    conn->told_ends = ends;
    conn->ops->on_hangup(conn);
}

static void on_ready(struct loop_fd *fd, unsigned ready)
{
    struct conn *conn = container_of(fd, struct conn, fd);

    conn->may_read |= (ready & LOOP_READ) != 0;
    conn->is_hung_up |= (ready & LOOP_HANGUP) != 0;
    conn->is_broken |= (ready & LOOP_BROKEN) != 0;
    if (conn->is_connecting) {
        if (ready & LOOP_WRITE)
            finish_connect(conn);
    } else if (!conn->is_open) {
        open_further(conn);
    }
    if (conn->fd.fd < 0 || !conn->is_open)
        return;
    if (ready & LOOP_WRITE)
        write_further(conn);
    if (conn->fd.fd >= 0 && (ready & LOOP_READ))
        conn->ops->on_readable(conn);
    if (conn->fd.fd >= 0)
        tell_ends(conn);
}

static void set_no_delay(int fd, int family)
{
    int on = 1;

    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int conn_accept(struct conn *conn, struct loop *loop, int fd, struct tls_context *context,
                const struct conn_ops *ops)
{
    int err = 0;

    conn_init(conn, loop, fd, ops);
    if (context)
        err = tls_session_new(context, span_of(NULL, 0), &conn->out, &conn->tls);
    if (!err)
        err = loop_add(loop, &conn->fd, false);
    if (err) {
        tls_session_free(&conn->tls);
        close(fd);
        conn->fd.fd = -1;
        return err;
    }
    if (!context) {
        conn->is_open = true;
        ops->on_open(conn);
    }
    return 0;
}

int conn_connect(struct conn *conn, struct loop *loop, const struct addr *addr,
                 struct tls_context *context, struct span server_name, const struct conn_ops *ops)
{
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = 0;

    conn_init(conn, loop, fd, ops);
    if (fd < 0)
        return err_from_errno(errno);
    set_no_delay(fd, addr->storage.ss_family);
    conn->is_connecting = true;
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) && errno != EINPROGRESS)
        err = err_from_errno(errno);
    if (err == ERR_AGAIN) /* a unix socket whose backlog is full */
        err = ERR_REFUSED;
    if (!err && context)
        err = tls_session_new(context, server_name, &conn->out, &conn->tls);
    if (!err)
        err = loop_add(loop, &conn->fd, false);
    if (err) {
        tls_session_free(&conn->tls);
        close(fd);
        conn->fd.fd = -1;
    }
    return err;
}

size_t conn_unsent_in_kernel(const struct conn *conn)
{
    int unsent = 0;

    if (conn->fd.fd < 0 || ioctl(conn->fd.fd, SIOCOUTQ, &unsent) != 0 || unsent < 0)
        return 0;
    return (size_t)unsent;
}

uint64_t conn_progress(const struct conn *conn)
{
    return conn->sent_bytes - conn_unsent_in_kernel(conn);
}

bool conn_is_resumed(const struct conn *conn)
{
    return conn->tls && tls_session_is_resumed(conn->tls);
}

const char *conn_tls_error(const struct conn *conn)
{
    return conn->tls ? tls_session_error(conn->tls) : "";
}
