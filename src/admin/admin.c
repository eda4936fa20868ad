#include "admin/admin.h"

#include <stdio.h>

#include "admin/events.h"
#include "admin/guard.h"
#include "admin/lookup.h"
#include "admin/orders.h"
#include "admin/page.h"
#include "admin/refusal.h"
#include "admin/reply.h"
#include "admin/route.h"
#include "admin/traffic.h"
#include "base/alloc.h"
#include "base/err.h"
#include "dialect/openai_error.h"
#include "exchange/host.h"
#include "http/server.h"
#include "io/listener.h"

/* A scraper, a dashboard and a few shells need no more; a connection that does nothing makes room
 * soon. */
enum { MAX_CONNECTIONS = 64, FIELDS_BYTES = 1024, MESSAGE_BYTES = 256 };
enum { HEADER_US = 10000000, BODY_US = 10000000, WRITE_US = 30000000, IDLE_US = 60000000 };

struct admin {
    struct admin_options options;
    struct snapshot *snapshot; /* borrowed; NULL until there is one */
    struct http_server server;
    struct listener *listener; /* NULL while it ends */
    bool is_full;              /* the listener is paused */
    struct orders orders;
    struct lookups lookups;
    struct event_streams *streams; /* NULL: the registry has no journal */
    struct traffic *traffic;
};

/* --- answers --- */

static void answer(struct http_server_conn *conn, int status, const char *type, struct buf *fields,
                   struct buf *body, bool is_closing)
{
    struct http_answer answer = {
        .status = status, .length = (int64_t)body->len, .is_closing = is_closing};

    buf_printf(fields,
               "Content-Type: %s\r\nCache-Control: no-store\r\n"
               "X-Content-Type-Options: nosniff\r\n",
               type);
    answer.fields = buf_span(fields);
    reply_begin(conn, &answer, body);
}

static void refuse(struct http_server_conn *conn, const struct failure_row *row,
                   struct span message, struct span path, bool is_closing)
{
    struct buf fields, body;

    buf_init(&fields, FIELDS_BYTES);
    buf_init(&body, PAGE_MAX_BYTES);
    openai_write_error(&body, row, message, span_of(NULL, 0));
    if (row->status == 401)
        buf_append_span(&fields, SPAN("WWW-Authenticate: Bearer realm=\"bellwether\"\r\n"));
    if (row->status == 405)
        admin_route_put_allow(path, &fields);
    if (row->status == 503)
        buf_append_span(&fields, SPAN("Retry-After: 1\r\n"));
    answer(conn, row->status, "application/json", &fields, &body, is_closing);
    buf_fini(&body);
    buf_fini(&fields);
}

static void refuse_as(struct http_server_conn *conn, enum failure failure, struct span path)
{
    refuse(conn, failure_row(failure), span_of(NULL, 0), path, false);
}

static void refuse_path(struct http_server_conn *conn, enum http_method method, struct span path)
{
    char text[MESSAGE_BYTES];
    size_t len = path.len < sizeof(text) / 2 ? path.len : sizeof(text) / 2;

    snprintf(text, sizeof(text), "There is nothing at %s %.*s on the admin address.",
             http_method_name(method), (int)len, path.ptr);
    refuse(conn, failure_row(FAILURE_UNKNOWN_PATH), span_from_text(text), path, false);
}

static struct page_view view_of(const struct admin *admin)
{
    return (struct page_view){
        .registry = admin->options.registry,
        .snapshot = admin->snapshot,
        .state = admin->options.state(admin->options.owner),
        .admin = &admin->options,
        .traffic = admin->traffic,
        .now_us = loop_now_us(admin->options.loop),
        .wall_us = loop_wall_us(admin->options.loop),
    };
}

/* The page as it was written; its buffer goes. */
static void show(struct http_server_conn *conn, struct page *page, struct span path)
{
    struct buf fields;

    if (page->body.err) {
        buf_fini(&page->body);
        refuse_as(conn, FAILURE_OVERLOADED, path);
        return;
    }
    buf_init(&fields, FIELDS_BYTES);
    if (page->status == 503)
        buf_append_span(&fields, SPAN("Retry-After: 1\r\n"));
    answer(conn, page->status, page->type, &fields, &page->body, false);
    buf_fini(&fields);
    buf_fini(&page->body);
}

