/* Writes the system prompt and the messages of a request: turns of user and assistant, in turns,
 * the results of tools before anything else. */
#include "dialect/anthropic_inner.h"

#include "dialect/claude.h"

/* --- the system prompt --- */

/* Where system messages stand between others, a client of this dialect meant them there. */
static bool is_hoisted(const struct anthropic_writing *writing, size_t index)
{
    return chat_is_system(&writing->of->chat->messages[index]) &&
           (!writing->is_own || index < writing->lead);
}

static size_t count_lead(const struct chat *chat)
{
    size_t lead = 0;

    while (lead < chat->message_count && chat_is_system(&chat->messages[lead]))
        lead++;
    return lead;
}

static void begin_system(struct anthropic_writing *writing, bool *has_begun)
{
    if (*has_begun)
        return;
    json_name(&writing->json, "system");
    json_begin_array(&writing->json);
    *has_begun = true;
}

static int write_system(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    bool has_begun = false;
    int err = 0;

    for (size_t m = 0; m < chat->message_count; m++) {
        const struct chat_message *message = &chat->messages[m];

        for (size_t p = 0; !err && p < message->part_count && is_hoisted(writing, m); p++) {
            const struct anthropic_spot spot = {.message = m, .part = p};

            if (!anthropic_is_writable(&message->parts[p]))
                continue;
            begin_system(writing, &has_begun);
            err = anthropic_write_block(writing, &spot, &message->parts[p]);
        }
    }
    if (!err && chat->format.kind == CHAT_FORMAT_JSON) {
        begin_system(writing, &has_begun);
        json_raw(&writing->json,
                 SPAN("{\"type\":\"text\",\"text\":\"Answer with one valid JSON object and nothing "
                      "else: no words around it, no code fence.\"}"));
    }
    if (has_begun)
        json_end_array(&writing->json);
    return err;
}

/* --- turns --- */

enum side { SIDE_USER, SIDE_ASSISTANT, SIDE_SYSTEM };

static enum side side_of(const struct chat_message *message)
{
    switch (message->role) {
    case CHAT_ASSISTANT:
        return SIDE_ASSISTANT;
    case CHAT_SYSTEM:
    case CHAT_DEVELOPER:
        return SIDE_SYSTEM;
    case CHAT_USER:
    case CHAT_TOOL:
        break;
    }
    return SIDE_USER;
}

static bool has_content(const struct chat_message *message)
{
    for (size_t p = 0; p < message->part_count; p++) {
        if (anthropic_is_writable(&message->parts[p]))
            return true;
    }
    return false;
}

/* The next message from `at` on that is no part of the system prompt and holds anything. */
static size_t next_message(const struct anthropic_writing *writing, size_t at)
{
    const struct chat *chat = writing->of->chat;

    while (at < chat->message_count &&
           (is_hoisted(writing, at) || !has_content(&chat->messages[at])))
        at++;
    return at;
}

/* One message's results, or all else that it holds. */
static int write_parts(struct anthropic_writing *writing, size_t m, bool is_results)
{
    const struct chat_message *message = &writing->of->chat->messages[m];
    struct anthropic_spot spot = {.message = m, .is_assistant = message->role == CHAT_ASSISTANT};
    int err = 0;

    if (message->name.len)
        chat_drop(writing->of->drops, SPAN("messages.name"));
    for (size_t p = 0; !err && p < message->part_count; p++) {
        const struct chat_part *part = &message->parts[p];

        if ((part->kind == CHAT_PART_RESULT) != is_results || !anthropic_is_writable(part))
            continue;
        spot.part = p;
        err = anthropic_write_block(writing, &spot, part);
    }
    return err;
}

/* The messages from `from` on that are of one side are one turn: providers of other dialects let
 * results and texts stand apart and in any order; here results come first, all in the turn that
 * follows their calls. *ret_end is the message behind it. */
static int write_turn(struct anthropic_writing *writing, size_t from, size_t *ret_end)
{
    static const char *const roles[] = {"user", "assistant", "system"};
    const struct chat *chat = writing->of->chat;
    enum side side = side_of(&chat->messages[from]);
    size_t end = from;
    int err = 0;

    json_begin_object(&writing->json);
    json_member_text(&writing->json, "role", roles[side]);
    json_name(&writing->json, "content");
    json_begin_array(&writing->json);
    for (; !err && end < chat->message_count && side_of(&chat->messages[end]) == side;
         end = next_message(writing, end + 1))
        err = write_parts(writing, end, true);
    for (size_t m = from; !err && m < end; m = next_message(writing, m + 1))
        err = write_parts(writing, m, false);
    json_end_array(&writing->json);
    json_end_object(&writing->json);
    *ret_end = end;
    return err;
}

/* --- what may stand where --- */

static int refuse(struct anthropic_writing *writing, const char *message)
{
    return chat_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, "messages", "%s", message);
}

static int check_first(struct anthropic_writing *writing, size_t first)
{
    const struct chat *chat = writing->of->chat;

    if (first == chat->message_count)
        return refuse(writing, "The provider of this model needs at least one message of the user "
                               "that says anything.");
    if (!writing->is_own && chat->messages[first].role == CHAT_ASSISTANT)
        return refuse(writing, "The provider of this model needs the first message to be the "
                               "user's.");
    return 0;
}

/* A text that ends the conversation may not end in white space. */
static void note_tail(struct anthropic_writing *writing, const struct chat_message *last)
{
    for (size_t p = last->part_count; p > 0; p--) {
        if (!anthropic_is_writable(&last->parts[p - 1]))
            continue;
        writing->tail = &last->parts[p - 1];
        return;
    }
}

static int check_last(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    size_t m = chat->message_count;

    while (m > 0 && (is_hoisted(writing, m - 1) || !has_content(&chat->messages[m - 1])))
        m--;
    if (m == 0 || chat->messages[m - 1].role != CHAT_ASSISTANT)
        return 0;
    note_tail(writing, &chat->messages[m - 1]);
    if (writing->is_own || writing->claude->may_prefill)
        return 0;
    return refuse(writing, "This model cannot go on with a message of the assistant: the last "
                           "message must be the user's.");
}

int anthropic_write_messages(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    size_t m;
    int err;

    writing->lead = count_lead(chat);
    m = next_message(writing, 0);
    err = check_first(writing, m);
    if (!err)
        err = check_last(writing);
    if (!err)
        err = write_system(writing);
    if (err)
        return err;
    json_name(&writing->json, "messages");
    json_begin_array(&writing->json);
    while (!err && m < chat->message_count)
        err = write_turn(writing, m, &m);
    json_end_array(&writing->json);
    return err;
}
