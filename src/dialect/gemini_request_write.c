/* Requests of generateContent, written. */
#include "dialect/gemini_inner.h"

static size_t count_system(const struct chat *chat)
{
    size_t count = 0;

    for (size_t m = 0; m < chat->message_count; m++) {
        if (chat_is_system(&chat->messages[m]))
            count += chat->messages[m].part_count;
    }
    return count;
}

static int write_system(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;

    if (count_system(chat) == 0)
        return 0;
    json_name(writer, "systemInstruction");
    json_begin_object(writer);
    json_name(writer, "parts");
    json_begin_array(writer);
    for (size_t m = 0; m < chat->message_count; m++) {
        const struct chat_message *message = &chat->messages[m];

        for (size_t p = 0; chat_is_system(message) && p < message->part_count; p++) {
            if (message->parts[p].kind != CHAT_PART_TEXT)
                return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED,
                                   gemini_messages_name(chat),
                                   "A system message can hold nothing but text here.");
            json_begin_object(writer);
            json_member_string(writer, "text", message->parts[p].text);
            json_end_object(writer);
        }
    }
    json_end_array(writer);
    json_end_object(writer);
    return 0;
}

int gemini_write_request_members(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    int err = 0;

    if (gemini_model_find(writing->target->model)->takes_system)
        err = write_system(writing, writer);
    if (!err)
        err = gemini_write_contents(writing, writer);
    if (!err)
        err = gemini_write_tools(writing, writer);
    /* There is no switch for it: one call at a time cannot be had. */
    if (chat->params[CHAT_PARALLEL_CALLS_PARAM])
        chat_drop(writing->drops, parameter_name(chat, CHAT_PARALLEL_CALLS_PARAM));
    if (!err)
        err = gemini_write_config(writing, writer);
    return err ? err : writer->buf->err;
}
