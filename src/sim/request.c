#include "sim/request.h"

#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"
#include "sim/schema.h"

/* --- refusals --- */

int sim_refuse(struct sim_request *in, struct span field, const char *message)
{
    if (!message || !field.ptr)
        return ERR_NOMEM;
    *in->failure =
        (struct sim_failure){.kind = SIM_FAILURE_FIELD, .field = field, .message = message};
    return ERR_SYNTAX;
}

/* The formatted text in the arena; ptr NULL without memory. */
static struct span make_text(struct sim_request *in, const char *format, va_list args)
{
    struct span text = {0};
    struct buf buf;

    buf_init(&buf, SIM_MAX_ECHO_BYTES);
    buf_vprintf(&buf, format, args);
    if (!buf.err)
        text = arena_copy(in->arena, buf_span(&buf));
    buf_fini(&buf);
    return text;
}

int sim_refuse_with(struct sim_request *in, struct span field, const char *format, ...)
{
    struct span message;
    va_list args;

    va_start(args, format);
    message = make_text(in, format, args);
    va_end(args);
    return sim_refuse(in, field, message.ptr);
}

struct span sim_field_name(struct sim_request *in, const char *format, ...)
{
    struct span name;
    va_list args;

    va_start(args, format);
    name = make_text(in, format, args);
    va_end(args);
    return name;
}

/* --- members --- */

struct span sim_json_text(yyjson_val *value)
{
    return span_of(yyjson_get_str(value), yyjson_get_len(value));
}

yyjson_val *sim_request_member(struct sim_request *in, const char *name)
{
    yyjson_val *value = yyjson_obj_get(in->root, name);

    return value && !yyjson_is_null(value) ? value : NULL;
}

int sim_request_bool(struct sim_request *in, const char *name, bool *ret_value)
{
    yyjson_val *value = sim_request_member(in, name);

    if (value && !yyjson_is_bool(value))
        return sim_refuse(in, span_from_text(name), "expected a boolean");
    if (value)
        *ret_value = yyjson_get_bool(value);
    return 0;
}

int sim_request_count(struct sim_request *in, const char *name, uint64_t max, uint64_t *ret_value)
{
    yyjson_val *value = sim_request_member(in, name);

    if (value &&
        (!yyjson_is_uint(value) || yyjson_get_uint(value) < 1 || yyjson_get_uint(value) > max))
        return sim_refuse(in, span_from_text(name),
                          "expected an integer above 0 that is not too large");
    if (value)
        *ret_value = yyjson_get_uint(value);
    return 0;
}

int sim_request_model(struct sim_request *in)
{
    yyjson_val *model = yyjson_obj_get(in->root, "model");

    if (in->route->model.len) {
        in->ask->model = in->route->model;
        return 0;
    }
    if (!yyjson_is_str(model) || !yyjson_get_len(model))
        return sim_refuse(in, SPAN("model"), "you must provide a model parameter");
    in->ask->model = arena_copy(in->arena, sim_json_text(model));
    return in->ask->model.ptr ? 0 : ERR_NOMEM;
}

unsigned sim_request_dimensions(const struct sim_request *in)
{
    return span_find(in->ask->model, SPAN("large")) == SIZE_MAX ? 1536 : SIM_MAX_DIMENSIONS;
}

int sim_request_texts(struct sim_request *in, size_t count)
{
    in->ask->texts = arena_alloc(in->arena, count * sizeof(*in->ask->texts));
    return in->ask->texts ? 0 : ERR_NOMEM;
}

int sim_request_tools(struct sim_request *in, size_t count)
{
    in->ask->tools = arena_alloc(in->arena, count * sizeof(*in->ask->tools));
    return in->ask->tools ? 0 : ERR_NOMEM;
}

