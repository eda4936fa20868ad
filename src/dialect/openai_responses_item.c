#include "base/decimal.h"
#include "dialect/openai_responses_inner.h"
#include "json/write.h"

static void put(struct buf *out, struct span text)
{
    (void)buf_append_span(out, text);
}

/* A text that is escaped already. */
static void put_quoted(struct buf *out, const struct buf *text)
{
    (void)buf_append_byte(out, '"');
    put(out, buf_span(text));
    (void)buf_append_byte(out, '"');
}

/* --- logprobs --- */

static void write_bytes(struct buf *out, const struct chat_logprob *logprob)
{
    put(out, SPAN(",\"bytes\":["));
    for (size_t i = 0; logprob->has_bytes && i < logprob->bytes.len; i++) {
        if (i > 0)
            (void)buf_append_byte(out, ',');
        (void)decimal_append(out, (unsigned char)logprob->bytes.ptr[i]);
    }
    put(out, SPAN("],\"logprob\":"));
}

static void write_token(struct buf *out, const struct chat_logprob *logprob)
{
    struct json_writer number;

    put(out, SPAN("{\"token\":"));
    (void)json_write_string(out, logprob->token);
    write_bytes(out, logprob);
    json_writer_init(&number, out);
    json_double(&number, logprob->logprob);
}

void responses_logprobs_write(struct buf *out, const struct chat_logprob *logprobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            (void)buf_append_byte(out, ',');
        write_token(out, &logprobs[i]);
        put(out, SPAN(",\"top_logprobs\":["));
        for (size_t k = 0; k < logprobs[i].top_count; k++) {
            if (k > 0)
                (void)buf_append_byte(out, ',');
            write_token(out, &logprobs[i].top[k]);
            (void)buf_append_byte(out, '}');
        }
        put(out, SPAN("]}"));
    }
}

/* --- items --- */

void responses_part_write(struct buf *out, const struct responses_part *part)
{
    if (part->is_refusal) {
        put(out, SPAN("{\"type\":\"refusal\",\"refusal\":"));
    } else {
        put(out, SPAN("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":["));
        put(out, buf_span(&part->logprobs));
        put(out, SPAN("],\"text\":"));
    }
    put_quoted(out, &part->text);
    (void)buf_append_byte(out, '}');
}

static void write_message(struct buf *out, const struct responses_item *item)
{
    put(out, SPAN(",\"content\":["));
    for (const struct responses_part *part = item->parts; part; part = part->next) {
        if (part != item->parts)
            (void)buf_append_byte(out, ',');
        responses_part_write(out, part);
    }
    put(out, SPAN("],\"role\":\"assistant\""));
}

/* What the client gives back with the next turn. A thought that it was shown stands in the
 * summary, and need not be told twice. */
static void write_seal(const struct responses_writer *writer, const struct responses_item *item)
{
    struct seal seal = {.kind = item->seal,
                        .signer = item->signer,
                        .signature = buf_span(&item->signature),
                        .text = buf_span(&item->sealed)};

    put(writer->base.out, SPAN(",\"encrypted_content\":"));
    if (!item->is_done) {
        put(writer->base.out, SPAN("null"));
        return;
    }
    if (seal.kind == SEAL_THOUGHT && !writer->wants_summary && item->parts)
        seal.text = buf_span(&item->parts->text);
    seal_write(writer->base.out, &seal);
}

static void write_reasoning(const struct responses_writer *writer,
                            const struct responses_item *item)
{
    struct buf *out = writer->base.out;

    if (writer->wants_seals)
        write_seal(writer, item);
    put(out, SPAN(",\"summary\":["));
    if (writer->wants_summary && item->parts && item->parts->text.len) {
        put(out, SPAN("{\"type\":\"summary_text\",\"text\":"));
        put_quoted(out, &item->parts->text);
        (void)buf_append_byte(out, '}');
    }
    (void)buf_append_byte(out, ']');
}

static void write_arguments(struct buf *out, struct span name, const struct responses_item *item)
{
    put(out, name);
    if (item->parts) /* there may have been no memory for them */
        put_quoted(out, &item->parts->text);
    else
        put(out, SPAN("\"\""));
}

static void write_call(struct buf *out, const struct responses_item *item)
{
    if (item->kind == ITEM_FUNCTION)
        write_arguments(out, SPAN(",\"arguments\":"), item);
    put(out, SPAN(",\"call_id\":"));
    (void)json_write_string(out, item->call_id);
    if (item->kind == ITEM_CUSTOM)
        write_arguments(out, SPAN(",\"input\":"), item);
    put(out, SPAN(",\"name\":"));
    (void)json_write_string(out, item->name);
}

static void write_image(struct buf *out, const struct responses_item *item)
{
    if (item->type.len) {
        put(out, SPAN(",\"output_format\":"));
        (void)json_write_string(out, item->type);
    }
    put(out, SPAN(",\"result\":"));
    if (item->is_done)
        put_quoted(out, &item->image);
    else
        put(out, SPAN("null"));
}

static void write_status(struct buf *out, const struct responses_item *item)
{
    put(out, SPAN(",\"status\":"));
    if (!item->is_done)
        put(out, SPAN("\"in_progress\""));
    else
        put(out, item->is_cut ? SPAN("\"incomplete\"") : SPAN("\"completed\""));
}

void responses_item_write(const struct responses_writer *writer, const struct responses_item *item)
{
    static const struct span types[] = {
        [ITEM_MESSAGE] = SPAN_INIT("message"),
        [ITEM_REASONING] = SPAN_INIT("reasoning"),
        [ITEM_FUNCTION] = SPAN_INIT("function_call"),
        [ITEM_CUSTOM] = SPAN_INIT("custom_tool_call"),
        [ITEM_IMAGE] = SPAN_INIT("image_generation_call"),
    };
    struct buf *out = writer->base.out;

    put(out, SPAN("{\"id\":"));
    (void)json_write_string(out, item->id);
    put(out, SPAN(",\"type\":\""));
    put(out, types[item->kind]);
    (void)buf_append_byte(out, '"');
    if (item->kind != ITEM_REASONING)
        write_status(out, item);
    switch (item->kind) {
    case ITEM_MESSAGE:
        write_message(out, item);
        break;
    case ITEM_REASONING:
        write_reasoning(writer, item);
        break;
    case ITEM_FUNCTION:
    case ITEM_CUSTOM:
        write_call(out, item);
        break;
    case ITEM_IMAGE:
        write_image(out, item);
        break;
    }
    (void)buf_append_byte(out, '}');
}
