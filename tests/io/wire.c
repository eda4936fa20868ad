#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"

enum { TURNS_TO_SETTLE = 30 };

void wire_settle(struct loop *loop)
{
    for (int i = 0; i < TURNS_TO_SETTLE; i++)
        assert_int_equal(loop_turn(loop, 0), 0);
}

void wire_pass(struct loop *loop, uint64_t us)
{
    uint64_t end = loop_now_us(loop) + us;

    wire_settle(loop);
    while (loop_now_us(loop) < end)
        assert_int_equal(loop_turn(loop, end - loop_now_us(loop)), 0);
    wire_settle(loop);
}

void wire_pair(int ret_fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fds),
                     0);
}

int wire_listen(bool is_unix, struct addr *ret_addr)
{
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_addr = (struct addr){.len = sizeof(sa_family_t)};
    ret_addr->storage.ss_family = AF_UNIX;
    if (!is_unix)
        assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), ret_addr), 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&ret_addr->storage, ret_addr->len), 0);
    assert_int_equal(listen(fd, 64), 0);
    ret_addr->len = sizeof(ret_addr->storage);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ret_addr->storage, &ret_addr->len), 0);
    return fd;
}

int wire_set_non_blocking(int fd)
{
    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int wire_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

void wire_write(struct loop *loop, int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return; /* the other side is gone: what it says about it is the test's matter */
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
        assert_int_equal(loop_turn(loop, 0), 0);
    }
}

void wire_say(struct loop *loop, int fd, const char *text)
{
    wire_write(loop, fd, text, strlen(text));
    wire_settle(loop);
}

enum wire_end wire_read(int fd, struct buf *buf)
{
    char piece[65536];

    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n == 0)
            return WIRE_EOF;
        if (n < 0)
            return errno == EAGAIN ? WIRE_OPEN : WIRE_RESET;
        assert_int_equal(buf_append(buf, piece, (size_t)n), 0);
    }
}

char *wire_hear(struct loop *loop, int fd, enum wire_end *ret_end)
{
    struct buf buf;
    enum wire_end end;
    size_t len;

    buf_init(&buf, 1 << 28);
    do {
        len = buf.len;
        wire_settle(loop);
        end = wire_read(fd, &buf);
    } while (buf.len != len);
    assert_int_equal(buf_append_byte(&buf, '\0'), 0);
    if (ret_end)
        *ret_end = end;
    return buf_take(&buf, &len);
}

/* "Date: …" becomes "Date: D". */
static void hide_dates(char *text)
{
    char *at = text;

    while ((at = strstr(at, "Date: "))) {
        char *end = strstr(at, "\r\n");

        assert_non_null(end);
        assert_int_equal(end - at, 35);
        at[6] = 'D';
        memmove(at + 7, end, strlen(end) + 1);
        at += 7;
    }
}

void wire_expect(struct loop *loop, int fd, const char *text, enum wire_end end)
{
    enum wire_end heard_end;
    char *heard = wire_hear(loop, fd, &heard_end);

    hide_dates(heard);
    assert_string_equal(heard, text);
    assert_int_equal(heard_end, end);
    mem_free(heard);
}

void wire_reset(int fd)
{
    struct linger linger = {.l_onoff = 1};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(fd);
}

bool wire_can_fail(void)
{
    bool can_fail;

    mem_fail_after(1000000);
    can_fail = mem_fail_is_pending();
    mem_fail_after(-1);
    return can_fail;
}
