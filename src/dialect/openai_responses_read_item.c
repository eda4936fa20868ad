#include "base/err.h"
#include "dialect/openai_responses_inner.h"

/* --- calls --- */

struct responses_call *responses_call_at(struct responses_reader *reader, unsigned index)
{
    for (struct responses_call *call = reader->calls; call; call = call->next) {
        if (call->index == index)
            return call;
    }
    return NULL;
}

void responses_tell_args(struct responses_reader *reader, struct responses_call *call,
                         struct span text)
{
    if (call->has_end || !text.len)
        return;
    call->has_args = true;
    responses_tell(reader, (struct chat_event){
                               .kind = CHAT_EVENT_CALL_ARGS, .call = call->ordinal, .text = text});
}

static void tell_trouble(struct responses_reader *reader, struct span message)
{
    struct dialect_error error = dialect_no_error;

    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_ERROR, .error = &error});
}

static struct responses_call *begin_call(struct responses_reader *reader, const yyjson_val *item,
                                         unsigned index, bool is_custom)
{
    struct span name = json_tree_string(item, "name"), id = json_tree_string(item, "call_id");
    struct responses_call *call = NULL;

    if (!name.len)
        return NULL;
    if (reader->call_count < RESPONSES_CALLS_MAX)
        call = arena_zalloc(reader->base.arena, sizeof(*call));
    if (!id.len && call)
        id = arena_printf(reader->base.arena, "call_%016llx%04x",
                          (unsigned long long)reader->base.seed, reader->call_count);
    if (!call || !id.ptr) {
        tell_trouble(reader, SPAN("The provider's answer has too many tool calls."));
        return NULL;
    }
    call->index = index;
    call->ordinal = reader->call_count++;
    call->next = reader->calls;
    reader->calls = call;
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_CALL_BEGIN,
                                               .call = call->ordinal,
                                               .is_custom = is_custom,
                                               .id = id,
                                               .name = name});
    return call;
}

static void end_call(struct responses_reader *reader, struct responses_call *call)
{
    if (call->has_end)
        return;
    call->has_end = true;
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_CALL_END, .call = call->ordinal});
}

/* --- items --- */

void responses_turn_to(struct responses_reader *reader, unsigned index)
{
    if (reader->has_items && reader->index == index)
        return;
    reader->index = index;
    reader->has_items = true;
    reader->has_told = reader->has_summary = false;
}

static bool is_call(const yyjson_val *item, bool *ret_is_custom)
{
    struct span type = json_tree_string(item, "type");

    *ret_is_custom = span_is_equal(type, SPAN("custom_tool_call"));
    return *ret_is_custom || span_is_equal(type, SPAN("function_call"));
}

void responses_read_item_begin(struct responses_reader *reader, const yyjson_val *item,
                               unsigned index)
{
    struct responses_call *call = responses_call_at(reader, index);
    bool is_custom;

    responses_turn_to(reader, index);
    if (!is_call(item, &is_custom) || call)
        return;
    call = begin_call(reader, item, index, is_custom);
    if (call)
        responses_tell_args(reader, call,
                            json_tree_string(item, is_custom ? "input" : "arguments"));
}

static void end_call_item(struct responses_reader *reader, const yyjson_val *item, unsigned index,
                          bool is_custom)
{
    struct responses_call *call = responses_call_at(reader, index);

    if (!call)
        call = begin_call(reader, item, index, is_custom);
    if (!call)
        return;
    if (!call->has_args)
        responses_tell_args(reader, call,
                            json_tree_string(item, is_custom ? "input" : "arguments"));
    end_call(reader, call);
}

/* Texts of a list that came in no pieces. */
static void tell_texts(struct responses_reader *reader, const yyjson_val *list,
                       enum chat_event_kind kind)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *part;

    while ((part = yyjson_arr_iter_next(&items))) {
        struct span text = json_tree_string(part, "text"), refusal = SPAN("");

        if (kind == CHAT_EVENT_TEXT)
            refusal = json_tree_string(part, "refusal");
        if (text.len)
            responses_tell(reader, (struct chat_event){.kind = kind, .text = text});
        if (refusal.len)
            responses_tell(reader,
                           (struct chat_event){.kind = CHAT_EVENT_REFUSAL, .text = refusal});
    }
}

static void end_reasoning(struct responses_reader *reader, const yyjson_val *item)
{
    struct span sealed = json_tree_string(item, "encrypted_content");

    if (!reader->has_told) {
        tell_texts(reader, json_tree_member(item, "summary"), CHAT_EVENT_THINKING);
        tell_texts(reader, json_tree_member(item, "content"), CHAT_EVENT_THINKING);
    }
    if (sealed.len)
        responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_SIGNATURE,
                                                   .signer = DIALECT_OPENAI,
                                                   .text = sealed});
}

