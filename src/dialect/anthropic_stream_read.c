/* Reads streams: one event after another. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"
#include "dialect/error_read.h"

enum { TREE_MAX = 64 << 20 };

/* --- what each event holds --- */

static void take_start(struct anthropic_reader *reader, const yyjson_val *root)
{
    const yyjson_val *message = json_tree_member(root, "message");

    anthropic_tell_start(reader, message);
    anthropic_tell_usage(reader, json_tree_member(message, "usage"));
}

static int64_t index_of(const yyjson_val *root)
{
    int64_t index;

    return json_tree_int(json_tree_member(root, "index"), &index) ? index : 0;
}

static void take_block_start(struct anthropic_reader *reader, const yyjson_val *root)
{
    anthropic_tell_start(reader, NULL);
    anthropic_tell_block(reader, index_of(root), json_tree_member(root, "content_block"));
}

static void take_block_delta(struct anthropic_reader *reader, const yyjson_val *root)
{
    const yyjson_val *delta = json_tree_member(root, "delta");
    struct span type = json_tree_string(delta, "type");

    anthropic_tell_start(reader, NULL);
    if (span_is_equal(type, SPAN("text_delta")))
        anthropic_tell_text(reader, CHAT_EVENT_TEXT, json_tree_string(delta, "text"));
    else if (span_is_equal(type, SPAN("input_json_delta")))
        anthropic_tell_input(reader, index_of(root), json_tree_string(delta, "partial_json"));
    else if (span_is_equal(type, SPAN("thinking_delta")))
        anthropic_tell_text(reader, CHAT_EVENT_THINKING, json_tree_string(delta, "thinking"));
    else if (span_is_equal(type, SPAN("signature_delta")))
        anthropic_tell_signature(reader, json_tree_string(delta, "signature"));
}

static void take_block_stop(struct anthropic_reader *reader, const yyjson_val *root)
{
    anthropic_tell_call_end(reader, index_of(root));
}

/* There may be several of them; what a later one leaves out stays as it was. */
static void take_message_delta(struct anthropic_reader *reader, const yyjson_val *root)
{
    anthropic_tell_start(reader, NULL);
    anthropic_take_stop(reader, json_tree_member(root, "delta"));
    anthropic_tell_usage(reader, json_tree_member(root, "usage"));
}

static void take_message_stop(struct anthropic_reader *reader, const yyjson_val *root)
{
    (void)root;
    anthropic_tell_start(reader, NULL);
    anthropic_tell_end(reader);
}

static void take_ping(struct anthropic_reader *reader, const yyjson_val *root)
{
    const struct chat_event event = {.kind = CHAT_EVENT_PING};

    (void)root;
    anthropic_tell(reader, &event);
}

/* --- events --- */

static int take_error(struct anthropic_reader *reader, struct span data)
{
    struct dialect_error error;
    const struct chat_event event = {.kind = CHAT_EVENT_ERROR, .error = &error};

    error_read(data, &error);
    if (!error.is_json)
        error.message_len = dialect_keep(error.message, sizeof(error.message), data);
    anthropic_tell(reader, &event);
    return 0;
}

/* Kinds that nobody knows yet are passed over. */
static int take_root(struct anthropic_reader *reader, const yyjson_val *root,
                     const struct sse_event *event)
{
    static const struct {
        struct span type;
        void (*take)(struct anthropic_reader *reader, const yyjson_val *root);
    } kinds[] = {
        {SPAN_INIT("content_block_delta"), take_block_delta},
        {SPAN_INIT("content_block_start"), take_block_start},
        {SPAN_INIT("content_block_stop"), take_block_stop},
        {SPAN_INIT("message_start"), take_start},
        {SPAN_INIT("message_delta"), take_message_delta},
        {SPAN_INIT("message_stop"), take_message_stop},
        {SPAN_INIT("ping"), take_ping},
    };
    struct span type = json_tree_string(root, "type");

    if (!yyjson_is_obj(json_tree_plain(root)))
        return ERR_SYNTAX;
    if (type.len == 0)
        type = event->name;
    if (span_is_equal(type, SPAN("error")) || (type.len == 0 && json_tree_member(root, "error")))
        return take_error(reader, event->data);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (span_is_equal(type, kinds[i].type)) {
            kinds[i].take(reader, root);
            return 0;
        }
    }
    return type.len ? 0 : ERR_SYNTAX;
}

int anthropic_read_event(struct chat_reader *base, const struct sse_event *event)
{
    struct anthropic_reader *reader = (struct anthropic_reader *)base;
    struct json_tree tree;
    int err = 0;

    if (event->kind != SSE_DATA || reader->is_over)
        return 0;
    if (event->data.len == 0) {
        take_ping(reader, NULL);
        return 0;
    }
    if (json_tree_read_raw(&tree, event->data, TREE_MAX) == 0)
        err = take_root(reader, yyjson_doc_get_root(tree.doc), event);
    else if (span_is_equal(event->name, SPAN("error")))
        err = take_error(reader, event->data);
    else
        err = ERR_SYNTAX;
    json_tree_fini(&tree);
    return err;
}

/* A stream that told why it stopped is whole, though its last event is missing. */
void anthropic_read_end(struct chat_reader *base)
{
    struct anthropic_reader *reader = (struct anthropic_reader *)base;

    if (!reader->is_over && reader->finish != CHAT_FINISH_NONE)
        anthropic_tell_end(reader);
}
