/*
 * The items of `input`. Where a chat has messages, they are flat: a turn of the assistant is a run
 * of reasoning, message and call items, gathered here into one message.
 */
#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_responses_inner.h"

enum { PARAM_MAX = 64, SEAL_REACH = 64 /* parts */ };

struct input {
    struct chat_reading *reading;
    struct chat_message *turn; /* the assistant's that is being gathered; NULL: none */
    size_t room;               /* for parts of it */
    bool has_text, has_call;   /* in that turn */
    size_t index;              /* of the item at hand */
    const yyjson_val *item;
};

static int lack(const struct chat_reading *reading)
{
    return reading->refusal->message[0] ? ERR_SYNTAX : ERR_NOMEM;
}

static int refuse(const struct input *input, const char *member, const char *why)
{
    char param[PARAM_MAX];

    snprintf(param, sizeof(param), "input[%zu].%s", input->index, member);
    return chat_refuse(input->reading->refusal, FAILURE_FIELD_VALUE, param, "Invalid '%s': %s.",
                       param, why);
}

/* There is room for as many as there are items, and the instructions. */
static struct chat_message *add_message(struct input *input, enum chat_role role)
{
    struct chat *chat = input->reading->chat;
    struct chat_message *message = &chat->messages[chat->message_count++];

    message->role = role;
    input->turn = NULL;
    return message;
}

/* --- the assistant's turns --- */

static int grow(struct input *input, size_t count)
{
    struct chat_message *turn = input->turn;
    struct chat_part *parts;

    if (count <= input->room - turn->part_count)
        return 0;
    count = count > turn->part_count ? turn->part_count + count : 2 * turn->part_count;
    parts = chat_parts_new(input->reading, count);
    if (!parts)
        return lack(input->reading);
    if (turn->part_count)
        memcpy(parts, turn->parts, turn->part_count * sizeof(*parts));
    turn->parts = parts;
    input->room = count;
    return 0;
}

/* What belongs to one answer of the model stays together: two messages of its are two turns only
 * where no call between them waits for its result. */
static int join(struct input *input, const struct chat_part *parts, size_t count, bool is_message)
{
    int err;

    if (input->turn && is_message && input->has_text && !input->has_call)
        input->turn = NULL;
    if (!input->turn) {
        struct chat_message *turn = add_message(input, CHAT_ASSISTANT);

        input->turn = turn;
        input->room = 0;
        input->has_text = input->has_call = false;
    }
    if (!count)
        return 0;
    err = grow(input, count);
    if (err)
        return err;
    memcpy(input->turn->parts + input->turn->part_count, parts, count * sizeof(*parts));
    input->turn->part_count += count;
    input->has_text |= is_message;
    input->has_call |= parts[0].kind == CHAT_PART_CALL;
    return 0;
}

/* --- messages --- */

static bool role_of(struct span word, enum chat_role *ret_role)
{
    static const struct span words[] = {
        [CHAT_SYSTEM] = SPAN_INIT("system"),
        [CHAT_DEVELOPER] = SPAN_INIT("developer"),
        [CHAT_USER] = SPAN_INIT("user"),
        [CHAT_ASSISTANT] = SPAN_INIT("assistant"),
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_is_equal(word, words[i])) {
            *ret_role = (enum chat_role)i;
            return true;
        }
    }
    return false;
}

static int read_message(struct input *input)
{
    struct chat_message *message;
    struct chat_part *parts;
    enum chat_role role;
    char param[PARAM_MAX];
    size_t count;
    int err;

    if (!role_of(json_tree_string(input->item, "role"), &role))
        return refuse(input, "role", "'user', 'assistant', 'system' and 'developer' are known");
    snprintf(param, sizeof(param), "input[%zu].content", input->index);
    err = responses_read_content(input->reading, json_tree_member(input->item, "content"), param,
                                 &parts, &count);
    if (err)
        return err;
    if (role == CHAT_ASSISTANT)
        return join(input, parts, count, true);
    message = add_message(input, role);
    message->parts = parts;
    message->part_count = count;
    return 0;
}

/* --- calls and their results --- */

