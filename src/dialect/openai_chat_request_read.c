/* Requests for chat completions: the body's members, and what of them has a place of its own. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_chat_inner.h"

/* Puts the path at `text`, cut where it is full: how long it is then. */
static size_t spell(const struct openai_place *place, char *text, size_t cap)
{
    size_t len = place->up ? spell(place->up, text, cap) : 0;
    int more;

    if (place->name)
        more = snprintf(text + len, cap - len, "%s%s", len ? "." : "", place->name);
    else
        more = snprintf(text + len, cap - len, "[%zu]", place->index);
    len += more > 0 ? (size_t)more : 0;
    return len < cap ? len : cap - 1;
}

static const char *type_text(const yyjson_val *value)
{
    yyjson_val *plain = json_tree_plain(value);

    if (yyjson_is_str(plain))
        return "a string";
    if (yyjson_is_obj(plain))
        return "an object";
    if (yyjson_is_arr(plain))
        return "an array";
    if (yyjson_is_bool(plain))
        return "a boolean";
    return yyjson_is_num(plain) || yyjson_is_raw(plain) ? "a number" : "null";
}

int openai_refuse_type(struct chat_reading *reading, const struct openai_place *place,
                       const char *wanted, const yyjson_val *value)
{
    char path[OPENAI_PLACE_BYTES];

    (void)spell(place, path, sizeof(path));
    return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, path,
                       "Invalid type for '%s': expected %s, but got %s instead.", path, wanted,
                       type_text(value));
}

int openai_refuse_absent(struct chat_reading *reading, const struct openai_place *place)
{
    char path[OPENAI_PLACE_BYTES];

    (void)spell(place, path, sizeof(path));
    return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, path,
                       "Missing required parameter: '%s'.", path);
}

int openai_refuse_value(struct chat_reading *reading, const struct openai_place *place,
                        const char *why)
{
    char path[OPENAI_PLACE_BYTES];

    (void)spell(place, path, sizeof(path));
    return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, path, "Invalid value for '%s': %s.",
                       path, why);
}

int openai_no_parts(const struct chat_reading *reading)
{
    return reading->refusal->message[0] ? ERR_SYNTAX : ERR_NOMEM;
}

/* --- what has a place of its own --- */

static int read_max_tokens(struct chat_reading *reading)
{
    struct chat *chat = reading->chat;
    const yyjson_val *value = chat->params[CHAT_MAX_TOKENS_PARAM];
    const char *name = "max_completion_tokens";

    if (!value) {
        value = chat->params[CHAT_MAX_TOKENS_OLD_PARAM];
        name = "max_tokens";
    }
    if (!value)
        return 0;
    (void)json_tree_int(value, &chat->max_tokens);
    return chat->max_tokens > 0
               ? 0
               : openai_refuse_value(reading, OPENAI_IN(NULL, name), "it must be at least 1");
}

static int read_stops(struct chat_reading *reading)
{
    const struct chat *chat = reading->chat;
    const yyjson_val *value = chat->params[CHAT_STOP_PARAM];
    int err = value ? chat_read_stops(reading, value) : 0;

    if (err == ERR_RANGE)
        return openai_refuse_value(reading, OPENAI_IN(NULL, "stop"), "it holds too many sequences");
    if (err == ERR_SYNTAX)
        return openai_refuse_type(reading, OPENAI_ITEM(OPENAI_IN(NULL, "stop"), chat->stop_count),
                                  "a string",
                                  yyjson_arr_get(json_tree_plain(value), chat->stop_count));
    return err;
}

static void read_user(struct chat *chat)
{
    chat->user = json_tree_text(chat->params[CHAT_SAFETY_IDENTIFIER_PARAM]);
    if (chat->user.len == 0)
        chat->user = json_tree_text(chat->params[CHAT_USER_PARAM]);
}

static enum chat_maybe read_maybe(const yyjson_val *value)
{
    if (!yyjson_is_bool(json_tree_plain(value)))
        return CHAT_NOT_SAID;
    return yyjson_get_bool(json_tree_plain(value)) ? CHAT_YES : CHAT_NO;
}

