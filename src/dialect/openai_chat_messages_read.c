/* Messages of a request: roles, thoughts that came back, calls and their results. */
#include "base/err.h"
#include "dialect/openai_chat_inner.h"

struct reading_messages {
    struct chat_reading *reading;
    struct span old_call; /* the id given to the last call of the old way, by `function_call` */
};

static int read_role(struct chat_reading *reading, const yyjson_val *value,
                     const struct openai_place *place, enum chat_role *ret_role)
{
    static const struct {
        struct span name;
        enum chat_role role;
    } roles[] = {
        {SPAN_INIT("user"), CHAT_USER},           {SPAN_INIT("assistant"), CHAT_ASSISTANT},
        {SPAN_INIT("tool"), CHAT_TOOL},           {SPAN_INIT("system"), CHAT_SYSTEM},
        {SPAN_INIT("developer"), CHAT_DEVELOPER}, {SPAN_INIT("function"), CHAT_TOOL},
    };
    const struct openai_place *inner = OPENAI_IN(place, "role");
    struct span name = json_tree_string(value, "role");

    if (!name.ptr)
        return openai_refuse_absent(reading, inner);
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (span_is_equal(name, roles[i].name)) {
            *ret_role = roles[i].role;
            return 0;
        }
    }
    return openai_refuse_value(reading, inner,
                               "supported values are 'system', 'developer', 'user', 'assistant', "
                               "'tool' and 'function'");
}

/* --- what a tool brought --- */

static int read_result(struct reading_messages *all, const yyjson_val *value,
                       const struct openai_place *place, struct chat_message *message)
{
    struct chat_reading *reading = all->reading;
    const yyjson_val *content = json_tree_member(value, "content");
    struct chat_part *part = chat_parts_new(reading, 1 + openai_content_room(content));
    bool is_old = span_is_equal(json_tree_string(value, "role"), SPAN("function"));

    if (!part)
        return openai_no_parts(reading);
    *part =
        (struct chat_part){.kind = CHAT_PART_RESULT,
                           .id = is_old ? all->old_call : json_tree_string(value, "tool_call_id"),
                           .name = json_tree_string(value, "name"),
                           .cache = openai_read_cache(value),
                           .parts = part + 1};
    message->parts = part;
    message->part_count = 1;
    if (part->id.len == 0 && is_old)
        return openai_refuse_value(reading, place,
                                   "no function_call of the assistant stands before it");
    if (part->id.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(place, "tool_call_id"));
    return openai_read_content(reading, content, OPENAI_IN(place, "content"), part->parts,
                               &part->part_count);
}

/* --- what the model said --- */

/* A call's name and arguments, of `object` (its function, its custom tool, or the old call). */
static int read_call_body(struct chat_reading *reading, const yyjson_val *object,
                          const struct openai_place *place, struct chat_part *part)
{
    const yyjson_val *arguments = json_tree_member(object, part->is_custom ? "input" : "arguments");

    part->kind = CHAT_PART_CALL;
    part->name = json_tree_string(object, "name");
    if (part->name.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(place, "name"));
    part->text = json_tree_text(arguments);
    if (!arguments || part->text.ptr)
        return 0;
    /* An object where its text should stand: what compatible servers send and take. */
    part->text = chat_json_text(reading->arena, arguments);
    return part->text.ptr ? 0 : ERR_NOMEM;
}

static struct span thought_signature(const yyjson_val *value)
{
    const yyjson_val *extra = json_tree_member(value, "extra_content");

    return json_tree_string(json_tree_member(extra, "google"), "thought_signature");
}

static int read_call(struct chat_reading *reading, const yyjson_val *value,
                     const struct openai_place *place, struct chat_part *part)
{
    const yyjson_val *custom = json_tree_member(value, "custom");
    const yyjson_val *object = custom ? custom : json_tree_member(value, "function");
    const struct openai_place *inner = OPENAI_IN(place, custom ? "custom" : "function");

    if (!yyjson_is_obj(json_tree_plain(object)))
        return object ? openai_refuse_type(reading, inner, "an object", object)
                      : openai_refuse_absent(reading, inner);
    part->id = json_tree_string(value, "id");
    if (part->id.len == 0)
        return openai_refuse_absent(reading, OPENAI_IN(place, "id"));
    part->is_custom = custom != NULL;
    part->signature = thought_signature(value);
    part->signer = DIALECT_GEMINI;
    return read_call_body(reading, object, inner, part);
}

static int read_calls(struct reading_messages *all, const yyjson_val *value,
                      const struct openai_place *place, struct chat_message *message)
{
    yyjson_val *calls = json_tree_plain(json_tree_member(value, "tool_calls")), *item;
    const yyjson_val *old = json_tree_member(value, "function_call");
    size_t at, max;
    int err;

    if (calls && !yyjson_is_arr(calls))
        return openai_refuse_type(all->reading, OPENAI_IN(place, "tool_calls"), "an array", calls);
    yyjson_arr_foreach(calls, at, max, item)
    {
        err = read_call(all->reading, item, OPENAI_ITEM(OPENAI_IN(place, "tool_calls"), at),
                        &message->parts[message->part_count++]);
        if (err)
            return err;
    }
    if (!yyjson_is_obj(json_tree_plain(old)))
        return 0;
    /* The old way knows no ids: what follows next answers it. */
    all->old_call = arena_printf(all->reading->arena, "call_%zu",
                                 (size_t)(message - all->reading->chat->messages));
    if (!all->old_call.ptr)
        return ERR_NOMEM;
    message->parts[message->part_count].id = all->old_call;
    return read_call_body(all->reading, old, OPENAI_IN(place, "function_call"),
                          &message->parts[message->part_count++]);
}

