#include "talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "wire.h"

static struct end *end_of(struct conn *conn)
{
    return container_of(conn, struct end, conn);
}

static void note_words(struct end *end)
{
    snprintf(end->why, sizeof(end->why), "%s", conn_tls_error(&end->conn));
}

static void give(struct end *end)
{
    static char piece[30000];

    while (end->to_send && conn_pending(&end->conn) == 0) {
        size_t len = end->to_send < sizeof(piece) ? end->to_send : sizeof(piece);
        struct iovec iov[2] = {{piece, len / 2}, {piece, len - len / 2}};

        end->to_send -= len;
        assert_int_equal(conn_send(&end->conn, iov, 2), 0);
        if (conn_pending(&end->conn) > end->most_pending)
            end->most_pending = conn_pending(&end->conn);
    }
}

void end_take(struct end *end)
{
    char piece[20000]; /* ends of several threads take at the same time */
    size_t len;
    int err = 0;

    while (!end->is_reading_paused &&
           (err = conn_read(&end->conn, piece, sizeof(piece), &len)) == 0)
        assert_int_equal(buf_append(&end->in, piece, len), 0);
    if (err && err != ERR_AGAIN && !end->err) {
        end->err = err;
        note_words(end);
    }
}

static void on_open(struct conn *conn)
{
    end_of(conn)->is_open = true;
    give(end_of(conn));
}

static void on_readable(struct conn *conn)
{
    end_take(end_of(conn));
}

static void on_drained(struct conn *conn)
{
    give(end_of(conn));
}

static void on_hangup(struct conn *conn)
{
    (void)conn;
}

static void on_error(struct conn *conn, int err)
{
    struct end *end = end_of(conn);

    end->err = err;
    note_words(end);
    conn_close(conn);
}

const struct conn_ops talk_ops = {
    .on_open = on_open,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_hangup = on_hangup,
    .on_error = on_error,
};

void talk_begin(struct talk *talk)
{
    struct tls_server_options server_options;
    struct tls_client_options client_options;
    char error[TLS_ERROR_BYTES];

    *talk = (struct talk){.listener = -1, .to_client = -1, .to_server = -1};
    talk->client.conn.fd.fd = talk->server.conn.fd.fd = -1;
    certs_make(&talk->certs);
    server_options = (struct tls_server_options){talk->certs.server, talk->certs.server_key};
    client_options = (struct tls_client_options){.ca_path = talk->certs.ca};
    assert_int_equal(tls_server_context_new(&server_options, error, &talk->server_tls), 0);
    assert_int_equal(tls_client_context_new(&client_options, error, &talk->client_tls), 0);
    talk->loop = loop_new_virtual(1000000);
    talk->listener = wire_listen(true, &talk->addr);
}

void talk_use_client_options(struct talk *talk, const struct tls_client_options *options)
{
    char error[TLS_ERROR_BYTES];

    tls_context_unref(&talk->client_tls);
    assert_int_equal(tls_client_context_new(options, error, &talk->client_tls), 0);
}

void talk_hang_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void talk_part(struct talk *talk)
{
    conn_close(&talk->client.conn);
    conn_close(&talk->server.conn);
    buf_fini(&talk->client.in);
    buf_fini(&talk->server.in);
    talk_hang_up(&talk->to_client);
    talk_hang_up(&talk->to_server);
}

void talk_end(struct talk *talk)
{
    talk_part(talk);
    close(talk->listener);
    loop_free(&talk->loop);
    tls_context_unref(&talk->server_tls);
    tls_context_unref(&talk->client_tls);
    certs_remove(&talk->certs);
}

void end_init(struct end *end)
{
    *end = (struct end){.err = 0};
    buf_init(&end->in, 1 << 26);
}

void talk_connect_client(struct talk *talk, const char *name)
{
    end_init(&talk->client);
    assert_int_equal(conn_connect(&talk->client.conn, talk->loop, &talk->addr, talk->client_tls,
                                  span_from_text(name), &talk_ops),
                     0);
    talk->to_client = wire_accept(talk->listener);
}

void talk_accept_server(struct talk *talk)
{
    int fds[2];

    end_init(&talk->server);
    wire_pair(fds);
    talk->to_server = fds[1];
    assert_int_equal(
        conn_accept(&talk->server.conn, talk->loop, fds[0], talk->server_tls, &talk_ops), 0);
}

/* How much the next one takes in at once. */
static size_t room(int fd)
{
    int unsent = 0;

    return ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent < 50000 ? 50000 : 0;
}

/* Carries up to `most` bytes from one side to the other; an end is carried too. */
bool talk_carry(int *from, int *to, size_t most)
{
    char bytes[65536];
    ssize_t n;

    if (*from < 0 || *to < 0)
        return false;
    most = most < room(*to) ? most : room(*to);
    if (most == 0)
        return false;
    n = recv(*from, bytes, most < sizeof(bytes) ? most : sizeof(bytes), 0);
    if (n == 0)
        shutdown(*to, SHUT_WR);
    if (n <= 0)
        return false;
    return send(*to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

/* Until neither side has anything to say. */
void talk_converse(struct talk *talk, size_t most)
{
    bool has_moved = true;

    for (int quiet = 0; quiet < 3; quiet = has_moved ? 0 : quiet + 1) {
        loop_turn(talk->loop, 0);
        has_moved = talk_carry(&talk->to_client, &talk->to_server, most);
        has_moved |= talk_carry(&talk->to_server, &talk->to_client, most);
        loop_turn(talk->loop, 0);
    }
}

void talk_meet(struct talk *talk, const char *name)
{
    talk_connect_client(talk, name);
    talk_accept_server(talk);
    talk_converse(talk, SIZE_MAX);
}

void end_say(struct end *end, const char *text)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};

    assert_int_equal(conn_send(&end->conn, &iov, 1), 0);
}

void end_expect_heard(struct end *end, const char *text)
{
    assert_string_equal(end->in.len ? buf_text(&end->in) : "", text);
    buf_clear(&end->in);
}
