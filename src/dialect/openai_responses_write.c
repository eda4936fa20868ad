#include "dialect/openai_responses_inner.h"

/* --- texts --- */

static void tell_text(struct responses_writer *writer, struct span text, bool is_refusal,
                      const struct chat_event *logprobs)
{
    struct responses_item *item = responses_open_item(writer, ITEM_MESSAGE);
    struct responses_part *part = item ? item->last : NULL;
    size_t from, logs = 0;

    writer->has_refusal |= is_refusal;
    if (item && (!part || part->is_refusal != is_refusal)) {
        if (part)
            responses_tell_part_done(writer, item, part);
        part = responses_add_part(writer, item, is_refusal);
        if (part)
            responses_tell_part(writer, item, part);
    }
    if (!part)
        return;
    from = part->text.len;
    if (!responses_keep(writer, &part->text, text))
        return;
    if (logprobs && logprobs->logprob_count) {
        if (part->logprobs.len)
            (void)buf_append_byte(&part->logprobs, ',');
        logs = part->logprobs.len;
        responses_logprobs_write(&part->logprobs, logprobs->logprobs, logprobs->logprob_count);
        writer->kept += part->logprobs.len - logs;
    }
    responses_tell_delta(writer, item, part, from,
                         logprobs ? span_skip(buf_span(&part->logprobs), logs) : SPAN(""));
}

/* A text and its logprobs are two events here, and one there. */
static void release(struct responses_writer *writer, const struct chat_event *logprobs)
{
    if (!writer->held.len)
        return;
    tell_text(writer, buf_span(&writer->held), false, logprobs);
    buf_clear(&writer->held);
}

static void take_text(struct responses_writer *writer, const struct chat_event *event)
{
    writer->text_bytes += event->text.len;
    if (writer->wants_logprobs && event->kind == CHAT_EVENT_TEXT &&
        buf_append_span(&writer->held, event->text) == 0)
        return;
    tell_text(writer, event->text, event->kind == CHAT_EVENT_REFUSAL, NULL);
}

/* --- thoughts --- */

static void take_thinking(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item = responses_open_item(writer, ITEM_REASONING);
    struct responses_part *part = item ? item->last : NULL;
    size_t from;

    writer->text_bytes += event->text.len;
    if (!item)
        return;
    item->seal = SEAL_THOUGHT;
    if (!part) {
        part = responses_add_part(writer, item, false);
        if (part)
            responses_tell_part(writer, item, part);
    }
    if (!part)
        return;
    from = part->text.len;
    if (responses_keep(writer, &part->text, event->text))
        responses_tell_delta(writer, item, part, from, SPAN(""));
}

/* An item that says nothing but what is sealed in it. */
static void tell_sealed(struct responses_writer *writer, enum seal_kind kind,
                        enum dialect_id signer, struct span signature, struct span sealed)
{
    struct responses_item *item;

    responses_close_open(writer, false);
    if (!writer->wants_seals || !seal_can_hold(signature))
        return;
    item = responses_add_item(writer, ITEM_REASONING);
    if (!item)
        return;
    item->seal = kind;
    item->signer = signer;
    if (!responses_keep(writer, &item->signature, signature) ||
        !responses_keep(writer, &item->sealed, sealed))
        return;
    responses_tell_added(writer, item);
    responses_end_item(writer, item, false);
}

static struct responses_item *call_of(struct responses_writer *writer, unsigned call)
{
    if (writer->call && writer->call->call == call)
        return writer->call;
    for (struct responses_item *item = writer->items; item; item = item->next) {
        if ((item->kind == ITEM_FUNCTION || item->kind == ITEM_CUSTOM) && item->call == call) {
            writer->call = item;
            return item;
        }
    }
    return NULL;
}

static void sign_call(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *call = call_of(writer, event->call);

    if (call && call->is_done) {
        tell_sealed(writer, SEAL_CALL, event->signer, event->text, call->call_id);
    } else if (call && writer->wants_seals && seal_can_hold(event->text)) {
        call->seal = SEAL_CALL;
        call->signer = event->signer;
        buf_clear(&call->signature);
        if (buf_append_span(&call->signature, event->text) != 0)
            responses_fail(writer, SPAN("The gateway has no memory left for the answer."));
    }
}

static void sign(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item = writer->open;

    if (event->is_call) {
        sign_call(writer, event);
        return;
    }
    /* A text's signature has no place here, and no provider insists on it. */
    if (item && item->kind == ITEM_MESSAGE)
        return;
    if (!item) {
        tell_sealed(writer, SEAL_THOUGHT, event->signer, event->text, SPAN(""));
        return;
    }
    item->signer = event->signer;
    if (seal_can_hold(event->text) && !responses_keep(writer, &item->signature, event->text))
        return;
    responses_close_open(writer, false);
}

/* --- calls and images --- */

static void begin_call(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item;

    responses_close_open(writer, false);
    item = responses_add_item(writer, event->is_custom ? ITEM_CUSTOM : ITEM_FUNCTION);
    if (!item)
        return;
    writer->call = item;
    item->call = event->call;
    item->call_id = arena_copy(writer->base.arena, event->id);
    item->name = arena_copy(writer->base.arena, event->name);
    if (responses_add_part(writer, item, false))
        responses_tell_added(writer, item);
}

