#include "sim/control.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/write.h"
#include "sim/call.h"
#include "sim/scenario.h"

enum { MAX_BODY_BYTES = 4 << 20, MAX_ANSWER_BYTES = 256 << 20, PATH_BYTES = 1024 };

/* One control request under way. */
struct control {
    struct sim_handler handler;
    struct sim *sim;
    struct http_server_conn *conn;
    enum http_method method;
    char path[PATH_BYTES]; /* decoded, behind "/sim/" */
    size_t path_len;
    char query[PATH_BYTES];
    size_t query_len;
    struct buf body;
};

static struct control *of(struct sim_handler *handler)
{
    return container_of(handler, struct control, handler);
}

static void on_gone(struct sim_handler *handler)
{
    struct control *control = of(handler);

    http_server_set_request(control->conn, NULL);
    buf_fini(&control->body);
    mem_free(control);
}

/* Answers and ends. */
static void answer(struct control *control, int status, struct span body)
{
    struct http_server_conn *conn = control->conn;
    struct http_answer head = {.status = status,
                               .fields = SPAN("Content-Type: application/json\r\n"),
                               .length = (int64_t)body.len};

    on_gone(&control->handler);
    http_server_answer(conn, &head, body, true);
}

static void answer_error(struct control *control, int status, struct span text)
{
    struct json_writer json;
    struct buf out;

    buf_init(&out, MAX_ANSWER_BYTES);
    json_writer_init(&json, &out);
    json_begin_object(&json);
    json_member_string(&json, "error", text);
    json_end_object(&json);
    answer(control, status, buf_span(&out));
    buf_fini(&out);
}

static void answer_result(struct control *control, int err, struct buf *complaints)
{
    if (!err)
        answer(control, 200, SPAN("{\"ok\":true}"));
    else if (err == ERR_SYNTAX && complaints)
        answer_error(control, 400, buf_span(complaints));
    else
        answer_error(control, err == ERR_RANGE ? 400 : 500, span_from_text(err_text(err)));
}

static void answer_written(struct control *control, int err, struct buf *out)
{
    if (err)
        answer_error(control, err == ERR_NOTFOUND ? 404 : 500, span_from_text(err_text(err)));
    else
        answer(control, 200, buf_span(out));
}

static void show_stats(struct control *control)
{
    struct buf out;

    buf_init(&out, MAX_ANSWER_BYTES);
    answer_written(control, sim_write_stats(control->sim, &out), &out);
    buf_fini(&out);
}

static void show_scenarios(struct control *control)
{
    struct json_writer json;
    struct buf out;
    const char *name;

    buf_init(&out, MAX_ANSWER_BYTES);
    json_writer_init(&json, &out);
    json_begin_object(&json);
    json_name(&json, "scenarios");
    json_begin_array(&json);
    for (size_t i = 0; (name = sim_scenario_builtin(i, NULL)); i++)
        json_text(&json, name);
    json_end_array(&json);
    json_end_object(&json);
    answer_written(control, out.err, &out);
    buf_fini(&out);
}

static void show_or_set_key(struct control *control, struct span key)
{
    struct buf out;

    buf_init(&out, MAX_ANSWER_BYTES);
    if (control->method == METHOD_GET)
        answer_written(control, sim_write_key_stats(control->sim, key, &out), &out);
    else
        answer_result(control, sim_set_key(control->sim, key, buf_span(&control->body), &out),
                      &out);
    buf_fini(&out);
}

static void show_issuing(struct control *control)
{
    struct buf out;

    buf_init(&out, MAX_ANSWER_BYTES);
    answer_written(control, sim_write_issuing_stats(control->sim, &out), &out);
    buf_fini(&out);
}

static void set_issuing(struct control *control)
{
    struct buf complaints;

    buf_init(&complaints, MAX_ANSWER_BYTES);
    answer_result(control, sim_set_issuing(control->sim, buf_span(&control->body), &complaints),
                  &complaints);
    buf_fini(&complaints);
}

static void load(struct control *control)
{
    struct span query = span_of(control->query, control->query_len);
    struct span scenario = buf_span(&control->body);
    struct buf complaints;

    if (span_has_prefix(query, SPAN("name=")))
        scenario = span_skip(query, sizeof("name=") - 1);
    buf_init(&complaints, MAX_ANSWER_BYTES);
    answer_result(control, sim_load(control->sim, scenario, &complaints), &complaints);
    buf_fini(&complaints);
}

static void reset(struct control *control)
{
    answer_result(control, sim_reset(control->sim), NULL);
}

/* The fixed calls; those on one key come besides. */
static const struct {
    enum http_method method;
    const char *path;
    void (*run)(struct control *control);
} calls[] = {
    {METHOD_GET, "stats", show_stats},    {METHOD_GET, "scenarios", show_scenarios},
    {METHOD_POST, "scenario", load},      {METHOD_POST, "reset", reset},
    {METHOD_GET, "issuer", show_issuing}, {METHOD_POST, "issuer", set_issuing},
};

static void on_end(struct sim_handler *handler)
{
    struct control *control = of(handler);
    struct span path = span_of(control->path, control->path_len);
    bool is_known = false;

    if (span_has_prefix(path, SPAN("keys/")) &&
        (control->method == METHOD_GET || control->method == METHOD_POST)) {
        show_or_set_key(control, span_skip(path, sizeof("keys/") - 1));
        return;
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        bool is_path = span_is_equal(path, span_from_text(calls[i].path));

        is_known |= is_path;
        if (is_path && control->method == calls[i].method) {
            calls[i].run(control);
            return;
        }
    }
    answer_error(control, is_known ? 405 : 404,
                 SPAN("there are GET stats, GET scenarios, POST scenario, POST reset, and GET and "
                      "POST keys/KEY and issuer"));
}

static void on_body(struct sim_handler *handler, struct span data)
{
    struct control *control = of(handler);

    if (buf_append_span(&control->body, data))
        answer_error(control, 413, SPAN("the body is too large"));
}

static void on_room(struct sim_handler *handler)
{
    (void)handler;
}

bool sim_control_begin(struct sim *sim, struct http_server_conn *conn, const struct http_head *head)
{
    struct span query, path = http_head_path(head, &query);
    struct control *control;

    if (!span_has_prefix(path, SPAN("/sim/")))
        return false;
    path = span_skip(path, sizeof("/sim/") - 1);
    control =
        path.len <= PATH_BYTES && query.len <= PATH_BYTES ? mem_zalloc(1, sizeof(*control)) : NULL;
    if (!control) {
        http_server_abort(conn);
        return true;
    }
    control->handler = (struct sim_handler){on_body, on_end, on_room, on_gone};
    control->sim = sim;
    control->conn = conn;
    control->method = head->method;
    control->path_len = percent_read(path, control->path);
    control->query_len = percent_read(query, control->query);
    buf_init(&control->body, MAX_BODY_BYTES);
    http_server_set_request(conn, &control->handler);
    http_server_continue(conn);
    return true;
}
