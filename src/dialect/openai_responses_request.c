#include "dialect/openai_responses_inner.h"
#include "dialect/parameters.h"

static int refuse_type(struct chat_reading *reading, const char *param, const char *wanted)
{
    return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, param,
                       "Invalid type for '%s': expected %s.", param, wanted);
}

static int refuse_value(struct chat_reading *reading, const char *param, struct span value,
                        const char *wanted)
{
    return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, param,
                       "Invalid value: '%.*s'. Supported values are: %s.",
                       value.len > 64 ? 64 : (int)value.len, value.ptr, wanted);
}

static bool is_null(const yyjson_val *value)
{
    return !value || yyjson_is_null(json_tree_plain(value));
}

/* --- the shape of the answer --- */

static int read_schema_format(struct chat_reading *reading, const yyjson_val *format)
{
    struct chat_format *to = &reading->chat->format;
    const yyjson_val *strict = json_tree_member(format, "strict");

    to->kind = CHAT_FORMAT_SCHEMA;
    to->name = json_tree_string(format, "name");
    to->description = json_tree_string(format, "description");
    to->schema = json_tree_member(format, "schema");
    if (!yyjson_is_obj(json_tree_plain(to->schema)))
        return refuse_type(reading, "text.format.schema", "an object");
    if (!to->name.len)
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "text.format.name",
                           "Missing required parameter: 'text.format.name'.");
    if (strict)
        to->strict = yyjson_is_true(json_tree_plain(strict)) ? CHAT_YES : CHAT_NO;
    return 0;
}

static int read_format(struct chat_reading *reading, const yyjson_val *format)
{
    struct span type = json_tree_string(format, "type");

    if (is_null(format) || span_is_equal(type, SPAN("text")))
        return 0;
    if (span_is_equal(type, SPAN("json_schema")))
        return read_schema_format(reading, format);
    if (!span_is_equal(type, SPAN("json_object")))
        return refuse_value(reading, "text.format.type", type,
                            "'text', 'json_object' and 'json_schema'");
    reading->chat->format.kind = CHAT_FORMAT_JSON;
    return 0;
}

static int read_text(struct chat_reading *reading, const yyjson_val *text)
{
    const yyjson_val *verbosity = json_tree_member(text, "verbosity");
    int err = read_format(reading, json_tree_member(text, "format"));

    if (!err && verbosity)
        (void)parameter_take(reading, SPAN("text."), SPAN("verbosity"), verbosity, &err);
    return err;
}

/* --- thought --- */

static int read_effort(struct chat_reading *reading, struct span word)
{
    enum chat_effort effort = chat_effort_of(word);

    if (effort == CHAT_EFFORT_NOT_SAID)
        return refuse_value(reading, "reasoning.effort", word,
                            "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' and 'max'");
    reading->chat->thinking.effort = effort;
    return 0;
}

/* "auto", "concise" and "detailed" all ask to see something; no other provider tells them apart. */
static int read_reasoning_member(struct chat_reading *reading, struct span name,
                                 const yyjson_val *value)
{
    if (is_null(value))
        return 0;
    if (span_is_equal(name, SPAN("effort"))) {
        if (!json_tree_text(value).ptr)
            return refuse_type(reading, "reasoning.effort", "a string");
        return read_effort(reading, json_tree_text(value));
    }
    if (span_is_equal(name, SPAN("summary")) || span_is_equal(name, SPAN("generate_summary"))) {
        reading->chat->thinking.show = CHAT_YES;
        return 0;
    }
    parameter_note_unknown(reading, SPAN("reasoning."), name, NULL);
    return 0;
}

static int read_reasoning(struct chat_reading *reading, const yyjson_val *reasoning)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(json_tree_plain(reasoning));
    yyjson_val *name;
    int err = 0;

    while (!err && (name = yyjson_obj_iter_next(&members)))
        err = read_reasoning_member(reading, json_tree_text(name), yyjson_obj_iter_get_val(name));
    return err;
}

/* --- what else to tell --- */

/* Of what may be included, only what hangs on the built-in tools is of no use here: those are
 * refused, and so it is dropped where it is all that remains. */
static int read_include(struct chat_reading *reading, const yyjson_val *include)
{
    static const yyjson_val yes = {.tag = YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE};
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(include));
    yyjson_val *item;
    bool has_more = false;

    while ((item = yyjson_arr_iter_next(&items))) {
        struct span name = json_tree_text(item);

        if (span_is_equal(name, SPAN("message.output_text.logprobs")))
            reading->chat->params[CHAT_LOGPROBS_PARAM] = &yes;
        else if (!span_is_equal(name, SPAN("reasoning.encrypted_content")))
            has_more = true;
    }
    if (!has_more)
        reading->chat->params[CHAT_INCLUDE_PARAM] = NULL;
    return 0;
}

