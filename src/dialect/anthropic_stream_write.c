/*
 * Writes streams. Blocks of this dialect never interleave, calls of others do: what comes while
 * another call is open waits in a queue of whole blocks until that one ends. The last delta waits
 * for the end, as usage may come behind the finish.
 */
#include "dialect/anthropic_inner.h"

#include "base/alloc.h"
#include "base/err.h"
#include "dialect/error_write.h"

static void put(struct anthropic_writer *writer, struct span text)
{
    (void)buf_append_span(writer->base.out, text);
}

static void put_string(struct anthropic_writer *writer, struct span text)
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

static struct span keep(struct anthropic_writer *writer, struct span text)
{
    struct span kept = text.len ? arena_copy(writer->base.arena, text) : text;

    if (text.len && !kept.ptr && !writer->base.out->err)
        writer->base.out->err = ERR_NOMEM;
    return kept;
}

/* --- the head --- */

static void write_start(struct anthropic_writer *writer, struct span id, struct span model)
{
    const struct chat_frame *frame = writer->base.frame;
    const struct dialect_usage usage = {.prompt_tokens = frame->prompt_tokens};

    if (writer->has_started)
        return;
    writer->has_started = true;
    id = chat_rename_id(id.len ? id : frame->request_id, SPAN("msg_"), writer->base.arena);
    put(writer,
        SPAN("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"));
    put_string(writer, id);
    put(writer, SPAN(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    put_string(writer, model.len ? model : frame->model);
    put(writer, SPAN(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"));
    anthropic_write_usage(writer->base.out, &usage, false);
    put(writer, SPAN("}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n"));
}

/* --- frames of blocks --- */

static void begin_block(struct anthropic_writer *writer)
{
    put(writer, SPAN("event: content_block_start\ndata: "
                     "{\"type\":\"content_block_start\",\"index\":"));
    put_index(writer);
    put(writer, SPAN(",\"content_block\":"));
}

static void write_delta(struct anthropic_writer *writer, struct span head, struct span text)
{
    put(writer, SPAN("event: content_block_delta\ndata: "
                     "{\"type\":\"content_block_delta\",\"index\":"));
    put_index(writer);
    put(writer, head);
    put_string(writer, text);
    put(writer, SPAN("}}\n\n"));
}

static void write_text(struct anthropic_writer *writer, struct span text)
{
    write_delta(writer, SPAN(",\"delta\":{\"type\":\"text_delta\",\"text\":"), text);
}

static void write_thought(struct anthropic_writer *writer, struct span text)
{
    write_delta(writer, SPAN(",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":"), text);
}

static void write_partial(struct anthropic_writer *writer, struct span text)
{
    write_delta(writer, SPAN(",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"), text);
}

static void write_signature(struct anthropic_writer *writer, enum dialect_id signer,
                            struct span signature)
{
    put(writer, SPAN("event: content_block_delta\ndata: "
                     "{\"type\":\"content_block_delta\",\"index\":"));
    put_index(writer);
    put(writer, SPAN(",\"delta\":{\"type\":\"signature_delta\",\"signature\":"));
    anthropic_write_signature(writer->base.out, signer, signature);
    put(writer, SPAN("}}\n\n"));
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
        writer->base.out->err = escaped.err;
    buf_fini(&escaped);
}

static void write_args(struct anthropic_writer *writer, struct span text)
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
    put(writer, SPAN("{\"type\":\"tool_use\",\"id\":"));
    put_string(writer, open->id);
    put(writer, SPAN(",\"name\":"));
    put_string(writer, open->name);
    put(writer, SPAN(",\"input\":{}"));
    if (open->signature.len) {
        put(writer, SPAN(",\"signature\":"));
        anthropic_write_signature(writer->base.out, open->signer, open->signature);
    }
    put(writer, SPAN("}}\n\n"));
    write_partial(writer, open->is_custom ? SPAN("{\"input\":\"") : SPAN(""));
    writer->is_start_due = false;
}

static void write_block_start(struct anthropic_writer *writer)
{
    switch (writer->open.kind) {
    case KIND_TEXT:
        begin_block(writer);
        put(writer, SPAN("{\"type\":\"text\",\"text\":\"\"}}\n\n"));
        break;
    case KIND_THINKING:
        begin_block(writer);
        put(writer, SPAN("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"));
        break;
    case KIND_REDACTED:
        begin_block(writer);
        put(writer, SPAN("{\"type\":\"redacted_thinking\",\"data\":"));
        anthropic_write_signature(writer->base.out, writer->open.signer, writer->open.signature);
        put(writer, SPAN("}}\n\n"));
        break;
    case KIND_CALL:
        writer->is_start_due = true;
        break;
    case KIND_NONE:
        break;
    }
}

static void settle_call_start(struct anthropic_writer *writer)
{
    if (writer->is_start_due)
        write_call_start(writer);
}

/* What closes the open block. A thought that nobody signed must say so: sent back to Anthropic, it
 * would be refused. */
static void close_block(struct anthropic_writer *writer)
{
    if (writer->open.kind == KIND_NONE)
        return;
    settle_call_start(writer);
    if (writer->open.kind == KIND_THINKING && !writer->open.is_signed)
        write_signature(writer, DIALECT_ANTHROPIC, span_of(NULL, 0));
    if (writer->open.is_custom)
        write_partial(writer, SPAN("\"}"));
    put(writer, SPAN("event: content_block_stop\ndata: "
                     "{\"type\":\"content_block_stop\",\"index\":"));
    put_index(writer);
    put(writer, SPAN("}\n\n"));
    writer->index++;
    writer->open = (struct anthropic_block){.kind = KIND_NONE};
}

static void open_block(struct anthropic_writer *writer, const struct anthropic_block *block)
{
    close_block(writer);
    writer->open = *block;
    writer->open.next = NULL;
    writer->open.text = (struct buf){.data = NULL};
    writer->has_calls |= block->kind == KIND_CALL;
    write_block_start(writer);
}

/* --- blocks that wait --- */

static void fail(struct anthropic_writer *writer, struct span message)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_UPSTREAM_FAILED),
                                    .message = message,
                                    .request_id = writer->base.frame->request_id};

    (void)error_write_event(writer->base.out, DIALECT_ANTHROPIC, &ours);
    writer->is_over = true;
}

/* A block at the end of the queue; NULL, with the stream failed, where there is no room. */
static struct anthropic_block *add_block(struct anthropic_writer *writer, enum anthropic_kind kind)
{
    struct anthropic_block *block = NULL;

    writer->waiting_bytes += sizeof(*block);
    if (writer->waiting_bytes <= ANTHROPIC_PENDING_MAX)
        block = mem_zalloc(1, sizeof(*block));
    if (!block) {
        fail(writer, SPAN("The provider's answer holds too many calls that are told in turns."));
        return NULL;
    }
    block->kind = kind;
    buf_init(&block->text, ANTHROPIC_PENDING_MAX);
    *(writer->last ? &writer->last->next : &writer->first) = block;
    writer->last = block;
    return block;
}

static void add_text(struct anthropic_writer *writer, struct anthropic_block *block,
                     struct span text)
{
    writer->waiting_bytes += text.len;
    if (writer->waiting_bytes > ANTHROPIC_PENDING_MAX || buf_append_span(&block->text, text) != 0)
        fail(writer, SPAN("The provider's answer holds too much that is told in turns."));
}

static struct anthropic_block *find_waiting(struct anthropic_writer *writer, unsigned call)
{
    struct anthropic_block *block = writer->first;

    while (block && (block->kind != KIND_CALL || block->call != call))
        block = block->next;
    return block;
}

static struct anthropic_block *last_of(struct anthropic_writer *writer, enum anthropic_kind kind)
{
    if (writer->last && writer->last->kind == kind && !writer->last->is_signed)
        return writer->last;
    return add_block(writer, kind);
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

    open_block(writer, block);
    writer->open.is_signed = false;
    settle_call_start(writer);
    if (text.len && block->kind == KIND_TEXT)
        write_text(writer, text);
    if (text.len && block->kind == KIND_THINKING)
        write_thought(writer, text);
    if (text.len && block->kind == KIND_CALL)
        write_args(writer, text);
    if (block->kind == KIND_THINKING && block->is_signed)
        write_signature(writer, block->signer, block->signature);
}

/* The open call has ended: what waited is written, up to a call that goes on. */
static void flush_waiting(struct anthropic_writer *writer)
{
    bool is_open = false;

    while (writer->first && !is_open) {
        write_waiting(writer, writer->first);
        is_open = writer->first->kind == KIND_CALL && !writer->first->has_ended;
        drop_first(writer);
        if (!is_open)
            close_block(writer);
    }
}

void anthropic_writer_fini(struct chat_writer *base)
{
    struct anthropic_writer *writer = (struct anthropic_writer *)base;

    while (writer->first)
        drop_first(writer);
}

/* --- events --- */

/* True where blocks have to wait: for a call that is open. */
static bool must_wait(const struct anthropic_writer *writer)
{
    return writer->open.kind == KIND_CALL;
}

static void take_text(struct anthropic_writer *writer, enum anthropic_kind kind, struct span text)
{
    const struct anthropic_block fresh = {.kind = kind};
    struct anthropic_block *block;

    writer->text_bytes += text.len;
    if (must_wait(writer)) {
        block = last_of(writer, kind);
        if (block)
            add_text(writer, block, text);
        return;
    }
    if (writer->open.kind != kind || writer->open.is_signed)
        open_block(writer, &fresh);
    if (kind == KIND_TEXT)
        write_text(writer, text);
    else
        write_thought(writer, text);
}

static void take_redacted(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block fresh = {.kind = KIND_REDACTED, .signer = event->signer};
    struct anthropic_block *block;

    fresh.signature = keep(writer, event->text);
    if (!must_wait(writer)) {
        open_block(writer, &fresh);
        close_block(writer);
        return;
    }
    block = add_block(writer, KIND_REDACTED);
    if (block) {
        block->signer = fresh.signer;
        block->signature = fresh.signature;
        block->has_ended = true;
    }
}

/* Of a thought, that may have no text of its own. */
static void take_signature(struct anthropic_writer *writer, const struct chat_event *event)
{
    const struct anthropic_block fresh = {.kind = KIND_THINKING};
    struct anthropic_block *block;

    if (must_wait(writer)) {
        block = last_of(writer, KIND_THINKING);
        if (block) {
            block->is_signed = true;
            block->signer = event->signer;
            block->signature = keep(writer, event->text);
        }
        return;
    }
    if (writer->open.kind != KIND_THINKING || writer->open.is_signed)
        open_block(writer, &fresh);
    write_signature(writer, event->signer, event->text);
}

static void take_call_signature(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block *block = &writer->open;

    if (block->kind != KIND_CALL || block->call != event->call)
        block = find_waiting(writer, event->call);
    else if (!writer->is_start_due)
        block = NULL;
    if (!block)
        return;
    block->signer = event->signer;
    block->signature = keep(writer, event->text);
}

static void take_call_begin(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block fresh = {
        .kind = KIND_CALL, .call = event->call, .is_custom = event->is_custom};
    struct anthropic_block *block;

    fresh.id = keep(writer, chat_fit_id(event->id, ANTHROPIC_ID_MAX, writer->base.arena));
    fresh.name = keep(writer, event->name);
    if (!must_wait(writer)) {
        open_block(writer, &fresh);
        return;
    }
    block = add_block(writer, KIND_CALL);
    if (!block)
        return;
    block->call = fresh.call;
    block->is_custom = fresh.is_custom;
    block->id = fresh.id;
    block->name = fresh.name;
}

static void take_call_args(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block *block;

    writer->text_bytes += event->text.len;
    if (writer->open.kind == KIND_CALL && writer->open.call == event->call) {
        settle_call_start(writer);
        write_args(writer, event->text);
        return;
    }
    block = find_waiting(writer, event->call);
    if (block)
        add_text(writer, block, event->text);
}

static void take_call_end(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block *block;

    if (writer->open.kind == KIND_CALL && writer->open.call == event->call) {
        close_block(writer);
        flush_waiting(writer);
        return;
    }
    block = find_waiting(writer, event->call);
    if (block)
        block->has_ended = true;
}

/* Answers of this dialect hold no images: told as a text that shows one. */
static void take_media(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct span text;

    if (event->part_kind != CHAT_PART_IMAGE)
        return;
    text = anthropic_image_text(event->media, writer->base.arena);
    if (text.len)
        take_text(writer, KIND_TEXT, text);
}

static void take_block_event(struct anthropic_writer *writer, const struct chat_event *event)
{
    bool is_thought = event->kind == CHAT_EVENT_THINKING || event->kind == CHAT_EVENT_REDACTED ||
                      (event->kind == CHAT_EVENT_SIGNATURE && !event->is_call);

    if (is_thought && writer->thoughts == ANTHROPIC_THOUGHTS_NONE)
        return;
    if (event->kind == CHAT_EVENT_TEXT || event->kind == CHAT_EVENT_REFUSAL)
        take_text(writer, KIND_TEXT, event->text);
    else if (event->kind == CHAT_EVENT_THINKING && writer->thoughts == ANTHROPIC_THOUGHTS_SHOWN)
        take_text(writer, KIND_THINKING, event->text);
    else if (event->kind == CHAT_EVENT_REDACTED)
        take_redacted(writer, event);
    else if (event->kind == CHAT_EVENT_SIGNATURE && event->is_call)
        take_call_signature(writer, event);
    else if (event->kind == CHAT_EVENT_SIGNATURE)
        take_signature(writer, event);
    else if (event->kind == CHAT_EVENT_MEDIA)
        take_media(writer, event);
    else if (event->kind == CHAT_EVENT_CALL_BEGIN)
        take_call_begin(writer, event);
    else if (event->kind == CHAT_EVENT_CALL_ARGS)
        take_call_args(writer, event);
    else if (event->kind == CHAT_EVENT_CALL_END)
        take_call_end(writer, event);
}

static void take_finish(struct anthropic_writer *writer, const struct chat_event *event)
{
    writer->finish = event->finish;
    writer->finish_text_len =
        dialect_keep(writer->finish_text, sizeof(writer->finish_text), event->text);
    close_block(writer);
    flush_waiting(writer);
    close_block(writer);
}

static void write_end(struct anthropic_writer *writer)
{
    struct dialect_usage usage = writer->usage;

    if (!usage.is_known) {
        usage.prompt_tokens = writer->base.frame->prompt_tokens;
        usage.completion_tokens = dialect_estimate_tokens(writer->text_bytes);
    }
    close_block(writer);
    put(writer, SPAN("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"));
    anthropic_write_stop(writer->base.out, writer->finish,
                         span_of(writer->finish_text, writer->finish_text_len), writer->has_calls,
                         false);
    put(writer, SPAN("},\"usage\":"));
    anthropic_write_usage(writer->base.out, &usage, false);
    put(writer, SPAN("}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    writer->is_over = true;
}

static void take_end(struct anthropic_writer *writer)
{
    write_start(writer, span_of(NULL, 0), span_of(NULL, 0));
    if (writer->finish == CHAT_FINISH_ERROR && writer->index == 0)
        fail(writer, SPAN("The provider broke off without an answer."));
    else
        write_end(writer);
}

static void take_error(struct anthropic_writer *writer, const struct dialect_error *error)
{
    const struct error_told told = {.upstream = writer->base.frame->upstream,
                                    .status = 200,
                                    .error = error,
                                    .request_id = writer->base.frame->request_id};

    (void)error_write_event_told(writer->base.out, DIALECT_ANTHROPIC, &told);
    writer->is_over = true;
}

void anthropic_write_event(struct chat_writer *base, const struct chat_event *event)
{
    struct anthropic_writer *writer = (struct anthropic_writer *)base;

    /* Clients of this dialect get one choice. */
    if (writer->is_over || event->choice > 0)
        return;
    switch (event->kind) {
    case CHAT_EVENT_START:
        writer->thoughts = anthropic_thoughts(base->frame->chat);
        write_start(writer, event->id, event->name);
        break;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_THINKING:
    case CHAT_EVENT_REDACTED:
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_REFUSAL:
    case CHAT_EVENT_MEDIA:
    case CHAT_EVENT_CALL_BEGIN:
    case CHAT_EVENT_CALL_ARGS:
    case CHAT_EVENT_CALL_END:
        take_block_event(writer, event);
        break;
    case CHAT_EVENT_FINISH:
        take_finish(writer, event);
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = *event->usage;
        break;
    case CHAT_EVENT_PING:
        put(writer, SPAN("event: ping\ndata: {\"type\":\"ping\"}\n\n"));
        break;
    case CHAT_EVENT_ERROR:
        take_error(writer, event->error);
        break;
    case CHAT_EVENT_END:
        take_end(writer);
        break;
    case CHAT_EVENT_LOGPROBS:
        break;
    }
}
