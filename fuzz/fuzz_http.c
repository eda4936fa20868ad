/*
 * HTTP/1: the parser, the server's side and the client's side take whatever comes, and what they
 * make of it does not depend on how the bytes are cut into reads. The first byte says who reads the
 * rest, the second seeds the cuts.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/rand.h"
#include "http/client.h"
#include "http/server.h"
#include "io/loop.h"

enum { LIMIT = 1 << 22, INPUT_MOST = 60000, TURNS = 6 };

/* The bytes, and where the next read ends; whole: there is one read. */
struct cuts {
    struct span rest;
    struct rand rand;
    bool is_whole;
};

static struct cuts cuts_of(struct span input, uint8_t seed, bool is_whole)
{
    struct cuts cuts = {.rest = input, .is_whole = is_whole};

    rand_init(&cuts.rand, seed);
    return cuts;
}

static struct span cut(struct cuts *cuts)
{
    /* Mostly short reads, and now and then a long one. */
    uint64_t most = rand_below(&cuts->rand, 8) ? 1 + rand_below(&cuts->rand, 40) : 5000;
    size_t len = cuts->is_whole || most > cuts->rest.len ? cuts->rest.len : (size_t)most;
    struct span piece = span_of(cuts->rest.ptr, len);

    cuts->rest = span_skip(cuts->rest, len);
    return piece;
}

/* --- what was told, with the pieces of a body joined --- */

struct story {
    struct buf text;
    bool is_in_body;
};

static void tell_body(struct story *story, struct span data)
{
    if (!story->is_in_body)
        must(buf_append_span(&story->text, SPAN("\nbody ")) == 0);
    story->is_in_body = true;
    must(buf_append_span(&story->text, data) == 0);
}

static void tell(struct story *story, const char *what, long value)
{
    story->is_in_body = false;
    must(buf_printf(&story->text, "\n%s %ld", what, value) == 0);
}

static void tell_head(struct story *story, const struct http_head *head)
{
    tell(story, "head", head->status);
    tell(story, http_method_name(head->method), (long)head->minor);
    must(buf_append_span(&story->text, head->target) == 0);
    for (size_t i = 0; i < head->field_count; i++) {
        tell(story, "field", (long)head->fields[i].id);
        must(buf_append_span(&story->text, head->fields[i].name) == 0);
        must(buf_append_byte(&story->text, '=') == 0);
        must(buf_append_span(&story->text, head->fields[i].value) == 0);
    }
    tell(story, "framing", head->is_chunked + 2 * head->has_length + 4 * head->is_keep_alive);
    tell(story, "length", (long)head->length);
}

/* --- the parser --- */

struct reading {
    struct http_parser parser;
    struct http_head scratch, own;
    char *bytes; /* of the head under way and what follows it, in one place */
    size_t len, cap;
    struct story *story;
};

/* True once nothing more can be read. */
static bool run_parser(struct reading *reading, const char *data, size_t len)
{
    for (;;) {
        size_t used;
        enum http_event event =
            http_parser_run(&reading->parser, &reading->scratch, data, len, &used);

        must(used <= len);
        data += used;
        len -= used;
        switch (event) {
        case HTTP_EVENT_MORE:
            must(len == 0);
            return false;
        case HTTP_EVENT_HEAD:
            tell_head(reading->story, reading->parser.head);
            break;
        case HTTP_EVENT_BODY:
            must(reading->parser.body.len > 0);
            tell_body(reading->story, reading->parser.body);
            break;
        case HTTP_EVENT_END:
            tell(reading->story, "end", 0);
            http_parser_reset(&reading->parser);
            break;
        case HTTP_EVENT_BAD:
            tell(reading->story, "bad", (long)reading->parser.problem);
            must(http_problem_text(reading->parser.problem) != NULL);
            return true;
        }
    }
}

/* As a connection keeps a head that comes in pieces: in a block that is exactly as long as what
 * came, so that a byte too far is found. */
