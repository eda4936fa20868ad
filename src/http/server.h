/*
 * The server's side of one HTTP/1 connection: reads requests one after another, shows them to its
 * handler as they arrive, writes answers with their framing, keeps the connection alive, and closes
 * it as it should be (lingering, where the client may still be sending). Pipelined requests wait in
 * the socket until the answer before them is finished. One thread; made by http_server_accept,
 * freed by itself after on_closed.
 *
 * The order of calls for one request: on_head, on_body*, on_end — then, or already in between, the
 * handler answers: http_server_answer, http_server_body*, the last with is_last. Behind that
 * nothing more is told of this request. In place of it on_gone may come: the client left, and calls
 * for this request have no effect any more. on_bad: a request that cannot be read, before or after
 * its on_head; the handler answers it with http_server_answer at once, and the connection closes
 * behind it. A body that turns out bad once the answer has begun is dropped: the answer ends the
 * connection.
 *
 * A handler may call anything from any callback, and on_gone or on_closed come out of none of its
 * own calls but http_server_abort, http_server_close_idle and http_server_fini.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "http/head.h"
#include "http/parser.h"
#include "io/conn.h"

struct http_server_conn;

enum http_bad {
    HTTP_BAD_REQUEST,        /* framing: see problem */
    HTTP_BAD_HEADER_TIMEOUT, /* the head did not arrive in time */
    HTTP_BAD_BODY_TIMEOUT,   /* the body made no progress; on_gone is not called besides */
};

struct http_server_ops {
    void (*on_head)(struct http_server_conn *conn, const struct http_head *head);
    void (*on_body)(struct http_server_conn *conn, struct span data);
    void (*on_end)(struct http_server_conn *conn);
    void (*on_bad)(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem);
    void (*on_gone)(struct http_server_conn *conn, int err);
    void (*on_room)(struct http_server_conn *conn);   /* the answer's output was taken so far */
    void (*on_closed)(struct http_server_conn *conn); /* the last call */
};

/* Shared by the connections of one server in one loop; outlives them. */
struct http_server {
    struct loop *loop;
    const struct http_server_ops *ops;
    struct tls_context *tls; /* NULL: plain */
    uint64_t header_timeout_us, body_timeout_us, write_timeout_us, idle_timeout_us;
    bool is_half_close_answered; /* a client that ended its side still gets its answer */
    bool is_closing;             /* answers say Connection: close, and it is meant */
    struct list conns;           /* all connections */
    size_t conn_count;
    struct http_head *head; /* scratch */
    uint64_t date_second;   /* that `date` was written for */
    char date[37];          /* the Date line */
    void *owner;
};

/* Zeroed time-outs mean none. 0 or ERR_NOMEM. */
int http_server_init(struct http_server *server, struct loop *loop,
                     const struct http_server_ops *ops, void *owner);
/* Closes all connections at once (on_gone and on_closed are called). */
void http_server_fini(struct http_server *server);

/* Takes the descriptor: 0 or an error (it is closed then). */
int http_server_accept(struct http_server *server, int fd, const struct addr *peer);

/* From now on every answer that begins says Connection: close, and it is meant; idle connections
 * stay for their next request, until http_server_close_idle. */
void http_server_begin_closing(struct http_server *server);
void http_server_close_idle(struct http_server *server);

enum { HTTP_LENGTH_UNKNOWN = -1, HTTP_NO_BODY = -2 };

struct http_answer {
    int status;
    struct span fields; /* whole lines "Name: value\r\n"…, without framing, Date and Connection */
    int64_t length;  /* of the body; HTTP_LENGTH_UNKNOWN: chunked (or until close for HTTP/1.0) */
    bool is_closing; /* close the connection behind it */
};

/* The head and the first piece of the body in one write. What the socket does not take is kept, up
 * to CONN_OUT_MAX; more than that ends the connection (on_gone, unless it was the last piece). A
 * large body is given on room, piece by piece. */
void http_server_answer(struct http_server_conn *conn, const struct http_answer *answer,
                        struct span body, bool is_last);

/* A further piece; the last may be empty. */
void http_server_body(struct http_server_conn *conn, struct span data, bool is_last);

/* A large piece comes next that cannot be given piece by piece: so many bytes are kept beside what
 * CONN_OUT_MAX allows, until the client has taken them. */
void http_server_admit(struct http_server_conn *conn, size_t bytes);

/* Ends an answer that cannot be finished, or a request that gets none: the connection is cut so
 * that the client notices. on_gone is not called. */
void http_server_abort(struct http_server_conn *conn);

/* "100 Continue", where the client waits for it; else nothing. */
void http_server_continue(struct http_server_conn *conn);

/* The body that still arrives is not wanted: it is read and dropped, up to 1 MiB; the connection
 * closes behind the answer where there is more. on_body and on_end are not called for it any more.
 * Done by itself when the answer is finished first. */
void http_server_discard_body(struct http_server_conn *conn);

/* Backpressure towards the client: stop and go on reading the request's body. */
void http_server_pause(struct http_server_conn *conn);
void http_server_resume(struct http_server_conn *conn);

/* Output that the socket has not taken yet. */
size_t http_server_pending(const struct http_server_conn *conn);

/* The handler's own thing for the request under way; NULL at on_head. */
void *http_server_request(const struct http_server_conn *conn);
void http_server_set_request(struct http_server_conn *conn, void *request);

/* The stream beneath, for who breaks the protocol on purpose (the simulator). */
struct conn *http_server_stream(struct http_server_conn *conn);

struct http_server *http_server_of(const struct http_server_conn *conn);
const struct addr *http_server_peer(const struct http_server_conn *conn);
/* Its address without the port, as text; made once a connection. */
const char *http_server_peer_ip(const struct http_server_conn *conn);
/* Monotonic microseconds at which the first byte of the request under way was read; of a pipelined
 * one, at which its turn came. */
uint64_t http_server_request_start_us(const struct http_server_conn *conn);

#endif
