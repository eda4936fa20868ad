/*
 * TLS on both sides of a connection: a client and a server in one loop on virtual time, and between
 * them a hand of the test that carries the bytes, as many at once as it likes.
 */
#ifndef TESTS_IO_TALK_H
#define TESTS_IO_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "certs.h"
#include "io/conn.h"
#include "io/tls.h"

/* One side of a connection. */
struct end {
    struct conn conn;
    struct buf in;
    int err; /* told by on_error, or what reading ended with */
    char why[TLS_ERROR_BYTES];
    bool is_open, is_reading_paused;
    size_t to_send; /* given as the socket takes it */
    size_t most_pending;
};

/* A client and a server, and between them a hand that carries the bytes. */
struct talk {
    struct certs certs;
    struct loop *loop;
    struct tls_context *server_tls, *client_tls;
    struct end client, server;
    int listener, to_client, to_server; /* the hand's ends; -1 where it let go */
    struct addr addr;
    long fail_after;
};

/* What each end does by itself: it sends what is left of to_send, and reads what there is. */
extern const struct conn_ops talk_ops;

/* Contexts of a server, and of a client that trusts it; nobody has connected. */
void talk_begin(struct talk *talk);
void talk_end(struct talk *talk);

/* The client's context is another. */
void talk_use_client_options(struct talk *talk, const struct tls_client_options *options);

/* The client connects, to whom it takes for that name; the server has a connection. */
void talk_connect_client(struct talk *talk, const char *name);
void talk_accept_server(struct talk *talk);

/* Both, and what they have to say to each other. */
void talk_meet(struct talk *talk, const char *name);

/* Carries up to `most` bytes, or an end, from one side to the other; true where bytes moved. */
bool talk_carry(int *from, int *to, size_t most);

/* Carries so much at a time, until neither side has anything to say. */
void talk_converse(struct talk *talk, size_t most);

/* The hand lets go of one side; of both, and these are closed. */
void talk_hang_up(int *fd);
void talk_part(struct talk *talk);

void end_init(struct end *end);
void end_say(struct end *end, const char *text);

/* Reads all there is. */
void end_take(struct end *end);

/* It has read this since it was last asked. */
void end_expect_heard(struct end *end, const char *text);

#endif
