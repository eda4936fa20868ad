#include "house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "../io/wire.h"

struct request {
    struct span path;
    enum http_method method;
    struct buf body;
    size_t left; /* of a big answer */
    char path_bytes[64];
};

static struct house *house_of(struct http_server_conn *conn)
{
    return http_server_of(conn)->owner;
}

static void tell(struct house *house, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(struct house *house, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    assert_int_equal(buf_vprintf(&house->story, format, args), 0);
    va_end(args);
}

static bool is_path(const struct request *request, const char *path)
{
    return span_is_equal(request->path, span_from_text(path));
}

/* The request is over for us: answered, aborted or gone. */
static void drop_request(struct http_server_conn *conn)
{
    struct request *request = http_server_request(conn);

    http_server_set_request(conn, NULL);
    if (request)
        buf_fini(&request->body);
    free(request);
}

static void answer(struct http_server_conn *conn, int status, const char *body)
{
    struct http_answer head = {.status = status, .length = (int64_t)strlen(body)};

    drop_request(conn);
    http_server_answer(conn, &head, span_from_text(body), true);
}

static void abort_request(struct http_server_conn *conn)
{
    drop_request(conn);
    http_server_abort(conn);
}

static void on_head(struct http_server_conn *conn, const struct http_head *head)
{
    struct house *house = house_of(conn);
    struct request *request = calloc(1, sizeof(*request));
    struct span query, path = http_head_path(head, &query);

    assert_non_null(request);
    assert_null(http_server_request(conn));
    assert_true(path.len < sizeof(request->path_bytes));
    memcpy(request->path_bytes, path.ptr, path.len);
    request->path = span_of(request->path_bytes, path.len);
    request->method = head->method;
    buf_init(&request->body, 1 << 26);
    http_server_set_request(conn, request);
    house->conn = conn;
    tell(house, "head %s %.*s\n", http_method_name(head->method), SPAN_ARG(head->target));
    if (is_path(request, "/now"))
        answer(conn, 401, "no");
    else if (is_path(request, "/continue"))
        http_server_continue(conn);
    else if (is_path(request, "/drop"))
        http_server_discard_body(conn);
    else if (is_path(request, "/slow"))
        http_server_pause(conn);
    else if (is_path(request, "/abort-head"))
        abort_request(conn);
    /* The head is looked at again on purpose: it is valid during the callback. */
    assert_true(head->target.ptr[0] == '/');
}

static void on_body(struct http_server_conn *conn, struct span data)
{
    struct request *request = http_server_request(conn);

    assert_true(data.len > 0);
    if (is_path(request, "/first")) {
        answer(conn, 200, "early");
        return;
    }
    if (is_path(request, "/abort-body"))
        abort_request(conn);
    else if (!house_of(conn)->is_quiet && buf_append_span(&request->body, data))
        answer(conn, 503, "");
}

static void give_big(struct http_server_conn *conn)
{
    static char piece[65536];
    struct request *request = http_server_request(conn);

    while (request->left && http_server_pending(conn) == 0) {
        size_t len = request->left < sizeof(piece) ? request->left : sizeof(piece);

        request->left -= len;
        if (request->left == 0) {
            drop_request(conn);
            http_server_body(conn, span_of(piece, len), true);
            return;
        }
        http_server_body(conn, span_of(piece, len), false);
    }
}

static void begin_big(struct http_server_conn *conn)
{
    struct request *request = http_server_request(conn);
    struct http_answer head = {.status = 200, .length = (int64_t)house_of(conn)->big_bytes};

    request->left = house_of(conn)->big_bytes;
    http_server_answer(conn, &head, span_of(NULL, 0), false);
    give_big(conn);
}

static void answer_in_a_lump(struct http_server_conn *conn)
{
    static char lump[1 << 20];
    struct http_answer head = {.status = 200, .length = (int64_t)house_of(conn)->big_bytes};

    assert_true(house_of(conn)->big_bytes <= sizeof(lump));
    drop_request(conn);
    http_server_answer(conn, &head, span_of(lump, house_of(conn)->big_bytes), true);
}

static void answer_in_chunks(struct http_server_conn *conn)
{
    struct http_answer head = {
        .status = 200, .fields = SPAN("X-Kind: chunks\r\n"), .length = HTTP_LENGTH_UNKNOWN};

    http_server_answer(conn, &head, SPAN("one"), false);
    http_server_body(conn, SPAN("and a second"), false);
    http_server_body(conn, span_of(NULL, 0), false);
    drop_request(conn);
    http_server_body(conn, SPAN("three"), true);
}

static void echo(struct http_server_conn *conn, const struct request *request)
{
    struct http_answer head = {.status = 200, .length = 0};
    struct buf text;

    buf_init(&text, 1 << 26);
    if (buf_printf(&text, "%s ", http_method_name(request->method)) ||
        buf_append_span(&text, buf_span(&request->body)))
        head.status = 503;
    head.length = (int64_t)text.len;
    drop_request(conn);
    http_server_answer(conn, &head, buf_span(&text), true);
    buf_fini(&text);
}

static void on_end(struct http_server_conn *conn)
{
    struct http_answer none = {.status = 204, .length = HTTP_NO_BODY};
    struct request *request = http_server_request(conn);

    tell(house_of(conn), "end\n");
    if (is_path(request, "/echo") || is_path(request, "/continue") || is_path(request, "/slow"))
        echo(conn, request);
    else if (is_path(request, "/chunks"))
        answer_in_chunks(conn);
    else if (is_path(request, "/none"))
        drop_request(conn), http_server_answer(conn, &none, span_of(NULL, 0), true);
    else if (is_path(request, "/big") || is_path(request, "/abort-room"))
        begin_big(conn);
    else if (is_path(request, "/lump"))
        answer_in_a_lump(conn);
    else if (is_path(request, "/abort-end"))
        abort_request(conn);
}

static void on_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    tell(house_of(conn), "bad %d %d\n", (int)bad, (int)problem);
    if (house_of(conn)->is_bad_early)
        abort_request(conn);
    else
        answer(conn, bad == HTTP_BAD_REQUEST ? 400 : 408, "bad");
}

