/* The wire format of OpenAI's Responses: the events of a stream. Each is numbered and named twice,
 * and the last one holds the whole response. */
#include "json/write.h"
#include "sim/fields.h"
#include "sim/openai.h"
#include "sim/responses.h"

/* What the frames of one event have in common. */
struct telling {
    const struct sim_answer *answer;
    const struct sim_stamp *stamp;
    struct buf *out;
    size_t index; /* of the item in the output */
};

static void begin_frame(const struct sim_stamp *stamp, const char *type, struct buf *out)
{
    buf_printf(out, "event: %s%sdata: {\"type\":\"%s\",\"sequence_number\":%llu", type,
               stamp->is_crlf ? "\r\n" : "\n", type, (unsigned long long)(*stamp->frames)++);
}

static void end_frame(const struct sim_stamp *stamp, struct buf *out)
{
    buf_append_byte(out, '}');
    sim_end_event(stamp, out);
}

static void write_response(const struct telling *telling, const char *type,
                           enum sim_responses_stage stage)
{
    begin_frame(telling->stamp, type, telling->out);
    buf_append_span(telling->out, SPAN(",\"response\":"));
    sim_responses_write_response(telling->answer, telling->stamp, stage, telling->out);
    end_frame(telling->stamp, telling->out);
}

/* An item's frame up to the item. */
static void begin_item(const struct telling *telling, enum sim_responses_stage stage)
{
    begin_frame(telling->stamp,
                stage == SIM_RESPONSES_ADDED ? "response.output_item.added"
                                             : "response.output_item.done",
                telling->out);
    buf_printf(telling->out, ",\"output_index\":%zu,\"item\":", telling->index);
}

/* --- reasoning --- */

static void write_reasoning_item(const struct telling *telling, enum sim_responses_stage stage)
{
    begin_item(telling, stage);
    sim_responses_write_reasoning(telling->answer, telling->stamp, stage, telling->out);
    end_frame(telling->stamp, telling->out);
}

/* A frame of the summary's part: `member` says `text`, bare or as a part. */
static void write_summary(const struct telling *telling, const char *type, const char *member,
                          struct span text, bool is_part)
{
    begin_frame(telling->stamp, type, telling->out);
    buf_printf(telling->out,
               ",\"item_id\":\"rs_%016llx\",\"output_index\":%zu,\"summary_index\":0,\"%s\":",
               (unsigned long long)telling->stamp->id, telling->index, member);
    if (is_part)
        buf_append_span(telling->out, SPAN("{\"type\":\"summary_text\",\"text\":"));
    json_write_string(telling->out, text);
    if (is_part)
        buf_append_byte(telling->out, '}');
    end_frame(telling->stamp, telling->out);
}

static void begin_reasoning(const struct telling *telling)
{
    write_reasoning_item(telling, SIM_RESPONSES_ADDED);
    if (telling->answer->ask->is_thinking_told)
        write_summary(telling, "response.reasoning_summary_part.added", "part", SPAN(""), true);
    else
        write_reasoning_item(telling, SIM_RESPONSES_DONE);
}

static void end_reasoning(const struct telling *telling)
{
    struct span thought = sim_answer_thought(telling->answer, 0);

    write_summary(telling, "response.reasoning_summary_text.done", "text", thought, false);
    write_summary(telling, "response.reasoning_summary_part.done", "part", thought, true);
    write_reasoning_item(telling, SIM_RESPONSES_DONE);
}

/* --- the message --- */

static void write_message_item(const struct telling *telling, enum sim_responses_stage stage)
{
    begin_item(telling, stage);
    sim_responses_write_message(telling->answer, telling->stamp, stage, telling->out);
    end_frame(telling->stamp, telling->out);
}

/* A frame about the message's text up to the member that it is of. */
static void begin_text_frame(const struct telling *telling, const char *type)
{
    begin_frame(telling->stamp, type, telling->out);
    buf_printf(telling->out,
               ",\"item_id\":\"msg_%016llx\",\"output_index\":%zu,\"content_index\":0,",
               (unsigned long long)telling->stamp->id, telling->index);
}

static void write_part(const struct telling *telling, enum sim_responses_stage stage)
{
    begin_text_frame(telling, stage == SIM_RESPONSES_ADDED ? "response.content_part.added"
                                                           : "response.content_part.done");
    buf_append_span(telling->out, SPAN("\"part\":"));
    sim_responses_write_part(telling->answer, stage, telling->out);
    end_frame(telling->stamp, telling->out);
}

static void begin_message(const struct telling *telling)
{
    write_message_item(telling, SIM_RESPONSES_ADDED);
    write_part(telling, SIM_RESPONSES_ADDED);
}

static void write_text(const struct telling *telling, struct span text)
{
    begin_text_frame(telling, "response.output_text.delta");
    buf_append_span(telling->out, SPAN("\"delta\":"));
    json_write_string(telling->out, text);
    buf_append_span(telling->out, SPAN(",\"logprobs\":[]"));
    if (telling->stamp->is_padded)
        sim_openai_write_padding(telling->stamp, telling->out);
    end_frame(telling->stamp, telling->out);
}

static void end_message(const struct telling *telling)
{
    begin_text_frame(telling, "response.output_text.done");
    buf_append_span(telling->out, SPAN("\"text\":"));
    sim_answer_write_text(telling->answer, 0, telling->out);
    buf_append_span(telling->out, SPAN(",\"logprobs\":[]"));
    end_frame(telling->stamp, telling->out);
    write_part(telling, SIM_RESPONSES_DONE);
    write_message_item(telling, SIM_RESPONSES_DONE);
}

/* --- calls --- */

