/*
 * The client's side of one HTTP/1 connection: connects, sends one request at a time and shows its
 * answer. Embedded in its owner, which keeps it for the next request while http_client_is_reusable.
 * It knows nothing of pools, retries and time-outs: those are the owner's. One thread.
 *
 * After on_fail the connection is closed and nothing more is called. Any callback may close it.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>

#include "http/head.h"
#include "http/parser.h"
#include "io/conn.h"

struct http_client;

struct http_client_ops {
    void (*on_open)(struct http_client *client); /* connected, TLS included */
    /* The final answer's head; 1xx are passed over. */
    void (*on_head)(struct http_client *client, const struct http_head *head);
    /* Bytes of the body as one read brought them, decoded, in one piece that the callee may change;
     * called at most once a read, also where on_head paused in the middle of it. is_last: the
     * answer is complete (then len may be 0). */
    void (*on_data)(struct http_client *client, char *data, size_t len, bool is_last);
    /* All that was sent has been taken by the socket. */
    void (*on_room)(struct http_client *client);
    /* The connection ended or broke, or the answer cannot be read (ERR_PROTO). Also while idle:
     * ERR_PROTO then means bytes that nobody asked for. */
    void (*on_fail)(struct http_client *client, int err);
};

struct http_client {
    struct conn conn;
    struct http_parser parser;
    const struct http_client_ops *ops;
    const char *tls_error; /* during on_fail with ERR_TLS: what failed, a static text; else "" */
    struct http_head *head_scratch; /* shared by the owner's connections */
    struct http_head *head_own;     /* while a head arrives in pieces */
    struct buf head_bytes;          /* likewise */
    struct span ahead;              /* the owner's: memory that it will use when the answer comes */
    struct loop_task more;          /* goes on reading after a pause or a long run */
    bool is_busy;                   /* a request was begun and its answer is not complete */
    bool has_head;                  /* of the answer under way */
    bool has_byte;                  /* any byte of the answer under way */
    bool is_paused;
    bool is_parsing;
    bool is_request_sent; /* the owner gave all of it */
    bool is_reusable;
};

/* Begins to connect; see conn_connect. head_scratch is borrowed. */
int http_client_connect(struct http_client *client, struct loop *loop, const struct addr *addr,
                        struct tls_context *tls, struct span server_name,
                        struct http_head *head_scratch, const struct http_client_ops *ops);

/* Begins a request on an open, idle connection. */
void http_client_begin(struct http_client *client, bool is_head_method);

/* Bytes of the request, with their framing; is_last: it is complete. 0 or what broke: then the
 * answer that the server gave before it may still be shown, else on_fail follows, never before this
 * returns. More than a window should not be given before on_room. */
int http_client_send(struct http_client *client, struct iovec *iov, int count, bool is_last);

/* Stops and goes on showing the answer. */
void http_client_pause(struct http_client *client);
void http_client_resume(struct http_client *client);

/* True after a complete answer that leaves the connection usable. */
bool http_client_is_reusable(const struct http_client *client);

/* Closes at once; harmless twice. The memory is the owner's and may be freed in any callback only
 * through loop_defer. It may be connected again from on_fail, but from no other callback. */
void http_client_close(struct http_client *client);

#endif
