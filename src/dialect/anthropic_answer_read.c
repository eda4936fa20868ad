/* Reads answers: what whole ones and streams share, and the whole ones. */
#include "dialect/anthropic_inner.h"

#include <stdio.h>

#include "base/err.h"
#include "dialect/error_read.h"

enum { GATHERED_MAX = 4 << 20, GATHERED_MIN = 256, CUSTOM_TREE_MAX = 64 << 20 };

void anthropic_tell(struct anthropic_reader *reader, const struct chat_event *event)
{
    if (reader->is_over)
        return;
    reader->is_over = event->kind == CHAT_EVENT_END || event->kind == CHAT_EVENT_ERROR;
    reader->base.sink->put(reader->base.sink, event);
}

void anthropic_tell_text(struct anthropic_reader *reader, enum chat_event_kind kind,
                         struct span text)
{
    const struct chat_event event = {.kind = kind, .text = text, .signer = DIALECT_ANTHROPIC};

    if (text.len)
        anthropic_tell(reader, &event);
}

void anthropic_tell_signature(struct anthropic_reader *reader, struct span signature)
{
    anthropic_tell_text(reader, CHAT_EVENT_SIGNATURE, signature);
}

static void tell_failure(struct anthropic_reader *reader, struct span message)
{
    struct dialect_error error = {.status = 502, .is_json = true};
    const struct chat_event event = {.kind = CHAT_EVENT_ERROR, .error = &error};

    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    error.type_len = dialect_keep(error.type, sizeof(error.type), SPAN("api_error"));
    anthropic_tell(reader, &event);
}

void anthropic_tell_start(struct anthropic_reader *reader, const yyjson_val *message)
{
    struct chat_event event = {.kind = CHAT_EVENT_START};
    char id[32];

    if (reader->has_started)
        return;
    reader->has_started = true;
    event.id = json_tree_string(message, "id");
    event.name = json_tree_string(message, "model");
    if (event.id.len == 0) {
        int len = snprintf(id, sizeof(id), "msg_%016llx", (unsigned long long)reader->base.seed);

        event.id = span_of(id, (size_t)len);
    }
    anthropic_tell(reader, &event);
}

/* --- calls --- */

static struct anthropic_call *find_call(struct anthropic_reader *reader, int64_t index)
{
    /* The last one, nearly always. */
    for (unsigned i = reader->call_count; i > 0; i--) {
        if (reader->calls[i - 1].index == index && !reader->calls[i - 1].has_ended)
            return &reader->calls[i - 1];
    }
    return NULL;
}

/* A place for one more; NULL, with the failure told, where there are too many or no memory. */
static struct anthropic_call *add_call(struct anthropic_reader *reader)
{
    unsigned cap = reader->call_cap ? 2 * reader->call_cap : 4;
    struct anthropic_call *list = reader->calls;

    if (reader->call_count == ANTHROPIC_CALLS_MAX) {
        tell_failure(reader, SPAN("The answer holds too many calls of tools."));
        return NULL;
    }
    if (reader->call_count == reader->call_cap) {
        list = arena_alloc(reader->base.arena, cap * sizeof(*list));
        if (!list) {
            tell_failure(reader, SPAN("There is no memory left for the answer."));
            return NULL;
        }
        if (reader->call_count)
            memcpy(list, reader->calls, reader->call_count * sizeof(*list));
        reader->calls = list;
        reader->call_cap = cap;
    }
    list += reader->call_count++;
    *list = (struct anthropic_call){.index = 0};
    return list;
}

static bool is_custom(const struct anthropic_reader *reader, struct span name)
{
    const struct chat_tool *tool =
        reader->base.chat ? chat_find_tool(reader->base.chat, name) : NULL;

    return tool && tool->kind == CHAT_TOOL_CUSTOM;
}

static void begin_call(struct anthropic_reader *reader, int64_t index, const yyjson_val *block)
{
    struct chat_event event = {.kind = CHAT_EVENT_CALL_BEGIN,
                               .id = json_tree_string(block, "id"),
                               .name = json_tree_string(block, "name")};
    struct anthropic_call *call;
    char id[40];

    /* One without a name is no call that anybody could answer. */
    call = event.name.len && !find_call(reader, index) ? add_call(reader) : NULL;
    if (!call)
        return;
    call->index = index;
    call->is_json = span_is_equal(event.name, anthropic_json_tool());
    if (call->is_json)
        return;
    call->is_custom = event.is_custom = is_custom(reader, event.name);
    call->number = event.call = reader->told_calls++;
    if (event.id.len == 0) {
        int len = snprintf(id, sizeof(id), "toolu_%016llx%03x",
                           (unsigned long long)reader->base.seed, call->number);

        event.id = span_of(id, (size_t)len);
    }
    anthropic_tell(reader, &event);
}

