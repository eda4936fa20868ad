/* Gemini's wire format: what a request to it says. As strict as the real one: what it refuses must
 * not reach it. */
#include "base/err.h"
#include "json/tree.h"
#include "sim/gemini.h"
#include "sim/request.h"

enum {
    MAX_CANDIDATES = 8,
    MAX_STOPS = 5,
    MAX_NAME_BYTES = 64,
    MAX_BATCH = 100,
};

/* --- functions --- */

/* A letter or underscore, then also digits and ".:-". */
static bool is_function_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_later = (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-';

        if (!is_letter && (i == 0 || !is_later))
            return false;
    }
    return name.len > 0 && name.len <= MAX_NAME_BYTES;
}

static int read_declaration(struct sim_request *in, yyjson_val *declaration, struct span field)
{
    yyjson_val *parameters = sim_gemini_member(declaration, "parameters");
    yyjson_val *properties = sim_gemini_member(parameters, "properties");
    struct span name = sim_gemini_text(declaration, "name");

    if (!field.ptr)
        return ERR_NOMEM;
    if (!is_function_name(name))
        return sim_refuse(in, field,
                          "Invalid function name. Must start with a letter or an underscore. Must "
                          "be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), "
                          "or dashes (-), with a maximum length of 64.");
    if (parameters && sim_gemini_member(declaration, "parameters_json_schema"))
        return sim_refuse(in, field,
                          "parameters and parameters_json_schema are mutually exclusive");
    if (span_is_equal_nocase(sim_gemini_text(parameters, "type"), SPAN("object")) && properties &&
        yyjson_obj_size(properties) == 0)
        return sim_refuse(in, field, "parameters.properties: should be non-empty for OBJECT type");
    if (sim_request_has_tool(in, name))
        return sim_refuse_with(in, field, "Duplicate function declaration found: %.*s",
                               SPAN_ARG(name));
    return in->ask->tool_count < SIM_MAX_TOOLS ? sim_request_add_tool(in, name, false) : 0;
}

static int read_tool(struct sim_request *in, yyjson_val *tool, size_t index)
{
    yyjson_val *declarations = sim_gemini_member(tool, "function_declarations"), *declaration;
    yyjson_arr_iter iter;
    size_t at = 0;
    int err = 0;

    yyjson_arr_iter_init(declarations, &iter);
    for (; !err && (declaration = yyjson_arr_iter_next(&iter)); at++)
        err = read_declaration(
            in, declaration,
            sim_field_name(in, "tools[%zu].function_declarations[%zu]", index, at));
    return err;
}

/* With ANY the first of the names that are allowed, and that there are, is called. */
static int choose(struct sim_request *in, yyjson_val *allowed)
{
    yyjson_arr_iter iter;
    yyjson_val *name;

    yyjson_arr_iter_init(allowed, &iter);
    while ((name = yyjson_arr_iter_next(&iter)))
        if (sim_request_has_tool(in, sim_json_text(name)))
            return sim_request_choose_tool(in, sim_json_text(name), false);
    return sim_refuse(in, SPAN("tool_config.function_calling_config.allowed_function_names"),
                      "no such function is declared");
}

static int read_mode(struct sim_request *in, bool is_user_last)
{
    yyjson_val *config =
        sim_gemini_member(sim_gemini_member(in->root, "tool_config"), "function_calling_config");
    yyjson_val *allowed = sim_gemini_member(config, "allowed_function_names");
    struct span mode = sim_gemini_text(config, "mode");
    bool is_any = span_is_equal(mode, SPAN("ANY"));
    bool is_validated = span_is_equal(mode, SPAN("VALIDATED"));

    if (mode.len && !is_any && !is_validated && !span_is_equal(mode, SPAN("AUTO")) &&
        !span_is_equal(mode, SPAN("NONE")) && !span_is_equal(mode, SPAN("MODE_UNSPECIFIED")))
        return sim_refuse(
            in, SPAN("tool_config.function_calling_config.mode"),
            "Invalid value at 'tool_config.function_calling_config.mode' (TYPE_ENUM)");
    if (yyjson_arr_size(allowed) && !is_any && !is_validated)
        return sim_refuse(in, SPAN("tool_config.function_calling_config.allowed_function_names"),
                          "Allowed function names should be set only when function calling mode is "
                          "ANY or VALIDATED.");
    if ((!is_any && !is_user_last) || span_is_equal(mode, SPAN("NONE")))
        in->ask->tool_count = 0;
    return in->ask->tool_count && yyjson_arr_size(allowed) ? choose(in, allowed) : 0;
}

