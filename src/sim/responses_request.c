/* The wire format of OpenAI's Responses: what a request says. */
#include "base/err.h"
#include "json/tree.h"
#include "sim/openai.h"
#include "sim/pairing.h"
#include "sim/request.h"
#include "sim/responses.h"

/* The input being read. */
struct talk {
    struct sim_request *in;
    struct sim_pairing calls;
    size_t index;
    bool is_counted;   /* the assistant's turn at hand has cost its tokens */
    bool is_user_last; /* the item at hand is a message of the user's */
    yyjson_val *chosen;
};

static int refuse_item(struct talk *talk, const char *member, const char *message)
{
    return sim_refuse(talk->in, sim_field_name(talk->in, "input[%zu]%s", talk->index, member),
                      message);
}

/* --- items --- */

static int read_call(struct talk *talk, yyjson_val *item)
{
    struct span id = json_tree_string(item, "call_id");
    int err;

    if (!id.len || !json_tree_string(item, "name").len)
        return refuse_item(talk, ".call_id", "a call needs its call_id and a name");
    err = sim_pairing_open(&talk->calls, talk->in->arena, id);
    if (err == ERR_EXISTS || err == ERR_FULL)
        return refuse_item(talk, ".call_id", "there are too many calls, or two of one call_id");
    talk->in->ask->prompt_tokens += talk->is_counted ? 0 : 4;
    talk->is_counted = true;
    return err;
}

static int read_output(struct talk *talk, yyjson_val *item)
{
    struct span id = json_tree_string(item, "call_id");

    if (sim_pairing_answer(&talk->calls, id))
        return sim_refuse_with(talk->in, SPAN("input"),
                               "No tool call found for function call output with call_id %.*s.",
                               SPAN_ARG(id));
    talk->is_counted = false;
    talk->in->ask->prompt_tokens +=
        4 + sim_tokens_of(sim_gather_content(yyjson_obj_get(item, "output"), NULL));
    return 0;
}

static int read_message(struct talk *talk, yyjson_val *item)
{
    yyjson_val *content = yyjson_obj_get(item, "content");
    struct span role = json_tree_string(item, "role");
    bool is_user = span_is_equal(role, SPAN("user"));
    bool is_assistant = span_is_equal(role, SPAN("assistant"));
    int err;

    if (!is_user && !is_assistant && !span_is_equal(role, SPAN("system")) &&
        !span_is_equal(role, SPAN("developer")))
        return refuse_item(talk, ".role",
                           "expected one of 'assistant', 'system', 'developer' and 'user'");
    if (!yyjson_is_str(content) && !yyjson_is_arr(content))
        return refuse_item(talk, ".content", "expected a string or a list of parts");
    err = sim_request_pictures(talk->in, content);
    if (err)
        return err;
    talk->in->ask->prompt_tokens += 4 + sim_tokens_of(sim_gather_content(content, NULL));
    talk->is_counted = is_assistant;
    talk->is_user_last = is_user;
    if (is_user)
        talk->chosen = content;
    return 0;
}

static int read_item(struct talk *talk, yyjson_val *item)
{
    struct span type = json_tree_string(item, "type");

    talk->is_user_last = false;
    if (span_is_equal(type, SPAN("message")) || (!type.ptr && yyjson_obj_get(item, "role")))
        return read_message(talk, item);
    if (span_is_equal(type, SPAN("function_call")) || span_is_equal(type, SPAN("custom_tool_call")))
        return read_call(talk, item);
    if (span_is_equal(type, SPAN("function_call_output")) ||
        span_is_equal(type, SPAN("custom_tool_call_output")))
        return read_output(talk, item);
    if (span_is_equal(type, SPAN("item_reference")))
        return refuse_item(talk, "", "Item not found: nothing is stored here.");
    return type.len ? 0 : refuse_item(talk, ".type", "a required parameter is missing");
}

static int read_items(struct talk *talk, yyjson_val *input)
{
    yyjson_arr_iter iter;
    yyjson_val *item;
    struct span open;
    int err = 0;

    yyjson_arr_iter_init(input, &iter);
    for (; !err && (item = yyjson_arr_iter_next(&iter)); talk->index++)
        err = read_item(talk, item);
    open = sim_pairing_unanswered(&talk->calls);
    if (err || !open.ptr)
        return err;
    return sim_refuse_with(talk->in, SPAN("input"), "No tool output found for function call %.*s.",
                           SPAN_ARG(open));
}

static int read_input(struct sim_request *in, bool *ret_is_user_last)
{
    yyjson_val *input = sim_request_member(in, "input");
    struct span instructions = json_tree_string(in->root, "instructions");
    struct talk talk = {.in = in};
    struct sim_gathering text;
    int err = 0;

    if (!input)
        return sim_refuse(in, SPAN("input"), "Missing required parameter: 'input'.");
    in->ask->prompt_tokens = 3;
    if (instructions.ptr)
        in->ask->prompt_tokens += 4 + sim_tokens_of(instructions.len);
    if (yyjson_is_str(input)) {
        talk.chosen = input;
        talk.is_user_last = true;
        in->ask->prompt_tokens += 4 + sim_tokens_of(yyjson_get_len(input));
    } else if (yyjson_arr_size(input)) {
        err = read_items(&talk, input);
    } else {
        err = sim_refuse(in, SPAN("input"), "expected a string or a list of items");
    }
    if (err)
        return err;
    *ret_is_user_last = talk.is_user_last;
    if (sim_request_texts(in, 1))
        return ERR_NOMEM;
    sim_gather_begin(&text);
    sim_gather_content(talk.chosen, &text);
    return sim_gather_end(&text, in);
}

/* --- tools --- */