int sim_request_add_tool(struct sim_request *in, struct span name, bool is_custom)
{
    struct sim_tool *tool = &in->ask->tools[in->ask->tool_count];

    *tool = (struct sim_tool){arena_copy(in->arena, name), is_custom};
    if (!tool->name.ptr)
        return ERR_NOMEM;
    in->ask->tool_count++;
    return 0;
}

bool sim_request_has_tool(const struct sim_request *in, struct span name)
{
    for (size_t i = 0; i < in->ask->tool_count; i++)
        if (span_is_equal(in->ask->tools[i].name, name))
            return true;
    return false;
}

int sim_request_choose_tool(struct sim_request *in, struct span name, bool is_custom)
{
    in->ask->tool_count = 0;
    return sim_request_add_tool(in, name, is_custom);
}

static int add_stop(struct sim_request *in, yyjson_val *stop)
{
    struct sim_ask *ask = in->ask;

    if (ask->stop_count == SIM_MAX_STOPS || !yyjson_is_str(stop) || !yyjson_get_len(stop))
        return 0;
    ask->stops[ask->stop_count] = arena_copy(in->arena, sim_json_text(stop));
    return ask->stops[ask->stop_count++].ptr ? 0 : ERR_NOMEM;
}

int sim_request_stops(struct sim_request *in, yyjson_val *stops)
{
    yyjson_arr_iter iter;
    yyjson_val *stop;
    int err = 0;

    if (!stops)
        return 0;
    in->ask->stops = arena_alloc(in->arena, SIM_MAX_STOPS * sizeof(*in->ask->stops));
    if (!in->ask->stops)
        return ERR_NOMEM;
    if (yyjson_is_str(stops))
        return add_stop(in, stops);
    yyjson_arr_iter_init(stops, &iter);
    while (!err && (stop = yyjson_arr_iter_next(&iter)))
        err = add_stop(in, stop);
    return err;
}

int sim_request_json(struct sim_request *in, yyjson_val *schema, struct span field)
{
    struct buf json;
    int err;

    buf_init(&json, 8 * SIM_MAX_ECHO_BYTES);
    err = sim_schema_fill(schema, &in->ask->texts[0], &json);
    if (!err) {
        in->ask->json = arena_copy(in->arena, buf_span(&json));
        err = in->ask->json.ptr ? 0 : ERR_NOMEM;
    }
    buf_fini(&json);
    return err == 0 || err == ERR_NOMEM
               ? err
               : sim_refuse(in, field, "the schema is too large or nests too deeply");
}

/* --- pictures --- */

static bool is_base64_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

bool sim_is_base64(struct span data)
{
    size_t digits = 0;

    while (digits < data.len && is_base64_digit(data.ptr[digits]))
        digits++;
    if (!digits || data.len % 4 || data.len - digits > 2)
        return false;
    for (size_t i = digits; i < data.len; i++)
        if (data.ptr[i] != '=')
            return false;
    return true;
}

static int read_picture(struct sim_request *in, struct span url)
{
    static const struct span mark = SPAN_INIT(";base64,");
    size_t at = 0;

    if (!span_has_prefix(url, SPAN("data:"))) {
        in->ask->prompt_tokens += sim_picture_tokens(0);
        return 0;
    }
    while (at < url.len && !span_has_prefix(span_skip(url, at), mark))
        at++;
    url = at < url.len ? span_skip(url, at + mark.len) : SPAN("");
    if (!sim_is_base64(url))
        return sim_refuse(in, SPAN("image_url"), "Invalid base64 image_url.");
    in->ask->prompt_tokens += sim_picture_tokens(url.len);
    return 0;
}

int sim_request_pictures(struct sim_request *in, yyjson_val *content)
{
    yyjson_arr_iter iter;
    yyjson_val *part;
    int err = 0;

    if (!yyjson_arr_iter_init(content, &iter))
        return 0;
    while (!err && (part = yyjson_arr_iter_next(&iter))) {
        yyjson_val *picture = yyjson_obj_get(part, "image_url");

        if (yyjson_is_obj(picture))
            picture = yyjson_obj_get(picture, "url");
        if (yyjson_is_str(picture))
            err = read_picture(in, sim_json_text(picture));
    }
    return err;
}

