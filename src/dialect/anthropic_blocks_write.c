/*
 * Writes the frames of a stream's blocks. Blocks of this dialect never interleave, calls of others
 * do: what comes while a call is open waits in a queue of whole blocks until that one ends.
 */
#include "dialect/anthropic_inner.h"

#include "base/alloc.h"
#include "dialect/error_write.h"

void anthropic_put(struct anthropic_writer *writer, struct span text)
{
    (void)buf_append_span(writer->base.out, text);
}

void anthropic_put_string(struct anthropic_writer *writer, struct span text)
{
    (void)json_write_string(writer->base.out, text);
}

static void put_index(struct anthropic_writer *writer)
{
    char digits[12];
    size_t at = sizeof(digits);
    unsigned index = writer->index;

    do {
        digits[--at] = (char)('0' + index % 10);
        index /= 10;
    } while (index);
    (void)buf_append(writer->base.out, digits + at, sizeof(digits) - at);
}

/* --- frames of blocks --- */

static void begin_block(struct anthropic_writer *writer)
{
    anthropic_put(writer, SPAN("event: content_block_start\ndata: "
                               "{\"type\":\"content_block_start\",\"index\":"));
    put_index(writer);
    anthropic_put(writer, SPAN(",\"content_block\":"));
}

static void write_delta(struct anthropic_writer *writer, struct span head, struct span text)
{
    anthropic_put(writer, SPAN("event: content_block_delta\ndata: "
                               "{\"type\":\"content_block_delta\",\"index\":"));
    put_index(writer);
    anthropic_put(writer, head);
    anthropic_put_string(writer, text);
    anthropic_put(writer, SPAN("}}\n\n"));
}

void anthropic_put_text(struct anthropic_writer *writer, struct span text)
{
    write_delta(writer, SPAN(",\"delta\":{\"type\":\"text_delta\",\"text\":"), text);
}

void anthropic_put_thought(struct anthropic_writer *writer, struct span text)
{
    write_delta(writer, SPAN(",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":"), text);
}

static void write_partial(struct anthropic_writer *writer, struct span text)
{
    write_delta(writer, SPAN(",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"), text);
}

void anthropic_put_signature(struct anthropic_writer *writer, enum dialect_id signer,
                             struct span signature)
{
    anthropic_put(writer, SPAN("event: content_block_delta\ndata: "
                               "{\"type\":\"content_block_delta\",\"index\":"));
    put_index(writer);
    anthropic_put(writer, SPAN(",\"delta\":{\"type\":\"signature_delta\",\"signature\":"));
    anthropic_write_signature(writer->base.out, signer, signature);
    anthropic_put(writer, SPAN("}}\n\n"));
    writer->open.is_signed = true;
}

/* A custom tool's input is a text: here it is the one string of an object, piece by piece. */
static void write_custom_piece(struct anthropic_writer *writer, struct span text)
{
    struct buf escaped;

    buf_init(&escaped, ANTHROPIC_TEXT_MAX);
    if (json_write_string(&escaped, text) == 0)
        write_partial(writer, span_of(escaped.data + 1, escaped.len - 2));
    else
        (void)buf_fail(writer->base.out, escaped.err);
    buf_fini(&escaped);
}

void anthropic_put_args(struct anthropic_writer *writer, struct span text)
{
    if (writer->open.is_custom)
        write_custom_piece(writer, text);
    else
        write_partial(writer, text);
}

static void write_call_start(struct anthropic_writer *writer)
{
    const struct anthropic_block *open = &writer->open;

    begin_block(writer);
    anthropic_put(writer, SPAN("{\"type\":\"tool_use\",\"id\":"));
    anthropic_put_string(writer, open->id);
    anthropic_put(writer, SPAN(",\"name\":"));
    anthropic_put_string(writer, open->name);
    anthropic_put(writer, SPAN(",\"input\":{}"));
    if (open->signature.len) {
        anthropic_put(writer, SPAN(",\"signature\":"));
        anthropic_write_signature(writer->base.out, open->signer, open->signature);
    }
    anthropic_put(writer, SPAN("}}\n\n"));
    write_partial(writer, open->is_custom ? SPAN("{\"input\":\"") : SPAN(""));
    writer->is_start_due = false;
}

static void write_block_start(struct anthropic_writer *writer)
{
    switch (writer->open.kind) {
    case KIND_TEXT:
        begin_block(writer);
        anthropic_put(writer, SPAN("{\"type\":\"text\",\"text\":\"\"}}\n\n"));
        break;
    case KIND_THINKING:
        begin_block(writer);
        anthropic_put(writer,
                      SPAN("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"));
        break;
    case KIND_REDACTED:
        begin_block(writer);
        anthropic_put(writer, SPAN("{\"type\":\"redacted_thinking\",\"data\":"));
        anthropic_write_signature(writer->base.out, writer->open.signer, writer->open.signature);
        anthropic_put(writer, SPAN("}}\n\n"));
        break;
    case KIND_CALL:
        writer->is_start_due = true;
        break;
    case KIND_NONE:
        break;
    }
}

void anthropic_settle_call(struct anthropic_writer *writer)
{
    if (writer->is_start_due)
        write_call_start(writer);
}

/* What closes the open block. A thought that nobody signed must say so: sent back to Anthropic, it
 * would be refused. */
void anthropic_close_block(struct anthropic_writer *writer)
{
    if (writer->open.kind == KIND_NONE)
        return;
    anthropic_settle_call(writer);
    if (writer->open.kind == KIND_THINKING && !writer->open.is_signed)
        anthropic_put_signature(writer, DIALECT_ANTHROPIC, span_of(NULL, 0));
    if (writer->open.is_custom)
        write_partial(writer, SPAN("\"}"));
    anthropic_put(writer, SPAN("event: content_block_stop\ndata: "
                               "{\"type\":\"content_block_stop\",\"index\":"));
    put_index(writer);
    anthropic_put(writer, SPAN("}\n\n"));
    writer->index++;
    writer->open = (struct anthropic_block){.kind = KIND_NONE};
}

void anthropic_open_block(struct anthropic_writer *writer, const struct anthropic_block *block)
{
    anthropic_close_block(writer);
    writer->open = *block;
    writer->open.next = NULL;
    writer->open.text = (struct buf){.data = NULL};
    writer->has_calls |= block->kind == KIND_CALL;
    write_block_start(writer);
}

/* --- blocks that wait --- */

void anthropic_fail(struct anthropic_writer *writer, struct span message)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_UPSTREAM_FAILED),
                                    .message = message,
                                    .request_id = writer->base.frame->request_id};

    (void)error_write_event(writer->base.out, DIALECT_ANTHROPIC, &ours);
    writer->is_over = true;
}

