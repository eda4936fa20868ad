/* Writes how much the model shall think, and the shape of its answer. */
#include "dialect/anthropic_inner.h"

#include <stdio.h>

#include "dialect/claude.h"

enum { BUDGET_MIN = 1024 };

/* --- whether it thinks --- */

/* Notes that what was said of thinking is not told, by the names that the client gave it. */
static void drop(struct anthropic_writing *writing)
{
    static const enum chat_parameter parameters[] = {CHAT_REASONING_EFFORT_PARAM,
                                                     CHAT_REASONING_PARAM, CHAT_THINKING_PARAM,
                                                     CHAT_THINKING_CONFIG_PARAM};
    const struct chat *chat = writing->of->chat;

    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        if (chat->params[parameters[i]])
            chat_drop(writing->of->drops, parameter_name(chat, parameters[i]));
    }
}

static bool is_wanted(const struct chat_thinking *thinking)
{
    return thinking->budget > 0 || thinking->is_adaptive || thinking->effort > CHAT_EFFORT_NONE;
}

/* What the assistant's last turn, of messages side by side, holds. */
static void look_at_last_turn(const struct chat *chat, bool *ret_has_call, bool *ret_has_thought)
{
    size_t m = chat->message_count;

    *ret_has_call = *ret_has_thought = false;
    while (m > 0 && chat->messages[m - 1].role != CHAT_ASSISTANT)
        m--;
    for (; m > 0 && chat->messages[m - 1].role == CHAT_ASSISTANT; m--) {
        const struct chat_message *message = &chat->messages[m - 1];

        for (size_t p = 0; p < message->part_count; p++) {
            enum chat_part_kind kind = message->parts[p].kind;

            *ret_has_call |= kind == CHAT_PART_CALL;
            *ret_has_thought |= (kind == CHAT_PART_THINKING || kind == CHAT_PART_REDACTED) &&
                                anthropic_is_writable(&message->parts[p]);
        }
    }
}

/* Models that are given a budget want the thoughts back that led to the last calls, or to the
 * beginning of the answer, and refuse the request without: then it does without thinking. */
static bool lacks_thoughts(const struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    bool has_call, has_thought, is_begun;

    look_at_last_turn(chat, &has_call, &has_thought);
    is_begun =
        chat->message_count > 0 && chat->messages[chat->message_count - 1].role == CHAT_ASSISTANT;
    return (has_call || is_begun) && !has_thought;
}

static int64_t budget_of(const struct chat_thinking *thinking)
{
    int64_t budget = thinking->budget;

    if (budget == 0) {
        switch (thinking->effort) {
        case CHAT_EFFORT_NONE:
        case CHAT_EFFORT_MINIMAL:
        case CHAT_EFFORT_LOW:
            budget = 1024;
            break;
        case CHAT_EFFORT_NOT_SAID:
        case CHAT_EFFORT_MEDIUM:
            budget = 2048;
            break;
        case CHAT_EFFORT_HIGH:
            budget = 4096;
            break;
        case CHAT_EFFORT_XHIGH:
            budget = 8192;
            break;
        case CHAT_EFFORT_MAX:
            budget = 16384;
            break;
        }
    }
    return budget < BUDGET_MIN ? BUDGET_MIN : budget;
}

/* The budget counts against max_tokens, which the client meant for what it gets to read: it is
 * raised, as far as the model goes. */
static bool settle_budget(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    int64_t limit = writing->claude->max_output, budget = budget_of(&chat->thinking);

    if (chat->max_tokens > 0 && chat->max_tokens <= limit - budget)
        writing->max_tokens = chat->max_tokens + budget;
    else if (chat->max_tokens < limit)
        writing->max_tokens = limit;
    if (budget >= writing->max_tokens)
        budget = writing->max_tokens - 1;
    writing->budget = budget;
    return budget >= BUDGET_MIN;
}

void anthropic_settle_thinking(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    const struct claude *claude = writing->claude;
    bool may_think = claude->thinking != CLAUDE_THINKING_NONE && !anthropic_forces_call(writing);

    writing->max_tokens = chat->max_tokens ? chat->max_tokens : claude->max_output;
    if (writing->is_own || !is_wanted(&chat->thinking))
        return;
    if (claude->thinking == CLAUDE_THINKING_BUDGET && may_think)
        may_think = !lacks_thoughts(writing) && settle_budget(writing);
    writing->thinks = may_think;
    if (!may_think)
        drop(writing);
}

/* --- what is written of it --- */

static void write_display(struct json_writer *json, enum chat_maybe show)
{
    if (show != CHAT_NOT_SAID)
        json_member_text(json, "display", show == CHAT_YES ? "summarized" : "omitted");
}

