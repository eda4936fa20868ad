/* One part of a content, written. */
#include <stdio.h>

#include "dialect/gemini_content_write.h"

/* Google takes this in place of a signature that is not to be had. */
static const struct span no_signature = SPAN_INIT("skip_thought_signature_validator");

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
int gemini_refuse_message(struct gemini_telling *contents, size_t message, const char *member,
                          const char *what)
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

static int refuse_media(struct gemini_telling *contents, size_t message, size_t at,
                        const char *what)
{
    char member[48];

    snprintf(member, sizeof(member), "content[%zu]", at);
    return gemini_refuse_message(contents, message, member, what);
}

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

static void write_detail(struct gemini_telling *contents, const struct chat_media *media)
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

static void write_signature(struct gemini_telling *contents, const struct chat_part *part)
{
    if (part->signature.len == 0 || part->signer != DIALECT_GEMINI)
        return;
    json_member_string(contents->writer, "thoughtSignature", part->signature);
}

/* Whether the media can be told, else a refusal. A place that only we could look up was replaced by
 * data before, or cannot be. */
static int fit_media(struct gemini_telling *contents, const struct chat_part *part, size_t message,
                     size_t at)
{
    const struct chat_media *media = &part->media;

    switch (media->source) {
    case CHAT_SOURCE_DATA:
        return media->type.len ? 0 : refuse_media(contents, message, at, "a media type is needed");
    case CHAT_SOURCE_TEXT:
        return 0;
    case CHAT_SOURCE_URL:
        if (gemini_takes_url(media->data) || gemini_is_own(contents->writing->chat))
            return 0;
        return refuse_media(
            contents, message, at,
            "Gemini, which serves this model, fetches no URL of the web; send the bytes");
    case CHAT_SOURCE_FILE:
        if (gemini_takes_url(media->data) || gemini_is_own(contents->writing->chat))
            return 0;
        return refuse_media(
            contents, message, at,
            "this file is with another provider than the one that serves this model");
    }
    return 0;
}

int gemini_write_media_part(struct gemini_telling *contents, const struct chat_part *part,
                            size_t message, size_t at)
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

void gemini_write_text_part(struct gemini_telling *contents, const struct chat_part *part,
                            bool is_thought)
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
    return gemini_is_own(chat) && span_has_suffix(id, SPAN("_unnamed"));
}

void gemini_write_call_names(struct gemini_telling *contents, struct span id, struct span name)
{
    char made[GEMINI_NAME_MAX];

    /* Ids of other clients are sent, made up here or not: the result then names its call. */
    if (id.len && !is_invented(contents->writing->chat, id))
        json_member_string(contents->writer, "id", id);
    json_member_string(contents->writer, "name", gemini_fit_name(name, made));
}

void gemini_write_call_part(struct gemini_telling *contents, const struct chat_part *part,
                            bool is_first)
{
    struct json_writer *writer = contents->writer;

    json_begin_object(writer);
    json_name(writer, "functionCall");
    json_begin_object(writer);
    gemini_write_call_names(contents, part->id, part->name);
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

int gemini_write_part(struct gemini_telling *contents, const struct chat_part *part, size_t message,
                      size_t at)
{
    bool is_own = part->signature.len && part->signer == DIALECT_GEMINI;

    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len || is_own)
            gemini_write_text_part(contents, part, false);
        return 0;
    case CHAT_PART_THINKING:
        /* Another provider's thoughts would be taken for what was said. */
        if (is_own || (gemini_is_own(contents->writing->chat) && !part->signature.len))
            gemini_write_text_part(contents, part, part->text.len > 0);
        return 0;
    case CHAT_PART_IMAGE:
    case CHAT_PART_AUDIO:
    case CHAT_PART_DOCUMENT:
    case CHAT_PART_VIDEO:
        return gemini_write_media_part(contents, part, message, at);
    case CHAT_PART_REDACTED:
    case CHAT_PART_CALL:
    case CHAT_PART_RESULT:
        break;
    }
    return 0;
}
