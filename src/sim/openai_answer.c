/* OpenAI's wire format: plain answers, and what they share with streams. */
#include <stdio.h>

#include "json/write.h"
#include "sim/openai.h"

void sim_openai_write_usage(const struct sim_answer *answer, const struct sim_stamp *stamp,
                            struct buf *out)
{
    unsigned long long prompt = answer->ask->prompt_tokens;
    unsigned long long completion = answer->completion_tokens;
    unsigned long long reasoning = answer->thought_tokens;
    unsigned long long cached = answer->ask->cached_tokens;

    buf_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,",
               prompt, completion, prompt + completion);
    if (stamp->form == SIM_OPENAI_DEEPSEEK)
        buf_printf(out,
                   "\"prompt_tokens_details\":{\"cached_tokens\":%llu},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":%llu},"
                   "\"prompt_cache_hit_tokens\":%llu,\"prompt_cache_miss_tokens\":%llu}",
                   cached, reasoning, cached, prompt - cached);
    else
        buf_printf(out,
                   "\"prompt_tokens_details\":{\"cached_tokens\":%llu,\"audio_tokens\":0},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":%llu,\"audio_tokens\":0,"
                   "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
                   cached, reasoning);
}

void sim_openai_write_finish(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    struct span reason = answer->ask->tool_count ? SPAN("tool_calls") : SPAN("stop");

    if (answer->choices[choice].is_cut)
        reason = SPAN("length");
    if (answer->is_blocked)
        reason = SPAN("content_filter");
    if (answer->finish.len)
        reason = answer->finish;
    json_write_string(out, reason);
}

void sim_openai_write_filters(bool is_blocked, struct buf *out)
{
    buf_printf(out,
               "{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},"
               "\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},"
               "\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},"
               "\"violence\":{\"filtered\":%s,\"severity\":\"%s\"}}",
               is_blocked ? "true" : "false", is_blocked ? "high" : "safe");
}

void sim_openai_write_prompt_filters(struct buf *out)
{
    buf_append_span(out, SPAN("\"prompt_filter_results\":[{\"prompt_index\":0,"
                              "\"content_filter_results\":"));
    sim_openai_write_filters(false, out);
    buf_append_span(out, SPAN("}]"));
}

static bool is_chat(const struct sim_answer *answer)
{
    return answer->ask->op == SIM_OP_CHAT;
}

/* What every answer and every chunk begins with, up to its choices. */
void sim_openai_write_opening(const struct sim_answer *answer, const struct sim_stamp *stamp,
                              const char *object, struct buf *out)
{
    buf_printf(out, "{\"id\":\"%s-%016llx\",\"object\":\"%s\",\"created\":%llu,\"model\":",
               is_chat(answer) ? "chatcmpl" : "cmpl", (unsigned long long)stamp->id, object,
               (unsigned long long)stamp->created_s);
    json_write_string(out, answer->ask->model);
    if (is_chat(answer) && stamp->form == SIM_OPENAI_PLAIN)
        buf_append_span(out, SPAN(",\"service_tier\":\"default\""));
    buf_printf(out, ",\"system_fingerprint\":\"fp_%016llx\",\"choices\":[",
               (unsigned long long)answer->ask->body_hash);
}

static void write_call_id(const struct sim_answer *answer, size_t choice, size_t call,
                          struct buf *out)
{
    struct sim_text *text = &answer->ask->texts[choice / answer->ask->choices];

    buf_printf(out, "\"call_%016llx_%zu\"", (unsigned long long)text->hash,
               choice * SIM_MAX_TOOLS + call);
}

void sim_openai_write_tool_call(const struct sim_answer *answer, size_t choice, size_t call,
                                struct span arguments, struct buf *out)
{
    const struct sim_tool *tool = sim_answer_tool(answer, call);

    buf_append_span(out, SPAN("\"id\":"));
    write_call_id(answer, choice, call, out);
    buf_printf(out, ",\"type\":\"%s\",\"%s\":{\"name\":", tool->is_custom ? "custom" : "function",
               tool->is_custom ? "custom" : "function");
    json_write_string(out, tool->name);
    buf_printf(out, ",\"%s\":", tool->is_custom ? "input" : "arguments");
    json_write_string(out, arguments);
    buf_append_byte(out, '}');
}

static void write_message_calls(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                size_t choice, struct buf *out)
{
    buf_append_span(out, SPAN("null,\"tool_calls\":["));
    for (size_t call = 0; call < sim_answer_calls(answer, choice); call++) {
        buf_append_span(out, call ? SPAN(",{") : SPAN("{"));
        if (stamp->form == SIM_OPENAI_DEEPSEEK)
            buf_printf(out, "\"index\":%zu,", call);
        sim_openai_write_tool_call(answer, choice, call, sim_answer_arguments(answer, choice, call),
                                   out);
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, ']');
}

static void write_message(const struct sim_answer *answer, const struct sim_stamp *stamp,
                          size_t choice, struct buf *out)
{
    buf_append_span(out, SPAN("{\"role\":\"assistant\",\"content\":"));
    if (answer->ask->tool_count && !answer->is_blocked)
        write_message_calls(answer, stamp, choice, out);
    else
        sim_answer_write_text(answer, choice, out);
    if (answer->ask->is_thinking_told) {
        buf_append_span(out, SPAN(",\"reasoning_content\":"));
        json_write_string(out, sim_answer_thought(answer, choice));
    }
    if (stamp->form != SIM_OPENAI_DEEPSEEK)
        buf_append_span(out, SPAN(",\"refusal\":null,\"annotations\":[]"));
    buf_append_byte(out, '}');
}

static void write_choice(const struct sim_answer *answer, const struct sim_stamp *stamp,
                         size_t choice, struct buf *out)
{
    if (!is_chat(answer)) {
        buf_append_span(out, SPAN("{\"text\":"));
        sim_answer_write_text(answer, choice, out);
        buf_printf(out, ",\"index\":%zu", choice);
    } else {
        buf_printf(out, "{\"index\":%zu,\"message\":", choice);
        write_message(answer, stamp, choice, out);
    }
    if (stamp->form == SIM_OPENAI_AZURE) {
        buf_append_span(out, SPAN(",\"content_filter_results\":"));
        sim_openai_write_filters(answer->is_blocked, out);
    }
    buf_append_span(out, SPAN(",\"logprobs\":null,\"finish_reason\":"));
    sim_openai_write_finish(answer, choice, out);
    buf_append_byte(out, '}');
}

void sim_openai_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                             struct buf *body)
{
    sim_openai_write_opening(answer, stamp, is_chat(answer) ? "chat.completion" : "text_completion",
                             body);
    for (size_t i = 0; i < answer->choice_count; i++) {
        if (i)
            buf_append_byte(body, ',');
        write_choice(answer, stamp, i, body);
    }
    buf_append_byte(body, ']');
    if (stamp->has_usage) {
        buf_append_span(body, SPAN(",\"usage\":"));
        sim_openai_write_usage(answer, stamp, body);
    }
    if (stamp->form == SIM_OPENAI_AZURE) {
        buf_append_byte(body, ',');
        sim_openai_write_prompt_filters(body);
    }
    buf_append_byte(body, '}');
}