static int read_call(struct input *input, const char *arguments, bool is_custom)
{
    struct chat_part call = {.kind = CHAT_PART_CALL,
                             .is_custom = is_custom,
                             .id = json_tree_string(input->item, "call_id"),
                             .name = json_tree_string(input->item, "name"),
                             .text = json_tree_string(input->item, arguments)};

    if (!call.id.len)
        return refuse(input, "call_id", "a call has an id");
    if (!call.name.len)
        return refuse(input, "name", "a call names its tool");
    if (!call.text.ptr)
        return refuse(input, arguments, "a string is needed");
    return join(input, &call, 1, false);
}

static int read_result(struct input *input)
{
    struct chat_part *result;
    struct chat_message *message;
    char param[PARAM_MAX];

    result = chat_parts_new(input->reading, 1);
    if (!result)
        return lack(input->reading);
    *result = (struct chat_part){.kind = CHAT_PART_RESULT,
                                 .id = json_tree_string(input->item, "call_id")};
    if (!result->id.len)
        return refuse(input, "call_id", "the id of the call is needed");
    message = add_message(input, CHAT_TOOL);
    message->parts = result;
    message->part_count = 1;
    snprintf(param, sizeof(param), "input[%zu].output", input->index);
    return responses_read_content(input->reading, json_tree_member(input->item, "output"), param,
                                  &result->parts, &result->part_count);
}

/* An image as this gateway told it, for models that draw in turns. */
static int read_image(struct input *input)
{
    struct span format = json_tree_string(input->item, "output_format");
    struct chat_part image = {.kind = CHAT_PART_IMAGE,
                              .media = {.source = CHAT_SOURCE_DATA,
                                        .type = SPAN("image/png"),
                                        .data = json_tree_string(input->item, "result")}};

    if (!image.media.data.len)
        return refuse(input, "result", "an image in base64 is needed");
    if (format.len)
        image.media.type = arena_printf(input->reading->arena, "image/%.*s", SPAN_ARG(format));
    if (!image.media.type.ptr)
        return ERR_NOMEM;
    return join(input, &image, 1, false);
}

/* --- thoughts --- */

/* Adds the text at `at` of joined, a blank line before it where something stands there; joined may
 * be NULL to measure. Returns where the next one goes. */
static size_t add_joined(char *joined, size_t at, struct span text)
{
    if (!text.len)
        return at;
    if (at > 0) {
        if (joined)
            memcpy(joined + at, "\n\n", 2);
        at += 2;
    }
    if (joined)
        memcpy(joined + at, text.ptr, text.len);
    return at + text.len;
}

static size_t walk_texts(const yyjson_val *list, char *joined)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *item;
    size_t len = 0;

    while ((item = yyjson_arr_iter_next(&items)))
        len = add_joined(joined, len, json_tree_string(item, "text"));
    return len;
}

/* The texts of a list, a blank line between two. NULL ptr without memory. */
static struct span join_texts(struct arena *arena, const yyjson_val *list)
{
    size_t len = walk_texts(list, NULL);
    char *joined;

    if (len == 0)
        return SPAN("");
    joined = arena_alloc(arena, len);
    if (joined)
        (void)walk_texts(list, joined);
    return span_of(joined, joined ? len : 0);
}

/* A call's signature goes to the call, which stands close before it: a client that sends thousands
 * of both shall not make us compare them all. */
static void sign_call(struct input *input, const struct seal *seal)
{
    struct chat_message *turn = input->turn;
    size_t count = turn ? turn->part_count : 0;
    size_t first = count > SEAL_REACH ? count - SEAL_REACH : 0;

    for (size_t i = count; i-- > first;) {
        struct chat_part *part = &turn->parts[i];

        if (part->kind == CHAT_PART_CALL && span_is_equal(part->id, seal->text)) {
            part->signature = seal->signature;
            part->signer = seal->signer;
            return;
        }
    }
}

static int read_thought(struct input *input, const struct seal *seal)
{
    struct chat_part thought = {.kind = CHAT_PART_THINKING,
                                .signer = seal->signer,
                                .signature = seal->signature,
                                .text = seal->text};
    struct arena *arena = input->reading->arena;

    if (!thought.text.len)
        thought.text = join_texts(arena, json_tree_member(input->item, "content"));
    if (thought.text.ptr && !thought.text.len)
        thought.text = join_texts(arena, json_tree_member(input->item, "summary"));
    if (!thought.text.ptr)
        return ERR_NOMEM;
    if (!thought.text.len && !thought.signature.len)
        return 0;
    return join(input, &thought, 1, false);
}

