/* Gemini's wire format: answers and streams. What is zero or empty is left out, as protobuf's JSON
 * does. */
#include "json/write.h"
#include "sim/fields.h"
#include "sim/gemini.h"

/* A number behind a comma, unless it is 0. */
static void write_count(const char *name, uint64_t count, struct buf *out)
{
    if (count)
        buf_printf(out, ",\"%s\":%llu", name, (unsigned long long)count);
}

static void write_usage(const struct sim_ask *ask, uint64_t candidates, uint64_t thoughts,
                        struct buf *out)
{
    unsigned long long prompt = ask->prompt_tokens;

    buf_printf(out, "\"usageMetadata\":{\"promptTokenCount\":%llu", prompt);
    write_count("candidatesTokenCount", candidates, out);
    write_count("thoughtsTokenCount", thoughts, out);
    write_count("cachedContentTokenCount", ask->cached_tokens, out);
    buf_printf(out,
               ",\"totalTokenCount\":%llu,\"promptTokensDetails\":[{\"modality\":\"TEXT\","
               "\"tokenCount\":%llu}]},",
               prompt + (unsigned long long)(candidates + thoughts), prompt);
}

/* What every answer and every chunk ends with. */
static void write_closing(const struct sim_answer *answer, const struct sim_stamp *stamp,
                          struct buf *out)
{
    buf_append_span(out, SPAN("\"modelVersion\":"));
    json_write_string(out, answer->ask->model);
    buf_printf(out, ",\"responseId\":\"%016llx\"}", (unsigned long long)stamp->id);
}

static void write_blocked(struct buf *out)
{
    buf_append_span(out, SPAN("\"promptFeedback\":{\"blockReason\":\"SAFETY\",\"safetyRatings\":[{"
                              "\"category\":\"HARM_CATEGORY_DANGEROUS_CONTENT\",\"probability\":"
                              "\"HIGH\",\"blocked\":true}]},"));
}

static void write_text_part(struct span text, bool is_thought, struct buf *out)
{
    buf_append_span(out, SPAN("{\"text\":"));
    json_write_string(out, text);
    buf_append_span(out, is_thought ? SPAN(",\"thought\":true}") : SPAN("}"));
}

/* Without an id, and without arguments where it has none. */
static void write_call_part(const struct sim_answer *answer, size_t choice, size_t call,
                            struct buf *out)
{
    struct span name = sim_answer_tool(answer, call)->name;
    char signature[SIM_GEMINI_SIGNATURE_BYTES];

    buf_append_span(out, SPAN("{\"functionCall\":{\"name\":"));
    json_write_string(out, name);
    if (!answer->ask->is_call_bare) {
        buf_append_span(out, SPAN(",\"args\":"));
        buf_append_span(out, sim_answer_arguments(answer, choice, call));
    }
    buf_append_byte(out, '}');
    if (call == 0 && sim_gemini_signs(answer->ask->model)) {
        sim_gemini_sign(answer->ask->model, name, signature);
        buf_printf(out, ",\"thoughtSignature\":\"%s\"", signature);
    }
    buf_append_byte(out, '}');
}

static void write_finish(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    struct span reason = answer->choices[choice].is_cut ? SPAN("MAX_TOKENS") : SPAN("STOP");

    buf_append_span(out, SPAN(",\"finishReason\":"));
    json_write_string(out, answer->finish.len ? answer->finish : reason);
}

/* --- plain answers --- */

static void write_parts(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    const struct sim_choice *said = &answer->choices[choice];
    bool has_thought = answer->ask->is_thinking_told && said->thought_count;
    bool is_first = !has_thought;

    if (has_thought)
        write_text_part(sim_answer_thought(answer, choice), true, out);
    if (!answer->ask->tool_count && said->piece_count) {
        buf_append_span(out, is_first ? SPAN("{\"text\":") : SPAN(",{\"text\":"));
        sim_answer_write_text(answer, choice, out);
        buf_append_byte(out, '}');
    }
    for (size_t call = 0; answer->ask->tool_count && sim_answer_is_call_whole(answer, choice, call);
         call++) {
        if (!is_first)
            buf_append_byte(out, ',');
        is_first = false;
        write_call_part(answer, choice, call, out);
    }
}

