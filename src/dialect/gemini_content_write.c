/*
 * Contents of a request, written: what the system says goes apart, what stands between two turns of
 * the model is one content of the user, and the results in it come first, one for each call, in
 * their order.
 */
#include "dialect/gemini_content_write.h"

static int write_user_part(struct gemini_telling *contents, const struct chat_part *part,
                           size_t message, size_t at, size_t *results)
{
    const struct chat *chat = contents->writing->chat;

    if (part->kind != CHAT_PART_RESULT)
        return gemini_write_part(contents, part, message, at);
    if (*results == 0)
        return gemini_refuse_message(contents, message, "tool_call_id",
                                     chat_find_call(chat, message, part->id)
                                         ? "this result stands apart from its call"
                                         : "no call of a tool has this id");
    --*results;
    return contents->model->takes_media_results
               ? 0
               : gemini_write_loose_media(contents, part, message, at);
}

static void write_owed_system(struct gemini_telling *contents)
{
    const struct chat *chat = contents->writing->chat;

    for (size_t m = 0; contents->owes_system && m < chat->message_count; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count; p++) {
            if (chat_is_system(&chat->messages[m]) && chat->messages[m].parts[p].text.len)
                gemini_write_text_part(contents, &chat->messages[m].parts[p], false);
        }
    }
    contents->owes_system = false;
}

static int write_user(struct gemini_telling *contents, size_t from, size_t end)
{
    const struct chat *chat = contents->writing->chat;
    size_t results = 0;
    int err = gemini_write_results(contents, from, end, &results);

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

static int write_model(struct gemini_telling *contents, size_t from, size_t end)
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
                err = gemini_write_part(contents, part, m, p);
                continue;
            }
            gemini_write_call_part(contents, part, is_first);
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

static int write_content(struct gemini_telling *contents, size_t from, size_t end)
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
    struct gemini_telling contents = {
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
