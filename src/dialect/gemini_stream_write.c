/*
 * Streams of generateContent: each event is a whole GenerateContentResponse with the parts that are
 * new, as server-sent events or as one JSON array. Arguments of calls are held until they are
 * whole, for this dialect knows no pieces of them; what finishes the answer is held for the last
 * event, which tells usage too. Nothing is written for a ping: the clients of this dialect take a
 * comment for garbage.
 */
#include "dialect/gemini_stream_write.h"

#include "base/alloc.h"
#include "base/decimal.h"
#include "dialect/error_write.h"
#include "dialect/gemini_answer_write.h"

enum { HELD_MAX = 16 << 20 /* bytes of open calls */, OPEN_MAX = GEMINI_CALLS_MAX };

/* --- events --- */

static bool is_array(const struct gemini_writer *writer)
{
    return writer->base.frame->chat && writer->base.frame->chat->is_array;
}

static void begin_event(struct gemini_writer *writer)
{
    struct buf *out = writer->base.out;

    if (!is_array(writer))
        (void)buf_append_span(out, SPAN("data: "));
    else
        (void)buf_append_span(out, writer->has_written ? SPAN("\r\n,\r\n") : SPAN("["));
    writer->has_written = true;
}

static void end_event(struct gemini_writer *writer)
{
    if (!is_array(writer))
        (void)buf_append_span(writer->base.out, SPAN("\r\n\r\n"));
}

/* What stands before a part, and behind it. */
static void begin_part(struct gemini_writer *writer)
{
    begin_event(writer);
    (void)buf_append_span(writer->base.out, SPAN("{\"candidates\":[{\"content\":{\"parts\":["));
}

static void write_index(struct gemini_writer *writer, unsigned choice)
{
    (void)buf_append_span(writer->base.out, SPAN(",\"index\":"));
    (void)decimal_append(writer->base.out, choice);
}

static void end_part(struct gemini_writer *writer, unsigned choice)
{
    struct buf *out = writer->base.out;

    (void)buf_append_span(out, SPAN("],\"role\":\"model\"}"));
    write_index(writer, choice);
    (void)buf_append_span(out, SPAN("}]"));
    (void)buf_append_span(out, writer->tail);
    end_event(writer);
}

static void write_part(struct gemini_writer *writer, unsigned choice, const struct chat_part *part)
{
    begin_part(writer);
    gemini_write_answer_part(writer->base.out, part);
    end_part(writer, choice);
}

static void write_error(struct gemini_writer *writer, const struct dialect_error *error)
{
    const struct error_told told = {
        .upstream = writer->base.frame->upstream, .status = 200, .error = error};

    begin_event(writer);
    (void)error_write_told(writer->base.out, DIALECT_GEMINI, &told);
    end_event(writer);
    if (is_array(writer))
        (void)buf_append_byte(writer->base.out, ']');
    else
        (void)error_write_told(writer->base.out, DIALECT_GEMINI, &told); /* as error_write_event */
    writer->is_over = true;
}

static void write_failure(struct gemini_writer *writer, struct span message)
{
    struct dialect_error error = {.is_json = true, .status = 502};

    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    write_error(writer, &error);
}

static void write_start(struct gemini_writer *writer, const struct chat_event *event)
{
    struct buf tail;

    buf_init(&tail, writer->base.arena->max);
    gemini_write_answer_tail(&tail, writer->base.frame, event->name, event->id);
    writer->tail = arena_copy(writer->base.arena, buf_span(&tail));
    if (tail.err || !writer->tail.ptr)
        writer->tail = SPAN("}");
    buf_fini(&tail);
}

/* --- text, thoughts, media --- */

static void write_text(struct gemini_writer *writer, const struct chat_event *event)
{
    struct buf *out = writer->base.out;

    begin_part(writer);
    (void)buf_append_span(out, SPAN("{\"text\":"));
    (void)json_write_string(out, event->text);
    (void)buf_append_byte(out, '}');
    end_part(writer, event->choice);
}

static void write_thought(struct gemini_writer *writer, const struct chat_event *event,
                          enum chat_part_kind kind)
{
    const struct chat_part part = {.kind = kind, .signer = event->signer, .text = event->text};

