#include "http/server_conn.h"

#include "base/clock.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "base/err.h"

enum { FRAME_BYTES = 256 };

static size_t put(char *to, size_t at, struct span text)
{
    memcpy(to + at, text.ptr, text.len);
    return at + text.len;
}

static size_t put_number(char *to, size_t at, uint64_t value)
{
    char digits[DECIMAL_BYTES];

    return put(to, at, decimal_text(value, digits));
}

/* A chunk's size (RFC 9112, section 7.1). */
static size_t put_size(char *to, size_t at, uint64_t size)
{
    unsigned digits = 1;

    while (digits < 16 && size >> 4 * digits)
        digits++;
    while (digits)
        to[at++] = "0123456789abcdef"[size >> 4 * --digits & 15];
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

    at = put_number(to, at, (uint64_t)answer->status);
    at = put(to, at, SPAN(" "));
    at = put(to, at, span_from_text(http_reason(answer->status)));
    at = put(to, at, SPAN("\r\n"));
    at = put(to, at, date_line(conn->server));
    if (answer->length >= 0) {
        at = put(to, at, SPAN("Content-Length: "));
        at = put_number(to, at, (uint64_t)answer->length);
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
        size_t at = put_size(size, 0, data.len);

        at = put(size, at, SPAN("\r\n"));
        add_piece(pieces, span_of(size, at));
        add_piece(pieces, data);
    }
    if (is_last)
        add_piece(pieces, data.len ? SPAN("\r\n0\r\n\r\n") : SPAN("0\r\n\r\n"));
    else if (data.len)
        add_piece(pieces, SPAN("\r\n"));
}

/* A failed write is told from a clean stack: the caller is in the middle of its own work. */
static void send_pieces(struct http_server_conn *conn, struct pieces *pieces)
{
    int err = pieces->count ? conn_send_soon(&conn->conn, pieces->iov, pieces->count) : 0;

    if (err)
        server_conn_fail(conn, err);
    else if (conn_pending(&conn->conn))
        server_conn_watch_progress(conn, 0);
}

static void send_answer(struct http_server_conn *conn, struct pieces *pieces, bool is_last)
{
    send_pieces(conn, pieces);
    conn->output = is_last ? OUTPUT_WHOLE : OUTPUT_BODY;
    server_conn_check_end(conn);
}

/* The client is told where the connection will not be used any more: by its own wish or ours, or
 * since a body stands in the way that will not be read. */
static bool is_last_answer(const struct http_server_conn *conn, const struct http_answer *answer,
                           bool is_last)
{
    if (answer->is_closing || conn->is_bad || conn->server->is_closing || conn->is_continue_due)
        return true;
    if (answer->length == HTTP_LENGTH_UNKNOWN && conn->is_http10)
        return true;
    return is_last && conn->input != INPUT_WHOLE &&
           http_parser_body_left(&conn->parser) > LINGER_MAX_BYTES;
}

void http_server_answer(struct http_server_conn *conn, const struct http_answer *answer,
                        struct span body, bool is_last)
{
    struct pieces pieces = {.count = 0};
    char frame[FRAME_BYTES], size[24];

    if (!server_conn_is_in(conn, STATE_REQUEST) || conn->output != OUTPUT_NONE)
        return;
    conn->is_last_request |= is_last_answer(conn, answer, is_last);
    conn->is_chunked_output = answer->length == HTTP_LENGTH_UNKNOWN && !conn->is_http10;
    conn->is_until_close = answer->length == HTTP_LENGTH_UNKNOWN && conn->is_http10;
    conn->is_bodyless |= answer->length == HTTP_NO_BODY;
    add_piece(&pieces, span_of(frame, write_head(conn, answer, frame)));
    add_piece(&pieces, answer->fields);
    add_piece(&pieces, SPAN("\r\n"));
    add_body(conn, &pieces, body, is_last, size);
    send_answer(conn, &pieces, is_last);
}

void http_server_body(struct http_server_conn *conn, struct span data, bool is_last)
{
    struct pieces pieces = {.count = 0};
    char size[24];

    if (!server_conn_is_in(conn, STATE_REQUEST) || conn->output != OUTPUT_BODY)
        return;
    add_body(conn, &pieces, data, is_last, size);
    send_answer(conn, &pieces, is_last);
}

void http_server_abort(struct http_server_conn *conn)
{
    if (!server_conn_is_in(conn, STATE_REQUEST))
        return;
    conn->output = OUTPUT_WHOLE;
    if (conn->is_until_close)
        conn_reset(&conn->conn);
    server_conn_close(conn);
}

void http_server_continue(struct http_server_conn *conn)
{
    struct pieces pieces = {.count = 0};

    if (!server_conn_is_in(conn, STATE_REQUEST) || !conn->is_continue_due ||
        conn->output != OUTPUT_NONE)
        return;
    conn->is_continue_due = false;
    add_piece(&pieces, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    send_pieces(conn, &pieces);
}
