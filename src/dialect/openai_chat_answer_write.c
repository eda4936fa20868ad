/* Whole answers, as OpenAI writes them. */
#include "dialect/openai_chat_inner.h"

static bool has_kind(const struct chat_choice *choice, enum chat_part_kind kind)
{
    return chat_has_kind(choice->parts, choice->part_count, kind);
}

static struct span join(const struct chat_choice *choice, enum chat_part_kind kind,
                        struct arena *arena)
{
    return chat_text_of(choice->parts, choice->part_count, 1u << kind, arena);
}

static void write_call(struct json_writer *json, const struct chat_part *part)
{
    json_begin_object(json);
    openai_write_call(json, part, part->text);
    openai_write_thought_signature(json, part);
    json_end_object(json);
}

static void write_calls(struct json_writer *json, const struct chat_choice *choice)
{
    json_name(json, "tool_calls");
    json_begin_array(json);
    for (size_t i = 0; i < choice->part_count; i++) {
        if (choice->parts[i].kind == CHAT_PART_CALL)
            write_call(json, &choice->parts[i]);
    }
    json_end_array(json);
}

static void write_old_call(struct json_writer *json, const struct chat_choice *choice)
{
    const struct chat_part *part = choice->parts;

    while (part->kind != CHAT_PART_CALL)
        part++;
    json_name(json, "function_call");
    json_begin_object(json);
    json_member_string(json, "name", part->name);
    json_member_string(json, "arguments", part->text);
    json_end_object(json);
}

static void write_images(struct json_writer *json, const struct chat_choice *choice)
{
    json_name(json, "images");
    json_begin_array(json);
    for (size_t i = 0; i < choice->part_count; i++) {
        if (choice->parts[i].kind != CHAT_PART_IMAGE)
            continue;
        json_begin_object(json);
        json_member_text(json, "type", "image_url");
        json_name(json, "image_url");
        json_begin_object(json);
        json_name(json, "url");
        openai_write_media_url(json, &choice->parts[i].media);
        json_end_object(json);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_audio(struct json_writer *json, const struct chat_choice *choice)
{
    for (size_t i = 0; i < choice->part_count; i++) {
        if (choice->parts[i].kind != CHAT_PART_AUDIO)
            continue;
        json_name(json, "audio");
        json_begin_object(json);
        json_member_string(json, "data", choice->parts[i].media.data);
        json_end_object(json);
        return; /* there is room for one */
    }
}

static void write_text(struct json_writer *json, const char *name, struct span text, bool is_null)
{
    json_name(json, name);
    if (is_null)
        json_null(json);
    else
        json_string(json, text);
}

static void write_message(struct chat_writer *writer, struct json_writer *json,
                          const struct chat_choice *choice)
{
    struct span content = join(choice, CHAT_PART_TEXT, writer->arena);
    struct span refusal = join(choice, CHAT_PART_REFUSAL, writer->arena);
    struct span thought = join(choice, CHAT_PART_THINKING, writer->arena);
    bool has_calls = has_kind(choice, CHAT_PART_CALL);

    if (refusal.len == 0 && choice->finish == CHAT_FINISH_REFUSAL)
        refusal = choice->finish_text;
    json_begin_object(json);
    json_member_text(json, "role", "assistant");
    write_text(json, "content", content, content.len == 0 && (has_calls || refusal.len));
    if (thought.len)
        json_member_string(json, "reasoning_content", thought);
    openai_write_thinking_blocks(json, choice->parts, choice->part_count);
    write_text(json, "refusal", refusal, refusal.len == 0);
    if (has_calls && openai_is_legacy(writer->frame->chat))
        write_old_call(json, choice);
    else if (has_calls)
        write_calls(json, choice);
    if (has_kind(choice, CHAT_PART_IMAGE))
        write_images(json, choice);
    write_audio(json, choice);
    json_name(json, "annotations");
    json_begin_array(json);
    json_end_array(json);
    json_end_object(json);
}

static void write_chat_choice(struct chat_writer *writer, struct json_writer *json,
                              const struct chat_choice *choice)
{
    struct span word = openai_finish_word(choice->finish, has_kind(choice, CHAT_PART_REFUSAL),
                                          openai_is_legacy(writer->frame->chat));

    json_begin_object(json);
    json_member_uint(json, "index", choice->index);
    json_name(json, "message");
    write_message(writer, json, choice);
    json_name(json, "logprobs");
    if (choice->logprob_count)
        openai_write_logprobs(json, choice->logprobs, choice->logprob_count);
    else
        json_null(json);
    json_member_string(json, "finish_reason", word);
    json_end_object(json);
}

void openai_write_object(struct chat_writer *writer, const struct chat_answer *answer,
                         const char *object, struct span id_prefix,
                         void (*write_choice)(struct chat_writer *, struct json_writer *,
                                              const struct chat_choice *))
{
    const struct chat_frame *frame = writer->frame;
    struct json_writer json;

    json_writer_init(&json, writer->out);
    json_begin_object(&json);
    json_member_string(&json, "id", openai_answer_id(writer, answer->id, id_prefix));
    json_member_text(&json, "object", object);
    json_member_uint(&json, "created", answer->created_s ? answer->created_s : frame->created_s);
    json_member_string(&json, "model", answer->model.len ? answer->model : frame->model);
    json_name(&json, "choices");
    json_begin_array(&json);
    for (size_t i = 0; i < answer->choice_count; i++)
        write_choice(writer, &json, &answer->choices[i]);
    json_end_array(&json);
    if (answer->usage.is_known) {
        json_name(&json, "usage");
        openai_write_usage(&json, &answer->usage);
    }
    json_end_object(&json);
}

void openai_chat_write_answer(struct chat_writer *writer, const struct chat_answer *answer)
{
    openai_write_object(writer, answer, "chat.completion", SPAN("chatcmpl-"), write_chat_choice);
}
