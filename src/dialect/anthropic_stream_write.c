/* Writes streams: what each event comes to. The last delta waits for the end, as usage may come
 * behind the finish. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"
#include "dialect/error_write.h"

/* Notes that there was no memory for a text, which is then NULL. */
static struct span checked(struct anthropic_writer *writer, struct span text)
{
    if (!text.ptr)
        (void)buf_fail(writer->base.out, ERR_NOMEM);
    return text;
}

static struct span keep(struct anthropic_writer *writer, struct span text)
{
    return text.len ? checked(writer, arena_copy(writer->base.arena, text)) : text;
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
    (void)checked(writer, id);
    anthropic_put(
        writer,
        SPAN("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"));
    anthropic_put_string(writer, id);
    anthropic_put(writer, SPAN(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    anthropic_put_string(writer, model.len ? model : frame->model);
    anthropic_put(writer,
                  SPAN(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"));
    anthropic_write_usage(writer->base.out, &usage, false);
    anthropic_put(writer, SPAN("}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n"));
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
        block = anthropic_last_waiting(writer, kind);
        if (block)
            anthropic_add_text(writer, block, text);
        return;
    }
    if (writer->open.kind != kind || writer->open.is_signed)
        anthropic_open_block(writer, &fresh);
    if (kind == KIND_TEXT)
        anthropic_put_text(writer, text);
    else
        anthropic_put_thought(writer, text);
}

static void take_redacted(struct anthropic_writer *writer, const struct chat_event *event)
{
    const struct anthropic_block fresh = {
        .kind = KIND_REDACTED, .signer = event->signer, .signature = event->text};
    struct anthropic_block *block;

    if (!must_wait(writer)) {
        anthropic_open_block(writer, &fresh);
        anthropic_close_block(writer);
        return;
    }
    block = anthropic_add_block(writer, KIND_REDACTED);
    if (!block)
        return;
    block->signer = event->signer;
    anthropic_add_text(writer, block, event->text);
}

/* Of a thought, that may have no text of its own. */
static void take_signature(struct anthropic_writer *writer, const struct chat_event *event)
{
    const struct anthropic_block fresh = {.kind = KIND_THINKING};
    struct anthropic_block *block;

    if (must_wait(writer)) {
        block = anthropic_last_waiting(writer, KIND_THINKING);
        if (block) {
            block->is_signed = true;
            block->signer = event->signer;
            block->signature = keep(writer, event->text);
        }
        return;
    }
    if (writer->open.kind != KIND_THINKING || writer->open.is_signed)
        anthropic_open_block(writer, &fresh);
    anthropic_put_signature(writer, event->signer, event->text);
}

static void take_call_signature(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block *block = &writer->open;

    if (block->kind != KIND_CALL || block->call != event->call)
        block = anthropic_find_waiting(writer, event->call);
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

    fresh.id = chat_fit_id(event->id, ANTHROPIC_ID_MAX, writer->base.arena);
    fresh.id = keep(writer, checked(writer, fresh.id));
    fresh.name = keep(writer, event->name);
    if (!must_wait(writer)) {
        anthropic_open_block(writer, &fresh);
        return;
    }
    block = anthropic_add_block(writer, KIND_CALL);
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
        anthropic_settle_call(writer);
        anthropic_put_args(writer, event->text);
        return;
    }
    block = anthropic_find_waiting(writer, event->call);
    if (block)
        anthropic_add_text(writer, block, event->text);
}

static void take_call_end(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct anthropic_block *block;

    if (writer->open.kind == KIND_CALL && writer->open.call == event->call) {
        anthropic_close_block(writer);
        anthropic_flush_waiting(writer);
        return;
    }
    block = anthropic_find_waiting(writer, event->call);
    if (block)
        block->has_ended = true;
}

/* Answers of this dialect hold no images: told as a text that shows one. */
static void take_media(struct anthropic_writer *writer, const struct chat_event *event)
{
    struct buf text;

    buf_init(&text, ANTHROPIC_TEXT_MAX);
    if (event->part_kind == CHAT_PART_IMAGE && anthropic_write_image_text(&text, event->media))
        take_text(writer, KIND_TEXT, buf_span(&text));
    buf_fini(&text);
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
    anthropic_close_block(writer);
    anthropic_flush_waiting(writer);
    anthropic_close_block(writer);
}

static void write_end(struct anthropic_writer *writer)
{
    struct dialect_usage usage = writer->usage;

    if (!usage.is_known) {
        usage.prompt_tokens = writer->base.frame->prompt_tokens;
        usage.completion_tokens = dialect_estimate_tokens(writer->text_bytes);
    }
    anthropic_close_block(writer);
    anthropic_put(writer,
                  SPAN("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"));
    anthropic_write_stop(writer->base.out, writer->finish,
                         span_of(writer->finish_text, writer->finish_text_len), writer->has_calls,
                         false);
    anthropic_put(writer, SPAN("},\"usage\":"));
    anthropic_write_usage(writer->base.out, &usage, false);
    anthropic_put(writer, SPAN("}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    writer->is_over = true;
}

static void take_end(struct anthropic_writer *writer)
{
    write_start(writer, span_of(NULL, 0), span_of(NULL, 0));
    if (writer->finish == CHAT_FINISH_ERROR && writer->index == 0)
        anthropic_fail(writer, SPAN("The provider broke off without an answer."));
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
        anthropic_put(writer, SPAN("event: ping\ndata: {\"type\":\"ping\"}\n\n"));
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
