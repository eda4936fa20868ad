/* Writes the tools of a request, and how they may be chosen. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"
#include "dialect/claude.h"

enum { NAME_MAX_BYTES = 128 };

/* --- how a call may be chosen --- */

static bool is_forced(enum chat_choice_kind choice)
{
    return choice == CHAT_CHOICE_ANY || choice == CHAT_CHOICE_ONE || choice == CHAT_CHOICE_SOME_ANY;
}

bool anthropic_needs_json_tool(const struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    return !writing->is_own && chat->format.kind == CHAT_FORMAT_SCHEMA &&
           !writing->claude->is_structured && !(is_forced(chat->choice) && chat->tool_count > 0);
}

bool anthropic_forces_call(const struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    return writing->has_json_tool || (is_forced(chat->choice) && chat->tool_count > 0);
}

static int refuse_choice(struct anthropic_writing *writing, const char *message)
{
    return chat_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, "tool_choice", "%s", message);
}

static int check_choice(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    if (writing->is_own || !is_forced(chat->choice))
        return 0;
    if (chat->tool_count == 0)
        return refuse_choice(writing, "A call can only be asked for where there are tools.");
    if (!writing->claude->may_force)
        return refuse_choice(writing, "This model cannot be made to call a tool: tool_choice may "
                                      "only leave it the choice.");
    return 0;
}

static void write_choice_of(struct anthropic_writing *writing, const char *type, struct span name,
                            bool is_serial)
{
    struct json_writer *json = &writing->json;

    json_name(json, "tool_choice");
    json_begin_object(json);
    json_member_text(json, "type", type);
    if (name.ptr)
        json_member_string(json, "name", name);
    if (is_serial)
        json_member_bool(json, "disable_parallel_tool_use", true);
    json_end_object(json);
}

/* Where the answer is the input of the reserved tool, it must be called, or another one. */
static void write_json_choice(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    if (chat->tool_count > 0 && chat->choice != CHAT_CHOICE_NONE)
        write_choice_of(writing, "any", span_of(NULL, 0), true);
    else
        write_choice_of(writing, "tool", anthropic_json_tool(), true);
}

static void write_choice(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    const struct span none = {NULL, 0};
    bool is_serial = chat->parallel_calls == CHAT_NO;

    if (writing->has_json_tool) {
        write_json_choice(writing);
        return;
    }
    if (chat->tool_count == 0)
        return;
    switch (chat->choice) {
    case CHAT_CHOICE_NOT_SAID:
        if (is_serial)
            write_choice_of(writing, "auto", none, true);
        break;
    case CHAT_CHOICE_AUTO:
    case CHAT_CHOICE_SOME_AUTO:
        write_choice_of(writing, "auto", none, is_serial);
        break;
    case CHAT_CHOICE_NONE:
        write_choice_of(writing, "none", none, false);
        break;
    case CHAT_CHOICE_ANY:
    case CHAT_CHOICE_SOME_ANY:
        write_choice_of(writing, "any", none, is_serial);
        break;
    case CHAT_CHOICE_ONE:
        write_choice_of(writing, "tool", chat->choice_names[0], is_serial);
        break;
    }
}

/* --- the tools --- */

static bool is_listed(const struct chat *chat, const struct chat_tool *tool)
{
    if (chat->choice != CHAT_CHOICE_SOME_AUTO && chat->choice != CHAT_CHOICE_SOME_ANY)
        return true;
    for (size_t i = 0; i < chat->choice_name_count; i++) {
        if (span_is_equal(chat->choice_names[i], tool->name))
            return true;
    }
    return false;
}

static bool is_fit_name(struct span name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-')
            return false;
    }
    return true;
}

static int check_tool(struct anthropic_writing *writing, const struct chat_tool *tool)
{
    const struct anthropic_place place = {NULL, "tools", (size_t)(tool - writing->of->chat->tools)};

    if (tool->kind == CHAT_TOOL_OWN)
        return anthropic_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, &place, NULL,
                                "A tool that another provider runs itself cannot be told to the "
                                "provider of this model.");
    if (!is_fit_name(tool->name))
        return anthropic_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, &place, NULL,
                                "The name of a tool must be 1 to 128 letters, digits, '_' and '-' "
                                "for the provider of this model.");
    if (writing->has_json_tool && span_is_equal(tool->name, anthropic_json_tool()))
        return anthropic_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, &place, NULL,
                                "This name is reserved where the answer must fit a schema.");
    return 0;
}

