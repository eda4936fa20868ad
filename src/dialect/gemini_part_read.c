/* One part of a content: text, media, calls, and which call a result answers. */
#include <stdio.h>

#include "base/base64.h"
#include "base/err.h"
#include "dialect/gemini_inner.h"

/* What one part holds, by its members. */
struct members {
    const yyjson_val *text, *data, *file, *call, *result, *code, *outcome;
    struct span signature, detail;
    bool is_thought;
};

static int refuse(struct gemini_contents *contents, const char *member, const char *what)
{
    char param[96];

    if (contents->place[0] == 's')
        snprintf(param, sizeof(param), "systemInstruction.parts[%zu]%s", contents->part_at, member);
    else
        snprintf(param, sizeof(param), "contents[%zu].parts[%zu]%s", contents->at,
                 contents->part_at, member);
    return chat_refuse(contents->reading->refusal, FAILURE_FIELD_VALUE, param,
                       "Invalid value at '%s': %s.", param, what);
}

/* --- members of a part --- */

enum slot { TEXT, THOUGHT, SIGNATURE, DATA, FILE_DATA, CALL, RESULT, CODE, OUTCOME, RESOLUTION };

static int slot_of(struct span name)
{
    static const struct {
        struct span camel, snake;
        enum slot slot;
    } known[] = {
        {SPAN_INIT("text"), SPAN_INIT("text"), TEXT},
        {SPAN_INIT("thought"), SPAN_INIT("thought"), THOUGHT},
        {SPAN_INIT("thoughtSignature"), SPAN_INIT("thought_signature"), SIGNATURE},
        {SPAN_INIT("inlineData"), SPAN_INIT("inline_data"), DATA},
        {SPAN_INIT("fileData"), SPAN_INIT("file_data"), FILE_DATA},
        {SPAN_INIT("functionCall"), SPAN_INIT("function_call"), CALL},
        {SPAN_INIT("functionResponse"), SPAN_INIT("function_response"), RESULT},
        {SPAN_INIT("executableCode"), SPAN_INIT("executable_code"), CODE},
        {SPAN_INIT("codeExecutionResult"), SPAN_INIT("code_execution_result"), OUTCOME},
        {SPAN_INIT("mediaResolution"), SPAN_INIT("media_resolution"), RESOLUTION},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_is_equal(name, known[i].camel) || span_is_equal(name, known[i].snake))
            return (int)known[i].slot;
    }
    return -1;
}

static struct span detail_of(const yyjson_val *resolution)
{
    struct span level = gemini_string(resolution, "level");

    if (!level.ptr)
        level = json_tree_text(resolution);
    if (span_is_equal(level, SPAN("MEDIA_RESOLUTION_LOW")))
        return SPAN("low");
    return span_has_suffix(level, SPAN("HIGH")) ? SPAN("high") : span_of(NULL, 0);
}

static void take_member(struct members *members, enum slot slot, const yyjson_val *value)
{
    switch (slot) {
    case TEXT:
        members->text = value;
        break;
    case THOUGHT:
        members->is_thought = yyjson_is_true(json_tree_plain(value));
        break;
    case SIGNATURE:
        members->signature = json_tree_text(value);
        break;
    case DATA:
        members->data = value;
        break;
    case FILE_DATA:
        members->file = value;
        break;
    case CALL:
        members->call = value;
        break;
    case RESULT:
        members->result = value;
        break;
    case CODE:
        members->code = value;
        break;
    case OUTCOME:
        members->outcome = value;
        break;
    case RESOLUTION:
        members->detail = detail_of(value);
        break;
    }
}

static void read_members(struct gemini_contents *contents, yyjson_val *value,
                         struct members *ret_members)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(value);
    yyjson_val *name;

    *ret_members = (struct members){NULL};
    while ((name = yyjson_obj_iter_next(&iter))) {
        int slot = slot_of(json_tree_text(name));

        if (slot < 0)
            parameter_note_unknown(contents->reading, SPAN("contents.parts."), json_tree_text(name),
                                   NULL);
        else if (!yyjson_is_null(yyjson_obj_iter_get_val(name)))
            take_member(ret_members, (enum slot)slot, yyjson_obj_iter_get_val(name));
    }
}

