#include "io/listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

enum { BACKLOG = 4096, ACCEPTS_A_TURN = 64, RETRY_US = 100000 };

struct listener {
    struct loop_fd fd;
    struct loop *loop;
    struct loop_task more;
    struct loop_task end;    /* frees */
    struct loop_timer retry; /* after the descriptors ran out */
    listener_accept_fn *on_accept;
    void *owner;
    bool is_borrowed;
    bool is_unix;
    bool is_shut;
    bool is_paused;
    bool is_watched; /* registered in the loop */
};

/* A socket file that nobody listens on is left over from a crash. */
static int clear_stale(const struct addr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
    struct stat st;
    int fd, err = 0;

    if (lstat(un->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return 0;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_from_errno(errno);
    if (connect(fd, (const struct sockaddr *)un, addr->len) == 0 || errno == EAGAIN)
        err = ERR_EXISTS;
    else if (errno == ECONNREFUSED)
        unlink(un->sun_path);
    close(fd);
    return err;
}

static int prepare(int fd, const struct addr *addr, bool is_shared_port)
{
    int on = 1;

    if (addr_is_unix(addr))
        return clear_stale(addr);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
        return err_from_errno(errno);
    if (addr->storage.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (is_shared_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
        return err_from_errno(errno);
    /* Accepted sockets inherit it: one system call fewer each. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
        return err_from_errno(errno);
    return 0;
}

int listener_open(const struct addr *addr, bool is_shared_port, int *ret_fd, struct addr *ret_addr)
{
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0)
        return err_from_errno(errno);
    err = prepare(fd, addr, is_shared_port);
    if (!err &&
        (bind(fd, (const struct sockaddr *)&addr->storage, addr->len) || listen(fd, BACKLOG)))
        err = errno == EADDRNOTAVAIL ? ERR_NOTFOUND : err_from_errno(errno);
    if (!err && ret_addr) {
        *ret_addr = (struct addr){.len = sizeof(ret_addr->storage)};
        if (getsockname(fd, (struct sockaddr *)&ret_addr->storage, &ret_addr->len))
            err = err_from_errno(errno);
    }
    if (err) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static void watch(struct listener *listener)
{
    if (listener->is_watched || listener->is_paused)
        return;
    if (loop_add(listener->loop, &listener->fd, listener->is_borrowed) == 0)
        listener->is_watched = true;
    else
        (void)loop_timer_set(&listener->retry, loop_now_us(listener->loop) + RETRY_US);
}

/* A socket that is not accepted from must not be watched: level-triggered, it would keep its loop
 * busy, and hold back the wake-up that another loop could use. */
static void unwatch(struct listener *listener)
{
    if (!listener->is_watched)
        return;
    loop_remove(listener->loop, &listener->fd);
    listener->is_watched = false;
}

/* True while more may be waiting. */
static bool accept_one(struct listener *listener)
{
    struct addr peer = {.len = sizeof(peer.storage)};
    int fd = accept4(listener->fd.fd, (struct sockaddr *)&peer.storage, &peer.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        listener->on_accept(listener->owner, fd, &peer);
        return listener->fd.fd >= 0;
    }
    switch (errno) {
    case EAGAIN:
        /* A unix socket that was shut stays readable: level-triggered, it would wake its loop for
         * ever. */
        if (listener->is_shut && listener->is_unix)
            unwatch(listener);
        return false;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        /* Nothing tells when there is room again. */
        unwatch(listener);
        if (loop_timer_set(&listener->retry, loop_now_us(listener->loop) + RETRY_US))
            watch(listener);
        return false;
    default:
        return true; /* that one was gone already (accept(2), "Error handling") */
    }
}

static void accept_some(struct listener *listener)
{
    int count = 0;

    while (!listener->is_paused && count < ACCEPTS_A_TURN && accept_one(listener))
        count++;
    if (count == ACCEPTS_A_TURN && listener->fd.fd >= 0)
        loop_defer(listener->loop, &listener->more);
}

static void on_ready(struct loop_fd *fd, unsigned ready)
{
    (void)ready;
    accept_some(container_of(fd, struct listener, fd));
}

static void on_more(struct loop_task *task)
{
    accept_some(container_of(task, struct listener, more));
}

static void on_retry(struct loop_timer *timer)
{
    watch(container_of(timer, struct listener, retry));
}

static void on_end(struct loop_task *task)
{
    mem_free(container_of(task, struct listener, end));
}

static bool is_unix_socket(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

int listener_new(struct loop *loop, int fd, bool is_borrowed, listener_accept_fn *on_accept,
                 void *owner, struct listener **ret_listener)
{
    struct listener *listener = mem_zalloc(1, sizeof(*listener));
    int err;

    if (!listener)
        return ERR_NOMEM;
    listener->fd = (struct loop_fd){fd, on_ready};
    listener->loop = loop;
    listener->on_accept = on_accept;
    listener->owner = owner;
    listener->is_borrowed = is_borrowed;
    listener->is_unix = is_unix_socket(fd);
    loop_task_init(&listener->more, on_more);
    loop_task_init(&listener->end, on_end);
    loop_timer_init(&listener->retry, loop, on_retry);
    err = loop_add(loop, &listener->fd, is_borrowed);
    if (err) {
        mem_free(listener);
        return err;
    }
    listener->is_watched = true;
    *ret_listener = listener;
    return 0;
}

void listener_pause(struct listener *listener)
{
    listener->is_paused = true;
    unwatch(listener);
}

void listener_resume(struct listener *listener)
{
    listener->is_paused = false;
    watch(listener);
}

/* Drops the segments that open a connection (SYN without ACK; the filter's packet begins with the
 * TCP header, whose flags are its byte 13), and no others: handshakes under way come to their end.
 */
static void drop_openings(int fd)
{
    enum { FLAGS_AT = 13, SYN = 0x02, ACK = 0x10 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

    /* Where the kernel takes no filter, what connects between the last accept and the close is
     * reset by it, as by every server's. */
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void listener_shut(struct listener *listener)
{
    listener->is_shut = true;
    if (listener->is_unix)
        (void)shutdown(listener->fd.fd, SHUT_RD);
    else
        drop_openings(listener->fd.fd);
}

void listener_free(struct listener **listener)
{
    struct listener *l = *listener;

    if (!l)
        return;
    *listener = NULL;
    listener_shut(l);
    while (accept_one(l)) {
    }
    loop_timer_fini(&l->retry);
    loop_task_cancel(&l->more);
    unwatch(l);
    if (!l->is_borrowed)
        close(l->fd.fd);
    l->fd.fd = -1;
    /* It may be asked for by what it has just accepted. */
    loop_defer(l->loop, &l->end);
}