    if (gemini_shows_thoughts(writer->base.frame))
        write_part(writer, event->choice, &part);
}

static void write_media(struct gemini_writer *writer, const struct chat_event *event)
{
    const struct chat_part part = {.kind = event->part_kind, .media = *event->media};

    write_part(writer, event->choice, &part);
}

static void write_logprobs(struct gemini_writer *writer, const struct chat_event *event)
{
    struct buf *out = writer->base.out;

    begin_event(writer);
    (void)buf_append_span(out, SPAN("{\"candidates\":[{\"content\":{\"role\":\"model\"}"));
    write_index(writer, event->choice);
    gemini_write_logprobs(out, event->logprobs, event->logprob_count);
    (void)buf_append_span(out, SPAN("}]"));
    (void)buf_append_span(out, writer->tail);
    end_event(writer);
}

/* --- calls --- */

static struct gemini_open_call *find_call(struct gemini_writer *writer,
                                          const struct chat_event *event)
{
    for (size_t i = writer->call_count; i-- > 0;) {
        if (writer->calls[i].choice == event->choice && writer->calls[i].call == event->call)
            return &writer->calls[i];
    }
    return NULL;
}

static struct gemini_open_call *add_call(struct gemini_writer *writer)
{
    size_t cap = writer->call_cap ? 2 * writer->call_cap : 4;
    struct gemini_open_call *grown;

    if (writer->call_count == OPEN_MAX)
        return NULL;
    if (writer->call_count == writer->call_cap) {
        grown = mem_realloc(writer->calls, cap * sizeof(*grown));
        if (!grown)
            return NULL;
        writer->calls = grown;
        writer->call_cap = cap;
    }
    return &writer->calls[writer->call_count++];
}

/* Keeps more of a call: false where it is too much. */
static bool hold(struct gemini_writer *writer, struct gemini_open_call *call, struct span text)
{
    if (text.len > HELD_MAX - writer->held || buf_append_span(&call->text, text))
        return false;
    writer->held += text.len;
    return true;
}

static void begin_call(struct gemini_writer *writer, const struct chat_event *event)
{
    struct gemini_open_call *call = add_call(writer);

    if (!call) {
        write_failure(writer, SPAN("The answer has too many tool calls at once."));
        return;
    }
    *call = (struct gemini_open_call){.choice = event->choice,
                                      .call = event->call,
                                      .is_custom = event->is_custom,
                                      .id_len = event->id.len,
                                      .name_len = event->name.len};
    buf_init(&call->text, HELD_MAX);
    if (!hold(writer, call, event->id) || !hold(writer, call, event->name))
        write_failure(writer, SPAN("The arguments of a tool call are too long."));
}

static void add_args(struct gemini_writer *writer, const struct chat_event *event)
{
    struct gemini_open_call *call = find_call(writer, event);

    if (call && !hold(writer, call, event->text))
        write_failure(writer, SPAN("The arguments of a tool call are too long."));
}

/* A call's signature comes before its arguments; one that comes among them is of no more use. */
static void sign_call(struct gemini_writer *writer, const struct chat_event *event)
{
    struct gemini_open_call *call = find_call(writer, event);

    if (!call || call->signature_len || call->text.len != call->id_len + call->name_len)
        return;
    call->signer = event->signer;
    if (hold(writer, call, event->text))
        call->signature_len = event->text.len;
}

static void drop_call(struct gemini_writer *writer, struct gemini_open_call *call)
{
    writer->held -= call->text.len;
    buf_fini(&call->text);
    *call = writer->calls[--writer->call_count];
}

static void end_call(struct gemini_writer *writer, const struct chat_event *event)
{
    struct gemini_open_call *call = find_call(writer, event);
    struct chat_part part = {.kind = CHAT_PART_CALL};
    const char *at;

    if (!call)
        return;
    at = call->text.data;
    part.is_custom = call->is_custom;
    part.id = span_of(at, call->id_len);
    part.name = span_of(at + call->id_len, call->name_len);
    part.signer = call->signer;
    part.signature = span_of(part.name.ptr + call->name_len, call->signature_len);
    part.text =
        span_skip(buf_span(&call->text), call->id_len + call->name_len + call->signature_len);
    write_part(writer, event->choice, &part);
    drop_call(writer, call);
}