static int read_tools(struct sim_request *in, bool is_user_last, bool *ret_has_functions)
{
    yyjson_arr_iter iter;
    yyjson_val *tool;
    size_t index = 0;
    int err = 0;

    yyjson_arr_iter_init(sim_gemini_member(in->root, "tools"), &iter);
    if (sim_request_tools(in, SIM_MAX_TOOLS))
        return ERR_NOMEM;
    for (; !err && (tool = yyjson_arr_iter_next(&iter)); index++)
        err = read_tool(in, tool, index);
    *ret_has_functions = in->ask->tool_count > 0;
    return err ? err : read_mode(in, is_user_last);
}

/* --- the configuration --- */

/* A number from min to max, also one that is spelled in a string; absent leaves it. */
static int read_number(struct sim_request *in, yyjson_val *config, const char *name, double min,
                       double max, double *ret_value)
{
    yyjson_val *value = sim_gemini_member(config, name);
    struct span text = json_tree_text(value);
    uint64_t whole = 0;
    double number;

    if (!value)
        return 0;
    if (text.ptr && span_to_u64(text, &whole))
        return sim_refuse_with(in, span_from_text(name),
                               "Invalid value at 'generation_config.%s' (TYPE_DOUBLE)", name);
    number = text.ptr ? (double)whole : yyjson_get_num(value);
    if (number < min || number > max)
        return sim_refuse_with(in, span_from_text(name),
                               "generation_config.%s: it must be in the range [%g, %g].", name, min,
                               max);
    *ret_value = number;
    return 0;
}

static int read_thinking(struct sim_request *in, yyjson_val *config)
{
    yyjson_val *thinking = sim_gemini_member(config, "thinking_config");
    struct span level = sim_gemini_text(thinking, "thinking_level");
    bool has_budget = sim_gemini_member(thinking, "thinking_budget") != NULL;
    bool is_third = sim_gemini_signs(in->ask->model);
    double budget = -1;
    int err = read_number(in, thinking, "thinking_budget", -1, UINT32_MAX, &budget);

    if (err || !thinking)
        return err;
    if (level.ptr && has_budget)
        return sim_refuse(in, SPAN("generation_config.thinking_config"),
                          "You can only set only one of thinking budget and thinking level.");
    if (level.ptr && span_has_prefix(in->ask->model, SPAN("gemini-2")))
        return sim_refuse(in, SPAN("generation_config.thinking_config"),
                          "Thinking level is not supported for this model.");
    if (budget == 0 && (is_third || span_has_prefix(in->ask->model, SPAN("gemini-2.5-pro"))))
        return sim_refuse(in, SPAN("generation_config.thinking_config"),
                          "Budget 0 is invalid. This model only works in thinking mode.");
    in->ask->is_thinking = budget != 0;
    in->ask->is_thinking_told =
        in->ask->is_thinking && yyjson_get_bool(sim_gemini_member(thinking, "include_thoughts"));
    return 0;
}

static int read_format(struct sim_request *in, yyjson_val *config, bool has_functions)
{
    static const struct span field = SPAN_INIT("generation_config.response_mime_type");
    struct span type = sim_gemini_text(config, "response_mime_type");
    yyjson_val *schema = sim_gemini_member(config, "response_schema");
    yyjson_val *json_schema = sim_gemini_member(config, "response_json_schema");
    bool is_json = span_is_equal(type, SPAN("application/json"));
    bool is_old = span_has_prefix(in->ask->model, SPAN("gemini-1")) ||
                  span_has_prefix(in->ask->model, SPAN("gemini-2"));

    if (schema && json_schema)
        return sim_refuse(in, SPAN("generation_config"),
                          "response_schema and response_json_schema are mutually exclusive.");
    if ((schema || json_schema) && !is_json && !span_is_equal(type, SPAN("text/x.enum")))
        return sim_refuse(in, field,
                          "a response schema is supported with the response mime type "
                          "'application/json' alone.");
    if (is_json && has_functions && is_old)
        return sim_refuse(in, field,
                          "Function calling with a response mime type: 'application/json' is "
                          "unsupported");
    return is_json ? sim_request_json(in, schema ? schema : json_schema, field) : 0;
}

