/*
 * A provider's Responses stream, told as events of the neutral form. Logprobs, annotations and the
 * built-in tools' events are passed over.
 */
#include "base/err.h"
#include "dialect/error_read.h"
#include "dialect/openai_responses_inner.h"

enum { TREE_MAX_BYTES = 64 << 20 };

void responses_tell(struct responses_reader *reader, struct chat_event event)
{
    if (reader->is_over)
        return;
    reader->is_over = event.kind == CHAT_EVENT_END || event.kind == CHAT_EVENT_ERROR;
    reader->base.sink->put(reader->base.sink, &event);
}

void responses_start(struct responses_reader *reader, const yyjson_val *response)
{
    struct span id = json_tree_string(response, "id");
    int64_t created = 0;

    if (reader->has_start)
        return;
    reader->has_start = true;
    if (!id.len)
        id =
            arena_printf(reader->base.arena, "resp_%016llx", (unsigned long long)reader->base.seed);
    (void)json_tree_int(json_tree_member(response, "created_at"), &created);
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_START,
                                               .id = id,
                                               .name = json_tree_string(response, "model"),
                                               .created_s = created > 0 ? (uint64_t)created : 0});
}

/* --- texts --- */

static unsigned index_of(const yyjson_val *event)
{
    int64_t index = 0;

    if (!json_tree_int(json_tree_member(event, "output_index"), &index) || index < 0)
        return 0;
    return index > UINT32_MAX ? UINT32_MAX : (unsigned)index;
}

static void tell_text(struct responses_reader *reader, enum chat_event_kind kind,
                      const yyjson_val *event)
{
    struct span text = json_tree_string(event, "delta");

    responses_turn_to(reader, index_of(event));
    if (!text.len)
        return;
    reader->has_told = true;
    responses_tell(reader, (struct chat_event){.kind = kind, .text = text});
}

/* Summaries are paragraphs of one thought. */
static void begin_summary(struct responses_reader *reader, const yyjson_val *event)
{
    responses_turn_to(reader, index_of(event));
    if (reader->has_summary)
        responses_tell(reader,
                       (struct chat_event){.kind = CHAT_EVENT_THINKING, .text = SPAN("\n\n")});
    reader->has_summary = true;
}

/* --- events by their types --- */

enum kind {
    KIND_OTHER,
    KIND_CREATED,
    KIND_ITEM,
    KIND_ITEM_DONE,
    KIND_TEXT,
    KIND_REFUSAL,
    KIND_SUMMARY,
    KIND_THINKING,
    KIND_ARGS,
    KIND_ARGS_DONE,
    KIND_FINAL,
    KIND_ERROR,
};

static enum kind kind_of(struct span type)
{
    static const struct {
        struct span type;
        enum kind kind;
    } rows[] = {
        {SPAN_INIT("response.output_text.delta"), KIND_TEXT},
        {SPAN_INIT("response.function_call_arguments.delta"), KIND_ARGS},
        {SPAN_INIT("response.reasoning_summary_text.delta"), KIND_THINKING},
        {SPAN_INIT("response.reasoning_text.delta"), KIND_THINKING},
        {SPAN_INIT("response.refusal.delta"), KIND_REFUSAL},
        {SPAN_INIT("response.custom_tool_call_input.delta"), KIND_ARGS},
        {SPAN_INIT("response.created"), KIND_CREATED},
        {SPAN_INIT("response.in_progress"), KIND_CREATED},
        {SPAN_INIT("response.queued"), KIND_CREATED},
        {SPAN_INIT("response.output_item.added"), KIND_ITEM},
        {SPAN_INIT("response.output_item.done"), KIND_ITEM_DONE},
        {SPAN_INIT("response.reasoning_summary_part.added"), KIND_SUMMARY},
        {SPAN_INIT("response.function_call_arguments.done"), KIND_ARGS_DONE},
        {SPAN_INIT("response.custom_tool_call_input.done"), KIND_ARGS_DONE},
        {SPAN_INIT("response.completed"), KIND_FINAL},
        {SPAN_INIT("response.incomplete"), KIND_FINAL},
        {SPAN_INIT("response.failed"), KIND_FINAL},
        {SPAN_INIT("response.cancelled"), KIND_FINAL},
        {SPAN_INIT("error"), KIND_ERROR},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (span_is_equal(type, rows[i].type))
            return rows[i].kind;
    }
    return KIND_OTHER;
}