static void on_gone(struct http_server_conn *conn, int err)
{
    tell(house_of(conn), "gone: %s\n", err_text(err));
    /* Late calls have no effect. */
    answer(conn, 500, "late");
    http_server_resume(conn);
    http_server_discard_body(conn);
}

static void on_room(struct http_server_conn *conn)
{
    struct request *request = http_server_request(conn);

    house_of(conn)->rooms++;
    if (is_path(request, "/abort-room"))
        abort_request(conn);
    else
        give_big(conn);
}

static void on_closed(struct http_server_conn *conn)
{
    tell(house_of(conn), "closed\n");
    if (house_of(conn)->conn == conn)
        house_of(conn)->conn = NULL;
}

const struct http_server_ops house_ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_bad = on_bad,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_closed = on_closed,
};

void house_begin(struct house *house)
{
    *house = (struct house){.hand = -1, .big_bytes = 4 << 20};
    house->loop = loop_new_virtual(1000000);
    assert_non_null(house->loop);
    buf_init(&house->story, 65536);
    assert_int_equal(buf_reserve(&house->story, 65536), 0);
    assert_int_equal(http_server_init(&house->server, house->loop, &house_ops, house), 0);
    house->server.header_timeout_us = 10000000;
    house->server.body_timeout_us = house->server.write_timeout_us = 60000000;
    house->server.idle_timeout_us = 75000000;
}

void house_end(struct house *house)
{
    if (house->hand >= 0)
        close(house->hand);
    http_server_fini(&house->server);
    assert_int_equal(house->server.conn_count, 0);
    loop_free(&house->loop);
    buf_fini(&house->story);
}

static void take_pair(struct house *house, int server_end, int hand)
{
    struct addr peer = {.len = 0};

    if (house->hand >= 0)
        close(house->hand);
    house->hand = hand;
    assert_int_equal(http_server_accept(&house->server, server_end, &peer), 0);
    wire_settle(house->loop);
}

void house_connect(struct house *house)
{
    int fds[2];

    wire_pair(fds);
    take_pair(house, fds[0], fds[1]);
}

void house_connect_tcp(struct house *house)
{
    struct addr addr;
    int listener = wire_listen(false, &addr);
    int hand = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(hand, (struct sockaddr *)&addr.storage, addr.len), 0);
    assert_int_equal(wire_set_non_blocking(hand), 0);
    take_pair(house, wire_accept(listener), hand);
    close(listener);
}

void house_say(struct house *house, const char *text)
{
    wire_say(house->loop, house->hand, text);
}

void house_expect(struct house *house, const char *text)
{
    wire_expect(house->loop, house->hand, text, WIRE_OPEN);
}

void house_expect_end(struct house *house, const char *text)
{
    wire_expect(house->loop, house->hand, text, WIRE_EOF);
}

void house_expect_story(struct house *house, const char *story)
{
    wire_settle(house->loop);
    assert_string_equal(house->story.len ? buf_text(&house->story) : "", story);
    buf_clear(&house->story);
}

void house_answer(struct house *house, const char *body)
{
    assert_non_null(house->conn);
    answer(house->conn, 200, body);
}

void house_abort(struct house *house)
{
    assert_non_null(house->conn);
    abort_request(house->conn);
}
