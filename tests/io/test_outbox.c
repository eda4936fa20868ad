/* Writes that leave before the loop waits: when, in which order, and what becomes of those that the
 * socket does not take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "io/conn.h"
#include "io/outbox.h"
#include "wire.h"

struct end {
    struct conn conn;
    struct loop *loop;
    int hand; /* the other end */
    int kept, drained, errors;
};

static struct end *end_of(struct conn *conn)
{
    return container_of(conn, struct end, conn);
}

static void on_nothing(struct conn *conn)
{
    (void)conn;
}

static void on_kept(struct conn *conn)
{
    end_of(conn)->kept++;
}

static void on_drained(struct conn *conn)
{
    end_of(conn)->drained++;
}

static void on_error(struct conn *conn, int err)
{
    (void)err;
    end_of(conn)->errors++;
    conn_close(conn);
}

static const struct conn_ops ops = {
    .on_open = on_nothing,
    .on_readable = on_nothing,
    .on_drained = on_drained,
    .on_hangup = on_nothing,
    .on_error = on_error,
    .on_kept = on_kept,
};

static void begin(struct end *end, struct loop *loop)
{
    int pair[2];

    *end = (struct end){.loop = loop};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    end->hand = pair[1];
    assert_int_equal(conn_accept(&end->conn, loop, pair[0], NULL, &ops), 0);
    wire_settle(loop);
}

static void finish(struct end *end)
{
    conn_close(&end->conn);
    if (end->hand >= 0)
        close(end->hand);
}

static void say_soon(struct end *end, const char *text)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)text, 1},
                           {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};

    assert_int_equal(conn_send_soon(&end->conn, iov, 2), 0);
}

static void assert_heard(struct end *end, const char *text)
{
    char heard[64];
    ssize_t n = recv(end->hand, heard, sizeof(heard), 0);

    assert_int_equal(n < 0 ? 0 : n, strlen(text));
    if (n > 0)
        assert_memory_equal(heard, text, (size_t)n);
}

static void test_leaves_with_the_turn(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct end a, b;

    (void)state;
    begin(&a, loop);
    begin(&b, loop);
    say_soon(&a, "first");
    say_soon(&b, "other");
    assert_heard(&a, "");
    assert_heard(&b, "");
    wire_settle(loop);
    assert_heard(&a, "first");
    assert_heard(&b, "other");
    assert_int_equal(a.kept, 0);
    finish(&a);
    finish(&b);
    loop_free(&loop);
}

/* A second write, whichever way, sends the first. */
static void test_order(void **state)
{
    struct iovec direct = {(void *)(uintptr_t) "3", 1};
    struct loop *loop = loop_new_virtual(0);
    struct end a;

    (void)state;
    begin(&a, loop);
    say_soon(&a, "1");
    say_soon(&a, "2");
    assert_int_equal(conn_send(&a.conn, &direct, 1), 0);
    say_soon(&a, "4");
    wire_settle(loop);
    assert_heard(&a, "1234");
    finish(&a);
    loop_free(&loop);
}

static void test_leaves_before_an_end(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct end a, b;

    (void)state;
    begin(&a, loop);
    begin(&b, loop);
    say_soon(&a, "closed");
    conn_close(&a.conn);
    say_soon(&b, "shut");
    conn_shutdown(&b.conn);
    assert_heard(&a, "closed");
    assert_heard(&b, "shut");
    wire_settle(loop);
    assert_int_equal(a.errors + b.errors, 0);
    finish(&a);
    finish(&b);
    loop_free(&loop);
}

static void test_peer_that_does_not_take_it(void **state)
{
    static char piece[4000], heard[1 << 20];
    struct loop *loop = loop_new_virtual(0);
    struct iovec iov = {piece, sizeof(piece)};
    size_t given = 0, got = 0;
    struct end a;
    ssize_t n;

    (void)state;
    begin(&a, loop);
    while (!a.kept) {
        iov = (struct iovec){piece, sizeof(piece)};
        assert_int_equal(conn_send_soon(&a.conn, &iov, 1), 0);
        given += sizeof(piece);
        wire_settle(loop);
    }
    assert_int_equal(a.kept, 1);
    assert_true(conn_pending(&a.conn) > 0);
    while ((n = recv(a.hand, heard, sizeof(heard), 0)) > 0) {
        got += (size_t)n;
        wire_settle(loop);
    }
    assert_int_equal(a.drained, 1);
    assert_int_equal(got, given);
    finish(&a);
    loop_free(&loop);
}

static void test_peer_that_left(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct end a;

    (void)state;
    begin(&a, loop);
    say_soon(&a, "nobody hears it");
    close(a.hand);
    a.hand = -1;
    assert_int_equal(a.errors, 0);
    wire_settle(loop);
    assert_int_equal(a.errors, 1);
    finish(&a);
    loop_free(&loop);
}

/* More than a batch has places for: what finds none leaves at once. */
static void test_many_writes_in_a_turn(void **state)
{
    enum { ENDS = OUTBOX_PLACES + 10 };
    static struct end ends[ENDS];
    struct loop *loop = loop_new_virtual(0);

    (void)state;
    for (int i = 0; i < ENDS; i++)
        begin(&ends[i], loop);
    for (int i = 0; i < ENDS; i++)
        say_soon(&ends[i], "word");
    assert_heard(&ends[0], "");
    assert_heard(&ends[ENDS - 1], "word");
    wire_settle(loop);
    for (int i = 0; i < OUTBOX_PLACES; i++)
        assert_heard(&ends[i], "word");
    for (int i = 0; i < ENDS; i++)
        finish(&ends[i]);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_with_the_turn),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_leaves_before_an_end),
        cmocka_unit_test(test_peer_that_does_not_take_it),
        cmocka_unit_test(test_peer_that_left),
        cmocka_unit_test(test_many_writes_in_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
