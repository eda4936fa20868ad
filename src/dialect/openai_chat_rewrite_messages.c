/* Messages of a body told again for a provider with quirks. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_chat_inner.h"

void openai_copy_member(struct openai_rewriting *rewriting, struct span name,
                        const yyjson_val *value)
{
    json_name_span(&rewriting->json, name);
    json_value(&rewriting->json, value);
}

/* What the media of a part has become since it was read: a URL may have been fetched. */
static const struct chat_media *media_of(const struct openai_rewriting *rewriting, size_t message,
                                         size_t part)
{
    const struct chat *chat = rewriting->writing->chat;

    if (chat->root != rewriting->root || message >= chat->message_count ||
        chat->messages[message].role != CHAT_USER || part >= chat->messages[message].part_count)
        return NULL;
    return &chat->messages[message].parts[part].media;
}

static int write_image(struct openai_rewriting *rewriting, const yyjson_val *part, size_t message,
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

static int write_part(struct openai_rewriting *rewriting, const yyjson_val *part, size_t message,
                      size_t index)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(part));
    bool is_linked =
        (rewriting->quirks & QUIRK_NO_IMAGE_URL) && chat_is_web_url(openai_image_url(part));
    yyjson_val *key;
    int err = 0;

    if (!openai_touches_part(part, rewriting->quirks)) {
        json_value(&rewriting->json, part);
        return 0;
    }
    json_begin_object(&rewriting->json);
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        struct span name = json_tree_text(key);

        if (is_linked && span_is_equal(name, SPAN("image_url")))
            err = write_image(rewriting, part, message, index);
        else if (!(rewriting->quirks & QUIRK_STRICT_FIELDS) || !openai_is_mark(name))
            openai_copy_member(rewriting, name, yyjson_obj_iter_get_val(key));
    }
    json_end_object(&rewriting->json);
    return err;
}

static int write_content(struct openai_rewriting *rewriting, const yyjson_val *message,
                         const yyjson_val *content, size_t index)
{
    struct span refusal = json_tree_string(message, "refusal");
    yyjson_val *part;
    size_t at, max;
    int err = 0;

    json_name(&rewriting->json, "content");
    if (!yyjson_is_arr(json_tree_plain(content))) {
        /* Where `refusal` is not known, its words are the content. */
        if (yyjson_is_null(json_tree_plain(content)) && refusal.len &&
            (rewriting->quirks & QUIRK_STRICT_FIELDS))
            json_string(&rewriting->json, refusal);
        else
            json_value(&rewriting->json, content);
        return 0;
    }
    json_begin_array(&rewriting->json);
    yyjson_arr_foreach(json_tree_plain(content), at, max, part)
    {
        if (!err)
            err = write_part(rewriting, part, index, at);
    }
    json_end_array(&rewriting->json);
    return err;
}

static int write_id(struct openai_rewriting *rewriting, struct span name, const yyjson_val *value)
{
    struct span id = json_tree_text(value);

    if (id.len == 0) {
        openai_copy_member(rewriting, name, value);
        return 0;
    }
    id = openai_call_id(id, rewriting->quirks, rewriting->writing->arena);
    json_name_span(&rewriting->json, name);
    json_string(&rewriting->json, id);
    return id.ptr ? 0 : ERR_NOMEM;
}

static int write_calls(struct openai_rewriting *rewriting, const yyjson_val *calls)
{
    yyjson_val *call, *key;
    size_t at, max;
    int err = 0;

    json_name(&rewriting->json, "tool_calls");
    if (!yyjson_is_arr(json_tree_plain(calls))) {
        json_value(&rewriting->json, calls);
        return 0;
    }
    json_begin_array(&rewriting->json);
    yyjson_arr_foreach(json_tree_plain(calls), at, max, call)
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
                openai_copy_member(rewriting, name, value);
        }
        json_end_object(&rewriting->json);
    }
    json_end_array(&rewriting->json);
    return err;
}

static int write_member(struct openai_rewriting *rewriting, const yyjson_val *message, size_t index,
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
        openai_copy_member(rewriting, name, value);
    return 0;
}

static int write_message(struct openai_rewriting *rewriting, const yyjson_val *message,
                         size_t index)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(message));
    yyjson_val *key;
    int err = 0;

    if (!openai_touches_message(message, rewriting->quirks)) {
        json_value(&rewriting->json, message);
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
static int write_instruction(struct openai_rewriting *rewriting)
{
    const yyjson_val *format = json_tree_member(rewriting->root, "response_format");
    const yyjson_val *schema = json_tree_member(json_tree_member(format, "json_schema"), "schema");
    struct buf text;
    int err;

    if (!(rewriting->quirks & QUIRK_NO_JSON_SCHEMA) ||
        !openai_is_word(json_tree_member(format, "type"), "json_schema"))
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

int openai_rewrite_messages(struct openai_rewriting *rewriting, const yyjson_val *list)
{
    bool is_after_tool = false;
    yyjson_val *message;
    size_t at, max;
    int err;

    json_name(&rewriting->json, "messages");
    json_begin_array(&rewriting->json);
    err = write_instruction(rewriting);
    yyjson_arr_foreach(json_tree_plain(list), at, max, message)
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
        is_after_tool = openai_is_word(json_tree_member(message, "role"), "tool");
    }
    json_end_array(&rewriting->json);
    return err;
}
