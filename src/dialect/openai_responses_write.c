#include "base/err.h"
#include "dialect/openai_responses_inner.h"
#include "json/write.h"

/* --- what is kept --- */

static void fail(struct responses_writer *writer, struct span message);

/* Appends text as it is spelled inside a JSON string. False where it cannot be kept: the answer has
 * then ended with an error. */
static bool keep(struct responses_writer *writer, struct buf *kept, struct span text)
{
    size_t at = kept->len;

    if (json_write_string(kept, text) != 0) {
        kept->len = at;
        fail(writer, SPAN("The answer does not fit into the gateway's memory."));
        return false;
    }
    /* Without its quotes. */
    memmove(kept->data + at, kept->data + at + 1, kept->len - at - 2);
    kept->len -= 2;
    writer->kept += kept->len - at;
    if (writer->kept > writer->keep_max) {
        fail(writer, SPAN("The answer is larger than this gateway can stream."));
        return false;
    }
    return true;
}

static struct span id_of(const struct responses_writer *writer, enum responses_item_kind kind,
                         unsigned index)
{
    static const char *const prefixes[] = {
        [ITEM_MESSAGE] = "msg_", [ITEM_REASONING] = "rs_", [ITEM_FUNCTION] = "fc_",
        [ITEM_CUSTOM] = "ctc_",  [ITEM_IMAGE] = "ig_",
    };

    return arena_printf(writer->base.arena, "%s%.*s_%u", prefixes[kind],
                        SPAN_ARG(writer->item_base), index);
}

/* The next part of an item, or NULL where the answer has ended with an error. */
static struct responses_part *add_part(struct responses_writer *writer, struct responses_item *item,
                                       bool is_refusal)
{
    struct responses_part *part = arena_zalloc(writer->base.arena, sizeof(*part));

    if (!part) {
        fail(writer, SPAN("The answer does not fit into the gateway's memory."));
        return NULL;
    }
    buf_init(&part->text, writer->keep_max + 2);
    buf_init(&part->logprobs, writer->keep_max);
    part->is_refusal = is_refusal;
    part->index = item->last ? item->last->index + 1 : 0;
    *(item->last ? &item->last->next : &item->parts) = part;
    item->last = part;
    return part;
}

/* Likewise the next item of the output; it is not told yet. */
static struct responses_item *add_item(struct responses_writer *writer,
                                       enum responses_item_kind kind)
{
    struct responses_item *item = NULL;

    if (writer->item_count < RESPONSES_ITEMS_MAX)
        item = arena_zalloc(writer->base.arena, sizeof(*item));
    if (item)
        item->id = id_of(writer, kind, (unsigned)writer->item_count);
    if (!item || !item->id.ptr) {
        fail(writer, SPAN("The answer does not fit into the gateway's memory."));
        return NULL;
    }
    item->kind = kind;
    item->index = (unsigned)writer->item_count++;
    buf_init(&item->signature, writer->keep_max + 2);
    buf_init(&item->sealed, writer->keep_max + 2);
    buf_init(&item->image, writer->keep_max + 2);
    *(writer->last ? &writer->last->next : &writer->items) = item;
    writer->last = item;
    return item;
}

/* --- how items begin and end --- */

static void tell_added(struct responses_writer *writer, const struct responses_item *item)
{
    responses_tell_item(writer, SPAN("response.output_item.added"), item);
}

static void end_item(struct responses_writer *writer, struct responses_item *item, bool is_cut)
{
    if (item->last)
        responses_tell_part_done(writer, item, item->last);
    item->is_done = true;
    item->is_cut = is_cut;
    responses_tell_item(writer, SPAN("response.output_item.done"), item);
}

/* Messages and thoughts come one after another. */
static void close_open(struct responses_writer *writer, bool is_cut)
{
    struct responses_item *item = writer->open;

    writer->open = NULL;
    if (item)
        end_item(writer, item, is_cut);
}

static struct responses_item *open_item(struct responses_writer *writer,
                                        enum responses_item_kind kind)
{
    if (writer->open && writer->open->kind == kind)
        return writer->open;
    close_open(writer, false);
    writer->open = add_item(writer, kind);
    if (writer->open)
        tell_added(writer, writer->open);
    return writer->open;
}

static void begin(struct responses_writer *writer, const struct chat_event *event)
{
    const struct chat_frame *frame = writer->base.frame;
    struct arena *arena = writer->base.arena;
    struct span id = event->id.len ? event->id : frame->request_id;

    writer->has_begun = true;
    writer->id = chat_rename_id(id, SPAN("resp_"), arena);
    if (!writer->id.ptr)
        writer->id = SPAN("resp_0");
    /* Long enough to tell answers apart; OpenAI takes ids of 64 bytes at most back. */
    writer->item_base = chat_fit_id(span_skip(writer->id, strlen("resp_")), 48, arena);
    writer->model = arena_copy(arena, event->name.len ? event->name : frame->model);
    writer->created_s = event->created_s ? event->created_s : frame->created_s;
    writer->wants_summary = frame->chat->thinking.show == CHAT_YES;
    writer->wants_seals = responses_includes(frame->chat, SPAN("reasoning.encrypted_content"));
    writer->wants_logprobs = responses_includes(frame->chat, SPAN("message.output_text.logprobs"));
    if (!writer->keep_max)
        writer->keep_max = RESPONSES_KEEP_MAX;
    buf_init(&writer->held, writer->keep_max);
    responses_tell_response(writer, SPAN("response.created"), RESPONSES_IN_PROGRESS, NULL);
    responses_tell_response(writer, SPAN("response.in_progress"), RESPONSES_IN_PROGRESS, NULL);
}

