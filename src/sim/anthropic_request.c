/* Anthropic's wire format: what a request to it says. As strict as the real one: what it refuses
 * must not reach it. */
#include "base/err.h"
#include "json/tree.h"
#include "sim/anthropic.h"
#include "sim/request.h"

enum { MAX_NAME_BYTES = 128, MAX_MARKS = 4 };

static const char root_names[] =
    "model max_tokens messages system stop_sequences stream tools tool_choice thinking "
    "output_config cache_control metadata service_tier speed inference_geo container diagnostics "
    "user_profile_id workspace_id temperature top_p top_k mcp_servers context_management";

static const char tool_names[] =
    "name description input_schema type strict cache_control defer_loading eager_input_streaming "
    "input_examples allowed_callers";

static bool is_listed(const char *names, struct span name)
{
    struct span rest = span_from_text(names), word;

    while (span_next_token(&rest, ' ', &word))
        if (span_is_equal(word, name))
            return true;
    return false;
}

int sim_anthropic_check_names(struct sim_request *in, yyjson_val *object, struct span path,
                              const char *names)
{
    yyjson_obj_iter iter;
    yyjson_val *name;

    yyjson_obj_iter_init(object, &iter);
    while ((name = yyjson_obj_iter_next(&iter))) {
        struct span text = sim_json_text(name);

        if (!is_listed(names, text))
            return sim_refuse(in,
                              sim_field_name(in, "%.*s%s%.*s", SPAN_ARG(path), path.len ? "." : "",
                                             SPAN_ARG(text)),
                              "Extra inputs are not permitted");
    }
    return 0;
}

/* --- tools --- */

bool sim_anthropic_is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return name.len > 0;
}

/* A tool of the client's own; the provider's, which have a dated type, run there. */
static bool is_own_tool(yyjson_val *tool)
{
    struct span type = json_tree_string(tool, "type");

    return !type.ptr || span_is_equal(type, SPAN("custom"));
}

static int check_tool(struct sim_request *in, yyjson_val *tool, size_t index)
{
    yyjson_val *schema = yyjson_obj_get(tool, "input_schema");
    struct span name = json_tree_string(tool, "name");
    struct span path = sim_field_name(in, "tools.%zu.custom", index);

    if (!path.ptr)
        return ERR_NOMEM;
    if (!sim_anthropic_is_name(name) || name.len > MAX_NAME_BYTES)
        return sim_refuse(in, sim_field_name(in, "%s.name", path.ptr),
                          "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'");
    if (!yyjson_is_obj(schema))
        return sim_refuse(in, sim_field_name(in, "%s.input_schema", path.ptr), "Field required");
    if (!span_is_equal(json_tree_string(schema, "type"), SPAN("object")))
        return sim_refuse(in, sim_field_name(in, "%s.input_schema.type", path.ptr),
                          "Input should be 'object'");
    return sim_anthropic_check_names(in, tool, path, tool_names);
}

static int read_tool_list(struct sim_request *in, size_t *marks)
{
    yyjson_val *tools = sim_request_member(in, "tools"), *tool;
    yyjson_arr_iter iter;
    size_t index = 0;
    int err = 0;

    if (!tools)
        return 0;
    if (!yyjson_arr_iter_init(tools, &iter))
        return sim_refuse(in, SPAN("tools"), "Input should be a valid list");
    if (sim_request_tools(in, SIM_MAX_TOOLS))
        return ERR_NOMEM;
    for (; !err && (tool = yyjson_arr_iter_next(&iter)); index++) {
        if (!yyjson_is_obj(tool))
            return sim_refuse(in, sim_field_name(in, "tools.%zu", index),
                              "Input should be a valid dictionary");
        *marks += yyjson_is_obj(yyjson_obj_get(tool, "cache_control"));
        if (!is_own_tool(tool))
            continue;
        err = check_tool(in, tool, index);
        if (!err && in->ask->tool_count < SIM_MAX_TOOLS)
            err = sim_request_add_tool(in, json_tree_string(tool, "name"), false);
    }
    return err;
}

