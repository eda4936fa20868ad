/* Reads the system prompt and the messages of a request, down to their roles; what a message holds
 * is read by anthropic_content_read.c. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"

int anthropic_no_room(const struct chat_reading *reading)
{
    return reading->refusal->message[0] ? ERR_SYNTAX : ERR_NOMEM;
}

static int read_role(struct chat_reading *reading, const struct anthropic_place *place,
                     struct span word, enum chat_role *ret_role)
{
    if (span_is_equal(word, SPAN("user")))
        *ret_role = CHAT_USER;
    else if (span_is_equal(word, SPAN("assistant")))
        *ret_role = CHAT_ASSISTANT;
    else if (span_is_equal(word, SPAN("system")))
        *ret_role = CHAT_SYSTEM;
    else
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, place, "role",
                                "The role of a message must be user, assistant or system.");
    return 0;
}

static int read_message(struct chat_reading *reading, size_t index, const yyjson_val *value,
                        struct chat_message *message)
{
    const struct anthropic_place place = {NULL, "messages", index};
    const yyjson_val *content = json_tree_member(value, "content");
    int err;

    if (!yyjson_is_obj(json_tree_plain(value)))
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_TYPE, &place, NULL,
                                "A message must be an object.");
    err = read_role(reading, &place, json_tree_string(value, "role"), &message->role);
    if (err)
        return err;
    if (!content)
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, &place, "content",
                                "A message needs content.");
    return anthropic_read_content(reading, &place, content, &message->parts, &message->part_count);
}

int anthropic_read_messages(struct chat_reading *reading, const yyjson_val *root)
{
    const yyjson_val *system = json_tree_member(root, "system");
    const yyjson_val *list = json_tree_member(root, "messages");
    size_t count = yyjson_arr_size(json_tree_plain(list)), index = 0;
    struct chat *chat = reading->chat;
    yyjson_arr_iter iter;
    yyjson_val *item;
    int err = 0;

    if (!yyjson_is_arr(json_tree_plain(list)) || count == 0)
        return anthropic_refuse(reading->refusal, FAILURE_FIELD_VALUE, NULL, "messages",
                                "messages: a list of at least one message is required.");
    chat->messages = chat_messages_new(reading, count + 1);
    if (!chat->messages)
        return anthropic_no_room(reading);
    if (system) {
        struct chat_message *first = &chat->messages[chat->message_count++];

        first->role = CHAT_SYSTEM;
        err = anthropic_read_content(reading, NULL, system, &first->parts, &first->part_count);
    }
    iter = yyjson_arr_iter_with(json_tree_plain(list));
    while (!err && (item = yyjson_arr_iter_next(&iter)))
        err = read_message(reading, index++, item, &chat->messages[chat->message_count++]);
    return err;
}