static int read_max_tokens(struct chat_reading *reading, const yyjson_val *number)
{
    if (!json_tree_int(number, &reading->chat->max_tokens) || reading->chat->max_tokens < 1)
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "max_output_tokens",
                           "Invalid 'max_output_tokens': it must be 1 at least.");
    return 0;
}

/* What has a place of its own in the neutral form. */
static int read_places(struct chat_reading *reading)
{
    const yyjson_val **params = reading->chat->params;
    const yyjson_val *user = params[CHAT_SAFETY_IDENTIFIER_PARAM];
    int err = 0;

    if (!user)
        user = params[CHAT_USER_PARAM];
    reading->chat->user = json_tree_text(user);
    if (params[CHAT_PARALLEL_CALLS_PARAM])
        reading->chat->parallel_calls = CHAT_NO; /* the other value is idle */
    if (params[CHAT_TEXT_PARAM])
        err = read_text(reading, params[CHAT_TEXT_PARAM]);
    if (!err && params[CHAT_REASONING_PARAM])
        err = read_reasoning(reading, params[CHAT_REASONING_PARAM]);
    if (!err && params[CHAT_MAX_TOKENS_PARAM])
        err = read_max_tokens(reading, params[CHAT_MAX_TOKENS_PARAM]);
    if (!err && params[CHAT_INCLUDE_PARAM])
        err = read_include(reading, params[CHAT_INCLUDE_PARAM]);
    return err;
}

/* --- members --- */

/* Members that are read apart, or that say nothing to a provider: true. */
static bool is_apart(struct span name)
{
    static const struct span apart[] = {
        SPAN_INIT("model"),
        SPAN_INIT("input"),
        SPAN_INIT("instructions"),
        SPAN_INIT("tools"),
        SPAN_INIT("tool_choice"),
        SPAN_INIT("stream"),
        /* Padding against eavesdroppers, which only OpenAI knows. */
        SPAN_INIT("stream_options"),
    };

    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
        if (span_is_equal(name, apart[i]))
            return true;
    }
    return false;
}

static int read_parameters(struct chat_reading *reading, const yyjson_val *root)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(json_tree_plain(root));
    yyjson_val *name;
    int err = 0;

    while (!err && (name = yyjson_obj_iter_next(&members))) {
        struct span text = json_tree_text(name);
        yyjson_val *value = yyjson_obj_iter_get_val(name);

        if (!is_apart(text) && !parameter_take(reading, SPAN(""), text, value, &err) &&
            !yyjson_is_null(value))
            parameter_note_unknown(reading, SPAN(""), text, value);
    }
    return err;
}

static int read_head(struct chat_reading *reading, const yyjson_val *root)
{
    const yyjson_val *stream = json_tree_member(root, "stream");
    const yyjson_val *model = json_tree_member(root, "model");

    if (!yyjson_is_obj(json_tree_plain(root)))
        return chat_refuse(reading->refusal, FAILURE_BODY_NOT_OBJECT, NULL,
                           "The request body must be a JSON object.");
    if (stream && !yyjson_is_bool(json_tree_plain(stream)))
        return refuse_type(reading, "stream", "a boolean");
    if (model && !json_tree_text(model).ptr)
        return refuse_type(reading, "model", "a string");
    reading->chat->is_streaming = yyjson_is_true(json_tree_plain(stream));
    reading->chat->wants_usage = true;
    if (!reading->chat->model.len)
        reading->chat->model = json_tree_text(model);
    reading->chat->root = root;
    return 0;
}

int responses_read_request(struct chat_reading *reading, const yyjson_val *root)
{
    const yyjson_val *choice = json_tree_member(root, "tool_choice");
    const yyjson_val *tools = json_tree_member(root, "tools");
    const yyjson_val *instructions = json_tree_member(root, "instructions");
    int err = read_head(reading, root);

    if (!err)
        err = read_parameters(reading, root);
    if (!err)
        err = read_places(reading);
    if (!err && instructions && !json_tree_text(instructions).ptr)
        err = refuse_type(reading, "instructions", "a string");
    if (!err)
        err = responses_read_input(reading, json_tree_member(root, "input"), instructions);
    if (!err && tools)
        err = responses_read_tools(reading, tools);
    if (!err && choice)
        err = responses_read_tool_choice(reading, choice);
    return err;
}
