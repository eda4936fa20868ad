#include "http/server_conn.h"

#include "base/alloc.h"
#include "base/err.h"

/* What one turn reads of one connection before others have theirs. */
enum { READS_A_TURN = 8 };

/* --- requests --- */

static void begin_request(struct http_server_conn *conn)
{
    server_conn_go(conn, STATE_HEAD);
    conn->request_start_us = loop_now_us(conn->server->loop);
    conn->request = NULL;
    conn->input = INPUT_BODY;
    conn->output = OUTPUT_NONE;
    conn->is_continue_due = conn->is_last_request = conn->is_paused = false;
    conn->is_http10 = conn->is_bodyless = conn->is_until_close = false;
    conn->dropped_bytes = 0;
    server_conn_set_timer(conn, conn->server->header_timeout_us);
}

/* Both directions are done: what follows on this connection? */
static void end_request(struct http_server_conn *conn)
{
    conn->request = NULL;
    if (conn->is_last_request || conn->is_bad) {
        server_conn_linger(conn);
        return;
    }
    server_conn_go(conn, STATE_IDLE);
    http_parser_reset(&conn->parser);
    mem_free(conn->head_own);
    conn->head_own = NULL;
    server_conn_watch_progress(conn, conn->server->idle_timeout_us);
    if (!conn->is_parsing && (conn->held.len || conn_may_read(&conn->conn)))
        loop_defer(conn->server->loop, &conn->more);
}

void server_conn_check_end(struct http_server_conn *conn)
{
    if (!server_conn_is_in(conn, STATE_REQUEST) || conn->output != OUTPUT_WHOLE)
        return;
    if (conn->input == INPUT_BODY)
        conn->input = INPUT_DISCARD;
    /* What a client may never send, or too much of it, is not waited for. */
    if (conn->input == INPUT_DISCARD &&
        (conn->is_last_request || conn->is_continue_due || conn->is_bad ||
         http_parser_body_left(&conn->parser) > LINGER_MAX_BYTES))
        server_conn_linger(conn);
    else if (conn->input == INPUT_WHOLE)
        end_request(conn);
}

void server_conn_show_bad(struct http_server_conn *conn, enum http_bad bad,
                          enum http_problem problem)
{
    conn->is_bad = true;
    if (server_conn_is_in(conn, STATE_HEAD))
        server_conn_go(conn, STATE_REQUEST);
    if (conn->output != OUTPUT_NONE) {
        /* An answer is on its way already: it ends, and the connection with it. */
        conn->is_last_request = true;
        server_conn_check_end(conn);
        return;
    }
    conn->server->ops->on_bad(conn, bad, problem);
}

static void show_head(struct http_server_conn *conn)
{
    const struct http_head *head = conn->parser.head;

    server_conn_go(conn, STATE_REQUEST);
    conn->is_http10 = head->minor == 0;
    conn->is_last_request = !head->is_keep_alive || conn->is_http10;
    conn->is_continue_due = head->is_expecting_continue;
    conn->is_bodyless = head->method == METHOD_HEAD;
    server_conn_set_timer(conn, conn->server->body_timeout_us);
    conn->server->ops->on_head(conn, head);
    if (server_conn_is_in(conn, STATE_CLOSED))
        return;
    mem_free(conn->head_own);
    conn->head_own = NULL;
}

static void show_body(struct http_server_conn *conn, struct span data)
{
    conn->is_continue_due = false;
    if (conn->input == INPUT_DISCARD) {
        conn->dropped_bytes += data.len;
        if (conn->dropped_bytes > LINGER_MAX_BYTES)
            conn->is_last_request = true;
        server_conn_check_end(conn);
        return;
    }
    server_conn_watch_progress(conn, conn->server->body_timeout_us);
    conn->server->ops->on_body(conn, data);
}

static void show_end(struct http_server_conn *conn)
{
    bool is_discarded = conn->input == INPUT_DISCARD;

    conn->input = INPUT_WHOLE;
    conn->is_continue_due = false;
    server_conn_watch_progress(conn, 0);
    if (!is_discarded)
        conn->server->ops->on_end(conn);
    server_conn_check_end(conn);
}

/* True while bytes on hand may be parsed: not while an answer is due, the handler pauses, or all is
 * over. */
static bool is_hungry(const struct http_server_conn *conn)
{
    switch ((enum state)conn->sm.state) {
    case STATE_IDLE: /* who does not take answers gets no further ones */
        return conn_pending(&conn->conn) == 0;
    case STATE_HEAD:
        return true;
    case STATE_REQUEST:
        if (conn->is_bad || conn->failure)
            return false;
        if (conn->input == INPUT_DISCARD)
            return conn->dropped_bytes <= LINGER_MAX_BYTES;
        return conn->input == INPUT_BODY && !conn->is_paused;
    case STATE_LINGER:
    case STATE_CLOSED:
        break;
    }
    return false;
}

