/* Tools of a request, and how they may be used. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_inner.h"

static int refuse_type(struct chat_reading *reading, const char *param, const char *wanted)
{
    return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, param,
                       "Invalid value at '%s': %s is expected.", param, wanted);
}

static const yyjson_val *declarations_of(const yyjson_val *tool)
{
    return gemini_member(tool, "functionDeclarations");
}

/* Every declaration is a tool, and every other member of an item of `tools`. */
static size_t count_tools(yyjson_val *tools)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(tools);
    yyjson_val *item;
    size_t count = 0;

    while ((item = yyjson_arr_iter_next(&items)))
        count += yyjson_obj_size(item) + yyjson_arr_size(json_tree_plain(declarations_of(item)));
    return count;
}

static int read_declaration(struct chat_reading *reading, yyjson_val *value, size_t at)
{
    struct chat *chat = reading->chat;
    struct chat_tool *tool = &chat->tools[chat->tool_count];
    const yyjson_val *google = json_tree_member(value, "parameters");
    char param[96];

    tool->name = json_tree_string(value, "name");
    if (tool->name.len == 0) {
        snprintf(param, sizeof(param), "tools[0].functionDeclarations[%zu].name", at);
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, param,
                           "Invalid value at '%s': a function needs a name.", param);
    }
    tool->kind = CHAT_TOOL_FUNCTION;
    tool->description = json_tree_string(value, "description");
    tool->whole = value;
    tool->schema = gemini_member(value, "parametersJsonSchema");
    if (!tool->schema && google) {
        tool->schema = gemini_schema_read(reading->arena, google);
        if (!tool->schema)
            return ERR_NOMEM;
    }
    chat->tool_count++;
    return 0;
}

static int read_tool(struct chat_reading *reading, yyjson_val *item)
{
    struct chat *chat = reading->chat;
    yyjson_val *declarations = json_tree_plain(declarations_of(item)), *declaration, *name;
    yyjson_arr_iter list = yyjson_arr_iter_with(declarations);
    yyjson_obj_iter members = yyjson_obj_iter_with(item);
    size_t at = 0;
    int err = 0;

    if (declarations && !yyjson_is_arr(declarations))
        return refuse_type(reading, "tools[0].functionDeclarations", "a list");
    while (!err && (declaration = yyjson_arr_iter_next(&list)))
        err = read_declaration(reading, declaration, at++);
    while (!err && (name = yyjson_obj_iter_next(&members))) {
        if (yyjson_obj_iter_get_val(name) == declarations ||
            yyjson_is_null(yyjson_obj_iter_get_val(name)))
            continue;
        /* Google runs it itself. */
        chat->tools[chat->tool_count++] =
            (struct chat_tool){.kind = CHAT_TOOL_OWN, .name = json_tree_text(name), .whole = item};
    }
    return err;
}

static int read_tools(struct chat_reading *reading, yyjson_val *tools)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(tools);
    yyjson_val *item;
    size_t count;
    int err = 0;

    if (!tools || yyjson_is_null(tools))
        return 0;
    if (!yyjson_is_arr(tools))
        return refuse_type(reading, "tools", "a list");
    count = count_tools(tools);
    if (count > CHAT_TOOLS_MAX)
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "tools",
                           "The request declares more than %d tools.", CHAT_TOOLS_MAX);
    reading->chat->tools = arena_zalloc(reading->arena, (count + 1) * sizeof(struct chat_tool));
    if (!reading->chat->tools)
        return ERR_NOMEM;
    while (!err && (item = yyjson_arr_iter_next(&items)))
        err = read_tool(reading, item);
    return err;
}

/* --- how they may be used --- */

static int read_names(struct chat_reading *reading, yyjson_val *list)
{
    struct chat *chat = reading->chat;
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;
    int err = chat_choice_names_new(reading, yyjson_arr_size(list));

    if (err)
        return err;
    while ((item = yyjson_arr_iter_next(&items))) {
        if (!yyjson_is_str(item))
            return refuse_type(reading, "toolConfig.functionCallingConfig.allowedFunctionNames",
                               "a list of strings");
        chat->choice_names[chat->choice_name_count++] = json_tree_text(item);
    }
    return 0;
}

static enum chat_choice_kind choice_of(struct span mode, size_t names)
{
    if (span_is_equal_nocase(mode, SPAN("NONE")))
        return CHAT_CHOICE_NONE;
    if (span_is_equal_nocase(mode, SPAN("ANY"))) {
        if (names == 0)
            return CHAT_CHOICE_ANY;
        return names == 1 ? CHAT_CHOICE_ONE : CHAT_CHOICE_SOME_ANY;
    }
    /* VALIDATED: calls or text, and calls that fit their schemas. */
    return names ? CHAT_CHOICE_SOME_AUTO : CHAT_CHOICE_AUTO;
}

static bool is_mode(struct span mode)
{
    static const struct span known[] = {SPAN_INIT("AUTO"), SPAN_INIT("ANY"), SPAN_INIT("NONE"),
                                        SPAN_INIT("VALIDATED"), SPAN_INIT("MODE_UNSPECIFIED")};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_is_equal_nocase(mode, known[i]))
            return true;
    }
    return mode.len == 0;
}

int gemini_read_tools(struct chat_reading *reading, const yyjson_val *tools,
                      const yyjson_val *config)
{
    const yyjson_val *calling = gemini_member(config, "functionCallingConfig");
    struct span mode = json_tree_string(calling, "mode");
    int err = read_tools(reading, json_tree_plain(tools));

    if (err || !calling)
        return err;
    if (!is_mode(mode))
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE,
                           "toolConfig.functionCallingConfig.mode",
                           "Invalid value at 'toolConfig.functionCallingConfig.mode': one of AUTO, "
                           "ANY, NONE and VALIDATED is expected.");
    err = read_names(reading, json_tree_plain(gemini_member(calling, "allowedFunctionNames")));
    if (mode.len)
        reading->chat->choice = choice_of(mode, reading->chat->choice_name_count);
    return err;
}
