/* The words of an answer that reading and writing share: usage, stop reasons, counts. */
#include "dialect/anthropic_inner.h"

#include "base/err.h"

/* --- usage --- */

/* Far beyond any real one, and small enough for sums. */
static const int64_t tokens_max = INT64_C(1000000000000000);

static void take_number(uint64_t *tokens, const yyjson_val *object, const char *name,
                        bool *ret_is_known)
{
    int64_t number;

    if (!json_tree_int(json_tree_member(object, name), &number) || number < 0)
        return;
    *tokens = (uint64_t)(number < tokens_max ? number : tokens_max);
    *ret_is_known = true;
}

void anthropic_take_usage(struct anthropic_usage *usage, const yyjson_val *object)
{
    bool *is_known = &usage->is_known;

    if (!yyjson_is_obj(json_tree_plain(object)))
        return;
    take_number(&usage->input, object, "input_tokens", is_known);
    take_number(&usage->cache_read, object, "cache_read_input_tokens", is_known);
    take_number(&usage->cache_write, object, "cache_creation_input_tokens", is_known);
    take_number(&usage->cache_write_long, json_tree_member(object, "cache_creation"),
                "ephemeral_1h_input_tokens", is_known);
    take_number(&usage->output, object, "output_tokens", is_known);
    take_number(&usage->thinking, json_tree_member(object, "output_tokens_details"),
                "thinking_tokens", is_known);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct dialect_usage anthropic_usage(const struct anthropic_usage *usage)
{
    uint64_t prompt = usage->input + usage->cache_read + usage->cache_write;

    return (struct dialect_usage){
        .prompt_tokens = prompt,
        .completion_tokens = usage->output,
        .total_tokens = prompt + usage->output,
        .cached_tokens = usage->cache_read,
        .cache_write_tokens = usage->cache_write,
        .cache_write_long_tokens = least(usage->cache_write_long, usage->cache_write),
        .reasoning_tokens = least(usage->thinking, usage->output),
        .is_known = usage->is_known,
    };
}

static void write_number(struct buf *out, struct span name, uint64_t number)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    (void)buf_append_span(out, name);
    (void)buf_append(out, digits + at, sizeof(digits) - at);
}

void anthropic_write_usage(struct buf *out, const struct dialect_usage *usage, bool is_whole)
{
    uint64_t cached = least(usage->cached_tokens, usage->prompt_tokens);
    uint64_t written = least(usage->cache_write_tokens, usage->prompt_tokens - cached);
    uint64_t written_long = least(usage->cache_write_long_tokens, written);

    write_number(out, SPAN("{\"input_tokens\":"), usage->prompt_tokens - cached - written);
    write_number(out, SPAN(",\"cache_creation_input_tokens\":"), written);
    write_number(out, SPAN(",\"cache_read_input_tokens\":"), cached);
    if (is_whole) {
        write_number(out, SPAN(",\"cache_creation\":{\"ephemeral_5m_input_tokens\":"),
                     written - written_long);
        write_number(out, SPAN(",\"ephemeral_1h_input_tokens\":"), written_long);
        (void)buf_append_byte(out, '}');
    }
    write_number(out, SPAN(",\"output_tokens\":"), usage->completion_tokens);
    if (usage->reasoning_tokens) {
        write_number(out, SPAN(",\"output_tokens_details\":{\"thinking_tokens\":"),
                     least(usage->reasoning_tokens, usage->completion_tokens));
        (void)buf_append_byte(out, '}');
    }
    if (is_whole)
        (void)buf_append_span(out, SPAN(",\"service_tier\":\"standard\""));
    (void)buf_append_byte(out, '}');
}

/* --- stop reasons --- */