static void sign(struct gemini_writer *writer, const struct chat_event *event)
{
    bool is_thinking = writer->choices[event->choice].is_thinking;
    const struct chat_part part = {.kind = is_thinking ? CHAT_PART_THINKING : CHAT_PART_TEXT,
                                   .signer = event->signer,
                                   .signature = event->text};

    if (event->is_call)
        sign_call(writer, event);
    else if (is_thinking ? gemini_shows_thoughts(writer->base.frame)
                         : event->signer == DIALECT_GEMINI)
        write_part(writer, event->choice, &part);
}

/* --- the end --- */

static void note_finish(struct gemini_writer *writer, const struct chat_event *event)
{
    writer->choices[event->choice].finish = (uint8_t)event->finish;
    if (event->text.len)
        writer->choices[event->choice].why = arena_copy(writer->base.arena, event->text);
    if (event->choice >= writer->choice_end)
        writer->choice_end = event->choice + 1;
}

static void write_end(struct gemini_writer *writer)
{
    struct buf *out = writer->base.out;
    bool has_any = false;

    begin_event(writer);
    (void)buf_append_span(out, SPAN("{\"candidates\":["));
    for (unsigned i = 0; i < writer->choice_end; i++) {
        enum chat_finish finish = (enum chat_finish)writer->choices[i].finish;

        if (finish == CHAT_FINISH_NONE)
            continue;
        (void)buf_append_span(out, has_any ? SPAN(",{") : SPAN("{"));
        (void)buf_append_span(out,
                              SPAN("\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}"));
        gemini_write_finish(out, finish, writer->choices[i].why);
        write_index(writer, i);
        (void)buf_append_byte(out, '}');
        has_any = true;
    }
    (void)buf_append_byte(out, ']');
    if (writer->usage.is_known) {
        (void)buf_append_span(out, SPAN(",\"usageMetadata\":"));
        gemini_write_usage(out, &writer->usage);
    }
    (void)buf_append_span(out, writer->tail);
    end_event(writer);
    if (is_array(writer))
        (void)buf_append_byte(out, ']');
    writer->is_over = true;
}

static void put(struct gemini_writer *writer, const struct chat_event *event)
{
    switch (event->kind) {
    case CHAT_EVENT_START:
        write_start(writer, event);
        break;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
        writer->choices[event->choice].is_thinking = false;
        write_text(writer, event);
        break;
    case CHAT_EVENT_THINKING:
        writer->choices[event->choice].is_thinking = true;
        write_thought(writer, event, CHAT_PART_THINKING);
        break;
    case CHAT_EVENT_REDACTED:
        write_thought(writer, event, CHAT_PART_REDACTED);
        break;
    case CHAT_EVENT_SIGNATURE:
        sign(writer, event);
        break;
    case CHAT_EVENT_MEDIA:
        write_media(writer, event);
        break;
    case CHAT_EVENT_CALL_BEGIN:
        begin_call(writer, event);
        break;
    case CHAT_EVENT_CALL_ARGS:
        add_args(writer, event);
        break;
    case CHAT_EVENT_CALL_END:
        end_call(writer, event);
        break;
    case CHAT_EVENT_LOGPROBS:
        write_logprobs(writer, event);
        break;
    case CHAT_EVENT_FINISH:
        note_finish(writer, event);
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = *event->usage;
        break;
    case CHAT_EVENT_ERROR:
        write_error(writer, event->error);
        break;
    case CHAT_EVENT_END:
        write_end(writer);
        break;
    case CHAT_EVENT_PING:
        break;
    }
}

void gemini_write_event(struct chat_writer *base, const struct chat_event *event)
{
    struct gemini_writer *writer = (struct gemini_writer *)base;

    if (writer->is_over || event->choice >= CHAT_CHOICES_MAX)
        return;
    if (!writer->tail.ptr)
        writer->tail = SPAN("}");
    put(writer, event);
}

void gemini_writer_fini(struct chat_writer *base)
{
    struct gemini_writer *writer = (struct gemini_writer *)base;

    while (writer->call_count)
        drop_call(writer, &writer->calls[writer->call_count - 1]);
    MEM_CLEAR(writer->calls);
}
