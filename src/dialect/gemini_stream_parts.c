/* The parts of an answer, told as events. */
#include <stdio.h>

#include "dialect/gemini_stream_read.h"

static bool is_true(const yyjson_val *value)
{
    return yyjson_is_true(json_tree_plain(value));
}

/* --- calls --- */

/* "call_", the answer's seed and the call's place: unlike for every answer and call. */
static struct span invent_id(const struct gemini_reader *reader, unsigned choice, unsigned call,
                             char buffer[48])
{
    int len = snprintf(buffer, 48, "call_%016llx%02x%03x", (unsigned long long)reader->base.seed,
                       choice, call);

    return span_of(buffer, (size_t)len);
}

/* What a tool of free text was given stands in the one property that it was declared with. */
static void tell_args(struct gemini_reader *reader, struct chat_event *event,
                      const yyjson_val *args)
{
    struct span input = json_tree_string(args, "input");
    struct buf text;

    event->kind = CHAT_EVENT_CALL_ARGS;
    if (event->is_custom && input.ptr) {
        event->text = input;
        if (input.len)
            gemini_tell(reader, event);
        return;
    }
    buf_init(&text, SIZE_MAX / 2);
    event->text = SPAN("{}");
    if (args && json_tree_write(&text, args) == 0)
        event->text = buf_span(&text);
    gemini_tell(reader, event);
    if (text.err)
        gemini_tell_failure(reader, SPAN("There is no memory for the provider's answer."));
    buf_fini(&text);
}

static void tell_signature(struct gemini_reader *reader, struct chat_event event,
                           struct span signature)
{
    if (signature.len == 0)
        return;
    event.kind = CHAT_EVENT_SIGNATURE;
    event.signer = DIALECT_GEMINI;
    event.text = signature;
    gemini_tell(reader, &event);
}

static void add_pieces(struct gemini_reader *reader, unsigned choice, const yyjson_val *call)
{
    struct gemini_partial *open = reader->choices[choice].open;
    const yyjson_val *pieces = json_tree_member(call, "partialArgs");

    if (pieces && gemini_partial_add(open, pieces)) {
        gemini_tell_failure(reader, SPAN("The provider sent arguments of a call that cannot be put "
                                         "together."));
        return;
    }
    /* It ends where a piece says no more that it goes on: {"functionCall":{}} says nothing. */
    if (!is_true(json_tree_member(call, "willContinue")))
        gemini_close_call(reader, choice);
}

void gemini_close_call(struct gemini_reader *reader, unsigned choice)
{
    struct gemini_choice *state = &reader->choices[choice];
    struct chat_event event = {
        .kind = CHAT_EVENT_CALL_ARGS, .choice = choice, .call = state->calls - 1};
    struct buf text;

    if (!state->open)
        return;
    buf_init(&text, SIZE_MAX / 2);
    gemini_partial_write(state->open, &text);
    state->open = NULL;
    event.text = buf_span(&text);
    if (text.err)
        gemini_tell_failure(reader, SPAN("There is no memory for the provider's answer."));
    gemini_tell(reader, &event);
    event.kind = CHAT_EVENT_CALL_END;
    event.text = span_of(NULL, 0);
    gemini_tell(reader, &event);
    buf_fini(&text);
}

static void begin_call(struct gemini_reader *reader, unsigned choice, const yyjson_val *call,
                       struct span signature)
{
    struct gemini_choice *state = &reader->choices[choice];
    bool is_open = is_true(json_tree_member(call, "willContinue"));
    const struct chat_tool *tool;
    struct chat_event event = {.kind = CHAT_EVENT_CALL_BEGIN, .choice = choice, .is_call = true};
    char id[48];

    gemini_close_call(reader, choice);
    if (state->calls == GEMINI_CALLS_MAX) {
        gemini_tell_failure(reader, SPAN("The provider's answer has too many tool calls."));
        return;
    }
    event.call = state->calls++;
    event.id = json_tree_string(call, "id");
    event.name = json_tree_string(call, "name");
    tool = gemini_tool_named(reader->base.chat, event.name);
    if (tool)
        event.name = tool->name;
    if (event.id.len == 0)
        event.id = invent_id(reader, choice, event.call, id);
    event.is_custom = tool && tool->kind == CHAT_TOOL_CUSTOM && !is_open;
    gemini_tell(reader, &event);
    event.id = event.name = span_of(NULL, 0);
    tell_signature(reader, event, signature);
    if (is_open) {
        state->open = gemini_partial_new(reader->base.arena);
        if (state->open)
            add_pieces(reader, choice, call);
        else
            gemini_tell_failure(reader, SPAN("There is no memory for the provider's answer."));
        return;
    }
    tell_args(reader, &event, json_tree_member(call, "args"));
    event.kind = CHAT_EVENT_CALL_END;
    event.text = span_of(NULL, 0);
    gemini_tell(reader, &event);
}

static void take_call(struct gemini_reader *reader, unsigned choice, const yyjson_val *call,
                      struct span signature)
{
    if (json_tree_string(call, "name").len)
        begin_call(reader, choice, call, signature);
    else if (reader->choices[choice].open)
        add_pieces(reader, choice, call);
}

/* --- text and media --- */

