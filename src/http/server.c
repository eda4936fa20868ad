#include "http/server.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "base/sm.h"

enum { READS_A_TURN = 8, LINGER_MAX_BYTES = 1 << 20, LINGER_US = 2000000, FRAME_BYTES = 256 };

enum state { STATE_IDLE, STATE_HEAD, STATE_REQUEST, STATE_LINGER, STATE_CLOSED };

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

/* How far each direction of the request under way has come. */
enum input { INPUT_BODY, INPUT_DISCARD, INPUT_WHOLE };
enum output { OUTPUT_NONE, OUTPUT_BODY, OUTPUT_WHOLE };

struct http_server_conn {
    struct conn conn;
    struct http_server *server;
    struct list link;
    struct addr peer;
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
    size_t stuck_bytes; /* unsent when the write timer was set */
    enum input input;
    enum output output;
    bool is_paused;
    bool is_parsing;        /* a callback comes out of the parser's loop */
    bool is_chunked_output; /* the answer under way */
    bool is_bodyless;       /* the answer to HEAD, 204, 304 */
    bool is_last_request;   /* the connection closes behind the answer under way */
    bool is_continue_due;   /* the client waits for 100 Continue */
    bool is_http10;
    bool is_bad; /* the input cannot be read any further */
};

static struct http_server_conn *of(struct conn *conn)
{
    return container_of(conn, struct http_server_conn, conn);
}

static bool is_in(const struct http_server_conn *conn, enum state state)
{
    return conn->sm.state == (int)state;
}

static void set_timer(struct http_server_conn *conn, uint64_t after_us)
{
    if (after_us == 0)
        loop_timer_clear(&conn->timer);
    else
        loop_timer_set(&conn->timer, loop_now_us(conn->server->loop) + after_us);
}

/* The only function that changes the state. */
static void go(struct http_server_conn *conn, enum state next)
{
    bug_fatal_unless(sm_move(&conn->sm, (int)next));
}

/* --- the end of a connection --- */

static void on_end_task(struct loop_task *task)
{
    struct http_server_conn *conn = container_of(task, struct http_server_conn, end);

    mem_free(conn);
}

static void close_now(struct http_server_conn *conn)
{
    if (is_in(conn, STATE_CLOSED))
        return;
    go(conn, STATE_CLOSED);
    loop_timer_fini(&conn->timer);
    loop_task_cancel(&conn->more);
    conn_close(&conn->conn);
    mem_free(conn->head_own);
    conn->head_own = NULL;
    buf_fini(&conn->held);
    list_remove(&conn->link);
    conn->server->conn_count--;
    conn->server->ops->on_closed(conn);
    /* Callers up the stack still look at it. */
    loop_defer(conn->server->loop, &conn->end);
}

/* The client went away: tells the handler, if it still has something to do, and closes. */
static void lose(struct http_server_conn *conn, int err)
{
    if (is_in(conn, STATE_REQUEST) && conn->output != OUTPUT_WHOLE)
        conn->server->ops->on_gone(conn, err);
    close_now(conn);
}

static void drop_input(struct http_server_conn *conn);

/* Sends what is pending, ends our side, and reads on a little: closing at once would reset the
 * connection under the last bytes of the answer (RFC 9112 9.6). */
static void linger(struct http_server_conn *conn)
{
    go(conn, STATE_LINGER);
    conn_shutdown(&conn->conn);
    set_timer(conn, conn_pending(&conn->conn) ? conn->server->write_timeout_us : LINGER_US);
    drop_input(conn);
}

static void drop_input(struct http_server_conn *conn)
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
        close_now(conn);
}

/* --- requests --- */

static void begin_request(struct http_server_conn *conn)
{
    go(conn, STATE_HEAD);
    conn->request_start_us = loop_now_us(conn->server->loop);
    conn->request = NULL;
    conn->input = INPUT_BODY;
    conn->output = OUTPUT_NONE;
    conn->is_continue_due = conn->is_last_request = conn->is_paused = false;
    conn->is_http10 = conn->is_bodyless = false;
    conn->dropped_bytes = 0;
    set_timer(conn, conn->server->header_timeout_us);
}

