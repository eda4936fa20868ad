/* Writes what a message holds: its blocks. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"
#include "json/scan.h"

bool anthropic_is_blank(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c != ' ' && (c < '\t' || c > '\r'))
            return false;
    }
    return true;
}

bool anthropic_is_writable(const struct chat_part *part)
{
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        return !anthropic_is_blank(part->text);
    case CHAT_PART_THINKING:
        return part->signer == DIALECT_ANTHROPIC && part->signature.len > 0;
    case CHAT_PART_REDACTED:
        return part->signer == DIALECT_ANTHROPIC && part->text.len > 0;
    case CHAT_PART_IMAGE:
    case CHAT_PART_AUDIO:
    case CHAT_PART_DOCUMENT:
    case CHAT_PART_VIDEO:
    case CHAT_PART_CALL:
    case CHAT_PART_RESULT:
        break;
    }
    return true;
}

void anthropic_write_cache(struct json_writer *json, enum chat_cache cache)
{
    if (cache == CHAT_CACHE_NONE)
        return;
    json_name(json, "cache_control");
    json_raw(json, cache == CHAT_CACHE_LONG ? SPAN("{\"type\":\"ephemeral\",\"ttl\":\"1h\"}")
                                            : SPAN("{\"type\":\"ephemeral\"}"));
}

/* What the form calls its list of messages; where that numbers them as the neutral form does, the
 * place can be told. */
int anthropic_refuse_part(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const char *message)
{
    static const char *const lists[FORM_COUNT] = {
        [FORM_COMPLETIONS] = "prompt",
        [FORM_RESPONSES] = "input",
        [FORM_GENERATE] = "contents",
        [FORM_MEASURE] = "contents",
    };
    const struct chat *chat = writing->of->chat;
    size_t before = writing->is_own && json_tree_member(chat->root, "system") ? 1 : 0;
    const struct anthropic_place of = {NULL, "messages", spot->message - before};
    const struct anthropic_place place = {&of, "content", spot->part};
    bool is_known = chat->form == FORM_CHAT || (writing->is_own && spot->message >= before);

    return anthropic_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, is_known ? &place : NULL,
                            is_known ? NULL : lists[chat->form], message);
}

/* --- texts and thoughts --- */

static void write_text(struct anthropic_writing *writing, const struct chat_part *part)
{
    struct json_writer *json = &writing->json;
    struct span text = part->text;

    while (part == writing->tail && anthropic_is_blank(span_skip(text, text.len - 1)))
        text.len--;
    json_begin_object(json);
    json_member_text(json, "type", "text");
    json_member_string(json, "text", text);
    anthropic_write_cache(json, part->cache);
    json_end_object(json);
}

static void write_thought(struct json_writer *json, const struct chat_part *part)
{
    json_begin_object(json);
    if (part->kind == CHAT_PART_THINKING) {
        json_member_text(json, "type", "thinking");
        json_member_string(json, "thinking", part->text);
        json_member_string(json, "signature", part->signature);
    } else {
        json_member_text(json, "type", "redacted_thinking");
        json_member_string(json, "data", part->text);
    }
    json_end_object(json);
}

/* --- calls and their results --- */

static bool is_object(struct span text)
{
    static const struct json_watchlist nothing = {NULL, 0, NULL, 0, 0, 0};
    struct json_scan scan;

    json_scan_init(&scan, &nothing, JSON_DEPTH_MAX);
    return json_scan_feed(&scan, text) == 0 && json_scan_finish(&scan) == 0;
}

static void write_member(struct buf *out, struct span head, struct span text)
{
    (void)buf_append_span(out, head);
    (void)json_write_string(out, text);
    (void)buf_append_byte(out, '}');
}

