/* Messages of a request from the neutral form. Results of tools stand in messages of their own,
 * right behind the calls; what a tool message cannot hold (images, files) follows in a user's. */
#include "base/err.h"
#include "dialect/openai_chat_inner.h"

/* --- content --- */

/* True where the parts that matter are one text without a mark: told as a string. */
static bool is_plain(const struct chat_writing *writing, const struct chat_message *message)
{
    size_t texts = 0;

    for (size_t i = 0; i < message->part_count; i++) {
        const struct chat_part *part = &message->parts[i];

        if (part->kind == CHAT_PART_RESULT)
            continue;
        if (part->kind != CHAT_PART_TEXT || ++texts > 1)
            return false;
        if (part->cache != CHAT_CACHE_NONE && openai_has_quirk(writing, QUIRK_OPENROUTER_REASONING))
            return false;
    }
    return true;
}

static struct span only_text(const struct chat_message *message)
{
    for (size_t i = 0; i < message->part_count; i++) {
        if (message->parts[i].kind == CHAT_PART_TEXT)
            return message->parts[i].text;
    }
    return SPAN("");
}

static void write_name(struct json_writer *json, const struct chat_message *message)
{
    if (message->name.len)
        json_member_string(json, "name", message->name);
}

/* What a tool brought that its own message cannot hold: parts of the user's next one. */
static int write_brought(struct chat_writing *writing, struct json_writer *json, size_t from,
                         size_t until)
{
    const struct chat *chat = writing->chat;
    int err = 0;

    for (size_t m = from; m < until && !err; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count && !err; p++) {
            const struct chat_part *part = &chat->messages[m].parts[p];

            for (size_t i = 0; part->kind == CHAT_PART_RESULT && i < part->part_count && !err;
                 i++) {
                if (openai_is_media(&part->parts[i]))
                    err = openai_write_part(writing, json, &part->parts[i], m);
            }
        }
    }
    return err;
}

/* A system's or a user's message, and before its own parts what tools brought in the messages from
 * `from` on. */
static int write_speaker(struct chat_writing *writing, struct json_writer *json, const char *role,
                         size_t at, size_t from, bool has_brought)
{
    const struct chat_message *message = &writing->chat->messages[at];
    int err = 0;

    json_begin_object(json);
    json_member_text(json, "role", role);
    json_name(json, "content");
    if (is_plain(writing, message) && !has_brought) {
        json_string(json, only_text(message));
    } else {
        json_begin_array(json);
        if (has_brought)
            err = write_brought(writing, json, from, at + 1);
        for (size_t i = 0; i < message->part_count && !err; i++)
            err = openai_write_part(writing, json, &message->parts[i], at);
        json_end_array(json);
    }
    write_name(json, message);
    json_end_object(json);
    return err;
}

/* --- results of tools --- */

/* What a result says, documents of plain text included. */
static struct span result_text(struct chat_writing *writing, const struct chat_part *part)
{
    struct chat_part *texts;

    if (!chat_has_kind(part->parts, part->part_count, CHAT_PART_DOCUMENT))
        return chat_plain_text(part->parts, part->part_count, writing->arena);
    texts = arena_zalloc(writing->arena, part->part_count * sizeof(*texts));
    if (!texts)
        return span_of(NULL, 0);
    for (size_t i = 0; i < part->part_count; i++) {
        const struct chat_part *inner = &part->parts[i];

        texts[i].text = inner->kind == CHAT_PART_DOCUMENT && !openai_is_media(inner)
                            ? inner->media.data
                        : openai_is_media(inner) ? SPAN("")
                                                 : inner->text;
    }
    return chat_plain_text(texts, part->part_count, writing->arena);
}

/* "Error: " before it where nothing else would say that it is one. */
static int write_result_text(struct chat_writing *writing, struct json_writer *json,
                             const struct chat_part *part)
{
    struct span text = result_text(writing, part);

    if (!text.ptr)
        return ERR_NOMEM;
    if (part->is_error &&
        !(text.len >= 5 && span_is_equal_nocase(span_of(text.ptr, 5), SPAN("error"))))
        text = arena_printf(writing->arena, "Error: %.*s", SPAN_ARG(text));
    json_string(json, text);
    return text.ptr ? 0 : ERR_NOMEM;
}

