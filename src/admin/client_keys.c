/* /v1/keys: client keys that this gateway issues, shows, changes and revokes. */
#include <stdio.h>

#include <sodium.h>

#include "admin/client_desk.h"
#include "admin/client_form.h"
#include "admin/order.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/rand.h"
#include "dialect/openai_error.h"
#include "obs/log.h"

enum { ID_RANDOM_BYTES = 12, KEY_RANDOM_BYTES = 32 };

#define ID_PREFIX  "ck_"
#define KEY_PREFIX "sk-bw-"

enum {
    ID_BYTES = sizeof(ID_PREFIX) + 2 * ID_RANDOM_BYTES,
    WHY_BYTES = CLIENT_DESK_WORDS_BYTES + 64,
    KEY_TEXT_BYTES = sizeof(KEY_PREFIX) + (KEY_RANDOM_BYTES * 4 + 2) / 3,
};

/* What was asked for, until it is done. */
struct request {
    struct client_change change;
    struct admin_call *call;
    struct page page; /* of a new key, whose secret stands here alone */
    struct log *log;
    const char *order;
    char from[ADDR_TEXT_BYTES];
    uint64_t wall_us;
};

/* By its id; or by its name, as a person would. */
static const struct issued_client *find(const struct client_desk *desk, struct span name)
{
    const struct issued_client *client = client_desk_find(desk, name);

    return client ? client : client_desk_find_name(desk, name);
}

/* ---- how one is shown ---- */

static void put_limit(struct json_writer *writer, const char *name, uint64_t value)
{
    if (value)
        json_member_uint(writer, name, value);
}

static void put_limits(struct json_writer *writer, const struct conf_limits *limits)
{
    json_name(writer, "rate_limit");
    if (limits->rpm)
        json_uint(writer, limits->rpm);
    else
        json_null(writer);
    json_name(writer, "limits");
    json_begin_object(writer);
    put_limit(writer, "rpm", limits->rpm);
    put_limit(writer, "tpm", limits->tpm);
    put_limit(writer, "concurrent", limits->concurrent);
    put_limit(writer, "burst", limits->burst);
    json_end_object(writer);
}

static const char *status_of(const struct issued_facts *facts, uint64_t wall_us)
{
    if (facts->revoked_wall_us)
        return "revoked";
    return facts->expires_wall_us && facts->expires_wall_us <= wall_us ? "expired" : "active";
}

/* secret: empty but for a new one. */
static void put_key(struct json_writer *writer, const struct issued_facts *facts,
                    uint64_t last_use_wall_us, uint64_t wall_us, struct span secret)
{
    json_begin_object(writer);
    json_member_string(writer, "key_id", facts->id);
    if (secret.len)
        json_member_string(writer, "api_key", secret);
    json_member_string(writer, "name", facts->name);
    json_member_text(writer, "status", status_of(facts, wall_us));
    page_put_time(writer, "created_at", facts->created_wall_us);
    page_put_time(writer, "expires_at", facts->expires_wall_us);
    if (facts->revoked_wall_us)
        page_put_time(writer, "revoked_at", facts->revoked_wall_us);
    page_put_time(writer, "last_used", last_use_wall_us);
    put_limits(writer, &facts->limits);
    page_put_models(writer, &facts->models);
    json_member_string(writer, "class", facts->class_name);
}

static void end_key(struct json_writer *writer)
{
    json_end_object(writer);
}

/* Nothing can be said of keys that could not be read. */
static bool is_away(const struct page_view *view, struct page *page)
{
    const struct failure_row *row = refusal_row(REFUSAL_CLIENT_STORE_AWAY);
    char why[WHY_BYTES];

    if (client_desk_is_ready(view->admin->clients))
        return false;
    snprintf(why, sizeof(why), "Client keys are not there: %s.",
             client_desk_why(view->admin->clients));
    page->status = row->status;
    openai_write_error(&page->body, row, span_from_text(why), span_of(NULL, 0));
    return true;
}

