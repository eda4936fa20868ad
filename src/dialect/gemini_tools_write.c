/* Tools of a request, written: declarations of functions in one list, and how they may be used. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_inner.h"

/* What a tool that takes free text is told as. */
static const struct span custom_schema =
    SPAN_INIT("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
              "\"required\":[\"input\"]}");

static int refuse_tool(struct chat_writing *writing, size_t at, const char *what)
{
    const struct chat_tool *tool = &writing->chat->tools[at];
    char param[32];

    snprintf(param, sizeof(param), "tools[%zu]", at);
    return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, param, "Unsupported tool '%.*s': %s.",
                       SPAN_ARG(tool->name), what);
}

int gemini_write_schema(struct chat_writing *writing, struct json_writer *writer,
                        const char *json_name_text, const char *google_name,
                        const yyjson_val *schema)
{
    int err;

    if (gemini_model_find(writing->target->model)->knows_json_schema) {
        json_member_value(writer, json_name_text, schema);
        return 0;
    }
    json_name(writer, google_name);
    json_raw(writer, SPAN(""));
    err = gemini_schema_write(writer->buf, schema);
    if (err == ERR_RANGE)
        return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, google_name,
                           "The schema grows too large for this model once its references are "
                           "written out.");
    return err;
}

static int write_declaration(struct chat_writing *writing, struct json_writer *writer, size_t at)
{
    const struct chat_tool *tool = &writing->chat->tools[at];
    bool knows_json_schema = gemini_model_find(writing->target->model)->knows_json_schema;
    char made[GEMINI_NAME_MAX];
    int err = 0;

    if (gemini_is_own(writing->chat)) {
        json_value(writer, tool->whole);
        return 0;
    }
    json_begin_object(writer);
    json_member_string(writer, "name", gemini_fit_name(tool->name, made));
    if (tool->description.len)
        json_member_string(writer, "description", tool->description);
    if (tool->kind == CHAT_TOOL_CUSTOM) {
        json_name(writer, knows_json_schema ? "parametersJsonSchema" : "parameters");
        json_raw(writer, custom_schema);
    } else if (tool->schema && (knows_json_schema || !gemini_schema_is_empty(tool->schema))) {
        err = gemini_write_schema(writing, writer, "parametersJsonSchema", "parameters",
                                  tool->schema);
    }
    json_end_object(writer);
    return err;
}

static int write_declarations(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    bool has_any = false;
    int err = 0;

    for (size_t i = 0; !err && i < chat->tool_count; i++) {
        if (chat->tools[i].kind == CHAT_TOOL_OWN)
            continue;
        if (!has_any) {
            json_begin_object(writer);
            json_name(writer, "functionDeclarations");
            json_begin_array(writer);
            has_any = true;
        }
        err = write_declaration(writing, writer, i);
    }
    if (has_any) {
        json_end_array(writer);
        json_end_object(writer);
    }
    return err;
}

/* Tools that Google runs, which only its own clients can ask for. */
static int write_own(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;

    for (size_t i = 0; i < chat->tool_count; i++) {
        const struct chat_tool *tool = &chat->tools[i];
        yyjson_val *whole = json_tree_plain(tool->whole);

        if (tool->kind != CHAT_TOOL_OWN)
            continue;
        if (!gemini_is_own(chat))
            return refuse_tool(writing, i, "the provider that serves this model has no such tool");
        json_begin_object(writer);
        json_name_span(writer, tool->name);
        json_value(writer, yyjson_obj_getn(whole, tool->name.ptr, tool->name.len));
        json_end_object(writer);
    }
    return 0;
}

/* --- how they may be used --- */

static void write_calling(struct chat_writing *writing, struct json_writer *writer,
                          const char *mode)
{
    const struct chat *chat = writing->chat;
    char made[GEMINI_NAME_MAX];

    json_name(writer, "toolConfig");
    json_begin_object(writer);
    json_name(writer, "functionCallingConfig");
    json_begin_object(writer);
    json_member_text(writer, "mode", mode);
    if (chat->choice_name_count) {
        json_name(writer, "allowedFunctionNames");
        json_begin_array(writer);
        for (size_t i = 0; i < chat->choice_name_count; i++)
            json_string(writer, gemini_fit_name(chat->choice_names[i], made));
        json_end_array(writer);
    }
    json_end_object(writer);
    json_end_object(writer);
}

static const char *mode_of(enum chat_choice_kind kind)
{
    switch (kind) {
    case CHAT_CHOICE_AUTO:
        return "AUTO";
    case CHAT_CHOICE_NONE:
        return "NONE";
    case CHAT_CHOICE_ANY:
    case CHAT_CHOICE_ONE:
    case CHAT_CHOICE_SOME_ANY:
        return "ANY";
    case CHAT_CHOICE_SOME_AUTO:
        return "VALIDATED";
    case CHAT_CHOICE_NOT_SAID:
        break;
    }
    return NULL;
}

/* Functions and JSON output together are refused by models of before Gemini 3. */
static int fit_json(struct chat_writing *writing, bool *ret_left_out)
{
    const struct chat *chat = writing->chat;
    bool is_json = chat->format.kind != CHAT_FORMAT_TEXT;

    *ret_left_out = false;
    if (!is_json || gemini_is_own(chat) || gemini_model_find(writing->target->model)->mixes_json)
        return 0;
    if (chat->choice == CHAT_CHOICE_NONE) {
        *ret_left_out = true;
        return 0;
    }
    return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, "tools",
                       "This model takes no tools together with JSON output: leave out one of "
                       "'tools' and the answer's format.");
}

int gemini_write_tools(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    const char *mode = mode_of(chat->choice);
    const yyjson_val *own = gemini_is_own(chat) ? gemini_member(chat->root, "toolConfig") : NULL;
    bool is_left_out;
    int err;

    if (chat->tool_count && !gemini_model_find(writing->target->model)->takes_calls)
        return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, "tools",
                           "This model takes no tools.");
    err = chat->tool_count ? fit_json(writing, &is_left_out) : 0;
    if (!err && chat->tool_count && !is_left_out) {
        json_name(writer, "tools");
        json_begin_array(writer);
        err = write_declarations(writing, writer);
        if (!err)
            err = write_own(writing, writer);
        json_end_array(writer);
        if (!own && mode)
            write_calling(writing, writer, mode);
    }
    if (own)
        json_member_value(writer, "toolConfig", own);
    return err;
}
