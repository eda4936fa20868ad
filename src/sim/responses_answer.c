/* The wire format of OpenAI's Responses: the response and the items of its output. */
#include "sim/responses.h"

#include "json/write.h"

bool sim_responses_has_thought(const struct sim_answer *answer)
{
    return answer->choices[0].thought_count > 0;
}

bool sim_responses_has_calls(const struct sim_answer *answer)
{
    return answer->ask->tool_count > 0 && !answer->is_blocked;
}

static struct span reason_of(const struct sim_answer *answer)
{
    if (answer->finish.len)
        return answer->finish;
    if (answer->is_blocked)
        return SPAN("content_filter");
    return answer->choices[0].is_cut ? SPAN("max_output_tokens") : SPAN("");
}

const char *sim_responses_status(const struct sim_answer *answer)
{
    return reason_of(answer).len ? "incomplete" : "completed";
}

static const char *stage_text(enum sim_responses_stage stage)
{
    return stage == SIM_RESPONSES_ADDED ? "in_progress" : "completed";
}

/* --- items --- */

void sim_responses_write_reasoning(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                   enum sim_responses_stage stage, struct buf *out)
{
    buf_printf(out, "{\"id\":\"rs_%016llx\",\"type\":\"reasoning\",\"summary\":[",
               (unsigned long long)stamp->id);
    if (stage == SIM_RESPONSES_DONE && answer->ask->is_thinking_told) {
        buf_append_span(out, SPAN("{\"type\":\"summary_text\",\"text\":"));
        json_write_string(out, sim_answer_thought(answer, 0));
        buf_append_byte(out, '}');
    }
    buf_append_span(out, SPAN("]}"));
}

void sim_responses_write_part(const struct sim_answer *answer, enum sim_responses_stage stage,
                              struct buf *out)
{
    buf_append_span(out, SPAN("{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],"
                              "\"text\":"));
    if (stage == SIM_RESPONSES_ADDED)
        buf_append_span(out, SPAN("\"\""));
    else
        sim_answer_write_text(answer, 0, out);
    buf_append_byte(out, '}');
}

void sim_responses_write_message(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                 enum sim_responses_stage stage, struct buf *out)
{
    const char *status =
        answer->choices[0].is_cut && stage == SIM_RESPONSES_DONE ? "incomplete" : stage_text(stage);

    buf_printf(out,
               "{\"id\":\"msg_%016llx\",\"type\":\"message\",\"status\":\"%s\",\"role\":"
               "\"assistant\",\"content\":[",
               (unsigned long long)stamp->id, status);
    if (stage == SIM_RESPONSES_DONE)
        sim_responses_write_part(answer, stage, out);
    buf_append_span(out, SPAN("]}"));
}

void sim_responses_write_call_id(const struct sim_answer *answer, size_t call, struct buf *out)
{
    bool is_custom = sim_answer_tool(answer, call)->is_custom;

    buf_printf(out, "\"%s_%016llx_%zu\"", is_custom ? "ctc" : "fc",
               (unsigned long long)answer->ask->texts[0].hash, call);
}

void sim_responses_write_call(const struct sim_answer *answer, size_t call,
                              enum sim_responses_stage stage, struct buf *out)
{
    const struct sim_tool *tool = sim_answer_tool(answer, call);

    buf_append_span(out, SPAN("{\"id\":"));
    sim_responses_write_call_id(answer, call, out);
    buf_printf(out, ",\"type\":\"%s\",\"status\":\"%s\",\"call_id\":\"call_%016llx_%zu\",\"name\":",
               tool->is_custom ? "custom_tool_call" : "function_call", stage_text(stage),
               (unsigned long long)answer->ask->texts[0].hash, call);
    json_write_string(out, tool->name);
    buf_append_span(out, tool->is_custom ? SPAN(",\"input\":") : SPAN(",\"arguments\":"));
    json_write_string(out, stage == SIM_RESPONSES_ADDED ? SPAN("")
                                                        : sim_answer_arguments(answer, 0, call));
    buf_append_byte(out, '}');
}

static void write_output(const struct sim_answer *answer, const struct sim_stamp *stamp,
                         struct buf *out)
{
    bool has_thought = sim_responses_has_thought(answer);
    size_t calls = sim_responses_has_calls(answer) ? sim_answer_calls(answer, 0) : 0;

    if (has_thought)
        sim_responses_write_reasoning(answer, stamp, SIM_RESPONSES_DONE, out);
    if (has_thought && !answer->is_blocked)
        buf_append_byte(out, ',');
    for (size_t call = 0; call < calls; call++) {
        if (call)
            buf_append_byte(out, ',');
        sim_responses_write_call(answer, call, SIM_RESPONSES_DONE, out);
    }
    if (!calls && !answer->is_blocked)
        sim_responses_write_message(answer, stamp, SIM_RESPONSES_DONE, out);
}

/* --- the response --- */

static void write_usage(const struct sim_answer *answer, struct buf *out)
{
    unsigned long long input = answer->ask->prompt_tokens, output = answer->completion_tokens;

    buf_printf(out,
               "{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":%llu,"
               "\"cache_write_tokens\":0},\"output_tokens\":%llu,\"output_tokens_details\":{"
               "\"reasoning_tokens\":%llu},\"total_tokens\":%llu}",
               input, (unsigned long long)answer->ask->cached_tokens, output,
               (unsigned long long)answer->thought_tokens, input + output);
}

static void write_end(const struct sim_answer *answer, bool is_done, struct buf *out)
{
    struct span reason = reason_of(answer);

    buf_printf(out, ",\"status\":\"%s\",\"error\":null,\"incomplete_details\":",
               is_done ? sim_responses_status(answer) : "in_progress");
    if (!is_done || !reason.len) {
        buf_append_span(out, SPAN("null"));
        return;
    }
    buf_append_span(out, SPAN("{\"reason\":"));
    json_write_string(out, reason);
    buf_append_byte(out, '}');
}

void sim_responses_write_response(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                  enum sim_responses_stage stage, struct buf *out)
{
    bool is_done = stage == SIM_RESPONSES_DONE;

    buf_printf(out, "{\"id\":\"resp_%016llx\",\"object\":\"response\",\"created_at\":%llu",
               (unsigned long long)stamp->id, (unsigned long long)stamp->created_s);
    write_end(answer, is_done, out);
    buf_append_span(out, SPAN(",\"instructions\":null,\"max_output_tokens\":null,\"model\":"));
    json_write_string(out, answer->ask->model);
    buf_append_span(out, SPAN(",\"output\":["));
    if (is_done)
        write_output(answer, stamp, out);
    buf_append_span(out, SPAN("],\"parallel_tool_calls\":true,\"previous_response_id\":null,"
                              "\"reasoning\":{\"effort\":null,\"summary\":null},\"store\":false,"
                              "\"temperature\":1.0,\"text\":{\"format\":{\"type\":\"text\"}},"
                              "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":"
                              "\"disabled\",\"usage\":"));
    if (is_done && stamp->has_usage)
        write_usage(answer, out);
    else
        buf_append_span(out, SPAN("null"));
    buf_append_span(out, SPAN(",\"metadata\":{}}"));
}

void sim_responses_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                struct buf *body)
{
    sim_responses_write_response(answer, stamp, SIM_RESPONSES_DONE, body);
}
