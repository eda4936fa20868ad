#include "http/server_conn.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

enum { LINGER_US = 2000000 };

static const struct sm_state states[] = {
    [STATE_IDLE] = {"idle", "no byte of a request yet",
                    SM_TO(STATE_HEAD) | SM_TO(STATE_LINGER) | SM_TO(STATE_CLOSED)},
    [STATE_HEAD] = {"head", "a head is arriving",
                    SM_TO(STATE_REQUEST) | SM_TO(STATE_LINGER) | SM_TO(STATE_CLOSED)},
    [STATE_REQUEST] = {"request", "shown to the handler: its body arrives, its answer leaves",
                       SM_TO(STATE_IDLE) | SM_TO(STATE_LINGER) | SM_TO(STATE_CLOSED)},
    [STATE_LINGER] = {"linger", "answered; our side ends, what still comes is dropped",
                      SM_TO(STATE_CLOSED)},
    [STATE_CLOSED] = {"closed", "freed at the end of the turn", 0},
};

static struct http_server_conn *of(struct conn *conn)
{
    return container_of(conn, struct http_server_conn, conn);
}

void server_conn_go(struct http_server_conn *conn, enum state next)
{
    bug_fatal_unless(sm_move(&conn->sm, (int)next));
}

void server_conn_fail(struct http_server_conn *conn, int err)
{
    if (server_conn_is_in(conn, STATE_CLOSED))
        return;
    conn->failure = err;
    loop_defer(conn->server->loop, &conn->more);
}

/* --- time-outs --- */

void server_conn_set_timer(struct http_server_conn *conn, uint64_t after_us)
{
    conn->is_writing = false;
    if (after_us == 0)
        loop_timer_clear(&conn->timer);
    else if (loop_timer_set(&conn->timer, loop_now_us(conn->server->loop) + after_us))
        server_conn_fail(conn, ERR_NOMEM); /* unwatched it could stay for ever */
}

void server_conn_watch_progress(struct http_server_conn *conn, uint64_t input_timeout_us)
{
    if (conn_pending(&conn->conn) == 0) {
        server_conn_set_timer(conn, input_timeout_us);
    } else if (!conn->is_writing) {
        conn->progress = conn_progress(&conn->conn);
        server_conn_set_timer(conn, conn->server->write_timeout_us);
        conn->is_writing = true;
    }
}

/* A slow client that takes a little now and then is slow, not stuck. */
static bool is_stuck(struct http_server_conn *conn)
{
    uint64_t progress = conn_progress(&conn->conn);

    if (progress == conn->progress)
        return true;
    conn->progress = progress;
    server_conn_set_timer(conn, conn->server->write_timeout_us);
    conn->is_writing = true;
    return false;
}

static void on_input_timeout(struct http_server_conn *conn)
{
    if (conn->input == INPUT_WHOLE)
        return;
    if (conn->is_paused && conn->input == INPUT_BODY)
        server_conn_set_timer(conn, conn->server->body_timeout_us);
    else if (conn->output == OUTPUT_WHOLE)
        server_conn_linger(conn);
    else
        server_conn_show_bad(conn, HTTP_BAD_BODY_TIMEOUT, HTTP_PROBLEM_NONE);
}

static void on_timer(struct loop_timer *timer)
{
    struct http_server_conn *conn = container_of(timer, struct http_server_conn, timer);

    if (conn_pending(&conn->conn) > 0) {
        if (is_stuck(conn))
            server_conn_lose(conn, ERR_TIMEOUT);
        return;
    }
    switch ((enum state)conn->sm.state) {
    case STATE_HEAD:
        server_conn_show_bad(conn, HTTP_BAD_HEADER_TIMEOUT, HTTP_PROBLEM_NONE);
        break;
    case STATE_REQUEST:
        on_input_timeout(conn);
        break;
    case STATE_IDLE:
    case STATE_LINGER:
        server_conn_close(conn);
        break;
    case STATE_CLOSED:
        break;
    }
}

/* --- the end of a connection --- */

