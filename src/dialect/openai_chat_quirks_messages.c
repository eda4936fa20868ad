/* Which messages a provider's quirks touch. */
#include "base/fnv.h"
#include "dialect/openai_chat_inner.h"

static bool is_short_id(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return false;
    }
    return id.len == 9;
}

/* Nine letters and digits made of the id: always the same, so that later turns need no map. */
struct span openai_call_id(struct span id, uint32_t quirks, struct arena *arena)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t hash;
    char made[9];

    if (!(quirks & QUIRK_SHORT_CALL_IDS) || is_short_id(id))
        return id;
    hash = fnv_span(FNV_START, id);
    for (size_t i = 0; i < sizeof(made); i++) {
        made[i] = digits[hash % 62];
        hash /= 62;
    }
    return arena_copy(arena, span_of(made, sizeof(made)));
}

bool openai_knows_member(struct span role, struct span name)
{
    static const struct span names[] = {
        SPAN_INIT("role"),         SPAN_INIT("content"), SPAN_INIT("tool_calls"),
        SPAN_INIT("tool_call_id"), SPAN_INIT("prefix"),
    };

    return span_is_in(name, names, sizeof(names) / sizeof(names[0])) ||
           (span_is_equal(name, SPAN("name")) && span_is_equal(role, SPAN("tool")));
}

bool openai_is_mark(struct span name)
{
    return span_is_equal(name, SPAN("cache_control")) ||
           span_is_equal(name, SPAN("prompt_cache_breakpoint"));
}

struct span openai_image_url(const yyjson_val *part)
{
    const yyjson_val *image = json_tree_member(part, "image_url");
    struct span url = json_tree_text(image);

    return url.ptr ? url : json_tree_string(image, "url");
}

bool openai_touches_part(const yyjson_val *part, uint32_t quirks)
{
    if ((quirks & QUIRK_STRICT_FIELDS) && (json_tree_member(part, "cache_control") ||
                                           json_tree_member(part, "prompt_cache_breakpoint")))
        return true;
    return (quirks & QUIRK_NO_IMAGE_URL) && chat_is_web_url(openai_image_url(part));
}

static bool touches_content(const yyjson_val *content, uint32_t quirks)
{
    yyjson_val *part;
    size_t at, max;

    if (!(quirks & (QUIRK_STRICT_FIELDS | QUIRK_NO_IMAGE_URL)) ||
        !yyjson_is_arr(json_tree_plain(content)))
        return false;
    yyjson_arr_foreach(json_tree_plain(content), at, max, part)
    {
        if (openai_touches_part(part, quirks))
            return true;
    }
    return false;
}

static bool touches_calls(const yyjson_val *message, uint32_t quirks)
{
    yyjson_val *calls = json_tree_plain(json_tree_member(message, "tool_calls")), *call;
    struct span id = json_tree_string(message, "tool_call_id");
    size_t at, max;

    if (quirks & QUIRK_SHORT_CALL_IDS && id.len && !is_short_id(id))
        return true;
    if (!yyjson_is_arr(calls))
        return false;
    yyjson_arr_foreach(calls, at, max, call)
    {
        id = json_tree_string(call, "id");
        if ((quirks & QUIRK_SHORT_CALL_IDS && id.len && !is_short_id(id)) ||
            (quirks & QUIRK_STRICT_FIELDS && json_tree_member(call, "extra_content")))
            return true;
    }
    return false;
}

static bool has_unknown_member(const yyjson_val *message, struct span role)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(message));
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&iter))) {
        if (!openai_knows_member(role, json_tree_text(key)))
            return true;
    }
    return false;
}

bool openai_lacks_thought(const yyjson_val *message, uint32_t quirks)
{
    return (quirks & QUIRK_REASONING_BACK) && json_tree_member(message, "tool_calls") &&
           !json_tree_member(message, "reasoning_content");
}

bool openai_touches_message(const yyjson_val *message, uint32_t quirks)
{
    struct span role = json_tree_string(message, "role");

    if ((quirks & QUIRK_NO_DEVELOPER) && span_is_equal(role, SPAN("developer")))
        return true;
    if ((quirks & QUIRK_NO_NAMES) && json_tree_member(message, "name") &&
        !span_is_equal(role, SPAN("function")))
        return true;
    if ((quirks & QUIRK_STRICT_FIELDS) && has_unknown_member(message, role))
        return true;
    return openai_lacks_thought(message, quirks) || touches_calls(message, quirks) ||
           touches_content(json_tree_member(message, "content"), quirks);
}

bool openai_needs_bridge(const yyjson_val *message, bool is_after_tool, uint32_t quirks)
{
    struct span role = json_tree_string(message, "role");

    return (quirks & QUIRK_TOOL_THEN_ASSISTANT) && is_after_tool &&
           !span_is_equal(role, SPAN("tool")) && !span_is_equal(role, SPAN("assistant"));
}

bool openai_touches_messages(const yyjson_val *list, uint32_t quirks)
{
    bool is_after_tool = false;
    yyjson_val *message;
    size_t at, max;

    if (!yyjson_is_arr(json_tree_plain(list)))
        return false;
    yyjson_arr_foreach(json_tree_plain(list), at, max, message)
    {
        if (openai_touches_message(message, quirks) ||
            openai_needs_bridge(message, is_after_tool, quirks))
            return true;
        is_after_tool = span_is_equal(json_tree_string(message, "role"), SPAN("tool"));
    }
    return false;
}
