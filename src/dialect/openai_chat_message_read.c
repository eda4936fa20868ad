/* What a message of an answer, or a delta of one, holds beside calls: text, thought, refusal, media
 * and signatures, in the many places where servers put them. */
#include "dialect/openai_chat_inner.h"

void openai_tell_text(struct openai_reader *reader, enum chat_event_kind kind, unsigned choice,
                      struct span text)
{
    if (text.len)
        openai_tell(reader, &(struct chat_event){.kind = kind, .choice = choice, .text = text});
}

static void tell_signed(struct openai_reader *reader, enum chat_event_kind kind, unsigned choice,
                        struct span text, enum dialect_id signer)
{
    if (text.len)
        openai_tell(reader, &(struct chat_event){
                                .kind = kind, .choice = choice, .text = text, .signer = signer});
}

/* --- media --- */

static void tell_media(struct openai_reader *reader, unsigned choice, enum chat_part_kind kind,
                       const struct chat_media *media)
{
    if (media->data.len)
        openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_MEDIA,
                                                 .choice = choice,
                                                 .part_kind = kind,
                                                 .media = media});
}

/* {"image_url":{"url":…}} */
static void take_image(struct openai_reader *reader, unsigned choice, const yyjson_val *value)
{
    struct span url = json_tree_string(json_tree_member(value, "image_url"), "url");
    struct chat_media media = {.source = CHAT_SOURCE_URL, .data = url};

    if (chat_is_web_url(url) || chat_read_data_url(url, &media))
        tell_media(reader, choice, CHAT_PART_IMAGE, &media);
}

static void take_media(struct openai_reader *reader, unsigned choice, const yyjson_val *message)
{
    yyjson_val *images = json_tree_plain(json_tree_member(message, "images")), *image;
    const yyjson_val *audio = json_tree_member(message, "audio");
    const struct chat_media media = {.data = json_tree_string(audio, "data")};
    size_t at, max;

    if (yyjson_is_arr(images)) {
        yyjson_arr_foreach(images, at, max, image)
        {
            take_image(reader, choice, image);
        }
    }
    openai_tell_text(reader, CHAT_EVENT_TEXT, choice, json_tree_string(audio, "transcript"));
    tell_media(reader, choice, CHAT_PART_AUDIO, &media);
}

/* --- thought --- */

/* OpenRouter's reasoning_details: texts and summaries; what is encrypted means nothing elsewhere.
 */
static void take_details(struct openai_reader *reader, unsigned choice, yyjson_val *details)
{
    yyjson_val *detail;
    size_t at, max;

    if (!yyjson_is_arr(details))
        return;
    yyjson_arr_foreach(details, at, max, detail)
    {
        struct span text = json_tree_string(detail, "text");

        openai_tell_text(reader, CHAT_EVENT_THINKING, choice,
                         text.len ? text : json_tree_string(detail, "summary"));
    }
}

/* Signed thoughts as other gateways tell them, and this one: where the words came already, as
 * reasoning_content, they are not told again. */
static void take_blocks(struct openai_reader *reader, unsigned choice, yyjson_val *blocks)
{
    struct openai_choice *state = reader->choices[choice];
    yyjson_val *block;
    size_t at, max;

    yyjson_arr_foreach(blocks, at, max, block)
    {
        struct span signature = json_tree_string(block, "signature");

        if (!state->has_thought)
            openai_tell_text(reader, CHAT_EVENT_THINKING, choice,
                             json_tree_string(block, "thinking"));
        tell_signed(reader, CHAT_EVENT_SIGNATURE, choice, signature, DIALECT_ANTHROPIC);
        if (signature.len)
            state->has_thought = false;
        tell_signed(reader, CHAT_EVENT_REDACTED, choice, json_tree_string(block, "data"),
                    DIALECT_ANTHROPIC);
    }
}

static void take_thought(struct openai_reader *reader, unsigned choice, const yyjson_val *message)
{
    yyjson_val *blocks = json_tree_plain(json_tree_member(message, "thinking_blocks"));
    struct span text = json_tree_string(message, "reasoning_content");
    bool is_signed = yyjson_is_arr(blocks) && yyjson_arr_size(blocks) > 0;

    if (text.len == 0)
        text = json_tree_string(message, "reasoning");
    /* Several blocks are told each with its signature; one has its words in either place. */
    if (is_signed && yyjson_arr_size(blocks) > 1)
        text = span_of(NULL, 0);
    openai_tell_text(reader, CHAT_EVENT_THINKING, choice, text);
    if (text.len)
        reader->choices[choice]->has_thought = true;
    if (is_signed)
        take_blocks(reader, choice, blocks);
    else if (text.len == 0)
        take_details(reader, choice,
                     json_tree_plain(json_tree_member(message, "reasoning_details")));
}

/* {"thinking":[{"text":…}]} within content, or a string there (Mistral). */
static void take_inner_thought(struct openai_reader *reader, unsigned choice,
                               const yyjson_val *value)
{
    yyjson_val *list = json_tree_plain(json_tree_member(value, "thinking")), *item;
    size_t at, max;

    openai_tell_text(reader, CHAT_EVENT_THINKING, choice, json_tree_text(list));
    if (!yyjson_is_arr(list))
        return;
    yyjson_arr_foreach(list, at, max, item)
    {
        openai_tell_text(reader, CHAT_EVENT_THINKING, choice, json_tree_string(item, "text"));
    }
}

/* --- content --- */

static void take_part(struct openai_reader *reader, unsigned choice, const yyjson_val *part)
{
    struct span type = json_tree_string(part, "type");

    if (span_is_equal(type, SPAN("text")) || span_is_equal(type, SPAN("output_text")))
        openai_tell_text(reader, CHAT_EVENT_TEXT, choice, json_tree_string(part, "text"));
    else if (span_is_equal(type, SPAN("thinking")))
        take_inner_thought(reader, choice, part);
    else if (span_is_equal(type, SPAN("refusal")))
        openai_tell_text(reader, CHAT_EVENT_REFUSAL, choice, json_tree_string(part, "refusal"));
    else if (span_is_equal(type, SPAN("image_url")))
        take_image(reader, choice, part);
}

static void take_content(struct openai_reader *reader, unsigned choice, const yyjson_val *content)
{
    yyjson_val *list = json_tree_plain(content), *part;
    size_t at, max;

    openai_tell_text(reader, CHAT_EVENT_TEXT, choice, json_tree_text(content));
    if (!yyjson_is_arr(list))
        return;
    yyjson_arr_foreach(list, at, max, part)
    {
        take_part(reader, choice, part);
    }
}

void openai_take_message(struct openai_reader *reader, unsigned choice, const yyjson_val *message)
{
    const yyjson_val *extra = json_tree_member(message, "extra_content");
    struct span refusal = json_tree_string(message, "refusal");

    take_thought(reader, choice, message);
    take_content(reader, choice, json_tree_member(message, "content"));
    tell_signed(reader, CHAT_EVENT_SIGNATURE, choice,
                json_tree_string(json_tree_member(extra, "google"), "thought_signature"),
                DIALECT_GEMINI);
    openai_tell_text(reader, CHAT_EVENT_REFUSAL, choice, refusal);
    take_media(reader, choice, message);
    openai_take_calls(reader, choice, message);
}