static void take_event(struct http_server_conn *conn, enum http_event event)
{
    switch (event) {
    case HTTP_EVENT_MORE:
        break;
    case HTTP_EVENT_HEAD:
        show_head(conn);
        break;
    case HTTP_EVENT_BODY:
        show_body(conn, conn->parser.body);
        break;
    case HTTP_EVENT_END:
        show_end(conn);
        break;
    case HTTP_EVENT_BAD:
        server_conn_show_bad(conn, HTTP_BAD_REQUEST, conn->parser.problem);
        break;
    }
}

/* A head that goes on in the next read: its bytes stay together in `held`, its fields in head_own.
 */
static int keep_head(struct http_server_conn *conn)
{
    struct buf fresh;

    if (conn->head_own)
        return 0;
    conn->head_own = mem_alloc(sizeof(*conn->head_own));
    buf_init(&fresh, conn->held.max);
    if (!conn->head_own || buf_append(&fresh, conn->parser.start, conn->parser.head_bytes))
        return ERR_NOMEM;
    http_parser_moved(&conn->parser, conn->head_own, conn->parser.start, fresh.data);
    buf_fini(&conn->held);
    conn->held = fresh;
    return 0;
}

/* Parses until the bytes are used up or no more are wanted; returns how many were left. */
static size_t parse(struct http_server_conn *conn, const char *data, size_t len)
{
    enum http_event event = HTTP_EVENT_HEAD;

    conn->is_parsing = true;
    while (is_hungry(conn) && (len > 0 || event != HTTP_EVENT_MORE)) {
        size_t used;

        if (server_conn_is_in(conn, STATE_IDLE)) {
            if (len == 0)
                break;
            begin_request(conn);
        }
        event = http_parser_run(&conn->parser, conn->server->head, data, len, &used);
        data += used;
        len -= used;
        if (event == HTTP_EVENT_MORE)
            break;
        take_event(conn, event);
    }
    conn->is_parsing = false;
    return len;
}

/* Bytes fresh from the socket, or held ones once more. */
static int take_in(struct http_server_conn *conn, const char *data, size_t len, bool is_held)
{
    size_t left;

    if (conn->head_own && !is_held) {
        const char *old = conn->held.data;
        size_t at = conn->held.len;

        if (buf_append(&conn->held, data, len))
            return ERR_NOMEM;
        if (conn->held.data != old)
            http_parser_moved(&conn->parser, conn->head_own, old, conn->held.data);
        data = conn->held.data + at;
        is_held = true;
    }
    left = parse(conn, data, len);
    if (server_conn_is_in(conn, STATE_CLOSED) || server_conn_is_in(conn, STATE_LINGER))
        return 0;
    if (server_conn_is_in(conn, STATE_HEAD))
        return keep_head(conn);
    if (is_held) {
        if (left == 0)
            buf_fini(&conn->held);
        else
            buf_drop_front(&conn->held, conn->held.len - left);
        return 0;
    }
    return left ? buf_append(&conn->held, data + len - left, left) : 0;
}

/* The input ended or broke where more was wanted. */
static void take_end(struct http_server_conn *conn, int err)
{
    if (err == ERR_EOF && server_conn_is_in(conn, STATE_REQUEST) && conn->output == OUTPUT_WHOLE)
        server_conn_linger(conn); /* the answer may still be on its way */
    else
        server_conn_lose(conn, err);
}

void server_conn_read(struct http_server_conn *conn)
{
    char *scratch = loop_read_scratch(conn->server->loop);

    for (int i = 0; i < READS_A_TURN && is_hungry(conn); i++) {
        size_t len;
        int err;

        if (conn->held.len && !conn->head_own) {
            err = take_in(conn, conn->held.data, conn->held.len, true);
        } else {
            err = conn_read(&conn->conn, scratch, LOOP_SCRATCH_BYTES, &len);
            if (err == ERR_AGAIN)
                return;
            if (!err)
                err = take_in(conn, scratch, len, false);
        }
        if (err) {
            take_end(conn, err);
            return;
        }
    }
    if (is_hungry(conn))
        loop_defer(conn->server->loop, &conn->more);
}

/* --- the handler's calls --- */

void http_server_discard_body(struct http_server_conn *conn)
{
    if (!server_conn_is_in(conn, STATE_REQUEST))
        return;
    if (conn->input == INPUT_BODY)
        conn->input = INPUT_DISCARD;
    if (!conn->is_parsing)
        loop_defer(conn->server->loop, &conn->more);
}

void http_server_pause(struct http_server_conn *conn)
{
    conn->is_paused = true;
}

void http_server_resume(struct http_server_conn *conn)
{
    if (!conn->is_paused)
        return;
    conn->is_paused = false;
    if (!server_conn_is_in(conn, STATE_REQUEST) || conn->input == INPUT_WHOLE)
        return;
    server_conn_watch_progress(conn, conn->server->body_timeout_us);
    loop_defer(conn->server->loop, &conn->more);
}
