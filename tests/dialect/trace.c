#include "trace.h"

#include "promise.h"

static void put_quoted(struct buf *text, struct span value)
{
    (void)buf_printf(text, " \"%.*s\"", SPAN_ARG(value));
}

static void put_named(struct buf *text, const char *name, struct span value)
{
    if (value.len)
        (void)buf_printf(text, " %s=%.*s", name, SPAN_ARG(value));
}

static void put_count(struct buf *text, const char *name, uint64_t count)
{
    if (count)
        (void)buf_printf(text, " %s=%llu", name, (unsigned long long)count);
}

static const char *finish_text(enum chat_finish finish)
{
    static const char *const texts[] = {"none",  "stop",   "stop_sequence", "length", "context",
                                        "calls", "filter", "refusal",       "pause",  "error"};

    return texts[finish];
}

static void put_usage(struct buf *text, const struct dialect_usage *usage)
{
    (void)buf_printf(text, " %llu+%llu=%llu", (unsigned long long)usage->prompt_tokens,
                     (unsigned long long)usage->completion_tokens,
                     (unsigned long long)usage->total_tokens);
    put_count(text, "cached", usage->cached_tokens);
    put_count(text, "written", usage->cache_write_tokens);
    put_count(text, "written_long", usage->cache_write_long_tokens);
    put_count(text, "reasoning", usage->reasoning_tokens);
}

static void put_logprobs(struct buf *text, const struct chat_event *event)
{
    for (size_t i = 0; i < event->logprob_count; i++) {
        const struct chat_logprob *token = &event->logprobs[i];

        (void)buf_printf(text, " %.*s=%g", SPAN_ARG(token->token), token->logprob);
        if (token->has_bytes)
            (void)buf_printf(text, "/%zu", token->bytes.len);
        for (size_t k = 0; k < token->top_count; k++)
            (void)buf_printf(text, "%s%.*s=%g", k ? "," : "(", SPAN_ARG(token->top[k].token),
                             token->top[k].logprob);
        if (token->top_count)
            (void)buf_printf(text, ")");
    }
}

static void put_choice(struct buf *text, const struct chat_event *event)
{
    static const char *const signers[DIALECT_COUNT] = {"openai", "anthropic", "gemini"};

    (void)buf_printf(text, " %u", event->choice);
    if (event->kind == CHAT_EVENT_CALL_BEGIN || event->kind == CHAT_EVENT_CALL_ARGS ||
        event->kind == CHAT_EVENT_CALL_END || event->is_call)
        (void)buf_printf(text, "/%u", event->call);
    if (event->kind == CHAT_EVENT_SIGNATURE || event->kind == CHAT_EVENT_REDACTED)
        (void)buf_printf(text, " %s", signers[event->signer]);
    if (event->kind == CHAT_EVENT_FINISH)
        (void)buf_printf(text, " %s", finish_text(event->finish));
    if (event->is_custom && event->kind == CHAT_EVENT_CALL_BEGIN)
        (void)buf_printf(text, " custom");
    put_named(text, "id", event->id);
    put_named(text, "name", event->name);
    if (event->media) {
        put_named(text, "type", event->media->type);
        put_named(text, "data", event->media->data);
    }
    put_logprobs(text, event);
    if (event->text.len)
        put_quoted(text, event->text);
}

static void put(struct chat_sink *sink, const struct chat_event *event)
{
    struct buf *text = &((struct trace *)sink)->text; /* its first member is the sink */

    (void)buf_printf(text, "%s", promise_kind_text(event->kind));
    if (event->kind == CHAT_EVENT_START) {
        put_named(text, "id", event->id);
        put_named(text, "model", event->name);
        put_count(text, "created", event->created_s);
    } else if (event->kind == CHAT_EVENT_USAGE) {
        put_usage(text, event->usage);
    } else if (event->kind == CHAT_EVENT_ERROR) {
        put_named(text, "type", dialect_error_type(event->error));
        put_named(text, "code", dialect_error_code(event->error));
        put_quoted(text, dialect_error_message(event->error));
    } else if (event->kind != CHAT_EVENT_PING && event->kind != CHAT_EVENT_END) {
        put_choice(text, event);
    }
    (void)buf_append_byte(text, '\n');
}

void trace_init(struct trace *trace)
{
    *trace = (struct trace){.sink.put = put};
    buf_init(&trace->text, 16 << 20);
}

void trace_fini(struct trace *trace)
{
    buf_fini(&trace->text);
}
