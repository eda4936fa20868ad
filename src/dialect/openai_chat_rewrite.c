/* A body for chat completions told again as a provider with quirks takes it. What no quirk touches
 * stays as it stands, known or not. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_chat_inner.h"

struct rewriting {
    struct chat_writing *writing;
    const yyjson_val *root;
    uint32_t quirks;
    struct json_writer json;
};

static bool is_word(const yyjson_val *value, const char *word)
{
    return span_is_equal(json_tree_text(value), span_from_text(word));
}

static void copy_member(struct rewriting *rewriting, struct span name, const yyjson_val *value)
{
    json_name_span(&rewriting->json, name);
    openai_write_value(&rewriting->json, value);
}

/* What the client calls the parameter that OpenAI calls `name`. */
static struct span told_name(const struct chat *chat, struct span name)
{
    for (int i = 0; i < CHAT_PARAMS; i++) {
        const struct parameter_row *row = parameter_row((enum chat_parameter)i);

        if (span_is_equal(row->names[FORM_CHAT], name) && row->names[chat->form].len)
            return row->names[chat->form];
    }
    return name;
}

static int refuse(struct rewriting *rewriting, struct span name)
{
    struct span told = told_name(rewriting->writing->chat, name);
    char param[64];

    snprintf(param, sizeof(param), "%.*s", SPAN_ARG(told));
    return chat_refuse(rewriting->writing->refusal, FAILURE_UNSUPPORTED, param,
                       "Unsupported parameter: '%s' is not supported by the provider of this "
                       "model.",
                       param);
}

/* --- messages --- */

/* What the media of a part has become since it was read: a URL may have been fetched. */
static const struct chat_media *media_of(const struct rewriting *rewriting, size_t message,
                                         size_t part)
{
    const struct chat *chat = rewriting->writing->chat;

    if (chat->root != rewriting->root || message >= chat->message_count ||
        chat->messages[message].role != CHAT_USER || part >= chat->messages[message].part_count)
        return NULL;
    return &chat->messages[message].parts[part].media;
}

static int write_image(struct rewriting *rewriting, const yyjson_val *part, size_t message,
                       size_t index)
{
    const struct chat_media *media = media_of(rewriting, message, index);
    struct span detail = json_tree_string(json_tree_member(part, "image_url"), "detail");
    char place[96];

    if (!media || media->source != CHAT_SOURCE_DATA) {
        snprintf(place, sizeof(place), "messages[%zu].content[%zu].image_url.url", message, index);
        return chat_refuse(rewriting->writing->refusal, FAILURE_UNSUPPORTED, place,
                           "The provider of this model takes images as data URLs only.");
    }
    json_name(&rewriting->json, "image_url");
    json_begin_object(&rewriting->json);
    json_name(&rewriting->json, "url");
    openai_write_media_url(&rewriting->json, media);
    if (detail.len)
        json_member_string(&rewriting->json, "detail", detail);
    json_end_object(&rewriting->json);
    return 0;
}

static int write_part(struct rewriting *rewriting, const yyjson_val *part, size_t message,
                      size_t index)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(openai_plain(part));
    bool is_linked =
        (rewriting->quirks & QUIRK_NO_IMAGE_URL) && chat_is_web_url(openai_image_url(part));
    yyjson_val *key;
    int err = 0;

    if (!openai_touches_part(part, rewriting->quirks)) {
        openai_write_value(&rewriting->json, part);
        return 0;
    }
    json_begin_object(&rewriting->json);
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        struct span name = json_tree_text(key);

        if (is_linked && span_is_equal(name, SPAN("image_url")))
            err = write_image(rewriting, part, message, index);
        else if (!(rewriting->quirks & QUIRK_STRICT_FIELDS) || !openai_is_mark(name))
            copy_member(rewriting, name, yyjson_obj_iter_get_val(key));
    }
    json_end_object(&rewriting->json);
    return err;
}

static int write_content(struct rewriting *rewriting, const yyjson_val *message,
                         const yyjson_val *content, size_t index)
{
    struct span refusal = json_tree_string(message, "refusal");
    yyjson_val *part;
    size_t at, max;
    int err = 0;

    json_name(&rewriting->json, "content");
    if (!yyjson_is_arr(openai_plain(content))) {
        /* Where `refusal` is not known, its words are the content. */
        if (yyjson_is_null(openai_plain(content)) && refusal.len &&
            (rewriting->quirks & QUIRK_STRICT_FIELDS))
            json_string(&rewriting->json, refusal);
        else
            openai_write_value(&rewriting->json, content);
        return 0;
    }
    json_begin_array(&rewriting->json);
    yyjson_arr_foreach(openai_plain(content), at, max, part)
    {
        if (!err)
            err = write_part(rewriting, part, index, at);
    }
    json_end_array(&rewriting->json);
    return err;
}

