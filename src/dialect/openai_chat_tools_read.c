/* Tools of a request and how they may be used, in the new way and in the old. */
#include "dialect/openai_chat_inner.h"

static int read_function(struct chat_reading *reading, const yyjson_val *value,
                         const struct openai_place *place, struct chat_tool *tool)
{
    const yyjson_val *schema = json_tree_member(value, "parameters");
    yyjson_val *strict = json_tree_plain(json_tree_member(value, "strict"));

    if (!yyjson_is_obj(json_tree_plain(value)))
        return value ? openai_refuse_type(reading, place, "an object", value)
                     : openai_refuse_absent(reading, place);
    tool->name = json_tree_string(value, "name");
    if (tool->name.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(place, "name"));
    tool->description = json_tree_string(value, "description");
    if (schema && !yyjson_is_obj(json_tree_plain(schema)))
        return openai_refuse_type(reading, OPENAI_IN(place, "parameters"), "an object", schema);
    tool->schema = schema;
    if (yyjson_is_bool(strict))
        tool->strict = yyjson_get_bool(strict) ? CHAT_YES : CHAT_NO;
    return 0;
}

static int read_custom(struct chat_reading *reading, const yyjson_val *value,
                       const struct openai_place *place, struct chat_tool *tool)
{
    if (!yyjson_is_obj(json_tree_plain(value)))
        return value ? openai_refuse_type(reading, place, "an object", value)
                     : openai_refuse_absent(reading, place);
    tool->kind = CHAT_TOOL_CUSTOM;
    tool->name = json_tree_string(value, "name");
    if (tool->name.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(place, "name"));
    tool->description = json_tree_string(value, "description");
    tool->format = json_tree_member(value, "format");
    return 0;
}

static int read_tool(struct chat_reading *reading, const yyjson_val *value,
                     const struct openai_place *place, struct chat_tool *tool)
{
    struct span type = json_tree_string(value, "type");

    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_type(reading, place, "an object", value);
    tool->whole = value;
    tool->cache = openai_read_cache(value);
    if (span_is_equal(type, SPAN("function")))
        return read_function(reading, json_tree_member(value, "function"),
                             OPENAI_IN(place, "function"), tool);
    if (span_is_equal(type, SPAN("custom")))
        return read_custom(reading, json_tree_member(value, "custom"), OPENAI_IN(place, "custom"),
                           tool);
    if (type.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(place, "type"));
    tool->kind = CHAT_TOOL_OWN;
    tool->name = type;
    return 0;
}

/* Both lists may stand there; their tools stand side by side then. */
static struct chat_tool *make_room(struct chat_reading *reading, size_t more)
{
    struct chat *chat = reading->chat;
    struct chat_tool *tools;

    if (more > CHAT_TOOLS_MAX - chat->tool_count) {
        openai_refuse_value(reading, OPENAI_IN(NULL, "tools"), "it holds too many tools");
        return NULL;
    }
    tools = arena_zalloc(reading->arena, (chat->tool_count + more) * sizeof(*tools) + 1);
    if (!tools)
        return NULL;
    if (chat->tool_count)
        memcpy(tools, chat->tools, chat->tool_count * sizeof(*tools));
    chat->tools = tools;
    return tools + chat->tool_count;
}

static int read_list(struct chat_reading *reading, const yyjson_val *value, const char *name,
                     int (*take)(struct chat_reading *, const yyjson_val *,
                                 const struct openai_place *, struct chat_tool *))
{
    yyjson_val *list = json_tree_plain(value), *item;
    struct chat_tool *tools;
    size_t at, max;

    if (!yyjson_is_arr(list))
        return openai_refuse_type(reading, OPENAI_IN(NULL, name), "an array", value);
    tools = make_room(reading, yyjson_arr_size(list));
    if (!tools)
        return openai_no_parts(reading);
    yyjson_arr_foreach(list, at, max, item)
    {
        int err = take(reading, item, OPENAI_ITEM(OPENAI_IN(NULL, name), at), &tools[at]);

        if (err)
            return err;
        reading->chat->tool_count++;
    }
    return 0;
}