static int force_tools(struct sim_request *in, yyjson_val *choice, bool is_one)
{
    struct span name = json_tree_string(choice, "name");

    if (in->ask->is_thinking)
        return sim_refuse(in, SPAN(""),
                          "Thinking may not be enabled when tool_choice forces tool use.");
    if (sim_anthropic_rules_of(in->ask->model).has_no_force)
        return sim_refuse(in, SPAN("tool_choice"),
                          "forced tool use is not supported on this model");
    if (!is_one)
        return 0;
    if (!sim_request_has_tool(in, name))
        return sim_refuse_with(in, SPAN(""), "Tool '%.*s' not found in provided tools",
                               SPAN_ARG(name));
    return sim_request_choose_tool(in, name, false);
}

static int read_tool_choice(struct sim_request *in, bool is_user_last)
{
    yyjson_val *choice = sim_request_member(in, "tool_choice");
    struct span type = json_tree_string(choice, "type");
    bool is_one = span_is_equal(type, SPAN("tool"));

    if (choice && !sim_request_member(in, "tools"))
        return sim_refuse(in, SPAN(""), "tool_choice may only be specified while providing tools.");
    in->ask->is_one_call = yyjson_get_bool(yyjson_obj_get(choice, "disable_parallel_tool_use"));
    if (is_one || span_is_equal(type, SPAN("any")))
        return force_tools(in, choice, is_one);
    if (choice && !span_is_equal(type, SPAN("auto")) && !span_is_equal(type, SPAN("none")))
        return sim_refuse(in, SPAN("tool_choice"),
                          "Input tag does not match any of the expected tags: 'auto', 'any', "
                          "'tool', 'none'");
    if (!is_user_last || span_is_equal(type, SPAN("none")))
        in->ask->tool_count = 0;
    return 0;
}

/* --- the rest --- */

static int check_version(struct sim_request *in)
{
    if (in->route->form == SIM_ANTHROPIC_UNVERSIONED)
        return sim_refuse(in, SPAN("anthropic-version"), "header is required");
    if (in->route->form == SIM_ANTHROPIC_MISVERSIONED)
        return sim_refuse(in, SPAN("anthropic-version"), "is not a valid version");
    return 0;
}

static int read_max_tokens(struct sim_request *in)
{
    yyjson_val *max = yyjson_obj_get(in->root, "max_tokens");

    if (in->route->op == SIM_OP_TOKENS)
        return max ? sim_refuse(in, SPAN("max_tokens"), "Extra inputs are not permitted") : 0;
    if (!max)
        return sim_refuse(in, SPAN("max_tokens"), "Field required");
    if (!yyjson_is_uint(max))
        return sim_refuse(in, SPAN("max_tokens"), "Input should be a valid integer");
    in->ask->max_tokens = yyjson_get_uint(max);
    return 0;
}

static int read_system(struct sim_request *in, size_t *marks)
{
    yyjson_val *system = sim_request_member(in, "system"), *block;
    yyjson_arr_iter iter;
    size_t index = 0;

    if (!system)
        return 0;
    if (!yyjson_is_str(system) && !yyjson_is_arr(system))
        return sim_refuse(in, SPAN("system"), "Input should be a valid list");
    yyjson_arr_iter_init(system, &iter);
    for (; (block = yyjson_arr_iter_next(&iter)); index++) {
        if (!span_is_equal(json_tree_string(block, "type"), SPAN("text")))
            return sim_refuse(in, sim_field_name(in, "system.%zu.type", index),
                              "Input should be 'text'");
        if (!json_tree_string(block, "text").len)
            return sim_refuse(in, SPAN("system"), "text content blocks must be non-empty");
        *marks += yyjson_is_obj(yyjson_obj_get(block, "cache_control"));
    }
    in->ask->prompt_tokens += 4 + sim_tokens_of(sim_gather_content(system, NULL));
    return 0;
}