static void take_args(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item = call_of(writer, event->call);
    size_t from;

    if (!item || item->is_done || !event->text.len)
        return;
    writer->text_bytes += event->text.len;
    from = item->last->text.len;
    if (responses_keep(writer, &item->last->text, event->text))
        responses_tell_delta(writer, item, item->last, from, SPAN(""));
}

static void end_call(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item = call_of(writer, event->call);

    if (!item || item->is_done)
        return;
    /* A function without arguments is called with an empty object. */
    if (item->kind == ITEM_FUNCTION && !item->last->text.len) {
        if (!responses_keep(writer, &item->last->text, SPAN("{}")))
            return;
        responses_tell_delta(writer, item, item->last, 0, SPAN(""));
    }
    responses_end_item(writer, item, false);
    if (item->seal == SEAL_CALL) {
        item->seal = SEAL_NONE;
        tell_sealed(writer, SEAL_CALL, item->signer, buf_span(&item->signature), item->call_id);
    }
}

/* An image is what OpenAI's own tool for images would have brought; sounds have no item. */
static void take_media(struct responses_writer *writer, const struct chat_event *event)
{
    struct span type = event->media->type, family = SPAN("image/");
    struct responses_item *item;

    if (event->part_kind != CHAT_PART_IMAGE || event->media->source != CHAT_SOURCE_DATA)
        return;
    responses_close_open(writer, false);
    item = responses_add_item(writer, ITEM_IMAGE);
    if (!item)
        return;
    if (span_has_prefix(type, family))
        item->type = arena_copy(writer->base.arena, span_skip(type, family.len));
    responses_tell_added(writer, item);
    if (responses_keep(writer, &item->image, event->media->data))
        responses_end_item(writer, item, false);
}

/* --- ends --- */

static void take_finish(struct responses_writer *writer, const struct chat_event *event)
{
    writer->finish = event->finish;
    if (event->finish == CHAT_FINISH_REFUSAL && event->text.len)
        tell_text(writer, event->text, true, NULL);
    responses_close_open(writer, responses_status(writer) == RESPONSES_INCOMPLETE);
}

static void take_end(struct responses_writer *writer)
{
    enum responses_status status = responses_status(writer);

    if (writer->finish == CHAT_FINISH_ERROR && !writer->items) {
        responses_fail(writer, SPAN("The provider could not finish the answer."));
        return;
    }
    responses_close_open(writer, false);
    responses_tell_response(writer,
                            status == RESPONSES_INCOMPLETE ? SPAN("response.incomplete")
                                                           : SPAN("response.completed"),
                            status, NULL);
    writer->is_over = true;
}

static void tell(struct responses_writer *writer, const struct chat_event *event)
{
    switch (event->kind) {
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
        take_text(writer, event);
        break;
    case CHAT_EVENT_THINKING:
        take_thinking(writer, event);
        break;
    case CHAT_EVENT_REDACTED:
        tell_sealed(writer, SEAL_REDACTED, event->signer, SPAN(""), event->text);
        break;
    case CHAT_EVENT_SIGNATURE:
        sign(writer, event);
        break;
    case CHAT_EVENT_MEDIA:
        take_media(writer, event);
        break;
    case CHAT_EVENT_CALL_BEGIN:
        begin_call(writer, event);
        break;
    case CHAT_EVENT_CALL_ARGS:
        take_args(writer, event);
        break;
    case CHAT_EVENT_CALL_END:
        end_call(writer, event);
        break;
    case CHAT_EVENT_LOGPROBS:
        release(writer, event);
        break;
    case CHAT_EVENT_FINISH:
        take_finish(writer, event);
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = *event->usage;
        break;
    case CHAT_EVENT_ERROR:
        responses_end_with(writer, event->error);
        break;
    case CHAT_EVENT_END:
        take_end(writer);
        break;
    case CHAT_EVENT_START:
    case CHAT_EVENT_PING:
        break;
    }
}

void responses_write_event(struct chat_writer *base, const struct chat_event *event)
{
    struct responses_writer *writer = (struct responses_writer *)base;

    if (event->kind == CHAT_EVENT_PING) {
        (void)buf_append_span(base->out, SPAN(": ping\n\n"));
        return;
    }
    /* A response has one choice. */
    if (writer->is_over || event->choice > 0)
        return;
    if (!writer->has_begun)
        responses_begin_answer(writer, event);
    if (event->kind != CHAT_EVENT_LOGPROBS)
        release(writer, NULL);
    if (!writer->is_over)
        tell(writer, event);
}

void responses_writer_fini(struct chat_writer *base)
{
    struct responses_writer *writer = (struct responses_writer *)base;

    for (struct responses_item *item = writer->items; item; item = item->next) {
        for (struct responses_part *part = item->parts; part; part = part->next) {
            buf_fini(&part->text);
            buf_fini(&part->logprobs);
        }
        buf_fini(&item->signature);
        buf_fini(&item->sealed);
        buf_fini(&item->image);
    }
    buf_fini(&writer->held);
    writer->items = writer->last = writer->open = NULL;
}
