/*
 * Calls of tools in an answer, put together from fragments. Servers differ: `index` may be missing
 * or the same for all, a name may be repeated empty, arguments may be an object, and what belongs
 * to a call may come before its name.
 */
#include "base/fnv.h"
#include "dialect/openai_chat_inner.h"

enum {
    CALLS_MAX = 1024,      /* of one choice */
    EARLY_MAX = 256 << 10, /* bytes of arguments kept until a call has its name */
};

#define OLD_CALL INT64_MIN /* the index of `function_call`, of which there is one */
#define NO_INDEX INT64_MAX

/* What one fragment says. */
struct fragment {
    int64_t index; /* NO_INDEX: not told */
    struct span id, name, text, signature;
    bool is_custom;
};

static uint64_t hash_of(struct span id)
{
    return fnv_span(FNV_START, id) | 1; /* 0 stands for none */
}

static void fail(struct openai_reader *reader, const char *message)
{
    openai_tell_failure(reader, span_from_text(message));
}

/* --- which call it is --- */

static struct openai_call *add_call(struct openai_reader *reader, struct openai_choice *choice,
                                    int64_t index)
{
    struct openai_call *calls;

    if (choice->call_count == CALLS_MAX) {
        fail(reader, "The provider's answer has too many tool calls.");
        return NULL;
    }
    if (choice->call_count == choice->call_cap) {
        choice->call_cap = choice->call_cap ? 2 * choice->call_cap : 4;
        calls = arena_alloc(reader->base.arena, choice->call_cap * sizeof(*calls));
        if (!calls) {
            fail(reader, "There is no memory for the provider's answer.");
            return NULL;
        }
        if (choice->call_count)
            memcpy(calls, choice->calls, choice->call_count * sizeof(*calls));
        choice->calls = calls;
    }
    choice->calls[choice->call_count] = (struct openai_call){.index = index};
    return &choice->calls[choice->call_count++];
}

/* The last call with that index; NULL where there is none. */
static struct openai_call *find_index(const struct openai_choice *choice, int64_t index)
{
    for (unsigned i = choice->call_count; i-- > 0;) {
        if (choice->calls[i].index == index)
            return &choice->calls[i];
    }
    return NULL;
}

static struct openai_call *find_id(const struct openai_choice *choice, uint64_t hash)
{
    for (unsigned i = choice->call_count; i-- > 0;) {
        if (choice->calls[i].id_hash == hash)
            return &choice->calls[i];
    }
    return NULL;
}

/* True where the fragment opens another call although `call` has its index: it brings a name and an
 * id of its own. */
static bool is_another(const struct openai_call *call, const struct fragment *fragment)
{
    return fragment->id.len && fragment->name.len && call->id_hash &&
           call->id_hash != hash_of(fragment->id);
}

/* The call of a fragment without an index: the one of its id, a new one where it brings a name, the
 * last one where it brings nothing but arguments. */
static struct openai_call *find_unnumbered(struct openai_choice *choice,
                                           const struct fragment *fragment)
{
    if (fragment->id.len)
        return find_id(choice, hash_of(fragment->id));
    if (fragment->name.len || choice->call_count == 0)
        return NULL;
    return &choice->calls[choice->call_count - 1];
}

static struct openai_call *call_of(struct openai_reader *reader, struct openai_choice *choice,
                                   const struct fragment *fragment)
{
    struct openai_call *call;

    if (fragment->index == NO_INDEX)
        call = find_unnumbered(choice, fragment);
    else
        call = find_index(choice, fragment->index);
    if (call && !is_another(call, fragment))
        return call;
    return add_call(reader, choice, fragment->index);
}

/* --- what is told of it --- */

/* Follows the arguments of a function to the end of their object, so that a call is known to be
 * over before its choice is. */
static void follow(struct openai_call *call, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (call->is_escaped)
            call->is_escaped = false;
        else if (call->is_in_string && c == '\\')
            call->is_escaped = true;
        else if (c == '"')
            call->is_in_string = !call->is_in_string;
        else if (!call->is_in_string && (c == '{' || c == '['))
            call->depth++;
        else if (!call->is_in_string && (c == '}' || c == ']') && call->depth)
            call->is_complete = --call->depth == 0;
    }
}

static void tell_call(struct openai_reader *reader, unsigned choice, const struct openai_call *call,
                      enum chat_event_kind kind, struct span text)
{
    openai_tell(reader, &(struct chat_event){.kind = kind,
                                             .choice = choice,
                                             .call = call->ordinal,
                                             .is_call = kind == CHAT_EVENT_SIGNATURE,
                                             .signer = DIALECT_GEMINI,
                                             .text = text});
}

static void tell_arguments(struct openai_reader *reader, unsigned choice, struct openai_call *call,
                           struct span text)
{
    if (text.len == 0 || call->has_ended)
        return;
    if (!call->is_custom)
        follow(call, text);
    tell_call(reader, choice, call, CHAT_EVENT_CALL_ARGS, text);
}

/* Calls whose arguments are whole end where the next one begins; any other may go on yet. */
static void end_complete(struct openai_reader *reader, unsigned choice)
{
    struct openai_choice *state = reader->choices[choice];

    for (unsigned i = 0; i < state->call_count; i++) {
        struct openai_call *call = &state->calls[i];

        if (!call->has_begun || call->has_ended || !call->is_complete)
            continue;
        call->has_ended = true;
        tell_call(reader, choice, call, CHAT_EVENT_CALL_END, SPAN(""));
    }
}

/* "call_" and 24 digits, unlike for every answer and call. */
static struct span invent_id(struct openai_reader *reader, char id[32])
{
    static const char hex[] = "0123456789abcdef";
    uint64_t words[2] = {reader->base.seed, reader->invented++};