static int read_output(struct sim_request *in)
{
    yyjson_val *output = sim_request_member(in, "output_config");
    yyjson_val *format = yyjson_obj_get(output, "format");
    struct span effort = json_tree_string(output, "effort");
    int err = sim_anthropic_check_names(in, output, SPAN("output_config"), "effort format");

    if (err)
        return err;
    if (effort.ptr && !is_listed("low medium high xhigh max", effort))
        return sim_refuse(in, SPAN("output_config.effort"),
                          "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'");
    if (!yyjson_is_obj(format))
        return 0;
    if (!span_is_equal(json_tree_string(format, "type"), SPAN("json_schema")))
        return sim_refuse(in, SPAN("output_config.format.type"), "Input should be 'json_schema'");
    if (!yyjson_is_obj(yyjson_obj_get(format, "schema")))
        return sim_refuse(in, SPAN("output_config.format.schema"), "Field required");
    return sim_request_json(in, yyjson_obj_get(format, "schema"),
                            SPAN("output_config.format.schema"));
}

static int read_stops(struct sim_request *in)
{
    yyjson_val *stops = sim_request_member(in, "stop_sequences"), *stop;
    yyjson_arr_iter iter;

    if (stops && !yyjson_is_arr(stops))
        return sim_refuse(in, SPAN("stop_sequences"), "Input should be a valid list");
    yyjson_arr_iter_init(stops, &iter);
    while ((stop = yyjson_arr_iter_next(&iter)))
        if (!yyjson_is_str(stop) || !span_trim(sim_json_text(stop)).len)
            return sim_refuse(in, SPAN("stop_sequences"),
                              "each stop sequence must contain non-whitespace");
    return sim_request_stops(in, stops);
}

static int read_talk(struct sim_request *in)
{
    bool is_budgeted = span_is_equal(json_tree_string(yyjson_obj_get(in->root, "thinking"), "type"),
                                     SPAN("enabled"));
    struct sim_anthropic_talk talk = {0};
    int err = sim_anthropic_read_messages(in, is_budgeted, &talk);

    if (!err)
        err = read_system(in, &talk.marks);
    if (!err)
        err = read_tool_list(in, &talk.marks);
    if (!err && talk.marks > MAX_MARKS)
        err = sim_refuse_with(
            in, SPAN(""), "A maximum of 4 blocks with cache_control may be provided. Found %zu.",
            talk.marks);
    if (!err)
        err = read_tool_choice(in, talk.is_user_last);
    return err;
}

static int read(struct sim_request *in)
{
    struct sim_ask *ask = in->ask;
    int err = check_version(in);

    ask->start = SIM_START_ALWAYS;
    ask->is_usage_wanted = true;
    if (!err)
        err = sim_anthropic_check_names(in, in->root, SPAN(""), root_names);
    if (!err && !yyjson_obj_get(in->root, "model"))
        err = sim_refuse(in, SPAN("model"), "Field required");
    if (!err)
        err = sim_request_model(in);
    if (!err)
        err = read_max_tokens(in);
    if (!err)
        err = sim_request_bool(in, "stream", &ask->is_streaming);
    if (!err)
        err = sim_anthropic_read_thinking(in);
    if (!err)
        err = sim_anthropic_check_sampling(in);
    if (!err)
        err = read_stops(in);
    if (!err)
        err = read_talk(in);
    if (!err)
        err = read_output(in);
    ask->is_thinking_told = ask->is_thinking;
    return err;
}

int sim_anthropic_parse(const struct sim_route *route, struct span body,
                        const struct sim_names *refused, int refused_status, struct arena *arena,
                        struct sim_ask *ret_ask, struct sim_failure *ret_failure)
{
    return sim_request_read(route, body, refused, refused_status, arena, ret_ask, ret_failure,
                            read);
}
