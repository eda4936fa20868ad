/*
 * What the bench's programs share: the clock, loopback sockets and the end of a run that cannot go
 * on.
 *
 * The programs of this folder include nothing of src/, so that a mistake there cannot be confirmed
 * here. They are single threaded, talk to 127.0.0.1 alone, and leave with a message on stderr and
 * status 1 at the first thing that they cannot do: a bench that carries on half-broken measures
 * something else.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)

/* One turn of a loop takes at most this many events at a time. */
#define TURN_EVENTS 512

/* Nanoseconds of CLOCK_MONOTONIC: the same clock in all processes of the machine. */
uint64_t now_ns(void);

/* Prints "PROGRAM: message[: errno's text]" and leaves with status 1. The text of errno is added
 * when it is not 0. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* malloc, calloc and realloc that die instead of failing. */
void *need_alloc(size_t bytes);
void *need_zeroed(size_t count, size_t bytes);
void *need_realloc(void *old, size_t bytes);

/* The number in `text`; dies, naming `what`, unless it is whole and within min..max. */
uint64_t need_number(const char *what, const char *text, uint64_t min, uint64_t max);

/* The seconds in `text` ("2", "0.5") as nanoseconds; dies, naming `what`, unless within 0..86400 s.
 */
uint64_t need_seconds_ns(const char *what, const char *text);

/* Raises the descriptor limit to the hard one. */
void raise_descriptor_limit(void);

/* A non-blocking listener on 127.0.0.1. Port 0 takes a free one; the port taken is written to
 * *ret_port. */
int listen_loopback(uint16_t port, uint16_t *ret_port);

/* A non-blocking socket that connects, or has connected, to 127.0.0.1:port, without Nagle's delay.
 */
int connect_loopback(uint16_t port);

/* Switches Nagle's delay off. */
void set_nodelay(int fd);

/* Registers fd once and for all, edge-triggered, for reading, writing and hang-up; `data` comes
 * back with its events. */
void watch_edge(int epoll_fd, int fd, void *data);

#endif