static int read_config(struct sim_request *in, bool has_functions)
{
    yyjson_val *config = sim_gemini_member(in->root, "generation_config");
    double candidates = 1, tokens = 0, unused = 0;
    int err = read_number(in, config, "candidate_count", 1, MAX_CANDIDATES, &candidates);

    if (!err)
        err = read_number(in, config, "max_output_tokens", 1, UINT32_MAX, &tokens);
    if (!err)
        err = read_number(in, config, "temperature", 0, 2, &unused);
    if (!err)
        err = read_number(in, config, "top_p", 0, 1, &unused);
    if (!err && yyjson_arr_size(sim_gemini_member(config, "stop_sequences")) > MAX_STOPS)
        err = sim_refuse(in, SPAN("generation_config.stop_sequences"),
                         "at most 5 stop sequences are allowed.");
    if (!err)
        err = sim_request_stops(in, sim_gemini_member(config, "stop_sequences"));
    if (!err)
        err = read_thinking(in, config);
    if (!err)
        err = read_format(in, config, has_functions);
    in->ask->choices = (unsigned)candidates;
    if (tokens > 0)
        in->ask->max_tokens = (uint64_t)tokens;
    return err;
}

/* --- the whole --- */

static int read_generation(struct sim_request *in)
{
    bool is_user_last = false, has_functions = false;
    int err = sim_gemini_read_contents(in, &is_user_last);

    if (!err)
        err = read_tools(in, is_user_last, &has_functions);
    return err ? err : read_config(in, has_functions);
}

static int read_count(struct sim_request *in)
{
    yyjson_val *wrapped = sim_gemini_member(in->root, "generate_content_request");

    if (wrapped)
        in->root = wrapped;
    return read_generation(in);
}

static int read_dimensions(struct sim_request *in, yyjson_val *request)
{
    double dimensions = sim_request_dimensions(in);
    int err = read_number(in, request, "output_dimensionality", 1, SIM_MAX_DIMENSIONS, &dimensions);

    in->ask->dimensions = (unsigned)dimensions;
    return err;
}

static int read_embedding(struct sim_request *in)
{
    int err = sim_request_texts(in, 1);

    if (!err)
        err = read_dimensions(in, in->root);
    return err ? err
               : sim_gemini_read_input(in, sim_gemini_member(in->root, "content"), SPAN("content"));
}

/* Each request of a batch repeats the model. */
static int read_batched(struct sim_request *in, yyjson_val *request, size_t index)
{
    struct span model = sim_gemini_text(request, "model");
    struct span field = sim_field_name(in, "requests[%zu]", index);
    int err;

    if (!span_has_prefix(model, SPAN("models/")) ||
        !span_is_equal(span_skip(model, sizeof("models/") - 1), in->ask->model))
        return sim_refuse(in, field, "model: it must be the model of the path, 'models/...'");
    err = read_dimensions(in, request);
    return err ? err : sim_gemini_read_input(in, sim_gemini_member(request, "content"), field);
}

static int read_batch(struct sim_request *in)
{
    yyjson_val *requests = sim_gemini_member(in->root, "requests"), *request;
    size_t count = yyjson_arr_size(requests), index = 0;
    yyjson_arr_iter iter;
    int err = 0;

    if (count == 0 || count > MAX_BATCH)
        return sim_refuse(in, SPAN("requests"),
                          "at least one and at most 100 requests can be in "
                          "one batch");
    if (sim_request_texts(in, count))
        return ERR_NOMEM;
    yyjson_arr_iter_init(requests, &iter);
    for (; !err && (request = yyjson_arr_iter_next(&iter)); index++)
        err = read_batched(in, request, index);
    return err;
}

static int read(struct sim_request *in)
{
    bool is_batch = in->route->form == SIM_GEMINI_BATCH;
    int err;

    in->ask->model = in->route->model;
    in->ask->start = SIM_START_NEVER;
    in->ask->is_call_whole = in->ask->is_usage_wanted = true;
    if (in->route->op == SIM_OP_EMBEDDING) {
        err = sim_gemini_check_names(in, is_batch ? SIM_GEMINI_EMBEDS : SIM_GEMINI_EMBED);
        if (err)
            return err;
        return is_batch ? read_batch(in) : read_embedding(in);
    }
    if (in->route->op == SIM_OP_TOKENS) {
        err = sim_gemini_check_names(in, SIM_GEMINI_COUNT);
        return err ? err : read_count(in);
    }
    err = sim_gemini_check_names(in, SIM_GEMINI_GENERATE);
    return err ? err : read_generation(in);
}

int sim_gemini_parse(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure)
{
    return sim_request_read(route, body, refused, refused_status, arena, ret_ask, ret_failure,
                            read);
}