/* --- media --- */

static enum chat_part_kind kind_of(struct span type, struct span place)
{
    if (span_has_prefix(type, SPAN("image/")))
        return CHAT_PART_IMAGE;
    if (span_has_prefix(type, SPAN("audio/")))
        return CHAT_PART_AUDIO;
    if (span_has_prefix(type, SPAN("video/")) || span_find(place, SPAN("youtu")) != SIZE_MAX)
        return CHAT_PART_VIDEO;
    return CHAT_PART_DOCUMENT;
}

static int read_media(struct gemini_contents *contents, const struct members *members,
                      struct chat_part *part)
{
    struct chat_media *media = &part->media;
    struct span place = gemini_string(members->file, "fileUri");

    if (members->data) {
        media->type = gemini_string(members->data, "mimeType");
        media->data = gemini_string(members->data, "data");
        media->name = gemini_string(members->data, "displayName");
        if (media->type.len == 0)
            return refuse(contents, ".inlineData.mimeType", "a media type is needed");
        if (!media->data.ptr)
            return refuse(contents, ".inlineData.data", "bytes in Base64 are expected");
        /* Google's own clients write the URL-safe alphabet, which no other provider reads. */
        media->data = base64_to_usual(media->data, contents->reading->arena);
        if (!media->data.ptr)
            return ERR_NOMEM;
    } else {
        if (place.len == 0)
            return refuse(contents, ".fileData.fileUri", "a URI is expected");
        media->type = gemini_string(members->file, "mimeType");
        media->data = place;
        media->source =
            chat_is_web_url(place) && !gemini_takes_url(place) ? CHAT_SOURCE_URL : CHAT_SOURCE_FILE;
    }
    media->detail = members->detail;
    part->kind = kind_of(media->type, place);
    return 0;
}

/* --- calls and results --- */

static int read_call(struct gemini_contents *contents, const struct members *members,
                     struct chat_part *part)
{
    const yyjson_val *args = gemini_member(members->call, "args");

    part->kind = CHAT_PART_CALL;
    part->name = gemini_string(members->call, "name");
    part->id = gemini_string(members->call, "id");
    if (part->name.len == 0)
        return refuse(contents, ".functionCall.name", "the name of a function is needed");
    if (args && !yyjson_is_obj(json_tree_plain(args)))
        return refuse(contents, ".functionCall.args", "an object is expected");
    part->text = args ? chat_json_text(contents->reading->arena, args) : SPAN("{}");
    /* Others need one; the name says that it was made here, so that it is not sent to Gemini. */
    if (part->id.len == 0)
        part->id = arena_printf(contents->reading->arena, "call_%zu_%zu_unnamed", contents->at,
                                contents->part_at);
    return part->text.ptr && part->id.ptr ? 0 : ERR_NOMEM;
}

/* The call of the model's last turn that a result answers; NULL where there is none. */
static const struct chat_part *find_call(struct gemini_contents *contents, struct span id,
                                         struct span name)
{
    if (!contents->turn)
        return NULL;
    if (!contents->calls)
        contents->calls = gemini_calls_new(contents->reading->arena, contents->turn);
    return contents->calls ? gemini_calls_take(contents->calls, id, name) : NULL;
}

/* By convention {"output":…} or {"error":…}: one text alone is told as that text, unless it would
 * not be written so again. Anything else is told as JSON. */
static struct span result_text(struct arena *arena, const yyjson_val *response, bool *ret_is_error)
{
    const yyjson_val *error = json_tree_member(response, "error");
    const yyjson_val *only = error ? error : json_tree_member(response, "output");
    struct span text = json_tree_text(only);

    *ret_is_error = error && yyjson_obj_size(json_tree_plain(response)) == 1;
    if (text.ptr && yyjson_obj_size(json_tree_plain(response)) == 1 && !gemini_is_object(text))
        return text;
    return response ? chat_json_text(arena, response) : SPAN("{}");
}