/* Both directions are done: what follows on this connection? */
static void end_request(struct http_server_conn *conn)
{
    conn->request = NULL;
    if (conn->is_last_request || conn->is_bad) {
        linger(conn);
        return;
    }
    go(conn, STATE_IDLE);
    http_parser_reset(&conn->parser);
    mem_free(conn->head_own);
    conn->head_own = NULL;
    set_timer(conn, conn->server->idle_timeout_us);
    if (!conn->is_parsing)
        loop_defer(conn->server->loop, &conn->more);
}

static void check_end(struct http_server_conn *conn)
{
    if (!is_in(conn, STATE_REQUEST) || conn->output != OUTPUT_WHOLE)
        return;
    if (conn->input == INPUT_BODY)
        conn->input = INPUT_DISCARD;
    /* What a client may never send, or too much of it, is not waited for. */
    if (conn->input == INPUT_DISCARD &&
        (conn->is_last_request || conn->is_continue_due || conn->is_bad ||
         conn->parser.ll.content_length > LINGER_MAX_BYTES))
        linger(conn);
    else if (conn->input == INPUT_WHOLE)
        end_request(conn);
}

static void show_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    conn->is_bad = true;
    if (is_in(conn, STATE_HEAD))
        go(conn, STATE_REQUEST);
    if (conn->output != OUTPUT_NONE) {
        /* An answer is on its way already: it ends, and the connection with it. */
        conn->is_last_request = true;
        check_end(conn);
        return;
    }
    conn->server->ops->on_bad(conn, bad, problem);
}

static void show_head(struct http_server_conn *conn)
{
    const struct http_head *head = conn->parser.head;

    go(conn, STATE_REQUEST);
    conn->is_http10 = head->minor == 0;
    conn->is_last_request = !head->is_keep_alive || conn->is_http10;
    conn->is_continue_due = head->is_expecting_continue;
    conn->is_bodyless = head->method == METHOD_HEAD;
    set_timer(conn, conn->server->body_timeout_us);
    conn->server->ops->on_head(conn, head);
    if (!is_in(conn, STATE_CLOSED)) {
        mem_free(conn->head_own);
        conn->head_own = NULL;
    }
}

static void show_body(struct http_server_conn *conn, struct span data)
{
    conn->is_continue_due = false;
    if (conn->input == INPUT_DISCARD) {
        conn->dropped_bytes += data.len;
        if (conn->dropped_bytes > LINGER_MAX_BYTES)
            conn->is_last_request = true;
        check_end(conn);
        return;
    }
    set_timer(conn, conn->server->body_timeout_us);
    conn->server->ops->on_body(conn, data);
}

static void show_end(struct http_server_conn *conn)
{
    bool is_discarded = conn->input == INPUT_DISCARD;

    conn->input = INPUT_WHOLE;
    conn->is_continue_due = false;
    conn->dropped_bytes = 0;
    if (conn->output == OUTPUT_NONE)
        loop_timer_clear(&conn->timer);
    if (!is_discarded)
        conn->server->ops->on_end(conn);
    check_end(conn);
}

/* True while bytes on hand may be parsed: not while an answer is due, the handler pauses, or all is
 * over. */