void responses_read_item_end(struct responses_reader *reader, const yyjson_val *item,
                             unsigned index)
{
    struct span type = json_tree_string(item, "type");
    bool is_custom;

    responses_turn_to(reader, index);
    if (is_call(item, &is_custom))
        end_call_item(reader, item, index, is_custom);
    else if (span_is_equal(type, SPAN("reasoning")))
        end_reasoning(reader, item);
    else if (span_is_equal(type, SPAN("message")) && !reader->has_told)
        tell_texts(reader, json_tree_member(item, "content"), CHAT_EVENT_TEXT);
    /* An item that is told to be done twice is not told twice. */
    reader->has_told = true;
}

/* --- the end --- */

static uint64_t count_of(const yyjson_val *usage, const char *name)
{
    int64_t count = 0;

    (void)json_tree_int(json_tree_member(usage, name), &count);
    return count > 0 ? (uint64_t)count : 0;
}

static void tell_usage(struct responses_reader *reader, const yyjson_val *told, struct span tier)
{
    const yyjson_val *input = json_tree_member(told, "input_tokens_details");
    const yyjson_val *output = json_tree_member(told, "output_tokens_details");
    struct dialect_usage usage = {
        .prompt_tokens = count_of(told, "input_tokens"),
        .completion_tokens = count_of(told, "output_tokens"),
        .total_tokens = count_of(told, "total_tokens"),
        .cached_tokens = count_of(input, "cached_tokens"),
        .cache_write_tokens = count_of(input, "cache_write_tokens"),
        .reasoning_tokens = count_of(output, "reasoning_tokens"),
        .is_known = true,
    };

    if (!yyjson_is_obj(json_tree_plain(told)))
        return;
    /* Both are below 2^63, so that their sum fits. */
    usage.tier = dialect_tier_of(tier);
    if (!usage.total_tokens)
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_USAGE, .usage = &usage});
}

static void tell_failure(struct responses_reader *reader, const yyjson_val *told,
                         struct span otherwise)
{
    struct dialect_error error = dialect_no_error;
    struct span message = json_tree_string(told, "message");

    if (!message.len)
        message = otherwise;
    error.is_json = true;
    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    error.code_len = dialect_keep(error.code, sizeof(error.code), json_tree_string(told, "code"));
    error.type_len = dialect_keep(error.type, sizeof(error.type), json_tree_string(told, "type"));
    error.param_len =
        dialect_keep(error.param, sizeof(error.param), json_tree_string(told, "param"));
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_ERROR, .error = &error});
}

static enum chat_finish finish_of(const struct responses_reader *reader, const yyjson_val *response)
{
    const yyjson_val *details = json_tree_member(response, "incomplete_details");

    if (span_is_equal(json_tree_string(details, "reason"), SPAN("content_filter")))
        return CHAT_FINISH_FILTER;
    if (span_is_equal(json_tree_string(response, "status"), SPAN("incomplete")))
        return CHAT_FINISH_LENGTH;
    return reader->call_count ? CHAT_FINISH_CALLS : CHAT_FINISH_STOP;
}

void responses_finish(struct responses_reader *reader, const yyjson_val *response)
{
    const yyjson_val *error = json_tree_member(response, "error");
    struct span status = json_tree_string(response, "status");

    tell_usage(reader, json_tree_member(response, "usage"),
               json_tree_string(response, "service_tier"));
    if (error || span_is_equal(status, SPAN("failed"))) {
        tell_failure(reader, error, SPAN("The provider reported an error."));
        return;
    }
    if (span_is_equal(status, SPAN("cancelled"))) {
        tell_failure(reader, NULL, SPAN("The response was cancelled."));
        return;
    }
    for (struct responses_call *call = reader->calls; call; call = call->next)
        end_call(reader, call);
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_FINISH,
                                               .finish = finish_of(reader, response)});
    responses_tell(reader, (struct chat_event){.kind = CHAT_EVENT_END});
}

void responses_read_output(struct responses_reader *reader, const yyjson_val *response)
{
    const yyjson_val *output = json_tree_member(response, "output");
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(output));
    unsigned index = 0;
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&items)))
        responses_read_item_end(reader, item, index++);
}

int responses_read_answer(struct chat_reader *base, const yyjson_val *root)
{
    struct responses_reader *reader = (struct responses_reader *)base;
    const yyjson_val *output = json_tree_member(root, "output");

    if (!yyjson_is_arr(json_tree_plain(output)) && !json_tree_member(root, "error"))
        return ERR_SYNTAX;
    responses_start(reader, root);
    responses_read_output(reader, root);
    responses_finish(reader, root);
    return 0;
}