static void on_end_task(struct loop_task *task)
{
    struct http_server_conn *conn = container_of(task, struct http_server_conn, end);

    mem_free(conn->head_own);
    buf_fini(&conn->held);
    mem_free(conn);
}

/* Callers up the stack, and callbacks with their spans, still look at it: freed at the turn's end.
 */
static void end_conn(struct http_server_conn *conn)
{
    server_conn_go(conn, STATE_CLOSED);
    loop_timer_fini(&conn->timer);
    loop_task_cancel(&conn->more);
    conn_close(&conn->conn);
    list_remove(&conn->link);
    conn->server->conn_count--;
    loop_defer(conn->server->loop, &conn->end);
}

void server_conn_close(struct http_server_conn *conn)
{
    if (server_conn_is_in(conn, STATE_CLOSED))
        return;
    end_conn(conn);
    conn->server->ops->on_closed(conn);
}

void server_conn_lose(struct http_server_conn *conn, int err)
{
    if (server_conn_is_in(conn, STATE_REQUEST) && conn->output != OUTPUT_WHOLE) {
        conn->output = OUTPUT_WHOLE; /* nothing may be answered any more */
        conn->server->ops->on_gone(conn, err);
    }
    server_conn_close(conn);
}

void server_conn_linger(struct http_server_conn *conn)
{
    server_conn_go(conn, STATE_LINGER);
    conn->dropped_bytes = 0;
    conn_shutdown(&conn->conn);
    server_conn_watch_progress(conn, LINGER_US);
    /* Not here: the caller may stand in the middle of what the same scratch buffer holds. */
    loop_defer(conn->server->loop, &conn->more);
}

void server_conn_drop_input(struct http_server_conn *conn)
{
    char *scratch = loop_read_scratch(conn->server->loop);
    size_t len;
    int err;

    while ((err = conn_read(&conn->conn, scratch, LOOP_SCRATCH_BYTES, &len)) == 0) {
        conn->dropped_bytes += len;
        if (conn->dropped_bytes > LINGER_MAX_BYTES)
            break;
    }
    if (err != ERR_AGAIN && (err != ERR_EOF || conn_pending(&conn->conn) == 0))
        server_conn_close(conn);
}

/* --- the connection's events --- */

static void on_open(struct conn *c)
{
    server_conn_set_timer(of(c), of(c)->server->header_timeout_us);
}

static void go_on(struct http_server_conn *conn)
{
    if (conn->failure)
        server_conn_lose(conn, conn->failure);
    else if (server_conn_is_in(conn, STATE_LINGER))
        server_conn_drop_input(conn);
    else
        server_conn_read(conn);
}

static void on_readable(struct conn *c)
{
    go_on(of(c));
}

static void on_more(struct loop_task *task)
{
    go_on(container_of(task, struct http_server_conn, more));
}

static void on_kept(struct conn *c)
{
    server_conn_watch_progress(of(c), 0);
}

static void on_drained(struct conn *c)
{
    struct http_server_conn *conn = of(c);

    switch ((enum state)conn->sm.state) {
    case STATE_IDLE:
        /* The next request was kept waiting. */
        server_conn_set_timer(conn, conn->server->idle_timeout_us);
        loop_defer(conn->server->loop, &conn->more);
        break;
    case STATE_REQUEST:
        server_conn_set_timer(conn, conn->input == INPUT_WHOLE ? 0 : conn->server->body_timeout_us);
        if (conn->output == OUTPUT_BODY)
            conn->server->ops->on_room(conn);
        break;
    case STATE_LINGER:
        server_conn_set_timer(conn, LINGER_US);
        loop_defer(conn->server->loop, &conn->more);
        break;
    case STATE_HEAD:
    case STATE_CLOSED:
        break;
    }
}

/* Where we read, the end is found by reading, behind the bytes before it. */
static void on_hangup(struct conn *c)
{
    struct http_server_conn *conn = of(c);

    if (server_conn_is_in(conn, STATE_LINGER))
        server_conn_drop_input(conn);
    else if (c->is_broken)
        server_conn_lose(conn, ERR_RESET);
    else if (server_conn_is_in(conn, STATE_REQUEST) && conn->output != OUTPUT_WHOLE &&
             !conn->server->is_half_close_answered)
        server_conn_lose(conn, ERR_EOF);
}

