/* OpenAI's wire format: answers, streams, embeddings and lists of models. */
#include <stdio.h>

#include "json/write.h"
#include "sim/openai.h"

/* --- answers --- */

static void write_usage(const struct sim_ask *ask, uint64_t completion_tokens, struct buf *out)
{
    buf_printf(out,
               "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
               "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
               "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
               (unsigned long long)ask->prompt_tokens, (unsigned long long)completion_tokens,
               (unsigned long long)(ask->prompt_tokens + completion_tokens));
}

static const char *finish_reason(const struct sim_answer *answer, size_t choice)
{
    if (answer->choices[choice].is_cut)
        return "length";
    return answer->ask->tool_count ? "tool_calls" : "stop";
}

static bool is_chat(const struct sim_answer *answer)
{
    return answer->ask->op == SIM_OP_CHAT;
}

/* What every answer and every chunk begins with, up to its choices. */
static void write_opening(const struct sim_answer *answer, const struct sim_stamp *stamp,
                          const char *object, struct buf *out)
{
    buf_printf(out, "{\"id\":\"%s-%016llx\",\"object\":\"%s\",\"created\":%llu,\"model\":",
               is_chat(answer) ? "chatcmpl" : "cmpl", (unsigned long long)stamp->id, object,
               (unsigned long long)stamp->created_s);
    json_write_string(out, answer->ask->model);
    if (is_chat(answer))
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

static void write_tool_call(const struct sim_answer *answer, size_t choice, size_t call,
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

static void write_message_calls(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    buf_append_span(out, SPAN("null,\"refusal\":null,\"annotations\":[],\"tool_calls\":["));
    for (size_t call = 0; call < sim_answer_calls(answer, choice); call++) {
        buf_append_span(out, call ? SPAN(",{") : SPAN("{"));
        write_tool_call(answer, choice, call, sim_answer_arguments(answer, choice, call), out);
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, ']');
}

static void write_text_of(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    struct buf scratch;

    buf_init(&scratch, SIZE_MAX);
    json_write_string(out, sim_answer_text(answer, choice, &scratch));
    if (scratch.err && !out->err)
        out->err = scratch.err;
    buf_fini(&scratch);
}

static void write_choice(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    if (!is_chat(answer)) {
        buf_append_span(out, SPAN("{\"text\":"));
        write_text_of(answer, choice, out);
        buf_printf(out, ",\"index\":%zu", choice);
    } else {
        buf_printf(out, "{\"index\":%zu,\"message\":{\"role\":\"assistant\",\"content\":", choice);
        if (answer->ask->tool_count) {
            write_message_calls(answer, choice, out);
        } else {
            write_text_of(answer, choice, out);
            buf_append_span(out, SPAN(",\"refusal\":null,\"annotations\":[]"));
        }
        buf_append_byte(out, '}');
    }
    buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_reason(answer, choice));
}

void sim_openai_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                             struct buf *body)
{
    write_opening(answer, stamp, is_chat(answer) ? "chat.completion" : "text_completion", body);
    for (size_t i = 0; i < answer->choice_count; i++) {
        if (i)
            buf_append_byte(body, ',');
        write_choice(answer, i, body);
    }
    buf_append_byte(body, ']');
    if (stamp->has_usage) {
        buf_append_span(body, SPAN(",\"usage\":"));
        write_usage(answer->ask, answer->completion_tokens, body);
    }
    buf_append_byte(body, '}');
}

/* --- streams --- */

static void write_delta(const struct sim_answer *answer, const struct sim_event *event,
                        struct buf *out)
{
    const char *field;

    switch (event->kind) {
    case SIM_EVENT_START:
        buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
        break;
    case SIM_EVENT_TEXT:
        buf_append_span(out, SPAN("\"content\":"));
        json_write_string(out, event->text);
        break;
    case SIM_EVENT_CALL:
        if (event->call == 0)
            buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":null,"));
        buf_printf(out, "\"tool_calls\":[{\"index\":%u,", event->call);
        write_tool_call(answer, event->choice, event->call, SPAN(""), out);
        buf_append_span(out, event->call ? SPAN("}]") : SPAN("}],\"refusal\":null"));
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
                               struct buf *out)
{
    if (is_chat(answer)) {
        buf_printf(out, "{\"index\":%u,\"delta\":{", event->choice);
        write_delta(answer, event, out);
        buf_append_byte(out, '}');
    } else {
        buf_append_span(out, SPAN("{\"text\":"));
        json_write_string(out, event->text.ptr ? event->text : SPAN(""));
        buf_printf(out, ",\"index\":%u", event->choice);
    }
    if (event->kind == SIM_EVENT_FINISH)
        buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}",
                   finish_reason(answer, event->choice));
    else
        buf_append_span(out, SPAN(",\"logprobs\":null,\"finish_reason\":null}"));
}