static bool read_piece(struct reading *reading, struct span piece)
{
    struct http_parser *parser = &reading->parser;
    bool is_head_under_way = parser->start && parser->is_in_head;
    size_t at = is_head_under_way ? parser->head_bytes : 0;
    char *bytes = malloc(at + piece.len + 1);
    bool is_over;

    if (at)
        memcpy(bytes, parser->start, at);
    if (piece.len)
        memcpy(bytes + at, piece.ptr, piece.len);
    if (is_head_under_way)
        http_parser_moved(parser, &reading->own, parser->start, bytes);
    free(reading->bytes);
    reading->bytes = bytes;
    is_over = run_parser(reading, bytes + at, piece.len);
    return is_over;
}

static void read_all(struct cuts cuts, bool is_response, struct story *story)
{
    static struct reading reading;
    bool is_over = false;

    reading.bytes = NULL;
    reading.story = story;
    http_parser_init(&reading.parser, is_response);
    while (!is_over && cuts.rest.len)
        is_over = read_piece(&reading, cut(&cuts));
    if (!is_over)
        tell(story, "finish", (long)http_parser_finish(&reading.parser));
    free(reading.bytes);
}

/* --- the server's side --- */

static struct loop *loop;

static void settle(void)
{
    for (int i = 0; i < TURNS; i++)
        must(loop_turn(loop, 0) == 0);
}

/* All that is said until the server waits for us. True once its end is closed. */
static bool hear(int fd, struct story *story)
{
    static char bytes[65536];
    size_t len;
    ssize_t n;

    do {
        len = story->text.len;
        settle();
        while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
            must(buf_append(&story->text, bytes, (size_t)n) == 0);
    } while (story->text.len != len);
    return n == 0;
}

static void answer(struct http_server_conn *conn, int status, struct span body)
{
    struct http_answer head = {.status = status, .length = (int64_t)body.len};

    http_server_answer(conn, &head, body, true);
}

/* The target's length decides what happens to its request. */
static void on_head(struct http_server_conn *conn, const struct http_head *head)
{
    switch (head->target.len % 6) {
    case 0:
        answer(conn, 401, SPAN("at once"));
        break;
    case 1:
        http_server_discard_body(conn);
        answer(conn, 200, SPAN("unread"));
        break;
    case 2:
        http_server_abort(conn);
        break;
    case 3:
        http_server_pause(conn);
        http_server_continue(conn);
        http_server_resume(conn);
        break;
    default:
        break;
    }
}

static void on_body(struct http_server_conn *conn, struct span data)
{
    uintptr_t sum = (uintptr_t)http_server_request(conn);

    must(data.len > 0);
    for (size_t i = 0; i < data.len; i++)
        sum = sum * 31 + (unsigned char)data.ptr[i];
    http_server_set_request(conn, (void *)sum);
}

static void on_end(struct http_server_conn *conn)
{
    struct http_answer head = {.status = 200, .length = HTTP_LENGTH_UNKNOWN};
    char text[32];
    int len = snprintf(text, sizeof(text), "%zx", (size_t)http_server_request(conn));

    http_server_answer(conn, &head, span_of(text, (size_t)len), false);
    http_server_body(conn, SPAN("!"), true);
}

static void on_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    (void)bad;
    answer(conn, 400, span_from_text(http_problem_text(problem)));
}

static void on_gone(struct http_server_conn *conn, int err)
{
    (void)conn, (void)err;
}

static void on_room(struct http_server_conn *conn)
{
    (void)conn;
}

static const struct http_server_ops server_ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_bad = on_bad,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_closed = on_room,
};