/* `thinking_blocks`, each signed; one without words takes those of reasoning_content. */
static void read_blocks(yyjson_val *blocks, struct span reasoning, struct chat_message *message)
{
    yyjson_val *block;
    size_t at, max;

    yyjson_arr_foreach(blocks, at, max, block)
    {
        struct chat_part *part = &message->parts[message->part_count++];
        struct span data = json_tree_string(block, "data");

        part->kind = data.len ? CHAT_PART_REDACTED : CHAT_PART_THINKING;
        part->signer = DIALECT_ANTHROPIC;
        part->signature = json_tree_string(block, "signature");
        part->text = data.len ? data : json_tree_string(block, "thinking");
        if (part->text.len == 0 && yyjson_arr_size(blocks) == 1)
            part->text = reasoning;
    }
}

static void read_thoughts(const yyjson_val *value, struct chat_message *message)
{
    yyjson_val *blocks = json_tree_plain(json_tree_member(value, "thinking_blocks"));
    struct span reasoning = json_tree_string(value, "reasoning_content");
    struct span signature = thought_signature(value);

    if (reasoning.len == 0)
        reasoning = json_tree_string(value, "reasoning");
    if (yyjson_arr_size(blocks) > 0)
        read_blocks(blocks, reasoning, message);
    else if (reasoning.len)
        message->parts[message->part_count++] =
            (struct chat_part){.kind = CHAT_PART_THINKING, .text = reasoning};
    if (signature.len && message->part_count == 0)
        message->parts[message->part_count++] = (struct chat_part){
            .kind = CHAT_PART_THINKING, .signature = signature, .signer = DIALECT_GEMINI};
}

static size_t list_size(const yyjson_val *value, const char *name)
{
    yyjson_val *list = json_tree_plain(json_tree_member(value, name));

    return yyjson_is_arr(list) ? yyjson_arr_size(list) : 0;
}

/* Those that stand in members of their own, so that a long conversation takes no room for what it
 * does not hold: one of a thought or its signature, of a refusal, of the old call. */
static size_t single_parts(const yyjson_val *value)
{
    bool has_thought = json_tree_member(value, "reasoning_content") ||
                       json_tree_member(value, "reasoning") ||
                       json_tree_member(value, "extra_content");

    return (size_t)has_thought + (json_tree_member(value, "refusal") != NULL) +
           (json_tree_member(value, "function_call") != NULL);
}

static int read_assistant(struct reading_messages *all, const yyjson_val *value,
                          const struct openai_place *place, struct chat_message *message)
{
    struct chat_reading *reading = all->reading;
    const yyjson_val *content = json_tree_member(value, "content");
    struct span refusal = json_tree_string(value, "refusal");
    size_t room = openai_content_room(content) + list_size(value, "tool_calls") +
                  list_size(value, "thinking_blocks") + single_parts(value);
    size_t count;
    int err;

    message->parts = chat_parts_new(reading, room);
    if (!message->parts)
        return openai_no_parts(reading);
    read_thoughts(value, message);
    err = openai_read_content(reading, content, OPENAI_IN(place, "content"),
                              message->parts + message->part_count, &count);
    if (err)
        return err;
    message->part_count += count;
    if (refusal.len)
        message->parts[message->part_count++] =
            (struct chat_part){.kind = CHAT_PART_REFUSAL, .text = refusal};
    return read_calls(all, value, place, message);
}

static int read_plain(struct chat_reading *reading, const yyjson_val *value,
                      const struct openai_place *place, struct chat_message *message)
{
    const yyjson_val *content = json_tree_member(value, "content");

    message->parts = chat_parts_new(reading, openai_content_room(content));
    if (!message->parts)
        return openai_no_parts(reading);
    return openai_read_content(reading, content, OPENAI_IN(place, "content"), message->parts,
                               &message->part_count);
}

static int read_message(struct reading_messages *all, const yyjson_val *value,
                        const struct openai_place *place, struct chat_message *message)
{
    int err;

    if (!yyjson_is_obj(json_tree_plain(value)))
        return openai_refuse_type(all->reading, place, "an object", value);
    err = read_role(all->reading, value, place, &message->role);
    if (err)
        return err;
    if (message->role == CHAT_TOOL)
        return read_result(all, value, place, message);
    message->name = json_tree_string(value, "name");
    if (message->role == CHAT_ASSISTANT)
        return read_assistant(all, value, place, message);
    return read_plain(all->reading, value, place, message);
}

int openai_read_messages(struct chat_reading *reading, const yyjson_val *value)
{
    struct reading_messages all = {.reading = reading};
    yyjson_val *list = json_tree_plain(value), *item;
    size_t at, max;

    if (!yyjson_is_arr(list))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "messages"), "an array", value);
    if (yyjson_arr_size(list) == 0)
        return openai_refuse_value(reading, OPENAI_IN(NULL, "messages"), "it holds no message");
    reading->chat->messages = chat_messages_new(reading, yyjson_arr_size(list));
    reading->chat->message_count = 0;
    if (!reading->chat->messages)
        return openai_no_parts(reading);
    yyjson_arr_foreach(list, at, max, item)
    {
        int err = read_message(&all, item, OPENAI_ITEM(OPENAI_IN(NULL, "messages"), at),
                               &reading->chat->messages[at]);

        if (err)
            return err;
        reading->chat->message_count++;
    }
    return 0;
}