/* Keeps more of a custom call's input; false, with the failure told, where it grows too large. */
static bool gather(struct anthropic_reader *reader, struct anthropic_call *call, struct span piece)
{
    size_t len = call->gathered.len + piece.len, cap = call->gathered_cap;
    char *grown;

    if (len > GATHERED_MAX) {
        tell_failure(reader, SPAN("The input of a tool is too large."));
        return false;
    }
    if (len > cap) {
        cap = len < GATHERED_MIN ? GATHERED_MIN : 2 * len;
        grown = arena_alloc(reader->base.arena, cap);
        if (!grown) {
            tell_failure(reader, SPAN("There is no memory left for the answer."));
            return false;
        }
        if (call->gathered.len)
            memcpy(grown, call->gathered.ptr, call->gathered.len);
        call->gathered.ptr = grown;
        call->gathered_cap = cap;
    }
    memcpy((char *)(uintptr_t)call->gathered.ptr + call->gathered.len, piece.ptr, piece.len);
    call->gathered.len = len;
    return true;
}

static void tell_args(struct anthropic_reader *reader, const struct anthropic_call *call,
                      struct span text)
{
    const struct chat_event event = {.kind = CHAT_EVENT_CALL_ARGS,
                                     .call = call->number,
                                     .is_custom = call->is_custom,
                                     .text = text};

    if (text.len)
        anthropic_tell(reader, &event);
}

static void take_input(struct anthropic_reader *reader, struct anthropic_call *call,
                       struct span piece)
{
    if (piece.len == 0)
        return;
    call->has_args = true;
    if (call->is_json)
        anthropic_tell_text(reader, CHAT_EVENT_TEXT, piece);
    else if (call->is_custom)
        (void)gather(reader, call, piece);
    else
        tell_args(reader, call, piece);
}

void anthropic_tell_input(struct anthropic_reader *reader, int64_t index, struct span piece)
{
    struct anthropic_call *call = find_call(reader, index);

    if (call && !call->has_whole_input)
        take_input(reader, call, piece);
}

/* The text that the one property of a custom tool's input holds, or the input as it came. */
static void tell_custom(struct anthropic_reader *reader, const struct anthropic_call *call)
{
    struct json_tree tree;
    struct span text = call->gathered;

    if (json_tree_read_raw(&tree, call->gathered, CUSTOM_TREE_MAX) == 0) {
        const yyjson_val *root = yyjson_doc_get_root(tree.doc);

        if (json_tree_string(root, "input").ptr)
            text = json_tree_string(root, "input");
    }
    tell_args(reader, call, text);
    json_tree_fini(&tree);
}

static void end_call(struct anthropic_reader *reader, struct anthropic_call *call)
{
    const struct chat_event event = {
        .kind = CHAT_EVENT_CALL_END, .call = call->number, .is_custom = call->is_custom};

    if (call->has_ended)
        return;
    call->has_ended = true;
    /* A tool without arguments is called with nothing at all. */
    if (!call->has_args && !call->is_custom)
        take_input(reader, call, SPAN("{}"));
    if (call->is_json)
        return;
    if (call->is_custom)
        tell_custom(reader, call);
    anthropic_tell(reader, &event);
}

void anthropic_tell_call_end(struct anthropic_reader *reader, int64_t index)
{
    struct anthropic_call *call = find_call(reader, index);

    if (call)
        end_call(reader, call);
}

/* Streams begin with an empty input; whole answers, and some compatible servers, have all of it. */
static void take_whole_input(struct anthropic_reader *reader, int64_t index,
                             const yyjson_val *input)
{
    struct anthropic_call *call = find_call(reader, index);
    struct buf written;

    if (!call || call->has_args || yyjson_obj_size(json_tree_plain(input)) == 0)
        return;
    buf_init(&written, ANTHROPIC_TEXT_MAX);
    if (json_tree_write(&written, input) == 0) {
        call->has_whole_input = true;
        take_input(reader, call, buf_span(&written));
    }
    buf_fini(&written);
}

/* --- blocks --- */