static void take_text(struct gemini_reader *reader, unsigned choice, const yyjson_val *part,
                      struct span text, struct span signature)
{
    struct gemini_choice *state = &reader->choices[choice];
    bool is_thought = is_true(json_tree_member(part, "thought"));
    struct chat_event event = {
        .kind = is_thought ? CHAT_EVENT_THINKING : CHAT_EVENT_TEXT, .choice = choice, .text = text};

    if (text.len) {
        gemini_tell(reader, &event);
        *(is_thought ? &state->has_thought : &state->has_text) = true;
    }
    /* The last piece often is an empty text with the signature of all before it. */
    if (state->has_text || state->has_thought)
        tell_signature(reader, event, signature);
}

static void take_media(struct gemini_reader *reader, unsigned choice, const yyjson_val *data)
{
    struct chat_media media = {.source = CHAT_SOURCE_DATA,
                               .type = json_tree_string(data, "mimeType"),
                               .data = json_tree_string(data, "data")};
    struct chat_event event = {.kind = CHAT_EVENT_MEDIA, .choice = choice, .media = &media};

    event.part_kind =
        span_has_prefix(media.type, SPAN("audio/")) ? CHAT_PART_AUDIO : CHAT_PART_IMAGE;
    if (media.data.len == 0)
        return;
    reader->choices[choice].has_text = true;
    gemini_tell(reader, &event);
}

/* What the provider ran itself: its code and what came of it, as text that can be read. */
static void take_code(struct gemini_reader *reader, unsigned choice, struct span head,
                      struct span code)
{
    struct chat_event event = {.kind = CHAT_EVENT_TEXT, .choice = choice, .text = head};

    while (code.len && code.ptr[code.len - 1] == '\n')
        code.len--;
    if (code.len == 0)
        return;
    reader->choices[choice].has_text = true;
    gemini_tell(reader, &event);
    event.text = code;
    gemini_tell(reader, &event);
    event.text = SPAN("\n```\n");
    gemini_tell(reader, &event);
}

void gemini_take_part(struct gemini_reader *reader, unsigned choice, const yyjson_val *part)
{
    struct span signature = json_tree_string(part, "thoughtSignature");
    const yyjson_val *text = json_tree_member(part, "text");
    const yyjson_val *call = text ? NULL : json_tree_member(part, "functionCall");
    const yyjson_val *other;

    if (text) {
        take_text(reader, choice, part, json_tree_text(text), signature);
    } else if (call) {
        take_call(reader, choice, call, signature);
    } else if ((other = json_tree_member(part, "inlineData"))) {
        /* Pictures that were only thought of are not shown. */
        if (!is_true(json_tree_member(part, "thought")))
            take_media(reader, choice, other);
    } else if ((other = json_tree_member(part, "executableCode"))) {
        take_code(reader, choice, SPAN("\n```python\n"), json_tree_string(other, "code"));
    } else if ((other = json_tree_member(part, "codeExecutionResult"))) {
        take_code(reader, choice, SPAN("\n```\n"), json_tree_string(other, "output"));
    }
}

/* --- likelihoods --- */

static void read_one(const yyjson_val *value, struct chat_logprob *ret_one)
{
    *ret_one = (struct chat_logprob){.token = json_tree_string(value, "token")};
    (void)json_tree_double(json_tree_member(value, "logProbability"), &ret_one->logprob);
}

static size_t count_all(yyjson_val *chosen, yyjson_val *tops)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(tops);
    size_t count = yyjson_arr_size(chosen);
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&items)))
        count += yyjson_arr_size(yyjson_obj_get(item, "candidates"));
    return count;
}

/* Room for `count`; what is outgrown stays in the arena, no more than was asked for last. */
static bool reserve(struct gemini_reader *reader, size_t count)
{
    if (count <= reader->logprob_cap)
        return true;
    if (count > GEMINI_LOGPROBS_MAX)
        return false;
    reader->logprob_cap = 0;
    reader->logprobs = arena_alloc(reader->base.arena, 2 * count * sizeof(struct chat_logprob));
    if (!reader->logprobs)
        return false;
    reader->logprob_cap = 2 * count;
    return true;
}

static void read_top(struct chat_logprob *one, yyjson_val *list, struct chat_logprob **free_at)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;

    one->top = *free_at;
    while ((item = yyjson_arr_iter_next(&items)))
        read_one(item, &one->top[one->top_count++]);
    *free_at += one->top_count;
}

void gemini_take_logprobs(struct gemini_reader *reader, unsigned choice, const yyjson_val *result)
{
    yyjson_val *chosen = json_tree_plain(json_tree_member(result, "chosenCandidates"));
    yyjson_val *tops = json_tree_plain(json_tree_member(result, "topCandidates"));
    yyjson_arr_iter items = yyjson_arr_iter_with(chosen), top_items = yyjson_arr_iter_with(tops);
    struct chat_event event = {.kind = CHAT_EVENT_LOGPROBS, .choice = choice};
    struct chat_logprob *free_at;
    yyjson_val *item;

    if (yyjson_arr_size(chosen) == 0 || !reserve(reader, count_all(chosen, tops)))
        return;
    free_at = reader->logprobs + yyjson_arr_size(chosen);
    while ((item = yyjson_arr_iter_next(&items))) {
        struct chat_logprob *one = &reader->logprobs[event.logprob_count++];
        yyjson_val *top = yyjson_arr_iter_next(&top_items);

        read_one(item, one);
        read_top(one, yyjson_obj_get(top, "candidates"), &free_at);
    }
    event.logprobs = reader->logprobs;
    gemini_tell(reader, &event);
}