enum chat_finish anthropic_read_stop_reason(struct span word)
{
    static const struct {
        struct span word;
        enum chat_finish finish;
    } words[] = {
        {SPAN_INIT("end_turn"), CHAT_FINISH_STOP},
        {SPAN_INIT("tool_use"), CHAT_FINISH_CALLS},
        {SPAN_INIT("max_tokens"), CHAT_FINISH_LENGTH},
        {SPAN_INIT("stop_sequence"), CHAT_FINISH_STOP_SEQUENCE},
        {SPAN_INIT("refusal"), CHAT_FINISH_REFUSAL},
        {SPAN_INIT("pause_turn"), CHAT_FINISH_PAUSE},
        {SPAN_INIT("model_context_window_exceeded"), CHAT_FINISH_CONTEXT},
    };

    if (word.len == 0)
        return CHAT_FINISH_NONE;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_is_equal(word, words[i].word))
            return words[i].finish;
    }
    return CHAT_FINISH_STOP;
}

/* Some providers end with a plain stop where they made calls: a client of this dialect answers
 * calls only where the reason says so. */
static struct span stop_reason(enum chat_finish finish, bool has_text, bool has_calls)
{
    switch (finish) {
    case CHAT_FINISH_STOP_SEQUENCE:
        if (has_text)
            return SPAN("stop_sequence");
        break;
    case CHAT_FINISH_LENGTH:
        return SPAN("max_tokens");
    case CHAT_FINISH_CONTEXT:
        return SPAN("model_context_window_exceeded");
    case CHAT_FINISH_CALLS:
        return SPAN("tool_use");
    case CHAT_FINISH_FILTER:
    case CHAT_FINISH_REFUSAL:
        return SPAN("refusal");
    case CHAT_FINISH_PAUSE:
        return SPAN("pause_turn");
    case CHAT_FINISH_NONE:
    case CHAT_FINISH_STOP:
    case CHAT_FINISH_ERROR:
        break;
    }
    return has_calls ? SPAN("tool_use") : SPAN("end_turn");
}

void anthropic_write_stop(struct buf *out, enum chat_finish finish, struct span text,
                          bool has_calls, bool is_whole)
{
    struct span reason = stop_reason(finish, text.len > 0, has_calls);
    bool is_refusal = finish == CHAT_FINISH_FILTER || finish == CHAT_FINISH_REFUSAL;

    (void)buf_append_span(out, SPAN("\"stop_reason\":"));
    (void)json_write_string(out, reason);
    (void)buf_append_span(out, SPAN(",\"stop_sequence\":"));
    if (finish == CHAT_FINISH_STOP_SEQUENCE && text.len)
        (void)json_write_string(out, text);
    else
        (void)buf_append_span(out, SPAN("null"));
    if (is_refusal) {
        (void)buf_append_span(out, SPAN(",\"stop_details\":{\"type\":\"refusal\",\"category\":null,"
                                        "\"explanation\":"));
        if (text.len)
            (void)json_write_string(out, text);
        else
            (void)buf_append_span(out, SPAN("null"));
        (void)buf_append_byte(out, '}');
    } else if (is_whole) {
        (void)buf_append_span(out, SPAN(",\"stop_details\":null"));
    }
}

/* --- thoughts --- */

enum anthropic_thoughts anthropic_thoughts(const struct chat *chat)
{
    const struct chat_thinking *thinking = &chat->thinking;

    if (thinking->budget == 0 && !thinking->is_adaptive)
        return ANTHROPIC_THOUGHTS_NONE;
    return thinking->show == CHAT_NO ? ANTHROPIC_THOUGHTS_SIGNED : ANTHROPIC_THOUGHTS_SHOWN;
}

/* --- counts --- */

int anthropic_write_count(struct buf *buf, uint64_t tokens)
{
    write_number(buf, SPAN("{\"input_tokens\":"), tokens);
    (void)buf_append_byte(buf, '}');
    return buf->err;
}

int anthropic_read_count(const yyjson_val *root, uint64_t *ret_tokens)
{
    int64_t number;

    if (!json_tree_int(json_tree_member(root, "input_tokens"), &number) || number < 0)
        return ERR_SYNTAX;
    *ret_tokens = (uint64_t)number;
    return 0;
}