static int read_format(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_RESPONSE_FORMAT_PARAM], *schema;
    struct chat_format *format = &reading->chat->format;
    struct span type = json_tree_string(value, "type");

    if (!value || span_is_equal(type, SPAN("text")))
        return 0;
    if (span_is_equal(type, SPAN("json_object"))) {
        format->kind = CHAT_FORMAT_JSON;
        return 0;
    }
    if (!span_is_equal(type, SPAN("json_schema")))
        return openai_refuse_value(reading, OPENAI_IN(NULL, "response_format.type"),
                                   "supported values are 'text', 'json_object' and 'json_schema'");
    value = json_tree_member(value, "json_schema");
    schema = json_tree_member(value, "schema");
    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_absent(reading, OPENAI_IN(NULL, "response_format.json_schema"));
    if (schema && !yyjson_is_obj(json_tree_plain(schema)))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "response_format.json_schema.schema"),
                                  "an object", schema);
    /* Without a schema any object fits. */
    format->kind = schema ? CHAT_FORMAT_SCHEMA : CHAT_FORMAT_JSON;
    format->schema = schema;
    format->name = json_tree_string(value, "name");
    format->description = json_tree_string(value, "description");
    format->strict = read_maybe(json_tree_member(value, "strict"));
    return 0;
}

/* --- thinking --- */

static int read_effort(struct chat_reading *reading, const yyjson_val *value,
                       const struct openai_place *place)
{
    struct span word = json_tree_text(value);
    enum chat_effort effort = chat_effort_of(word);

    /* Groq's word for what the model does of itself. */
    if (!value || span_is_equal(word, SPAN("default")) || span_is_equal(word, SPAN("auto")))
        return 0;
    if (effort == CHAT_EFFORT_NOT_SAID)
        return openai_refuse_value(reading, place,
                                   "supported values are 'none', 'minimal', 'low', 'medium', "
                                   "'high', 'xhigh' and 'max'");
    reading->chat->thinking.effort = effort;
    return 0;
}

static int read_budget(struct chat_reading *reading, const yyjson_val *value,
                       const struct openai_place *place)
{
    int64_t budget;

    if (!value)
        return 0;
    if (!json_tree_int(value, &budget))
        return openai_refuse_type(reading, place, "a number", value);
    if (budget <= 0)
        return openai_refuse_value(reading, place, "it must be at least 1");
    reading->chat->thinking.budget = budget;
    return 0;
}

/* OpenRouter's: {effort, max_tokens, exclude, enabled}. */
static int read_reasoning(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_REASONING_PARAM];
    struct chat_thinking *thinking = &reading->chat->thinking;
    int err;

    if (!value)
        return 0;
    err = read_effort(reading, json_tree_member(value, "effort"),
                      OPENAI_IN(NULL, "reasoning.effort"));
    if (!err)
        err = read_budget(reading, json_tree_member(value, "max_tokens"),
                          OPENAI_IN(NULL, "reasoning.max_tokens"));
    if (err)
        return err;
    if (read_maybe(json_tree_member(value, "exclude")) == CHAT_YES)
        thinking->show = CHAT_NO;
    if (read_maybe(json_tree_member(value, "enabled")) == CHAT_NO)
        thinking->effort = CHAT_EFFORT_NONE;
    else if (thinking->effort == CHAT_EFFORT_NOT_SAID && thinking->budget == 0)
        thinking->is_adaptive = read_maybe(json_tree_member(value, "enabled")) == CHAT_YES;
    return 0;
}

/* DeepSeek's switch, with the budget that others put beside it. */
static int read_thinking(struct chat_reading *reading)
{
    const yyjson_val *value = reading->chat->params[CHAT_THINKING_PARAM];
    struct span type = json_tree_string(value, "type");
    struct chat_thinking *thinking = &reading->chat->thinking;
    int err;

    if (!value)
        return 0;
    if (span_is_equal(type, SPAN("disabled"))) {
        thinking->effort = CHAT_EFFORT_NONE;
        return 0;
    }
    if (!span_is_equal(type, SPAN("enabled")) && !span_is_equal(type, SPAN("adaptive")))
        return openai_refuse_value(reading, OPENAI_IN(NULL, "thinking.type"),
                                   "supported values are 'enabled', 'disabled' and 'adaptive'");
    err = read_budget(reading, json_tree_member(value, "budget_tokens"),
                      OPENAI_IN(NULL, "thinking.budget_tokens"));
    thinking->is_adaptive = thinking->budget == 0;
    return err;
}