static int read_result_media(struct gemini_contents *contents, const yyjson_val *list,
                             struct chat_part *part)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *item;
    int err = 0;

    while (!err && (item = yyjson_arr_iter_next(&items))) {
        struct members members;

        read_members(contents, item, &members);
        if (!members.data && !members.file)
            continue;
        err = read_media(contents, &members, &part->parts[part->part_count]);
        part->part_count++;
    }
    return err;
}

static int read_result(struct gemini_contents *contents, const struct members *members,
                       struct chat_part *part)
{
    const yyjson_val *response = gemini_member(members->result, "response");
    const yyjson_val *media = gemini_member(members->result, "parts");
    struct span name = gemini_string(members->result, "name");
    const struct chat_part *call = find_call(contents, gemini_string(members->result, "id"), name);

    if (!call)
        return refuse(contents, ".functionResponse",
                      "it answers no functionCall of the turn before it");
    if (response && !yyjson_is_obj(json_tree_plain(response)))
        return refuse(contents, ".functionResponse.response", "an object is expected");
    part->kind = CHAT_PART_RESULT;
    part->id = call->id;
    part->name = call->name;
    part->parts = chat_parts_new(contents->reading, 1 + yyjson_arr_size(json_tree_plain(media)));
    if (!part->parts)
        return ERR_NOMEM;
    part->parts[0].kind = CHAT_PART_TEXT;
    part->parts[0].text = result_text(contents->reading->arena, response, &part->is_error);
    part->part_count = 1;
    return part->parts[0].text.ptr ? read_result_media(contents, media, part) : ERR_NOMEM;
}

/* --- parts --- */

/* What the provider ran itself is told to others as the text that it comes to. */
static int read_code(struct gemini_contents *contents, const struct members *members,
                     struct chat_part *part)
{
    struct span text = members->code ? gemini_string(members->code, "code")
                                     : gemini_string(members->outcome, "output");

    part->text = arena_printf(contents->reading->arena, "\n```%s\n%.*s\n```\n",
                              members->code ? "python" : "", SPAN_ARG(text));
    return part->text.ptr ? 0 : ERR_NOMEM;
}

static int read_kind(struct gemini_contents *contents, const struct members *members, bool is_model,
                     struct chat_part *part)
{
    if (members->text && !yyjson_is_str(json_tree_plain(members->text)))
        return refuse(contents, ".text", "a string is expected");
    if (members->data || members->file)
        return read_media(contents, members, part);
    if (members->call)
        return is_model ? read_call(contents, members, part)
                        : refuse(contents, ".functionCall", "only the model calls functions");
    if (members->result)
        return is_model ? refuse(contents, ".functionResponse", "it belongs to a user's turn")
                        : read_result(contents, members, part);
    if (members->code || members->outcome)
        return read_code(contents, members, part);
    part->text = json_tree_text(members->text);
    part->kind = members->is_thought ? CHAT_PART_THINKING : CHAT_PART_TEXT;
    return 0;
}

int gemini_read_parts(struct gemini_contents *contents, const yyjson_val *content,
                      struct chat_message *message)
{
    yyjson_val *parts = json_tree_plain(json_tree_member(content, "parts")), *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(parts);
    int err = 0;

    contents->part_at = 0;
    if (parts && !yyjson_is_arr(parts))
        return refuse(contents, "", "a list of parts is expected");
    while (!err && (item = yyjson_arr_iter_next(&items))) {
        struct chat_part *part = &message->parts[message->part_count];
        struct members members;

        if (!yyjson_is_obj(item))
            return refuse(contents, "", "an object is expected");
        read_members(contents, item, &members);
        err = read_kind(contents, &members, message->role == CHAT_ASSISTANT, part);
        if (members.signature.len)
            gemini_read_signature(contents->reading->arena, members.signature, part);
        message->part_count++;
        contents->part_at++;
    }
    return err;
}
