/* Reads what a message holds: its blocks. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"

struct reader_of {
    struct span type;
    int (*read)(struct chat_reading *reading, const struct anthropic_place *place,
                const yyjson_val *block, struct chat_part *part);
};

static int refuse(struct chat_reading *reading, enum failure failure,
                  const struct anthropic_place *place, const char *member, const char *message)
{
    return anthropic_refuse(reading->refusal, failure, place, member, message);
}

/* A member that the neutral form has no place for: told where another provider is asked. */
static void note_citations(struct chat_reading *reading, const yyjson_val *block)
{
    const yyjson_val *citations = json_tree_member(block, "citations");

    if (yyjson_arr_size(json_tree_plain(citations)) > 0 ||
        yyjson_is_true(json_tree_plain(json_tree_member(citations, "enabled"))))
        parameter_note_unknown(reading, SPAN(""), SPAN("citations"), NULL);
}

static int read_text(struct chat_reading *reading, const struct anthropic_place *place,
                     const yyjson_val *block, struct chat_part *part)
{
    part->kind = CHAT_PART_TEXT;
    part->text = json_tree_string(block, "text");
    if (!part->text.ptr)
        return refuse(reading, FAILURE_FIELD_VALUE, place, "text", "A text block needs a text.");
    note_citations(reading, block);
    return 0;
}

/* --- images and documents --- */

/* Blocks of text, or one text, side by side; anything else cannot be read. */
static int read_joined(struct chat_reading *reading, const struct anthropic_place *place,
                       const char *member, const yyjson_val *content, struct span *ret_text)
{
    struct chat_part *parts;
    size_t count;
    int err = anthropic_read_content(reading, place, content, &parts, &count);

    for (size_t i = 0; !err && i < count; i++) {
        if (parts[i].kind != CHAT_PART_TEXT)
            err = refuse(reading, FAILURE_UNSUPPORTED, place, member,
                         "Only text can be told to the provider of this model here.");
    }
    if (err)
        return err;
    *ret_text = chat_plain_text(parts, count, reading->arena);
    return ret_text->ptr ? 0 : ERR_NOMEM;
}

static int read_source(struct chat_reading *reading, const struct anthropic_place *place,
                       const yyjson_val *block, struct chat_media *media)
{
    static const struct {
        struct span type;
        enum chat_source source;
        const char *member;
    } sources[] = {
        {SPAN_INIT("base64"), CHAT_SOURCE_DATA, "data"},
        {SPAN_INIT("text"), CHAT_SOURCE_TEXT, "data"},
        {SPAN_INIT("url"), CHAT_SOURCE_URL, "url"},
        {SPAN_INIT("file"), CHAT_SOURCE_FILE, "file_id"},
    };
    const yyjson_val *source = json_tree_member(block, "source");
    const yyjson_val *content = json_tree_member(source, "content");
    struct span type = json_tree_string(source, "type");

    media->type = json_tree_string(source, "media_type");
    if (span_is_equal(type, SPAN("content")) && content) {
        media->source = CHAT_SOURCE_TEXT;
        media->type = SPAN("text/plain");
        return read_joined(reading, place, "source", content, &media->data);
    }
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (!span_is_equal(type, sources[i].type))
            continue;
        media->source = sources[i].source;
        media->data = json_tree_string(source, sources[i].member);
        if (media->data.ptr)
            return 0;
    }
    return refuse(reading, FAILURE_FIELD_VALUE, place, "source",
                  "A source must be of type base64, text, content, url or file, with its data.");
}

static int read_image(struct chat_reading *reading, const struct anthropic_place *place,
                      const yyjson_val *block, struct chat_part *part)
{
    part->kind = CHAT_PART_IMAGE;
    return read_source(reading, place, block, &part->media);
}

static int read_document(struct chat_reading *reading, const struct anthropic_place *place,
                         const yyjson_val *block, struct chat_part *part)
{
    part->kind = CHAT_PART_DOCUMENT;
    part->text = json_tree_string(block, "title");
    part->id = json_tree_string(block, "context");
    part->media.name = part->text;
    note_citations(reading, block);
    return read_source(reading, place, block, &part->media);
}

/* A document of text that says where it was found. */
static int read_search_result(struct chat_reading *reading, const struct anthropic_place *place,
                              const yyjson_val *block, struct chat_part *part)
{
    const yyjson_val *content = json_tree_member(block, "content");

    part->kind = CHAT_PART_DOCUMENT;
    part->text = json_tree_string(block, "title");
    part->id = json_tree_string(block, "source");
    part->media = (struct chat_media){
        .source = CHAT_SOURCE_TEXT, .type = SPAN("text/plain"), .name = part->text};
    note_citations(reading, block);
    if (!content)
        return refuse(reading, FAILURE_FIELD_VALUE, place, "content",
                      "A search result needs content.");
    return read_joined(reading, place, "content", content, &part->media.data);
}

/* --- thoughts --- */

static int read_thinking(struct chat_reading *reading, const struct anthropic_place *place,
                         const yyjson_val *block, struct chat_part *part)
{
    part->kind = CHAT_PART_THINKING;
    part->text = json_tree_string(block, "thinking");
    part->signature = anthropic_read_signature(json_tree_string(block, "signature"), &part->signer);
    if (!part->text.ptr)
        return refuse(reading, FAILURE_FIELD_VALUE, place, "thinking",
                      "A thinking block needs its thinking.");
    return 0;
}