static int write_id(struct rewriting *rewriting, struct span name, const yyjson_val *value)
{
    struct span id =
        openai_call_id(json_tree_text(value), rewriting->quirks, rewriting->writing->arena);

    json_name_span(&rewriting->json, name);
    json_string(&rewriting->json, id);
    return id.ptr ? 0 : ERR_NOMEM;
}

static int write_calls(struct rewriting *rewriting, const yyjson_val *calls)
{
    yyjson_val *call, *key;
    size_t at, max;
    int err = 0;

    json_name(&rewriting->json, "tool_calls");
    if (!yyjson_is_arr(openai_plain(calls))) {
        openai_write_value(&rewriting->json, calls);
        return 0;
    }
    json_begin_array(&rewriting->json);
    yyjson_arr_foreach(openai_plain(calls), at, max, call)
    {
        yyjson_obj_iter iter = yyjson_obj_iter_with(call);

        json_begin_object(&rewriting->json);
        while (!err && (key = yyjson_obj_iter_next(&iter))) {
            struct span name = json_tree_text(key);
            const yyjson_val *value = yyjson_obj_iter_get_val(key);

            if (span_is_equal(name, SPAN("id")))
                err = write_id(rewriting, name, value);
            else if (!(rewriting->quirks & QUIRK_STRICT_FIELDS) ||
                     !span_is_equal(name, SPAN("extra_content")))
                copy_member(rewriting, name, value);
        }
        json_end_object(&rewriting->json);
    }
    json_end_array(&rewriting->json);
    return err;
}

static int write_member(struct rewriting *rewriting, const yyjson_val *message, size_t index,
                        struct span name, const yyjson_val *value)
{
    struct span role = json_tree_string(message, "role");

    if (span_is_equal(name, SPAN("name")) && (rewriting->quirks & QUIRK_NO_NAMES) &&
        !span_is_equal(role, SPAN("function"))) {
        /* That of a tool's result says nothing that its id does not. */
        if (!span_is_equal(role, SPAN("tool")))
            chat_drop(rewriting->writing->drops, SPAN("messages.name"));
        return 0;
    }
    if ((rewriting->quirks & QUIRK_STRICT_FIELDS) && !openai_knows_member(role, name)) {
        if (span_is_equal(name, SPAN("name")))
            chat_drop(rewriting->writing->drops, SPAN("messages.name"));
        return 0;
    }
    if (span_is_equal(name, SPAN("content")))
        return write_content(rewriting, message, value, index);
    if (span_is_equal(name, SPAN("tool_calls")))
        return write_calls(rewriting, value);
    if (span_is_equal(name, SPAN("tool_call_id")))
        return write_id(rewriting, name, value);
    if (span_is_equal(name, SPAN("role")) && (rewriting->quirks & QUIRK_NO_DEVELOPER) &&
        span_is_equal(role, SPAN("developer")))
        json_member_text(&rewriting->json, "role", "system");
    else if (!span_is_equal(name, SPAN("reasoning_content")) ||
             !openai_lacks_thought(message, rewriting->quirks))
        copy_member(rewriting, name, value);
    return 0;
}

static int write_message(struct rewriting *rewriting, const yyjson_val *message, size_t index)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(openai_plain(message));
    yyjson_val *key;
    int err = 0;

    if (!openai_touches_message(message, rewriting->quirks)) {
        openai_write_value(&rewriting->json, message);
        return 0;
    }
    json_begin_object(&rewriting->json);
    while (!err && (key = yyjson_obj_iter_next(&iter)))
        err = write_member(rewriting, message, index, json_tree_text(key),
                           yyjson_obj_iter_get_val(key));
    /* Turns with calls must bring their thought back; a client that kept none has an empty one. */
    if (openai_lacks_thought(message, rewriting->quirks)) {
        struct span thought = json_tree_string(message, "reasoning");

        json_member_string(&rewriting->json, "reasoning_content", thought.ptr ? thought : SPAN(""));
    }
    json_end_object(&rewriting->json);
    return err;
}

