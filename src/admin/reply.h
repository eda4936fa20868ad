/*
 * An answer of the admin address on its way: a long body is given to the connection in pieces, as
 * the client takes them, so that no connection holds more than one piece of it besides the body.
 * The control thread's; it stands as the request's own thing (http_server_request) while it lasts.
 */
#ifndef ADMIN_REPLY_H
#define ADMIN_REPLY_H

#include "base/buf.h"
#include "http/server.h"

enum { REPLY_PIECE_BYTES = 256 << 10 };

/* Begins to answer; takes the body's bytes, and leaves an empty buffer. */
void reply_begin(struct http_server_conn *conn, const struct http_answer *answer, struct buf *body);

/* The connection took what it had (on_room). */
void reply_go_on(struct http_server_conn *conn);

/* The client left (on_gone). */
void reply_drop(struct http_server_conn *conn);

#endif