void page_client_keys(const struct page_view *view, struct page *page)
{
    const struct client_desk *desk = view->admin->clients;
    const struct issued_client *client;
    struct json_writer writer;
    size_t at = 0;

    if (is_away(view, page))
        return;
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_name(&writer, "keys");
    json_begin_array(&writer);
    while ((client = client_desk_next(desk, &at))) {
        put_key(&writer, &client->facts, issued_last_use(client), view->wall_us, SPAN(""));
        end_key(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

void page_client_key(const struct page_view *view, struct page *page)
{
    const struct client_desk *desk = view->admin->clients;
    const struct issued_client *client = find(desk, view->name);
    const struct failure_row *refusal = refusal_row(REFUSAL_NO_CLIENT_KEY);
    struct json_writer writer;

    if (is_away(view, page))
        return;
    if (!client) {
        page->status = refusal->status;
        openai_write_error(&page->body, refusal, span_of(NULL, 0), span_of(NULL, 0));
        return;
    }
    json_writer_init(&writer, &page->body);
    put_key(&writer, &client->facts, issued_last_use(client), view->wall_us, SPAN(""));
    end_key(&writer);
    buf_append_byte(&page->body, '\n');
}

/* ---- what comes of an order ---- */

static const struct failure_row *refusal_of(int err)
{
    switch (err) {
    case ERR_EXISTS:
        return refusal_row(REFUSAL_NAME_TAKEN);
    case ERR_NOTFOUND:
        return refusal_row(REFUSAL_NO_CLIENT_KEY);
    case ERR_FULL:
        return refusal_row(REFUSAL_KEYS_FULL);
    default: /* style: all others are the store's */
        return refusal_row(REFUSAL_CLIENT_STORE_AWAY);
    }
}

/* The row, with words of its own where it has none that say why. */
static const struct failure_row *refuse(int err, const char *why, struct page *page)
{
    const struct failure_row *row = refusal_of(err);

    buf_clear(&page->body);
    if (row->status == 503)
        buf_printf(&page->body, "Client keys cannot be changed now: %s.", why);
    return row;
}

static void tell(const struct request *request, const struct issued_client *client)
{
    snprintf(request->call->detail, sizeof(request->call->detail), "%.*s %.*s",
             SPAN_ARG(client->facts.id), SPAN_ARG(client->facts.name));
    log_write(request->log, LOG_LEVEL_INFO, "operator's order", LOG_TEXT("order", request->order),
              LOG_SPAN("client", client->facts.name), LOG_SPAN("key_id", client->facts.id),
              LOG_TEXT("from", request->from));
}

static void on_done(struct client_change *change, int err, const char *why)
{
    struct request *request = container_of(change, struct request, change);
    const struct failure_row *refusal = NULL;
    struct page *page = &request->page;
    struct json_writer writer;

    if (err) {
        buf_fini(&page->body);
        page->body.is_secret = false;
        refusal = refuse(err, why, page);
    } else {
        tell(request, change->client);
    }
    if (!err && !page->body.len) {
        json_writer_init(&writer, &page->body);
        put_key(&writer, &change->client->facts, issued_last_use(change->client), request->wall_us,
                SPAN(""));
        end_key(&writer);
        buf_append_byte(&page->body, '\n');
    }
    admin_call_end(request->call, refusal, page);
    mem_free(request);
}

static struct request *request_new(const struct order *order, const char *name, int status)
{
    struct request *request = mem_zalloc(1, sizeof(*request));

    if (!request)
        return NULL;
    request->change.on_done = on_done;
    request->call = order->call;
    request->log = order->view->registry->log;
    request->order = name;
    request->wall_us = order->view->wall_us;
    snprintf(order->call->detail, sizeof(order->call->detail), "%.*s", SPAN_ARG(order->name));
    addr_write(order->peer, request->from);
    request->page = (struct page){.status = status, .type = "application/json"};
    buf_init(&request->page.body, PAGE_MAX_BYTES);
    return request;
}

/* What was begun comes to its end later; what was not, now. */
static const struct failure_row *begun(const struct order *order, struct request *request, int err,
                                       struct page *page)
{
    if (!err)
        return &order_later;
    if (request)
        buf_fini(&request->page.body);
    mem_free(request);
    return refuse(
        err, err == ERR_NOMEM ? err_text(err) : client_desk_why(order->view->admin->clients), page);
}

/* ---- issuing ---- */

static bool is_in_file(const struct order *order, struct span name)
{
    const struct conf_client_list *keys = &order->view->snapshot->config->clients.keys;

    for (size_t i = 0; i < keys->count; i++) {
        if (span_is_equal(keys->items[i].name, name))
            return true;
    }
    return span_is_equal(name, SPAN("anonymous"));
}

static void make_id(char *ret_id)
{
    uint8_t bytes[ID_RANDOM_BYTES];

    memcpy(ret_id, ID_PREFIX, sizeof(ID_PREFIX) - 1);
    rand_fill_secure(bytes, sizeof(bytes));
    sodium_bin2hex(ret_id + sizeof(ID_PREFIX) - 1, 2 * sizeof(bytes) + 1, bytes, sizeof(bytes));
}

static void make_key(char *ret_key, uint8_t *ret_sha256)
{
    uint8_t bytes[KEY_RANDOM_BYTES];

    memcpy(ret_key, KEY_PREFIX, sizeof(KEY_PREFIX) - 1);
    rand_fill_secure(bytes, sizeof(bytes));
    sodium_bin2base64(ret_key + sizeof(KEY_PREFIX) - 1, KEY_TEXT_BYTES - sizeof(KEY_PREFIX) + 1,
                      bytes, sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof(bytes));
    crypto_hash_sha256(ret_sha256, (const unsigned char *)ret_key, strlen(ret_key));
}

/* The answer, of which this is the only copy. */
static int write_answer(struct request *request, const struct order *order,
                        const struct issued_facts *facts, struct span secret)
{
    struct json_writer writer;

    request->page.body.is_secret = true;
    json_writer_init(&writer, &request->page.body);
    put_key(&writer, facts, 0, request->wall_us, secret);
    if (order->view->snapshot->config->clients.is_open)
        json_member_text(&writer, "note",
                         "This gateway is open: callers without this key are served as well. "
                         "Set clients.open to false to serve client keys alone.");
    end_key(&writer);
    buf_append_byte(&request->page.body, '\n');
    return request->page.body.err;
}

const struct failure_row *order_issue_client(const struct order *order, struct page *page)
{
    struct client_desk *desk = order->view->admin->clients;
    char id[ID_BYTES + 1], secret[KEY_TEXT_BYTES + 1];
    struct request *request;
    struct client_form form;
    int err = ERR_NOMEM;

    if (client_form_read(&form, order->body, NULL, order->view->wall_us))
        return order_refuse_body(page, form.why);
    if (is_in_file(order, form.facts.name))
        return refusal_row(REFUSAL_NAME_TAKEN);
    request = request_new(order, "issue client key", 201);
    make_id(id);
    make_key(secret, form.facts.sha256);
    form.facts.id = span_from_text(id);
    form.facts.created_wall_us = order->view->wall_us;
    if (request)
        err = write_answer(request, order, &form.facts, span_from_text(secret));
    sodium_memzero(secret, sizeof(secret));
    if (!err)
        err = client_desk_issue(desk, &request->change, &form.facts);
    return begun(order, request, err, page);
}

/* ---- changing ---- */

const struct failure_row *order_update_client(const struct order *order, struct page *page)
{
    struct client_desk *desk = order->view->admin->clients;
    const struct issued_client *client = find(desk, order->name);
    struct request *request;
    struct client_form form;
    int err = ERR_NOMEM;

    if (!client)
        return begun(order, NULL, client_desk_is_ready(desk) ? ERR_NOTFOUND : ERR_AGAIN, page);
    if (client_form_read(&form, order->body, &client->facts, order->view->wall_us))
        return order_refuse_body(page, form.why);
    request = request_new(order, "update client key", 200);
    if (request)
        err = client_desk_update(desk, &request->change, client->facts.id, &form.facts);
    return begun(order, request, err, page);
}

const struct failure_row *order_revoke_client(const struct order *order, struct page *page)
{
    struct client_desk *desk = order->view->admin->clients;
    const struct issued_client *client = find(desk, order->name);
    struct request *request = request_new(order, "revoke client key", 200);
    int err = ERR_NOMEM;

    if (request)
        err = client_desk_revoke(desk, &request->change, client ? client->facts.id : order->name);
    return begun(order, request, err, page);
}
