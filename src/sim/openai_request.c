/* OpenAI's wire format: what a request to it says. */
#include <stdio.h>

#include "base/err.h"
#include "json/tree.h"
#include "sim/openai.h"

enum { MAX_N = 128, MAX_INPUTS = 2048, TREE_FACTOR = 20 };

/* A body being read: its root, and where the result goes. */
struct reading {
    yyjson_val *root;
    struct arena *arena;
    struct sim_ask *ask;
    struct sim_failure *failure;
};

static int refuse(struct reading *in, struct span field, const char *message)
{
    *in->failure =
        (struct sim_failure){.kind = SIM_FAILURE_FIELD, .field = field, .message = message};
    return ERR_SYNTAX;
}

static struct span text_of(yyjson_val *value)
{
    return span_of(yyjson_get_str(value), yyjson_get_len(value));
}

/* A member that is there and not null. */
static yyjson_val *member(struct reading *in, const char *name)
{
    yyjson_val *value = yyjson_obj_get(in->root, name);

    return value && !yyjson_is_null(value) ? value : NULL;
}

static int read_bool(struct reading *in, const char *name, bool *ret_value)
{
    yyjson_val *value = member(in, name);

    if (value && !yyjson_is_bool(value))
        return refuse(in, span_from_text(name), "expected a boolean");
    if (value)
        *ret_value = yyjson_get_bool(value);
    return 0;
}

static int read_count(struct reading *in, const char *name, uint64_t max, uint64_t *ret_value)
{
    yyjson_val *value = member(in, name);

    if (value &&
        (!yyjson_is_uint(value) || yyjson_get_uint(value) < 1 || yyjson_get_uint(value) > max))
        return refuse(in, span_from_text(name),
                      "expected an integer above 0 that is not too large");
    if (value)
        *ret_value = yyjson_get_uint(value);
    return 0;
}

static uint64_t quarter(uint64_t bytes)
{
    return (bytes + 3) / 4;
}

/* One text that comes in pieces. */
struct gathering {
    uint64_t hash, bytes;
    struct buf echo;
};

static void gather(struct gathering *text, struct span piece)
{
    size_t room = SIM_MAX_ECHO_BYTES - text->echo.len;

    text->hash = sim_hash_more(text->hash, piece);
    text->bytes += piece.len;
    buf_append(&text->echo, piece.ptr, piece.len < room ? piece.len : room);
}

