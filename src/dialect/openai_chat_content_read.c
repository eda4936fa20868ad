/* Content of messages: a string, or parts of text, images, sounds and files. */
#include "base/err.h"
#include "dialect/openai_chat_inner.h"

enum chat_cache openai_read_cache(const yyjson_val *value)
{
    const yyjson_val *control = json_tree_member(value, "cache_control");

    if (yyjson_is_obj(json_tree_plain(control)))
        return span_is_equal(json_tree_string(control, "ttl"), SPAN("1h")) ? CHAT_CACHE_LONG
                                                                           : CHAT_CACHE_SHORT;
    return json_tree_member(value, "prompt_cache_breakpoint") ? CHAT_CACHE_SHORT : CHAT_CACHE_NONE;
}

/* `member` of a part must be a string. */
static int read_text(struct chat_reading *reading, const yyjson_val *value,
                     const struct openai_place *place, const char *member, struct span *ret_text)
{
    const yyjson_val *text = json_tree_member(value, member);
    const struct openai_place *inner = OPENAI_IN(place, member);

    if (!text)
        return openai_refuse_absent(reading, inner);
    if (!yyjson_is_str(json_tree_plain(text)))
        return openai_refuse_type(reading, inner, "a string", text);
    *ret_text = json_tree_text(text);
    return 0;
}

/* A data URL or one of the web. */
static int read_url(struct chat_reading *reading, struct span url, const struct openai_place *place,
                    struct chat_media *media)
{
    struct span detail = media->detail, name = media->name;

    if (chat_is_web_url(url))
        *media = (struct chat_media){.source = CHAT_SOURCE_URL, .data = url};
    else if (!chat_read_data_url(url, media) || media->data.len == 0)
        return openai_refuse_value(reading, place,
                                   "expected a base64 data URL with a media type, or an http or "
                                   "https URL");
    media->detail = detail;
    media->name = name;
    return 0;
}

/* {"image_url":{"url":…}}, or the URL itself, as some clients write it. */
static int read_linked(struct chat_reading *reading, const yyjson_val *part,
                       const struct openai_place *place, const char *member,
                       struct chat_media *media)
{
    const yyjson_val *value = json_tree_member(part, member);
    const struct openai_place *inner = OPENAI_IN(place, member);
    struct span url = json_tree_text(value);
    int err;

    if (!value)
        return openai_refuse_absent(reading, inner);
    if (url.ptr)
        return read_url(reading, url, inner, media);
    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_type(reading, inner, "an object", value);
    err = read_text(reading, value, inner, "url", &url);
    if (err)
        return err;
    media->detail = json_tree_string(value, "detail");
    return read_url(reading, url, OPENAI_IN(inner, "url"), media);
}

static int read_audio(struct chat_reading *reading, const yyjson_val *part,
                      const struct openai_place *place, struct chat_media *media)
{
    const yyjson_val *value = json_tree_member(part, "input_audio");
    const struct openai_place *inner = OPENAI_IN(place, "input_audio");
    struct span format = json_tree_string(value, "format");

    if (!yyjson_is_obj(json_tree_plain(value)))
        return value ? openai_refuse_type(reading, inner, "an object", value)
                     : openai_refuse_absent(reading, inner);
    if (format.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(inner, "format"));
    media->source = CHAT_SOURCE_DATA;
    media->type = arena_printf(reading->arena, "audio/%.*s", SPAN_ARG(format));
    if (!media->type.ptr)
        return ERR_NOMEM;
    return read_text(reading, value, inner, "data", &media->data);
}

/* What a file without a media type is, by its name. */
static struct span type_of_name(struct span name)
{
    return span_has_suffix(name, SPAN(".txt")) || span_has_suffix(name, SPAN(".md"))
               ? SPAN("text/plain")
               : SPAN("application/pdf");
}

static int read_file(struct chat_reading *reading, const yyjson_val *part,
                     const struct openai_place *place, struct chat_media *media)
{
    const yyjson_val *value = json_tree_member(part, "file");
    const struct openai_place *inner = OPENAI_IN(place, "file");
    struct span data = json_tree_string(value, "file_data");

    if (!yyjson_is_obj(json_tree_plain(value)))
        return value ? openai_refuse_type(reading, inner, "an object", value)
                     : openai_refuse_absent(reading, inner);
    media->name = json_tree_string(value, "filename");
    media->data = json_tree_string(value, "file_id");
    media->source = CHAT_SOURCE_FILE;
    if (media->data.len)
        return 0;
    inner = OPENAI_IN(place, "file.file_data");
    if (data.len == 0)
        return openai_refuse_absent(reading, inner);
    if (span_find_byte(data, ':') != SIZE_MAX)
        return read_url(reading, data, inner, media);
    /* Plain base64. */
    media->source = CHAT_SOURCE_DATA;
    media->data = data;
    media->type = type_of_name(media->name);
    return 0;
}