static void write_candidate(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    struct buf parts;

    buf_init(&parts, SIZE_MAX);
    write_parts(answer, choice, &parts);
    buf_append_span(out, SPAN("{\"content\":{"));
    if (parts.len) {
        buf_append_span(out, SPAN("\"parts\":["));
        buf_append_span(out, buf_span(&parts));
        buf_append_span(out, SPAN("],"));
    }
    if (parts.err)
        out->err = parts.err;
    buf_fini(&parts);
    buf_append_span(out, SPAN("\"role\":\"model\"}"));
    write_finish(answer, choice, out);
    write_count("index", choice, out);
    buf_append_byte(out, '}');
}

void sim_gemini_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                             struct buf *body)
{
    buf_append_byte(body, '{');
    if (answer->is_blocked) {
        write_blocked(body);
    } else {
        buf_append_span(body, SPAN("\"candidates\":["));
        for (size_t i = 0; i < answer->choice_count; i++) {
            if (i)
                buf_append_byte(body, ',');
            write_candidate(answer, i, body);
        }
        buf_append_span(body, SPAN("],"));
    }
    if (stamp->has_usage)
        write_usage(answer->ask, answer->completion_tokens - answer->thought_tokens,
                    answer->thought_tokens, body);
    write_closing(answer, stamp, body);
}

/* --- streams --- */

/* Tokens told up to here: each chunk says how many there were in all. */
static void write_usage_so_far(const struct sim_answer *answer, struct buf *out)
{
    uint64_t candidates = 0, thoughts = 0;

    for (size_t i = 0; i < answer->choice_count; i++) {
        const struct sim_choice *choice = &answer->choices[i];

        if (choice->is_finished) {
            candidates += choice->piece_count;
            thoughts += choice->thought_count;
        } else {
            candidates += choice->piece + choice->call * choice->content_count;
            thoughts += choice->thoughts_told;
        }
    }
    write_usage(answer->ask, candidates, thoughts, out);
}

static void begin_chunk(const struct sim_stamp *stamp, struct buf *out)
{
    if (stamp->form == SIM_GEMINI_SSE)
        buf_append_span(out, SPAN("data: "));
    else
        buf_append_span(out, stamp->is_begun ? SPAN("\r\n,\r\n") : SPAN("["));
}

static void end_chunk(const struct sim_stamp *stamp, struct buf *out)
{
    if (stamp->form == SIM_GEMINI_SSE)
        buf_append_span(out, SPAN("\r\n\r\n"));
}

static void write_chunk_candidate(const struct sim_answer *answer, const struct sim_event *event,
                                  struct buf *out)
{
    buf_append_span(out, SPAN("\"candidates\":[{\"content\":{\"parts\":["));
    if (event->kind == SIM_EVENT_CALL)
        write_call_part(answer, event->choice, event->call, out);
    else
        write_text_part(event->text.ptr ? event->text : SPAN(""), event->kind == SIM_EVENT_THOUGHT,
                        out);
    buf_append_span(out, SPAN("],\"role\":\"model\"}"));
    if (event->kind == SIM_EVENT_FINISH)
        write_finish(answer, event->choice, out);
    write_count("index", event->choice, out);
    buf_append_span(out, SPAN("}],"));
}

void sim_gemini_write_event(const struct sim_answer *answer, const struct sim_event *event,
                            const struct sim_stamp *stamp, struct buf *body)
{
    if (event->kind == SIM_EVENT_END) {
        if (stamp->form == SIM_GEMINI_ARRAY)
            buf_append_byte(body, ']');
        return;
    }
    begin_chunk(stamp, body);
    buf_append_byte(body, '{');
    if (answer->is_blocked)
        write_blocked(body);
    else
        write_chunk_candidate(answer, event, body);
    if (stamp->has_usage)
        write_usage_so_far(answer, body);
    write_closing(answer, stamp, body);
    end_chunk(stamp, body);
}
