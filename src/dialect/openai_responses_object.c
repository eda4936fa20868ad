#include "base/decimal.h"
#include "dialect/openai_responses_inner.h"
#include "json/write.h"

static void put(struct buf *out, struct span text)
{
    (void)buf_append_span(out, text);
}

static void put_number(struct buf *out, uint64_t number)
{
    (void)decimal_append(out, number);
}

bool responses_includes(const struct chat *chat, struct span name)
{
    yyjson_val *list = json_tree_plain(json_tree_member(chat->root, "include"));
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&items))) {
        if (span_is_equal(json_tree_text(item), name))
            return true;
    }
    return false;
}

enum responses_status responses_status(const struct responses_writer *writer)
{
    switch (writer->finish) {
    case CHAT_FINISH_REFUSAL:
        /* One that is told in words is an answer. */
        return writer->has_refusal ? RESPONSES_COMPLETED : RESPONSES_INCOMPLETE;
    case CHAT_FINISH_LENGTH:
    case CHAT_FINISH_CONTEXT:
    case CHAT_FINISH_FILTER:
        return RESPONSES_INCOMPLETE;
    case CHAT_FINISH_NONE:
    case CHAT_FINISH_STOP:
    case CHAT_FINISH_STOP_SEQUENCE:
    case CHAT_FINISH_CALLS:
    case CHAT_FINISH_PAUSE:
    case CHAT_FINISH_ERROR:
        break;
    }
    return RESPONSES_COMPLETED;
}

/* What the request said, or what holds where it says nothing. The comma and the name stand in
 * `name`. */
static void echo(struct buf *out, struct span name, const yyjson_val *said, struct span otherwise)
{
    put(out, name);
    if (said)
        (void)json_tree_write(out, said);
    else
        put(out, otherwise);
}

static void write_state(const struct responses_writer *writer, enum responses_status status)
{
    static const struct span words[] = {
        [RESPONSES_IN_PROGRESS] = SPAN_INIT("in_progress"),
        [RESPONSES_COMPLETED] = SPAN_INIT("completed"),
        [RESPONSES_INCOMPLETE] = SPAN_INIT("incomplete"),
        [RESPONSES_FAILED] = SPAN_INIT("failed"),
    };
    struct buf *out = writer->base.out;

    put(out, SPAN("{\"id\":"));
    (void)json_write_string(out, writer->id);
    put(out, SPAN(",\"object\":\"response\",\"created_at\":"));
    put_number(out, writer->created_s);
    put(out, SPAN(",\"status\":\""));
    put(out, words[status]);
    put(out, SPAN("\",\"background\":false,\"completed_at\":"));
    if (status == RESPONSES_COMPLETED)
        put_number(out, writer->created_s);
    else
        put(out, SPAN("null"));
}

static void write_error(struct buf *out, const struct error_words *error)
{
    struct span code = error->code.len ? error->code : error->type;

    put(out, SPAN("{\"code\":"));
    (void)json_write_string(out, code.len ? code : SPAN("server_error"));
    put(out, SPAN(",\"message\":"));
    (void)json_write_string(out, error->message);
    (void)buf_append_byte(out, '}');
}

static void write_trouble(const struct responses_writer *writer, enum responses_status status,
                          const struct error_words *error)
{
    struct buf *out = writer->base.out;
    bool is_filtered =
        writer->finish == CHAT_FINISH_FILTER || writer->finish == CHAT_FINISH_REFUSAL;

    put(out, SPAN(",\"error\":"));
    if (status == RESPONSES_FAILED && error)
        write_error(out, error);
    else
        put(out, SPAN("null"));
    put(out, SPAN(",\"frequency_penalty\":0,\"incomplete_details\":"));
    if (status != RESPONSES_INCOMPLETE)
        put(out, SPAN("null"));
    else
        put(out, is_filtered ? SPAN("{\"reason\":\"content_filter\"}")
                             : SPAN("{\"reason\":\"max_output_tokens\"}"));
}

static void write_output(const struct responses_writer *writer)
{
    struct buf *out = writer->base.out;

    put(out, SPAN(",\"moderation\":null,\"output\":["));
    for (const struct responses_item *item = writer->items; item; item = item->next) {
        if (item != writer->items)
            (void)buf_append_byte(out, ',');
        responses_item_write(writer, item);
    }
    (void)buf_append_byte(out, ']');
}

/* Functions with the members that SDKs expect of them; other tools as they came. */
static void write_tool(struct buf *out, const yyjson_val *tool)
{
    if (!span_is_equal(json_tree_string(tool, "type"), SPAN("function"))) {
        (void)json_tree_write(out, tool);
        return;
    }
    put(out, SPAN("{\"type\":\"function\""));
    echo(out, SPAN(",\"description\":"), json_tree_member(tool, "description"), SPAN("null"));
    echo(out, SPAN(",\"name\":"), json_tree_member(tool, "name"), SPAN("null"));
    echo(out, SPAN(",\"parameters\":"), json_tree_member(tool, "parameters"), SPAN("null"));
    echo(out, SPAN(",\"strict\":"), json_tree_member(tool, "strict"), SPAN("null"));
    (void)buf_append_byte(out, '}');
}

static void write_tools(struct buf *out, const struct chat *chat)
{
    echo(out, SPAN(",\"tool_choice\":"), json_tree_member(chat->root, "tool_choice"),
         SPAN("\"auto\""));
    put(out, SPAN(",\"tools\":["));
    for (size_t i = 0; i < chat->tool_count; i++) {
        if (i > 0)
            (void)buf_append_byte(out, ',');
        write_tool(out, chat->tools[i].whole);
    }
    (void)buf_append_byte(out, ']');
}