static bool is_hungry(const struct http_server_conn *conn)
{
    switch ((enum state)conn->sm.state) {
    case STATE_IDLE:
    case STATE_HEAD:
        return true;
    case STATE_REQUEST:
        return conn->input != INPUT_WHOLE && !conn->is_bad &&
               (!conn->is_paused || conn->input == INPUT_DISCARD);
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
        show_bad(conn, HTTP_BAD_REQUEST, conn->parser.problem);
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

        if (is_in(conn, STATE_IDLE)) {
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
    if (is_in(conn, STATE_CLOSED) || is_in(conn, STATE_LINGER))
        return 0;
    if (is_in(conn, STATE_HEAD))
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

static void read_some(struct http_server_conn *conn)
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
            if (err == ERR_EOF && is_in(conn, STATE_REQUEST) && conn->input == INPUT_WHOLE)
                return;
            lose(conn, err);
            return;
        }
    }
    if (is_in(conn, STATE_LINGER))
        drop_input(conn);
    else if (is_hungry(conn))
        loop_defer(conn->server->loop, &conn->more);
}

/* --- the connection's events --- */

static void on_open(struct conn *c)
{
    struct http_server_conn *conn = of(c);

    set_timer(conn, conn->server->header_timeout_us);
}

static void on_readable(struct conn *c)
{
    struct http_server_conn *conn = of(c);

    if (is_in(conn, STATE_LINGER))
        drop_input(conn);
    else
        read_some(conn);
}

static void on_drained(struct conn *c)
{
    struct http_server_conn *conn = of(c);

    switch ((enum state)conn->sm.state) {
    case STATE_IDLE:
        set_timer(conn, conn->server->idle_timeout_us);
        break;
    case STATE_HEAD:
        break;
    case STATE_REQUEST:
        loop_timer_clear(&conn->timer);
        conn->server->ops->on_room(conn);
        break;
    case STATE_LINGER:
        set_timer(conn, LINGER_US);
        if (c->is_hung_up)
            drop_input(conn);
        break;
    case STATE_CLOSED:
        break;
    }
}

static void on_hangup(struct conn *c)
{
    struct http_server_conn *conn = of(c);

    switch ((enum state)conn->sm.state) {
    case STATE_IDLE:
    case STATE_HEAD:
        if (conn_pending(c) == 0)
            close_now(conn);
        break;
    case STATE_REQUEST:
        if (!conn->server->is_half_close_answered || conn->input != INPUT_WHOLE)
            lose(conn, ERR_EOF);
        else
            conn->is_last_request = true;
        break;
    case STATE_LINGER:
        drop_input(conn);
        break;
    case STATE_CLOSED:
        break;
    }
}

static void on_error(struct conn *c, int err)
{
    lose(of(c), err);
}

static const struct conn_ops ops_of_conn = {
    .on_open = on_open,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_hangup = on_hangup,
    .on_error = on_error,
};

static void on_more(struct loop_task *task)
{
    read_some(container_of(task, struct http_server_conn, more));
}

/* A slow client that takes a little now and then is slow, not stuck. */
static bool is_write_stuck(struct http_server_conn *conn)
{
    size_t unsent = conn_pending(&conn->conn) + conn_unsent_in_kernel(&conn->conn);
    bool is_stuck = unsent >= conn->stuck_bytes;

    conn->stuck_bytes = unsent;
    return is_stuck;
}

static void on_timer_in_request(struct http_server_conn *conn)
{
    if (conn->conn.error) {
        lose(conn, conn->conn.error);
        return;
    }
    if (conn_pending(&conn->conn) > 0) {
        if (is_write_stuck(conn))
            lose(conn, ERR_TIMEOUT);
        else
            set_timer(conn, conn->server->write_timeout_us);
        return;
    }
    if (conn->input == INPUT_WHOLE)
        return;
    if (conn->is_paused)
        set_timer(conn, conn->server->body_timeout_us);
    else if (conn->output == OUTPUT_WHOLE)
        linger(conn);
    else
        show_bad(conn, HTTP_BAD_BODY_TIMEOUT, HTTP_PROBLEM_NONE);
}