int openai_read_settings(struct chat_reading *reading)
{
    struct chat *chat = reading->chat;
    int err = read_max_tokens(reading);

    if (!err)
        err = read_stops(reading);
    if (!err)
        err = read_format(reading);
    if (!err)
        err = read_effort(reading, chat->params[CHAT_REASONING_EFFORT_PARAM],
                          OPENAI_IN(NULL, "reasoning_effort"));
    if (!err)
        err = read_reasoning(reading);
    if (!err)
        err = read_thinking(reading);
    read_user(chat);
    if (chat->params[CHAT_PARALLEL_CALLS_PARAM])
        chat->parallel_calls = read_maybe(chat->params[CHAT_PARALLEL_CALLS_PARAM]);
    return err;
}

/* --- the body --- */

int openai_read_stream(struct chat_reading *reading, const yyjson_val *value)
{
    if (!yyjson_is_bool(json_tree_plain(value)))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "stream"), "a boolean", value);
    reading->chat->is_streaming = yyjson_get_bool(json_tree_plain(value));
    return 0;
}

/* include_obfuscation asks for padding, of which there is none to ask for elsewhere. */
int openai_read_stream_options(struct chat_reading *reading, const yyjson_val *value)
{
    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "stream_options"), "an object", value);
    reading->chat->wants_usage = read_maybe(json_tree_member(value, "include_usage")) == CHAT_YES;
    return 0;
}

int openai_read_model(struct chat_reading *reading, const yyjson_val *value)
{
    if (!yyjson_is_str(json_tree_plain(value)))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "model"), "a string", value);
    if (reading->chat->model.len == 0)
        reading->chat->model = json_tree_text(value);
    return 0;
}

int openai_read_body(struct chat_reading *reading, const yyjson_val *root,
                     const struct openai_member *members, size_t count)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(root));
    yyjson_val *key;
    int err = 0;

    if (!yyjson_is_obj(json_tree_plain(root)))
        return chat_refuse(reading->refusal, FAILURE_BODY_NOT_OBJECT, NULL,
                           "The request body must be a JSON object.");
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        struct span name = json_tree_text(key);
        const yyjson_val *value = yyjson_obj_iter_get_val(key);
        size_t at = 0;

        if (yyjson_is_null(json_tree_plain(value)))
            continue;
        while (at < count && !span_is_equal(name, members[at].name))
            at++;
        if (at < count)
            err = members[at].read(reading, value);
        else if (!parameter_take(reading, SPAN(""), name, value, &err))
            parameter_note_unknown(reading, SPAN(""), name, value);
    }
    return err;
}

int openai_chat_read_request(struct chat_reading *reading, const yyjson_val *root)
{
    static const struct openai_member members[] = {
        {SPAN_INIT("model"), openai_read_model},
        {SPAN_INIT("messages"), openai_read_messages},
        {SPAN_INIT("stream"), openai_read_stream},
        {SPAN_INIT("stream_options"), openai_read_stream_options},
        {SPAN_INIT("tools"), openai_read_tools},
        {SPAN_INIT("tool_choice"), openai_read_tool_choice},
        {SPAN_INIT("functions"), openai_read_functions},
        {SPAN_INIT("function_call"), openai_read_function_call},
    };
    int err = openai_read_body(reading, root, members, sizeof(members) / sizeof(members[0]));

    if (!err && reading->chat->message_count == 0)
        err = openai_refuse_absent(reading, OPENAI_IN(NULL, "messages"));
    if (!err && reading->chat->model.len == 0)
        err = openai_refuse_absent(reading, OPENAI_IN(NULL, "model"));
    return err ? err : openai_read_settings(reading);
}
