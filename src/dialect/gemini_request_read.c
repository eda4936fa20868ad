/* Requests of generateContent: parameters, and what holds the rest together. */
#include "base/err.h"
#include "dialect/gemini_inner.h"

struct request {
    const yyjson_val *contents, *system, *tools, *tool_config;
};

static int refuse(struct chat_reading *reading, enum failure failure, const char *param,
                  const char *what)
{
    return chat_refuse(reading->refusal, failure, param, "Invalid value at '%s': %s.", param, what);
}

/* --- parameters with a place of their own --- */

static int take_max_tokens(struct chat_reading *reading)
{
    struct chat *chat = reading->chat;
    int64_t tokens;

    if (!json_tree_int(chat->params[CHAT_MAX_TOKENS_PARAM], &tokens))
        return 0;
    if (tokens < 0)
        return refuse(reading, FAILURE_FIELD_VALUE, "generationConfig.maxOutputTokens",
                      "it must not be negative");
    chat->max_tokens = tokens;
    return 0;
}

static int take_stops(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_STOP_PARAM];
    bool is_list = yyjson_is_arr(json_tree_plain(value));
    int err = !value ? 0 : is_list ? chat_read_stops(reading, value) : ERR_RANGE;

    if (err == ERR_RANGE)
        return refuse(reading, FAILURE_FIELD_VALUE, "generationConfig.stopSequences",
                      "a short list of strings is expected");
    if (err == ERR_SYNTAX)
        return refuse(reading, FAILURE_FIELD_TYPE, "generationConfig.stopSequences",
                      "a list of strings is expected");
    return err;
}

static int take_schema(struct chat_reading *reading)
{
    struct chat *chat = reading->chat;
    const yyjson_val *google = chat->params[CHAT_RESPONSE_SCHEMA_PARAM];

    chat->format.schema = chat->params[CHAT_RESPONSE_JSON_SCHEMA_PARAM];
    if (chat->format.schema || !google)
        return 0;
    chat->format.schema = gemini_schema_read(reading->arena, google);
    return chat->format.schema ? 0 : ERR_NOMEM;
}

static int take_format(struct chat_reading *reading)
{
    struct chat_format *format = &reading->chat->format;
    struct span type = json_tree_text(reading->chat->params[CHAT_RESPONSE_MIME_TYPE_PARAM]);
    int err = take_schema(reading);

    if (err)
        return err;
    if (span_is_equal(type, SPAN("application/json")) || (type.len == 0 && format->schema))
        format->kind = format->schema ? CHAT_FORMAT_SCHEMA : CHAT_FORMAT_JSON;
    else if (span_is_equal(type, SPAN("text/x.enum")))
        format->kind = CHAT_FORMAT_ENUM;
    else if (type.len && !span_is_equal(type, SPAN("text/plain")))
        return refuse(reading, FAILURE_FIELD_VALUE, "generationConfig.responseMimeType",
                      "one of text/plain, application/json and text/x.enum is expected");
    return 0;
}

static enum chat_effort effort_of(struct span level)
{
    static const struct {
        struct span level;
        enum chat_effort effort;
    } known[] = {
        {SPAN_INIT("MINIMAL"), CHAT_EFFORT_MINIMAL},
        {SPAN_INIT("LOW"), CHAT_EFFORT_LOW},
        {SPAN_INIT("MEDIUM"), CHAT_EFFORT_MEDIUM},
        {SPAN_INIT("HIGH"), CHAT_EFFORT_HIGH},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_is_equal_nocase(level, known[i].level))
            return known[i].effort;
    }
    return CHAT_EFFORT_NOT_SAID;
}

static int take_thinking(struct chat_reading *reading)
{
    const yyjson_val *config = reading->chat->params[CHAT_THINKING_CONFIG_PARAM];
    struct chat_thinking *thinking = &reading->chat->thinking;
    const yyjson_val *budget = gemini_member(config, "thinkingBudget");
    const yyjson_val *show = gemini_member(config, "includeThoughts");
    int64_t tokens;

    thinking->effort = effort_of(gemini_string(config, "thinkingLevel"));
    if (show)
        thinking->show = yyjson_get_bool(json_tree_plain(show)) ? CHAT_YES : CHAT_NO;
    if (!budget)
        return 0;
    if (!gemini_int(budget, &tokens) || tokens < -1)
        return refuse(reading, FAILURE_FIELD_VALUE, "generationConfig.thinkingConfig",
                      "thinkingBudget is -1, 0, or a number of tokens");
    if (tokens == 0)
        thinking->effort = CHAT_EFFORT_NONE;
    thinking->is_adaptive = tokens < 0;
    thinking->budget = tokens > 0 ? tokens : 0;
    return 0;
}

/* --- members --- */

static int read_config(struct chat_reading *reading, yyjson_val *config)
{
    const struct span prefix = SPAN("generationConfig.");
    yyjson_obj_iter members;
    yyjson_val *name;
    int err = 0;

    if (yyjson_is_null(config))
        return 0;
    if (!yyjson_obj_iter_init(config, &members))
        return refuse(reading, FAILURE_FIELD_TYPE, "generationConfig", "an object is expected");
    while (!err && (name = yyjson_obj_iter_next(&members))) {
        char buffer[GEMINI_FIELD_MAX];
        struct span spelled = json_tree_text(name);

        if (!parameter_take(reading, prefix, gemini_camel(spelled, buffer),
                            yyjson_obj_iter_get_val(name), &err))
            parameter_note_unknown(reading, prefix, spelled, NULL);
    }
    return err;
}

static int read_member(struct chat_reading *reading, struct request *request, struct span spelled,
                       yyjson_val *value)
{
    char buffer[GEMINI_FIELD_MAX];
    struct span name = gemini_camel(spelled, buffer);
    int err = 0;

    if (span_is_equal(name, SPAN("contents")))
        request->contents = value;
    else if (span_is_equal(name, SPAN("systemInstruction")))
        request->system = value;
    else if (span_is_equal(name, SPAN("tools")))
        request->tools = value;
    else if (span_is_equal(name, SPAN("toolConfig")))
        request->tool_config = value;
    else if (span_is_equal(name, SPAN("generationConfig")))
        err = read_config(reading, value);
    else if (span_is_equal(name, SPAN("model"))) {
        /* The path names it; a countTokens request repeats it. */
        if (reading->chat->model.len == 0)
            reading->chat->model = gemini_model_bare(json_tree_text(value));
    } else if (!parameter_take(reading, SPAN(""), name, value, &err))
        parameter_note_unknown(reading, SPAN(""), spelled, value);
    return err;
}

int gemini_read_request(struct chat_reading *reading, const yyjson_val *root)
{
    struct request request = {NULL};
    yyjson_obj_iter members;
    yyjson_val *name;
    int err = 0;

    if (!yyjson_obj_iter_init(json_tree_plain(root), &members))
        return chat_refuse(reading->refusal, FAILURE_BODY_NOT_OBJECT, NULL,
                           "The request body must be a JSON object.");
    /* Its streams always tell what was used. */
    reading->chat->wants_usage = true;
    reading->chat->root = root;
    while (!err && (name = yyjson_obj_iter_next(&members)))
        err = read_member(reading, &request, json_tree_text(name), yyjson_obj_iter_get_val(name));
    if (!err)
        err = gemini_read_contents(reading, request.system, request.contents);
    if (!err)
        err = gemini_read_tools(reading, request.tools, request.tool_config);
    if (!err)
        err = take_max_tokens(reading);
    if (!err)
        err = take_stops(reading);
    if (!err)
        err = take_format(reading);
    return err ? err : take_thinking(reading);
}