static void on_timer(struct loop_timer *timer)
{
    struct http_server_conn *conn = container_of(timer, struct http_server_conn, timer);

    switch ((enum state)conn->sm.state) {
    case STATE_IDLE:
        if (conn_pending(&conn->conn) == 0 || is_write_stuck(conn))
            close_now(conn);
        else
            set_timer(conn, conn->server->write_timeout_us);
        break;
    case STATE_HEAD:
        show_bad(conn, HTTP_BAD_HEADER_TIMEOUT, HTTP_PROBLEM_NONE);
        break;
    case STATE_REQUEST:
        on_timer_in_request(conn);
        break;
    case STATE_LINGER:
        close_now(conn);
        break;
    case STATE_CLOSED:
        break;
    }
}

/* --- answers --- */

static size_t put(char *to, size_t at, struct span text)
{
    memcpy(to + at, text.ptr, text.len);
    return at + text.len;
}

static size_t put_number(char *to, size_t at, uint64_t value, unsigned base)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        to[at++] = digits[--n];
    return at;
}

static struct span date_line(struct http_server *server)
{
    uint64_t second = loop_wall_us(server->loop) / US_PER_SEC;

    if (second != server->date_second) {
        size_t at = put(server->date, 0, SPAN("Date: "));

        datetime_write_http(second * US_PER_SEC, server->date + at);
        put(server->date, at + HTTP_DATE_BYTES, SPAN("\r\n"));
        server->date_second = second;
    }
    return span_of(server->date, sizeof(server->date));
}

/* Status line, Date and framing into `to` (FRAME_BYTES). */
static size_t write_head(struct http_server_conn *conn, const struct http_answer *answer, char *to)
{
    size_t at = put(to, 0, SPAN("HTTP/1.1 "));

    at = put_number(to, at, (uint64_t)answer->status, 10);
    at = put(to, at, SPAN(" "));
    at = put(to, at, span_from_text(http_reason(answer->status)));
    at = put(to, at, SPAN("\r\n"));
    at = put(to, at, date_line(conn->server));
    if (answer->length >= 0) {
        at = put(to, at, SPAN("Content-Length: "));
        at = put_number(to, at, (uint64_t)answer->length, 10);
        at = put(to, at, SPAN("\r\n"));
    } else if (conn->is_chunked_output) {
        at = put(to, at, SPAN("Transfer-Encoding: chunked\r\n"));
    }
    if (conn->is_last_request)
        at = put(to, at, SPAN("Connection: close\r\n"));
    return at;
}

struct pieces {
    struct iovec iov[8];
    int count;
};

static void add_piece(struct pieces *pieces, struct span text)
{
    if (text.len)
        pieces->iov[pieces->count++] = (struct iovec){(void *)(uintptr_t)text.ptr, text.len};
}

/* The data in a chunk where the answer is chunked, with what ends the answer; `size` holds the
 * chunk's size line. */
static void add_body(struct http_server_conn *conn, struct pieces *pieces, struct span data,
                     bool is_last, char size[24])
{
    if (conn->is_bodyless)
        return;
    if (!conn->is_chunked_output) {
        add_piece(pieces, data);
        return;
    }
    if (data.len) {
        size_t at = put_number(size, 0, data.len, 16);

        at = put(size, at, SPAN("\r\n"));
        add_piece(pieces, span_of(size, at));
        add_piece(pieces, data);
    }
    if (is_last)
        add_piece(pieces, data.len ? SPAN("\r\n0\r\n\r\n") : SPAN("0\r\n\r\n"));
    else if (data.len)
        add_piece(pieces, SPAN("\r\n"));
}

static void send_pieces(struct http_server_conn *conn, struct pieces *pieces, bool is_last)
{
    int err = pieces->count ? conn_send(&conn->conn, pieces->iov, pieces->count) : 0;

    conn->output = is_last ? OUTPUT_WHOLE : OUTPUT_BODY;
    if (err) {
        /* Told from a clean stack: the caller is in the middle of its own work. The error stands in
         * the connection, and the next read or event finds it. */
        conn->is_last_request = true;
        conn->conn.may_read = true;
        if (!is_last)
            loop_timer_set(&conn->timer, loop_now_us(conn->server->loop));
    } else if (conn_pending(&conn->conn)) {
        conn->stuck_bytes = SIZE_MAX;
        set_timer(conn, conn->server->write_timeout_us);
    }
    check_end(conn);
}

