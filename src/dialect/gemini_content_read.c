/* Contents of a request: the turns of a conversation. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_inner.h"

static size_t count_parts(const yyjson_val *content)
{
    return yyjson_arr_size(json_tree_plain(json_tree_member(content, "parts")));
}

static int refuse_content(struct gemini_contents *contents, const char *member, const char *what)
{
    char param[64];

    snprintf(param, sizeof(param), "contents[%zu]%s", contents->at, member);
    return chat_refuse(contents->reading->refusal, FAILURE_FIELD_VALUE, param,
                       "Invalid value at '%s': %s.", param, what);
}

static int role_of(struct gemini_contents *contents, enum chat_role *ret_role)
{
    yyjson_val *content = contents->items[contents->at];
    struct span name = json_tree_string(content, "role");

    *ret_role = CHAT_USER;
    if (!yyjson_is_obj(content))
        return refuse_content(contents, "", "an object is expected");
    if (span_is_equal(name, SPAN("model")))
        *ret_role = CHAT_ASSISTANT;
    else if (name.len && !span_is_equal(name, SPAN("user")) &&
             !span_is_equal(name, SPAN("function")))
        return refuse_content(contents, ".role", "please use a valid role: user, model");
    return 0;
}

/* How many contents from here on are one turn, and their parts: a client that keeps each chunk of a
 * stream as a content of its own sends many of the model's in a row. */
static size_t count_turn(const struct gemini_contents *contents, size_t *ret_parts)
{
    const struct span model = SPAN("model");
    size_t at = contents->at;

    *ret_parts = 0;
    do {
        *ret_parts += count_parts(contents->items[at++]);
    } while (at < contents->count &&
             span_is_equal(json_tree_string(contents->items[at - 1], "role"), model) &&
             span_is_equal(json_tree_string(contents->items[at], "role"), model));
    return at - contents->at;
}

/* Thoughts that came in pieces are one, signed where the last is. */
static int join_thoughts(struct arena *arena, struct chat_message *message)
{
    size_t kept = 0;

    for (size_t i = 0; i < message->part_count;) {
        struct chat_part joined = message->parts[i];
        size_t end = i + 1, len = joined.text.len, at = 0;
        char *text;

        while (joined.kind == CHAT_PART_THINKING && joined.signature.len == 0 &&
               end < message->part_count && message->parts[end].kind == CHAT_PART_THINKING) {
            joined.signature = message->parts[end].signature;
            joined.signer = message->parts[end].signer;
            len += message->parts[end++].text.len;
        }
        if (end > i + 1) {
            text = arena_alloc(arena, len + 1);
            if (!text)
                return ERR_NOMEM;
            for (size_t p = i; p < end; at += message->parts[p++].text.len) {
                if (message->parts[p].text.len)
                    memcpy(text + at, message->parts[p].text.ptr, message->parts[p].text.len);
            }
            joined.text = span_of(text, len);
        }
        message->parts[kept++] = joined;
        i = end;
    }
    message->part_count = kept;
    return 0;
}

static int read_turn(struct gemini_contents *contents, struct chat_message *message)
{
    size_t part_count, end = contents->at + count_turn(contents, &part_count);
    int err = role_of(contents, &message->role);

    if (err)
        return err;
    message->parts = chat_parts_new(contents->reading, part_count ? part_count : 1);
    if (!message->parts)
        return ERR_NOMEM;
    for (; !err && contents->at < end; contents->at++)
        err = gemini_read_parts(contents, contents->items[contents->at], message);
    if (err || message->role != CHAT_ASSISTANT)
        return err;
    contents->turn = message;
    contents->calls = NULL;
    return join_thoughts(contents->reading->arena, message);
}

static int read_system(struct gemini_contents *contents, const yyjson_val *system)
{
    struct chat *chat = contents->reading->chat;
    struct chat_message *message = &chat->messages[chat->message_count];

    if (!system)
        return 0;
    contents->place = "systemInstruction";
    message->role = CHAT_SYSTEM;
    if (yyjson_is_str(json_tree_plain(system))) {
        message->parts = chat_parts_new(contents->reading, 1);
        if (!message->parts)
            return ERR_NOMEM;
        message->parts[0].text = json_tree_text(system);
        message->part_count = 1;
        chat->message_count++;
        return 0;
    }
    if (count_parts(system) == 0)
        return 0;
    message->parts = chat_parts_new(contents->reading, count_parts(system));
    chat->message_count++;
    return message->parts ? gemini_read_parts(contents, system, message) : ERR_NOMEM;
}

static int list_contents(struct gemini_contents *contents, yyjson_val *list)
{
    struct chat_reading *reading = contents->reading;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0)
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "contents",
                           "'contents' must be a list that is not empty.");
    contents->items = arena_alloc(reading->arena, yyjson_arr_size(list) * sizeof(*contents->items));
    reading->chat->messages = chat_messages_new(reading, yyjson_arr_size(list) + 1);
    if (!contents->items || !reading->chat->messages)
        return ERR_NOMEM;
    while (contents->count < yyjson_arr_size(list))
        contents->items[contents->count++] = yyjson_arr_iter_next(&iter);
    return 0;
}

int gemini_read_contents(struct chat_reading *reading, const yyjson_val *system,
                         const yyjson_val *list)
{
    struct gemini_contents contents = {.reading = reading};
    struct chat *chat = reading->chat;
    int err = list_contents(&contents, json_tree_plain(list));

    if (!err && !yyjson_is_null(json_tree_plain(system)))
        err = read_system(&contents, system);
    contents.place = "contents";
    while (!err && contents.at < contents.count)
        err = read_turn(&contents, &chat->messages[chat->message_count++]);
    return err;
}
