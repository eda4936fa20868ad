#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_responses_inner.h"

enum { PARAM_MAX = 128 };

/* Where a part stands, and what it is to be read into. */
struct place {
    struct chat_reading *reading;
    const char *param; /* of the content */
    size_t index;
    const yyjson_val *value;
    struct chat_part *part;
};

/* Refuses a member of the part. */
static int refuse(const struct place *place, const char *member, const char *why)
{
    char param[PARAM_MAX];

    snprintf(param, sizeof(param), "%s[%zu].%s", place->param, place->index, member);
    return chat_refuse(place->reading->refusal, FAILURE_FIELD_VALUE, param, "Invalid '%s': %s.",
                       param, why);
}

static int read_text(const struct place *place, const char *member, enum chat_part_kind kind)
{
    struct span text = json_tree_string(place->value, member);

    if (!text.ptr)
        return refuse(place, member, "a string is needed");
    place->part->kind = kind;
    place->part->text = text;
    return 0;
}

/* A file that lies with OpenAI under an id. */
static bool take_file_id(const struct place *place)
{
    struct span id = json_tree_string(place->value, "file_id");

    if (!id.len)
        return false;
    place->part->media.source = CHAT_SOURCE_FILE;
    place->part->media.data = id;
    return true;
}

static int read_image(const struct place *place)
{
    struct span url = json_tree_string(place->value, "image_url");
    struct chat_media *media = &place->part->media;

    place->part->kind = CHAT_PART_IMAGE;
    if (url.len && chat_is_web_url(url))
        *media = (struct chat_media){.source = CHAT_SOURCE_URL, .data = url};
    else if (url.len && !chat_read_data_url(url, media))
        return refuse(place, "image_url",
                      "an http(s) URL, or a data URL in base64 with its media type, is needed");
    else if (!url.len && !take_file_id(place))
        return refuse(place, "image_url", "an image is needed");
    media->detail = json_tree_string(place->value, "detail");
    return 0;
}

static int read_file(const struct place *place)
{
    struct span data = json_tree_string(place->value, "file_data");
    struct span url = json_tree_string(place->value, "file_url");
    struct chat_media *media = &place->part->media;

    place->part->kind = CHAT_PART_DOCUMENT;
    if (data.len && !chat_read_data_url(data, media))
        *media = (struct chat_media){.source = CHAT_SOURCE_DATA, .data = data};
    else if (!data.len && url.len && chat_is_web_url(url))
        *media = (struct chat_media){.source = CHAT_SOURCE_URL, .data = url};
    else if (!data.len && url.len)
        return refuse(place, "file_url", "an http(s) URL is needed");
    else if (!data.len && !take_file_id(place))
        return refuse(place, "file_data", "a file is needed");
    media->name = json_tree_string(place->value, "filename");
    /* What is no data URL names its type by its name at best. */
    if (!media->type.len && span_has_suffix(media->name, SPAN(".pdf")))
        media->type = SPAN("application/pdf");
    return 0;
}

static int read_audio(const struct place *place)
{
    const yyjson_val *audio = json_tree_member(place->value, "input_audio");
    struct span format = json_tree_string(audio, "format");
    struct chat_media *media = &place->part->media;

    place->part->kind = CHAT_PART_AUDIO;
    media->source = CHAT_SOURCE_DATA;
    media->data = json_tree_string(audio, "data");
    if (!media->data.len)
        return refuse(place, "input_audio.data", "a sound in base64 is needed");
    if (span_is_equal(format, SPAN("wav")))
        media->type = SPAN("audio/wav");
    else if (span_is_equal(format, SPAN("mp3")))
        media->type = SPAN("audio/mp3");
    else
        return refuse(place, "input_audio.format", "'wav' or 'mp3' is needed");
    return 0;
}

static void read_cache_mark(const struct place *place)
{
    const yyjson_val *mark = json_tree_member(place->value, "prompt_cache_breakpoint");
    struct span ttl = json_tree_string(mark, "ttl");

    if (mark)
        place->part->cache = span_is_equal(ttl, SPAN("12h")) ? CHAT_CACHE_LONG : CHAT_CACHE_SHORT;
}

static int read_part(const struct place *place)
{
    struct span type = json_tree_string(place->value, "type");

    read_cache_mark(place);
    if (span_is_equal(type, SPAN("input_text")) || span_is_equal(type, SPAN("output_text")) ||
        span_is_equal(type, SPAN("text")))
        return read_text(place, "text", CHAT_PART_TEXT);
    if (span_is_equal(type, SPAN("refusal")))
        return read_text(place, "refusal", CHAT_PART_REFUSAL);
    if (span_is_equal(type, SPAN("input_image")))
        return read_image(place);
    if (span_is_equal(type, SPAN("input_file")))
        return read_file(place);
    if (span_is_equal(type, SPAN("input_audio")))
        return read_audio(place);
    return refuse(place, "type",
                  "'input_text', 'input_image', 'input_file', 'input_audio', 'output_text' and "
                  "'refusal' are known");
}

static struct chat_part *new_parts(struct chat_reading *reading, size_t count, int *ret_err)
{
    struct chat_part *parts = chat_parts_new(reading, count);

    *ret_err = parts ? 0 : reading->refusal->message[0] ? ERR_SYNTAX : ERR_NOMEM;
    return parts;
}

static int read_list(struct chat_reading *reading, const yyjson_val *content, const char *param,
                     struct chat_part *parts)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(content));
    struct place place = {.reading = reading, .param = param, .part = parts};
    int err = 0;

    while (!err && (place.value = yyjson_arr_iter_next(&items))) {
        err = read_part(&place);
        place.part++;
        place.index++;
    }
    return err;
}

int responses_read_content(struct chat_reading *reading, const yyjson_val *content,
                           const char *param, struct chat_part **ret_parts, size_t *ret_count)
{
    struct span text = json_tree_text(content);
    size_t count = text.ptr ? 1 : yyjson_arr_size(json_tree_plain(content));
    struct chat_part *parts = NULL;
    int err = 0;

    if (!text.ptr && !yyjson_is_arr(json_tree_plain(content)))
        return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, param,
                           "Invalid type for '%s': expected a string or an array of parts.", param);
    if (count)
        parts = new_parts(reading, count, &err);
    if (!err && text.ptr)
        *parts = (struct chat_part){.kind = CHAT_PART_TEXT, .text = text};
    else if (!err)
        err = read_list(reading, content, param, parts);
    if (err)
        return err;
    *ret_parts = parts;
    *ret_count = count;
    return 0;
}