void http_server_answer(struct http_server_conn *conn, const struct http_answer *answer,
                        struct span body, bool is_last)
{
    struct pieces pieces = {.count = 0};
    char frame[FRAME_BYTES], size[24];

    if (!is_in(conn, STATE_REQUEST) || conn->output != OUTPUT_NONE)
        return;
    conn->is_last_request |= answer->is_closing || conn->is_bad || conn->server->is_closing;
    conn->is_chunked_output = answer->length == HTTP_LENGTH_UNKNOWN && !conn->is_http10;
    if (answer->length == HTTP_LENGTH_UNKNOWN && conn->is_http10)
        conn->is_last_request = true;
    conn->is_bodyless |= answer->length == HTTP_NO_BODY;
    /* A body that will not be read whole ends the connection: the client is to know. */
    if (is_last && conn->input != INPUT_WHOLE && conn->is_continue_due)
        conn->is_last_request = true;
    add_piece(&pieces, span_of(frame, write_head(conn, answer, frame)));
    add_piece(&pieces, answer->fields);
    add_piece(&pieces, SPAN("\r\n"));
    add_body(conn, &pieces, body, is_last, size);
    send_pieces(conn, &pieces, is_last);
}

void http_server_body(struct http_server_conn *conn, struct span data, bool is_last)
{
    struct pieces pieces = {.count = 0};
    char size[24];

    if (!is_in(conn, STATE_REQUEST) || conn->output != OUTPUT_BODY)
        return;
    add_body(conn, &pieces, data, is_last, size);
    send_pieces(conn, &pieces, is_last);
}

void http_server_abort(struct http_server_conn *conn)
{
    conn->output = OUTPUT_WHOLE;
    close_now(conn);
}

void http_server_continue(struct http_server_conn *conn)
{
    struct iovec iov = {(void *)(uintptr_t) "HTTP/1.1 100 Continue\r\n\r\n", 25};

    if (!conn->is_continue_due || conn->output != OUTPUT_NONE)
        return;
    conn->is_continue_due = false;
    conn_send(&conn->conn, &iov, 1);
}

void http_server_discard_body(struct http_server_conn *conn)
{
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
    if (!is_in(conn, STATE_CLOSED))
        loop_defer(conn->server->loop, &conn->more);
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

struct http_server *http_server_of(const struct http_server_conn *conn)
{
    return conn->server;
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
    *server = (struct http_server){.loop = loop, .ops = ops, .owner = owner};
    list_init(&server->conns);
    server->head = mem_alloc(sizeof(*server->head));
    return server->head ? 0 : ERR_NOMEM;
}

void http_server_fini(struct http_server *server)
{
    while (!list_is_empty(&server->conns))
        lose(container_of(server->conns.next, struct http_server_conn, link), ERR_CANCELLED);
    mem_free(server->head);
    server->head = NULL;
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
    sm_init(&conn->sm, states, STATE_IDLE);
    http_parser_init(&conn->parser, false);
    buf_init(&conn->held, HTTP_MAX_HEAD_BYTES + 2 * LOOP_SCRATCH_BYTES);
    loop_timer_init(&conn->timer, server->loop, on_timer);
    loop_task_init(&conn->more, on_more);
    loop_task_init(&conn->end, on_end_task);
    list_push_back(&server->conns, &conn->link);
    server->conn_count++;
    err = conn_accept(&conn->conn, server->loop, fd, server->tls, &ops_of_conn);
    if (err)
        close_now(conn);
    else if (server->tls)
        set_timer(conn, server->header_timeout_us);
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

        if (is_in(conn, STATE_IDLE) && conn_pending(&conn->conn) == 0)
            close_now(conn);
    }
}
