/* Reads the tools of a request, and how they may be chosen. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"

enum chat_cache anthropic_read_cache(const yyjson_val *object)
{
    const yyjson_val *mark = json_tree_member(object, "cache_control");

    if (!mark)
        return CHAT_CACHE_NONE;
    return span_is_equal(json_tree_string(mark, "ttl"), SPAN("1h")) ? CHAT_CACHE_LONG
                                                                    : CHAT_CACHE_SHORT;
}

static int read_tool(struct chat_reading *reading, size_t index, const yyjson_val *value,
                     struct chat_tool *tool)
{
    const struct anthropic_place place = {NULL, "tools", index};
    const yyjson_val *strict = json_tree_member(value, "strict");
    struct span type = json_tree_string(value, "type");

    if (!yyjson_is_obj(json_tree_plain(value)))
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_TYPE, &place, NULL,
                                "A tool must be an object.");
    *tool = (struct chat_tool){.name = json_tree_string(value, "name"),
                               .description = json_tree_string(value, "description"),
                               .cache = anthropic_read_cache(value),
                               .schema = json_tree_member(value, "input_schema"),
                               .whole = value};
    if (strict)
        tool->strict = yyjson_is_true(json_tree_plain(strict)) ? CHAT_YES : CHAT_NO;
    if (type.len && !span_is_equal(type, SPAN("custom"))) {
        tool->kind = CHAT_TOOL_OWN;
        if (tool->name.len == 0)
            tool->name = type;
        return 0;
    }
    if (tool->name.len == 0)
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, &place, "name",
                                "A tool needs a name.");
    if (!yyjson_is_obj(json_tree_plain(tool->schema)))
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, &place, "input_schema",
                                "A tool needs a schema of its input.");
    return 0;
}

static int read_list(struct chat_reading *reading, const yyjson_val *list)
{
    struct chat *chat = reading->chat;
    size_t count = yyjson_arr_size(json_tree_plain(list));
    yyjson_arr_iter iter;
    yyjson_val *item;
    int err = 0;

    if (!yyjson_is_arr(json_tree_plain(list)) || count > CHAT_TOOLS_MAX)
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, NULL, "tools",
                                "The tools must be a list, and not of too many.");
    chat->tools = arena_zalloc(reading->arena, (count + 1) * sizeof(*chat->tools));
    if (!chat->tools)
        return ERR_NOMEM;
    iter = yyjson_arr_iter_with(json_tree_plain(list));
    while (!err && (item = yyjson_arr_iter_next(&iter))) {
        err = read_tool(reading, chat->tool_count, item, &chat->tools[chat->tool_count]);
        chat->tool_count++;
    }
    return err;
}

static int read_one(struct chat_reading *reading, const yyjson_val *choice)
{
    struct span name = json_tree_string(choice, "name");

    if (name.len == 0)
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, NULL, "tool_choice.name",
                                "A choice of one tool needs its name.");
    return chat_choose_one(reading, name);
}

static int read_choice(struct chat_reading *reading, const yyjson_val *choice)
{
    const yyjson_val *serial = json_tree_member(choice, "disable_parallel_tool_use");
    struct span type = json_tree_string(choice, "type");
    struct chat *chat = reading->chat;

    if (serial)
        chat->parallel_calls = yyjson_is_true(json_tree_plain(serial)) ? CHAT_NO : CHAT_YES;
    /* Said the other way round, it stands there to be named where it cannot be told. */
    if (chat->parallel_calls == CHAT_NO)
        chat->params[CHAT_PARALLEL_CALLS_PARAM] = serial;
    if (span_is_equal(type, SPAN("tool")))
        return read_one(reading, choice);
    if (span_is_equal(type, SPAN("auto")))
        chat->choice = CHAT_CHOICE_AUTO;
    else if (span_is_equal(type, SPAN("any")))
        chat->choice = CHAT_CHOICE_ANY;
    else if (span_is_equal(type, SPAN("none")))
        chat->choice = CHAT_CHOICE_NONE;
    else
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, NULL, "tool_choice.type",
                                "A choice of tools must be of type auto, any, tool or none.");
    return 0;
}

int anthropic_read_tools(struct chat_reading *reading, const yyjson_val *root)
{
    const yyjson_val *tools = json_tree_member(root, "tools");
    const yyjson_val *choice = json_tree_member(root, "tool_choice");
    int err = tools ? read_list(reading, tools) : 0;

    return err || !choice ? err : read_choice(reading, choice);
}
