/*
 * A listening socket in one loop. TCP addresses are opened once per worker (SO_REUSEPORT); a unix
 * socket is opened once and watched by all.
 */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

#include <stdbool.h>

#include "io/addr.h"
#include "io/loop.h"

struct listener;

/* fd: accepted, non-blocking, close-on-exec, TCP_NODELAY set; the callee owns it. */
typedef void listener_accept_fn(void *owner, int fd, const struct addr *peer);

/* Opens, binds and listens, without a loop: 0 or ERR_EXISTS (port in use), ERR_DENIED, ERR_IO…
 * is_shared_port: SO_REUSEPORT. A stale unix socket file is replaced, one that answers is
 * ERR_EXISTS. *ret_addr, if not NULL, gets the address bound (the port where 0 was asked). */
int listener_open(const struct addr *addr, bool is_shared_port, int *ret_fd, struct addr *ret_addr);

/* Accepts from fd in this loop until stopped: 0, ERR_NOMEM or ERR_FULL (fd is the caller's then).
 * The listener owns fd unless is_borrowed. on_accept may pause or free the listener. */
int listener_new(struct loop *loop, int fd, bool is_borrowed, listener_accept_fn *on_accept,
                 void *owner, struct listener **ret_listener);

/* Stops for the time being (max_connections), or goes on. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

/* The first step of the end: nobody new gets in, those whose handshake has begun do, and whoever is
 * in the queue is accepted as before. A unix socket refuses connections from now on, for all loops
 * that share it. TCP leaves them unanswered, so that clients try again a second later and find
 * either nobody or a successor on the same port: closing at once would reset those that entered
 * the queue meanwhile. */
void listener_shut(struct listener *listener);

/* Shuts, accepts what the kernel has finished connecting, then closes. A listener that was shut for
 * longer than a handshake takes loses nobody. Accepts NULL. */
void listener_free(struct listener **listener);

#endif
