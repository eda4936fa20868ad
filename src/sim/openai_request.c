/* OpenAI's wire format: what a request to it says. */
#include <stdio.h>

#include "base/err.h"
#include "json/tree.h"
#include "sim/openai.h"
#include "sim/request.h"

enum { MAX_N = 128, MAX_INPUTS = 2048 };

static int read_messages(struct sim_request *in, bool *ret_is_user_last)
{
    yyjson_val *messages = yyjson_obj_get(in->root, "messages"), *message, *chosen = NULL;
    struct sim_gathering text;
    yyjson_arr_iter iter;
    bool has_user = false;

    if (!messages)
        return sim_refuse(in, SPAN("messages"), "Missing required parameter: 'messages'.");
    if (!yyjson_is_arr(messages) || yyjson_arr_size(messages) == 0)
        return sim_refuse(in, SPAN("messages"), "expected an array with at least one message");
    in->ask->prompt_tokens = 3;
    yyjson_arr_iter_init(messages, &iter);
    while ((message = yyjson_arr_iter_next(&iter))) {
        yyjson_val *role = yyjson_obj_get(message, "role");
        int err = sim_request_pictures(in, yyjson_obj_get(message, "content"));

        if (err)
            return err;
        if (!yyjson_is_str(role))
            return sim_refuse(in, SPAN("messages"), "expected every message to have a role");
        *ret_is_user_last = yyjson_equals_str(role, "user");
        has_user |= *ret_is_user_last;
        if (*ret_is_user_last || !has_user)
            chosen = message;
        in->ask->prompt_tokens +=
            4 + sim_tokens_of(sim_gather_content(yyjson_obj_get(message, "content"), NULL));
    }
    if (sim_request_texts(in, 1))
        return ERR_NOMEM;
    sim_gather_begin(&text);
    sim_gather_content(yyjson_obj_get(chosen, "content"), &text);
    return sim_gather_end(&text, in);
}

/* {"type": "function", "function": {"name": ...}}, or the same with "custom": its name, or ptr
 * NULL.
 */
static struct span tool_name(yyjson_val *value, bool *ret_is_custom)
{
    struct span type = json_tree_string(value, "type");

    *ret_is_custom = span_is_equal(type, SPAN("custom"));
    if (!*ret_is_custom && !span_is_equal(type, SPAN("function")))
        return (struct span){0};
    return json_tree_string(yyjson_obj_get(value, *ret_is_custom ? "custom" : "function"), "name");
}

static int refuse_tool(struct sim_request *in)
{
    return sim_refuse(in, SPAN("tools"), "expected tools of type function or custom with a name");
}

static int read_tool_list(struct sim_request *in, yyjson_val *tools)
{
    size_t count = yyjson_arr_size(tools);
    yyjson_arr_iter iter;
    yyjson_val *value;
    int err = 0;

    if (!yyjson_arr_iter_init(tools, &iter) || count == 0 || count > SIM_MAX_TOOLS)
        return sim_refuse(in, SPAN("tools"), "expected an array of 1 to 128 tools");
    if (sim_request_tools(in, count))
        return ERR_NOMEM;
    while (!err && (value = yyjson_arr_iter_next(&iter))) {
        bool is_custom;
        struct span name = tool_name(value, &is_custom);

        err = name.len ? sim_request_add_tool(in, name, is_custom) : refuse_tool(in);
    }
    return err;
}

/* Leaves in ask->tools what the answer is to call. */
static int read_tools(struct sim_request *in, bool is_user_last)
{
    yyjson_val *tools = sim_request_member(in, "tools"),
               *choice = sim_request_member(in, "tool_choice");
    struct sim_ask *ask = in->ask;
    bool is_parallel = true, is_custom;
    struct span name;
    int err = tools ? read_tool_list(in, tools) : 0;

    if (!err)
        err = sim_request_bool(in, "parallel_tool_calls", &is_parallel);
    if (err)
        return err;
    ask->is_one_call = !is_parallel;
    if (choice && !tools)
        return sim_refuse(in, SPAN("tool_choice"), "'tool_choice' is only allowed with 'tools'");
    if (yyjson_equals_str(choice, "none") ||
        (!is_user_last && (!choice || yyjson_equals_str(choice, "auto")))) {
        ask->tool_count = 0;
    } else if (yyjson_is_obj(choice) &&
               !span_is_equal(json_tree_string(choice, "type"), SPAN("allowed_tools"))) {
        name = tool_name(choice, &is_custom);
        return name.len ? sim_request_choose_tool(in, name, is_custom) : refuse_tool(in);
    }
    return 0;
}