/* A block at the end of the queue; NULL, with the stream failed, where there is no room. */
struct anthropic_block *anthropic_add_block(struct anthropic_writer *writer,
                                            enum anthropic_kind kind)
{
    struct anthropic_block *block = NULL;

    writer->waiting_bytes += sizeof(*block);
    if (writer->waiting_bytes <= ANTHROPIC_PENDING_MAX)
        block = mem_zalloc(1, sizeof(*block));
    if (!block) {
        anthropic_fail(writer,
                       SPAN("The provider's answer holds too many calls that are told in turns."));
        return NULL;
    }
    block->kind = kind;
    buf_init(&block->text, ANTHROPIC_PENDING_MAX);
    *(writer->last ? &writer->last->next : &writer->first) = block;
    writer->last = block;
    return block;
}

void anthropic_add_text(struct anthropic_writer *writer, struct anthropic_block *block,
                        struct span text)
{
    writer->waiting_bytes += text.len;
    if (writer->waiting_bytes > ANTHROPIC_PENDING_MAX || buf_append_span(&block->text, text) != 0)
        anthropic_fail(writer, SPAN("The provider's answer holds too much that is told in turns."));
}

struct anthropic_block *anthropic_find_waiting(struct anthropic_writer *writer, unsigned call)
{
    struct anthropic_block *block = writer->first;

    while (block && (block->kind != KIND_CALL || block->call != call))
        block = block->next;
    return block;
}

struct anthropic_block *anthropic_last_waiting(struct anthropic_writer *writer,
                                               enum anthropic_kind kind)
{
    if (writer->last && writer->last->kind == kind && !writer->last->is_signed)
        return writer->last;
    return anthropic_add_block(writer, kind);
}

static void drop_first(struct anthropic_writer *writer)
{
    struct anthropic_block *first = writer->first;

    writer->first = first->next;
    if (!writer->first)
        writer->last = NULL;
    writer->waiting_bytes -= sizeof(*first) + first->text.len;
    buf_fini(&first->text);
    mem_free(first);
}

static void write_waiting(struct anthropic_writer *writer, const struct anthropic_block *block)
{
    struct span text = buf_span(&block->text);
    struct anthropic_block opened = *block;

    opened.is_signed = false;
    if (block->kind == KIND_REDACTED)
        opened.signature = text;
    anthropic_open_block(writer, &opened);
    anthropic_settle_call(writer);
    if (text.len && block->kind == KIND_TEXT)
        anthropic_put_text(writer, text);
    if (text.len && block->kind == KIND_THINKING)
        anthropic_put_thought(writer, text);
    if (text.len && block->kind == KIND_CALL)
        anthropic_put_args(writer, text);
    if (block->kind == KIND_THINKING && block->is_signed)
        anthropic_put_signature(writer, block->signer, block->signature);
}

/* The open call has ended: what waited is written, up to a call that goes on. */
void anthropic_flush_waiting(struct anthropic_writer *writer)
{
    bool is_open = false;

    while (writer->first && !is_open) {
        write_waiting(writer, writer->first);
        is_open = writer->first->kind == KIND_CALL && !writer->first->has_ended;
        drop_first(writer);
        if (!is_open)
            anthropic_close_block(writer);
    }
}

void anthropic_writer_fini(struct chat_writer *base)
{
    struct anthropic_writer *writer = (struct anthropic_writer *)base;

    while (writer->first)
        drop_first(writer);
}