static void show_page(struct admin *admin, struct http_server_conn *conn,
                      const struct admin_route *route, const struct admin_subject *subject)
{
    struct page_view view = view_of(admin);
    struct page page = {.status = 200, .type = "application/json"};

    view.name = subject->name;
    buf_init(&page.body, PAGE_MAX_BYTES);
    route->write(&view, &page);
    show(conn, &page, route->path);
}

/* --- what is answered later --- */

static struct page_view later_view(void *owner)
{
    return view_of(owner);
}

static void later_answer(void *owner, struct http_server_conn *conn,
                         const struct failure_row *refusal, struct page *page)
{
    const struct span none = {NULL, 0};

    (void)owner;
    if (!refusal) {
        show(conn, page, none);
        return;
    }
    refuse(conn, refusal, page ? buf_span(&page->body) : none, none, false);
    if (page)
        buf_fini(&page->body);
}

/* --- requests --- */

static struct admin *of(struct http_server_conn *conn)
{
    return http_server_of(conn)->owner;
}

static void on_head(struct http_server_conn *conn, const struct http_head *head)
{
    struct admin *admin = of(conn);
    struct span query, path = http_head_path(head, &query);
    struct admin_subject subject;
    const struct admin_route *route = admin_route_find(head->method, path, &subject);
    const struct failure_row *refusal;

    if (!admin->snapshot) {
        refuse_as(conn, FAILURE_NOT_READY, path);
        return;
    }
    /* What is there is told to nobody who may not ask for it. */
    refusal = guard_refuse(head, http_server_peer(conn), admin->snapshot->config->admin.token,
                           !route || route->access == ADMIN_OPERATOR);
    if (refusal)
        refuse(conn, refusal, span_of(NULL, 0), path, false);
    else if (!route)
        refuse_path(conn, head->method, path);
    else if (!admin_route_takes(route, head->method))
        refuse_as(conn, FAILURE_METHOD, path);
    else if (route->order && orders_begin(&admin->orders, conn, route, path))
        refuse_as(conn, FAILURE_OVERLOADED, path);
    else if (route->order)
        return;
    else if (route->lookup)
        lookup_begin(&admin->lookups, conn, route->lookup, &subject, query);
    else if (route->write)
        show_page(admin, conn, route, &subject);
    else if (!admin->streams || !event_streams_open(admin->streams, conn, head))
        refuse(conn, refusal_row(REFUSAL_MANY_STREAMS), span_of(NULL, 0), path, false);
}

/* A page is answered with its head: what a body says is not asked for. */
static void on_body(struct http_server_conn *conn, struct span data)
{
    if (orders_read(&of(conn)->orders, conn, data))
        refuse(conn, refusal_row(REFUSAL_LARGE_ORDER), span_of(NULL, 0), span_of(NULL, 0), true);
}

static void on_end(struct http_server_conn *conn)
{
    orders_end(&of(conn)->orders, conn);
}

static void drop_stream(struct http_server_conn *conn)
{
    if (of(conn)->streams)
        event_streams_drop(of(conn)->streams, conn);
}

static void on_bad(struct http_server_conn *conn, enum http_bad bad, enum http_problem problem)
{
    const char *message = bad == HTTP_BAD_REQUEST ? http_problem_text(problem) : NULL;

    orders_drop(&of(conn)->orders, conn);
    lookup_drop(&of(conn)->lookups, conn);
    refuse(conn, failure_row(exchange_failure_of_bad(bad, problem)), span_from_text(message),
           span_of(NULL, 0), true);
}

static void on_gone(struct http_server_conn *conn, int err)
{
    (void)err;
    orders_drop(&of(conn)->orders, conn);
    lookup_drop(&of(conn)->lookups, conn);
    drop_stream(conn);
    reply_drop(conn);
}

