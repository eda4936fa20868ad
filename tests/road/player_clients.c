#include "player_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static void put_request(struct player *player, struct player_client *client)
{
    struct text body = {NULL, 0, 0};
    unsigned mark = player->next_mark++, number = client->requests++;
    bool is_streaming = player_one_in(player, 2);

    assert_true(mark < PLAYER_MARKS);
    player->marks[mark].client = client;
    player->marks[mark].number = number;
    client->marks[number] = mark;
    client->is_streaming[number] = is_streaming;
    text_print(&body, "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"mark%ux",
               is_streaming ? "\"stream\":true," : "", mark);
    for (unsigned i = player_one_in(player, 8) ? player_below(player, 60000)
                                               : player_below(player, 20);
         i; i--)
        text_add(&body, "p", 1);
    text_print(&body, "\"}]}");
    text_print(&client->out, "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\n");
    if (player_one_in(player, 10))
        text_print(&client->out, "Expect: 100-continue\r\n");
    if (player_one_in(player, 3)) {
        text_print(&client->out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body.len);
        text_add(&client->out, body.data, body.len);
        text_print(&client->out, "\r\n0\r\n\r\n");
    } else {
        text_print(&client->out, "Content-Length: %zu\r\n\r\n", body.len);
        text_add(&client->out, body.data, body.len);
    }
    text_free(&body);
}

void player_open_client(struct player *player, struct player_client *client)
{
    unsigned requests = 1 + player_below(player, PLAYER_REQUESTS);

    *client = (struct player_client){.fd = road_connect(player->road)};
    client->is_reading = !player_one_in(player, 6);
    while (client->requests < requests)
        put_request(player, client);
}

void player_say_client(struct player *player, struct player_client *client)
{
    size_t left = client->out.len - client->out_at;
    ssize_t n;

    if (!left || player_one_in(player, 3))
        return;
    n = send(client->fd, client->out.data + client->out_at,
             player_one_in(player, 3) ? 1 + player_below(player, (unsigned)left) : left,
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

void player_hear_client(struct player_client *client)
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

void player_move_clients(struct player *player, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct player_client *client = &player->clients[i];

        if (client->fd < 0)
            continue;
        player_say_client(player, client);
        if (player_one_in(player, 200))
            client->is_reading = !client->is_reading;
        if (client->is_reading)
            player_hear_client(client);
        if (player_one_in(player, 400))
            leave(client);
        else if (player_one_in(player, 2000))
            shutdown(client->fd, SHUT_WR);
    }
}

unsigned player_whole_answers(const struct player_client *client, bool *ret_has_begun)
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
    bool is_stream = span_is_equal(message_field(head, "Content-Type"), SPAN("text/event-stream"));

    player->answered++;
    if (status != 200) {
        player->refused++;
        check_marks(body, mark, false);
        if (status == 429 || status == 503)
            assert_non_null(message_field(head, "Retry-After").ptr);
        return;
    }
    player->succeeded++;
    check_marks(body, mark, true);
    if (is_stream && span_find(body, SPAN("{\"error\":{")) == SIZE_MAX)
        assert_true(ends_with(body, SPAN("data: [DONE]\n\n\r\n0\r\n\r\n")));
    else if (is_stream && span_find(body, SPAN("[DONE]")) != SIZE_MAX)
        fail_msg("an error and a good end: %.*s", SPAN_ARG(body));
}

void player_check_client(struct player *player, const struct player_client *client)
{
    struct span rest = span_of(client->in.data, client->in.len), head;
    bool is_last = false;
    unsigned count = 0;
    size_t len;

    while (rest.len && (len = message_length(rest, &head))) {
        assert_true(count < client->requests);
        assert_false(is_last);
        is_last = span_is_equal(message_field(head, "Connection"), SPAN("close"));
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
