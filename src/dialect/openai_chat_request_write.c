/* Requests for chat completions from the neutral form. What a provider's quirks ask for is done to
 * the body that OpenAI itself would be sent: dialect/openai_chat_rewrite.c. */
#include <stdio.h>

#include "dialect/openai_chat.h"
#include "dialect/openai_chat_inner.h"

const char *openai_message_place(size_t message, char place[32])
{
    snprintf(place, 32, "messages[%zu]", message);
    return place;
}

/* --- tools --- */

static void write_function(struct json_writer *json, const struct chat_tool *tool)
{
    json_member_text(json, "type", "function");
    json_name(json, "function");
    json_begin_object(json);
    json_member_string(json, "name", tool->name);
    if (tool->description.len)
        json_member_string(json, "description", tool->description);
    if (tool->schema) {
        json_member_value(json, "parameters", tool->schema);
    }
    if (tool->strict != CHAT_NOT_SAID)
        json_member_bool(json, "strict", tool->strict == CHAT_YES);
    json_end_object(json);
}

/* A grammar stands in an object of its own here; beside its type in Responses. */
static void write_custom_format(struct json_writer *json, const yyjson_val *format)
{
    const yyjson_val *definition = json_tree_member(format, "definition");

    json_name(json, "format");
    if (!definition) {
        json_value(json, format);
        return;
    }
    json_begin_object(json);
    json_member_string(json, "type", json_tree_string(format, "type"));
    json_name(json, "grammar");
    json_begin_object(json);
    json_member_value(json, "definition", definition);
    json_member_string(json, "syntax", json_tree_string(format, "syntax"));
    json_end_object(json);
    json_end_object(json);
}

static void write_custom(struct json_writer *json, const struct chat_tool *tool)
{
    json_member_text(json, "type", "custom");
    json_name(json, "custom");
    json_begin_object(json);
    json_member_string(json, "name", tool->name);
    if (tool->description.len)
        json_member_string(json, "description", tool->description);
    if (tool->format)
        write_custom_format(json, tool->format);
    json_end_object(json);
}

static int write_tools(struct chat_writing *writing, struct json_writer *json)
{
    const struct chat *chat = writing->chat;

    json_name(json, "tools");
    json_begin_array(json);
    for (size_t i = 0; i < chat->tool_count; i++) {
        const struct chat_tool *tool = &chat->tools[i];
        char place[32];

        snprintf(place, sizeof(place), "tools[%zu]", i);
        if (tool->kind == CHAT_TOOL_OWN)
            return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, place,
                               "The tool '%.*s' is run by another provider than the one that "
                               "serves this model.",
                               SPAN_ARG(tool->name));
        json_begin_object(json);
        tool->kind == CHAT_TOOL_CUSTOM ? write_custom(json, tool) : write_function(json, tool);
        json_end_object(json);
    }
    json_end_array(json);
    return 0;
}

/* {"type":"function","function":{"name":…}}, or the same of a custom tool. */
static void write_tool_name(const struct chat *chat, struct json_writer *json, struct span name)
{
    const struct chat_tool *tool = chat_find_tool(chat, name);
    const char *type = tool && tool->kind == CHAT_TOOL_CUSTOM ? "custom" : "function";

    json_begin_object(json);
    json_member_text(json, "type", type);
    json_name(json, type);
    json_begin_object(json);
    json_member_string(json, "name", name);
    json_end_object(json);
    json_end_object(json);
}

static void write_allowed(const struct chat *chat, struct json_writer *json)
{
    json_begin_object(json);
    json_member_text(json, "type", "allowed_tools");
    json_name(json, "allowed_tools");
    json_begin_object(json);
    json_member_text(json, "mode", chat->choice == CHAT_CHOICE_SOME_ANY ? "required" : "auto");
    json_name(json, "tools");
    json_begin_array(json);
    for (size_t i = 0; i < chat->choice_name_count; i++)
        write_tool_name(chat, json, chat->choice_names[i]);
    json_end_array(json);
    json_end_object(json);
    json_end_object(json);
}

