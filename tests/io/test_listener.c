#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/listener.h"
#include "wire.h"

enum { MANY = 200 };

struct door {
    struct loop *loop;
    struct listener *listener;
    struct addr addr;
    int fd, accepted, pause_at, free_at, last_fd;
    char folder[64], path[96];
};

static void on_accept(void *owner, int fd, const struct addr *peer)
{
    struct door *door = owner;

    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(peer->storage.ss_family, door->addr.storage.ss_family);
    if (door->addr.storage.ss_family != AF_UNIX) {
        int on = 0;
        socklen_t len = sizeof(on);

        assert_true(addr_is_loopback(peer) && addr_port(peer) != 0);
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
        assert_int_not_equal(on, 0);
    }
    door->last_fd = fd;
    close(fd);
    if (++door->accepted == door->pause_at)
        listener_pause(door->listener);
    if (door->accepted == door->free_at)
        listener_free(&door->listener);
}

static void begin(struct door *door, const char *address, bool is_borrowed)
{
    struct addr addr;

    *door = (struct door){.loop = loop_new_virtual(0)};
    assert_int_equal(addr_parse(span_from_text(address), &addr), 0);
    assert_int_equal(listener_open(&addr, false, &door->fd, &door->addr), 0);
    assert_int_equal(
        listener_new(door->loop, door->fd, is_borrowed, on_accept, door, &door->listener), 0);
}

static void end(struct door *door)
{
    listener_free(&door->listener);
    loop_free(&door->loop);
}

static int knock(const struct door *door)
{
    int fd = socket(door->addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&door->addr.storage, door->addr.len), 0);
    return fd;
}

static void name_socket(struct door *door)
{
    snprintf(door->folder, sizeof(door->folder), "/tmp/listener-XXXXXX");
    assert_non_null(mkdtemp(door->folder));
    snprintf(door->path, sizeof(door->path), "unix:%s/s", door->folder);
}

static void test_accepts(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};

    for (int i = 0; i < 2; i++) {
        int hands[MANY];
        struct door door;

        begin(&door, addresses[i], false);
        for (int n = 0; n < MANY; n++)
            hands[n] = knock(&door);
        wire_settle(door.loop);
        assert_int_equal(door.accepted, MANY);
        for (int n = 0; n < MANY; n++)
            close(hands[n]);
        end(&door);
    }
}

/* Of its own socket and of a shared, level-triggered one: nothing is accepted, the loop is not kept
 * busy, and nothing that waits is forgotten. */
static void check_pause(bool is_borrowed)
{
    struct door door;
    int hands[5];

    begin(&door, "127.0.0.1:0", is_borrowed);
    door.pause_at = 2;
    for (int i = 0; i < 5; i++)
        hands[i] = knock(&door);
    wire_settle(door.loop);
    assert_int_equal(door.accepted, 2);
    /* Virtual time moves on only while nothing is ready. */
    loop_turn(door.loop, 1000);
    assert_int_equal(loop_now_us(door.loop), 1000);
    listener_resume(door.listener);
    wire_settle(door.loop);
    assert_int_equal(door.accepted, 5);
    for (int i = 0; i < 5; i++)
        close(hands[i]);
    end(&door);
    if (is_borrowed)
        close(door.fd);
}

static void test_pausing(void **state)
{
    check_pause(false);
    check_pause(true);
}

static void check_no_descriptors(bool is_borrowed)
{
    struct rlimit old, few;
    struct door door;
    int hand, next;

    begin(&door, "127.0.0.1:0", is_borrowed);
    hand = knock(&door);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    next = dup(0);
    few = (struct rlimit){(rlim_t)next, old.rlim_max};
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    wire_settle(door.loop);
    assert_int_equal(door.accepted, 0);
    loop_turn(door.loop, 1000);
    assert_int_equal(loop_now_us(door.loop), 1000); /* not busy */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    wire_pass(door.loop, 200000);
    assert_int_equal(door.accepted, 1);
    close(hand);
    end(&door);
    if (is_borrowed)
        close(door.fd);
}

static void test_no_descriptors(void **state)
{
    check_no_descriptors(false);
    check_no_descriptors(true);
}

static void test_what_waits_is_accepted_at_the_end(void **state)
{
    struct door door;
    int hands[3];

    begin(&door, "127.0.0.1:0", false);
    for (int i = 0; i < 3; i++)
        hands[i] = knock(&door);
    end(&door);
    assert_int_equal(door.accepted, 3);
    for (int i = 0; i < 3; i++)
        close(hands[i]);
}

/* Of its handshake with a listener that was shut. */
static void check_unanswered(const struct door *door)
{
    int fd = socket(door->addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd answer = {.fd = fd, .events = POLLOUT};

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&door->addr.storage, door->addr.len), -1);
    assert_int_equal(errno, EINPROGRESS);
    /* On the loopback a handshake is over when connect() returns. */
    assert_int_equal(poll(&answer, 1, 0), 0);
    close(fd);
}

