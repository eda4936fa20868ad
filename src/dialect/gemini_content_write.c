/*
 * Contents of a request, written: what the system says goes apart, what stands between two turns of
 * the model is one content of the user, and the results in it come first, one for each call, in
 * their order.
 */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_inner.h"

/* Google takes this in place of a signature that is not to be had. */
static const struct span no_signature = SPAN_INIT("skip_thought_signature_validator");

struct contents {
    struct chat_writing *writing;
    struct json_writer *writer;
    const struct gemini_model *model;
    size_t turn, turn_end; /* messages of the model's last turn */
    bool has_any;
    bool owes_system; /* the model takes no systemInstruction: the user's first words hold it */
};

const char *gemini_messages_name(const struct chat *chat)
{
    switch (chat->form) {
    case FORM_RESPONSES:
        return "input";
    case FORM_COMPLETIONS:
        return "prompt";
    case FORM_GENERATE:
    case FORM_MEASURE:
        return "contents";
    case FORM_CHAT:
    case FORM_MESSAGES:
    case FORM_COUNT_TOKENS:
    case FORM_EMBEDDINGS:
    case FORM_EMBED:
    case FORM_EMBED_BATCH:
    case FORM_COUNT:
        break;
    }
    return "messages";
}

/* Only chat completions tell a message's place as it stands here, and name its members so. */
static int refuse(struct contents *contents, size_t message, const char *member, const char *what)
{
    const struct chat *chat = contents->writing->chat;
    const char *name = gemini_messages_name(chat);
    char param[96];

    if (chat->form == FORM_CHAT)
        snprintf(param, sizeof(param), "%s[%zu].%s", name, message, member);
    else
        snprintf(param, sizeof(param), "%s", name);
    return chat_refuse(contents->writing->refusal, FAILURE_UNSUPPORTED, param,
                       "Invalid value for '%s': %s.", param, what);
}

static int refuse_media(struct contents *contents, size_t message, size_t at, const char *what)
{
    char member[48];

    snprintf(member, sizeof(member), "content[%zu]", at);
    return refuse(contents, message, member, what);
}

/* --- parts --- */

void gemini_write_media(struct json_writer *writer, const struct chat_media *media)
{
    bool is_data = media->source == CHAT_SOURCE_DATA;

    json_name(writer, is_data ? "inlineData" : "fileData");
    json_begin_object(writer);
    if (media->type.len)
        json_member_string(writer, "mimeType", media->type);
    json_member_string(writer, is_data ? "data" : "fileUri", media->data);
    json_end_object(writer);
}

static void write_detail(struct contents *contents, const struct chat_media *media)
{
    bool is_low = span_is_equal(media->detail, SPAN("low"));

    if (!contents->model->takes_media_results ||
        (!is_low && !span_is_equal(media->detail, SPAN("high"))))
        return;
    json_name(contents->writer, "mediaResolution");
    json_begin_object(contents->writer);
    json_member_text(contents->writer, "level",
                     is_low ? "MEDIA_RESOLUTION_LOW" : "MEDIA_RESOLUTION_HIGH");
    json_end_object(contents->writer);
}

static void write_signature(struct contents *contents, const struct chat_part *part)
{
    if (part->signature.len == 0 || part->signer != DIALECT_GEMINI)
        return;
    json_member_string(contents->writer, "thoughtSignature", part->signature);
}

/* Whether the media can be told, else a refusal. A place that only we could look up was replaced by
 * data before, or cannot be. */
static int fit_media(struct contents *contents, const struct chat_part *part, size_t message,
                     size_t at)
{
    const struct chat_media *media = &part->media;

    switch (media->source) {
    case CHAT_SOURCE_DATA:
        return media->type.len ? 0 : refuse_media(contents, message, at, "a media type is needed");
    case CHAT_SOURCE_TEXT:
        return 0;
    case CHAT_SOURCE_URL:
        if (gemini_takes_url(media->data) || contents->writing->chat->form == FORM_GENERATE)
            return 0;
        return refuse_media(
            contents, message, at,
            "Gemini, which serves this model, fetches no URL of the web; send the bytes");
    case CHAT_SOURCE_FILE:
        if (gemini_takes_url(media->data) || contents->writing->chat->form == FORM_GENERATE)
            return 0;
        return refuse_media(
            contents, message, at,
            "this file is with another provider than the one that serves this model");
    }
    return 0;
}