static void write_usage(const struct responses_writer *writer, enum responses_status status)
{
    struct buf *out = writer->base.out;
    struct dialect_usage usage = writer->usage;

    put(out, SPAN(",\"usage\":"));
    if (status == RESPONSES_IN_PROGRESS || (status == RESPONSES_FAILED && !usage.is_known)) {
        put(out, SPAN("null"));
        return;
    }
    if (!usage.is_known) {
        usage.prompt_tokens = writer->base.frame->prompt_tokens;
        usage.completion_tokens = dialect_estimate_tokens(writer->text_bytes);
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    }
    put(out, SPAN("{\"input_tokens\":"));
    put_number(out, usage.prompt_tokens);
    put(out, SPAN(",\"input_tokens_details\":{\"cache_write_tokens\":"));
    put_number(out, usage.cache_write_tokens);
    put(out, SPAN(",\"cached_tokens\":"));
    put_number(out, usage.cached_tokens);
    put(out, SPAN("},\"output_tokens\":"));
    put_number(out, usage.completion_tokens);
    put(out, SPAN(",\"output_tokens_details\":{\"reasoning_tokens\":"));
    put_number(out, usage.reasoning_tokens);
    put(out, SPAN("},\"total_tokens\":"));
    put_number(out, usage.total_tokens);
    (void)buf_append_byte(out, '}');
}

static void echo_thought(struct buf *out, const struct chat *chat)
{
    const yyjson_val *reasoning = json_tree_member(chat->root, "reasoning");
    const yyjson_val *safety = json_tree_member(chat->root, "safety_identifier");

    echo(out, SPAN(",\"reasoning\":{\"effort\":"), json_tree_member(reasoning, "effort"),
         SPAN("null"));
    echo(out, SPAN(",\"summary\":"), json_tree_member(reasoning, "summary"), SPAN("null"));
    echo(out, SPAN("},\"safety_identifier\":"), safety, SPAN("null"));
}

static void echo_text(struct buf *out, const struct chat *chat)
{
    const yyjson_val *text = json_tree_member(chat->root, "text");

    echo(out, SPAN(",\"text\":{\"format\":"), json_tree_member(text, "format"),
         SPAN("{\"type\":\"text\"}"));
    echo(out, SPAN(",\"verbosity\":"), json_tree_member(text, "verbosity"), SPAN("\"medium\""));
    (void)buf_append_byte(out, '}');
}

/* What stands before the output. */
static void echo_bounds(struct buf *out, const struct chat *chat)
{
    const yyjson_val *root = chat->root;

    echo(out, SPAN(",\"instructions\":"), json_tree_member(root, "instructions"), SPAN("null"));
    echo(out, SPAN(",\"max_output_tokens\":"), json_tree_member(root, "max_output_tokens"),
         SPAN("null"));
    echo(out, SPAN(",\"max_tool_calls\":"), json_tree_member(root, "max_tool_calls"), SPAN("null"));
}

/* What stands between the output and the sampling. Nothing is kept here, whatever was asked. */
static void echo_keeping(struct buf *out, const struct chat *chat, enum responses_status status)
{
    const yyjson_val *root = chat->root;

    echo(out, SPAN(",\"parallel_tool_calls\":"), json_tree_member(root, "parallel_tool_calls"),
         SPAN("true"));
    put(out, SPAN(",\"presence_penalty\":0,\"previous_response_id\":null"));
    echo(out, SPAN(",\"prompt_cache_key\":"), json_tree_member(root, "prompt_cache_key"),
         SPAN("null"));
    echo(out, SPAN(",\"prompt_cache_retention\":"),
         json_tree_member(root, "prompt_cache_retention"), SPAN("null"));
    echo_thought(out, chat);
    echo(out, SPAN(",\"service_tier\":"),
         status == RESPONSES_IN_PROGRESS ? json_tree_member(root, "service_tier") : NULL,
         status == RESPONSES_IN_PROGRESS ? SPAN("\"auto\"") : SPAN("\"default\""));
    put(out, SPAN(",\"store\":false"));
}

void responses_object_write(struct responses_writer *writer, enum responses_status status,
                            const struct error_words *error)
{
    const struct chat *chat = writer->base.frame->chat;
    const yyjson_val *root = chat->root;
    struct buf *out = writer->base.out;

    write_state(writer, status);
    write_trouble(writer, status, error);
    echo_bounds(out, chat);
    put(out, SPAN(",\"model\":"));
    (void)json_write_string(out, writer->model);
    write_output(writer);
    echo_keeping(out, chat, status);
    echo(out, SPAN(",\"temperature\":"), json_tree_member(root, "temperature"), SPAN("1"));
    echo_text(out, chat);
    write_tools(out, chat);
    echo(out, SPAN(",\"top_logprobs\":"), json_tree_member(root, "top_logprobs"), SPAN("0"));
    echo(out, SPAN(",\"top_p\":"), json_tree_member(root, "top_p"), SPAN("1"));
    put(out, SPAN(",\"truncation\":\"disabled\""));
    write_usage(writer, status);
    echo(out, SPAN(",\"user\":"), json_tree_member(root, "user"), SPAN("null"));
    echo(out, SPAN(",\"metadata\":"), json_tree_member(root, "metadata"), SPAN("{}"));
    (void)buf_append_byte(out, '}');
}
