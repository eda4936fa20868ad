/* Plain connections over unix, IPv4 and IPv6 sockets. TLS is in test_tls.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/conn.h"
#include "wire.h"

/* A connection, and the hand at its other end. */
struct line {
    struct conn conn;
    struct loop *loop;
    int listener, hand;
    struct addr addr;
    struct buf in;
    int opens, drains, hangups, errors, err, read_err;
    bool is_deaf;
    char closes_on; /* o, r, d, h, e */
};

static struct line *line_of(struct conn *conn)
{
    return container_of(conn, struct line, conn);
}

static void close_on(struct line *line, char event)
{
    if (line->closes_on == event)
        conn_close(&line->conn);
}

static void take(struct line *line)
{
    char piece[1000];
    size_t len;
    int err;

    while ((err = conn_read(&line->conn, piece, sizeof(piece), &len)) == 0)
        assert_int_equal(buf_append(&line->in, piece, len), 0);
    if (err != ERR_AGAIN && !line->read_err)
        line->read_err = err;
}

static void on_open(struct conn *conn)
{
    line_of(conn)->opens++;
    close_on(line_of(conn), 'o');
}

static void on_readable(struct conn *conn)
{
    if (!line_of(conn)->is_deaf)
        take(line_of(conn));
    close_on(line_of(conn), 'r');
}

static void on_drained(struct conn *conn)
{
    line_of(conn)->drains++;
    close_on(line_of(conn), 'd');
}

static void on_hangup(struct conn *conn)
{
    line_of(conn)->hangups++;
    close_on(line_of(conn), 'h');
}

static void on_error(struct conn *conn, int err)
{
    line_of(conn)->errors++;
    line_of(conn)->err = err;
    close_on(line_of(conn), 'e');
}

static const struct conn_ops ops = {
    .on_open = on_open,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_hangup = on_hangup,
    .on_error = on_error,
};

static void begin(struct line *line, const char *kind)
{
    *line = (struct line){.loop = loop_new_virtual(0), .hand = -1, .listener = -1};
    buf_init(&line->in, 1 << 26);
    line->conn.fd.fd = -1;
    if (strcmp(kind, "ipv6") != 0) {
        line->listener = wire_listen(strcmp(kind, "unix") == 0, &line->addr);
        return;
    }
    line->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(addr_parse(SPAN("[::1]:0"), &line->addr), 0);
    assert_int_equal(bind(line->listener, (struct sockaddr *)&line->addr.storage, line->addr.len),
                     0);
    assert_int_equal(listen(line->listener, 1), 0);
    assert_int_equal(
        getsockname(line->listener, (struct sockaddr *)&line->addr.storage, &line->addr.len), 0);
}

static void dial(struct line *line)
{
    assert_int_equal(
        conn_connect(&line->conn, line->loop, &line->addr, NULL, span_of(NULL, 0), &ops), 0);
    line->hand = wire_accept(line->listener);
    wire_settle(line->loop);
}

static void end(struct line *line)
{
    conn_close(&line->conn);
    conn_close(&line->conn); /* harmless twice */
    if (line->hand >= 0)
        close(line->hand);
    close(line->listener);
    loop_free(&line->loop);
    buf_fini(&line->in);
}

static void say(struct line *line, const char *text)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)text, 1},
                           {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};

    assert_int_equal(conn_send(&line->conn, iov, 2), 0);
}

static const char *const kinds[] = {"unix", "ipv4", "ipv6"};

static void test_talking(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct line line;

        begin(&line, kinds[i]);
        dial(&line);
        assert_int_equal(line.opens, 1);
        say(&line, "hello");
        wire_expect(line.loop, line.hand, "hello", WIRE_OPEN);
        assert_int_equal(line.conn.sent_bytes, 5);
        wire_say(line.loop, line.hand, "welcome");
        assert_string_equal(buf_text(&line.in), "welcome");
        assert_int_equal(line.drains + line.hangups + line.errors, 0);
        end(&line);
    }
}

static void test_sending_before_it_stands(void **state)
{
    struct line line;

    begin(&line, "ipv4");
    assert_int_equal(conn_connect(&line.conn, line.loop, &line.addr, NULL, span_of(NULL, 0), &ops),
                     0);
    say(&line, "early bird");
    assert_int_equal(conn_pending(&line.conn), 10);
    line.hand = wire_accept(line.listener);
    wire_expect(line.loop, line.hand, "early bird", WIRE_OPEN);
    assert_int_equal(line.opens, 1);
    assert_int_equal(line.drains, 1);
    end(&line);
}

