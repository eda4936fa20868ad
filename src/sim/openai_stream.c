/* OpenAI's wire format: the events of a stream. */
#include "json/write.h"
#include "sim/fields.h"
#include "sim/openai.h"

static bool is_chat(const struct sim_answer *answer)
{
    return answer->ask->op == SIM_OP_CHAT;
}

static void write_start(const struct sim_answer *answer, const struct sim_stamp *stamp,
                        struct buf *out)
{
    if (answer->ask->is_thinking_told)
        buf_append_span(out,
                        SPAN("\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\""));
    else if (stamp->form == SIM_OPENAI_DEEPSEEK)
        buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":\"\""));
    else
        buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
}

static void write_call(const struct sim_answer *answer, const struct sim_event *event,
                       struct buf *out)
{
    bool is_first = event->call == 0 && !answer->ask->is_thinking_told;

    if (is_first)
        buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":null,"));
    buf_printf(out, "\"tool_calls\":[{\"index\":%u,", event->call);
    sim_openai_write_tool_call(answer, event->choice, event->call, SPAN(""), out);
    buf_append_span(out, is_first ? SPAN("}],\"refusal\":null") : SPAN("}]"));
}

static void write_delta(const struct sim_answer *answer, const struct sim_event *event,
                        const struct sim_stamp *stamp, struct buf *out)
{
    const char *field;

    switch (event->kind) {
    case SIM_EVENT_START:
        write_start(answer, stamp, out);
        break;
    case SIM_EVENT_THOUGHT:
        buf_append_span(out, SPAN("\"content\":null,\"reasoning_content\":"));
        json_write_string(out, event->text);
        break;
    case SIM_EVENT_TEXT:
        buf_append_span(out, SPAN("\"content\":"));
        json_write_string(out, event->text);
        if (answer->ask->is_thinking_told)
            buf_append_span(out, SPAN(",\"reasoning_content\":null"));
        break;
    case SIM_EVENT_CALL:
        write_call(answer, event, out);
        break;
    case SIM_EVENT_ARGUMENTS:
        field = sim_answer_tool(answer, event->call)->is_custom ? "\"custom\":{\"input\":"
                                                                : "\"function\":{\"arguments\":";
        buf_printf(out, "\"tool_calls\":[{\"index\":%u,%s", event->call, field);
        json_write_string(out, event->text);
        buf_append_span(out, SPAN("}}]"));
        break;
    case SIM_EVENT_FINISH:
    case SIM_EVENT_USAGE:
    case SIM_EVENT_END:
        break;
    }
}

static void write_chunk_choice(const struct sim_answer *answer, const struct sim_event *event,
                               const struct sim_stamp *stamp, struct buf *out)
{
    if (is_chat(answer)) {
        buf_printf(out, "{\"index\":%u,\"delta\":{", event->choice);
        write_delta(answer, event, stamp, out);
        buf_append_byte(out, '}');
    } else {
        buf_append_span(out, SPAN("{\"text\":"));
        json_write_string(out, event->text.ptr ? event->text : SPAN(""));
        buf_printf(out, ",\"index\":%u", event->choice);
    }
    if (stamp->form == SIM_OPENAI_AZURE) {
        buf_append_span(out, SPAN(",\"content_filter_results\":"));
        if (event->kind == SIM_EVENT_TEXT || answer->is_blocked)
            sim_openai_write_filters(answer->is_blocked, out);
        else
            buf_append_span(out, SPAN("{}"));
    }
    buf_append_span(out, SPAN(",\"logprobs\":null,\"finish_reason\":"));
    if (event->kind == SIM_EVENT_FINISH)
        sim_openai_write_finish(answer, event->choice, out);
    else
        buf_append_span(out, SPAN("null"));
    buf_append_byte(out, '}');
}

void sim_openai_write_padding(const struct sim_stamp *stamp, struct buf *out)
{
    uint64_t dice = (stamp->id + out->len) * 0x9e3779b97f4a7c15ull;

    buf_printf(out, ",\"obfuscation\":\"%.*s\"", 1 + (int)(dice >> 60), "aQ3xZ9kLm7Bv2Tc5");
}

/* Behind the choices: where usage stands, if anywhere. */
static void write_chunk_usage(const struct sim_answer *answer, const struct sim_event *event,
                              const struct sim_stamp *stamp, struct buf *out)
{
    bool is_apart = answer->ask->is_usage_apart;

    if (!stamp->has_usage || (!is_apart && event->kind != SIM_EVENT_FINISH))
        return;
    buf_append_span(out, SPAN(",\"usage\":"));
    if (!is_apart || event->kind == SIM_EVENT_USAGE)
        sim_openai_write_usage(answer, stamp, out);
    else
        buf_append_span(out, SPAN("null"));
}

/* What Azure says of the prompt, before all else. */
static void write_azure_lead(const struct sim_stamp *stamp, struct buf *out)
{
    buf_append_span(out, SPAN("data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
                              "\"object\":\"\","));
    sim_openai_write_prompt_filters(out);
    buf_append_byte(out, '}');
    sim_end_event(stamp, out);
}

void sim_openai_write_event(const struct sim_answer *answer, const struct sim_event *event,
                            const struct sim_stamp *stamp, struct buf *body)
{
    if (event->kind == SIM_EVENT_END) {
        buf_append_span(body, SPAN("data: [DONE]"));
        sim_end_event(stamp, body);
        return;
    }
    if (stamp->form == SIM_OPENAI_AZURE && !stamp->is_begun)
        write_azure_lead(stamp, body);
    buf_append_span(body, SPAN("data: "));
    sim_openai_write_opening(answer, stamp,
                             is_chat(answer) ? "chat.completion.chunk" : "text_completion", body);
    if (event->kind != SIM_EVENT_USAGE)
        write_chunk_choice(answer, event, stamp, body);
    buf_append_byte(body, ']');
    write_chunk_usage(answer, event, stamp, body);
    if (stamp->is_padded)
        sim_openai_write_padding(stamp, body);
    buf_append_byte(body, '}');
    sim_end_event(stamp, body);
}