static int read_streaming(struct sim_request *in)
{
    yyjson_val *options = sim_request_member(in, "stream_options");
    int err = sim_request_bool(in, "stream", &in->ask->is_streaming);

    if (err || !options)
        return err;
    if (!in->ask->is_streaming)
        return sim_refuse(
            in, SPAN("stream_options"),
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (!yyjson_is_obj(options))
        return sim_refuse(in, SPAN("stream_options"), "expected an object");
    in->ask->is_usage_wanted = in->ask->is_usage_apart =
        yyjson_get_bool(yyjson_obj_get(options, "include_usage"));
    return 0;
}

static int read_answers_wanted(struct sim_request *in)
{
    uint64_t n = 1;
    int err = sim_request_count(in, "n", MAX_N, &n);

    if (!err)
        err = sim_request_count(in, "max_tokens", UINT64_MAX, &in->ask->max_tokens);
    if (!err)
        err = sim_request_count(in, "max_completion_tokens", UINT64_MAX, &in->ask->max_tokens);
    if (!err)
        err = sim_request_stops(in, sim_request_member(in, "stop"));
    in->ask->choices = (unsigned)n;
    return err;
}

/* The schema that a text ends with, from its first brace on: true, and *ret_err is what came of it.
 */
static bool read_told_schema(struct sim_request *in, struct span text, struct span field,
                             int *ret_err)
{
    size_t brace = span_find_byte(text, '{');
    struct json_tree tree;
    bool is_schema;

    if (brace == SIZE_MAX)
        return false;
    text = span_skip(text, brace);
    is_schema = !json_tree_read(&tree, text, SIM_TREE_FACTOR * text.len + JSON_TREE_OWN_BYTES);
    if (is_schema)
        *ret_err = sim_request_json(in, yyjson_doc_get_root(tree.doc), field);
    json_tree_fini(&tree);
    return is_schema;
}

/* Any object, or one as a system message asks for it, for a model would do what it is told. */
static int read_json_object(struct sim_request *in, struct span field)
{
    yyjson_arr_iter iter;
    yyjson_val *message;
    int err;

    yyjson_arr_iter_init(yyjson_obj_get(in->root, "messages"), &iter);
    while ((message = yyjson_arr_iter_next(&iter)))
        if (span_is_equal(json_tree_string(message, "role"), SPAN("system")) &&
            read_told_schema(in, json_tree_string(message, "content"), field, &err))
            return err;
    return sim_request_json(in, NULL, field);
}

/* {"type": "json_schema", "json_schema": {"name", "schema"}}, or "json_object", or "text". */
static int read_format(struct sim_request *in)
{
    static const struct span field = SPAN_INIT("response_format");
    yyjson_val *format = sim_request_member(in, "response_format");
    yyjson_val *named = yyjson_obj_get(format, "json_schema");
    struct span type = json_tree_string(format, "type");

    if (!format || span_is_equal(type, SPAN("text")))
        return 0;
    if (span_is_equal(type, SPAN("json_object")))
        return read_json_object(in, field);
    if (!span_is_equal(type, SPAN("json_schema")))
        return sim_refuse(in, field, "expected the type text, json_object or json_schema");
    if (!json_tree_string(named, "name").len)
        return sim_refuse(in, SPAN("response_format.json_schema.name"),
                          "a required parameter is missing");
    return sim_request_json(in, yyjson_obj_get(named, "schema"), field);
}

int sim_openai_read_effort(struct sim_request *in, yyjson_val *effort, struct span field)
{
    static const char *const words[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};

    if (!effort)
        return 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (yyjson_equals_str(effort, words[i])) {
            in->ask->is_thinking = i > 0;
            return 0;
        }
    }
    return sim_refuse(in, field, "expected one of none, minimal, low, medium, high, xhigh and max");
}

/* OpenRouter's way of asking for thoughts: an effort, or how many tokens. */
static int read_reasoning(struct sim_request *in)
{
    yyjson_val *reasoning = sim_request_member(in, "reasoning");

    if (yyjson_is_uint(yyjson_obj_get(reasoning, "max_tokens")))
        in->ask->is_thinking = true;
    return sim_openai_read_effort(in, yyjson_obj_get(reasoning, "effort"),
                                  SPAN("reasoning.effort"));
}

static int read_chat(struct sim_request *in)
{
    bool is_user_last = false;
    int err = read_messages(in, &is_user_last);

    if (!err)
        err = read_streaming(in);
    if (!err)
        err = read_answers_wanted(in);
    if (!err)
        err = sim_openai_read_effort(in, sim_request_member(in, "reasoning_effort"),
                                     SPAN("reasoning_effort"));
    if (!err)
        err = read_reasoning(in);
    if (!err)
        err = read_format(in);
    return err ? err : read_tools(in, is_user_last);
}