static void test_refused(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct line line;
        int err;

        begin(&line, kinds[i]);
        close(line.listener);
        err = conn_connect(&line.conn, line.loop, &line.addr, NULL, span_of(NULL, 0), &ops);
        if (!err) {
            wire_settle(line.loop);
            assert_int_equal(line.errors, 1);
            err = line.err;
        } else {
            assert_true(conn_is_closed(&line.conn));
        }
        assert_int_equal(err, ERR_REFUSED);
        assert_int_equal(line.opens, 0);
        line.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        end(&line);
    }
}

/* A hand that takes a little now and then, so that some output is always kept: all arrives, in
 * order, and no more memory is held than is kept. */
static void test_kept_output(void **state)
{
    enum { PIECES = 1000, PIECE = 4001 };
    static char piece[PIECE], heard[20000];
    struct line line;
    size_t got = 0;
    int given = 0, small = 4096;
    ssize_t n;

    begin(&line, "unix");
    dial(&line);
    setsockopt(line.conn.fd.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while (got < (size_t)PIECES * PIECE) {
        while (given < PIECES && conn_pending(&line.conn) < 100000) {
            struct iovec iov = {piece, PIECE};

            memset(piece, 'a' + given++ % 26, PIECE);
            assert_int_equal(conn_send(&line.conn, &iov, 1), 0);
        }
        assert_true(conn_pending(&line.conn) < 100000 + PIECE);
        assert_true(line.conn.out.cap <= 1 << 18);
        n = recv(line.hand, heard, sizeof(heard), 0);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++, got++)
            assert_int_equal(heard[i], 'a' + got / PIECE % 26);
        wire_settle(line.loop);
    }
    assert_int_equal(given, PIECES);
    assert_true(line.drains > 0);
    assert_null(line.conn.out.data);
    end(&line);
}

static void test_too_much_output(void **state)
{
    static char piece[1 << 20];
    struct line line;
    int err = 0, given = 0;

    begin(&line, "unix");
    dial(&line);
    while (!err && given < 10) {
        struct iovec iov = {piece, sizeof(piece)};

        err = conn_send(&line.conn, &iov, 1);
        given++;
    }
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(conn_pending(&line.conn), 0);
    {
        struct iovec iov = {piece, 1};

        assert_int_equal(conn_send(&line.conn, &iov, 1), ERR_FULL); /* it stays broken */
    }
    end(&line);
}

static void test_shutdown_sends_what_is_kept(void **state)
{
    static char piece[1 << 20];
    struct iovec iov = {piece, sizeof(piece)};
    struct line line;
    struct buf heard;

    begin(&line, "unix");
    dial(&line);
    buf_init(&heard, 1 << 26);
    assert_int_equal(conn_send(&line.conn, &iov, 1), 0);
    assert_true(conn_pending(&line.conn) > 0);
    conn_shutdown(&line.conn);
    conn_shutdown(&line.conn);
    while (wire_read(line.hand, &heard) == WIRE_OPEN)
        wire_settle(line.loop);
    assert_int_equal(heard.len, sizeof(piece));
    /* The other direction still stands. */
    wire_say(line.loop, line.hand, "thanks");
    assert_string_equal(buf_text(&line.in), "thanks");
    buf_fini(&heard);
    end(&line);
}

static void test_ends(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct line line;

        begin(&line, kinds[i]);
        dial(&line);
        line.is_deaf = true;
        wire_say(line.loop, line.hand, "last words");
        shutdown(line.hand, SHUT_WR);
        wire_settle(line.loop);
        assert_int_equal(line.hangups, 1); /* told although nobody reads */
        assert_true(line.conn.is_hung_up);
        assert_false(line.conn.is_broken);
        wire_reset(line.hand);
        line.hand = -1;
        wire_settle(line.loop);
        assert_int_equal(line.hangups, 2);
        assert_true(line.conn.is_broken);
        take(&line);
        assert_string_equal(buf_text(&line.in), "last words");
        assert_true(line.read_err < 0);
        end(&line);
    }
}

static void test_end_behind_many_bytes(void **state)
{
    static char piece[100000];
    struct line line;

    begin(&line, "unix");
    dial(&line);
    assert_int_equal(send(line.hand, piece, sizeof(piece), 0), sizeof(piece));
    close(line.hand);
    line.hand = -1;
    wire_settle(line.loop);
    assert_int_equal(line.in.len, sizeof(piece));
    assert_int_equal(line.read_err, ERR_EOF);
    end(&line);
}