static int read_redacted(struct chat_reading *reading, const struct anthropic_place *place,
                         const yyjson_val *block, struct chat_part *part)
{
    struct span data = json_tree_string(block, "data");

    part->kind = CHAT_PART_REDACTED;
    if (!data.ptr)
        return refuse(reading, FAILURE_FIELD_VALUE, place, "data",
                      "A redacted thinking block needs its data.");
    part->text = anthropic_read_signature(data, &part->signer);
    return 0;
}

/* --- calls and their results --- */

static int read_call(struct chat_reading *reading, const struct anthropic_place *place,
                     const yyjson_val *block, struct chat_part *part)
{
    const yyjson_val *input = json_tree_member(block, "input");

    part->kind = CHAT_PART_CALL;
    part->id = json_tree_string(block, "id");
    part->name = json_tree_string(block, "name");
    /* Our own writing, where another provider signs its calls. */
    part->signature = anthropic_read_signature(json_tree_string(block, "signature"), &part->signer);
    if (part->id.len == 0 || part->name.len == 0)
        return refuse(reading, FAILURE_FIELD_VALUE, place, part->id.len ? "name" : "id",
                      "A tool_use block needs an id and a name.");
    if (!yyjson_is_obj(json_tree_plain(input)))
        return refuse(reading, FAILURE_FIELD_TYPE, place, "input",
                      "The input of a tool_use block must be an object.");
    part->text = chat_json_text(reading->arena, input);
    return part->text.ptr ? 0 : ERR_NOMEM;
}

static int read_result(struct chat_reading *reading, const struct anthropic_place *place,
                       const yyjson_val *block, struct chat_part *part)
{
    const yyjson_val *content = json_tree_member(block, "content");

    part->kind = CHAT_PART_RESULT;
    part->id = json_tree_string(block, "tool_use_id");
    part->is_error = yyjson_is_true(json_tree_plain(json_tree_member(block, "is_error")));
    if (part->id.len == 0)
        return refuse(reading, FAILURE_FIELD_VALUE, place, "tool_use_id",
                      "A tool_result block needs the id of its call.");
    if (!content)
        return 0;
    return anthropic_read_content(reading, place, content, &part->parts, &part->part_count);
}

/* --- blocks --- */

/* What Anthropic itself did (searches, code that ran) and what refers to it means nothing to
 * another provider, and cannot be left out of a turn without changing it. */
static int read_block(struct chat_reading *reading, const struct anthropic_place *place,
                      const yyjson_val *block, struct chat_part *part)
{
    static const struct reader_of readers[] = {
        {SPAN_INIT("text"), read_text},         {SPAN_INIT("image"), read_image},
        {SPAN_INIT("document"), read_document}, {SPAN_INIT("search_result"), read_search_result},
        {SPAN_INIT("thinking"), read_thinking}, {SPAN_INIT("redacted_thinking"), read_redacted},
        {SPAN_INIT("tool_use"), read_call},     {SPAN_INIT("tool_result"), read_result},
    };
    struct span type = json_tree_string(block, "type");
    size_t count = sizeof(readers) / sizeof(readers[0]);

    if (!type.len)
        return refuse(reading, FAILURE_FIELD_VALUE, place, "type", "A block needs a type.");
    /* A system prompt is text; what a result or a document holds is nothing a turn is made of. */
    if (!place->up)
        count = 1;
    else if (place->up->up)
        count = 4;
    part->cache = anthropic_read_cache(block);
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(type, readers[i].type))
            return readers[i].read(reading, place, block, part);
    }
    return refuse(reading, FAILURE_UNSUPPORTED, place, "type",
                  "A block of this type cannot be told to the provider of this model.");
}

static int read_blocks(struct chat_reading *reading, const struct anthropic_place *up,
                       const yyjson_val *list, struct chat_part *parts, size_t *ret_count)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(json_tree_plain(list));
    size_t count = 0;
    yyjson_val *block;
    int err = 0;

    while (!err && (block = yyjson_arr_iter_next(&iter))) {
        const struct anthropic_place place = {up, up ? "content" : "system", count};

        err = read_block(reading, &place, block, &parts[count]);
        count++;
    }
    *ret_count = count;
    return err;
}

/* Places may be four deep: a message, its block, what a result holds, and what a document in it
 * holds. */
static bool is_too_deep(const struct anthropic_place *place)
{
    return place && place->up && place->up->up && place->up->up->up;
}

int anthropic_read_content(struct chat_reading *reading, const struct anthropic_place *place,
                           const yyjson_val *content, struct chat_part **ret_parts,
                           size_t *ret_count)
{
    const char *member = place ? "content" : "system";
    const bool is_text = yyjson_is_str(json_tree_plain(content));
    size_t count = is_text ? 1 : yyjson_arr_size(json_tree_plain(content));
    struct chat_part *parts;

    if (!is_text && !yyjson_is_arr(json_tree_plain(content)))
        return refuse(reading, FAILURE_FIELD_TYPE, place, member,
                      "Content must be a text or a list of blocks.");
    if (is_too_deep(place))
        return refuse(reading, FAILURE_FIELD_VALUE, place, member, "Blocks are nested too deeply.");
    *ret_parts = NULL;
    *ret_count = 0;
    if (count == 0)
        return 0;
    parts = chat_parts_new(reading, count);
    if (!parts)
        return anthropic_no_room(reading);
    *ret_parts = parts;
    if (!is_text)
        return read_blocks(reading, place, content, parts, ret_count);
    parts->kind = CHAT_PART_TEXT;
    parts->text = json_tree_text(content);
    *ret_count = 1;
    return 0;
}