static int write_media_part(struct contents *contents, const struct chat_part *part, size_t message,
                            size_t at)
{
    struct json_writer *writer = contents->writer;
    int err = fit_media(contents, part, message, at);

    if (err)
        return err;
    json_begin_object(writer);
    if (part->media.source == CHAT_SOURCE_TEXT)
        json_member_string(writer, "text", part->media.data);
    else
        gemini_write_media(writer, &part->media);
    write_detail(contents, &part->media);
    write_signature(contents, part);
    json_end_object(writer);
    return 0;
}

static void write_text(struct contents *contents, const struct chat_part *part, bool is_thought)
{
    json_begin_object(contents->writer);
    json_member_string(contents->writer, "text", part->text);
    if (is_thought)
        json_member_bool(contents->writer, "thought", true);
    write_signature(contents, part);
    json_end_object(contents->writer);
}

static bool is_invented(const struct chat *chat, struct span id)
{
    return (chat->form == FORM_GENERATE || chat->form == FORM_MEASURE) &&
           span_has_suffix(id, SPAN("_unnamed"));
}

static void write_names(struct contents *contents, struct span id, struct span name)
{
    char made[GEMINI_NAME_MAX];

    /* Ids of other clients are sent, made up here or not: the result then names its call. */
    if (id.len && !is_invented(contents->writing->chat, id))
        json_member_string(contents->writer, "id", id);
    json_member_string(contents->writer, "name", gemini_fit_name(name, made));
}

static void write_call(struct contents *contents, const struct chat_part *part, bool is_first)
{
    struct json_writer *writer = contents->writer;

    json_begin_object(writer);
    json_name(writer, "functionCall");
    json_begin_object(writer);
    write_names(contents, part->id, part->name);
    json_name(writer, "args");
    json_raw(writer, SPAN(""));
    gemini_write_args(writer->buf, part->text, part->is_custom);
    json_end_object(writer);
    if (part->signature.len && part->signer == DIALECT_GEMINI)
        write_signature(contents, part);
    else if (is_first && contents->model->needs_signature)
        json_member_string(writer, "thoughtSignature", no_signature);
    json_end_object(writer);
}

/* --- results --- */

static void write_response(struct contents *contents, const struct chat_part *part,
                           struct span text)
{
    struct json_writer *writer = contents->writer;
    bool is_object = gemini_is_object(text);

    json_name(writer, "response");
    if (is_object && (!part->is_error || span_has_prefix(text, SPAN("{\"error\":")))) {
        json_raw(writer, text);
        return;
    }
    json_begin_object(writer);
    json_name(writer, part->is_error ? "error" : "output");
    if (is_object)
        json_raw(writer, text);
    else
        json_string(writer, text);
    json_end_object(writer);
}

static bool is_media(const struct chat_part *part)
{
    return part->kind == CHAT_PART_IMAGE || part->kind == CHAT_PART_AUDIO ||
           part->kind == CHAT_PART_DOCUMENT || part->kind == CHAT_PART_VIDEO;
}

/* A document in plain text is the result's text, or a part of it. */
static struct span result_text(struct contents *contents, const struct chat_part *result)
{
    struct arena *arena = contents->writing->arena;
    struct span text = chat_plain_text(result->parts, result->part_count, arena);

    for (size_t i = 0; i < result->part_count && text.ptr; i++) {
        const struct chat_part *part = &result->parts[i];

        if (part->kind == CHAT_PART_DOCUMENT && part->media.source == CHAT_SOURCE_TEXT)
            text = text.len ? arena_printf(arena, "%.*s\n%.*s", SPAN_ARG(text),
                                           SPAN_ARG(part->media.data))
                            : part->media.data;
    }
    return text;
}

