/* A whole answer is told to the writer of events, which says nothing until the response stands. */
#include "dialect/chat_gather.h"
#include "dialect/openai_responses_inner.h"

static void tell(struct responses_writer *writer, struct chat_event event)
{
    responses_write_event(&writer->base, &event);
}

static void tell_signature(struct responses_writer *writer, const struct chat_part *part,
                           unsigned call)
{
    if (part->signature.len)
        tell(writer, (struct chat_event){.kind = CHAT_EVENT_SIGNATURE,
                                         .call = call,
                                         .is_call = part->kind == CHAT_PART_CALL,
                                         .signer = part->signer,
                                         .text = part->signature});
}

static void tell_text(struct responses_writer *writer, enum chat_event_kind kind,
                      const struct chat_part *part)
{
    if (part->text.len)
        tell(writer, (struct chat_event){.kind = kind, .signer = part->signer, .text = part->text});
}

static void tell_call(struct responses_writer *writer, const struct chat_part *part, unsigned call)
{
    tell(writer, (struct chat_event){.kind = CHAT_EVENT_CALL_BEGIN,
                                     .call = call,
                                     .is_custom = part->is_custom,
                                     .id = part->id,
                                     .name = part->name});
    tell_signature(writer, part, call);
    tell(writer,
         (struct chat_event){.kind = CHAT_EVENT_CALL_ARGS, .call = call, .text = part->text});
    tell(writer, (struct chat_event){.kind = CHAT_EVENT_CALL_END, .call = call});
}

/* Those of all texts stand with the first. */
static void tell_logprobs(struct responses_writer *writer, const struct chat_choice *choice)
{
    tell(writer, (struct chat_event){.kind = CHAT_EVENT_LOGPROBS,
                                     .logprobs = choice->logprobs,
                                     .logprob_count = choice->logprob_count});
}

static void tell_parts(struct responses_writer *writer, const struct chat_choice *choice)
{
    unsigned calls = 0;
    bool has_text = false;

    for (size_t i = 0; i < choice->part_count; i++) {
        const struct chat_part *part = &choice->parts[i];

        switch (part->kind) {
        case CHAT_PART_TEXT:
            tell_text(writer, CHAT_EVENT_TEXT, part);
            if (!has_text && choice->logprob_count)
                tell_logprobs(writer, choice);
            has_text = true;
            break;
        case CHAT_PART_THINKING:
            tell_text(writer, CHAT_EVENT_THINKING, part);
            tell_signature(writer, part, 0);
            break;
        case CHAT_PART_REFUSAL:
            tell_text(writer, CHAT_EVENT_REFUSAL, part);
            break;
        case CHAT_PART_REDACTED:
            tell_text(writer, CHAT_EVENT_REDACTED, part);
            break;
        case CHAT_PART_CALL:
            tell_call(writer, part, calls++);
            break;
        case CHAT_PART_IMAGE:
        case CHAT_PART_AUDIO:
            tell(writer, (struct chat_event){.kind = CHAT_EVENT_MEDIA,
                                             .part_kind = part->kind,
                                             .media = &part->media});
            break;
        case CHAT_PART_DOCUMENT:
        case CHAT_PART_VIDEO:
        case CHAT_PART_RESULT:
            break;
        }
    }
}

void responses_write_answer(struct chat_writer *base, const struct chat_answer *answer)
{
    struct responses_writer *writer = (struct responses_writer *)base;
    const struct chat_choice *choice = answer->choice_count ? &answer->choices[0] : NULL;

    writer->is_quiet = true;
    writer->keep_max = 2 * (size_t)CHAT_GATHER_MAX_BYTES;
    tell(writer, (struct chat_event){.kind = CHAT_EVENT_START,
                                     .id = answer->id,
                                     .name = answer->model,
                                     .created_s = answer->created_s});
    writer->usage = answer->usage;
    if (choice) {
        tell_parts(writer, choice);
        tell(writer, (struct chat_event){.kind = CHAT_EVENT_FINISH,
                                         .finish = choice->finish,
                                         .text = choice->finish_text});
    }
    if (!writer->is_over)
        responses_object_write(writer, responses_status(writer), NULL);
}
