/* Anthropic's wire format: answers and streams. */
#include <stdio.h>

#include "json/write.h"
#include "sim/anthropic.h"
#include "sim/fields.h"

void sim_anthropic_sign(struct span thought, char signature[SIM_ANTHROPIC_SIGNATURE_BYTES])
{
    snprintf(signature, SIM_ANTHROPIC_SIGNATURE_BYTES, "EqQB%016llx",
             (unsigned long long)sim_hash(thought));
}

static bool has_thought(const struct sim_answer *answer)
{
    return answer->ask->is_thinking_told && answer->choices[0].thought_count > 0;
}

static bool has_calls(const struct sim_answer *answer)
{
    return answer->ask->tool_count > 0 && !answer->is_blocked;
}

static void write_usage(const struct sim_answer *answer, uint64_t output_tokens, struct buf *out)
{
    const struct sim_ask *ask = answer->ask;

    buf_printf(out,
               "{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,"
               "\"cache_read_input_tokens\":%llu,\"cache_creation\":{\"ephemeral_5m_input_tokens\":"
               "0,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":%llu,",
               (unsigned long long)(ask->prompt_tokens - ask->cached_tokens),
               (unsigned long long)ask->cached_tokens, (unsigned long long)output_tokens);
    if (ask->is_thinking)
        buf_printf(out, "\"output_tokens_details\":{\"thinking_tokens\":%llu},",
                   (unsigned long long)answer->thought_tokens);
    buf_append_span(out, SPAN("\"service_tier\":\"standard\"}"));
}

static void write_stop(const struct sim_answer *answer, struct buf *out)
{
    struct span reason = has_calls(answer) ? SPAN("tool_use") : SPAN("end_turn");

    if (answer->choices[0].is_cut)
        reason = SPAN("max_tokens");
    if (answer->choices[0].stop.ptr)
        reason = SPAN("stop_sequence");
    if (answer->is_blocked)
        reason = SPAN("refusal");
    if (answer->finish.len)
        reason = answer->finish;
    buf_append_span(out, SPAN("\"stop_reason\":"));
    json_write_string(out, reason);
    buf_append_span(out, SPAN(",\"stop_sequence\":"));
    if (answer->choices[0].stop.ptr)
        json_write_string(out, answer->choices[0].stop);
    else
        buf_append_span(out, SPAN("null"));
    buf_append_span(out, SPAN(",\"stop_details\":"));
    if (answer->is_blocked)
        buf_append_span(out, SPAN("{\"type\":\"refusal\",\"category\":\"general_harms\","
                                  "\"explanation\":\"A filter withheld this answer.\"}"));
    else
        buf_append_span(out, SPAN("null"));
}

/* What a message begins with, up to its content. */
static void write_opening(const struct sim_answer *answer, const struct sim_stamp *stamp,
                          struct buf *out)
{
    buf_printf(out,
               "{\"id\":\"msg_%016llx\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
               (unsigned long long)stamp->id);
    json_write_string(out, answer->ask->model);
    buf_append_span(out, SPAN(",\"content\":["));
}

/* --- blocks --- */

/* A call's members up to its input. */
static void write_call(const struct sim_answer *answer, size_t call, struct buf *out)
{
    buf_printf(out, "{\"type\":\"tool_use\",\"id\":\"toolu_%016llx_%zu\",\"name\":",
               (unsigned long long)answer->ask->texts[0].hash, call);
    json_write_string(out, sim_answer_tool(answer, call)->name);
    buf_append_span(out, SPAN(",\"input\":"));
}

static void write_calls(const struct sim_answer *answer, struct buf *out)
{
    for (size_t call = 0; call < sim_answer_calls(answer, 0); call++) {
        if (call)
            buf_append_byte(out, ',');
        write_call(answer, call, out);
        /* What was cut is no JSON: nothing is left of it. */
        buf_append_span(out, sim_answer_is_call_whole(answer, 0, call)
                                 ? sim_answer_arguments(answer, 0, call)
                                 : SPAN("{}"));
        buf_append_byte(out, '}');
    }
}

static void write_thought(const struct sim_answer *answer, struct buf *out)
{
    char signature[SIM_ANTHROPIC_SIGNATURE_BYTES];
    struct span thought = sim_answer_thought(answer, 0);

    sim_anthropic_sign(thought, signature);
    buf_append_span(out, SPAN("{\"type\":\"thinking\",\"thinking\":"));
    json_write_string(out, thought);
    buf_printf(out, ",\"signature\":\"%s\"}", signature);
}

void sim_anthropic_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                struct buf *body)
{
    bool has_words = !has_calls(answer) && answer->choices[0].piece_count > 0;

    write_opening(answer, stamp, body);
    if (has_thought(answer))
        write_thought(answer, body);
    if (has_thought(answer) && (has_words || has_calls(answer)))
        buf_append_byte(body, ',');
    if (has_calls(answer)) {
        write_calls(answer, body);
    } else if (has_words) {
        buf_append_span(body, SPAN("{\"type\":\"text\",\"text\":"));
        sim_answer_write_text(answer, 0, body);
        buf_append_byte(body, '}');
    }
    buf_append_span(body, SPAN("],"));
    write_stop(answer, body);
    if (stamp->has_usage) {
        buf_append_span(body, SPAN(",\"usage\":"));
        write_usage(answer, answer->completion_tokens, body);
    }
    buf_append_byte(body, '}');
}

/* --- streams --- */

