/* Members stand in the order in which OpenAI writes them: the type, then by their names. */
#include "base/decimal.h"
#include "dialect/openai_responses_inner.h"
#include "json/write.h"

static void put(struct buf *out, struct span text)
{
    (void)buf_append_span(out, text);
}

static void put_number(struct buf *out, struct span name, uint64_t number)
{
    put(out, name);
    (void)decimal_append(out, number);
}

/* A text that is escaped already. */
static void put_quoted(struct buf *out, struct span name, struct span text)
{
    put(out, name);
    (void)buf_append_byte(out, '"');
    put(out, text);
    (void)buf_append_byte(out, '"');
}

static void begin(struct buf *out, struct span type)
{
    put(out, SPAN("event: "));
    put(out, type);
    put(out, SPAN("\ndata: {\"type\":\""));
    put(out, type);
    (void)buf_append_byte(out, '"');
}

static void put_sequence(struct responses_writer *writer)
{
    put_number(writer->base.out, SPAN(",\"sequence_number\":"), writer->sequence++);
}

static void end(struct responses_writer *writer)
{
    put(writer->base.out, SPAN("}\n\n"));
}

/* Ids are ours and need no escapes. */
static void put_place(struct buf *out, const struct responses_item *item)
{
    put_quoted(out, SPAN(",\"item_id\":"), item->id);
}

static void put_index(struct buf *out, const struct responses_item *item)
{
    put_number(out, SPAN(",\"output_index\":"), item->index);
}

void responses_tell_response(struct responses_writer *writer, struct span type,
                             enum responses_status status, const struct error_words *error)
{
    struct buf *out = writer->base.out;

    if (writer->is_quiet)
        return;
    begin(out, type);
    put(out, SPAN(",\"response\":"));
    responses_object_write(writer, status, error);
    put_sequence(writer);
    end(writer);
}

static void put_text_or_null(struct buf *out, struct span name, struct span text)
{
    put(out, name);
    if (text.len)
        (void)json_write_string(out, text);
    else
        put(out, SPAN("null"));
}

void responses_tell_error(struct responses_writer *writer, const struct error_words *error)
{
    struct buf *out = writer->base.out;

    begin(out, SPAN("error"));
    put_text_or_null(out, SPAN(",\"error\":{\"type\":"),
                     error->type.len ? error->type : SPAN("server_error"));
    put_text_or_null(out, SPAN(",\"code\":"), error->code);
    put_text_or_null(out, SPAN(",\"message\":"), error->message);
    put_text_or_null(out, SPAN(",\"param\":"), error->param);
    (void)buf_append_byte(out, '}');
    put_sequence(writer);
    end(writer);
}

void responses_tell_item(struct responses_writer *writer, struct span type,
                         const struct responses_item *item)
{
    struct buf *out = writer->base.out;

    if (writer->is_quiet)
        return;
    begin(out, type);
    put(out, SPAN(",\"item\":"));
    responses_item_write(writer, item);
    put_index(out, item);
    put_sequence(writer);
    end(writer);
}

/* --- text that grows --- */

static void tell_content_delta(struct responses_writer *writer, const struct responses_item *item,
                               const struct responses_part *part, struct span text,
                               struct span logprobs)
{
    struct buf *out = writer->base.out;

    begin(out,
          part->is_refusal ? SPAN("response.refusal.delta") : SPAN("response.output_text.delta"));
    put_number(out, SPAN(",\"content_index\":"), part->index);
    put_quoted(out, SPAN(",\"delta\":"), text);
    put_place(out, item);
    if (!part->is_refusal) {
        put(out, SPAN(",\"logprobs\":["));
        put(out, logprobs);
        (void)buf_append_byte(out, ']');
    }
    put_index(out, item);
    put_sequence(writer);
    end(writer);
}

static void tell_other_delta(struct responses_writer *writer, const struct responses_item *item,
                             struct span type, struct span text)
{
    struct buf *out = writer->base.out;

    begin(out, type);
    put_quoted(out, SPAN(",\"delta\":"), text);
    put_place(out, item);
    put_index(out, item);
    put_sequence(writer);
    if (item->kind == ITEM_REASONING)
        put(out, SPAN(",\"summary_index\":0"));
    end(writer);
}

