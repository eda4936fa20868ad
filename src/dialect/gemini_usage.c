/*
 * Usage, finish reasons and likelihoods, both ways. Gemini counts thoughts beside the candidates'
 * tokens, and what its own tools brought beside the prompt; an absent count is 0.
 */
#include "base/decimal.h"
#include "dialect/gemini_inner.h"

/* --- usage --- */

static uint64_t count_of(const yyjson_val *usage, const char *name, bool *has_any)
{
    const yyjson_val *value = json_tree_member(usage, name);
    int64_t count;

    if (!value || !gemini_int(value, &count))
        return 0;
    *has_any = true;
    return count > 0 ? (uint64_t)count : 0;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX / 2 || b > UINT64_MAX / 2 ? UINT64_MAX / 2 : a + b;
}

bool gemini_read_usage(const yyjson_val *value, struct dialect_usage *ret_usage)
{
    struct dialect_usage usage = {.is_known = true};
    bool has_any = false;
    uint64_t total = count_of(value, "totalTokenCount", &has_any);

    usage.prompt_tokens = sum_of(count_of(value, "promptTokenCount", &has_any),
                                 count_of(value, "toolUsePromptTokenCount", &has_any));
    usage.reasoning_tokens = count_of(value, "thoughtsTokenCount", &has_any);
    usage.completion_tokens =
        sum_of(count_of(value, "candidatesTokenCount", &has_any), usage.reasoning_tokens);
    usage.cached_tokens = count_of(value, "cachedContentTokenCount", &has_any);
    if (usage.cached_tokens > usage.prompt_tokens)
        usage.cached_tokens = usage.prompt_tokens;
    usage.total_tokens = sum_of(usage.prompt_tokens, usage.completion_tokens);
    if (total > usage.total_tokens)
        usage.total_tokens = total;
    if (has_any)
        *ret_usage = usage;
    return has_any;
}

/* Absent where it is 0, as everything in proto3. */
static void write_count(struct buf *out, struct span name, uint64_t count, char *before)
{
    if (count == 0)
        return;
    (void)buf_append_byte(out, *before);
    *before = ',';
    (void)buf_append_span(out, name);
    (void)decimal_append(out, count);
}

void gemini_write_usage(struct buf *out, const struct dialect_usage *usage)
{
    uint64_t thoughts = usage->reasoning_tokens < usage->completion_tokens
                            ? usage->reasoning_tokens
                            : usage->completion_tokens;
    char before = '{';

    write_count(out, SPAN("\"promptTokenCount\":"), usage->prompt_tokens, &before);
    write_count(out, SPAN("\"candidatesTokenCount\":"), usage->completion_tokens - thoughts,
                &before);
    write_count(out, SPAN("\"totalTokenCount\":"), usage->total_tokens, &before);
    write_count(out, SPAN("\"cachedContentTokenCount\":"), usage->cached_tokens, &before);
    write_count(out, SPAN("\"thoughtsTokenCount\":"), thoughts, &before);
    (void)buf_append_span(out, before == '{' ? SPAN("{}") : SPAN("}"));
}

/* --- finish reasons --- */

struct span gemini_finish_text(enum chat_finish finish)
{
    switch (finish) {
    case CHAT_FINISH_STOP:
    case CHAT_FINISH_STOP_SEQUENCE:
    case CHAT_FINISH_CALLS:
    case CHAT_FINISH_PAUSE:
        return SPAN("STOP");
    case CHAT_FINISH_LENGTH:
    case CHAT_FINISH_CONTEXT:
        return SPAN("MAX_TOKENS");
    case CHAT_FINISH_FILTER:
    case CHAT_FINISH_REFUSAL:
        return SPAN("SAFETY");
    case CHAT_FINISH_ERROR:
        return SPAN("OTHER");
    case CHAT_FINISH_NONE:
        break;
    }
    return SPAN("");
}

/* --- likelihoods --- */

static void write_candidate(struct buf *out, const struct chat_logprob *one)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_string(&writer, "token", one->token);
    json_member_double(&writer, "logProbability", one->logprob);
    json_end_object(&writer);
}

static void write_candidates(struct buf *out, const struct chat_logprob *list, size_t count)
{
    (void)buf_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            (void)buf_append_byte(out, ',');
        write_candidate(out, &list[i]);
    }
    (void)buf_append_byte(out, ']');
}

void gemini_write_logprobs(struct buf *out, const struct chat_logprob *logprobs, size_t count)
{
    struct json_writer writer;
    double sum = 0;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        sum += logprobs[i].logprob;
    (void)buf_append_span(out, SPAN(",\"avgLogprobs\":"));
    json_writer_init(&writer, out);
    json_double(&writer, sum / (double)count);
    (void)buf_append_span(out, SPAN(",\"logprobsResult\":{\"topCandidates\":["));
    for (size_t i = 0; i < count; i++) {
        (void)buf_append_span(out, i ? SPAN(",{\"candidates\":") : SPAN("{\"candidates\":"));
        write_candidates(out, logprobs[i].top, logprobs[i].top_count);
        (void)buf_append_byte(out, '}');
    }
    (void)buf_append_span(out, SPAN("],\"chosenCandidates\":"));
    write_candidates(out, logprobs, count);
    (void)buf_append_byte(out, '}');
}