/* A frame up to the members behind its type. */
static void begin_frame(const char *type, const struct sim_stamp *stamp, struct buf *out)
{
    buf_printf(out, "event: %s%sdata: {\"type\":\"%s\"", type, stamp->is_crlf ? "\r\n" : "\n",
               type);
}

static void end_frame(const struct sim_stamp *stamp, struct buf *out)
{
    buf_append_byte(out, '}');
    sim_end_event(stamp, out);
}

static void begin_block(size_t index, const struct sim_stamp *stamp, struct buf *out)
{
    begin_frame("content_block_start", stamp, out);
    buf_printf(out, ",\"index\":%zu,\"content_block\":", index);
}

static void begin_text(size_t index, const struct sim_stamp *stamp, struct buf *out)
{
    begin_block(index, stamp, out);
    buf_append_span(out, SPAN("{\"type\":\"text\",\"text\":\"\"}"));
    end_frame(stamp, out);
}

static void end_block(size_t index, const struct sim_stamp *stamp, struct buf *out)
{
    begin_frame("content_block_stop", stamp, out);
    buf_printf(out, ",\"index\":%zu", index);
    end_frame(stamp, out);
}

/* One piece of a block: {"type": "text_delta", "text": ...} and its like. */
static void write_piece(size_t index, const char *type, const char *member, struct span text,
                        const struct sim_stamp *stamp, struct buf *out)
{
    begin_frame("content_block_delta", stamp, out);
    buf_printf(out, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", index, type, member);
    json_write_string(out, text);
    buf_append_byte(out, '}');
    end_frame(stamp, out);
}

static void write_start(const struct sim_answer *answer, const struct sim_stamp *stamp,
                        struct buf *out)
{
    begin_frame("message_start", stamp, out);
    buf_append_span(out, SPAN(",\"message\":"));
    write_opening(answer, stamp, out);
    buf_append_span(out, SPAN("],\"stop_reason\":null,\"stop_sequence\":null"));
    if (stamp->has_usage) {
        buf_append_span(out, SPAN(",\"usage\":"));
        write_usage(answer, 1, out);
    }
    buf_append_byte(out, '}');
    end_frame(stamp, out);
    if (has_thought(answer)) {
        begin_block(0, stamp, out);
        buf_append_span(out, SPAN("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"));
        end_frame(stamp, out);
    } else if (!answer->ask->tool_count && !answer->is_blocked) {
        begin_text(0, stamp, out);
    }
    begin_frame("ping", stamp, out);
    end_frame(stamp, out);
}

static void write_thinking(const struct sim_answer *answer, const struct sim_event *event,
                           const struct sim_stamp *stamp, struct buf *out)
{
    char signature[SIM_ANTHROPIC_SIGNATURE_BYTES];

    write_piece(0, "thinking_delta", "thinking", event->text, stamp, out);
    if (!event->is_last)
        return;
    sim_anthropic_sign(sim_answer_thought(answer, 0), signature);
    write_piece(0, "signature_delta", "signature", span_from_text(signature), stamp, out);
    end_block(0, stamp, out);
    if (!has_calls(answer))
        begin_text(1, stamp, out);
}

static void write_call_start(const struct sim_answer *answer, size_t call, size_t index,
                             const struct sim_stamp *stamp, struct buf *out)
{
    if (call)
        end_block(index - 1, stamp, out);
    begin_block(index, stamp, out);
    write_call(answer, call, out);
    buf_append_span(out, SPAN("{}}"));
    end_frame(stamp, out);
    write_piece(index, "input_json_delta", "partial_json", SPAN(""), stamp, out);
}

static void write_finish(const struct sim_answer *answer, const struct sim_stamp *stamp,
                         struct buf *out)
{
    size_t calls = has_calls(answer) ? sim_answer_calls(answer, 0) : 1;

    if (!answer->is_blocked)
        end_block(calls - 1 + has_thought(answer), stamp, out);
    begin_frame("message_delta", stamp, out);
    buf_append_span(out, SPAN(",\"delta\":{"));
    write_stop(answer, out);
    buf_append_byte(out, '}');
    if (stamp->has_usage) {
        buf_append_span(out, SPAN(",\"usage\":"));
        write_usage(answer, answer->completion_tokens, out);
    }
    end_frame(stamp, out);
}

void sim_anthropic_write_event(const struct sim_answer *answer, const struct sim_event *event,
                               const struct sim_stamp *stamp, struct buf *body)
{
    size_t index = event->call + has_thought(answer);

    switch (event->kind) {
    case SIM_EVENT_START:
        write_start(answer, stamp, body);
        break;
    case SIM_EVENT_THOUGHT:
        write_thinking(answer, event, stamp, body);
        break;
    case SIM_EVENT_TEXT:
        write_piece(index, "text_delta", "text", event->text, stamp, body);
        break;
    case SIM_EVENT_CALL:
        write_call_start(answer, event->call, index, stamp, body);
        break;
    case SIM_EVENT_ARGUMENTS:
        /* No arguments are told as no text at all, not as an empty object. */
        if (answer->ask->is_call_bare)
            break;
        write_piece(index, "input_json_delta", "partial_json", event->text, stamp, body);
        break;
    case SIM_EVENT_FINISH:
        write_finish(answer, stamp, body);
        break;
    case SIM_EVENT_END:
        begin_frame("message_stop", stamp, body);
        end_frame(stamp, body);
        break;
    case SIM_EVENT_USAGE:
        break;
    }
}