static struct span format_text(struct anthropic_writing *writing, const yyjson_val *format)
{
    struct span json = chat_json_text(writing->of->arena, format);
    struct span text = span_of(NULL, 0);

    if (json.ptr)
        text = arena_printf(writing->of->arena, "A text of this format: %.*s", SPAN_ARG(json));
    if (!text.ptr)
        (void)buf_fail(writing->of->out, ERR_NOMEM);
    return text;
}

/* A custom tool takes a text: here that is the one property of an object. */
static void write_custom_schema(struct anthropic_writing *writing, const struct chat_tool *tool)
{
    struct buf *out = writing->of->out;

    json_raw(&writing->json,
             SPAN("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\""));
    if (tool->format) {
        (void)buf_append_span(out, SPAN(",\"description\":"));
        (void)json_write_string(out, format_text(writing, tool->format));
    }
    (void)buf_append_span(out, SPAN("}},\"required\":[\"input\"]}"));
}

static void write_tool_schema(struct anthropic_writing *writing, const struct chat_tool *tool)
{
    json_name(&writing->json, "input_schema");
    if (tool->kind == CHAT_TOOL_CUSTOM)
        write_custom_schema(writing, tool);
    else
        anthropic_write_schema(writing, tool->schema);
}

static int write_tool(struct anthropic_writing *writing, const struct chat_tool *tool)
{
    struct json_writer *json = &writing->json;
    int err;

    if (writing->is_own) {
        json_value(json, tool->whole);
        return json->buf->err;
    }
    err = check_tool(writing, tool);
    if (err)
        return err;
    json_begin_object(json);
    json_member_string(json, "name", tool->name);
    if (tool->description.len)
        json_member_string(json, "description", tool->description);
    write_tool_schema(writing, tool);
    if (tool->strict == CHAT_YES && writing->claude->is_structured)
        json_member_bool(json, "strict", true);
    else if (tool->strict == CHAT_YES)
        chat_drop(writing->of->drops, SPAN("strict"));
    anthropic_write_cache(json, tool->cache);
    json_end_object(json);
    return 0;
}

static void write_json_tool(struct anthropic_writing *writing)
{
    const struct chat_format *format = &writing->of->chat->format;
    struct json_writer *json = &writing->json;

    json_begin_object(json);
    json_member_string(json, "name", anthropic_json_tool());
    json_member_text(json, "description",
                     "Gives the answer. Its input is the whole answer, as JSON.");
    json_name(json, "input_schema");
    anthropic_write_schema(writing, format->schema);
    json_end_object(json);
}

static const struct chat_part *first_call(const struct chat *chat)
{
    for (size_t m = 0; m < chat->message_count; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count; p++) {
            if (chat->messages[m].parts[p].kind == CHAT_PART_CALL)
                return &chat->messages[m].parts[p];
        }
    }
    return NULL;
}

/* Older models refuse a conversation with calls that names no tools: one of those called is named,
 * and its use forbidden. */
static void write_past_tool(struct anthropic_writing *writing)
{
    const struct chat_part *call = first_call(writing->of->chat);

    if (writing->is_own || !call || !is_fit_name(call->name))
        return;
    json_name(&writing->json, "tools");
    json_begin_array(&writing->json);
    json_begin_object(&writing->json);
    json_member_string(&writing->json, "name", call->name);
    json_name(&writing->json, "input_schema");
    anthropic_write_schema(writing, NULL);
    json_end_object(&writing->json);
    json_end_array(&writing->json);
    write_choice_of(writing, "none", span_of(NULL, 0), false);
}

int anthropic_write_tools(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    int err = check_choice(writing);

    if (err)
        return err;
    if (chat->tool_count == 0 && !writing->has_json_tool) {
        write_past_tool(writing);
        return 0;
    }
    json_name(&writing->json, "tools");
    json_begin_array(&writing->json);
    for (size_t i = 0; !err && i < chat->tool_count; i++) {
        if (is_listed(chat, &chat->tools[i]))
            err = write_tool(writing, &chat->tools[i]);
    }
    if (writing->has_json_tool)
        write_json_tool(writing);
    json_end_array(&writing->json);
    write_choice(writing);
    return err;
}