static void write_choice(const struct chat *chat, struct json_writer *json)
{
    switch (chat->choice) {
    case CHAT_CHOICE_NOT_SAID:
        break;
    case CHAT_CHOICE_AUTO:
        json_member_text(json, "tool_choice", "auto");
        break;
    case CHAT_CHOICE_NONE:
        json_member_text(json, "tool_choice", "none");
        break;
    case CHAT_CHOICE_ANY:
        json_member_text(json, "tool_choice", "required");
        break;
    case CHAT_CHOICE_ONE:
        json_name(json, "tool_choice");
        write_tool_name(chat, json, chat->choice_names[0]);
        break;
    case CHAT_CHOICE_SOME_AUTO:
    case CHAT_CHOICE_SOME_ANY:
        json_name(json, "tool_choice");
        write_allowed(chat, json);
        break;
    }
}

/* --- the shape of the answer --- */

static void write_schema(const struct chat_format *format, struct json_writer *json)
{
    json_begin_object(json);
    json_member_text(json, "type", "json_schema");
    json_name(json, "json_schema");
    json_begin_object(json);
    json_member_string(json, "name", format->name.len ? format->name : SPAN("answer"));
    if (format->description.len)
        json_member_string(json, "description", format->description);
    json_member_value(json, "schema", format->schema);
    if (format->strict != CHAT_NOT_SAID)
        json_member_bool(json, "strict", format->strict == CHAT_YES);
    json_end_object(json);
    json_end_object(json);
}

static int write_format(struct chat_writing *writing, struct json_writer *json)
{
    const struct chat_format *format = &writing->chat->format;

    switch (format->kind) {
    case CHAT_FORMAT_TEXT:
        return 0;
    case CHAT_FORMAT_JSON:
        json_name(json, "response_format");
        json_raw(json, SPAN("{\"type\":\"json_object\"}"));
        return 0;
    case CHAT_FORMAT_SCHEMA:
        json_name(json, "response_format");
        write_schema(format, json);
        return 0;
    case CHAT_FORMAT_ENUM:
        break;
    }
    return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, "generationConfig.responseMimeType",
                       "The OpenAI API, which serves this model, answers in text or in JSON, not "
                       "by one word of a list.");
}

/* --- thinking --- */

static void write_openrouter_reasoning(const struct chat_thinking *thinking,
                                       struct json_writer *json)
{
    json_name(json, "reasoning");
    json_begin_object(json);
    if (thinking->effort != CHAT_EFFORT_NOT_SAID)
        json_member_string(json, "effort", chat_effort_word(thinking->effort));
    else if (thinking->budget)
        json_member_int(json, "max_tokens", thinking->budget);
    else
        json_member_bool(json, "enabled", true);
    if (thinking->show == CHAT_NO)
        json_member_bool(json, "exclude", true);
    json_end_object(json);
}

static void write_thinking(struct chat_writing *writing, struct json_writer *json)
{
    const struct chat_thinking *thinking = &writing->chat->thinking;
    enum chat_effort effort = thinking->effort;
    bool is_said = effort != CHAT_EFFORT_NOT_SAID || thinking->budget || thinking->is_adaptive;

    if (!is_said)
        return;
    if (openai_has_quirk(writing, QUIRK_OPENROUTER_REASONING)) {
        write_openrouter_reasoning(thinking, json);
        return;
    }
    if (effort == CHAT_EFFORT_NOT_SAID && thinking->budget)
        effort = chat_effort_of_budget(thinking->budget);
    /* Models that do not think refuse even to be told not to; one that thinks unasked is told. */
    if (effort == CHAT_EFFORT_NONE && !openai_has_quirk(writing, QUIRK_DEEPSEEK_THINKING) &&
        form_row(writing->chat->form)->dialect != DIALECT_OPENAI)
        return;
    if (effort != CHAT_EFFORT_NOT_SAID)
        json_member_string(json, "reasoning_effort", chat_effort_word(effort));
}

/* --- parameters --- */

static void write_stops(const struct chat *chat, struct json_writer *json)
{
    if (chat->stop_count == 0)
        return;
    json_name(json, "stop");
    if (chat->stop_count == 1) {
        json_string(json, chat->stops[0]);
        return;
    }
    json_begin_array(json);
    for (size_t i = 0; i < chat->stop_count; i++)
        json_string(json, chat->stops[i]);
    json_end_array(json);
}

static void write_if_there(const struct chat *chat, struct json_writer *json,
                           enum chat_parameter parameter)
{
    if (!chat->params[parameter])
        return;
    json_name_span(json, parameter_row(parameter)->names[FORM_CHAT]);
    json_value(json, chat->params[parameter]);
}