void anthropic_tell_block(struct anthropic_reader *reader, int64_t index, const yyjson_val *block)
{
    struct span type = json_tree_string(block, "type");

    if (span_is_equal(type, SPAN("text"))) {
        anthropic_tell_text(reader, CHAT_EVENT_TEXT, json_tree_string(block, "text"));
    } else if (span_is_equal(type, SPAN("tool_use"))) {
        begin_call(reader, index, block);
        take_whole_input(reader, index, json_tree_member(block, "input"));
    } else if (span_is_equal(type, SPAN("thinking"))) {
        anthropic_tell_text(reader, CHAT_EVENT_THINKING, json_tree_string(block, "thinking"));
        anthropic_tell_signature(reader, json_tree_string(block, "signature"));
    } else if (span_is_equal(type, SPAN("redacted_thinking"))) {
        anthropic_tell_text(reader, CHAT_EVENT_REDACTED, json_tree_string(block, "data"));
    }
}

/* --- the end --- */

void anthropic_take_stop(struct anthropic_reader *reader, const yyjson_val *object)
{
    enum chat_finish finish = anthropic_read_stop_reason(json_tree_string(object, "stop_reason"));
    struct span text = span_of(NULL, 0);

    if (finish == CHAT_FINISH_NONE)
        return;
    if (finish == CHAT_FINISH_STOP_SEQUENCE)
        text = json_tree_string(object, "stop_sequence");
    if (finish == CHAT_FINISH_REFUSAL)
        text = json_tree_string(json_tree_member(object, "stop_details"), "explanation");
    reader->finish = finish;
    reader->finish_text_len = dialect_keep(reader->finish_text, sizeof(reader->finish_text), text);
}

void anthropic_tell_usage(struct anthropic_reader *reader, const yyjson_val *usage)
{
    struct dialect_usage told;
    const struct chat_event event = {.kind = CHAT_EVENT_USAGE, .usage = &told};

    if (!usage)
        return;
    anthropic_take_usage(&reader->usage, usage);
    told = anthropic_usage(&reader->usage);
    if (told.is_known)
        anthropic_tell(reader, &event);
}

void anthropic_tell_end(struct anthropic_reader *reader)
{
    struct chat_event event = {.kind = CHAT_EVENT_FINISH, .finish = reader->finish};

    for (unsigned i = 0; i < reader->call_count; i++)
        end_call(reader, &reader->calls[i]);
    event.text = span_of(reader->finish_text, reader->finish_text_len);
    if (event.finish == CHAT_FINISH_NONE)
        event.finish = CHAT_FINISH_STOP;
    /* The reserved tool was no call to anybody. */
    if (event.finish == CHAT_FINISH_CALLS && reader->told_calls == 0)
        event.finish = CHAT_FINISH_STOP;
    anthropic_tell(reader, &event);
    event = (struct chat_event){.kind = CHAT_EVENT_END};
    anthropic_tell(reader, &event);
}

/* --- whole answers --- */

static int tell_error(struct anthropic_reader *reader, const yyjson_val *root)
{
    struct dialect_error error;
    const struct chat_event event = {.kind = CHAT_EVENT_ERROR, .error = &error};
    struct buf written;

    buf_init(&written, ERROR_BODY_MAX);
    (void)json_tree_write(&written, root);
    error_read(buf_span(&written), &error);
    buf_fini(&written);
    anthropic_tell(reader, &event);
    return 0;
}

int anthropic_read_answer(struct chat_reader *base, const yyjson_val *root)
{
    struct anthropic_reader *reader = (struct anthropic_reader *)base;
    const yyjson_val *content = json_tree_member(root, "content");
    struct span type = json_tree_string(root, "type");
    yyjson_arr_iter iter;
    yyjson_val *block;
    int64_t index = 0;

    if (span_is_equal(type, SPAN("error")) || (!content && json_tree_member(root, "error")))
        return tell_error(reader, root);
    if (!yyjson_is_arr(json_tree_plain(content)))
        return ERR_SYNTAX;
    anthropic_tell_start(reader, root);
    iter = yyjson_arr_iter_with(json_tree_plain(content));
    while ((block = yyjson_arr_iter_next(&iter))) {
        anthropic_tell_block(reader, index, block);
        anthropic_tell_call_end(reader, index++);
    }
    anthropic_take_stop(reader, root);
    anthropic_tell_usage(reader, json_tree_member(root, "usage"));
    anthropic_tell_end(reader);
    return 0;
}