/* Where a schema cannot be asked for: a system message that says it. */
static int write_instruction(struct rewriting *rewriting)
{
    const yyjson_val *format = json_tree_member(rewriting->root, "response_format");
    const yyjson_val *schema = json_tree_member(json_tree_member(format, "json_schema"), "schema");
    struct buf text;
    int err;

    if (!(rewriting->quirks & QUIRK_NO_JSON_SCHEMA) ||
        !is_word(json_tree_member(format, "type"), "json_schema"))
        return 0;
    buf_init(&text, rewriting->writing->out->max);
    (void)buf_append_span(&text, SPAN("Answer with one JSON object and nothing else."));
    if (schema) {
        (void)buf_append_span(&text, SPAN(" It must conform to this JSON Schema:\n"));
        (void)json_tree_write(&text, schema);
    }
    err = text.err;
    json_begin_object(&rewriting->json);
    json_member_text(&rewriting->json, "role", "system");
    json_member_string(&rewriting->json, "content", buf_span(&text));
    json_end_object(&rewriting->json);
    buf_fini(&text);
    return err;
}

static int write_messages(struct rewriting *rewriting, const yyjson_val *list)
{
    bool is_after_tool = false;
    yyjson_val *message;
    size_t at, max;
    int err;

    json_name(&rewriting->json, "messages");
    json_begin_array(&rewriting->json);
    err = write_instruction(rewriting);
    yyjson_arr_foreach(openai_plain(list), at, max, message)
    {
        /* A space: an empty one is refused by the same providers. */
        if (openai_needs_bridge(message, is_after_tool, rewriting->quirks)) {
            json_begin_object(&rewriting->json);
            json_member_text(&rewriting->json, "role", "assistant");
            json_member_text(&rewriting->json, "content", " ");
            json_end_object(&rewriting->json);
        }
        if (!err)
            err = write_message(rewriting, message, at);
        is_after_tool = is_word(json_tree_member(message, "role"), "tool");
    }
    json_end_array(&rewriting->json);
    return err;
}

/* --- tools --- */

static struct span tool_name(const yyjson_val *tool)
{
    return json_tree_string(json_tree_member(tool, "function"), "name");
}

static bool is_allowed(const yyjson_val *choice, struct span name)
{
    const yyjson_val *inner = json_tree_member(choice, "allowed_tools");
    yyjson_val *list = openai_plain(json_tree_member(inner ? inner : choice, "tools")), *tool;
    size_t at, max;

    if (!yyjson_is_arr(list))
        return true;
    yyjson_arr_foreach(list, at, max, tool)
    {
        if (span_is_equal(tool_name(tool), name))
            return true;
    }
    return false;
}

/* The tools that may be used, where the provider cannot be told that others may not. */
static int write_tools(struct rewriting *rewriting, const yyjson_val *tools)
{
    const yyjson_val *choice = json_tree_member(rewriting->root, "tool_choice");
    bool is_subset = openai_is_subset(choice);
    yyjson_val *tool;
    size_t at, max;

    json_name(&rewriting->json, "tools");
    json_begin_array(&rewriting->json);
    yyjson_arr_foreach(openai_plain(tools), at, max, tool)
    {
        if (is_subset && !is_allowed(choice, tool_name(tool)))
            continue;
        if (is_word(json_tree_member(tool, "type"), "custom")) {
            char place[32];

            snprintf(place, sizeof(place), "tools[%zu].type", at);
            return chat_refuse(rewriting->writing->refusal, FAILURE_UNSUPPORTED, place,
                               "The provider of this model knows tools of type 'function' only.");
        }
        openai_write_value(&rewriting->json, tool);
    }
    json_end_array(&rewriting->json);
    return 0;
}

static void write_choice(struct rewriting *rewriting, const yyjson_val *choice)
{
    bool is_any = is_word(choice, "required") ||
                  (openai_is_subset(choice) && openai_is_forced(rewriting->root));

    if (openai_is_subset(choice) && (rewriting->quirks & QUIRK_FUNCTIONS_ONLY) && !is_any)
        json_member_text(&rewriting->json, "tool_choice", "auto");
    else if (is_any)
        json_member_text(&rewriting->json, "tool_choice",
                         rewriting->quirks & QUIRK_ANY_FOR_REQUIRED ? "any" : "required");
    else
        copy_member(rewriting, SPAN("tool_choice"), choice);
    /* A forced call and thinking exclude each other there, and thinking is on unless told off. */
    if ((rewriting->quirks & QUIRK_DEEPSEEK_THINKING) && openai_is_forced(rewriting->root)) {
        json_name(&rewriting->json, "thinking");
        json_raw(&rewriting->json, SPAN("{\"type\":\"disabled\"}"));
    }
}