/* Token numbers stand for the text "1,2,3". */
static int read_tokens(struct sim_request *in, yyjson_val *tokens, struct sim_gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *token;
    char number[24];

    yyjson_arr_iter_init(tokens, &iter);
    while ((token = yyjson_arr_iter_next(&iter))) {
        if (!yyjson_is_uint(token))
            return ERR_SYNTAX;
        sim_gather(text,
                   span_of(number, (size_t)snprintf(number, sizeof(number), "%s%llu",
                                                    text->bytes ? "," : "",
                                                    (unsigned long long)yyjson_get_uint(token))));
        in->ask->prompt_tokens++;
    }
    return 0;
}

static int read_text(struct sim_request *in, yyjson_val *value)
{
    struct sim_gathering text;
    int err = 0, end_err;

    sim_gather_begin(&text);
    if (yyjson_is_str(value)) {
        sim_gather(&text, sim_json_text(value));
        in->ask->prompt_tokens += sim_tokens_of(yyjson_get_len(value));
    } else if (yyjson_is_arr(value) && yyjson_arr_size(value)) {
        err = read_tokens(in, value, &text);
    } else {
        err = ERR_SYNTAX;
    }
    end_err = sim_gather_end(&text, in);
    return err ? err : end_err;
}

/* A string, strings, token numbers, or lists of token numbers. */
static int read_texts(struct sim_request *in, struct span field)
{
    yyjson_val *value = yyjson_obj_getn(in->root, field.ptr, field.len), *item;
    bool is_list = yyjson_is_arr(value) && !yyjson_is_uint(yyjson_arr_get_first(value));
    size_t count = is_list ? yyjson_arr_size(value) : 1;
    yyjson_arr_iter iter;
    int err = 0;

    if (!value)
        return sim_refuse(in, field, "a required parameter is missing");
    if (count == 0 || count > MAX_INPUTS)
        return sim_refuse(in, field, "expected 1 to 2048 texts");
    if (sim_request_texts(in, count))
        return ERR_NOMEM;
    if (is_list) {
        yyjson_arr_iter_init(value, &iter);
        while (!err && (item = yyjson_arr_iter_next(&iter)))
            err = read_text(in, item);
    } else {
        err = read_text(in, value);
    }
    return err == ERR_SYNTAX ? sim_refuse(in, field, "expected strings or arrays of token numbers")
                             : err;
}

static int read_completion(struct sim_request *in)
{
    int err;

    in->ask->max_tokens = 16;
    in->ask->start = SIM_START_NEVER;
    err = read_texts(in, SPAN("prompt"));
    if (!err)
        err = read_streaming(in);
    if (!err)
        err = read_answers_wanted(in);
    if (!err && in->ask->text_count * in->ask->choices > SIM_MAX_CHOICES)
        return sim_refuse(in, SPAN("n"), "too many choices in all");
    return err;
}

static int read_embedding(struct sim_request *in)
{
    struct span format = json_tree_string(in->root, "encoding_format");
    uint64_t dimensions = sim_request_dimensions(in);
    int err = read_texts(in, SPAN("input"));

    if (!err)
        err = sim_request_count(in, "dimensions", SIM_MAX_DIMENSIONS, &dimensions);
    if (err)
        return err;
    in->ask->dimensions = (unsigned)dimensions;
    in->ask->is_base64 = span_is_equal(format, SPAN("base64"));
    if (format.ptr && !in->ask->is_base64 && !span_is_equal(format, SPAN("float")))
        return sim_refuse(in, SPAN("encoding_format"), "expected 'float' or 'base64'");
    return 0;
}

int sim_openai_read(struct sim_request *in)
{
    int err = sim_request_model(in);

    if (err)
        return err;
    switch (in->route->op) {
    case SIM_OP_CHAT:
        return read_chat(in);
    case SIM_OP_COMPLETION:
        return read_completion(in);
    case SIM_OP_EMBEDDING:
        return read_embedding(in);
    case SIM_OP_TOKENS:
    case SIM_OP_MODELS:
    case SIM_OP_MODEL:
    case SIM_OP_BALANCE:
        break;
    }
    return 0;
}

int sim_openai_parse(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure)
{
    return sim_request_read(route, body, refused, refused_status, arena, ret_ask, ret_failure,
                            sim_openai_read);
}