static int write_result_media(struct contents *contents, const struct chat_part *result,
                              size_t message, size_t at)
{
    bool has_any = false;
    int err = 0;

    if (!contents->model->takes_media_results)
        return 0;
    for (size_t i = 0; !err && i < result->part_count; i++) {
        if (!is_media(&result->parts[i]) || result->parts[i].media.source == CHAT_SOURCE_TEXT)
            continue;
        if (!has_any) {
            json_name(contents->writer, "parts");
            json_begin_array(contents->writer);
            has_any = true;
        }
        err = write_media_part(contents, &result->parts[i], message, at);
    }
    if (has_any)
        json_end_array(contents->writer);
    return err;
}

static int write_result(struct contents *contents, const struct chat_part *call,
                        const struct chat_part *result, size_t message, size_t at)
{
    struct json_writer *writer = contents->writer;
    struct span text = result_text(contents, result);
    int err;

    if (!text.ptr)
        return ERR_NOMEM;
    json_begin_object(writer);
    json_name(writer, "functionResponse");
    json_begin_object(writer);
    write_names(contents, call->id, call->name);
    write_response(contents, result, text);
    err = write_result_media(contents, result, message, at);
    json_end_object(writer);
    json_end_object(writer);
    return err;
}

/* The result of that id in the messages; ret_message and ret_at say where. */
static const struct chat_part *find_result(const struct chat *chat, size_t from, size_t end,
                                           struct span id, size_t *ret_message, size_t *ret_at)
{
    for (size_t m = from; m < end; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count; p++) {
            const struct chat_part *part = &chat->messages[m].parts[p];

            if (part->kind != CHAT_PART_RESULT || !span_is_equal(part->id, id))
                continue;
            *ret_message = m;
            *ret_at = p;
            return part;
        }
    }
    return NULL;
}

/* Gemini wants as many results as there were calls, in the content that follows them. */
static int write_results(struct contents *contents, size_t from, size_t end, size_t *ret_count)
{
    const struct chat *chat = contents->writing->chat;
    int err = 0;

    for (size_t m = contents->turn; !err && m < contents->turn_end; m++) {
        for (size_t p = 0; !err && p < chat->messages[m].part_count; p++) {
            const struct chat_part *call = &chat->messages[m].parts[p], *result;
            size_t message, at;

            if (call->kind != CHAT_PART_CALL)
                continue;
            result = find_result(chat, from, end, call->id, &message, &at);
            if (!result)
                return refuse(contents, m, "tool_calls",
                              "a call has no result in the messages behind it");
            err = write_result(contents, call, result, message, at);
            ++*ret_count;
        }
    }
    return err;
}

/* --- turns --- */

static int write_part(struct contents *contents, const struct chat_part *part, size_t message,
                      size_t at)
{
    bool is_own = part->signature.len && part->signer == DIALECT_GEMINI;

    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len || is_own)
            write_text(contents, part, false);
        return 0;
    case CHAT_PART_THINKING:
        /* Another provider's thoughts would be taken for what was said. */
        if (is_own || (contents->writing->chat->form == FORM_GENERATE && !part->signature.len))
            write_text(contents, part, part->text.len > 0);
        return 0;
    case CHAT_PART_IMAGE:
    case CHAT_PART_AUDIO:
    case CHAT_PART_DOCUMENT:
    case CHAT_PART_VIDEO:
        return write_media_part(contents, part, message, at);
    case CHAT_PART_REDACTED:
    case CHAT_PART_CALL:
    case CHAT_PART_RESULT:
        break;
    }
    return 0;
}

/* Media of a result where the model takes none inside it: behind the results. */
static int write_loose_media(struct contents *contents, const struct chat_part *result,
                             size_t message, size_t at)
{
    int err = 0;

    for (size_t i = 0; !err && i < result->part_count; i++) {
        if (is_media(&result->parts[i]) && result->parts[i].media.source != CHAT_SOURCE_TEXT)
            err = write_media_part(contents, &result->parts[i], message, at);
    }
    return err;
}

static int write_user_part(struct contents *contents, const struct chat_part *part, size_t message,
                           size_t at, size_t *results)
{
    const struct chat *chat = contents->writing->chat;

    if (part->kind != CHAT_PART_RESULT)
        return write_part(contents, part, message, at);
    if (*results == 0)
        return refuse(contents, message, "tool_call_id",
                      chat_find_call(chat, message, part->id)
                          ? "this result stands apart from its call"
                          : "no call of a tool has this id");
    --*results;
    return contents->model->takes_media_results ? 0
                                                : write_loose_media(contents, part, message, at);
}