    memcpy(id, "call_", 5);
    for (unsigned i = 0; i < 24; i++)
        id[5 + i] = hex[words[i / 16] >> (i < 16 ? 60 - 4 * i : 28 - 4 * (i - 16)) & 15];
    return span_of(id, 29);
}

static void begin(struct openai_reader *reader, unsigned choice, struct openai_call *call,
                  const struct fragment *fragment)
{
    struct openai_choice *state = reader->choices[choice];
    struct span id = fragment->id.len ? fragment->id : call->id;
    char made[32];

    end_complete(reader, choice);
    call->ordinal = state->begun++;
    call->has_begun = true;
    call->is_custom = fragment->is_custom;
    openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_CALL_BEGIN,
                                             .choice = choice,
                                             .call = call->ordinal,
                                             .is_custom = call->is_custom,
                                             .id = id.len ? id : invent_id(reader, made),
                                             .name = fragment->name});
    tell_arguments(reader, choice, call, call->early);
}

/* Keeps what comes before the name. */
static void keep_early(struct openai_reader *reader, struct openai_call *call,
                       const struct fragment *fragment)
{
    struct span text = fragment->text;
    char *room;

    if (fragment->id.len && call->id.len == 0)
        call->id = arena_copy(reader->base.arena, fragment->id);
    if (text.len > EARLY_MAX - call->early.len) {
        fail(reader, "The provider's answer has a tool call without a name.");
        return;
    }
    if (call->early.len + text.len > call->early_cap) {
        size_t cap = 2 * (call->early.len + text.len);

        room = arena_alloc(reader->base.arena, cap);
        if (!room) {
            fail(reader, "There is no memory for the provider's answer.");
            return;
        }
        if (call->early.len)
            memcpy(room, call->early.ptr, call->early.len);
        call->early.ptr = room;
        call->early_cap = cap;
    }
    /* The room is ours, whatever the span's type says. */
    if (text.len)
        memcpy((char *)(uintptr_t)call->early.ptr + call->early.len, text.ptr, text.len);
    call->early.len += text.len;
}

static void take_fragment(struct openai_reader *reader, unsigned choice,
                          const struct fragment *fragment)
{
    struct openai_call *call = call_of(reader, reader->choices[choice], fragment);

    if (!call)
        return;
    if (fragment->id.len && !call->id_hash)
        call->id_hash = hash_of(fragment->id);
    if (!call->has_begun && fragment->name.len == 0) {
        keep_early(reader, call, fragment);
        return;
    }
    if (!call->has_begun)
        begin(reader, choice, call, fragment);
    tell_arguments(reader, choice, call, fragment->text);
    if (fragment->signature.len)
        tell_call(reader, choice, call, CHAT_EVENT_SIGNATURE, fragment->signature);
}

/* --- fragments --- */

/* The arguments of `object` under `name`: a text, or whatever JSON stands in its place, spelled in
 * `buf`. */
static struct span arguments_of(const yyjson_val *object, const char *name, struct buf *buf)
{
    const yyjson_val *value = json_tree_member(object, name);
    struct span text = json_tree_text(value);

    if (!value || text.ptr)
        return text;
    (void)json_tree_write(buf, value);
    return buf_span(buf);
}

static void take_one(struct openai_reader *reader, unsigned choice, const yyjson_val *value)
{
    const yyjson_val *custom = json_tree_member(value, "custom");
    const yyjson_val *object = custom ? custom : json_tree_member(value, "function");
    const yyjson_val *extra = json_tree_member(value, "extra_content");
    struct fragment fragment = {.index = NO_INDEX, .is_custom = custom != NULL};
    struct buf spelled;

    if (!yyjson_is_obj(json_tree_plain(value)))
        return;
    buf_init(&spelled, SIZE_MAX);
    (void)json_tree_int(json_tree_member(value, "index"), &fragment.index);
    fragment.id = json_tree_string(value, "id");
    fragment.name = json_tree_string(object, "name");
    fragment.text = arguments_of(object, custom ? "input" : "arguments", &spelled);
    fragment.signature = json_tree_string(json_tree_member(extra, "google"), "thought_signature");
    take_fragment(reader, choice, &fragment);
    buf_fini(&spelled);
}

void openai_take_calls(struct openai_reader *reader, unsigned choice, const yyjson_val *message)
{
    yyjson_val *list = json_tree_plain(json_tree_member(message, "tool_calls")), *item;
    const yyjson_val *old = json_tree_member(message, "function_call");
    size_t at, max;

    if (yyjson_is_arr(list)) {
        yyjson_arr_foreach(list, at, max, item)
        {
            if (!reader->is_over)
                take_one(reader, choice, item);
        }
    }
    if (yyjson_is_obj(json_tree_plain(old)) && !reader->is_over) {
        struct fragment fragment = {.index = OLD_CALL, .name = json_tree_string(old, "name")};
        struct buf spelled;

        buf_init(&spelled, SIZE_MAX);
        fragment.text = arguments_of(old, "arguments", &spelled);
        take_fragment(reader, choice, &fragment);
        buf_fini(&spelled);
    }
}

bool openai_end_calls(struct openai_reader *reader, unsigned choice)
{
    struct openai_choice *state = reader->choices[choice];

    for (unsigned i = 0; i < state->call_count; i++) {
        struct openai_call *call = &state->calls[i];

        if (!call->has_begun && (call->id.len || call->early.len)) {
            fail(reader, "The provider's answer has a tool call without a name.");
            return false;
        }
        if (!call->has_begun || call->has_ended)
            continue;
        call->has_ended = true;
        tell_call(reader, choice, call, CHAT_EVENT_CALL_END, SPAN(""));
    }
    return true;
}
