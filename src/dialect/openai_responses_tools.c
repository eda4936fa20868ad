#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_responses_inner.h"

static int refuse_missing(struct chat_reading *reading, const char *param)
{
    return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, param,
                       "Missing required parameter: '%s'.", param);
}

static enum chat_maybe maybe_of(const yyjson_val *flag)
{
    if (!flag)
        return CHAT_NOT_SAID;
    return yyjson_is_true(json_tree_plain(flag)) ? CHAT_YES : CHAT_NO;
}

/* Anything but a function or a custom tool is one that OpenAI runs itself. */
static int read_tool(struct chat_reading *reading, const yyjson_val *value, size_t index,
                     struct chat_tool *tool)
{
    struct span type = json_tree_string(value, "type");
    const yyjson_val *schema = json_tree_member(value, "parameters");
    char param[64];

    snprintf(param, sizeof(param), "tools[%zu].type", index);
    if (!type.len)
        return refuse_missing(reading, param);
    *tool = (struct chat_tool){.kind = CHAT_TOOL_OWN, .name = type, .whole = value};
    if (span_is_equal(type, SPAN("function")))
        tool->kind = CHAT_TOOL_FUNCTION;
    else if (span_is_equal(type, SPAN("custom")))
        tool->kind = CHAT_TOOL_CUSTOM;
    else
        return 0;
    tool->name = json_tree_string(value, "name");
    tool->description = json_tree_string(value, "description");
    snprintf(param, sizeof(param), "tools[%zu].name", index);
    if (!tool->name.len)
        return refuse_missing(reading, param);
    if (tool->kind == CHAT_TOOL_CUSTOM) {
        tool->format = json_tree_member(value, "format");
        return 0;
    }
    snprintf(param, sizeof(param), "tools[%zu].parameters", index);
    if (schema && !yyjson_is_obj(json_tree_plain(schema)))
        return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, param,
                           "Invalid type for '%s': expected an object.", param);
    tool->schema = schema;
    tool->strict = maybe_of(json_tree_member(value, "strict"));
    return 0;
}

int responses_read_tools(struct chat_reading *reading, const yyjson_val *tools)
{
    yyjson_val *list = json_tree_plain(tools);
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    struct chat *chat = reading->chat;
    size_t count = yyjson_arr_size(list);
    yyjson_val *item;
    int err = 0;

    if (!yyjson_is_arr(list))
        return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, "tools",
                           "Invalid type for 'tools': expected an array.");
    if (count > CHAT_TOOLS_MAX)
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "tools",
                           "Invalid 'tools': at most %d are possible.", CHAT_TOOLS_MAX);
    if (count == 0)
        return 0;
    chat->tools = arena_zalloc(reading->arena, count * sizeof(*chat->tools));
    if (!chat->tools)
        return ERR_NOMEM;
    while (!err && (item = yyjson_arr_iter_next(&items))) {
        err = read_tool(reading, item, chat->tool_count, &chat->tools[chat->tool_count]);
        chat->tool_count += !err;
    }
    return err;
}

/* --- which of them --- */

static int read_choice_word(struct chat_reading *reading, struct span word)
{
    struct chat *chat = reading->chat;

    if (span_is_equal(word, SPAN("auto")))
        chat->choice = CHAT_CHOICE_AUTO;
    else if (span_is_equal(word, SPAN("none")))
        chat->choice = CHAT_CHOICE_NONE;
    else if (span_is_equal(word, SPAN("required")))
        chat->choice = CHAT_CHOICE_ANY;
    else
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "tool_choice",
                           "Invalid value: '%.*s'. Supported values are: 'none', 'auto' and "
                           "'required'.",
                           word.len > 64 ? 64 : (int)word.len, word.ptr);
    return 0;
}

/* A tool as a choice names it: by its name, or by its type where OpenAI runs it. */
static struct span name_of(const yyjson_val *tool)
{
    struct span type = json_tree_string(tool, "type");

    if (span_is_equal(type, SPAN("function")) || span_is_equal(type, SPAN("custom")))
        return json_tree_string(tool, "name");
    return type;
}

static int read_allowed(struct chat_reading *reading, const yyjson_val *choice)
{
    yyjson_val *list = json_tree_plain(json_tree_member(choice, "tools"));
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    bool is_any = span_is_equal(json_tree_string(choice, "mode"), SPAN("required"));
    struct chat *chat = reading->chat;
    yyjson_val *item;
    int err;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0)
        return refuse_missing(reading, "tool_choice.tools");
    err = chat_choice_names_new(reading, yyjson_arr_size(list));
    if (err)
        return err;
    while ((item = yyjson_arr_iter_next(&items))) {
        struct span name = name_of(item);

        if (!name.len)
            return refuse_missing(reading, "tool_choice.tools.name");
        chat->choice_names[chat->choice_name_count++] = name;
    }
    chat->choice = is_any ? CHAT_CHOICE_SOME_ANY : CHAT_CHOICE_SOME_AUTO;
    return 0;
}

int responses_read_tool_choice(struct chat_reading *reading, const yyjson_val *choice)
{
    struct span name;

    if (json_tree_text(choice).ptr)
        return read_choice_word(reading, json_tree_text(choice));
    if (!yyjson_is_obj(json_tree_plain(choice)))
        return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, "tool_choice",
                           "Invalid type for 'tool_choice': expected a string or an object.");
    if (span_is_equal(json_tree_string(choice, "type"), SPAN("allowed_tools")))
        return read_allowed(reading, choice);
    name = name_of(choice);
    return name.len ? chat_choose_one(reading, name) : refuse_missing(reading, "tool_choice.name");
}
