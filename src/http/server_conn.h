/*
 * Inside the server's side of a connection: its state, shared by server.c (its life and its
 * events), server_input.c (reading and parsing) and server_answer.c (writing). One thread; nobody
 * else includes this.
 */
#ifndef HTTP_SERVER_CONN_H
#define HTTP_SERVER_CONN_H

#include <netinet/in.h>

#include "base/sm.h"
#include "http/server.h"

enum state { STATE_IDLE, STATE_HEAD, STATE_REQUEST, STATE_LINGER, STATE_CLOSED };

/* How far each direction of the request under way has come. */
enum input { INPUT_BODY, INPUT_DISCARD, INPUT_WHOLE };
enum output { OUTPUT_NONE, OUTPUT_BODY, OUTPUT_WHOLE };

struct http_server_conn {
    struct conn conn;
    struct http_server *server;
    struct list link;
    struct addr peer;
    char peer_ip[INET6_ADDRSTRLEN];
    struct sm sm;
    struct http_parser parser;
    struct http_head *head_own; /* while a head arrives in pieces */
    struct buf held;            /* bytes read and not parsed yet, or a head under way */
    struct loop_timer timer;
    struct loop_task more; /* goes on reading or parsing */
    struct loop_task end;  /* frees */
    void *request;
    uint64_t request_start_us;
    uint64_t dropped_bytes;
    uint64_t progress; /* conn_progress when the write timer was set */
    int failure;       /* told from a clean stack, by `more` */
    enum input input;
    enum output output;
    bool is_paused;
    bool is_parsing;        /* a callback comes out of the parser's loop */
    bool is_chunked_output; /* the answer under way */
    bool is_until_close;    /* its end is the connection's end */
    bool is_bodyless;       /* the answer to HEAD, 204, 304 */
    bool is_last_request;   /* the connection closes behind the answer under way */
    bool is_continue_due;   /* the client waits for 100 Continue */
    bool is_http10;
    bool is_bad;     /* the input cannot be read any further */
    bool is_writing; /* the timer watches output */
};

/* What still comes after the last answer is read and dropped, up to here (RFC 9112 9.6). */
enum { LINGER_MAX_BYTES = 1 << 20 };

static inline bool server_conn_is_in(const struct http_server_conn *conn, enum state state)
{
    return conn->sm.state == (int)state;
}

/* --- server.c --- */

/* The only function that changes the state. */
void server_conn_go(struct http_server_conn *conn, enum state next);

/* From now on; 0: none. */
void server_conn_set_timer(struct http_server_conn *conn, uint64_t after_us);

/* Ends the connection at the end of the turn: the caller is in the middle of other work. */
void server_conn_fail(struct http_server_conn *conn, int err);

/* Closes at once; the memory goes at the end of the turn. */
void server_conn_close(struct http_server_conn *conn);

/* The client went away: tells the handler, if it still has something to do, and closes. */
void server_conn_lose(struct http_server_conn *conn, int err);

/* Sends what is pending, ends our side, and reads on a little: closing at once would reset the
 * connection under the last bytes of the answer (RFC 9112 9.6). */
void server_conn_linger(struct http_server_conn *conn);

/* Lingering: reads and drops what has come. */
void server_conn_drop_input(struct http_server_conn *conn);

/* What must happen next while nothing else does: output is taken, or input comes. */
void server_conn_watch_progress(struct http_server_conn *conn, uint64_t input_timeout_us);

/* --- server_input.c --- */

/* Reads and parses while more is wanted. */
void server_conn_read(struct http_server_conn *conn);

/* A request that cannot be read. */
void server_conn_show_bad(struct http_server_conn *conn, enum http_bad bad,
                          enum http_problem problem);

/* The answer is complete, or a direction ended: what follows on this connection? */
void server_conn_check_end(struct http_server_conn *conn);

#endif
