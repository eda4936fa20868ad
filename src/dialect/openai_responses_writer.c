/* What the writer keeps of an answer: its items, how they begin and end, and how it fails. */
#include "base/err.h"
#include "dialect/openai_responses_inner.h"
#include "json/write.h"

bool responses_keep(struct responses_writer *writer, struct buf *kept, struct span text)
{
    size_t at = kept->len;
    int err = json_write_string(kept, text);

    if (err) {
        kept->len = at;
    } else {
        /* Without its quotes. */
        memmove(kept->data + at, kept->data + at + 1, kept->len - at - 2);
        kept->len -= 2;
        writer->kept += kept->len - at;
    }
    if (err == ERR_NOMEM)
        responses_fail(writer, SPAN("The gateway has no memory left for the answer."));
    else if (err || writer->kept > writer->keep_max)
        responses_fail(writer, SPAN("The answer is larger than this gateway can tell."));
    return !writer->is_over;
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

struct responses_part *responses_add_part(struct responses_writer *writer,
                                          struct responses_item *item, bool is_refusal)
{
    struct responses_part *part = arena_zalloc(writer->base.arena, sizeof(*part));

    if (!part) {
        responses_fail(writer, SPAN("The gateway has no memory left for the answer."));
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

struct responses_item *responses_add_item(struct responses_writer *writer,
                                          enum responses_item_kind kind)
{
    struct responses_item *item = NULL;

    if (writer->item_count < RESPONSES_ITEMS_MAX)
        item = arena_zalloc(writer->base.arena, sizeof(*item));
    if (item)
        item->id = id_of(writer, kind, (unsigned)writer->item_count);
    if (!item || !item->id.ptr) {
        responses_fail(writer, SPAN("The answer has more parts than this gateway can tell."));
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

void responses_tell_added(struct responses_writer *writer, const struct responses_item *item)
{
    responses_tell_item(writer, SPAN("response.output_item.added"), item);
}

void responses_end_item(struct responses_writer *writer, struct responses_item *item, bool is_cut)
{
    if (item->last)
        responses_tell_part_done(writer, item, item->last);
    item->is_done = true;
    item->is_cut = is_cut;
    responses_tell_item(writer, SPAN("response.output_item.done"), item);
}

void responses_close_open(struct responses_writer *writer, bool is_cut)
{
    struct responses_item *item = writer->open;

    writer->open = NULL;
    if (item)
        responses_end_item(writer, item, is_cut);
}

struct responses_item *responses_open_item(struct responses_writer *writer,
                                           enum responses_item_kind kind)
{
    if (writer->open && writer->open->kind == kind)
        return writer->open;
    responses_close_open(writer, false);
    writer->open = responses_add_item(writer, kind);
    if (writer->open)
        responses_tell_added(writer, writer->open);
    return writer->open;
}

void responses_begin_answer(struct responses_writer *writer, const struct chat_event *event)
{
    const struct chat_frame *frame = writer->base.frame;
    struct arena *arena = writer->base.arena;
    struct span id = arena_copy(arena, event->id.len ? event->id : frame->request_id);

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

static void end_with(struct responses_writer *writer, const struct error_words *error)
{
    writer->is_over = true;
    /* A whole answer has no place for an error beside it: the exchange tells it alone. */
    if (writer->is_quiet) {
        (void)buf_fail(writer->base.out, ERR_FULL);
        return;
    }
    for (struct responses_item *item = writer->items; item; item = item->next) {
        item->is_cut |= !item->is_done;
        item->is_done = true;
    }
    responses_tell_error(writer, error);
    responses_tell_response(writer, SPAN("response.failed"), RESPONSES_FAILED, error);
}

void responses_end_with(struct responses_writer *writer, const struct dialect_error *error)
{
    const struct error_told told = {.upstream = writer->base.frame->upstream,
                                    .status = 200,
                                    .error = error,
                                    .request_id = writer->base.frame->request_id};
    struct error_words words;

    if (writer->is_over)
        return;
    error_words_told(DIALECT_OPENAI, &told, &words);
    end_with(writer, &words);
}

void responses_fail(struct responses_writer *writer, struct span message)
{
    const struct error_ours ours = {.row = failure_row(FAILURE_UPSTREAM_FAILED),
                                    .message = message,
                                    .request_id = writer->base.frame->request_id};
    struct error_words words;

    if (writer->is_over)
        return;
    error_words_ours(DIALECT_OPENAI, &ours, &words);
    end_with(writer, &words);
}