/* *ret_has_brought is set where a result holds more than text. */
static int write_results(struct chat_writing *writing, struct json_writer *json, size_t at,
                         bool *ret_has_brought)
{
    const struct chat_message *message = &writing->chat->messages[at];
    int err = 0;

    for (size_t i = 0; i < message->part_count && !err; i++) {
        const struct chat_part *part = &message->parts[i];

        if (part->kind != CHAT_PART_RESULT)
            continue;
        json_begin_object(json);
        json_member_text(json, "role", "tool");
        json_member_string(json, "tool_call_id", part->id);
        json_name(json, "content");
        err = write_result_text(writing, json, part);
        json_end_object(json);
        for (size_t k = 0; k < part->part_count; k++)
            *ret_has_brought |= openai_is_media(&part->parts[k]);
    }
    return err;
}

/* --- what the model said --- */

static struct span join(struct chat_writing *writing, const struct chat_message *message,
                        enum chat_part_kind kind)
{
    return chat_text_of(message->parts, message->part_count, 1u << kind, writing->arena);
}

void openai_write_thought_signature(struct json_writer *json, const struct chat_part *part)
{
    if (part->signature.len == 0 || part->signer != DIALECT_GEMINI)
        return;
    json_name(json, "extra_content");
    json_begin_object(json);
    json_name(json, "google");
    json_begin_object(json);
    json_member_string(json, "thought_signature", part->signature);
    json_end_object(json);
    json_end_object(json);
}

static bool is_block(const struct chat_part *part)
{
    return part->signer == DIALECT_ANTHROPIC &&
           (part->kind == CHAT_PART_REDACTED ||
            (part->kind == CHAT_PART_THINKING && part->signature.len));
}

static void write_block(struct json_writer *json, const struct chat_part *part)
{
    json_begin_object(json);
    if (part->kind == CHAT_PART_REDACTED) {
        json_member_text(json, "type", "redacted_thinking");
        json_member_string(json, "data", part->text);
    } else {
        json_member_text(json, "type", "thinking");
        json_member_string(json, "thinking", part->text);
        json_member_string(json, "signature", part->signature);
    }
    json_end_object(json);
}

void openai_write_thinking_blocks(struct json_writer *json, const struct chat_part *parts,
                                  size_t count)
{
    bool has_any = false;

    for (size_t i = 0; i < count; i++)
        has_any |= is_block(&parts[i]);
    if (!has_any)
        return;
    json_name(json, "thinking_blocks");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        if (is_block(&parts[i]))
            write_block(json, &parts[i]);
    }
    json_end_array(json);
}

void openai_write_call(struct json_writer *json, const struct chat_part *part, struct span text)
{
    json_member_string(json, "id", part->id);
    json_member_text(json, "type", part->is_custom ? "custom" : "function");
    json_name(json, part->is_custom ? "custom" : "function");
    json_begin_object(json);
    json_member_string(json, "name", part->name);
    json_member_string(json, part->is_custom ? "input" : "arguments", text);
    json_end_object(json);
}

static void write_call(struct json_writer *json, const struct chat_part *part)
{
    json_begin_object(json);
    /* The text of no arguments is that of an empty object. */
    openai_write_call(json, part, part->text.len || part->is_custom ? part->text : SPAN("{}"));
    json_end_object(json);
}

static void write_calls(struct json_writer *json, const struct chat_message *message)
{
    json_name(json, "tool_calls");
    json_begin_array(json);
    for (size_t i = 0; i < message->part_count; i++) {
        if (message->parts[i].kind == CHAT_PART_CALL)
            write_call(json, &message->parts[i]);
    }
    json_end_array(json);
}

/* Thoughts go back only where they are asked for: elsewhere a member that nobody knows is refused.
 */
static void write_thought(struct chat_writing *writing, struct json_writer *json,
                          const struct chat_message *message)
{
    struct span thought;

    if (!openai_has_quirk(writing, QUIRK_REASONING_BACK) &&
        !openai_has_quirk(writing, QUIRK_OPENROUTER_REASONING))
        return;
    thought = join(writing, message, CHAT_PART_THINKING);
    if (thought.len)
        json_member_string(json,
                           openai_has_quirk(writing, QUIRK_REASONING_BACK) ? "reasoning_content"
                                                                           : "reasoning",
                           thought);
}