static void write_call_item(const struct telling *telling, size_t call,
                            enum sim_responses_stage stage)
{
    begin_item(telling, stage);
    sim_responses_write_call(telling->answer, call, stage, telling->out);
    end_frame(telling->stamp, telling->out);
}

/* A frame about what a call is given, a piece of it or all. */
static void write_arguments(const struct telling *telling, size_t call, struct span text,
                            bool is_all)
{
    bool is_custom = sim_answer_tool(telling->answer, call)->is_custom;
    const char *type = is_custom ? (is_all ? "response.custom_tool_call_input.done"
                                           : "response.custom_tool_call_input.delta")
                                 : (is_all ? "response.function_call_arguments.done"
                                           : "response.function_call_arguments.delta");

    begin_frame(telling->stamp, type, telling->out);
    buf_append_span(telling->out, SPAN(",\"item_id\":"));
    sim_responses_write_call_id(telling->answer, call, telling->out);
    buf_printf(telling->out, ",\"output_index\":%zu,\"%s\":", telling->index,
               is_all ? (is_custom ? "input" : "arguments") : "delta");
    json_write_string(telling->out, text);
    end_frame(telling->stamp, telling->out);
}

static void end_call(const struct telling *telling, size_t call)
{
    write_arguments(telling, call, sim_answer_arguments(telling->answer, 0, call), true);
    write_call_item(telling, call, SIM_RESPONSES_DONE);
}

/* The one before it ends where it begins. */
static void begin_call(const struct telling *telling, size_t call)
{
    struct telling before = *telling;

    if (call) {
        before.index--;
        end_call(&before, call - 1);
    }
    write_call_item(telling, call, SIM_RESPONSES_ADDED);
}

/* --- the whole --- */

static void write_start(struct telling *telling)
{
    const struct sim_answer *answer = telling->answer;
    bool is_told = answer->ask->is_thinking_told && sim_responses_has_thought(answer);

    write_response(telling, "response.created", SIM_RESPONSES_ADDED);
    write_response(telling, "response.in_progress", SIM_RESPONSES_ADDED);
    telling->index = 0;
    if (sim_responses_has_thought(answer)) {
        begin_reasoning(telling);
        telling->index++;
    }
    if (!is_told && !sim_responses_has_calls(answer) && !answer->is_blocked)
        begin_message(telling);
}

static void write_thought(struct telling *telling, const struct sim_event *event)
{
    telling->index = 0;
    write_summary(telling, "response.reasoning_summary_text.delta", "delta", event->text, false);
    if (!event->is_last)
        return;
    end_reasoning(telling);
    telling->index = 1;
    if (!sim_responses_has_calls(telling->answer))
        begin_message(telling);
}

static void write_finish(struct telling *telling)
{
    size_t calls =
        sim_responses_has_calls(telling->answer) ? sim_answer_calls(telling->answer, 0) : 0;

    if (telling->answer->is_blocked)
        return;
    if (!calls) {
        end_message(telling);
        return;
    }
    telling->index += calls - 1;
    end_call(telling, calls - 1);
}

void sim_responses_write_event(const struct sim_answer *answer, const struct sim_event *event,
                               const struct sim_stamp *stamp, struct buf *body)
{
    struct telling telling = {answer, stamp, body, event->call + sim_responses_has_thought(answer)};

    switch (event->kind) {
    case SIM_EVENT_START:
        write_start(&telling);
        break;
    case SIM_EVENT_THOUGHT:
        write_thought(&telling, event);
        break;
    case SIM_EVENT_TEXT:
        write_text(&telling, event->text);
        break;
    case SIM_EVENT_CALL:
        begin_call(&telling, event->call);
        break;
    case SIM_EVENT_ARGUMENTS:
        write_arguments(&telling, event->call, event->text, false);
        break;
    case SIM_EVENT_FINISH:
        write_finish(&telling);
        break;
    case SIM_EVENT_END:
        write_response(&telling,
                       sim_responses_status(answer)[0] == 'c' ? "response.completed"
                                                              : "response.incomplete",
                       SIM_RESPONSES_DONE);
        break;
    case SIM_EVENT_USAGE:
        break;
    }
}

static const char *code_of(enum sim_failure_kind kind)
{
    return kind == SIM_FAILURE_RATE_REQUESTS || kind == SIM_FAILURE_RATE_TOKENS
               ? "rate_limit_exceeded"
               : "server_error";
}

void sim_responses_write_failure_event(const struct sim_failure *failure,
                                       const struct sim_stamp *stamp, struct buf *body)
{
    struct buf error;

    /* {"error": ...}, of which the brace is left out. */
    buf_init(&error, 2 * SIM_MAX_ECHO_BYTES);
    sim_openai_write_failure(failure, &error);
    begin_frame(stamp, "error", body);
    buf_append_byte(body, ',');
    if (error.len > 2)
        buf_append(body, error.data + 1, error.len - 2);
    else
        body->err = error.err;
    end_frame(stamp, body);
    buf_fini(&error);
    begin_frame(stamp, "response.failed", body);
    buf_printf(body,
               ",\"response\":{\"id\":\"resp_%016llx\",\"object\":\"response\",\"created_at\":%llu,"
               "\"status\":\"failed\",\"error\":{\"code\":\"%s\",\"message\":\"The response "
               "failed.\"},\"incomplete_details\":null,\"model\":",
               (unsigned long long)stamp->id, (unsigned long long)stamp->created_s,
               code_of(failure->kind));
    json_write_string(body, failure->model);
    buf_append_span(body, SPAN(",\"output\":[],\"usage\":null}"));
    end_frame(stamp, body);
}
