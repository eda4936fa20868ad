/* Whole answers of generateContent. */
#include "dialect/gemini_answer_write.h"

#include "base/decimal.h"

bool gemini_shows_thoughts(const struct chat_frame *frame)
{
    return frame->chat && frame->chat->thinking.show == CHAT_YES;
}

/* --- parts --- */

static void write_call(struct buf *out, const struct chat_part *part)
{
    (void)buf_append_span(out, SPAN("{\"functionCall\":{"));
    if (part->id.len) {
        (void)buf_append_span(out, SPAN("\"id\":"));
        (void)json_write_string(out, part->id);
        (void)buf_append_byte(out, ',');
    }
    (void)buf_append_span(out, SPAN("\"name\":"));
    (void)json_write_string(out, part->name);
    (void)buf_append_span(out, SPAN(",\"args\":"));
    gemini_write_args(out, part->text, part->is_custom);
    (void)buf_append_byte(out, '}');
}

static void write_media(struct buf *out, const struct chat_media *media)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    gemini_write_media(&writer, media);
}

static void write_text(struct buf *out, struct span text, bool is_thought)
{
    (void)buf_append_span(out, SPAN("{\"text\":"));
    (void)json_write_string(out, text);
    if (is_thought)
        (void)buf_append_span(out, SPAN(",\"thought\":true"));
}

void gemini_write_answer_part(struct buf *out, const struct chat_part *part)
{
    bool is_signed = part->signature.len > 0;

    switch (part->kind) {
    case CHAT_PART_CALL:
        write_call(out, part);
        break;
    case CHAT_PART_IMAGE:
    case CHAT_PART_AUDIO:
    case CHAT_PART_DOCUMENT:
    case CHAT_PART_VIDEO:
        write_media(out, &part->media);
        break;
    case CHAT_PART_THINKING:
        write_text(out, part->text, true);
        break;
    case CHAT_PART_REDACTED:
        write_text(out, SPAN(""), true);
        is_signed = true;
        break;
    case CHAT_PART_TEXT:
    case CHAT_PART_REFUSAL:
    case CHAT_PART_RESULT:
        write_text(out, part->text, false);
        break;
    }
    if (is_signed) {
        (void)buf_append_span(out, SPAN(",\"thoughtSignature\":"));
        gemini_write_signature(out, part);
    }
    (void)buf_append_byte(out, '}');
}

/* --- the rest --- */

void gemini_write_finish(struct buf *out, enum chat_finish finish, struct span why)
{
    struct span reason = gemini_finish_text(finish);
    bool is_held_back = finish == CHAT_FINISH_FILTER || finish == CHAT_FINISH_REFUSAL ||
                        finish == CHAT_FINISH_ERROR;

    (void)buf_append_span(out, SPAN(",\"finishReason\":"));
    (void)json_write_string(out, reason);
    if (!is_held_back || why.len == 0 || span_is_equal(why, reason))
        return;
    (void)buf_append_span(out, SPAN(",\"finishMessage\":"));
    (void)json_write_string(out, why);
}

void gemini_write_answer_tail(struct buf *out, const struct chat_frame *frame, struct span model,
                              struct span id)
{
    (void)buf_append_span(out, SPAN(",\"modelVersion\":"));
    (void)json_write_string(out, model.len ? model : frame->model);
    (void)buf_append_span(out, SPAN(",\"responseId\":"));
    (void)json_write_string(out, id.len ? id : frame->request_id);
    (void)buf_append_byte(out, '}');
}

static bool is_shown(const struct chat_frame *frame, const struct chat_part *part)
{
    if (part->kind == CHAT_PART_THINKING || part->kind == CHAT_PART_REDACTED)
        return gemini_shows_thoughts(frame);
    return true;
}

static void write_content(struct buf *out, const struct chat_frame *frame,
                          const struct chat_choice *choice)
{
    bool has_any = false;

    (void)buf_append_span(out, SPAN("\"content\":{"));
    for (size_t i = 0; i < choice->part_count; i++) {
        if (!is_shown(frame, &choice->parts[i]))
            continue;
        (void)buf_append_span(out, has_any ? SPAN(",") : SPAN("\"parts\":["));
        gemini_write_answer_part(out, &choice->parts[i]);
        has_any = true;
    }
    (void)buf_append_span(out,
                          has_any ? SPAN("],\"role\":\"model\"}") : SPAN("\"role\":\"model\"}"));
}

static void write_choice(struct buf *out, const struct chat_frame *frame,
                         const struct chat_choice *choice)
{
    (void)buf_append_byte(out, '{');
    write_content(out, frame, choice);
    if (choice->finish != CHAT_FINISH_NONE)
        gemini_write_finish(out, choice->finish, choice->finish_text);
    (void)buf_append_span(out, SPAN(",\"index\":"));
    (void)decimal_append(out, choice->index);
    gemini_write_logprobs(out, choice->logprobs, choice->logprob_count);
    (void)buf_append_byte(out, '}');
}

void gemini_write_answer(struct chat_writer *writer, const struct chat_answer *answer)
{
    struct buf *out = writer->out;

    (void)buf_append_span(out, SPAN("{\"candidates\":["));
    for (size_t i = 0; i < answer->choice_count; i++) {
        if (i)
            (void)buf_append_byte(out, ',');
        write_choice(out, writer->frame, &answer->choices[i]);
    }
    (void)buf_append_byte(out, ']');
    if (answer->usage.is_known) {
        (void)buf_append_span(out, SPAN(",\"usageMetadata\":"));
        gemini_write_usage(out, &answer->usage);
    }
    gemini_write_answer_tail(out, writer->frame, answer->model, answer->id);
}