/* What OpenAI sealed itself is of no use to another provider. */
static int read_reasoning(struct input *input)
{
    struct span sealed = json_tree_string(input->item, "encrypted_content");
    struct seal seal = {.kind = SEAL_THOUGHT};

    if (sealed.len && !seal_read(sealed, &seal))
        return 0;
    if (seal.kind == SEAL_CALL) {
        sign_call(input, &seal);
        return 0;
    }
    if (seal.kind == SEAL_REDACTED) {
        struct chat_part redacted = {
            .kind = CHAT_PART_REDACTED, .signer = seal.signer, .text = seal.text};

        return join(input, &redacted, 1, false);
    }
    return read_thought(input, &seal);
}

/* --- items --- */

static int refuse_item(const struct input *input, struct span type)
{
    char param[PARAM_MAX];

    snprintf(param, sizeof(param), "input[%zu].type", input->index);
    if (span_is_equal(type, SPAN("item_reference")))
        return chat_refuse(input->reading->refusal, FAILURE_UNSUPPORTED, param,
                           "Unsupported item: 'item_reference' points to what OpenAI has stored, "
                           "and another provider serves this model. Send the item itself.");
    return chat_refuse(input->reading->refusal, FAILURE_UNSUPPORTED, param,
                       "Unsupported item: '%.*s' has no counterpart at the provider that serves "
                       "this model.",
                       type.len > 64 ? 64 : (int)type.len, type.ptr);
}

static int read_item(struct input *input)
{
    struct span type = json_tree_string(input->item, "type");

    if (!yyjson_is_obj(json_tree_plain(input->item)))
        return refuse(input, "type", "an item is an object");
    if (!type.len || span_is_equal(type, SPAN("message")))
        return read_message(input);
    if (span_is_equal(type, SPAN("function_call")))
        return read_call(input, "arguments", false);
    if (span_is_equal(type, SPAN("custom_tool_call")))
        return read_call(input, "input", true);
    if (span_is_equal(type, SPAN("function_call_output")) ||
        span_is_equal(type, SPAN("custom_tool_call_output")))
        return read_result(input);
    if (span_is_equal(type, SPAN("reasoning")))
        return read_reasoning(input);
    if (span_is_equal(type, SPAN("image_generation_call")))
        return read_image(input);
    return refuse_item(input, type);
}

static int read_items(struct input *input, const yyjson_val *list)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(list));
    int err = 0;

    while (!err && (input->item = yyjson_arr_iter_next(&items))) {
        err = read_item(input);
        input->index++;
    }
    return err;
}

static int add_text(struct input *input, enum chat_role role, const yyjson_val *text,
                    const char *param)
{
    struct chat_message *message = add_message(input, role);

    return responses_read_content(input->reading, text, param, &message->parts,
                                  &message->part_count);
}

int responses_read_input(struct chat_reading *reading, const yyjson_val *value,
                         const yyjson_val *instructions)
{
    yyjson_val *list = json_tree_plain(value);
    struct input input = {.reading = reading};
    struct chat *chat = reading->chat;
    int err = 0;

    /* A template of OpenAI's may stand in its place; that is refused by its own name. */
    if (!value && !chat->params[CHAT_PROMPT_TEMPLATE_PARAM] &&
        !chat->params[CHAT_PREVIOUS_RESPONSE_PARAM] && !chat->params[CHAT_CONVERSATION_PARAM])
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, "input",
                           "Missing required parameter: 'input'.");
    if (value && !yyjson_is_str(list) && !yyjson_is_arr(list))
        return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, "input",
                           "Invalid type for 'input': expected a string or an array of items.");
    chat->messages = chat_messages_new(reading, yyjson_arr_size(list) + 2);
    if (!chat->messages)
        return lack(reading);
    if (instructions)
        err = add_text(&input, CHAT_SYSTEM, instructions, "instructions");
    if (!err && yyjson_is_str(list))
        err = add_text(&input, CHAT_USER, value, "input");
    else if (!err)
        err = read_items(&input, value);
    return err;
}