/* Of a length that varies from event to event, as the real one has it against eavesdroppers. */
static void write_padding(const struct sim_stamp *stamp, const struct buf *out_so_far,
                          struct buf *out)
{
    uint64_t dice = (stamp->id + out_so_far->len) * 0x9e3779b97f4a7c15ull;

    buf_printf(out, ",\"obfuscation\":\"%.*s\"", 1 + (int)(dice >> 60), "aQ3xZ9kLm7Bv2Tc5");
}

void sim_openai_write_event(const struct sim_answer *answer, const struct sim_event *event,
                            const struct sim_stamp *stamp, struct buf *body)
{
    bool is_usage = event->kind == SIM_EVENT_USAGE;

    if (event->kind == SIM_EVENT_END) {
        buf_append_span(body, SPAN("data: [DONE]"));
        sim_openai_end_event(stamp, body);
        return;
    }
    buf_append_span(body, SPAN("data: "));
    write_opening(answer, stamp, is_chat(answer) ? "chat.completion.chunk" : "text_completion",
                  body);
    if (!is_usage)
        write_chunk_choice(answer, event, body);
    buf_append_byte(body, ']');
    if (is_usage) {
        buf_append_span(body, SPAN(",\"usage\":"));
        write_usage(answer->ask, answer->completion_tokens, body);
    } else if (stamp->has_usage) {
        buf_append_span(body, SPAN(",\"usage\":null"));
    }
    if (stamp->is_padded)
        write_padding(stamp, body, body);
    buf_append_byte(body, '}');
    sim_openai_end_event(stamp, body);
}

/* --- embeddings and models --- */

static void write_floats(const struct sim_ask *ask, uint64_t hash, struct buf *out)
{
    uint64_t state = 0;

    buf_append_byte(out, '[');
    for (unsigned j = 0; j < ask->dimensions; j++)
        buf_printf(out, "%s%.9g", j ? "," : "", (double)sim_embedding_next(hash, j, &state));
    buf_append_byte(out, ']');
}

static void write_base64(const unsigned char *bytes, size_t len, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16;
        char four[4];

        if (left > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            group |= bytes[i + 2];
        four[0] = digits[group >> 18];
        four[1] = digits[group >> 12 & 63];
        four[2] = digits[group >> 6 & 63];
        four[3] = digits[group & 63];
        if (left < 3)
            four[3] = '=';
        if (left < 2)
            four[2] = '=';
        buf_append(out, four, sizeof(four));
    }
}

/* Little-endian floats. */
static void write_packed(const struct sim_ask *ask, uint64_t hash, struct buf *out)
{
    unsigned char bytes[4 * SIM_OPENAI_MAX_DIMENSIONS];
    uint64_t state = 0;

    for (unsigned j = 0; j < ask->dimensions; j++) {
        float value = sim_embedding_next(hash, j, &state);
        uint32_t bits;

        memcpy(&bits, &value, sizeof(bits));
        for (int k = 0; k < 4; k++)
            bytes[4 * j + (unsigned)k] = (unsigned char)(bits >> 8 * k);
    }
    buf_append_byte(out, '"');
    write_base64(bytes, (size_t)4 * ask->dimensions, out);
    buf_append_byte(out, '"');
}

void sim_openai_write_embeddings(const struct sim_ask *ask, const struct sim_stamp *stamp,
                                 struct buf *body)
{
    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < ask->text_count; i++) {
        buf_printf(body, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                   i);
        if (ask->is_base64)
            write_packed(ask, ask->texts[i].hash, body);
        else
            write_floats(ask, ask->texts[i].hash, body);
        buf_append_byte(body, '}');
    }
    buf_append_span(body, SPAN("],\"model\":"));
    json_write_string(body, ask->model);
    if (stamp->has_usage)
        buf_printf(body, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}",
                   (unsigned long long)ask->prompt_tokens, (unsigned long long)ask->prompt_tokens);
    buf_append_byte(body, '}');
}

void sim_openai_write_model(struct span model, struct buf *body)
{
    buf_append_span(body, SPAN("{\"id\":"));
    json_write_string(body, model);
    buf_append_span(body, SPAN(",\"object\":\"model\",\"created\":1686935002,\"owned_by\":"
                               "\"system\",\"shutdown_date\":null}"));
}

void sim_openai_write_models(const struct span *models, size_t count, struct buf *body)
{
    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_byte(body, ',');
        sim_openai_write_model(models[i], body);
    }
    buf_append_span(body, SPAN("]}"));
}