static void take_args(struct responses_reader *reader, const yyjson_val *event, bool is_done)
{
    struct responses_call *call = responses_call_at(reader, index_of(event));
    struct span text = json_tree_string(event, is_done ? "arguments" : "delta");

    if (is_done && !text.ptr)
        text = json_tree_string(event, "input");
    /* Told whole only where it did not come in pieces. */
    if (call && !(is_done && call->has_args))
        responses_tell_args(reader, call, text);
}

/* Both shapes: the members beside the type, or in an object of their own. */
static void take_error(struct responses_reader *reader, const struct sse_event *event)
{
    struct dialect_error error;

    error_read(event->data, &error);
    if (span_is_equal(dialect_error_type(&error), SPAN("error")))
        error.type_len = 0;
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_ERROR, .error = &error});
}

/* A response may come without having been told in pieces. */
static void take_final(struct responses_reader *reader, const yyjson_val *response)
{
    if (!reader->has_items)
        responses_read_output(reader, response);
    responses_finish(reader, response);
}

static void take(struct responses_reader *reader, enum kind kind, const yyjson_val *root,
                 const struct sse_event *event)
{
    switch (kind) {
    case KIND_ITEM:
        responses_read_item_begin(reader, json_tree_member(root, "item"), index_of(root));
        break;
    case KIND_ITEM_DONE:
        responses_read_item_end(reader, json_tree_member(root, "item"), index_of(root));
        break;
    case KIND_TEXT:
        tell_text(reader, CHAT_EVENT_TEXT, root);
        break;
    case KIND_REFUSAL:
        tell_text(reader, CHAT_EVENT_REFUSAL, root);
        break;
    case KIND_SUMMARY:
        begin_summary(reader, root);
        break;
    case KIND_THINKING:
        tell_text(reader, CHAT_EVENT_THINKING, root);
        break;
    case KIND_ARGS:
        take_args(reader, root, false);
        break;
    case KIND_ARGS_DONE:
        take_args(reader, root, true);
        break;
    case KIND_FINAL:
        take_final(reader, json_tree_member(root, "response"));
        break;
    case KIND_ERROR:
        take_error(reader, event);
        break;
    case KIND_CREATED:
    case KIND_OTHER:
        break;
    }
}

static void take_root(struct responses_reader *reader, const yyjson_val *root,
                      const struct sse_event *event)
{
    struct span type = json_tree_string(root, "type");
    enum kind kind = kind_of(type.len ? type : event->name);

    if (kind == KIND_OTHER && json_tree_member(root, "error"))
        kind = KIND_ERROR;
    if (kind != KIND_OTHER && kind != KIND_ERROR)
        responses_start(reader, json_tree_member(root, "response"));
    take(reader, kind, root, event);
}

int responses_read_event(struct chat_reader *base, const struct sse_event *event)
{
    struct responses_reader *reader = (struct responses_reader *)base;
    const yyjson_val *root;
    struct json_tree tree;
    int err;

    if (event->kind != SSE_DATA || reader->is_over || span_has_prefix(event->data, SPAN("[DONE]")))
        return 0;
    err = json_tree_read_raw(&tree, event->data, TREE_MAX_BYTES);
    root = err ? NULL : yyjson_doc_get_root(tree.doc);
    if (yyjson_is_obj(json_tree_plain(root)))
        take_root(reader, root, event);
    else
        err = ERR_SYNTAX;
    json_tree_fini(&tree);
    return err ? ERR_SYNTAX : 0;
}

/* The form has a terminal event: without it the answer is cut. */
void responses_read_end(struct chat_reader *reader)
{
    (void)reader;
}