int openai_read_tools(struct chat_reading *reading, const yyjson_val *value)
{
    return read_list(reading, value, "tools", read_tool);
}

int openai_read_functions(struct chat_reading *reading, const yyjson_val *value)
{
    int err = read_list(reading, value, "functions", read_function);

    /* The old way has room for one call in a turn. */
    reading->chat->parallel_calls = CHAT_NO;
    return err;
}

/* --- how they may be used --- */

static int choose_word(struct chat_reading *reading, struct span word,
                       const struct openai_place *place)
{
    struct chat *chat = reading->chat;

    if (span_is_equal(word, SPAN("auto")))
        chat->choice = CHAT_CHOICE_AUTO;
    else if (span_is_equal(word, SPAN("none")))
        chat->choice = CHAT_CHOICE_NONE;
    else if (span_is_equal(word, SPAN("required")) || span_is_equal(word, SPAN("any")))
        chat->choice = CHAT_CHOICE_ANY;
    else
        return openai_refuse_value(reading, place,
                                   "supported values are 'none', 'auto' and 'required'");
    return 0;
}

/* The name in {"function":{"name":…}}, {"custom":{"name":…}} or, leniently, {"name":…}. */
static struct span name_in(const yyjson_val *value)
{
    struct span name = json_tree_string(json_tree_member(value, "function"), "name");

    if (name.len == 0)
        name = json_tree_string(json_tree_member(value, "custom"), "name");
    return name.len ? name : json_tree_string(value, "name");
}

static int choose_one(struct chat_reading *reading, const yyjson_val *value,
                      const struct openai_place *place)
{
    struct span name = name_in(value);

    return name.len ? chat_choose_one(reading, name) : openai_refuse_absent(reading, place);
}

/* {"allowed_tools":{"mode":"auto","tools":[…]}} */
static int choose_some(struct chat_reading *reading, const yyjson_val *value)
{
    struct chat *chat = reading->chat;
    yyjson_val *list = json_tree_plain(json_tree_member(value, "tools")), *item;
    size_t at, max;
    int err;

    if (!yyjson_is_arr(list))
        return openai_refuse_absent(reading, OPENAI_IN(NULL, "tool_choice.allowed_tools.tools"));
    err = chat_choice_names_new(reading, yyjson_arr_size(list));
    if (err)
        return err;
    yyjson_arr_foreach(list, at, max, item)
    {
        struct span name = name_in(item);

        if (name.len == 0)
            return openai_refuse_absent(
                reading,
                OPENAI_IN(OPENAI_ITEM(OPENAI_IN(NULL, "tool_choice.allowed_tools.tools"), at),
                          "function.name"));
        chat->choice_names[chat->choice_name_count++] = name;
    }
    chat->choice = span_is_equal(json_tree_string(value, "mode"), SPAN("required"))
                       ? CHAT_CHOICE_SOME_ANY
                       : CHAT_CHOICE_SOME_AUTO;
    return 0;
}

int openai_read_tool_choice(struct chat_reading *reading, const yyjson_val *value)
{
    struct span word = json_tree_text(value), type = json_tree_string(value, "type");
    const yyjson_val *some = json_tree_member(value, "allowed_tools");

    if (word.ptr)
        return choose_word(reading, word, OPENAI_IN(NULL, "tool_choice"));
    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "tool_choice"), "a string or an object",
                                  value);
    if (span_is_equal(type, SPAN("allowed_tools")))
        return choose_some(reading, some ? some : value);
    if (span_is_equal(type, SPAN("function")) || span_is_equal(type, SPAN("custom")))
        return choose_one(reading, value, OPENAI_IN(NULL, "tool_choice.function.name"));
    return openai_refuse_value(reading, OPENAI_IN(NULL, "tool_choice.type"),
                               "supported values are 'function', 'custom' and 'allowed_tools'");
}

int openai_read_function_call(struct chat_reading *reading, const yyjson_val *value)
{
    struct span word = json_tree_text(value);

    if (word.ptr)
        return choose_word(reading, word, OPENAI_IN(NULL, "function_call"));
    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "function_call"),
                                  "a string or an object", value);
    return choose_one(reading, value, OPENAI_IN(NULL, "function_call.name"));
}
