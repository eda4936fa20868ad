/* Reads a request of the Messages API, but for its messages and tools: those have files of their
 * own. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"

static int refuse(struct chat_reading *reading, enum failure failure, const char *param,
                  const char *message)
{
    return chat_refuse(reading->refusal, failure, param, "%s", message);
}

/* --- the members of the body --- */

static bool is_read_apart(struct span name)
{
    static const struct span names[] = {SPAN_INIT("messages"), SPAN_INIT("system"),
                                        SPAN_INIT("tools"), SPAN_INIT("tool_choice")};

    return span_is_in(name, names, sizeof(names) / sizeof(names[0]));
}

static int take_model(struct chat_reading *reading, const yyjson_val *value)
{
    struct span model = json_tree_text(value);

    if (model.len == 0)
        return refuse(reading, FAILURE_MODEL_ABSENT, "model", "model: a name is required.");
    reading->chat->model = model;
    return 0;
}

static int take_stream(struct chat_reading *reading, const yyjson_val *value)
{
    if (!yyjson_is_bool(json_tree_plain(value)))
        return refuse(reading, FAILURE_FIELD_TYPE, "stream", "stream: must be true or false.");
    reading->chat->is_streaming = yyjson_is_true(json_tree_plain(value));
    return 0;
}

static int take_member(struct chat_reading *reading, struct span name, const yyjson_val *value)
{
    int err = 0;

    if (yyjson_is_null(json_tree_plain(value)) || is_read_apart(name))
        return 0;
    if (span_is_equal(name, SPAN("model")))
        return take_model(reading, value);
    if (span_is_equal(name, SPAN("stream")))
        return take_stream(reading, value);
    if (!parameter_take(reading, SPAN(""), name, value, &err))
        parameter_note_unknown(reading, SPAN(""), name, value);
    return err;
}

static int take_members(struct chat_reading *reading, const yyjson_val *root)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(root));
    yyjson_val *name;
    int err = 0;

    while (!err && (name = yyjson_obj_iter_next(&iter)))
        err = take_member(reading, json_tree_text(name), yyjson_obj_iter_get_val(name));
    return err;
}

/* --- what the parameters mean --- */

static int read_max_tokens(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_MAX_TOKENS_PARAM];
    int64_t number;

    if (!value) {
        if (reading->chat->form == FORM_COUNT_TOKENS)
            return 0;
        return refuse(reading, FAILURE_FIELD_VALUE, "max_tokens", "max_tokens: Field required");
    }
    /* 0 asks Anthropic to warm its cache and to answer nothing, which no other provider can do. */
    if (!json_tree_int(value, &number) || number < 1)
        return refuse(reading, FAILURE_FIELD_VALUE, "max_tokens",
                      "max_tokens: must be greater than or equal to 1.");
    reading->chat->max_tokens = number;
    return 0;
}

static int read_stops(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_STOP_PARAM];
    bool is_list = yyjson_is_arr(json_tree_plain(value));
    int err = !value ? 0 : is_list ? chat_read_stops(reading, value) : ERR_RANGE;

    if (err == ERR_RANGE)
        return refuse(reading, FAILURE_FIELD_VALUE, "stop_sequences",
                      "stop_sequences: must be a list of at most 64 texts.");
    if (err == ERR_SYNTAX)
        return refuse(reading, FAILURE_FIELD_TYPE, "stop_sequences",
                      "stop_sequences: must be a list of texts.");
    return err;
}

static int read_budget(struct chat_reading *reading, const yyjson_val *thinking)
{
    if (!json_tree_int(json_tree_member(thinking, "budget_tokens"),
                       &reading->chat->thinking.budget) ||
        reading->chat->thinking.budget < 1)
        return refuse(reading, FAILURE_FIELD_VALUE, "thinking.budget_tokens",
                      "thinking.budget_tokens: must be a number of tokens.");
    return 0;
}

