/*
 * The two system calls of the hot path, as the kernel has them. The C library's are points where a
 * thread can be cancelled (pthreads(7)), and take two atomic operations for that in a process with
 * threads; no thread of ours is ever cancelled. Errors as those of recv(2) and send(2). Private to
 * io/; any thread.
 */
#ifndef IO_SYS_H
#define IO_SYS_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The builds of the tests keep the library's, which the sanitizers watch. */
#if defined(BW_RELEASE) && defined(SYS_recvfrom) && defined(SYS_sendto)
static inline ssize_t sys_recv(int fd, void *data, size_t len, int flags)
{
    return (ssize_t)syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

static inline ssize_t sys_send(int fd, const void *data, size_t len, int flags)
{
    return (ssize_t)syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}
#else
static inline ssize_t sys_recv(int fd, void *data, size_t len, int flags)
{
    return recv(fd, data, len, flags);
}

static inline ssize_t sys_send(int fd, const void *data, size_t len, int flags)
{
    return send(fd, data, len, flags);
}
#endif

#endif