/* What the peer said before it broke our writing can still be read. */
static void test_reading_after_a_failed_write(void **state)
{
    static char piece[1 << 20];
    struct line line;
    int err = 0;

    begin(&line, "ipv4");
    dial(&line);
    line.is_deaf = true;
    assert_int_equal(send(line.hand, "go away", 7, 0), 7);
    say(&line, "unread");
    wire_settle(line.loop);
    close(line.hand); /* unread bytes make it a reset */
    line.hand = -1;
    for (int i = 0; i < 10 && !err; i++) {
        struct iovec iov = {piece, 1};

        err = conn_send(&line.conn, &iov, 1);
    }
    assert_int_equal(err, ERR_RESET);
    assert_int_equal(line.errors, 0); /* who calls is told by the return */
    take(&line);
    assert_string_equal(buf_text(&line.in), "go away");
    assert_true(line.read_err == ERR_EOF || line.read_err == ERR_RESET);
    end(&line);
}

static void test_kept_output_that_cannot_leave(void **state)
{
    static char piece[2 << 20];
    struct iovec iov = {piece, sizeof(piece)};
    struct line line;

    begin(&line, "unix");
    dial(&line);
    assert_int_equal(conn_send(&line.conn, &iov, 1), 0);
    close(line.hand);
    line.hand = -1;
    wire_settle(line.loop);
    assert_int_equal(line.errors, 1);
    assert_int_equal(line.err, ERR_RESET);
    assert_int_equal(conn_pending(&line.conn), 0);
    end(&line);
}

static void test_progress(void **state)
{
    static char piece[1 << 20];
    struct iovec iov = {piece, sizeof(piece)};
    struct line line;
    uint64_t before;

    begin(&line, "unix");
    dial(&line);
    assert_int_equal(conn_send(&line.conn, &iov, 1), 0);
    before = conn_progress(&line.conn);
    wire_settle(line.loop);
    assert_true(conn_progress(&line.conn) == before);
    assert_true(conn_unsent_in_kernel(&line.conn) > 0);
    assert_true(recv(line.hand, piece, sizeof(piece), 0) > 0);
    wire_settle(line.loop);
    assert_true(conn_progress(&line.conn) != before);
    end(&line);
}

static void test_secrets_are_wiped(void **state)
{
    static char piece[300000];
    struct iovec iov = {piece, sizeof(piece)};
    struct line line;

    begin(&line, "unix");
    dial(&line);
    conn_keep_secret(&line.conn);
    memset(piece, 's', sizeof(piece));
    assert_int_equal(conn_send(&line.conn, &iov, 1), 0);
    assert_true(conn_pending(&line.conn) > 0);
    mem_free(wire_hear(line.loop, line.hand, NULL));
    assert_int_equal(conn_pending(&line.conn), 0);
    /* Its memory is not lent to others. */
    assert_null(loop_spare(line.loop)->data);
    end(&line);
}

static void test_closing_in_callbacks(void **state)
{
    static char piece[1 << 20];
    struct iovec iov = {piece, sizeof(piece)};
    struct line line;

    for (const char *event = "ordh"; *event; event++) {
        begin(&line, "unix");
        line.closes_on = *event;
        dial(&line);
        if (*event != 'o') {
            assert_int_equal(conn_send(&line.conn, &iov, 1), 0);
            send(line.hand, "x", 1, MSG_NOSIGNAL);
            mem_free(wire_hear(line.loop, line.hand, NULL));
            shutdown(line.hand, SHUT_WR);
            wire_settle(line.loop);
        }
        assert_true(conn_is_closed(&line.conn));
        assert_int_equal(line.drains, *event == 'd' || *event == 'h');
        assert_int_equal(line.hangups, *event == 'h');
        end(&line);
    }
}

static void test_closed_connection(void **state)
{
    struct line line;
    struct iovec iov = {(void *)(uintptr_t) "x", 1};
    size_t len;
    char c;

    begin(&line, "unix");
    dial(&line);
    conn_reset(&line.conn);
    assert_true(conn_is_closed(&line.conn));
    assert_int_equal(conn_send(&line.conn, &iov, 1), ERR_RESET);
    assert_int_equal(conn_read(&line.conn, &c, 1, &len), ERR_RESET);
    assert_int_equal(conn_unsent_in_kernel(&line.conn), 0);
    conn_shutdown(&line.conn);
    conn_reset(&line.conn);
    end(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talking),
        cmocka_unit_test(test_sending_before_it_stands),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_kept_output),
        cmocka_unit_test(test_too_much_output),
        cmocka_unit_test(test_shutdown_sends_what_is_kept),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_end_behind_many_bytes),
        cmocka_unit_test(test_reading_after_a_failed_write),
        cmocka_unit_test(test_kept_output_that_cannot_leave),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_secrets_are_wiped),
        cmocka_unit_test(test_closing_in_callbacks),
        cmocka_unit_test(test_closed_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