/* A thought within content (Mistral): a string, or texts side by side. */
static int read_thought(struct chat_reading *reading, const yyjson_val *value,
                        struct span *ret_text)
{
    yyjson_val *list = json_tree_plain(json_tree_member(value, "thinking")), *item;
    struct chat_part *texts;
    size_t at, max;

    *ret_text = json_tree_text(list);
    if (!yyjson_is_arr(list))
        return 0;
    texts = chat_parts_new(reading, yyjson_arr_size(list) + 1);
    if (!texts)
        return openai_no_parts(reading);
    yyjson_arr_foreach(list, at, max, item)
    {
        texts[at].text = json_tree_string(item, "text");
    }
    *ret_text = chat_plain_text(texts, yyjson_arr_size(list), reading->arena);
    return ret_text->ptr ? 0 : ERR_NOMEM;
}

static int read_part(struct chat_reading *reading, const yyjson_val *value,
                     const struct openai_place *place, struct chat_part *part)
{
    struct span type = json_tree_string(value, "type");

    part->cache = openai_read_cache(value);
    if (span_is_equal(type, SPAN("text"))) {
        part->kind = CHAT_PART_TEXT;
        return read_text(reading, value, place, "text", &part->text);
    }
    if (span_is_equal(type, SPAN("refusal"))) {
        part->kind = CHAT_PART_REFUSAL;
        return read_text(reading, value, place, "refusal", &part->text);
    }
    if (span_is_equal(type, SPAN("image_url"))) {
        part->kind = CHAT_PART_IMAGE;
        return read_linked(reading, value, place, "image_url", &part->media);
    }
    if (span_is_equal(type, SPAN("video_url"))) {
        part->kind = CHAT_PART_VIDEO;
        return read_linked(reading, value, place, "video_url", &part->media);
    }
    if (span_is_equal(type, SPAN("input_audio"))) {
        part->kind = CHAT_PART_AUDIO;
        return read_audio(reading, value, place, &part->media);
    }
    if (span_is_equal(type, SPAN("file"))) {
        part->kind = CHAT_PART_DOCUMENT;
        return read_file(reading, value, place, &part->media);
    }
    if (span_is_equal(type, SPAN("thinking"))) {
        part->kind = CHAT_PART_THINKING;
        return read_thought(reading, value, &part->text);
    }
    return openai_refuse_value(reading, OPENAI_IN(place, "type"),
                               "supported values are 'text', 'image_url', 'input_audio', 'file', "
                               "'video_url', 'refusal' and 'thinking'");
}

size_t openai_content_room(const yyjson_val *content)
{
    yyjson_val *plain = json_tree_plain(content);

    return yyjson_is_arr(plain) ? yyjson_arr_size(plain) : 1;
}

int openai_read_content(struct chat_reading *reading, const yyjson_val *content,
                        const struct openai_place *place, struct chat_part *parts,
                        size_t *ret_count)
{
    yyjson_val *list = json_tree_plain(content), *item;
    struct span text = json_tree_text(content);
    size_t at, max;
    int err = 0;

    *ret_count = 0;
    if (!content || yyjson_is_null(list) || (text.ptr && text.len == 0))
        return 0;
    if (text.ptr) {
        parts[0] = (struct chat_part){.kind = CHAT_PART_TEXT, .text = text};
        *ret_count = 1;
        return 0;
    }
    if (!yyjson_is_arr(list))
        return openai_refuse_type(reading, place, "a string or an array", content);
    yyjson_arr_foreach(list, at, max, item)
    {
        const struct openai_place *inner = OPENAI_ITEM(place, at);

        if (yyjson_is_str(item))
            parts[at] = (struct chat_part){.kind = CHAT_PART_TEXT, .text = json_tree_text(item)};
        else if (yyjson_is_obj(item))
            err = read_part(reading, item, inner, &parts[at]);
        else
            err = openai_refuse_type(reading, inner, "an object", item);
        if (err)
            return err;
        ++*ret_count;
    }
    return 0;
}
