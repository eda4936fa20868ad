#include "io/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "base/err.h"
#include "io/conn_out.h"
#include "io/sys.h"
#include "io/tls_session.h"

static void on_ready(struct loop_fd *fd, unsigned ready);

static void conn_init(struct conn *conn, struct loop *loop, int fd, const struct conn_ops *ops)
{
    *conn = (struct conn){.fd = {fd, on_ready}, .loop = loop, .ops = ops};
    buf_init(&conn->out, CONN_OUT_MAX);
}

void conn_close(struct conn *conn)
{
    if (conn->fd.fd < 0)
        return;
    (void)conn_out_send(conn); /* whatever becomes of it, the connection ends */
    loop_remove(conn->loop, &conn->fd);
    close(conn->fd.fd);
    conn->fd.fd = -1;
    tls_session_free(&conn->tls);
    conn_out_free(conn);
}

void conn_reset(struct conn *conn)
{
    struct linger linger = {.l_onoff = 1};

    /* Where it fails, closing still ends the stream. */
    if (conn->fd.fd >= 0)
        (void)setsockopt(conn->fd.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    conn_close(conn);
}

/* --- input --- */

static int read_socket(struct conn *conn, char *data, size_t cap, size_t *ret_len)
{
    ssize_t n;

    do {
        n = sys_recv(conn->fd.fd, data, cap, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        conn->may_read = false;
        return ERR_AGAIN;
    }
    if (n < 0)
        return conn_fail(conn, err_from_errno(errno));
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
            return conn_fail(conn, ERR_NOMEM);
        if (err != ERR_AGAIN)
            return err == ERR_TLS ? conn_fail(conn, err) : err;
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
    (void)conn_out_send(conn); /* reading may write: what breaks stays in conn->error */
    was_empty = conn_pending(conn) == 0;
    err = read_tls(conn, data, cap, ret_len);
    /* Reading may have produced alerts, tickets' answers or key updates. What stood before them
     * leaves by an event, so that on_drained is told. */
    if (was_empty && conn_pending(conn) && !conn->error)
        conn_out_flush(conn);
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
    if (conn_out_flush(conn) != 0 && (err == 0 || err == ERR_AGAIN))
        err = conn->error;
    return err;
}

static void open_further(struct conn *conn)
{
    int err = conn->tls ? handshake(conn) : 0;

    if (err == ERR_AGAIN)
        return;
    if (err) {
        conn_fail(conn, err);
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
        conn_fail(conn, err_from_errno(error));
        conn->ops->on_error(conn, conn->error);
        return;
    }
    open_further(conn);
}

static void write_further(struct conn *conn)
{
    if (conn_pending(conn) == 0)
        return;
    if (conn_out_flush(conn) != 0) {
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
