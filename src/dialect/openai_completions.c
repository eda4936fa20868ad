/*
 * Legacy completions as a form of clients: a prompt is what a user says, the answer is its text.
 * Providers are asked in their own way; whoever passes bytes through has no need of this.
 */
#include "base/decimal.h"
#include "base/err.h"
#include "dialect/openai_chat_inner.h"

/* --- requests --- */

static int refuse_prompt(struct chat_reading *reading, const char *why)
{
    return chat_refuse(reading->refusal, FAILURE_UNSUPPORTED, "prompt",
                       "Unsupported value for 'prompt': %s the provider of this model.", why);
}

static int read_prompt(struct chat_reading *reading, const yyjson_val *value)
{
    yyjson_val *prompt = json_tree_plain(value);
    struct chat_message *message;

    if (yyjson_is_arr(prompt)) {
        if (yyjson_arr_size(prompt) > 1 && yyjson_is_str(yyjson_arr_get_first(prompt)))
            return refuse_prompt(reading, "several prompts in one request cannot be told to");
        prompt = yyjson_arr_get_first(prompt);
        if (prompt && !yyjson_is_str(prompt))
            return refuse_prompt(reading, "tokens cannot be told to");
    }
    if (!yyjson_is_str(prompt))
        return openai_refuse_type(reading, OPENAI_IN(NULL, "prompt"), "a string", value);
    message = chat_messages_new(reading, 1);
    if (!message)
        return openai_no_parts(reading);
    message->role = CHAT_USER;
    message->parts = chat_parts_new(reading, 1);
    if (!message->parts)
        return openai_no_parts(reading);
    message->parts[0].text = json_tree_text(prompt); /* of kind TEXT, which is 0 */
    message->part_count = 1;
    reading->chat->messages = message;
    reading->chat->message_count = 1;
    return 0;
}

static int read_request(struct chat_reading *reading, const yyjson_val *root)
{
    static const struct openai_member members[] = {
        {SPAN_INIT("model"), openai_read_model},
        {SPAN_INIT("prompt"), read_prompt},
        {SPAN_INIT("stream"), openai_read_stream},
        {SPAN_INIT("stream_options"), openai_read_stream_options},
    };
    int err = openai_read_body(reading, root, members, sizeof(members) / sizeof(members[0]));

    if (!err && reading->chat->message_count == 0)
        err = openai_refuse_absent(reading, OPENAI_IN(NULL, "prompt"));
    if (!err && reading->chat->model.len == 0)
        err = openai_refuse_absent(reading, OPENAI_IN(NULL, "model"));
    return err ? err : openai_read_settings(reading);
}

/* --- streams --- */

static void start(struct openai_writer *writer, const struct chat_event *event)
{
    const struct chat_frame *frame = writer->base.frame;
    struct span id = openai_answer_id(&writer->base, event->id, SPAN("cmpl-"));
    struct json_writer json;
    struct buf piece;

    buf_init(&piece, SIZE_MAX);
    (void)buf_append_span(&piece, SPAN("data: "));
    json_writer_init(&json, &piece);
    json_begin_object(&json);
    json_member_string(&json, "id", id);
    json_member_text(&json, "object", "text_completion");
    json_member_uint(&json, "created", event->created_s ? event->created_s : frame->created_s);
    (void)buf_append_span(&piece, SPAN(",\"choices\":["));
    writer->head = arena_copy(writer->base.arena, buf_span(&piece));
    buf_clear(&piece);
    (void)buf_append_span(&piece, SPAN("],\"model\":"));
    (void)json_write_string(&piece, event->name.len ? event->name : frame->model);
    writer->tail = arena_copy(writer->base.arena, buf_span(&piece));
    if (piece.err || !writer->head.ptr || !writer->tail.ptr || !id.ptr)
        (void)buf_fail(writer->base.out, ERR_NOMEM);
    buf_fini(&piece);
}

