/* Chunks of a stream, in the order and with the members in which OpenAI writes them. */
#include "base/decimal.h"
#include "base/err.h"
#include "dialect/openai_chat_inner.h"

enum { THOUGHT_MAX = 1 << 20 }; /* bytes of a thought that its signed block repeats */

static struct buf *out_of(const struct openai_writer *writer)
{
    return writer->base.out;
}

static void put(const struct openai_writer *writer, struct span text)
{
    (void)buf_append_span(out_of(writer), text);
}

static void put_string(const struct openai_writer *writer, struct span text)
{
    (void)json_write_string(out_of(writer), text);
}

static void put_number(const struct openai_writer *writer, uint64_t number)
{
    (void)decimal_append(out_of(writer), number);
}

/* --- what all chunks have in common --- */

static void start(struct openai_writer *writer, const struct chat_event *event)
{
    const struct chat_frame *frame = writer->base.frame;
    struct span id = openai_answer_id(&writer->base, event->id, SPAN("chatcmpl-"));
    struct json_writer json;
    struct buf head;

    buf_init(&head, SIZE_MAX);
    (void)buf_append_span(&head, SPAN("data: "));
    json_writer_init(&json, &head);
    json_begin_object(&json);
    json_member_string(&json, "id", id);
    json_member_text(&json, "object", "chat.completion.chunk");
    json_member_uint(&json, "created", event->created_s ? event->created_s : frame->created_s);
    json_member_string(&json, "model", event->name.len ? event->name : frame->model);
    (void)buf_append_span(&head, SPAN(",\"choices\":["));
    writer->head = arena_copy(writer->base.arena, buf_span(&head));
    if (head.err || !writer->head.ptr || !id.ptr)
        (void)buf_fail(out_of(writer), ERR_NOMEM);
    buf_fini(&head);
    writer->tail = frame->chat->wants_usage ? SPAN("],\"usage\":null}\n\n") : SPAN("]}\n\n");
    writer->is_legacy = openai_is_legacy(frame->chat);
}

static bool take_bit(uint64_t *words, unsigned choice)
{
    uint64_t bit = UINT64_C(1) << choice % 64;
    bool was_set = (words[choice / 64] & bit) != 0;

    words[choice / 64] |= bit;
    return was_set;
}

static void open_chunk(const struct openai_writer *writer, unsigned choice)
{
    put(writer, writer->head);
    put(writer, SPAN("{\"index\":"));
    put_number(writer, choice);
    put(writer, SPAN(",\"delta\":{"));
}

/* Ends the delta of a choice that goes on. */
static void close_chunk(const struct openai_writer *writer)
{
    put(writer, SPAN("},\"logprobs\":null,\"finish_reason\":null}"));
    put(writer, writer->tail);
}

