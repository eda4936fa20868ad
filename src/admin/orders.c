#include "admin/orders.h"

#include "admin/order.h"
#include "admin/refusal.h"
#include "base/alloc.h"
#include "base/err.h"

enum { MESSAGE_BYTES = 256, ORDER_BYTES = 4096, TREE_MAX_BYTES = 256 << 10 };

/* An order whose body is on its way, or whose end. */
struct reading {
    struct list link; /* in orders->all */
    struct orders *orders;
    struct http_server_conn *conn; /* NULL: its client has left */
    const struct admin_route *route;
    struct buf path; /* which the subject is borrowed from */
    struct admin_subject subject;
    struct buf body;
    /* Where it ends later. */
    bool is_later;
    struct admin_call call;
    char from[ADDR_TEXT_BYTES];
};

const struct failure_row order_later = {.label = "later"};

static void reading_free(struct reading *reading)
{
    list_remove(&reading->link);
    buf_fini(&reading->path);
    buf_fini(&reading->body);
    mem_free(reading);
}

static struct reading *find(const struct orders *orders, const struct http_server_conn *conn)
{
    list_for_each (link, &orders->all) {
        struct reading *reading = container_of(link, struct reading, link);

        if (reading->conn == conn)
            return reading;
    }
    return NULL;
}

/* ---- its body ---- */

int orders_begin(struct orders *orders, struct http_server_conn *conn,
                 const struct admin_route *route, struct span path)
{
    struct reading *reading = mem_zalloc(1, sizeof(*reading));

    if (!reading)
        return ERR_NOMEM;
    reading->conn = conn;
    reading->orders = orders;
    addr_write(http_server_peer(conn), reading->from);
    list_push_back(&orders->all, &reading->link);
    buf_init(&reading->path, path.len);
    buf_init(&reading->body, ORDER_BYTES);
    if (buf_append_span(&reading->path, path)) {
        reading_free(reading);
        return ERR_NOMEM;
    }
    reading->route = admin_route_find(route->method, buf_span(&reading->path), &reading->subject);
    return 0;
}

int orders_read(struct orders *orders, struct http_server_conn *conn, struct span data)
{
    struct reading *reading = find(orders, conn);
    int err = reading ? buf_append_span(&reading->body, data) : 0;

    if (err)
        reading_free(reading);
    return err;
}

void orders_drop(struct orders *orders, const struct http_server_conn *conn)
{
    struct reading *reading = find(orders, conn);

    if (!reading)
        return;
    if (reading->is_later)
        reading->conn = NULL;
    else
        reading_free(reading);
}

/* ---- carrying it out ---- */

/* Told of whoever gave it, whatever came of it. */
static void note_order(const struct orders *orders, const struct admin_route *route,
                       const struct order *order, const struct failure_row *refusal)
{
    char from[ADDR_TEXT_BYTES], action[ORDER_WORD_BYTES], detail[MESSAGE_BYTES];
    struct admin_order_note note = {
        .action = order_word(route->symbol, action),
        .provider = order->provider,
        .key = order->name,
        .is_done = !refusal,
        .detail =
            refusal ? span_from_text(refusal->code) : order_detail(order, detail, sizeof(detail)),
    };

    addr_write(order->peer, from);
    note.from = span_from_text(from);
    if (orders->options->on_order)
        orders->options->on_order(orders->options->owner, &note);
}

static const struct failure_row *carry_out(const struct orders *orders, struct reading *reading,
                                           struct page *page)
{
    const struct page_view view = orders->view(orders->owner);
    struct order order = {
        .view = &view,
        .provider = reading->subject.provider,
        .name = reading->subject.name,
        .peer = http_server_peer(reading->conn),
        .on_effect = orders->options->on_effect,
        .owner = orders->options->owner,
        .call = &reading->call,
    };
    const struct failure_row *refusal;
    struct json_tree tree;

    if (json_tree_read(&tree, reading->body.len ? buf_span(&reading->body) : SPAN("{}"),
                       TREE_MAX_BYTES) == 0)
        order.body = yyjson_doc_get_root(tree.doc);
    refusal = yyjson_is_obj(json_tree_plain(order.body)) ? reading->route->order(&order, page)
                                                         : refusal_row(REFUSAL_BAD_ORDER);
    if (refusal != &order_later)
        note_order(orders, reading->route, &order, refusal);
    json_tree_fini(&tree);
    return refusal;
}

/* ---- its end ---- */

/* Answers it, unless its client has left. */
static void finish(struct reading *reading, const struct failure_row *refusal, struct page *page)
{
    const struct orders *orders = reading->orders;
    struct http_server_conn *conn = reading->conn;

    reading_free(reading);
    if (conn)
        orders->answer(orders->owner, conn, refusal, page);
    else
        buf_fini(&page->body);
}

void orders_end(struct orders *orders, struct http_server_conn *conn)
{
    struct reading *reading = find(orders, conn);
    struct page page = {.status = 202, .type = "application/json"};
    const struct failure_row *refusal;

    if (!reading)
        return;
    buf_init(&page.body, PAGE_MAX_BYTES);
    refusal = carry_out(orders, reading, &page);
    if (refusal == &order_later) {
        reading->is_later = true;
        buf_fini(&page.body);
    } else {
        finish(reading, refusal, &page);
    }
}

void admin_call_end(struct admin_call *call, const struct failure_row *refusal, struct page *page)
{
    struct reading *reading = container_of(call, struct reading, call);
    const struct admin_options *options = reading->orders->options;
    char action[ORDER_WORD_BYTES];
    const struct admin_order_note note = {
        .action = order_word(reading->route->symbol, action),
        .from = span_from_text(reading->from),
        .is_done = !refusal,
        .detail = span_from_text(call->detail),
    };

    if (options->on_order)
        options->on_order(options->owner, &note);
    finish(reading, refusal, page);
}