/* Thoughts are shown where thinking is switched on and nothing else is said. */
static int read_thinking(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_THINKING_PARAM];
    struct chat_thinking *thinking = &reading->chat->thinking;
    struct span type = json_tree_string(value, "type");
    bool is_omitted = span_is_equal(json_tree_string(value, "display"), SPAN("omitted"));

    thinking->show = CHAT_NO;
    if (!value)
        return 0;
    if (span_is_equal(type, SPAN("disabled"))) {
        thinking->effort = CHAT_EFFORT_NONE;
        return 0;
    }
    thinking->show = is_omitted ? CHAT_NO : CHAT_YES;
    if (span_is_equal(type, SPAN("enabled")))
        return read_budget(reading, value);
    if (!span_is_equal(type, SPAN("adaptive")) && !span_is_equal(type, SPAN("between_tools")))
        return refuse(reading, FAILURE_FIELD_VALUE, "thinking.type",
                      "thinking.type: must be enabled, adaptive, between_tools or disabled.");
    thinking->is_adaptive = true;
    return 0;
}

static int read_effort(struct chat_reading *reading, struct span word)
{
    static const struct {
        struct span word;
        enum chat_effort effort;
    } words[] = {
        {SPAN_INIT("low"), CHAT_EFFORT_LOW},   {SPAN_INIT("medium"), CHAT_EFFORT_MEDIUM},
        {SPAN_INIT("high"), CHAT_EFFORT_HIGH}, {SPAN_INIT("xhigh"), CHAT_EFFORT_XHIGH},
        {SPAN_INIT("max"), CHAT_EFFORT_MAX},
    };

    /* Switched off is off. */
    if (!word.ptr || reading->chat->thinking.effort == CHAT_EFFORT_NONE)
        return 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_is_equal(word, words[i].word)) {
            reading->chat->thinking.effort = words[i].effort;
            return 0;
        }
    }
    return refuse(reading, FAILURE_FIELD_VALUE, "output_config.effort",
                  "output_config.effort: must be low, medium, high, xhigh or max.");
}

static int read_format(struct chat_reading *reading, const yyjson_val *value, const char *param)
{
    const yyjson_val *schema = json_tree_member(value, "schema");

    if (!value)
        return 0;
    if (!span_is_equal(json_tree_string(value, "type"), SPAN("json_schema")) ||
        !yyjson_is_obj(json_tree_plain(schema)))
        return refuse(reading, FAILURE_FIELD_VALUE, param,
                      "The output format must be of type json_schema and have a schema.");
    reading->chat->format = (struct chat_format){.kind = CHAT_FORMAT_SCHEMA, .schema = schema};
    return 0;
}

static int read_output(struct chat_reading *reading)
{
    const yyjson_val *config = reading->chat->params[CHAT_OUTPUT_CONFIG_PARAM];
    int err = read_effort(reading, json_tree_string(config, "effort"));

    /* output_format is what it was called while it was a beta. */
    if (!err)
        err =
            read_format(reading, reading->chat->params[CHAT_OUTPUT_FORMAT_PARAM], "output_format");
    if (!err)
        err = read_format(reading, json_tree_member(config, "format"), "output_config.format");
    return err;
}

static int read_parameters(struct chat_reading *reading)
{
    int err = read_max_tokens(reading);

    if (!err)
        err = read_stops(reading);
    if (!err)
        err = read_thinking(reading);
    if (!err)
        err = read_output(reading);
    reading->chat->user = json_tree_string(reading->chat->params[CHAT_METADATA_PARAM], "user_id");
    return err;
}

int anthropic_read_request(struct chat_reading *reading, const yyjson_val *root)
{
    int err;

    if (!yyjson_is_obj(json_tree_plain(root)))
        return refuse(reading, FAILURE_BODY_NOT_OBJECT, NULL,
                      "The request body must be a JSON object.");
    /* Every stream of this dialect tells its usage. */
    reading->chat->wants_usage = true;
    err = take_members(reading, root);
    if (!err && reading->chat->model.len == 0)
        err = take_model(reading, NULL);
    if (!err)
        err = read_parameters(reading);
    if (!err)
        err = anthropic_read_messages(reading, root);
    if (!err)
        err = anthropic_read_tools(reading, root);
    return err;
}