static void begin_gathering(struct gathering *text)
{
    *text = (struct gathering){.hash = sim_hash((struct span){0})};
    buf_init(&text->echo, SIM_MAX_ECHO_BYTES);
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

static int end_gathering(struct gathering *text, struct reading *in, struct sim_text *ret_text)
{
    struct span echo = {"", 0};
    int err = text->echo.err;

    if (!err && text->echo.len)
        echo = arena_copy(in->arena, span_of(text->echo.data, whole_characters(&text->echo)));
    buf_fini(&text->echo);
    if (err || !echo.ptr)
        return ERR_NOMEM;
    *ret_text = (struct sim_text){echo, text->hash};
    return 0;
}

/* The text in a message's content: a string, or the text parts of a list. Returns its bytes; `text`
 * may be NULL. */
static uint64_t read_content(yyjson_val *content, struct gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *part;
    uint64_t bytes = 0;

    if (yyjson_is_str(content)) {
        if (text)
            gather(text, text_of(content));
        return yyjson_get_len(content);
    }
    if (!yyjson_arr_iter_init(content, &iter))
        return 0;
    while ((part = yyjson_arr_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_get(part, "text");

        if (!yyjson_is_str(value))
            continue;
        if (text)
            gather(text, text_of(value));
        bytes += yyjson_get_len(value);
    }
    return bytes;
}

static int read_messages(struct reading *in, bool *ret_is_user_last)
{
    yyjson_val *messages = yyjson_obj_get(in->root, "messages"), *message, *chosen = NULL;
    struct gathering text;
    yyjson_arr_iter iter;
    bool has_user = false;

    if (!messages)
        return refuse(in, SPAN("messages"), "Missing required parameter: 'messages'.");
    if (!yyjson_is_arr(messages) || yyjson_arr_size(messages) == 0)
        return refuse(in, SPAN("messages"), "expected an array with at least one message");
    in->ask->prompt_tokens = 3;
    yyjson_arr_iter_init(messages, &iter);
    while ((message = yyjson_arr_iter_next(&iter))) {
        yyjson_val *role = yyjson_obj_get(message, "role");

        if (!yyjson_is_str(role))
            return refuse(in, SPAN("messages"), "expected every message to have a role");
        *ret_is_user_last = yyjson_equals_str(role, "user");
        has_user |= *ret_is_user_last;
        if (*ret_is_user_last || !has_user)
            chosen = message;
        in->ask->prompt_tokens +=
            4 + quarter(read_content(yyjson_obj_get(message, "content"), NULL));
    }
    in->ask->texts = arena_alloc(in->arena, sizeof(*in->ask->texts));
    if (!in->ask->texts)
        return ERR_NOMEM;
    in->ask->text_count = 1;
    begin_gathering(&text);
    read_content(yyjson_obj_get(chosen, "content"), &text);
    return end_gathering(&text, in, &in->ask->texts[0]);
}

/* {"type": "function", "function": {"name": ...}}, or the same with "custom". */
static int read_tool(struct reading *in, yyjson_val *value, struct sim_tool *ret_tool)
{
    struct span type = json_tree_string(value, "type");
    bool is_custom = span_is_equal(type, SPAN("custom"));
    struct span name =
        json_tree_string(yyjson_obj_get(value, is_custom ? "custom" : "function"), "name");

    if ((!is_custom && !span_is_equal(type, SPAN("function"))) || !name.len)
        return refuse(in, SPAN("tools"), "expected tools of type function or custom with a name");
    *ret_tool = (struct sim_tool){arena_copy(in->arena, name), is_custom};
    return ret_tool->name.ptr ? 0 : ERR_NOMEM;
}

static int read_tool_list(struct reading *in, yyjson_val *tools)
{
    size_t count = yyjson_arr_size(tools);
    yyjson_arr_iter iter;
    yyjson_val *value;
    int err;

    if (!yyjson_arr_iter_init(tools, &iter) || count == 0 || count > SIM_MAX_TOOLS)
        return refuse(in, SPAN("tools"), "expected an array of 1 to 128 tools");
    in->ask->tools = arena_alloc(in->arena, count * sizeof(*in->ask->tools));
    if (!in->ask->tools)
        return ERR_NOMEM;
    while ((value = yyjson_arr_iter_next(&iter))) {
        err = read_tool(in, value, &in->ask->tools[in->ask->tool_count]);
        if (err)
            return err;
        in->ask->tool_count++;
    }
    return 0;
}

/* Leaves in ask->tools what the answer is to call. */
static int read_tools(struct reading *in, bool is_user_last)
{
    yyjson_val *tools = member(in, "tools"), *choice = member(in, "tool_choice");
    struct sim_ask *ask = in->ask;
    struct sim_tool wanted;
    bool is_parallel = true;
    int err = tools ? read_tool_list(in, tools) : 0;

    if (!err)
        err = read_bool(in, "parallel_tool_calls", &is_parallel);
    if (err)
        return err;
    ask->is_one_call = !is_parallel;
    if (choice && !tools)
        return refuse(in, SPAN("tool_choice"), "'tool_choice' is only allowed with 'tools'");
    if (yyjson_equals_str(choice, "none") ||
        (!is_user_last && (!choice || yyjson_equals_str(choice, "auto")))) {
        ask->tool_count = 0;
    } else if (yyjson_is_obj(choice) &&
               !span_is_equal(json_tree_string(choice, "type"), SPAN("allowed_tools"))) {
        err = read_tool(in, choice, &wanted);
        if (err)
            return err;
        ask->tools[0] = wanted;
        ask->tool_count = 1;
    }
    return 0;
}

static int read_streaming(struct reading *in)
{
    yyjson_val *options = member(in, "stream_options");
    int err = read_bool(in, "stream", &in->ask->is_streaming);

    if (err || !options)
        return err;
    if (!in->ask->is_streaming)
        return refuse(in, SPAN("stream_options"),
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (!yyjson_is_obj(options))
        return refuse(in, SPAN("stream_options"), "expected an object");
    in->ask->is_usage_wanted = yyjson_get_bool(yyjson_obj_get(options, "include_usage"));
    return 0;
}

static int read_answers_wanted(struct reading *in)
{
    uint64_t n = 1;
    int err = read_count(in, "n", MAX_N, &n);

    if (!err)
        err = read_count(in, "max_tokens", UINT64_MAX, &in->ask->max_tokens);
    if (!err)
        err = read_count(in, "max_completion_tokens", UINT64_MAX, &in->ask->max_tokens);
    in->ask->choices = (unsigned)n;
    return err;
}

static int read_chat(struct reading *in)
{
    bool is_user_last = false;
    int err = read_messages(in, &is_user_last);

    if (!err)
        err = read_streaming(in);
    if (!err)
        err = read_answers_wanted(in);
    return err ? err : read_tools(in, is_user_last);
}

/* Token numbers stand for the text "1,2,3". */
static int read_tokens(struct reading *in, yyjson_val *tokens, struct gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *token;
    char number[24];

    yyjson_arr_iter_init(tokens, &iter);
    while ((token = yyjson_arr_iter_next(&iter))) {
        if (!yyjson_is_uint(token))
            return ERR_SYNTAX;
        gather(text, span_of(number, (size_t)snprintf(number, sizeof(number), "%s%llu",
                                                      text->bytes ? "," : "",
                                                      (unsigned long long)yyjson_get_uint(token))));
        in->ask->prompt_tokens++;
    }
    return 0;
}

static int read_text(struct reading *in, yyjson_val *value)
{
    struct sim_text *place = &in->ask->texts[in->ask->text_count++];
    struct gathering text;
    int err = 0, end_err;

    begin_gathering(&text);
    if (yyjson_is_str(value)) {
        gather(&text, text_of(value));
        in->ask->prompt_tokens += quarter(yyjson_get_len(value));
    } else if (yyjson_is_arr(value) && yyjson_arr_size(value)) {
        err = read_tokens(in, value, &text);
    } else {
        err = ERR_SYNTAX;
    }
    end_err = end_gathering(&text, in, place);
    return err ? err : end_err;
}

/* A string, strings, token numbers, or lists of token numbers. */
static int read_texts(struct reading *in, struct span field)
{
    yyjson_val *value = yyjson_obj_getn(in->root, field.ptr, field.len), *item;
    bool is_list = yyjson_is_arr(value) && !yyjson_is_uint(yyjson_arr_get_first(value));
    size_t count = is_list ? yyjson_arr_size(value) : 1;
    yyjson_arr_iter iter;
    int err = 0;

    if (!value)
        return refuse(in, field, "a required parameter is missing");
    if (count == 0 || count > MAX_INPUTS)
        return refuse(in, field, "expected 1 to 2048 texts");
    in->ask->texts = arena_alloc(in->arena, count * sizeof(*in->ask->texts));
    if (!in->ask->texts)
        return ERR_NOMEM;
    if (is_list) {
        yyjson_arr_iter_init(value, &iter);
        while (!err && (item = yyjson_arr_iter_next(&iter)))
            err = read_text(in, item);
    } else {
        err = read_text(in, value);
    }
    return err == ERR_SYNTAX ? refuse(in, field, "expected strings or arrays of token numbers")
                             : err;
}

static int read_completion(struct reading *in)
{
    int err;

    in->ask->max_tokens = 16;
    err = read_texts(in, SPAN("prompt"));
    if (!err)
        err = read_streaming(in);
    if (!err)
        err = read_answers_wanted(in);
    if (!err && in->ask->text_count * in->ask->choices > SIM_MAX_CHOICES)
        return refuse(in, SPAN("n"), "too many choices in all");
    return err;
}

static int read_embedding(struct reading *in)
{
    struct span format = json_tree_string(in->root, "encoding_format");
    uint64_t dimensions = span_find(in->ask->model, SPAN("large")) == SIZE_MAX ? 1536 : 3072;
    int err = read_texts(in, SPAN("input"));

    if (!err)
        err = read_count(in, "dimensions", SIM_OPENAI_MAX_DIMENSIONS, &dimensions);
    if (err)
        return err;
    in->ask->dimensions = (unsigned)dimensions;
    in->ask->is_base64 = span_is_equal(format, SPAN("base64"));
    if (format.ptr && !in->ask->is_base64 && !span_is_equal(format, SPAN("float")))
        return refuse(in, SPAN("encoding_format"), "expected 'float' or 'base64'");
    return 0;
}

static int read_model(struct reading *in)
{
    yyjson_val *model = yyjson_obj_get(in->root, "model");

    if (!yyjson_is_str(model) || !yyjson_get_len(model))
        return refuse(in, SPAN("model"), "you must provide a model parameter");
    in->ask->model = arena_copy(in->arena, text_of(model));
    return in->ask->model.ptr ? 0 : ERR_NOMEM;
}

static int check_refused(struct reading *in, const struct sim_names *refused, int status)
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

static int read_root(struct reading *in, enum sim_op op)
{
    int err = read_model(in);

    if (err)
        return err;
    switch (op) {
    case SIM_OP_CHAT:
        return read_chat(in);
    case SIM_OP_COMPLETION:
        return read_completion(in);
    case SIM_OP_EMBEDDING:
        return read_embedding(in);
    case SIM_OP_MODELS:
    case SIM_OP_MODEL:
        break;
    }
    return 0;
}

int sim_openai_parse(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure)
{
    struct json_tree tree;
    struct reading in = {.arena = arena, .ask = ret_ask, .failure = ret_failure};
    int err = json_tree_read(&tree, body, TREE_FACTOR * body.len + JSON_TREE_OWN_BYTES);

    *ret_ask = (struct sim_ask){
        .op = route->op, .body_hash = sim_hash(body), .max_tokens = UINT64_MAX, .choices = 1};
    if (err == ERR_SYNTAX) {
        *ret_failure = (struct sim_failure){.kind = SIM_FAILURE_JSON};
        goto out;
    }
    if (err)
        goto out;
    in.root = yyjson_doc_get_root(tree.doc);
    if (!yyjson_is_obj(in.root)) {
        *ret_failure = (struct sim_failure){.kind = SIM_FAILURE_JSON};
        err = ERR_SYNTAX;
        goto out;
    }
    err = check_refused(&in, refused, refused_status);
    if (!err)
        err = read_root(&in, route->op);
out:
    json_tree_fini(&tree);
    return err;
}