/* Those that the table leaves to code. */
static void write_coded(struct chat_writing *writing, struct json_writer *json)
{
    const struct chat *chat = writing->chat;
    bool is_openai = form_row(chat->form)->dialect == DIALECT_OPENAI;
    struct span tier = json_tree_text(chat->params[CHAT_SERVICE_TIER_PARAM]);

    if (chat->max_tokens)
        json_member_int(json, "max_completion_tokens", chat->max_tokens);
    write_stops(chat, json);
    write_if_there(chat, json, CHAT_LOGPROBS_PARAM);
    if (chat->params[CHAT_TOP_LOGPROBS_PARAM] && !chat->params[CHAT_LOGPROBS_PARAM])
        json_member_bool(json, "logprobs", true);
    write_if_there(chat, json, CHAT_TOP_LOGPROBS_PARAM);
    if (chat->params[CHAT_TOP_K_PARAM] && openai_has_quirk(writing, QUIRK_TOP_K))
        write_if_there(chat, json, CHAT_TOP_K_PARAM);
    else if (chat->params[CHAT_TOP_K_PARAM])
        chat_drop(writing->drops, parameter_name(chat, CHAT_TOP_K_PARAM));
    if (chat->parallel_calls == CHAT_NO && chat->tool_count)
        json_member_bool(json, "parallel_tool_calls", false);
    if (is_openai) {
        write_if_there(chat, json, CHAT_METADATA_PARAM);
        write_if_there(chat, json, CHAT_STORE_PARAM);
        write_if_there(chat, json, CHAT_SERVICE_TIER_PARAM);
    } else if (span_is_equal(tier, SPAN("standard_only"))) {
        json_member_text(json, "service_tier", "default");
    }
    if (chat->user.len && !chat->params[CHAT_USER_PARAM] &&
        !chat->params[CHAT_SAFETY_IDENTIFIER_PARAM])
        json_member_string(json, "user", chat->user);
}

static int write_parameters(struct chat_writing *writing, struct json_writer *json)
{
    for (int i = 0; i < CHAT_PARAMS; i++) {
        const struct parameter_row *row = parameter_row((enum chat_parameter)i);

        if (row->fates[DIALECT_OPENAI] == PARAMETER_WRITE && row->names[FORM_CHAT].len)
            write_if_there(writing->chat, json, (enum chat_parameter)i);
    }
    write_coded(writing, json);
    write_thinking(writing, json);
    return write_format(writing, json);
}

static void write_stream(struct chat_writing *writing, struct json_writer *json)
{
    if (!writing->chat->is_streaming)
        return;
    json_member_bool(json, "stream", true);
    if (writing->target->is_usage_asked) {
        json_name(json, "stream_options");
        json_raw(json, SPAN("{\"include_usage\":true}"));
    }
}

static int write_body(struct chat_writing *writing)
{
    struct json_writer json;
    int err;

    json_writer_init(&json, writing->out);
    json_begin_object(&json);
    json_member_string(&json, "model", writing->target->model);
    json_name(&json, "messages");
    err = openai_write_messages(writing, &json);
    if (!err && writing->chat->tool_count) {
        err = write_tools(writing, &json);
        write_choice(writing->chat, &json);
    }
    if (!err)
        err = write_parameters(writing, &json);
    write_stream(writing, &json);
    json_end_object(&json);
    return err ? err : writing->out->err;
}

/* The body was told as to OpenAI itself; once more, where a quirk touches it. */
static int suit(struct chat_writing *writing, size_t start)
{
    struct buf *out = writing->out;
    struct json_tree tree;
    int err = json_tree_read_raw(&tree, span_skip(buf_span(out), start), SIZE_MAX);

    if (!err && openai_chat_needs_rewrite(yyjson_doc_get_root(tree.doc), writing->target->quirks)) {
        out->len = start; /* the tree keeps nothing of it */
        err = openai_rewrite(writing, yyjson_doc_get_root(tree.doc));
    }
    json_tree_fini(&tree);
    return err;
}

int openai_chat_write_request(struct chat_writing *writing)
{
    size_t start = writing->out->len;
    int err;

    if (writing->chat->form == FORM_CHAT)
        return openai_rewrite(writing, writing->chat->root);
    err = write_body(writing);
    return err || !openai_has_rewrites(writing->target->quirks) ? err : suit(writing, start);
}
