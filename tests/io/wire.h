/*
 * For the tests of io/ and http/: one end of a connection played by hand, byte by byte, on a
 * virtual loop. Unix sockets are used wherever TCP itself is not the matter: what is written is
 * readable at once, so that no test waits.
 */
#ifndef TESTS_IO_WIRE_H
#define TESTS_IO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/addr.h"
#include "io/loop.h"

/* Turns until nothing is ready any more; time stands still. */
void wire_settle(struct loop *loop);

/* Lets so much virtual time pass, timers running in their order. */
void wire_pass(struct loop *loop, uint64_t us);

/* A connected pair: [0] for the program, [1] for the hand. Both non-blocking. */
void wire_pair(int ret_fds[2]);

/* A listening socket, on loopback TCP or (is_unix) an abstract unix address. */
int wire_listen(bool is_unix, struct addr *ret_addr);

int wire_set_non_blocking(int fd);

/* Takes the connection that waits; blocks until there is one. */
int wire_accept(int listener);

/* Writes all of it, turning the loop while the other side must read. */
void wire_write(struct loop *loop, int fd, const char *data, size_t len);
void wire_say(struct loop *loop, int fd, const char *text);

enum wire_end { WIRE_OPEN, WIRE_EOF, WIRE_RESET };

/* Appends all that can be read. */
enum wire_end wire_read(int fd, struct buf *buf);

/* Settles, then reads: what has been said, NUL-terminated; freed by the caller (free). *ret_end may
 * be NULL. */
char *wire_hear(struct loop *loop, int fd, enum wire_end *ret_end);

/* Settles, reads and compares, with the Date line's value made "D". */
void wire_expect(struct loop *loop, int fd, const char *text, enum wire_end end);

/* True in a build with faults: allocations can be made to fail. */
bool wire_can_fail(void);

/* Closes with a reset. */
void wire_reset(int fd);

#endif