static void test_nobody_is_let_in_after_it_was_shut(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};

    for (int i = 0; i < 2; i++) {
        struct door door;
        int hand;

        begin(&door, addresses[i], false);
        hand = knock(&door);
        listener_shut(door.listener);
        check_unanswered(&door);
        wire_settle(door.loop);
        assert_int_equal(door.accepted, 1); /* who was in the queue */
        check_unanswered(&door);
        end(&door);
        assert_int_equal(door.accepted, 1);
        close(hand);
    }
}

static void test_a_shared_unix_socket_that_was_shut(void **state)
{
    struct door door, names;
    int hand, late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name_socket(&names);
    begin(&door, names.path, true);
    hand = knock(&door);
    listener_shut(door.listener);
    assert_int_equal(connect(late, (const struct sockaddr *)&door.addr.storage, door.addr.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    wire_settle(door.loop);
    assert_int_equal(door.accepted, 1);
    loop_turn(door.loop, 1000);
    assert_int_equal(loop_now_us(door.loop), 1000); /* not busy */
    end(&door);
    close(door.fd);
    close(hand);
    close(late);
    unlink(names.path + 5);
    rmdir(names.folder);
}

/* Each loop that shares a socket takes what waits when it ends, though the socket lives on. */
static void test_what_waits_at_a_shared_socket(void **state)
{
    struct door door, names;
    int hand;

    name_socket(&names);
    begin(&door, names.path, true);
    hand = knock(&door);
    end(&door);
    assert_int_equal(door.accepted, 1);
    close(door.fd);
    close(hand);
    unlink(names.path + 5);
    rmdir(names.folder);
}

static void test_freed_while_accepting(void **state)
{
    struct door door;
    int hands[3];

    begin(&door, "127.0.0.1:0", false);
    door.free_at = 1;
    for (int i = 0; i < 3; i++)
        hands[i] = knock(&door);
    wire_settle(door.loop);
    assert_int_equal(door.accepted, 3); /* the end takes what waits */
    assert_null(door.listener);
    for (int i = 0; i < 3; i++)
        close(hands[i]);
    end(&door);
}

static void test_port_in_use(void **state)
{
    struct door door;
    int fd;

    begin(&door, "127.0.0.1:0", false);
    assert_true(addr_port(&door.addr) != 0);
    assert_int_equal(listener_open(&door.addr, false, &fd, NULL), ERR_EXISTS);
    assert_int_equal(listener_open(&door.addr, true, &fd, NULL), ERR_EXISTS);
    end(&door);
}

static void test_shared_port(void **state)
{
    struct addr any, addr;
    int first, second;

    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &any), 0);
    assert_int_equal(listener_open(&any, true, &first, &addr), 0);
    assert_int_equal(listener_open(&addr, true, &second, NULL), 0);
    close(first);
    close(second);
}

static void test_address_of_another_machine(void **state)
{
    struct addr addr;
    int fd;

    assert_int_equal(addr_parse(SPAN("192.0.2.1:0"), &addr), 0);
    assert_int_equal(listener_open(&addr, false, &fd, NULL), ERR_NOTFOUND);
}

static void test_unix_sockets(void **state)
{
    struct door names, door, other;
    struct stat st;
    struct addr addr;
    int hand, fd;

    name_socket(&names);
    begin(&door, names.path, false);
    hand = knock(&door);
    wire_settle(door.loop);
    assert_int_equal(door.accepted, 1);
    close(hand);
    /* One that answers is not taken over. */
    assert_int_equal(addr_parse(span_from_text(names.path), &addr), 0);
    assert_int_equal(listener_open(&addr, false, &fd, NULL), ERR_EXISTS);
    end(&door);
    /* The file that a crash leaves is. */
    assert_int_equal(stat(names.path + 5, &st), 0);
    begin(&other, names.path, false);
    hand = knock(&other);
    wire_settle(other.loop);
    assert_int_equal(other.accepted, 1);
    close(hand);
    end(&other);
    unlink(names.path + 5);
    /* What is no socket stays. */
    fd = open(names.path + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(listener_open(&addr, false, &fd, NULL), ERR_EXISTS);
    assert_int_equal(stat(names.path + 5, &st), 0);
    unlink(names.path + 5);
    rmdir(names.folder);
    assert_int_equal(listener_open(&addr, false, &fd, NULL), ERR_NOTFOUND);
}

static void test_without_memory(void **state)
{
    struct listener *listener = NULL;
    struct addr any;
    struct door door;
    int fd;

    if (!wire_can_fail())
        skip();
    begin(&door, "127.0.0.1:0", false);
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &any), 0);
    assert_int_equal(listener_open(&any, false, &fd, NULL), 0);
    mem_fail_after(0);
    assert_int_equal(listener_new(door.loop, fd, false, on_accept, &door, &listener), ERR_NOMEM);
    assert_null(listener);
    close(fd); /* it stayed ours */
    end(&door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_pausing),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_what_waits_is_accepted_at_the_end),
        cmocka_unit_test(test_nobody_is_let_in_after_it_was_shut),
        cmocka_unit_test(test_a_shared_unix_socket_that_was_shut),
        cmocka_unit_test(test_what_waits_at_a_shared_socket),
        cmocka_unit_test(test_freed_while_accepting),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_shared_port),
        cmocka_unit_test(test_address_of_another_machine),
        cmocka_unit_test(test_unix_sockets),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