static void write_thinking(struct anthropic_writing *writing)
{
    const struct chat_thinking *thinking = &writing->of->chat->thinking;
    struct json_writer *json = &writing->json;
    bool is_off = thinking->effort == CHAT_EFFORT_NONE && !writing->thinks &&
                  writing->claude->thinking != CLAUDE_THINKING_NONE;

    if (is_off && writing->claude->always_thinks)
        drop(writing);
    if (!writing->thinks && (!is_off || writing->claude->always_thinks))
        return;
    json_name(json, "thinking");
    json_begin_object(json);
    if (is_off) {
        json_member_text(json, "type", "disabled");
    } else if (writing->claude->thinking == CLAUDE_THINKING_BUDGET) {
        json_member_text(json, "type", "enabled");
        json_member_int(json, "budget_tokens", writing->budget);
        write_display(json, thinking->show);
    } else {
        json_member_text(json, "type", "adaptive");
        write_display(json, thinking->show);
    }
    json_end_object(json);
}

/* A budget told to a model that is given an effort. */
static enum chat_effort effort_of(const struct chat_thinking *thinking)
{
    if (thinking->effort != CHAT_EFFORT_NOT_SAID || thinking->budget == 0)
        return thinking->effort;
    if (thinking->budget <= 2048)
        return CHAT_EFFORT_LOW;
    if (thinking->budget <= 8192)
        return CHAT_EFFORT_MEDIUM;
    return thinking->budget <= 32768 ? CHAT_EFFORT_HIGH : CHAT_EFFORT_MAX;
}

/* NULL: nothing to say. */
static const char *effort_word(const struct anthropic_writing *writing)
{
    if (writing->claude->thinking != CLAUDE_THINKING_ADAPTIVE)
        return NULL;
    switch (effort_of(&writing->of->chat->thinking)) {
    case CHAT_EFFORT_NOT_SAID:
        return NULL;
    case CHAT_EFFORT_NONE:
        /* As near to none as it gets. */
        return writing->claude->always_thinks ? "low" : NULL;
    case CHAT_EFFORT_MINIMAL:
    case CHAT_EFFORT_LOW:
        return "low";
    case CHAT_EFFORT_MEDIUM:
        return "medium";
    case CHAT_EFFORT_HIGH:
        return "high";
    case CHAT_EFFORT_XHIGH:
        return writing->claude->knows_xhigh ? "xhigh" : "high";
    case CHAT_EFFORT_MAX:
        return "max";
    }
    return NULL;
}

static void write_config(struct anthropic_writing *writing)
{
    const struct chat_format *format = &writing->of->chat->format;
    struct json_writer *json = &writing->json;
    const char *effort = effort_word(writing);
    bool has_format = format->kind == CHAT_FORMAT_SCHEMA && writing->claude->is_structured;

    if (!effort && !has_format)
        return;
    json_name(json, "output_config");
    json_begin_object(json);
    if (effort)
        json_member_text(json, "effort", effort);
    if (has_format) {
        json_name(json, "format");
        json_begin_object(json);
        json_member_text(json, "type", "json_schema");
        json_name(json, "schema");
        anthropic_write_schema(writing, format->schema);
        json_end_object(json);
    }
    json_end_object(json);
}

/* As the client said it: it speaks to the model in the model's own words. */
static void write_own(struct anthropic_writing *writing)
{
    static const enum chat_parameter parameters[] = {CHAT_THINKING_PARAM, CHAT_OUTPUT_CONFIG_PARAM,
                                                     CHAT_OUTPUT_FORMAT_PARAM};

    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        const yyjson_val *value = writing->of->chat->params[parameters[i]];

        if (!value)
            continue;
        json_name_span(&writing->json, parameter_row(parameters[i])->names[FORM_MESSAGES]);
        json_value(&writing->json, value);
    }
}

static int refuse_words(struct anthropic_writing *writing)
{
    struct span name = parameter_name(writing->of->chat, CHAT_RESPONSE_MIME_TYPE_PARAM);
    char param[64];

    snprintf(param, sizeof(param), "%.*s", SPAN_ARG(name));
    return chat_refuse(writing->of->refusal, FAILURE_UNSUPPORTED, param,
                       "An answer that is one of a list of words cannot be asked of the provider "
                       "of this model; ask for JSON.");
}

int anthropic_write_output(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    if (writing->is_own) {
        write_own(writing);
        return 0;
    }
    if (chat->format.kind == CHAT_FORMAT_ENUM)
        return refuse_words(writing);
    write_thinking(writing);
    write_config(writing);
    return 0;
}