/* --- texts --- */

void sim_gather_begin(struct sim_gathering *text)
{
    *text = (struct sim_gathering){.hash = sim_hash((struct span){0})};
    buf_init(&text->echo, SIM_MAX_ECHO_BYTES);
}

void sim_gather(struct sim_gathering *text, struct span piece)
{
    size_t room;

    if (!text)
        return;
    room = SIM_MAX_ECHO_BYTES - text->echo.len;
    text->hash = sim_hash_more(text->hash, piece);
    text->bytes += piece.len;
    buf_append(&text->echo, piece.ptr, piece.len < room ? piece.len : room);
}

/* Half a character at the cut is left out. */
static size_t whole_characters(const struct buf *echo)
{
    size_t len = echo->len, at = len;

    while (at > 0 && len - at < 4 && ((unsigned char)echo->data[at - 1] & 0xc0) == 0x80)
        at--;
    if (at > 0) {
        unsigned char lead = (unsigned char)echo->data[at - 1];
        size_t wanted = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

        if (len - (at - 1) < wanted)
            return at - 1;
    }
    return len;
}

int sim_gather_end(struct sim_gathering *text, struct sim_request *in)
{
    struct span echo = {"", 0};
    int err = text->echo.err;

    if (!err && text->echo.len)
        echo = arena_copy(in->arena, span_of(text->echo.data, whole_characters(&text->echo)));
    buf_fini(&text->echo);
    if (err || !echo.ptr)
        return ERR_NOMEM;
    in->ask->texts[in->ask->text_count++] = (struct sim_text){echo, text->hash};
    return 0;
}

uint64_t sim_gather_content(yyjson_val *content, struct sim_gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *part;
    uint64_t bytes = 0;

    if (yyjson_is_str(content)) {
        sim_gather(text, sim_json_text(content));
        return yyjson_get_len(content);
    }
    if (!yyjson_arr_iter_init(content, &iter))
        return 0;
    while ((part = yyjson_arr_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_get(part, "text");

        if (!yyjson_is_str(value))
            continue;
        sim_gather(text, sim_json_text(value));
        bytes += yyjson_get_len(value);
    }
    return bytes;
}

/* --- the whole --- */

static int check_refused(struct sim_request *in, const struct sim_names *refused, int status)
{
    for (unsigned i = 0; i < refused->count; i++) {
        struct span name = sim_name_span(&refused->names[i]);

        if (!yyjson_obj_getn(in->root, name.ptr, name.len))
            continue;
        *in->failure = (struct sim_failure){
            .kind = SIM_FAILURE_UNKNOWN_FIELD, .status = status, .field = name};
        return ERR_SYNTAX;
    }
    return 0;
}

int sim_request_read(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure,
                     int (*read)(struct sim_request *request))
{
    struct json_tree tree;
    struct sim_request in = {
        .route = route, .arena = arena, .ask = ret_ask, .failure = ret_failure};
    int err = json_tree_read(&tree, body, SIM_TREE_FACTOR * body.len + JSON_TREE_OWN_BYTES);

    *ret_ask = (struct sim_ask){.op = route->op,
                                .body_hash = sim_hash(body),
                                .max_tokens = UINT64_MAX,
                                .choices = 1,
                                .is_streaming = route->is_streaming};
    in.root = err ? NULL : yyjson_doc_get_root(tree.doc);
    if (err == ERR_SYNTAX || (!err && !yyjson_is_obj(in.root))) {
        *ret_failure = (struct sim_failure){.kind = SIM_FAILURE_JSON};
        err = ERR_SYNTAX;
    }
    if (!err)
        err = check_refused(&in, refused, refused_status);
    if (!err)
        err = read(&in);
    json_tree_fini(&tree);
    return err;
}