/* Those that the provider runs itself are never called here. */
static int read_tool_list(struct sim_request *in, yyjson_val *tools)
{
    yyjson_arr_iter iter;
    yyjson_val *tool;
    int err = 0;

    if (!yyjson_arr_iter_init(tools, &iter))
        return sim_refuse(in, SPAN("tools"), "expected a list of tools");
    if (sim_request_tools(in, SIM_MAX_TOOLS))
        return ERR_NOMEM;
    while (!err && (tool = yyjson_arr_iter_next(&iter))) {
        struct span type = json_tree_string(tool, "type");
        struct span name = json_tree_string(tool, "name");
        bool is_custom = span_is_equal(type, SPAN("custom"));
        bool is_own = is_custom || span_is_equal(type, SPAN("function"));

        if (!type.len || (is_own && !name.len))
            err = sim_refuse(in, SPAN("tools"), "expected tools with a type, and a name");
        else if (is_own && in->ask->tool_count < SIM_MAX_TOOLS)
            err = sim_request_add_tool(in, name, is_custom);
    }
    return err;
}

static int read_tools(struct sim_request *in, bool is_user_last)
{
    yyjson_val *tools = sim_request_member(in, "tools");
    yyjson_val *choice = sim_request_member(in, "tool_choice");
    struct span type = json_tree_string(choice, "type"), name = json_tree_string(choice, "name");
    bool is_custom = span_is_equal(type, SPAN("custom")), is_parallel = true;
    int err = tools ? read_tool_list(in, tools) : 0;

    if (!err)
        err = sim_request_bool(in, "parallel_tool_calls", &is_parallel);
    if (err)
        return err;
    in->ask->is_one_call = !is_parallel;
    if (yyjson_equals_str(choice, "none") ||
        (!is_user_last && (!choice || yyjson_equals_str(choice, "auto"))))
        in->ask->tool_count = 0;
    if (!is_custom && !span_is_equal(type, SPAN("function")))
        return 0;
    return name.len && in->ask->tool_count
               ? sim_request_choose_tool(in, name, is_custom)
               : sim_refuse(in, SPAN("tool_choice"), "expected the name of a tool that there is");
}

/* --- the rest --- */

/* Names of a chat's request, which a careless translation leaves standing. */
static int check_chat_names(struct sim_request *in)
{
    static const char *const names[] = {
        "messages",
        "n",
        "stop",
        "max_tokens",
        "max_completion_tokens",
        "logit_bias",
        "seed",
        "functions",
        "function_call",
        "response_format",
        "frequency_penalty",
        "presence_penalty",
        "reasoning_effort",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!yyjson_obj_get(in->root, names[i]))
            continue;
        *in->failure = (struct sim_failure){
            .kind = SIM_FAILURE_UNKNOWN_FIELD, .status = 400, .field = span_from_text(names[i])};
        return ERR_SYNTAX;
    }
    return 0;
}

/* {"format": {"type": "json_schema", "name", "schema"}}, flat where a chat's is nested. */
static int read_format(struct sim_request *in)
{
    static const struct span field = SPAN_INIT("text.format");
    yyjson_val *format = yyjson_obj_get(sim_request_member(in, "text"), "format");
    struct span type = json_tree_string(format, "type");

    if (!format || span_is_equal(type, SPAN("text")))
        return 0;
    if (span_is_equal(type, SPAN("json_object")))
        return sim_request_json(in, NULL, field);
    if (!span_is_equal(type, SPAN("json_schema")))
        return sim_refuse(in, field, "expected the type text, json_object or json_schema");
    if (!json_tree_string(format, "name").len)
        return sim_refuse(in, SPAN("text.format.name"), "a required parameter is missing");
    if (!yyjson_is_obj(yyjson_obj_get(format, "schema")))
        return sim_refuse(in, SPAN("text.format.schema"), "a required parameter is missing");
    return sim_request_json(in, yyjson_obj_get(format, "schema"), field);
}

static int read_reasoning(struct sim_request *in)
{
    yyjson_val *reasoning = sim_request_member(in, "reasoning");
    yyjson_val *effort = yyjson_obj_get(reasoning, "effort");
    int err = sim_openai_read_effort(in, yyjson_is_null(effort) ? NULL : effort,
                                     SPAN("reasoning.effort"));

    in->ask->is_thinking_told =
        in->ask->is_thinking && yyjson_is_str(yyjson_obj_get(reasoning, "summary"));
    return err;
}

static int check_stored(struct sim_request *in)
{
    yyjson_val *previous = sim_request_member(in, "previous_response_id");

    if (!previous)
        return 0;
    return sim_refuse_with(in, SPAN("previous_response_id"),
                           "Previous response with id '%.*s' not found.",
                           SPAN_ARG(yyjson_is_str(previous) ? sim_json_text(previous) : SPAN("")));
}

static int read(struct sim_request *in)
{
    bool is_user_last = false;
    int err = check_chat_names(in);

    in->ask->start = SIM_START_ALWAYS;
    in->ask->is_usage_wanted = true;
    if (!err)
        err = sim_request_model(in);
    if (!err)
        err = check_stored(in);
    if (!err)
        err = read_input(in, &is_user_last);
    if (!err)
        err = sim_request_bool(in, "stream", &in->ask->is_streaming);
    if (!err)
        err = sim_request_count(in, "max_output_tokens", UINT64_MAX, &in->ask->max_tokens);
    if (!err)
        err = read_reasoning(in);
    if (!err)
        err = read_tools(in, is_user_last);
    return err ? err : read_format(in);
}

int sim_responses_parse(const struct sim_route *route, struct span body,
                        const struct sim_names *refused, int refused_status, struct arena *arena,
                        struct sim_ask *ret_ask, struct sim_failure *ret_failure)
{
    return sim_request_read(route, body, refused, refused_status, arena, ret_ask, ret_failure,
                            read);
}