static void end_with(struct responses_writer *writer, const struct dialect_error *error)
{
    if (writer->is_over)
        return;
    writer->is_over = true;
    if (writer->is_quiet) {
        writer->base.out->err = writer->base.out->err ? writer->base.out->err : ERR_FULL;
        return;
    }
    for (struct responses_item *item = writer->items; item; item = item->next) {
        item->is_cut |= !item->is_done;
        item->is_done = true;
    }
    responses_tell_error(writer, error);
    responses_tell_response(writer, SPAN("response.failed"), RESPONSES_FAILED, error);
}

static void fail(struct responses_writer *writer, struct span message)
{
    struct dialect_error error = dialect_no_error;

    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    end_with(writer, &error);
}

/* --- texts --- */

static void tell_text(struct responses_writer *writer, struct span text, bool is_refusal,
                      const struct chat_event *logprobs)
{
    struct responses_item *item = open_item(writer, ITEM_MESSAGE);
    struct responses_part *part = item ? item->last : NULL;
    size_t from, logs = 0;

    if (item && (!part || part->is_refusal != is_refusal)) {
        if (part)
            responses_tell_part_done(writer, item, part);
        part = add_part(writer, item, is_refusal);
        if (part)
            responses_tell_part(writer, item, part);
    }
    if (!part)
        return;
    from = part->text.len;
    if (!keep(writer, &part->text, text))
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
    struct responses_item *item = open_item(writer, ITEM_REASONING);
    struct responses_part *part = item ? item->last : NULL;
    size_t from;

    writer->text_bytes += event->text.len;
    if (!item)
        return;
    item->seal = SEAL_THOUGHT;
    if (!part) {
        part = add_part(writer, item, false);
        if (part)
            responses_tell_part(writer, item, part);
    }
    if (!part)
        return;
    from = part->text.len;
    if (keep(writer, &part->text, event->text))
        responses_tell_delta(writer, item, part, from, SPAN(""));
}

/* An item that says nothing but what is sealed in it. */
static void tell_sealed(struct responses_writer *writer, enum seal_kind kind,
                        enum dialect_id signer, struct span signature, struct span sealed)
{
    struct responses_item *item;

    close_open(writer, false);
    if (!writer->wants_seals || !seal_can_hold(signature))
        return;
    item = add_item(writer, ITEM_REASONING);
    if (!item)
        return;
    item->seal = kind;
    item->signer = signer;
    if (!keep(writer, &item->signature, signature) || !keep(writer, &item->sealed, sealed))
        return;
    tell_added(writer, item);
    end_item(writer, item, false);
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
            fail(writer, SPAN("The answer does not fit into the gateway's memory."));
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
    if (seal_can_hold(event->text) && !keep(writer, &item->signature, event->text))
        return;
    close_open(writer, false);
}

/* --- calls and images --- */

static void begin_call(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item;

    close_open(writer, false);
    item = add_item(writer, event->is_custom ? ITEM_CUSTOM : ITEM_FUNCTION);
    if (!item)
        return;
    item->call = event->call;
    item->call_id = arena_copy(writer->base.arena, event->id);
    item->name = arena_copy(writer->base.arena, event->name);
    if (add_part(writer, item, false))
        tell_added(writer, item);
}

static void take_args(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item = call_of(writer, event->call);
    size_t from;

    if (!item || item->is_done || !event->text.len)
        return;
    writer->text_bytes += event->text.len;
    from = item->last->text.len;
    if (keep(writer, &item->last->text, event->text))
        responses_tell_delta(writer, item, item->last, from, SPAN(""));
}

static void end_call(struct responses_writer *writer, const struct chat_event *event)
{
    struct responses_item *item = call_of(writer, event->call);

    if (!item || item->is_done)
        return;
    /* A function without arguments is called with an empty object. */
    if (item->kind == ITEM_FUNCTION && !item->last->text.len) {
        if (!keep(writer, &item->last->text, SPAN("{}")))
            return;
        responses_tell_delta(writer, item, item->last, 0, SPAN(""));
    }
    end_item(writer, item, false);
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
    close_open(writer, false);
    item = add_item(writer, ITEM_IMAGE);
    if (!item)
        return;
    if (span_has_prefix(type, family))
        item->type = arena_copy(writer->base.arena, span_skip(type, family.len));
    tell_added(writer, item);
    if (keep(writer, &item->image, event->media->data))
        end_item(writer, item, false);
}

/* --- ends --- */

static void take_finish(struct responses_writer *writer, const struct chat_event *event)
{
    writer->finish = event->finish;
    if (event->finish == CHAT_FINISH_REFUSAL && event->text.len)
        tell_text(writer, event->text, true, NULL);
    close_open(writer, responses_status_of(event->finish) == RESPONSES_INCOMPLETE);
}

static void take_end(struct responses_writer *writer)
{
    enum responses_status status = responses_status_of(writer->finish);

    if (writer->finish == CHAT_FINISH_ERROR && !writer->items) {
        fail(writer, SPAN("The provider could not finish the answer."));
        return;
    }
    close_open(writer, false);
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
        end_with(writer, event->error);
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
        begin(writer, event);
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
