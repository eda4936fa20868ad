/* Writes images and documents. */
#include "dialect/anthropic_inner.h"

#include "base/base64.h"

static void write_source(struct json_writer *json, const char *type, struct span media_type,
                         const char *member, struct span data)
{
    json_name(json, "source");
    json_begin_object(json);
    json_member_text(json, "type", type);
    if (media_type.len)
        json_member_string(json, "media_type", media_type);
    json_member_string(json, member, data);
    json_end_object(json);
}

/* The type as this API spells it; NULL ptr: not one of the four that it takes. */
static struct span image_type(struct span type)
{
    static const struct span known[] = {SPAN_INIT("image/png"), SPAN_INIT("image/jpeg"),
                                        SPAN_INIT("image/webp"), SPAN_INIT("image/gif")};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_is_equal_nocase(type, known[i]))
            return known[i];
    }
    return span_is_equal_nocase(type, SPAN("image/jpg")) ? known[1] : span_of(NULL, 0);
}

static int refuse_file(struct anthropic_writing *writing, const struct anthropic_spot *spot)
{
    return anthropic_refuse_part(writing, spot,
                                 "A file that another provider keeps cannot be told to the "
                                 "provider of this model; send its content.");
}

static int write_image_source(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                              const struct chat_media *media)
{
    struct span type = image_type(media->type);

    switch (media->source) {
    case CHAT_SOURCE_DATA:
        if (!type.ptr)
            return anthropic_refuse_part(writing, spot,
                                         "The provider of this model takes images of the types "
                                         "image/jpeg, image/png, image/gif and image/webp.");
        write_source(&writing->json, "base64", type, "data", media->data);
        return 0;
    case CHAT_SOURCE_URL:
        write_source(&writing->json, "url", span_of(NULL, 0), "url", media->data);
        return 0;
    case CHAT_SOURCE_FILE:
        if (!writing->is_own)
            return refuse_file(writing, spot);
        write_source(&writing->json, "file", span_of(NULL, 0), "file_id", media->data);
        return 0;
    case CHAT_SOURCE_TEXT:
        break;
    }
    return anthropic_refuse_part(writing, spot, "An image cannot be a text.");
}

int anthropic_write_image(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const struct chat_part *part)
{
    int err;

    if (spot->is_assistant)
        return anthropic_refuse_part(writing, spot,
                                     "The provider of this model takes no images in messages of "
                                     "the assistant.");
    if (span_is_equal(part->media.detail, SPAN("low")) ||
        span_is_equal(part->media.detail, SPAN("high")))
        chat_drop(writing->of->drops, SPAN("detail"));
    json_begin_object(&writing->json);
    json_member_text(&writing->json, "type", "image");
    err = write_image_source(writing, spot, &part->media);
    anthropic_write_cache(&writing->json, part->cache);
    json_end_object(&writing->json);
    return err;
}

/* What the base64 stands for, in the arena; NULL ptr where it is none, or without memory. */
static struct span decode(struct span data, struct arena *arena)
{
    char *out = arena_alloc(arena, data.len / 4 * 3 + 3);
    size_t len;

    return out && base64_read(data, out, &len) ? span_of(out, len) : span_of(NULL, 0);
}

static int write_document_data(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                               const struct chat_media *media)
{
    struct span text;

    if (span_is_equal_nocase(media->type, SPAN("application/pdf"))) {
        write_source(&writing->json, "base64", SPAN("application/pdf"), "data", media->data);
        return 0;
    }
    if (!span_has_prefix(media->type, SPAN("text/")))
        return anthropic_refuse_part(writing, spot,
                                     "The provider of this model takes documents of the type "
                                     "application/pdf, and text.");
    text = decode(media->data, writing->of->arena);
    if (!text.ptr)
        return anthropic_refuse_part(writing, spot, "The document is not valid base64.");
    write_source(&writing->json, "text", SPAN("text/plain"), "data", text);
    return 0;
}

static int write_document_source(struct anthropic_writing *writing,
                                 const struct anthropic_spot *spot, const struct chat_media *media)
{
    switch (media->source) {
    case CHAT_SOURCE_DATA:
        return write_document_data(writing, spot, media);
    case CHAT_SOURCE_TEXT:
        write_source(&writing->json, "text", SPAN("text/plain"), "data", media->data);
        return 0;
    case CHAT_SOURCE_URL:
        write_source(&writing->json, "url", span_of(NULL, 0), "url", media->data);
        return 0;
    case CHAT_SOURCE_FILE:
        break;
    }
    if (!writing->is_own)
        return refuse_file(writing, spot);
    write_source(&writing->json, "file", span_of(NULL, 0), "file_id", media->data);
    return 0;
}

int anthropic_write_document(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                             const struct chat_part *part)
{
    struct json_writer *json = &writing->json;
    struct span title = part->text.len ? part->text : part->media.name;
    int err;

    json_begin_object(json);
    json_member_text(json, "type", "document");
    err = write_document_source(writing, spot, &part->media);
    if (title.len)
        json_member_string(json, "title", title);
    if (part->id.len)
        json_member_string(json, "context", part->id);
    anthropic_write_cache(json, part->cache);
    json_end_object(json);
    return err;
}
