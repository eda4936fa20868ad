#include "http/client.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fetch.h"

/* What one turn reads of one connection before others have theirs. */
enum { READS_A_TURN = 8 };

static struct http_client *client_of(struct conn *conn)
{
    return container_of(conn, struct http_client, conn);
}

static void fail(struct http_client *client, int err)
{
    const char *tls_error = "";

    if (conn_is_closed(&client->conn))
        return;
    if (err == ERR_TLS)
        tls_error = conn_tls_error(&client->conn);
    http_client_close(client);
    client->tls_error = tls_error;
    client->ops->on_fail(client, err);
    client->tls_error = "";
}

/* --- reading an answer --- */

static bool is_head_under_way(const struct http_client *client)
{
    return client->parser.start && client->parser.is_in_head;
}

/* The head goes on in the next read: its bytes and its fields must outlive this one. */
static int keep_head(struct http_client *client)
{
    struct http_parser *parser = &client->parser;
    struct buf bytes;
    int err;

    if (client->head_own && parser->head == client->head_own) /* they do already */
        return 0;
    if (!client->head_own)
        client->head_own = mem_alloc(sizeof(*client->head_own));
    if (!client->head_own)
        return ERR_NOMEM;
    /* The bytes may stand in head_bytes, behind an interim answer. */
    buf_init(&bytes, client->head_bytes.max);
    err = buf_append(&bytes, parser->start, parser->head_bytes);
    if (err)
        return err;
    http_parser_moved(parser, client->head_own, parser->start, bytes.data);
    buf_fini(&client->head_bytes);
    client->head_bytes = bytes;
    return 0;
}

static void drop_head(struct http_client *client)
{
    mem_free(client->head_own);
    client->head_own = NULL;
    buf_fini(&client->head_bytes);
}

/* Appends what was read to the head under way and returns where the new bytes stand. */
static char *continue_head(struct http_client *client, const char *data, size_t len)
{
    const char *old = client->head_bytes.data;
    size_t at = client->head_bytes.len;

    if (buf_append(&client->head_bytes, data, len))
        return NULL;
    if (client->head_bytes.data != old)
        http_parser_moved(&client->parser, client->head_own, old, client->head_bytes.data);
    return client->head_bytes.data + at;
}

/* One read's worth of an answer under way. */
struct gathered {
    char *body; /* decoded pieces, moved together; NULL: they begin where the first one stands */
    size_t len;
    bool is_last;
};

static void gather(struct gathered *got, struct span piece)
{
    if (!got->body)
        got->body = (char *)(uintptr_t)piece.ptr;
    if (got->body + got->len != piece.ptr)
        memmove(got->body + got->len, piece.ptr, piece.len);
    got->len += piece.len;
}

static void note_end(struct http_client *client, bool has_rest)
{
    client->is_busy = false;
    client->is_reusable = client->is_request_sent && !has_rest && !client->conn.is_hung_up &&
                          client->parser.is_keep_alive && conn_pending(&client->conn) == 0;
}

/* True where the answer's own head follows: an interim one was passed over. */
static bool pass_interim(struct http_client *client, const struct http_head *head)
{
    return head->status >= 100 && head->status < 200 && head->status != 101 && !client->has_head;
}

static int show_head(struct http_client *client)
{
    struct http_head *head = client->parser.head;

    if (head->status < 200)
        return ERR_PROTO;
    client->has_head = true;
    client->ops->on_head(client, head);
    return conn_is_closed(&client->conn) ? ERR_CANCELLED : 0;
}

static int run_parser(struct http_client *client, char *data, size_t len, struct gathered *got)
{
    bool is_interim = false;
    size_t used;

    for (;;) {
        switch (http_parser_run(&client->parser, client->head_scratch, data, len, &used)) {
        case HTTP_EVENT_MORE:
            return is_head_under_way(client) ? keep_head(client) : 0;
        case HTTP_EVENT_HEAD:
            is_interim = pass_interim(client, client->parser.head);
            if (!is_interim && show_head(client))
                return conn_is_closed(&client->conn) ? ERR_CANCELLED : ERR_PROTO;
            break;
        case HTTP_EVENT_BODY:
            gather(got, client->parser.body);
            break;
        case HTTP_EVENT_END:
            if (!is_interim) {
                got->is_last = true;
                note_end(client, len > used);
                return 0;
            }
            is_interim = false;
            http_parser_reset(&client->parser);
            break;
        case HTTP_EVENT_BAD:
            return ERR_PROTO;
        }
        data += used;
        len -= used;
    }
}

static int parse(struct http_client *client, char *data, size_t len, struct gathered *got)
{
    int err;

    if (client->head_own) {
        got->body = data; /* what stands with the head goes with it */
        data = continue_head(client, data, len);
    }
    if (!data)
        return ERR_NOMEM;
    client->is_parsing = true;
    err = run_parser(client, data, len, got);
    client->is_parsing = false;
    if (err || !is_head_under_way(client))
        drop_head(client);
    return err;
}

