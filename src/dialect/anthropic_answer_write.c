/* Writes whole answers. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"

bool anthropic_write_image_text(struct buf *out, const struct chat_media *media)
{
    bool is_data = media->source == CHAT_SOURCE_DATA;

    if (!is_data && media->source != CHAT_SOURCE_URL)
        return false;
    (void)buf_append_span(out, SPAN("![image]("));
    if (is_data) {
        (void)buf_append_span(out, SPAN("data:"));
        (void)buf_append_span(out, media->type);
        (void)buf_append_span(out, SPAN(";base64,"));
    }
    (void)buf_append_span(out, media->data);
    return buf_append_byte(out, ')') == 0 && out->err == 0;
}

static void write_text(struct buf *out, struct span text)
{
    (void)buf_append_span(out, SPAN("{\"type\":\"text\",\"text\":"));
    (void)json_write_string(out, text);
    (void)buf_append_byte(out, '}');
}

static void write_image(struct buf *out, const struct chat_media *media)
{
    struct buf text;

    buf_init(&text, ANTHROPIC_TEXT_MAX);
    if (anthropic_write_image_text(&text, media))
        write_text(out, buf_span(&text));
    else
        (void)buf_fail(out, ERR_NOMEM);
    buf_fini(&text);
}

/* Others sign texts too: what belongs to one follows it, as a thought without words. */
static bool is_signed_text(const struct chat_writer *writer, const struct chat_part *part)
{
    return part->kind == CHAT_PART_TEXT && part->signature.len > 0 &&
           anthropic_thoughts(writer->frame->chat) != ANTHROPIC_THOUGHTS_NONE;
}

static void write_text_signature(struct buf *out, const struct chat_part *part)
{
    (void)buf_append_span(out, SPAN(",{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":"));
    anthropic_write_signature(out, part->signer, part->signature);
    (void)buf_append_byte(out, '}');
}

static void write_thought(struct chat_writer *writer, const struct chat_part *part)
{
    bool is_shown = anthropic_thoughts(writer->frame->chat) == ANTHROPIC_THOUGHTS_SHOWN;
    struct buf *out = writer->out;

    if (part->kind == CHAT_PART_REDACTED) {
        (void)buf_append_span(out, SPAN("{\"type\":\"redacted_thinking\",\"data\":"));
        anthropic_write_signature(out, part->signer, part->text);
    } else {
        (void)buf_append_span(out, SPAN("{\"type\":\"thinking\",\"thinking\":"));
        (void)json_write_string(out, is_shown ? part->text : SPAN(""));
        (void)buf_append_span(out, SPAN(",\"signature\":"));
        anthropic_write_signature(out, part->signer, part->signature);
    }
    (void)buf_append_byte(out, '}');
}

static void write_call(struct chat_writer *writer, const struct chat_part *part)
{
    struct span id = chat_fit_id(part->id, ANTHROPIC_ID_MAX, writer->arena);
    struct buf *out = writer->out;

    if (!id.ptr)
        (void)buf_fail(out, ERR_NOMEM);
    (void)buf_append_span(out, SPAN("{\"type\":\"tool_use\",\"id\":"));
    (void)json_write_string(out, id);
    (void)buf_append_span(out, SPAN(",\"name\":"));
    (void)json_write_string(out, part->name);
    (void)buf_append_span(out, SPAN(",\"input\":"));
    anthropic_write_input(out, part->text, part->is_custom);
    if (part->signature.len) {
        (void)buf_append_span(out, SPAN(",\"signature\":"));
        anthropic_write_signature(out, part->signer, part->signature);
    }
    (void)buf_append_byte(out, '}');
}

/* Whether there is a block for it: no empty texts, and thoughts only where they were asked for. */
static bool is_told(const struct chat_writer *writer, const struct chat_part *part)
{
    enum anthropic_thoughts thoughts = anthropic_thoughts(writer->frame->chat);

    switch (part->kind) {
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
        return part->text.len > 0;
    case CHAT_PART_THINKING:
        return thoughts == ANTHROPIC_THOUGHTS_SHOWN ||
               (thoughts == ANTHROPIC_THOUGHTS_SIGNED && part->signature.len > 0);
    case CHAT_PART_REDACTED:
        return thoughts != ANTHROPIC_THOUGHTS_NONE && part->text.len > 0;
    case CHAT_PART_CALL:
        return true;
    case CHAT_PART_IMAGE:
        return part->media.source == CHAT_SOURCE_DATA || part->media.source == CHAT_SOURCE_URL;
    case CHAT_PART_AUDIO:
    case CHAT_PART_DOCUMENT:
    case CHAT_PART_VIDEO:
    case CHAT_PART_RESULT:
        break;
    }
    return false;
}

static void write_part(struct chat_writer *writer, const struct chat_part *part)
{
    if (part->kind == CHAT_PART_CALL)
        write_call(writer, part);
    else if (part->kind == CHAT_PART_THINKING || part->kind == CHAT_PART_REDACTED)
        write_thought(writer, part);
    else if (part->kind == CHAT_PART_IMAGE)
        write_image(writer->out, &part->media);
    else
        write_text(writer->out, part->text);
}

/* True where any of it is a call. */
static bool write_content(struct chat_writer *writer, const struct chat_choice *choice)
{
    bool has_calls = false, has_any = false;

    for (size_t i = 0; i < choice->part_count; i++) {
        const struct chat_part *part = &choice->parts[i];

        if (!is_told(writer, part))
            continue;
        if (has_any)
            (void)buf_append_byte(writer->out, ',');
        has_any = true;
        has_calls |= part->kind == CHAT_PART_CALL;
        write_part(writer, part);
        if (is_signed_text(writer, part))
            write_text_signature(writer->out, part);
    }
    return has_calls;
}

static uint64_t text_bytes(const struct chat_choice *choice)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < choice->part_count; i++)
        bytes += choice->parts[i].text.len;
    return bytes;
}

static void write_usage(struct chat_writer *writer, const struct chat_answer *answer,
                        const struct chat_choice *choice)
{
    struct dialect_usage usage = answer->usage;

    if (!usage.is_known) {
        usage.prompt_tokens = writer->frame->prompt_tokens;
        usage.completion_tokens = dialect_estimate_tokens(text_bytes(choice));
    }
    (void)buf_append_span(writer->out, SPAN(",\"usage\":"));
    anthropic_write_usage(writer->out, &usage, true);
}

void anthropic_write_answer(struct chat_writer *writer, const struct chat_answer *answer)
{
    static const struct chat_choice nothing = {.finish = CHAT_FINISH_STOP};
    const struct chat_choice *choice = answer->choice_count ? &answer->choices[0] : &nothing;
    const struct chat_frame *frame = writer->frame;
    struct buf *out = writer->out;
    bool has_calls;
    struct span id = chat_rename_id(answer->id.len ? answer->id : frame->request_id, SPAN("msg_"),
                                    writer->arena);

    if (!id.ptr)
        (void)buf_fail(out, ERR_NOMEM);
    (void)buf_append_span(out, SPAN("{\"id\":"));
    (void)json_write_string(out, id);
    (void)buf_append_span(out, SPAN(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    (void)json_write_string(out, answer->model.len ? answer->model : frame->model);
    (void)buf_append_span(out, SPAN(",\"content\":["));
    has_calls = write_content(writer, choice);
    (void)buf_append_span(out, SPAN("],"));
    anthropic_write_stop(out, choice->finish, choice->finish_text, has_calls, true);
    write_usage(writer, answer, choice);
    (void)buf_append_byte(out, '}');
}
