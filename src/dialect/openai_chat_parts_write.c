/* Parts of a user's message from the neutral form: text, images, sounds and files. */
#include "dialect/openai_chat_inner.h"

/* Overwrites the opening quote of a string that is written next to what stands there, by `join`. */
static int splice(struct buf *buf, char join, struct span text)
{
    size_t at = buf->len;
    int err = json_write_string(buf, text);

    if (!err)
        buf->data[at] = join;
    return err;
}

void openai_write_media_url(struct json_writer *json, const struct chat_media *media)
{
    struct buf *buf = json->buf;

    if (media->source != CHAT_SOURCE_DATA) {
        json_string(json, media->data);
        return;
    }
    json_raw(json, SPAN("\"data"));
    if (splice(buf, ':', media->type) != 0)
        return;
    buf->len--; /* its closing quote */
    (void)buf_append_span(buf, SPAN(";base64"));
    (void)splice(buf, ',', media->data);
}

int openai_refuse_part(struct chat_writing *writing, size_t message, const char *what)
{
    char place[32];

    (void)openai_message_place(message, place);
    return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, place,
                       "The OpenAI API, which serves this model, cannot be told %s.", what);
}

static void write_cache(struct chat_writing *writing, struct json_writer *json,
                        const struct chat_part *part)
{
    if (part->cache == CHAT_CACHE_NONE || !openai_has_quirk(writing, QUIRK_OPENROUTER_REASONING))
        return;
    json_name(json, "cache_control");
    json_raw(json, part->cache == CHAT_CACHE_LONG ? SPAN("{\"type\":\"ephemeral\",\"ttl\":\"1h\"}")
                                                  : SPAN("{\"type\":\"ephemeral\"}"));
}

static void write_text_part(struct chat_writing *writing, struct json_writer *json,
                            const struct chat_part *part, struct span text)
{
    json_begin_object(json);
    json_member_text(json, "type", "text");
    json_member_string(json, "text", text);
    write_cache(writing, json, part);
    json_end_object(json);
}

static int write_image(struct chat_writing *writing, struct json_writer *json,
                       const struct chat_part *part, size_t message)
{
    if (part->media.source != CHAT_SOURCE_DATA && part->media.source != CHAT_SOURCE_URL)
        return openai_refuse_part(writing, message, "an image by the id of a file");
    json_begin_object(json);
    json_member_text(json, "type", "image_url");
    json_name(json, "image_url");
    json_begin_object(json);
    json_name(json, "url");
    openai_write_media_url(json, &part->media);
    if (part->media.detail.len)
        json_member_string(json, "detail", part->media.detail);
    json_end_object(json);
    write_cache(writing, json, part);
    json_end_object(json);
    return 0;
}

static int write_audio(struct chat_writing *writing, struct json_writer *json,
                       const struct chat_part *part, size_t message)
{
    static const struct {
        struct span type;
        const char *format;
    } formats[] = {
        {SPAN_INIT("audio/wav"), "wav"},  {SPAN_INIT("audio/x-wav"), "wav"},
        {SPAN_INIT("audio/wave"), "wav"}, {SPAN_INIT("audio/mp3"), "mp3"},
        {SPAN_INIT("audio/mpeg"), "mp3"},
    };
    const char *format = NULL;

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (span_is_equal_nocase(part->media.type, formats[i].type))
            format = formats[i].format;
    }
    if (part->media.source != CHAT_SOURCE_DATA || !format)
        return openai_refuse_part(writing, message, "a sound that is not given as WAV or MP3 data");
    json_begin_object(json);
    json_member_text(json, "type", "input_audio");
    json_name(json, "input_audio");
    json_begin_object(json);
    json_member_string(json, "data", part->media.data);
    json_member_text(json, "format", format);
    json_end_object(json);
    json_end_object(json);
    return 0;
}

static struct span file_name(const struct chat_part *part)
{
    if (part->media.name.len)
        return part->media.name;
    if (part->text.len) /* its title */
        return part->text;
    return span_is_equal_nocase(part->media.type, SPAN("application/pdf")) ? SPAN("document.pdf")
                                                                           : SPAN("document");
}

static int write_document(struct chat_writing *writing, struct json_writer *json,
                          const struct chat_part *part, size_t message)
{
    bool is_known = form_row(writing->chat->form)->dialect == DIALECT_OPENAI;

    if (part->media.source == CHAT_SOURCE_TEXT) {
        if (part->text.len)
            write_text_part(writing, json, &(struct chat_part){0}, part->text);
        write_text_part(writing, json, part, part->media.data);
        return 0;
    }
    if (part->media.source == CHAT_SOURCE_URL)
        return openai_refuse_part(writing, message, "a document by its URL");
    if (part->media.source == CHAT_SOURCE_FILE && !is_known)
        return openai_refuse_part(writing, message,
                                  "a file by the id that another provider gave it");
    json_begin_object(json);
    json_member_text(json, "type", "file");
    json_name(json, "file");
    json_begin_object(json);
    if (part->media.source == CHAT_SOURCE_FILE) {
        json_member_string(json, "file_id", part->media.data);
    } else {
        json_member_string(json, "filename", file_name(part));
        json_name(json, "file_data");
        openai_write_media_url(json, &part->media);
    }
    json_end_object(json);
    json_end_object(json);
    return 0;
}

bool openai_is_media(const struct chat_part *part)
{
    return part->kind == CHAT_PART_IMAGE || part->kind == CHAT_PART_AUDIO ||
           part->kind == CHAT_PART_VIDEO ||
           (part->kind == CHAT_PART_DOCUMENT && part->media.source != CHAT_SOURCE_TEXT);
}

/* A part of a user's message. Results are told before, and what only the model says is not told. */
int openai_write_part(struct chat_writing *writing, struct json_writer *json,
                      const struct chat_part *part, size_t message)
{
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        if (part->text.len)
            write_text_part(writing, json, part, part->text);
        return 0;
    case CHAT_PART_IMAGE:
        return write_image(writing, json, part, message);
    case CHAT_PART_AUDIO:
        return write_audio(writing, json, part, message);
    case CHAT_PART_DOCUMENT:
        return write_document(writing, json, part, message);
    case CHAT_PART_VIDEO:
        return openai_refuse_part(writing, message, "a video");
    case CHAT_PART_THINKING:
    case CHAT_PART_REDACTED:
    case CHAT_PART_CALL:
    case CHAT_PART_RESULT:
        break;
    }
    return 0;
}