static void close_chunk(const struct openai_writer *writer)
{
    struct buf *out = writer->base.out;

    (void)buf_append_span(out, writer->tail);
    (void)buf_append_span(out, writer->base.frame->chat->wants_usage ? SPAN(",\"usage\":null}\n\n")
                                                                     : SPAN("}\n\n"));
}

static void write_chunk(struct openai_writer *writer, const struct chat_event *event,
                        struct span text, struct span finish)
{
    struct buf *out = writer->base.out;
    (void)buf_append_span(out, writer->head);
    (void)buf_append_span(out, SPAN("{\"text\":"));
    (void)json_write_string(out, text);
    (void)buf_append_span(out, SPAN(",\"index\":"));
    (void)decimal_append(out, event->choice);
    (void)buf_append_span(out, SPAN(",\"logprobs\":null,\"finish_reason\":"));
    if (finish.len)
        (void)json_write_string(out, finish);
    else
        (void)buf_append_span(out, SPAN("null"));
    (void)buf_append_span(out, SPAN("}"));
    close_chunk(writer);
    writer->text_bytes += text.len;
}

static void end(const struct openai_writer *writer)
{
    struct dialect_usage usage = openai_told_usage(writer);
    struct buf *out = writer->base.out;
    struct json_writer json;

    if (writer->base.frame->chat->wants_usage) {
        (void)buf_append_span(out, writer->head);
        (void)buf_append_span(out, writer->tail);
        (void)buf_append_span(out, SPAN(",\"usage\":"));
        json_writer_init(&json, out);
        openai_write_usage(&json, &usage);
        (void)buf_append_span(out, SPAN("}\n\n"));
    }
    (void)buf_append_span(out, SPAN("data: [DONE]\n\n"));
}

/* What is no text has no place here: thoughts, and what goes with them. Tools cannot be asked for.
 */
static void write_event(struct chat_writer *base, const struct chat_event *event)
{
    struct openai_writer *writer = (struct openai_writer *)base;

    switch (event->kind) {
    case CHAT_EVENT_START:
        start(writer, event);
        break;
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_REFUSAL:
        write_chunk(writer, event, event->text, SPAN(""));
        break;
    case CHAT_EVENT_FINISH:
        write_chunk(writer, event, SPAN(""), openai_finish_word(event->finish, false, false));
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = *event->usage;
        break;
    case CHAT_EVENT_PING:
        (void)buf_append_span(base->out, SPAN(": ping\n\n"));
        break;
    case CHAT_EVENT_ERROR:
        openai_write_told(base, event->error);
        break;
    case CHAT_EVENT_END:
        end(writer);
        break;
    case CHAT_EVENT_THINKING:
    case CHAT_EVENT_REDACTED:
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_MEDIA:
    case CHAT_EVENT_CALL_BEGIN:
    case CHAT_EVENT_CALL_ARGS:
    case CHAT_EVENT_CALL_END:
    case CHAT_EVENT_LOGPROBS:
        break;
    }
}

/* --- whole answers --- */

static void write_choice(struct chat_writer *writer, struct json_writer *json,
                         const struct chat_choice *choice)
{
    struct span text = chat_plain_text(choice->parts, choice->part_count, writer->arena);

    json_begin_object(json);
    json_member_string(json, "text", text);
    json_member_uint(json, "index", choice->index);
    json_member_null(json, "logprobs");
    json_member_string(json, "finish_reason", openai_finish_word(choice->finish, false, false));
    json_end_object(json);
    if (!text.ptr)
        (void)buf_fail(writer->out, ERR_NOMEM);
}

static void write_answer(struct chat_writer *writer, const struct chat_answer *answer)
{
    openai_write_object(writer, answer, "text_completion", SPAN("cmpl-"), write_choice);
}

/* The path serves its own providers with their own bytes: what they answer is never read here. */
const struct form_ops openai_completions_ops = {
    .read_request = read_request,
    .writer_size = sizeof(struct openai_writer),
    .write_event = write_event,
    .write_answer = write_answer,
};