static void on_room(struct http_server_conn *conn)
{
    struct admin *admin = of(conn);

    if (!admin->streams || !event_streams_go_on(admin->streams, conn))
        reply_go_on(conn);
}

static void on_closed(struct http_server_conn *conn)
{
    struct admin *admin = of(conn);

    drop_stream(conn);
    if (!admin->is_full || !admin->listener)
        return;
    admin->is_full = false;
    listener_resume(admin->listener);
}

static const struct http_server_ops ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_bad = on_bad,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void on_accept(void *owner, int fd, const struct addr *peer)
{
    struct admin *admin = owner;

    /* A connection that cannot be taken is closed: its client sees it. */
    (void)http_server_accept(&admin->server, fd, peer);
    if (admin->server.conn_count < MAX_CONNECTIONS || !admin->listener)
        return;
    admin->is_full = true;
    listener_pause(admin->listener);
}

/* --- its life --- */

static bool show_traffic(void *owner, struct page_view *ret_view)
{
    struct admin *admin = owner;

    if (!admin->snapshot)
        return false;
    *ret_view = view_of(admin);
    return true;
}

static int make_streams(struct admin *admin)
{
    struct journal *journal = admin->options.registry->journal;

    if (!journal)
        return 0;
    admin->streams = event_streams_new(admin->options.loop, journal);
    return admin->streams ? 0 : ERR_NOMEM;
}

int admin_new(const struct admin_options *options, struct admin **ret_admin)
{
    struct admin *admin = mem_zalloc(1, sizeof(*admin));
    int err;

    if (!admin)
        return ERR_NOMEM;
    admin->options = *options;
    admin->orders = (struct orders){
        .options = &admin->options, .view = later_view, .answer = later_answer, .owner = admin};
    list_init(&admin->orders.all);
    admin->lookups = (struct lookups){.view = later_view, .answer = later_answer, .owner = admin};
    list_init(&admin->lookups.all);
    admin->traffic = traffic_new(options->loop, show_traffic, admin);
    err = admin->traffic ? make_streams(admin) : ERR_NOMEM;
    if (!err)
        err = http_server_init(&admin->server, options->loop, &ops, admin);
    if (err) {
        event_streams_free(&admin->streams);
        traffic_free(&admin->traffic);
        mem_free(admin);
        return err;
    }
    admin->server.header_timeout_us = HEADER_US;
    admin->server.body_timeout_us = BODY_US;
    admin->server.write_timeout_us = WRITE_US;
    admin->server.idle_timeout_us = IDLE_US;
    err = listener_new(options->loop, options->fd, false, on_accept, admin, &admin->listener);
    if (err) {
        http_server_fini(&admin->server);
        event_streams_free(&admin->streams);
        traffic_free(&admin->traffic);
        mem_free(admin);
        return err;
    }
    *ret_admin = admin;
    return 0;
}

void admin_free(struct admin **admin)
{
    struct admin *a = *admin;

    if (!a)
        return;
    listener_free(&a->listener);
    lookups_end(&a->lookups);
    http_server_fini(&a->server);
    event_streams_free(&a->streams);
    traffic_free(&a->traffic);
    mem_free(a);
    *admin = NULL;
}

static bool is_same_token(const struct secret *one, const struct secret *other)
{
    return one && other ? secret_is_equal(one, secret_reveal(other)) : one == other;
}

void admin_set_snapshot(struct admin *admin, struct snapshot *snapshot)
{
    const struct snapshot *old = admin->snapshot;

    admin->snapshot = snapshot;
    /* Who asked with the old token, or before there was one, is to ask again. */
    if (admin->streams && old && snapshot &&
        !is_same_token(old->config->admin.token, snapshot->config->admin.token))
        event_streams_close(admin->streams);
}

void admin_tell_events(struct admin *admin)
{
    if (admin->streams)
        event_streams_tell(admin->streams);
}

void admin_end_events(struct admin *admin)
{
    if (admin->streams)
        event_streams_end(admin->streams);
}
