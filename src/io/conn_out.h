/*
 * Inside a connection: its kept output (conn_out.c), as the rest of it (conn.c) needs it. Nobody
 * else includes this.
 */
#ifndef IO_CONN_OUT_H
#define IO_CONN_OUT_H

#include "io/conn.h"

/* Nothing is kept any more: the memory goes to the loop for the next connection in need. */
void conn_out_free(struct conn *conn);

/* Writes what is kept: 0 also where some is left, or what broke. */
int conn_out_flush(struct conn *conn);

/* Sends what waits in the outbox: 0 also where some of it is kept, or what broke. Before anything
 * else is written: by then the order could not be told any more. */
int conn_out_send(struct conn *conn);

/* Nothing can be sent any more: notes the first such error and returns it. What the peer said
 * before may still be read, up to an end that is certain to be found. */
int conn_fail(struct conn *conn, int err);

#endif
