#include "admin/reply.h"

#include "base/alloc.h"

struct reply {
    struct buf body;
    size_t at; /* given to the connection so far */
};

static struct span take_piece(struct reply *reply)
{
    struct span rest = span_skip(buf_span(&reply->body), reply->at);

    if (rest.len > REPLY_PIECE_BYTES)
        rest.len = REPLY_PIECE_BYTES;
    reply->at += rest.len;
    return rest;
}

static void reply_free(struct reply *reply)
{
    buf_fini(&reply->body);
    mem_free(reply);
}

/* In one go: short, or bodyless, or there is no memory to remember the rest. */
static void answer_whole(struct http_server_conn *conn, const struct http_answer *answer,
                         struct buf *body)
{
    http_server_answer(conn, answer, buf_span(body), true);
    buf_fini(body);
}

void reply_begin(struct http_server_conn *conn, const struct http_answer *answer, struct buf *body)
{
    struct reply *reply = NULL;

    if (body->len > REPLY_PIECE_BYTES)
        reply = mem_zalloc(1, sizeof(*reply));
    if (!reply) {
        answer_whole(conn, answer, body);
        return;
    }
    reply->body = *body;
    buf_init(body, body->max);
    http_server_set_request(conn, reply);
    http_server_answer(conn, answer, take_piece(reply), false);
    reply_go_on(conn);
}

void reply_go_on(struct http_server_conn *conn)
{
    struct reply *reply = http_server_request(conn);

    while (reply && http_server_pending(conn) == 0) {
        struct span piece = take_piece(reply);
        bool is_last = reply->at == reply->body.len;

        /* The end of the answer may be the end of the connection. */
        if (is_last)
            http_server_set_request(conn, NULL);
        http_server_body(conn, piece, is_last);
        if (is_last) {
            reply_free(reply);
            reply = NULL;
        }
    }
}

void reply_drop(struct http_server_conn *conn)
{
    struct reply *reply = http_server_request(conn);

    http_server_set_request(conn, NULL);
    if (reply)
        reply_free(reply);
}