void responses_tell_delta(struct responses_writer *writer, const struct responses_item *item,
                          const struct responses_part *part, size_t from, struct span logprobs)
{
    struct span text = span_skip(buf_span(&part->text), from);

    if (writer->is_quiet)
        return;
    switch (item->kind) {
    case ITEM_MESSAGE:
        tell_content_delta(writer, item, part, text, logprobs);
        break;
    case ITEM_REASONING:
        if (writer->wants_summary)
            tell_other_delta(writer, item, SPAN("response.reasoning_summary_text.delta"), text);
        break;
    case ITEM_FUNCTION:
        tell_other_delta(writer, item, SPAN("response.function_call_arguments.delta"), text);
        break;
    case ITEM_CUSTOM:
        tell_other_delta(writer, item, SPAN("response.custom_tool_call_input.delta"), text);
        break;
    case ITEM_IMAGE:
        break;
    }
}

/* --- parts --- */

static void tell_content_part(struct responses_writer *writer, const struct responses_item *item,
                              const struct responses_part *part, struct span type)
{
    struct buf *out = writer->base.out;

    begin(out, type);
    put_number(out, SPAN(",\"content_index\":"), part->index);
    put_place(out, item);
    put_index(out, item);
    put(out, SPAN(",\"part\":"));
    responses_part_write(out, part);
    put_sequence(writer);
    end(writer);
}

static void tell_summary_part(struct responses_writer *writer, const struct responses_item *item,
                              struct span text, struct span type)
{
    struct buf *out = writer->base.out;

    begin(out, type);
    put_place(out, item);
    put_index(out, item);
    put_quoted(out, SPAN(",\"part\":{\"type\":\"summary_text\",\"text\":"), text);
    (void)buf_append_byte(out, '}');
    put_sequence(writer);
    put(out, SPAN(",\"summary_index\":0"));
    end(writer);
}

void responses_tell_part(struct responses_writer *writer, const struct responses_item *item,
                         const struct responses_part *part)
{
    if (writer->is_quiet)
        return;
    if (item->kind == ITEM_MESSAGE)
        tell_content_part(writer, item, part, SPAN("response.content_part.added"));
    else if (item->kind == ITEM_REASONING && writer->wants_summary)
        tell_summary_part(writer, item, SPAN(""), SPAN("response.reasoning_summary_part.added"));
}

static void tell_content_done(struct responses_writer *writer, const struct responses_item *item,
                              const struct responses_part *part)
{
    struct buf *out = writer->base.out;

    begin(out,
          part->is_refusal ? SPAN("response.refusal.done") : SPAN("response.output_text.done"));
    put_number(out, SPAN(",\"content_index\":"), part->index);
    put_place(out, item);
    if (!part->is_refusal) {
        put(out, SPAN(",\"logprobs\":["));
        put(out, buf_span(&part->logprobs));
        (void)buf_append_byte(out, ']');
    }
    put_index(out, item);
    if (part->is_refusal)
        put_quoted(out, SPAN(",\"refusal\":"), buf_span(&part->text));
    put_sequence(writer);
    if (!part->is_refusal)
        put_quoted(out, SPAN(",\"text\":"), buf_span(&part->text));
    end(writer);
    tell_content_part(writer, item, part, SPAN("response.content_part.done"));
}

static void tell_summary_done(struct responses_writer *writer, const struct responses_item *item,
                              struct span text)
{
    struct buf *out = writer->base.out;

    begin(out, SPAN("response.reasoning_summary_text.done"));
    put_place(out, item);
    put_index(out, item);
    put_sequence(writer);
    put_quoted(out, SPAN(",\"summary_index\":0,\"text\":"), text);
    end(writer);
    tell_summary_part(writer, item, text, SPAN("response.reasoning_summary_part.done"));
}

static void tell_call_done(struct responses_writer *writer, const struct responses_item *item,
                           struct span text)
{
    struct buf *out = writer->base.out;
    bool is_custom = item->kind == ITEM_CUSTOM;

    begin(out, is_custom ? SPAN("response.custom_tool_call_input.done")
                         : SPAN("response.function_call_arguments.done"));
    put_quoted(out, is_custom ? SPAN(",\"input\":") : SPAN(",\"arguments\":"), text);
    put_place(out, item);
    put_index(out, item);
    put_sequence(writer);
    end(writer);
}

void responses_tell_part_done(struct responses_writer *writer, const struct responses_item *item,
                              const struct responses_part *part)
{
    if (writer->is_quiet)
        return;
    switch (item->kind) {
    case ITEM_MESSAGE:
        tell_content_done(writer, item, part);
        break;
    case ITEM_REASONING:
        if (writer->wants_summary)
            tell_summary_done(writer, item, buf_span(&part->text));
        break;
    case ITEM_FUNCTION:
    case ITEM_CUSTOM:
        tell_call_done(writer, item, buf_span(&part->text));
        break;
    case ITEM_IMAGE:
        break;
    }
}