static void serve(struct cuts cuts, struct story *story)
{
    struct http_server server;
    struct addr peer = {.len = 0};
    bool is_closed = false;
    int fds[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    must(http_server_init(&server, loop, &server_ops, NULL) == 0);
    server.is_half_close_answered = true;
    must(http_server_accept(&server, fds[0], &peer) == 0);
    while (cuts.rest.len) {
        struct span piece = cut(&cuts);

        if (send(fds[1], piece.ptr, piece.len, MSG_NOSIGNAL) < 0)
            break; /* the server has gone */
        is_closed = hear(fds[1], story);
    }
    tell(story, is_closed ? "closed" : "open", 0);
    shutdown(fds[1], SHUT_WR);
    must(hear(fds[1], story) && "nothing is left to wait for");
    close(fds[1]);
    http_server_fini(&server);
    settle();
}

/* --- the client's side --- */

struct caller {
    struct http_client client;
    struct http_head scratch;
    struct story *story;
};

static void on_answer_head(struct http_client *client, const struct http_head *head)
{
    tell_head(container_of(client, struct caller, client)->story, head);
}

static void on_data(struct http_client *client, char *data, size_t len, bool is_last)
{
    struct story *story = container_of(client, struct caller, client)->story;

    tell_body(story, span_of(data, len));
    memset(data, 'x', len);
    if (is_last) {
        tell(story, "last", 0);
        /* What comes behind it is known to come or not, as the reads were cut. */
        http_client_close(client);
    }
}

static void on_fail(struct http_client *client, int err)
{
    tell(container_of(client, struct caller, client)->story, "fail", err);
}

static void on_nothing(struct http_client *client)
{
    (void)client;
}

static const struct http_client_ops client_ops = {
    .on_open = on_nothing,
    .on_head = on_answer_head,
    .on_data = on_data,
    .on_room = on_nothing,
    .on_fail = on_fail,
};

static int listener = -1;
static struct addr address;

static void listen_once(void)
{
    if (listener >= 0)
        return;
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    address.storage.ss_family = AF_UNIX;
    must(bind(listener, (struct sockaddr *)&address.storage, sizeof(sa_family_t)) == 0);
    must(listen(listener, 1) == 0);
    address.len = sizeof(address.storage);
    must(getsockname(listener, (struct sockaddr *)&address.storage, &address.len) == 0);
}

static void call(struct cuts cuts, bool is_head_method, struct story *story)
{
    static struct caller caller;
    int fd;

    listen_once();
    caller.story = story;
    must(http_client_connect(&caller.client, loop, &address, NULL, span_of(NULL, 0),
                             &caller.scratch, &client_ops) == 0);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    settle();
    http_client_begin(&caller.client, is_head_method);
    while (cuts.rest.len) {
        struct span piece = cut(&cuts);

        if (send(fd, piece.ptr, piece.len, MSG_NOSIGNAL) < 0)
            break;
        settle();
    }
    close(fd);
    settle();
    http_client_close(&caller.client);
    settle();
}

/* --- both ways --- */

static void play(struct cuts cuts, uint8_t who, struct story *story)
{
    buf_init(&story->text, LIMIT);
    story->is_in_body = false;
    switch (who % 5) {
    case 0:
    case 1:
        read_all(cuts, who % 5 == 1, story);
        break;
    case 2:
        serve(cuts, story);
        break;
    default:
        call(cuts, who % 5 == 4, story);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct story whole, pieces;
    struct span input;

    if (size < 2 || size > INPUT_MOST)
        return 0;
    if (!loop)
        loop = loop_new_virtual(1000000);
    input = span_of((const char *)data + 2, size - 2);
    play(cuts_of(input, data[1], true), data[0], &whole);
    play(cuts_of(input, data[1], false), data[0], &pieces);
    if (!span_is_equal(buf_span(&whole.text), buf_span(&pieces.text))) {
        fprintf(stderr, "whole:%.*s\n\nin pieces:%.*s\n", SPAN_ARG(buf_span(&whole.text)),
                SPAN_ARG(buf_span(&pieces.text)));
        abort();
    }
    buf_fini(&whole.text);
    buf_fini(&pieces.text);
    return 0;
}