static int take_in(struct http_client *client, char *data, size_t len)
{
    struct gathered got = {.body = NULL};
    int err;

    if (!client->is_busy)
        return ERR_PROTO; /* bytes that nobody asked for */
    client->has_byte = true;
    err = parse(client, data, len, &got);
    if (err == ERR_CANCELLED)
        return err;
    if (!got.body)
        got.body = data; /* never NULL, though it may be empty */
    if (got.len || got.is_last)
        client->ops->on_data(client, got.body, got.len, got.is_last);
    return conn_is_closed(&client->conn) ? ERR_CANCELLED : err;
}

static void take_end(struct http_client *client)
{
    enum http_event event = client->is_busy ? http_parser_finish(&client->parser) : HTTP_EVENT_MORE;

    if (event == HTTP_EVENT_END && client->has_head) {
        client->is_busy = false;
        client->is_reusable = false;
        client->ops->on_data(client, loop_read_scratch(client->conn.loop), 0, true);
        return;
    }
    fail(client, client->has_byte && client->is_busy ? ERR_RESET : ERR_EOF);
}

static void read_some(struct http_client *client)
{
    char *scratch = loop_read_scratch(client->conn.loop);

    for (int i = 0; i < READS_A_TURN; i++) {
        size_t len;
        int err;

        if (client->is_paused || conn_is_closed(&client->conn))
            return;
        err = conn_read(&client->conn, scratch, LOOP_SCRATCH_BYTES, &len);
        if (err == ERR_AGAIN)
            return;
        if (err == ERR_EOF) {
            take_end(client);
            return;
        }
        if (!err)
            err = take_in(client, scratch, len);
        if (err == ERR_CANCELLED)
            return;
        if (err) {
            fail(client, err);
            return;
        }
    }
    loop_defer(client->conn.loop, &client->more);
}

/* Reads on, also where nothing can be sent any more: a server that answers early and stops reading
 * breaks our writing, and what it said still stands in the socket. */
static void read_on(struct http_client *client)
{
    read_some(client);
    if (client->conn.error && !client->is_paused && !list_is_linked(&client->more.link))
        fail(client, client->conn.error);
}

/* --- the connection's events --- */

static void on_open(struct conn *conn)
{
    client_of(conn)->ops->on_open(client_of(conn));
}

static void on_readable(struct conn *conn)
{
    struct http_client *client = client_of(conn);

    fetch_ahead(client->ahead.ptr, client->ahead.len);
    read_on(client);
}

static void on_drained(struct conn *conn)
{
    client_of(conn)->ops->on_room(client_of(conn));
}

static void on_hangup(struct conn *conn)
{
    /* The end itself is found by reading; a paused reader finds it later. */
    (void)conn;
}

static void on_error(struct conn *conn, int err)
{
    struct http_client *client = client_of(conn);

    client->is_request_sent = false;
    if (conn->is_open)
        read_on(client);
    else
        fail(client, err);
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
    read_on(container_of(task, struct http_client, more));
}

/* --- the owner's calls --- */

int http_client_connect(struct http_client *client, struct loop *loop, const struct addr *addr,
                        struct tls_context *tls, struct span server_name,
                        struct http_head *head_scratch, const struct http_client_ops *ops)
{
    int err;

    *client = (struct http_client){.ops = ops, .head_scratch = head_scratch, .tls_error = ""};
    buf_init(&client->head_bytes, HTTP_MAX_HEAD_BYTES + LOOP_SCRATCH_BYTES);
    http_parser_init(&client->parser, true);
    loop_task_init(&client->more, on_more);
    err = conn_connect(&client->conn, loop, addr, tls, server_name, &ops_of_conn);
    if (!err)
        conn_keep_secret(&client->conn); /* the heads that it sends carry keys */
    return err;
}

void http_client_begin(struct http_client *client, bool is_head_method)
{
    http_parser_reset(&client->parser);
    client->parser.is_to_head_request = is_head_method;
    client->is_busy = true;
    client->has_head = client->has_byte = false;
    client->is_paused = client->is_request_sent = client->is_reusable = false;
}

int http_client_send(struct http_client *client, struct iovec *iov, int count, bool is_last)
{
    int err = conn_send_soon(&client->conn, iov, count);

    client->is_request_sent = is_last && !err;
    if (err && !conn_is_closed(&client->conn))
        loop_defer(client->conn.loop, &client->more);
    return err;
}

void http_client_pause(struct http_client *client)
{
    client->is_paused = true;
}

void http_client_resume(struct http_client *client)
{
    if (!client->is_paused)
        return;
    client->is_paused = false;
    if (!conn_is_closed(&client->conn))
        loop_defer(client->conn.loop, &client->more);
}

bool http_client_is_reusable(const struct http_client *client)
{
    return client->is_reusable && !client->is_busy && !conn_is_closed(&client->conn);
}

void http_client_close(struct http_client *client)
{
    loop_task_cancel(&client->more);
    if (!client->is_parsing) /* else a callback still looks at it */
        drop_head(client);
    client->is_busy = false;
    conn_close(&client->conn);
}
