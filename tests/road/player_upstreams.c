#include "player_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How an answer may come out. */
enum manner {
    GOOD_JSON,
    GOOD_CHUNKED_JSON,
    GOOD_LARGE_JSON,
    GOOD_STREAM,
    GOOD_WITHOUT_DONE,
    GOOD_WITH_PINGS,
    GOOD_THEN_CLOSE,
    GOOD_MANNERS,
    CUT_JSON = GOOD_MANNERS,
    CUT_STREAM,
    REFUSAL,
    GARBAGE,
    CLOSE,
    STALL,
    ERROR_IN_SUCCESS,
    FIRST_EVENT_ERROR,
    LATE_ERROR,
    EXTRA_BYTES,
    NO_CONTENT,
    HEAD_ONLY,
    MANNERS,
};

static void put_json(struct player *player, struct player_conn *conn, unsigned mark, size_t pad,
                     bool is_chunked_body)
{
    struct text body = {NULL, 0, 0};

    text_print(&body, "{\"id\":\"c\",\"pad\":\"");
    for (size_t i = 0; i < pad; i++)
        text_add(&body, "x", 1);
    text_print(&body,
               "\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
               "\"mark%ux\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
               "\"completion_tokens\":5,\"total_tokens\":8}}",
               mark);
    text_print(&conn->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    if (is_chunked_body) {
        size_t half = 1 + player_below(player, (unsigned)body.len - 1);

        text_print(&conn->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", half);
        text_add(&conn->out, body.data, half);
        text_print(&conn->out, "\r\n%zx;ext=1\r\n", body.len - half);
        text_add(&conn->out, body.data + half, body.len - half);
        text_print(&conn->out, "\r\n0\r\nX-Trailer: 1\r\n\r\n");
    } else {
        text_print(&conn->out, "Content-Length: %zu\r\n\r\n", body.len);
        text_add(&conn->out, body.data, body.len);
    }
    text_free(&body);
}

static void put_event(struct text *out, const char *format, unsigned mark)
{
    char event[512];

    snprintf(event, sizeof(event), format, mark);
    text_print(out, "%zx\r\n%s\r\n", strlen(event), event);
}

static void put_stream_head(struct text *out)
{
    text_print(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
}

static const char chunk_format[] =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"mark%ux\"},"
    "\"finish_reason\":null}]}\n\n";
static const char finish_format[] =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"mark%ux\"},"
    "\"finish_reason\":\"stop\"}]}\n\n";
static const char error_format[] =
    "data: {\"error\":{\"message\":\"mark%ux\",\"type\":\"server_error\",\"code\":null}}\n\n";

static void put_stream(struct player *player, struct player_conn *conn, unsigned mark,
                       enum manner manner)
{
    unsigned chunks = player_below(player, 12);

    put_stream_head(&conn->out);
    for (unsigned i = 0; manner == GOOD_WITH_PINGS && i < 4; i++)
        put_event(&conn->out, ": ping\n\n", mark);
    for (unsigned i = 0; i < chunks; i++)
        put_event(&conn->out, chunk_format, mark);
    if (manner == LATE_ERROR)
        put_event(&conn->out, error_format, mark);
    put_event(&conn->out, finish_format, mark);
    if (manner != GOOD_WITHOUT_DONE)
        put_event(&conn->out, "data: [DONE]\n\n", mark);
    text_print(&conn->out, "0\r\n\r\n");
}

static void put_refusal(struct player *player, struct player_conn *conn)
{
    static const int statuses[] = {400, 401, 402, 403, 404, 408, 409, 413, 422, 429,
                                   429, 429, 500, 500, 502, 503, 503, 504, 302};
    int status = statuses[player_below(player, sizeof(statuses) / sizeof(statuses[0]))];
    const char *body = player_one_in(player, 3)
                           ? "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}"
                       : player_one_in(player, 3) ? "<html>"
                                                  : "{\"error\":{\"message\":\"no\"}}";

    text_print(&conn->out, "HTTP/1.1 %d No\r\n", status);
    if (player_one_in(player, 2))
        text_print(&conn->out, "Retry-After: %u\r\n", player_below(player, 9));
    text_print(&conn->out, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static void cut_out(struct player *player, struct player_conn *conn)
{
    conn->out.len = player_below(player, (unsigned)conn->out.len);
    conn->is_closing = true;
}

static void answer_in(struct player *player, struct player_conn *conn, unsigned mark,
                      bool is_streaming, enum manner manner)
{
    switch (manner) {
    case GOOD_JSON:
    case GOOD_CHUNKED_JSON:
    case GOOD_LARGE_JSON:
        put_json(player, conn, mark, manner == GOOD_LARGE_JSON ? 300000 : player_below(player, 200),
                 manner == GOOD_CHUNKED_JSON);
        break;
    case GOOD_STREAM:
    case GOOD_WITHOUT_DONE:
    case GOOD_WITH_PINGS:
    case LATE_ERROR:
        put_stream(player, conn, mark, manner);
        break;
    case GOOD_THEN_CLOSE:
        put_json(player, conn, mark, 0, false);
        conn->is_closing = true;
        break;
    case CUT_JSON:
        put_json(player, conn, mark, player_one_in(player, 4) ? 300000 : 0,
                 player_one_in(player, 2));
        cut_out(player, conn);
        break;
    case CUT_STREAM:
        put_stream(player, conn, mark, GOOD_STREAM);
        cut_out(player, conn);
        break;
    case REFUSAL:
        put_refusal(player, conn);
        break;
    case GARBAGE:
        text_print(&conn->out, "\x01\x02 no HTTP at all\r\n\r\n");
        break;
    case CLOSE:
        conn->is_closing = true;
        break;
    case STALL:
        break;
    case ERROR_IN_SUCCESS:
        text_print(&conn->out, "HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n"
                               "{\"error\":{\"message\":\"broken..\"}}");
        break;
    case FIRST_EVENT_ERROR:
        put_stream_head(&conn->out);
        put_event(&conn->out, error_format, mark);
        text_print(&conn->out, "0\r\n\r\n");
        break;
    case EXTRA_BYTES:
        put_json(player, conn, mark, 0, false);
        text_print(&conn->out, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        break;
    case NO_CONTENT:
        text_print(&conn->out, "HTTP/1.1 204 None\r\n\r\n");
        break;
    case HEAD_ONLY:
        text_print(&conn->out, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
        break;
    case MANNERS:
        break;
    }
    (void)is_streaming;
}

/* Once an answer has begun there is no further try of its request. What is read so late that the
 * gateway has given it up is no try any more. */
static void note_asked(struct player *player, const struct player_conn *conn, unsigned mark)
{
    struct pollfd poll_fd = {.fd = conn->fd, .events = POLLRDHUP};
    bool has_begun;
    unsigned answers;

    if (poll(&poll_fd, 1, 0) > 0)
        return;
    assert_true(mark < player->next_mark);
    answers = player_whole_answers(player->marks[mark].client, &has_begun);
    assert_true(answers <= player->marks[mark].number);
    assert_false(answers == player->marks[mark].number && has_begun);
}

static void answer_request(struct player *player, struct player_conn *conn, struct span request)
{
    size_t at = span_find(request, SPAN("\"mark"));
    bool is_streaming = span_find(request, SPAN("\"stream\":true")) != SIZE_MAX;
    enum manner manner;
    unsigned mark;

    assert_true(at != SIZE_MAX);
    mark = (unsigned)strtoul(request.ptr + at + 5, NULL, 10);
    note_asked(player, conn, mark);
    if (player_below(player, 100) < player->kindness)
        manner = is_streaming ? GOOD_STREAM + player_below(player, 3)
                              : GOOD_JSON + player_below(player, 3);
    else
        manner = player_below(player, MANNERS);
    text_clear(&conn->out);
    conn->out_at = 0;
    conn->is_answering = true;
    conn->is_closing = false;
    /* Came they later, nobody could tell that they are not the next request's answer. */
    conn->is_in_one = manner == EXTRA_BYTES;
    answer_in(player, conn, mark, is_streaming, manner);
    if (player_one_in(player, 4))
        conn->next_us = loop_now_us(player->road->loop) + player_below(player, 20000000);
}

void player_close_conn(struct player_conn *conn)
{
    close(conn->fd);
    conn->fd = -1;
    text_free(&conn->in);
    text_free(&conn->out);
    *conn = (struct player_conn){.fd = -1};
}

static void hear_upstream(struct player *player, struct player_conn *conn)
{
    char piece[16384];
    struct span head;
    ssize_t n = recv(conn->fd, piece, 1 + player_below(player, sizeof(piece)), MSG_DONTWAIT);
    size_t len;

    if (n > 0)
        text_add(&conn->in, piece, (size_t)n);
    else if (n == 0 || errno != EAGAIN) {
        player_close_conn(conn);
        return;
    }
    if (conn->is_answering || !conn->in.len)
        return;
    len = message_length(span_of(conn->in.data, conn->in.len), &head);
    if (!len)
        return;
    answer_request(player, conn, span_of(conn->in.data, len));
    memmove(conn->in.data, conn->in.data + len, conn->in.len - len);
    conn->in.len -= len;
    /* One request at a time: nothing may stand behind it. */
    assert_int_equal(conn->in.len, 0);
}

static void say_upstream(struct player *player, struct player_conn *conn)
{
    size_t left = conn->out.len - conn->out_at;
    ssize_t n;

    if (!conn->is_answering || loop_now_us(player->road->loop) < conn->next_us)
        return;
    if (left) {
        size_t most = !conn->is_in_one && player_one_in(player, 3)
                          ? 1 + player_below(player, (unsigned)left)
                          : left;

        n = send(conn->fd, conn->out.data + conn->out_at, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        conn->out_at += n > 0 ? (size_t)n : 0;
        if (player_one_in(player, 8))
            conn->next_us = loop_now_us(player->road->loop) + player_below(player, 3000000);
        return;
    }
    if (conn->is_closing)
        player_close_conn(conn);
    else if (conn->out.len)
        conn->is_answering = false; /* ready for the next */
}

static void accept_upstreams(struct player *player)
{
    for (int i = 0; i < ROAD_UPSTREAMS; i++) {
        int listener = player->road->upstreams[i].listener, fd;

        while (listener >= 0 &&
               (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            struct player_conn *conn = player->conns;

            while (conn->fd >= 0)
                conn++;
            assert_true(conn < player->conns + PLAYER_CONNS);
            conn->fd = fd;
        }
    }
}

void player_move_upstreams(struct player *player)
{
    accept_upstreams(player);
    for (int i = 0; i < PLAYER_CONNS; i++) {
        struct player_conn *conn = &player->conns[i];

        if (conn->fd >= 0)
            hear_upstream(player, conn);
        if (conn->fd >= 0)
            say_upstream(player, conn);
        /* An idle connection may be closed at any time. */
        if (conn->fd >= 0 && !conn->is_answering && player_one_in(player, 300))
            player_close_conn(conn);
    }
}
