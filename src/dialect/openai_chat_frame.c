/* What whole answers and streams, of chat completions and the legacy ones, say alike. */
#include "dialect/error_write.h"
#include "dialect/openai_chat_inner.h"

bool openai_is_legacy(const struct chat *chat)
{
    return json_tree_member(chat->root, "functions") && !json_tree_member(chat->root, "tools");
}

struct span openai_answer_id(const struct chat_writer *writer, struct span id, struct span prefix)
{
    return chat_rename_id(id.len ? id : writer->frame->request_id, prefix, writer->arena);
}

struct span openai_finish_word(enum chat_finish finish, bool has_refusal, bool is_legacy)
{
    switch (finish) {
    case CHAT_FINISH_LENGTH:
    case CHAT_FINISH_CONTEXT:
        return SPAN("length");
    case CHAT_FINISH_CALLS:
        return is_legacy ? SPAN("function_call") : SPAN("tool_calls");
    case CHAT_FINISH_FILTER:
        return SPAN("content_filter");
    case CHAT_FINISH_REFUSAL: /* one that was told in words ends as any answer does */
        return has_refusal ? SPAN("stop") : SPAN("content_filter");
    case CHAT_FINISH_NONE:
    case CHAT_FINISH_STOP:
    case CHAT_FINISH_STOP_SEQUENCE:
    case CHAT_FINISH_PAUSE:
    case CHAT_FINISH_ERROR:
        break;
    }
    return SPAN("stop");
}

struct dialect_usage openai_told_usage(const struct openai_writer *writer)
{
    struct dialect_usage usage = writer->usage;

    if (usage.is_known)
        return usage;
    usage.prompt_tokens = writer->base.frame->prompt_tokens;
    usage.completion_tokens = dialect_estimate_tokens(writer->text_bytes);
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    return usage;
}

void openai_write_told(const struct chat_writer *writer, const struct dialect_error *error)
{
    const struct error_told told = {
        .upstream = writer->frame->upstream, .status = 200, .error = error};

    (void)error_write_event_told(writer->out, DIALECT_OPENAI, &told);
}