static void on_error(struct conn *c, int err)
{
    server_conn_lose(of(c), err);
}

static const struct conn_ops ops_of_conn = {
    .on_open = on_open,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_hangup = on_hangup,
    .on_error = on_error,
    .on_kept = on_kept,
};

/* --- what the handler may ask --- */

void http_server_admit(struct http_server_conn *conn, size_t bytes)
{
    conn_admit(&conn->conn, bytes);
}

size_t http_server_pending(const struct http_server_conn *conn)
{
    return conn_pending(&conn->conn);
}

void *http_server_request(const struct http_server_conn *conn)
{
    return conn->request;
}

void http_server_set_request(struct http_server_conn *conn, void *request)
{
    conn->request = request;
}

struct conn *http_server_stream(struct http_server_conn *conn)
{
    return &conn->conn;
}

struct http_server *http_server_of(const struct http_server_conn *conn)
{
    return conn->server;
}

const char *http_server_peer_ip(const struct http_server_conn *conn)
{
    return conn->peer_ip;
}

const struct addr *http_server_peer(const struct http_server_conn *conn)
{
    return &conn->peer;
}

uint64_t http_server_request_start_us(const struct http_server_conn *conn)
{
    return conn->request_start_us;
}

/* --- the server --- */

int http_server_init(struct http_server *server, struct loop *loop,
                     const struct http_server_ops *ops, void *owner)
{
    *server =
        (struct http_server){.loop = loop, .ops = ops, .owner = owner, .date_second = UINT64_MAX};
    list_init(&server->conns);
    server->head = mem_alloc(sizeof(*server->head));
    return server->head ? 0 : ERR_NOMEM;
}

void http_server_fini(struct http_server *server)
{
    while (!list_is_empty(&server->conns))
        server_conn_lose(container_of(server->conns.next, struct http_server_conn, link),
                         ERR_CANCELLED);
    mem_free(server->head);
    server->head = NULL;
}

static void keep_ip(struct http_server_conn *conn, const struct addr *peer)
{
    char ip[ADDR_TEXT_BYTES];

    addr_write_ip(peer, ip);
    memcpy(conn->peer_ip, ip, strnlen(ip, sizeof(conn->peer_ip) - 1));
}

int http_server_accept(struct http_server *server, int fd, const struct addr *peer)
{
    struct http_server_conn *conn = mem_zalloc(1, sizeof(*conn));
    int err;

    if (!conn) {
        close(fd);
        return ERR_NOMEM;
    }
    conn->server = server;
    conn->peer = *peer;
    keep_ip(conn, peer);
    sm_init(&conn->sm, states, STATE_IDLE);
    http_parser_init(&conn->parser, false);
    buf_init(&conn->held, HTTP_MAX_HEAD_BYTES + 2 * LOOP_SCRATCH_BYTES);
    conn->held.is_secret = true; /* heads carry client keys */
    loop_timer_init(&conn->timer, server->loop, on_timer);
    loop_task_init(&conn->more, on_more);
    loop_task_init(&conn->end, on_end_task);
    list_push_back(&server->conns, &conn->link);
    server->conn_count++;
    err = conn_accept(&conn->conn, server->loop, fd, server->tls, &ops_of_conn);
    if (err)
        end_conn(conn);
    else if (server->tls)
        server_conn_set_timer(conn, server->header_timeout_us);
    return err;
}

void http_server_begin_closing(struct http_server *server)
{
    server->is_closing = true;
}

void http_server_close_idle(struct http_server *server)
{
    list_for_each_safe (link, &server->conns) {
        struct http_server_conn *conn = container_of(link, struct http_server_conn, link);

        if (server_conn_is_in(conn, STATE_IDLE) && conn_pending(&conn->conn) == 0)
            server_conn_close(conn);
    }
}