/* The chunk that says who speaks, before the first of a choice. */
static void begin_choice(struct openai_writer *writer, unsigned choice)
{
    if (take_bit(writer->begun, choice))
        return;
    open_chunk(writer, choice);
    put(writer, SPAN("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
    close_chunk(writer);
}

/* A delta of one text member. */
static void write_text(struct openai_writer *writer, unsigned choice, struct span name,
                       struct span text)
{
    begin_choice(writer, choice);
    open_chunk(writer, choice);
    put(writer, name);
    put_string(writer, text);
    close_chunk(writer);
    writer->text_bytes += text.len;
}

/* --- thoughts --- */

static void write_thinking(struct openai_writer *writer, const struct chat_event *event)
{
    if (!writer->is_ready) {
        buf_init(&writer->thought, THOUGHT_MAX);
        writer->is_ready = true;
    }
    (void)buf_append_span(&writer->thought, event->text);
    write_text(writer, event->choice, SPAN("\"reasoning_content\":"), event->text);
}

/* A signed thought whole, as it must come back; its words again, for signature and words belong
 * together. */
static void write_block(struct openai_writer *writer, const struct chat_event *event)
{
    struct span words =
        writer->is_ready && !writer->thought.err ? buf_span(&writer->thought) : SPAN("");

    begin_choice(writer, event->choice);
    open_chunk(writer, event->choice);
    if (event->kind == CHAT_EVENT_REDACTED) {
        put(writer, SPAN("\"thinking_blocks\":[{\"type\":\"redacted_thinking\",\"data\":"));
    } else {
        put(writer, SPAN("\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":"));
        put_string(writer, words);
        put(writer, SPAN(",\"signature\":"));
        if (writer->is_ready)
            buf_clear(&writer->thought);
    }
    put_string(writer, event->text);
    put(writer, SPAN("}]"));
    close_chunk(writer);
}

/* --- calls --- */

static void write_old_begin(const struct openai_writer *writer, const struct chat_event *event)
{
    put(writer, SPAN("\"function_call\":{\"name\":"));
    put_string(writer, event->name);
    put(writer, SPAN(",\"arguments\":\"\"}"));
}

/* Fragments do not say again that their call is of a custom tool; there are few. */
static void note_custom(struct openai_writer *writer, const struct chat_event *event)
{
    struct openai_custom *custom = arena_alloc(writer->base.arena, sizeof(*custom));

    if (!custom) {
        (void)buf_fail(out_of(writer), ERR_NOMEM);
        return;
    }
    *custom = (struct openai_custom){writer->customs, event->choice, event->call};
    writer->customs = custom;
}

static bool is_custom(const struct openai_writer *writer, const struct chat_event *event)
{
    const struct openai_custom *custom = writer->customs;

    while (custom && (custom->choice != event->choice || custom->call != event->call))
        custom = custom->next;
    return custom != NULL;
}

static void write_extra(const struct openai_writer *writer, struct span signature)
{
    put(writer, SPAN("\"extra_content\":{\"google\":{\"thought_signature\":"));
    put_string(writer, signature);
    put(writer, SPAN("}}"));
}

static void write_signature(struct openai_writer *writer, const struct chat_event *event)
{
    if (event->signer == DIALECT_ANTHROPIC && !event->is_call) {
        write_block(writer, event);
        return;
    }
    if (event->signer != DIALECT_GEMINI || writer->is_legacy)
        return;
    begin_choice(writer, event->choice);
    open_chunk(writer, event->choice);
    if (event->is_call) {
        put(writer, SPAN("\"tool_calls\":[{\"index\":"));
        put_number(writer, event->call);
        /* Empty, but there: OpenAI's own client takes no fragment of a call without one. */
        put(writer, is_custom(writer, event) ? SPAN(",\"custom\":{\"input\":\"\"},")
                                             : SPAN(",\"function\":{\"arguments\":\"\"},"));
        write_extra(writer, event->text);
        put(writer, SPAN("}]"));
    } else {
        write_extra(writer, event->text);
    }
    close_chunk(writer);
}

static void write_begin(struct openai_writer *writer, const struct chat_event *event)
{
    bool is_first = !take_bit(writer->begun, event->choice);

    if (event->is_custom)
        note_custom(writer, event);

    if (writer->is_legacy && event->call)
        return;
    open_chunk(writer, event->choice);
    if (is_first)
        put(writer, SPAN("\"role\":\"assistant\",\"content\":null,"));
    if (writer->is_legacy) {
        write_old_begin(writer, event);
    } else {
        put(writer, SPAN("\"tool_calls\":[{\"index\":"));
        put_number(writer, event->call);
        put(writer, SPAN(",\"id\":"));
        put_string(writer, event->id);
        put(writer, event->is_custom ? SPAN(",\"type\":\"custom\",\"custom\":{\"name\":")
                                     : SPAN(",\"type\":\"function\",\"function\":{\"name\":"));
        put_string(writer, event->name);
        put(writer, event->is_custom ? SPAN(",\"input\":\"\"}}]") : SPAN(",\"arguments\":\"\"}}]"));
    }
    if (is_first)
        put(writer, SPAN(",\"refusal\":null"));
    close_chunk(writer);
}

static void write_arguments(struct openai_writer *writer, const struct chat_event *event)
{
    if (event->text.len == 0 || (writer->is_legacy && event->call))
        return;
    open_chunk(writer, event->choice);
    if (writer->is_legacy) {
        put(writer, SPAN("\"function_call\":{\"arguments\":"));
        put_string(writer, event->text);
        put(writer, SPAN("}"));
    } else {
        put(writer, SPAN("\"tool_calls\":[{\"index\":"));
        put_number(writer, event->call);
        put(writer, is_custom(writer, event) ? SPAN(",\"custom\":{\"input\":")
                                             : SPAN(",\"function\":{\"arguments\":"));
        put_string(writer, event->text);
        put(writer, SPAN("}}]"));
    }
    close_chunk(writer);
    writer->text_bytes += event->text.len;
}

/* --- the rest --- */

static void write_media(struct openai_writer *writer, const struct chat_event *event)
{
    const struct chat_media *media = event->media;
    struct json_writer json;

    begin_choice(writer, event->choice);
    open_chunk(writer, event->choice);
    if (event->part_kind == CHAT_PART_AUDIO) {
        put(writer, SPAN("\"audio\":{\"data\":"));
        put_string(writer, media->data);
        put(writer, SPAN("}"));
    } else {
        put(writer, SPAN("\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"));
        json_writer_init(&json, out_of(writer));
        openai_write_media_url(&json, media);
        put(writer, SPAN("}}]"));
    }
    close_chunk(writer);
}

static void write_logprobs(struct openai_writer *writer, const struct chat_event *event)
{
    struct json_writer json;

    begin_choice(writer, event->choice);
    open_chunk(writer, event->choice);
    put(writer, SPAN("\"content\":\"\"},\"logprobs\":"));
    json_writer_init(&json, out_of(writer));
    openai_write_logprobs(&json, event->logprobs, event->logprob_count);
    put(writer, SPAN(",\"finish_reason\":null}"));
    put(writer, writer->tail);
}

static void write_finish(struct openai_writer *writer, const struct chat_event *event)
{
    bool has_refusal = writer->refused[event->choice / 64] >> event->choice % 64 & 1;

    /* Why, in words, where the provider has some. */
    if (event->finish == CHAT_FINISH_REFUSAL && !has_refusal && event->text.len)
        write_text(writer, event->choice, SPAN("\"refusal\":"), event->text);
    begin_choice(writer, event->choice);
    open_chunk(writer, event->choice);
    put(writer, SPAN("},\"logprobs\":null,\"finish_reason\":\""));
    put(writer, openai_finish_word(event->finish, has_refusal, writer->is_legacy));
    put(writer, SPAN("\"}"));
    put(writer, writer->tail);
}

/* The last chunk with its usage, where the client asked for it, and the terminal event. */
static void write_end(struct openai_writer *writer)
{
    struct dialect_usage usage = openai_told_usage(writer);
    struct json_writer json;

    if (writer->base.frame->chat->wants_usage) {
        put(writer, writer->head);
        put(writer, SPAN("],\"usage\":"));
        json_writer_init(&json, out_of(writer));
        openai_write_usage(&json, &usage);
        put(writer, SPAN("}\n\n"));
    }
    put(writer, SPAN("data: [DONE]\n\n"));
}

static void write_refusal(struct openai_writer *writer, const struct chat_event *event)
{
    (void)take_bit(writer->refused, event->choice);
    write_text(writer, event->choice, SPAN("\"refusal\":"), event->text);
}

void openai_chat_write_event(struct chat_writer *base, const struct chat_event *event)
{
    struct openai_writer *writer = (struct openai_writer *)base;

    switch (event->kind) {
    case CHAT_EVENT_START:
        start(writer, event);
        break;
    case CHAT_EVENT_TEXT:
        write_text(writer, event->choice, SPAN("\"content\":"), event->text);
        break;
    case CHAT_EVENT_THINKING:
        write_thinking(writer, event);
        break;
    case CHAT_EVENT_REDACTED:
        if (event->signer == DIALECT_ANTHROPIC)
            write_block(writer, event);
        break;
    case CHAT_EVENT_SIGNATURE:
        write_signature(writer, event);
        break;
    case CHAT_EVENT_REFUSAL:
        write_refusal(writer, event);
        break;
    case CHAT_EVENT_MEDIA:
        write_media(writer, event);
        break;
    case CHAT_EVENT_CALL_BEGIN:
        write_begin(writer, event);
        break;
    case CHAT_EVENT_CALL_ARGS:
        write_arguments(writer, event);
        break;
    case CHAT_EVENT_LOGPROBS:
        write_logprobs(writer, event);
        break;
    case CHAT_EVENT_FINISH:
        write_finish(writer, event);
        break;
    case CHAT_EVENT_USAGE:
        writer->usage = *event->usage;
        break;
    case CHAT_EVENT_PING:
        put(writer, SPAN(": ping\n\n"));
        break;
    case CHAT_EVENT_ERROR:
        openai_write_told(base, event->error);
        break;
    case CHAT_EVENT_END:
        write_end(writer);
        break;
    case CHAT_EVENT_CALL_END:
        break;
    }
}

void openai_chat_writer_fini(struct chat_writer *base)
{
    struct openai_writer *writer = (struct openai_writer *)base;

    if (writer->is_ready)
        buf_fini(&writer->thought);
    writer->is_ready = false;
}
