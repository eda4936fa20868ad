#include "sim/issuing_call.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/tree.h"
#include "json/write.h"
#include "sim/issuing.h"

enum {
    BODY_MAX_BYTES = 64 << 10,
    TREE_MAX_BYTES = 1 << 20,
    ANSWER_MAX_BYTES = 4 << 20,
    TEXT_BYTES = 1024,
    NAME_MAX_BYTES = 255,
    DAYS_MAX = 36500,
    LIST_DEFAULT = 100,
    LIST_MAX = 1000,
};

#define KEYS     SPAN("/v1/keys")
#define US_A_DAY (86400 * US_PER_SEC)

struct issuing_call {
    struct sim_handler handler;
    struct sim_calls *calls;
    struct http_server_conn *conn;
    enum http_method method;
    char id[TEXT_BYTES]; /* decoded, behind "/v1/keys/" */
    size_t id_len;
    char query[TEXT_BYTES]; /* as it came */
    size_t query_len;
    bool is_admin;
    struct buf body;
};

static struct issuing_call *of(struct sim_handler *handler)
{
    return container_of(handler, struct issuing_call, handler);
}

static void on_gone(struct sim_handler *handler)
{
    struct issuing_call *call = of(handler);

    http_server_set_request(call->conn, NULL);
    buf_fini(&call->body);
    mem_free(call);
}

/* --- answers --- */

static void answer(struct issuing_call *call, int status, struct span body)
{
    struct http_server_conn *conn = call->conn;
    bool is_limit = status == 429 || status == 503;
    struct http_answer head = {
        .status = status,
        .fields = is_limit ? SPAN("Content-Type: application/json\r\nRetry-After: 1\r\n")
                           : SPAN("Content-Type: application/json\r\n"),
        .length = (int64_t)body.len,
    };

    on_gone(&call->handler);
    http_server_answer(conn, &head, body, true);
}

static void refuse(struct issuing_call *call, int status, const char *code, struct span text)
{
    struct json_writer json;
    struct buf out;

    buf_init(&out, ANSWER_MAX_BYTES);
    json_writer_init(&json, &out);
    json_begin_object(&json);
    json_name(&json, "error");
    json_begin_object(&json);
    json_member_text(&json, "code", code);
    json_member_string(&json, "message", text);
    json_end_object(&json);
    json_end_object(&json);
    answer(call, status, buf_span(&out));
    buf_fini(&out);
}

/* --- making --- */

/* Which of the body's members is wrong; empty: none. */
static struct span read_wish(const yyjson_val *root, struct sim_issuing_wish *wish)
{
    const yyjson_val *days = json_tree_member(root, "expires_in_days");
    const yyjson_val *rate = json_tree_member(root, "rate_limit");
    int64_t number;

    wish->name = json_tree_string(root, "name");
    if (!wish->name.len || wish->name.len > NAME_MAX_BYTES)
        return SPAN("name: a text of 1 to 255 bytes is wanted");
    if (days) {
        if (!json_tree_int(days, &number) || number < 1 || number > DAYS_MAX)
            return SPAN("expires_in_days: a number of days is wanted");
        wish->life_us = (uint64_t)number * US_A_DAY;
    }
    if (rate) {
        if (!json_tree_int(rate, &number) || number < 1)
            return SPAN("rate_limit: a number of requests a minute is wanted");
        wish->rpm = (uint64_t)number;
    }
    return SPAN("");
}

/* There is a key; how that is told the fault says. */
static void tell_made(struct issuing_call *call, enum sim_issuing_fault fault,
                      const struct sim_issued *issued)
{
    struct http_server_conn *conn = call->conn;
    struct buf out;

    switch (fault) {
    case SIM_ISSUING_LOST:
        return; /* until the client leaves */
    case SIM_ISSUING_CUT:
        on_gone(&call->handler);
        http_server_abort(conn);
        return;
    case SIM_ISSUING_LATE:
        refuse(call, 500, "internal", SPAN("something went wrong"));
        return;
    case SIM_ISSUING_WELL:
    case SIM_ISSUING_BUSY:
    case SIM_ISSUING_LIMIT:
    case SIM_ISSUING_EMPTY:
        break;
    }
    buf_init(&out, ANSWER_MAX_BYTES);
    sim_issued_write(issued, fault == SIM_ISSUING_EMPTY ? SPAN("") : span_from_text(issued->key),
                     &out);
    answer(call, out.err ? 500 : 201, buf_span(&out));
    buf_fini(&out);
}