void anthropic_write_input(struct buf *out, struct span arguments, bool is_custom)
{
    if (is_custom)
        write_member(out, SPAN("{\"input\":"), arguments);
    else if (anthropic_is_blank(arguments))
        (void)buf_append_span(out, SPAN("{}"));
    else if (is_object(arguments))
        (void)buf_append_span(out, arguments);
    else
        write_member(out, SPAN("{\"_raw\":"), arguments);
}

static int write_call(struct anthropic_writing *writing, const struct chat_part *part)
{
    struct json_writer *json = &writing->json;
    struct span id = chat_fit_id(part->id, ANTHROPIC_ID_MAX, writing->of->arena);

    if (!id.ptr)
        return ERR_NOMEM;
    json_begin_object(json);
    json_member_text(json, "type", "tool_use");
    json_member_string(json, "id", id);
    json_member_string(json, "name", part->name);
    json_name(json, "input");
    json_raw(json, SPAN(""));
    anthropic_write_input(writing->of->out, part->text, part->is_custom);
    anthropic_write_cache(json, part->cache);
    json_end_object(json);
    return 0;
}

/* What of a result can be written: how much, and the first of it. */
static size_t count_content(const struct chat_part *part, const struct chat_part **ret_first)
{
    size_t count = 0;

    for (size_t i = part->part_count; i > 0; i--) {
        if (!anthropic_is_writable(&part->parts[i - 1]))
            continue;
        *ret_first = &part->parts[i - 1];
        count++;
    }
    return count;
}

static int write_result_content(struct anthropic_writing *writing,
                                const struct anthropic_spot *spot, const struct chat_part *part)
{
    struct anthropic_spot inner = {
        .message = spot->message, .part = spot->part, .is_in_result = true};
    const struct chat_part *first = NULL;
    size_t count = count_content(part, &first);
    int err = 0;

    if (count == 0)
        return 0;
    json_name(&writing->json, "content");
    if (count == 1 && first->kind == CHAT_PART_TEXT && first->cache == CHAT_CACHE_NONE) {
        json_string(&writing->json, first->text);
        return 0;
    }
    json_begin_array(&writing->json);
    for (size_t i = 0; !err && i < part->part_count; i++) {
        if (anthropic_is_writable(&part->parts[i]))
            err = anthropic_write_block(writing, &inner, &part->parts[i]);
    }
    json_end_array(&writing->json);
    return err;
}

static int write_result(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                        const struct chat_part *part)
{
    struct json_writer *json = &writing->json;
    struct span id = chat_fit_id(part->id, ANTHROPIC_ID_MAX, writing->of->arena);
    int err;

    if (!id.ptr)
        return ERR_NOMEM;
    if (spot->is_in_result)
        return anthropic_refuse_part(writing, spot, "A result cannot hold another result.");
    json_begin_object(json);
    json_member_text(json, "type", "tool_result");
    json_member_string(json, "tool_use_id", id);
    err = write_result_content(writing, spot, part);
    if (part->is_error)
        json_member_bool(json, "is_error", true);
    anthropic_write_cache(json, part->cache);
    json_end_object(json);
    return err;
}

/* --- a block --- */

int anthropic_write_block(struct anthropic_writing *writing, const struct anthropic_spot *spot,
                          const struct chat_part *part)
{
    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        write_text(writing, part);
        return 0;
    case CHAT_PART_THINKING:
    case CHAT_PART_REDACTED:
        write_thought(&writing->json, part);
        return 0;
    case CHAT_PART_IMAGE:
        return anthropic_write_image(writing, spot, part);
    case CHAT_PART_DOCUMENT:
        return anthropic_write_document(writing, spot, part);
    case CHAT_PART_CALL:
        return write_call(writing, part);
    case CHAT_PART_RESULT:
        return write_result(writing, spot, part);
    case CHAT_PART_AUDIO:
        return anthropic_refuse_part(writing, spot, "The provider of this model takes no sound.");
    case CHAT_PART_VIDEO:
        break;
    }
    return anthropic_refuse_part(writing, spot, "The provider of this model takes no video.");
}