/* --- parameters --- */

static void write_logprobs(struct rewriting *rewriting, const yyjson_val *value)
{
    int64_t top = 0;

    if (!yyjson_is_true(openai_plain(value)))
        return;
    (void)json_tree_int(json_tree_member(rewriting->root, "top_logprobs"), &top);
    json_member_int(&rewriting->json, "logprobs", top > 0 ? top : 1);
}

static int edit(struct rewriting *rewriting, struct span name, const yyjson_val *value)
{
    struct json_writer *json = &rewriting->json;

    if (span_is_equal(name, SPAN("tools")))
        return write_tools(rewriting, value);
    if (span_is_equal(name, SPAN("tool_choice"))) {
        write_choice(rewriting, value);
    } else if (span_is_equal(name, SPAN("logprobs"))) {
        write_logprobs(rewriting, value);
    } else if (span_is_equal(name, SPAN("stop"))) {
        json_name(json, "stop");
        json_begin_array(json);
        json_string(json, json_tree_text(value));
        json_end_array(json);
    } else if (span_is_equal(name, SPAN("response_format"))) {
        json_name(json, "response_format");
        json_raw(json, SPAN("{\"type\":\"json_object\"}"));
        chat_drop(rewriting->writing->drops, SPAN("response_format.json_schema"));
    } else if (span_is_equal(name, SPAN("reasoning_effort"))) {
        enum chat_effort effort = openai_effort_of(json_tree_text(value));

        json_name(json, "reasoning_effort");
        json_string(json, openai_effort_word(openai_effort_for(effort, rewriting->quirks)));
    }
    return 0;
}

static int write_touched(struct rewriting *rewriting, struct span name, const yyjson_val *value)
{
    struct openai_touched touched = openai_touch(rewriting->root, name, value, rewriting->quirks);

    switch (touched.touch) {
    case OPENAI_KEEP:
    case OPENAI_RENAME:
        copy_member(rewriting, touched.name, value);
        break;
    case OPENAI_DROP:
        chat_drop(rewriting->writing->drops, told_name(rewriting->writing->chat, name));
        break;
    case OPENAI_LEAVE_OUT:
        break;
    case OPENAI_REFUSE:
        return refuse(rewriting, name);
    case OPENAI_EDIT:
        return edit(rewriting, name, value);
    }
    return 0;
}

/* The client's own, with the question for usage. */
static void write_stream_options(struct rewriting *rewriting)
{
    const yyjson_val *options = json_tree_member(rewriting->root, "stream_options");
    yyjson_obj_iter iter = yyjson_obj_iter_with(openai_plain(options));
    yyjson_val *key;

    json_name(&rewriting->json, "stream_options");
    json_begin_object(&rewriting->json);
    while ((key = yyjson_obj_iter_next(&iter))) {
        if (!span_is_equal(json_tree_text(key), SPAN("include_usage")))
            copy_member(rewriting, json_tree_text(key), yyjson_obj_iter_get_val(key));
    }
    json_member_bool(&rewriting->json, "include_usage", true);
    json_end_object(&rewriting->json);
}

int openai_rewrite(struct chat_writing *writing, const yyjson_val *root)
{
    struct rewriting rewriting = {writing, root, writing->target->quirks, {0}};
    yyjson_obj_iter iter = yyjson_obj_iter_with(openai_plain(root));
    bool is_asked = writing->target->is_usage_asked && writing->chat->is_streaming;
    yyjson_val *key;
    int err = 0;

    json_writer_init(&rewriting.json, writing->out);
    json_begin_object(&rewriting.json);
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        struct span name = json_tree_text(key);
        const yyjson_val *value = yyjson_obj_iter_get_val(key);

        if (span_is_equal(name, SPAN("model")))
            json_member_string(&rewriting.json, "model", writing->target->model);
        else if (span_is_equal(name, SPAN("messages")))
            err = write_messages(&rewriting, value);
        else if (!is_asked || !span_is_equal(name, SPAN("stream_options")))
            err = write_touched(&rewriting, name, value);
    }
    if (is_asked)
        write_stream_options(&rewriting);
    json_end_object(&rewriting.json);
    return err ? err : writing->out->err;
}