static int write_assistant(struct chat_writing *writing, struct json_writer *json, size_t at)
{
    const struct chat_message *message = &writing->chat->messages[at];
    struct span content = join(writing, message, CHAT_PART_TEXT);
    struct span refusal = join(writing, message, CHAT_PART_REFUSAL);
    bool has_calls = chat_has_kind(message->parts, message->part_count, CHAT_PART_CALL);

    for (size_t i = 0; i < message->part_count; i++) {
        if (openai_is_media(&message->parts[i]))
            return openai_refuse_part(writing, at,
                                      "an image, a sound or a file of the assistant's");
    }
    json_begin_object(json);
    json_member_text(json, "role", "assistant");
    json_name(json, "content");
    if (content.len == 0 && (has_calls || refusal.len))
        json_null(json);
    else
        json_string(json, content);
    write_thought(writing, json, message);
    if (refusal.len)
        json_member_string(json, "refusal", refusal);
    if (has_calls)
        write_calls(json, message);
    write_name(json, message);
    json_end_object(json);
    return content.ptr && refusal.ptr ? 0 : ERR_NOMEM;
}

/* --- all of them --- */

static bool is_result_only(const struct chat_message *message)
{
    for (size_t i = 0; i < message->part_count; i++) {
        if (message->parts[i].kind != CHAT_PART_RESULT)
            return false;
    }
    return message->part_count > 0;
}

/* What tools brought, in a user's message of its own. */
static int write_brought_alone(struct chat_writing *writing, struct json_writer *json, size_t from,
                               size_t until)
{
    int err;

    json_begin_object(json);
    json_member_text(json, "role", "user");
    json_name(json, "content");
    json_begin_array(json);
    err = write_brought(writing, json, from, until);
    json_end_array(json);
    json_end_object(json);
    return err;
}

/* A message that is no result alone; before it stand those from `from` on, which are. */
static int write_other(struct chat_writing *writing, struct json_writer *json, size_t at,
                       size_t from, bool has_brought)
{
    const struct chat_message *message = &writing->chat->messages[at];
    bool is_user = message->role == CHAT_USER || message->role == CHAT_TOOL;
    int err = 0;

    if (has_brought && !is_user)
        err = write_brought_alone(writing, json, from, at);
    if (err)
        return err;
    if (message->role == CHAT_ASSISTANT)
        return write_assistant(writing, json, at);
    return write_speaker(writing, json,
                         is_user                           ? "user"
                         : message->role == CHAT_DEVELOPER ? "developer"
                                                           : "system",
                         at, from, has_brought && is_user);
}

/* --- JSON asked for without a schema --- */

static bool names_json(struct span text)
{
    for (size_t i = 0; i + 4 <= text.len; i++) {
        if ((text.ptr[i] | 0x20) == 'j' &&
            span_is_equal_nocase(span_of(text.ptr + i, 4), SPAN("json")))
            return true;
    }
    return false;
}

/* OpenAI refuses to answer in JSON where no message speaks of it; other dialects do not ask for
 * that. */
static bool needs_word(const struct chat *chat)
{
    if (chat->format.kind != CHAT_FORMAT_JSON || form_row(chat->form)->dialect == DIALECT_OPENAI)
        return false;
    for (size_t m = 0; m < chat->message_count; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count; p++) {
            const struct chat_part *part = &chat->messages[m].parts[p];

            if (part->kind == CHAT_PART_TEXT && names_json(part->text))
                return false;
        }
    }
    return true;
}

int openai_write_messages(struct chat_writing *writing, struct json_writer *json)
{
    const struct chat *chat = writing->chat;
    bool has_brought = false;
    size_t from = 0; /* the first message of the run of results at hand */
    int err = 0;

    json_begin_array(json);
    if (needs_word(chat))
        json_raw(json, SPAN("{\"role\":\"system\",\"content\":\"Answer with one JSON object.\"}"));
    for (size_t at = 0; at < chat->message_count && !err; at++) {
        err = write_results(writing, json, at, &has_brought);
        if (err || is_result_only(&chat->messages[at]))
            continue;
        err = write_other(writing, json, at, from, has_brought);
        has_brought = false;
        from = at + 1;
    }
    if (has_brought && !err)
        err = write_brought_alone(writing, json, from, chat->message_count);
    json_end_array(json);
    return err;
}