static void write_owed_system(struct contents *contents)
{
    const struct chat *chat = contents->writing->chat;

    for (size_t m = 0; contents->owes_system && m < chat->message_count; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count; p++) {
            if (chat_is_system(&chat->messages[m]) && chat->messages[m].parts[p].text.len)
                write_text(contents, &chat->messages[m].parts[p], false);
        }
    }
    contents->owes_system = false;
}

static int write_user(struct contents *contents, size_t from, size_t end)
{
    const struct chat *chat = contents->writing->chat;
    size_t results = 0;
    int err = write_results(contents, from, end, &results);

    write_owed_system(contents);

    for (size_t m = from; !err && m < end; m++) {
        if (chat_is_system(&chat->messages[m]))
            continue;
        if (chat->messages[m].name.len)
            chat_drop(contents->writing->drops, SPAN("messages.name"));
        for (size_t p = 0; !err && p < chat->messages[m].part_count; p++)
            err = write_user_part(contents, &chat->messages[m].parts[p], m, p, &results);
    }
    contents->turn = contents->turn_end = 0;
    return err;
}

static int write_model(struct contents *contents, size_t from, size_t end)
{
    const struct chat *chat = contents->writing->chat;
    bool is_first = true;
    int err = 0;

    for (size_t m = from; !err && m < end; m++) {
        if (chat_is_system(&chat->messages[m]))
            continue;
        for (size_t p = 0; !err && p < chat->messages[m].part_count; p++) {
            const struct chat_part *part = &chat->messages[m].parts[p];

            if (part->kind != CHAT_PART_CALL) {
                err = write_part(contents, part, m, p);
                continue;
            }
            write_call(contents, part, is_first);
            is_first = false;
        }
    }
    contents->turn = from;
    contents->turn_end = end;
    return err;
}

/* The messages from `from` on that are one content; what the system says between them stands apart
 * and parts nothing. */
static size_t find_end(const struct chat *chat, size_t from)
{
    bool is_model = chat->messages[from].role == CHAT_ASSISTANT;
    size_t end = from + 1;

    while (end < chat->message_count && (chat_is_system(&chat->messages[end]) ||
                                         (chat->messages[end].role == CHAT_ASSISTANT) == is_model))
        end++;
    return end;
}

static int write_content(struct contents *contents, size_t from, size_t end)
{
    struct json_writer *writer = contents->writer;
    bool is_model = contents->writing->chat->messages[from].role == CHAT_ASSISTANT;
    struct json_writer before = *writer;
    size_t start = writer->buf->len, open;
    int err;

    json_begin_object(writer);
    json_member_text(writer, "role", is_model ? "model" : "user");
    json_name(writer, "parts");
    json_begin_array(writer);
    open = writer->buf->len;
    err = is_model ? write_model(contents, from, end) : write_user(contents, from, end);
    if (writer->buf->len == open) {
        /* Nothing of it can be told: no content is better than an empty one. */
        writer->buf->len = start;
        *writer = before;
        return err;
    }
    json_end_array(writer);
    json_end_object(writer);
    contents->has_any = true;
    return err;
}

int gemini_write_contents(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    struct contents contents = {
        .writing = writing, .writer = writer, .model = gemini_model_find(writing->target->model)};
    int err = 0;

    contents.owes_system = !contents.model->takes_system;
    json_name(writer, "contents");
    json_begin_array(writer);
    for (size_t from = 0; !err && from < chat->message_count;) {
        size_t end = from + 1;

        if (!chat_is_system(&chat->messages[from])) {
            end = find_end(chat, from);
            err = write_content(&contents, from, end);
        }
        from = end;
    }
    json_end_array(writer);
    if (!err && !contents.has_any)
        return chat_refuse(writing->refusal, FAILURE_FIELD_VALUE, gemini_messages_name(chat),
                           "'%s' needs a message of the user.", gemini_messages_name(chat));
    return err;
}