static void make(struct issuing_call *call)
{
    struct sim_world *world = call->calls->world;
    struct sim_issuing_wish wish = {.rpm = 0};
    const struct sim_issued *issued = NULL;
    enum sim_issuing_fault fault = SIM_ISSUING_WELL;
    struct json_tree tree;
    int err = json_tree_read(&tree, buf_span(&call->body), TREE_MAX_BYTES);
    struct span wrong =
        err ? SPAN("a JSON object is wanted") : read_wish(yyjson_doc_get_root(tree.doc), &wish);

    if (!wrong.len)
        fault = sim_issuing_fate(&world->issuing);
    if (!wrong.len && fault != SIM_ISSUING_BUSY && fault != SIM_ISSUING_LIMIT)
        err = sim_issuing_make(world, &wish, loop_now_us(call->calls->loop),
                               loop_wall_us(call->calls->loop), &issued);
    json_tree_fini(&tree);
    if (wrong.len)
        refuse(call, 400, "invalid_request", wrong);
    else if (fault == SIM_ISSUING_BUSY)
        refuse(call, 503, "unavailable", SPAN("try again later"));
    else if (fault == SIM_ISSUING_LIMIT)
        refuse(call, 429, "rate_limited", SPAN("too many requests"));
    else if (err)
        refuse(call, err == ERR_FULL ? 409 : 500, "limit", span_from_text(err_text(err)));
    else
        tell_made(call, fault, issued);
}

/* --- listing and revoking --- */

/* The query's member of that name, as it came. */
static struct span parameter(const struct issuing_call *call, struct span name)
{
    struct span rest = span_of(call->query, call->query_len), member;

    while (span_next_token(&rest, '&', &member)) {
        if (span_has_prefix(member, name) && member.len > name.len && member.ptr[name.len] == '=')
            return span_skip(member, name.len + 1);
    }
    return SPAN("");
}

static void list(struct issuing_call *call)
{
    struct span limit = parameter(call, SPAN("limit")), after = parameter(call, SPAN("after"));
    char id[TEXT_BYTES];
    uint64_t count = LIST_DEFAULT;
    struct buf out;

    if (limit.len && (span_to_u64(limit, &count) || !count || count > LIST_MAX)) {
        refuse(call, 400, "invalid_request", SPAN("limit: 1 to 1000"));
        return;
    }
    buf_init(&out, ANSWER_MAX_BYTES);
    sim_issuing_list(&call->calls->world->issuing, span_of(id, percent_read(after, id)),
                     (size_t)count, &out);
    answer(call, out.err ? 500 : 200, buf_span(&out));
    buf_fini(&out);
}

static void revoke(struct issuing_call *call)
{
    int err = sim_issuing_revoke(call->calls->world, span_of(call->id, call->id_len));

    if (!err)
        answer(call, 200, SPAN("{\"deleted\":true}"));
    else if (err == ERR_NOTFOUND)
        refuse(call, 404, "not_found", SPAN("there is no such key"));
    else
        refuse(call, 500, "internal", span_from_text(err_text(err)));
}

/* --- a request --- */

static void on_end(struct sim_handler *handler)
{
    struct issuing_call *call = of(handler);

    if (!call->is_admin)
        refuse(call, 401, "unauthorized", SPAN("this is not the administrator's key"));
    else if (call->method == METHOD_POST && !call->id_len)
        make(call);
    else if (call->method == METHOD_GET && !call->id_len)
        list(call);
    else if (call->method == METHOD_DELETE && call->id_len)
        revoke(call);
    else
        refuse(call, 405, "method_not_allowed",
               SPAN("there are POST and GET /v1/keys and DELETE /v1/keys/ID"));
}

static void on_body(struct sim_handler *handler, struct span data)
{
    struct issuing_call *call = of(handler);

    if (buf_append_span(&call->body, data))
        refuse(call, 413, "too_large", SPAN("the body is too large"));
}

static void on_room(struct sim_handler *handler)
{
    (void)handler;
}

static bool is_admin(const struct sim_calls *calls, const struct http_head *head)
{
    struct span shown = http_head_find(head, SPAN("authorization"));

    return span_has_prefix(shown, SPAN("Bearer ")) &&
           span_is_equal(span_skip(shown, sizeof("Bearer ") - 1),
                         sim_name_span(&calls->world->issuing.rules.admin_key));
}

bool sim_issuing_begin(struct sim_calls *calls, struct http_server_conn *conn,
                       const struct http_head *head)
{
    struct span query, path = http_head_path(head, &query);
    struct issuing_call *call;

    if (!span_has_prefix(path, KEYS) || (path.len > KEYS.len && path.ptr[KEYS.len] != '/'))
        return false;
    path = span_skip(path, path.len > KEYS.len ? KEYS.len + 1 : KEYS.len);
    call = path.len <= TEXT_BYTES && query.len <= TEXT_BYTES ? mem_zalloc(1, sizeof(*call)) : NULL;
    if (!call) {
        http_server_abort(conn);
        return true;
    }
    call->handler = (struct sim_handler){on_body, on_end, on_room, on_gone};
    call->calls = calls;
    call->conn = conn;
    call->method = head->method;
    call->id_len = percent_read(path, call->id);
    if (query.len)
        memcpy(call->query, query.ptr, query.len);
    call->query_len = query.len;
    call->is_admin = is_admin(calls, head);
    buf_init(&call->body, BODY_MAX_BYTES);
    http_server_set_request(conn, &call->handler);
    http_server_continue(conn);
    return true;
}
