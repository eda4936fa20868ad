#include "player.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "keypool/key.h"

static unsigned below(struct player *player, unsigned n)
{
    return (unsigned)(rand_u64(&player->rand) % n);
}

static bool one_in(struct player *player, unsigned n)
{
    return below(player, n) == 0;
}

/* --- text --- */

static void text_add(struct text *text, const char *data, size_t len)
{
    if (text->len + len + 1 > text->cap) {
        text->cap = (text->len + len + 1) * 2;
        text->data = realloc(text->data, text->cap);
        assert_non_null(text->data);
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

static void text_print(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void text_print(struct text *text, const char *format, ...)
{
    char line[4096];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    assert_in_range(len, 0, sizeof(line) - 1);
    text_add(text, line, (size_t)len);
}

static void text_clear(struct text *text)
{
    text->len = 0;
    if (text->data)
        text->data[0] = '\0';
}

static void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){NULL, 0, 0};
}

/* --- HTTP, read by code of our own --- */

static struct span head_field(struct span head, const char *name)
{
    struct span rest = head, line;

    while (span_next_token(&rest, '\n', &line)) {
        size_t len = strlen(name);

        if (line.len > len + 2 && line.ptr[len] == ':' &&
            span_is_equal_nocase(span_of(line.ptr, len), span_from_text(name)))
            return span_of(line.ptr + len + 2, line.len - len - 3);
    }
    return span_of(NULL, 0);
}

static bool is_chunked(struct span head)
{
    return span_is_equal(head_field(head, "Transfer-Encoding"), SPAN("chunked"));
}

/* Bytes of the chunks with their end; 0: not whole. Strict. */
static size_t chunks_length(struct span rest)
{
    size_t used = 0;

    for (;;) {
        struct span from = span_skip(rest, used);
        size_t line = span_find(from, SPAN("\r\n")), len;

        if (line == SIZE_MAX)
            return 0;
        assert_in_range(line, 1, 8);
        assert_int_equal(strspn(from.ptr, "0123456789abcdef"), line);
        len = strtoul(from.ptr, NULL, 16);
        if (from.len < line + 2 + len + 2)
            return 0;
        assert_memory_equal(from.ptr + line + 2 + len, "\r\n", 2);
        used += line + 2 + len + 2;
        if (len == 0)
            return used;
    }
}

/* Bytes of the first message in `rest`; 0: not whole. *ret_head: its head, empty where that is not
 * whole. */
static size_t message_length(struct span rest, struct span *ret_head)
{
    size_t head = span_find(rest, SPAN("\r\n\r\n")), body;
    struct span length;

    *ret_head = span_of(NULL, 0);
    if (head == SIZE_MAX)
        return 0;
    head += 4;
    *ret_head = span_of(rest.ptr, head);
    if (is_chunked(*ret_head)) {
        body = chunks_length(span_skip(rest, head));
        return body ? head + body : 0;
    }
    length = head_field(*ret_head, "Content-Length");
    if (!length.ptr)
        length = head_field(*ret_head, "content-length");
    assert_non_null(length.ptr);
    body = strtoul(length.ptr, NULL, 10);
    return rest.len >= head + body ? head + body : 0;
}

/* --- the upstreams --- */

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
        size_t half = 1 + below(player, (unsigned)body.len - 1);

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
    unsigned chunks = below(player, 12);

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
    int status = statuses[below(player, sizeof(statuses) / sizeof(statuses[0]))];
    const char *body = one_in(player, 3)
                           ? "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}"
                       : one_in(player, 3) ? "<html>"
                                           : "{\"error\":{\"message\":\"no\"}}";

    text_print(&conn->out, "HTTP/1.1 %d No\r\n", status);
    if (one_in(player, 2))
        text_print(&conn->out, "Retry-After: %u\r\n", below(player, 9));
    text_print(&conn->out, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

static void cut_out(struct player *player, struct player_conn *conn)
{
    conn->out.len = below(player, (unsigned)conn->out.len);
    conn->is_closing = true;
}

static void answer_in(struct player *player, struct player_conn *conn, unsigned mark,
                      bool is_streaming, enum manner manner)
{
    switch (manner) {
    case GOOD_JSON:
    case GOOD_CHUNKED_JSON:
    case GOOD_LARGE_JSON:
        put_json(player, conn, mark, manner == GOOD_LARGE_JSON ? 300000 : below(player, 200),
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
        put_json(player, conn, mark, one_in(player, 4) ? 300000 : 0, one_in(player, 2));
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

/* Answers of the client that are whole, and (*ret_has_begun) whether the next one has begun. */
static unsigned whole_answers(const struct player_client *client, bool *ret_has_begun)
{
    struct span rest = span_of(client->in.data, client->in.len), head;
    unsigned count = 0;
    size_t len;

    while (rest.len && (len = message_length(rest, &head))) {
        rest = span_skip(rest, len);
        count++;
    }
    *ret_has_begun = rest.len > 0;
    return count;
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
    answers = whole_answers(player->marks[mark].client, &has_begun);
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
    if (below(player, 100) < player->kindness)
        manner = is_streaming ? GOOD_STREAM + below(player, 3) : GOOD_JSON + below(player, 3);
    else
        manner = below(player, MANNERS);
    text_clear(&conn->out);
    conn->out_at = 0;
    conn->is_answering = true;
    conn->is_closing = false;
    /* Came they later, nobody could tell that they are not the next request's answer. */
    conn->is_in_one = manner == EXTRA_BYTES;
    answer_in(player, conn, mark, is_streaming, manner);
    if (one_in(player, 4))
        conn->next_us = loop_now_us(player->road->loop) + below(player, 20000000);
}

static void close_conn(struct player_conn *conn)
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
    ssize_t n = recv(conn->fd, piece, 1 + below(player, sizeof(piece)), MSG_DONTWAIT);
    size_t len;

    if (n > 0)
        text_add(&conn->in, piece, (size_t)n);
    else if (n == 0 || errno != EAGAIN) {
        close_conn(conn);
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
        size_t most =
            !conn->is_in_one && one_in(player, 3) ? 1 + below(player, (unsigned)left) : left;

        n = send(conn->fd, conn->out.data + conn->out_at, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        conn->out_at += n > 0 ? (size_t)n : 0;
        if (one_in(player, 8))
            conn->next_us = loop_now_us(player->road->loop) + below(player, 3000000);
        return;
    }
    if (conn->is_closing)
        close_conn(conn);
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

static void move_upstreams(struct player *player)
{
    accept_upstreams(player);
    for (int i = 0; i < PLAYER_CONNS; i++) {
        struct player_conn *conn = &player->conns[i];

        if (conn->fd >= 0)
            hear_upstream(player, conn);
        if (conn->fd >= 0)
            say_upstream(player, conn);
        /* An idle connection may be closed at any time. */
        if (conn->fd >= 0 && !conn->is_answering && one_in(player, 300))
            close_conn(conn);
    }
}

/* --- the clients --- */

static void put_request(struct player *player, struct player_client *client)
{
    struct text body = {NULL, 0, 0};
    unsigned mark = player->next_mark++, number = client->requests++;
    bool is_streaming = one_in(player, 2);

    assert_true(mark < PLAYER_MARKS);
    player->marks[mark].client = client;
    player->marks[mark].number = number;
    client->marks[number] = mark;
    client->is_streaming[number] = is_streaming;
    text_print(&body, "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"mark%ux",
               is_streaming ? "\"stream\":true," : "", mark);
    for (unsigned i = one_in(player, 8) ? below(player, 60000) : below(player, 20); i; i--)
        text_add(&body, "p", 1);
    text_print(&body, "\"}]}");
    text_print(&client->out, "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\n");
    if (one_in(player, 10))
        text_print(&client->out, "Expect: 100-continue\r\n");
    if (one_in(player, 3)) {
        text_print(&client->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body.len);
        text_add(&client->out, body.data, body.len);
        text_print(&client->out, "\r\n0\r\n\r\n");
    } else {
        text_print(&client->out, "Content-Length: %zu\r\n\r\n", body.len);
        text_add(&client->out, body.data, body.len);
    }
    text_free(&body);
}

static void open_client(struct player *player, struct player_client *client)
{
    unsigned requests = 1 + below(player, PLAYER_REQUESTS);

    *client = (struct player_client){.fd = road_connect(player->road)};
    client->is_reading = !one_in(player, 6);
    while (client->requests < requests)
        put_request(player, client);
}

static void say_client(struct player *player, struct player_client *client)
{
    size_t left = client->out.len - client->out_at;
    ssize_t n;

    if (!left || one_in(player, 3))
        return;
    n = send(client->fd, client->out.data + client->out_at,
             one_in(player, 3) ? 1 + below(player, (unsigned)left) : left,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    client->out_at += n > 0 ? (size_t)n : 0;
}

/* An interim answer is no answer. */
static void drop_continue(struct player_client *client)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    size_t len = sizeof(interim) - 1;
    char *at;

    while (client->in.len && (at = strstr(client->in.data, interim))) {
        memmove(at, at + len, client->in.len - (size_t)(at - client->in.data) - len + 1);
        client->in.len -= len;
    }
}

static void hear_client(struct player_client *client)
{
    char piece[65536];

    while (!client->is_over) {
        ssize_t n = recv(client->fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            client->is_over = true;
        else
            text_add(&client->in, piece, (size_t)n);
    }
    drop_continue(client);
}

static void leave(struct player_client *client)
{
    close(client->fd);
    client->fd = -1;
    client->has_left = true;
}

static void move_clients(struct player *player, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct player_client *client = &player->clients[i];

        if (client->fd < 0)
            continue;
        say_client(player, client);
        if (one_in(player, 200))
            client->is_reading = !client->is_reading;
        if (client->is_reading)
            hear_client(client);
        if (one_in(player, 400))
            leave(client);
        else if (one_in(player, 2000))
            shutdown(client->fd, SHUT_WR);
    }
}

/* --- what must hold --- */

/* No mark of another request stands in it; with own_too its own must. */
static void check_marks(struct span body, unsigned mark, bool own_too)
{
    char own[32];
    bool has_own = false;

    snprintf(own, sizeof(own), "mark%ux", mark);
    for (const char *at = body.ptr; at < body.ptr + body.len; at++) {
        at = memchr(at, 'm', (size_t)(body.ptr + body.len - at));
        if (!at)
            break;
        if ((size_t)(body.ptr + body.len - at) < strlen(own) || strncmp(at, "mark", 4))
            continue;
        assert_memory_equal(at, own, strlen(own));
        has_own = true;
    }
    assert_true(has_own || !own_too);
}

static bool ends_with(struct span text, struct span end)
{
    return text.len >= end.len &&
           span_is_equal(span_of(text.ptr + text.len - end.len, end.len), end);
}

static void check_whole(struct player *player, unsigned mark, struct span head, struct span body)
{
    int status = (int)strtol(head.ptr + 9, NULL, 10);
    bool is_stream = span_is_equal(head_field(head, "Content-Type"), SPAN("text/event-stream"));

    player->answered++;
    if (status != 200) {
        player->refused++;
        check_marks(body, mark, false);
        if (status == 429 || status == 503)
            assert_non_null(head_field(head, "Retry-After").ptr);
        return;
    }
    player->succeeded++;
    check_marks(body, mark, true);
    if (is_stream && span_find(body, SPAN("{\"error\":{")) == SIZE_MAX)
        assert_true(ends_with(body, SPAN("data: [DONE]\n\n\r\n0\r\n\r\n")));
    else if (is_stream && span_find(body, SPAN("[DONE]")) != SIZE_MAX)
        fail_msg("an error and a good end: %.*s", SPAN_ARG(body));
}

/* Every request was answered once and in its order, or the connection ended, and that for a reason.
 */
static void check_client(struct player *player, struct player_client *client)
{
    struct span rest = span_of(client->in.data, client->in.len), head;
    bool is_last = false;
    unsigned count = 0;
    size_t len;

    while (rest.len && (len = message_length(rest, &head))) {
        assert_true(count < client->requests);
        assert_false(is_last);
        is_last = span_is_equal(head_field(head, "Connection"), SPAN("close"));
        check_whole(player, client->marks[count], head,
                    span_of(rest.ptr + head.len, len - head.len));
        rest = span_skip(rest, len);
        count++;
    }
    if (rest.len) {
        /* Cut: then the connection is gone, and what came is its own. */
        assert_true(client->is_over || client->has_left);
        if (head.len && count < client->requests) /* a mark may be cut as well */
            check_marks(span_of(rest.ptr + head.len,
                                rest.len - head.len > 32 ? rest.len - head.len - 32 : 0),
                        client->marks[count], false);
        player->cut++;
    } else if (count < client->requests) {
        assert_true(client->is_over || client->has_left);
    }
}

static void check_keys(struct road *road)
{
    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        struct keypool *pool = provider_keys(road->snapshot->providers[i].provider);
        struct keypool_row row;
        size_t at = 0;

        while (keypool_describe(pool, &at, loop_now_us(road->loop), &row)) {
            assert_int_equal(row.in_flight, 0);
            key_unref(&row.key);
        }
        assert_int_equal(waiting_count(provider_waiting(road->snapshot->providers[i].provider)), 0);
    }
}

/* --- the play --- */

void player_init(struct player *player, struct road *road, uint64_t seed)
{
    memset(player, 0, sizeof(*player));
    player->road = road;
    rand_init(&player->rand, seed);
    player->kindness = 50;
    for (int i = 0; i < PLAYER_CONNS; i++)
        player->conns[i].fd = -1;
    for (int i = 0; i < PLAYER_CLIENTS; i++)
        player->clients[i].fd = -1;
}

void player_fini(struct player *player)
{
    for (int i = 0; i < PLAYER_CONNS; i++) {
        if (player->conns[i].fd >= 0)
            close_conn(&player->conns[i]);
    }
}

static bool is_all_said(const struct player *player, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct player_client *client = &player->clients[i];
        bool has_begun;

        if (client->fd >= 0 && !client->is_over &&
            whole_answers(client, &has_begun) < client->requests)
            return false;
    }
    return true;
}

/* A probe that is due finds its key known, or finds nothing out. */
static void probe(struct player *player)
{
    struct road *road = player->road;
    uint64_t now_us = loop_now_us(road->loop), next_us;

    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        struct provider *provider = road->snapshot->providers[i].provider;
        struct keypool *pool = provider_keys(provider);
        struct key *key = keypool_probe_take(pool, now_us, &next_us);

        if (key)
            exchange_host_follow(&road->host, provider,
                                 keypool_probe_end(pool, &key,
                                                   one_in(player, 4) ? PROBE_SILENT : PROBE_KNOWN,
                                                   now_us));
    }
}

/* Upstreams come and go, keys are probed, the configuration is loaded anew. */
static void move_world(struct player *player)
{
    char name = (char)('a' + below(player, 2));

    if (one_in(player, 50))
        probe(player);
    if (player->yaml[0] && one_in(player, 500))
        road_reload(player->road, player->yaml[below(player, 2)]);
    if (!one_in(player, 250))
        return;
    if (player->road->upstreams[name - 'a'].listener >= 0)
        road_unlisten(player->road, name);
    else
        road_listen(player->road, name);
}

static void step(struct player *player, unsigned clients)
{
    static const unsigned pauses_us[] = {0, 0, 0, 0, 0, 100, 10000, 200000, 2000000};

    move_clients(player, clients);
    move_upstreams(player);
    for (unsigned i = 1 + below(player, 3); i; i--)
        assert_int_equal(loop_turn(player->road->loop, 0), 0);
    if (one_in(player, 3))
        assert_int_equal(
            loop_turn(player->road->loop,
                      pauses_us[below(player, sizeof(pauses_us) / sizeof(pauses_us[0]))]),
            0);
}

/* Whoever has not left reads to the end; half an hour is longer than any time-out. */
static void play_out(struct player *player, unsigned clients)
{
    uint64_t until_us = loop_now_us(player->road->loop) + UINT64_C(1800) * 1000000;

    for (unsigned i = 0; i < clients; i++)
        player->clients[i].is_reading = true;
    while (!is_all_said(player, clients) && loop_now_us(player->road->loop) < until_us) {
        for (unsigned i = 0; i < clients; i++) {
            if (player->clients[i].fd < 0)
                continue;
            say_client(player, &player->clients[i]);
            hear_client(&player->clients[i]);
        }
        move_upstreams(player);
        for (int i = 0; i < 3; i++)
            assert_int_equal(loop_turn(player->road->loop, 0), 0);
        assert_int_equal(loop_turn(player->road->loop, 1 + below(player, 1000000)), 0);
    }
    assert_true(is_all_said(player, clients));
}

void player_run(struct player *player, unsigned clients, unsigned steps)
{
    struct road *road = player->road;

    for (unsigned i = 0; i < clients; i++)
        open_client(player, &player->clients[i]);
    for (unsigned i = 0; i < steps; i++) {
        step(player, clients);
        move_world(player);
    }
    if (player->has_sudden_ends && one_in(player, 10))
        exchange_host_cut(&road->host);
    play_out(player, clients);
    for (unsigned i = 0; i < clients; i++) {
        check_client(player, &player->clients[i]);
        if (player->clients[i].fd >= 0)
            close(player->clients[i].fd);
        player->clients[i].fd = -1;
        text_free(&player->clients[i].in);
        text_free(&player->clients[i].out);
    }
    for (int i = 0; i < 40; i++)
        assert_int_equal(loop_turn(road->loop, 0), 0);
    road->host.is_terminating = false;
    assert_int_equal(road->host.exchange_count, 0);
    assert_int_equal(road->host.lease.used, 0);
    check_keys(road);
}
