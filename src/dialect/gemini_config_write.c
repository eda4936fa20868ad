/* generationConfig: parameters, the answer's format, and how to think. */
#include <stdio.h>

#include "dialect/gemini_inner.h"

static const struct span prefix = SPAN_INIT("generationConfig.");

/* The client's name of the first of these parameters that it gave. */
static struct span given_name(const struct chat *chat, const enum chat_parameter *parameters,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (chat->params[parameters[i]])
            return parameter_name(chat, parameters[i]);
    }
    return span_of(NULL, 0);
}

/* --- parameters that stand under another name, and no more --- */

/* The member's name where this row is written as it stands, in generationConfig or outside it. */
static struct span plain_name(const struct chat *chat, size_t parameter, bool is_config)
{
    const struct parameter_row *row = parameter_row((enum chat_parameter)parameter);
    struct span name = row->names[FORM_GENERATE];

    if (!chat->params[parameter] || row->fates[DIALECT_GEMINI] != PARAMETER_WRITE ||
        span_has_prefix(name, prefix) != is_config)
        return span_of(NULL, 0);
    return is_config ? span_skip(name, prefix.len) : name;
}

static void write_plain(struct chat_writing *writing, struct json_writer *writer, bool is_config)
{
    for (size_t i = 0; i < CHAT_PARAMS; i++) {
        struct span name = plain_name(writing->chat, i, is_config);

        if (name.len == 0)
            continue;
        json_name_span(writer, name);
        json_value(writer, writing->chat->params[i]);
    }
}

/* A seed has 32 bits there: a longer one is folded, so that the same one stays the same. */
static void write_seed(struct chat_writing *writing, struct json_writer *writer)
{
    const yyjson_val *seed = writing->chat->params[CHAT_SEED_PARAM];
    int64_t number;

    if (!json_tree_int(seed, &number))
        return;
    if (number < INT32_MIN || number > INT32_MAX)
        number = (int64_t)((uint64_t)number & INT32_MAX);
    json_member_int(writer, "seed", number);
}

static int write_stops(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    size_t count = 0;

    for (size_t i = 0; i < chat->stop_count; i++)
        count += chat->stops[i].len > 0;
    if (count > GEMINI_STOPS_MAX) {
        char param[64];

        snprintf(param, sizeof(param), "%.*s", SPAN_ARG(parameter_name(chat, CHAT_STOP_PARAM)));
        return chat_refuse(writing->refusal, FAILURE_UNSUPPORTED, param,
                           "Invalid value for '%s': the provider of this model takes at most %d "
                           "stop sequences.",
                           param, GEMINI_STOPS_MAX);
    }
    if (count == 0)
        return 0;
    json_name(writer, "stopSequences");
    json_begin_array(writer);
    for (size_t i = 0; i < chat->stop_count; i++) {
        if (chat->stops[i].len)
            json_string(writer, chat->stops[i]);
    }
    json_end_array(writer);
    return 0;
}

static void write_logprobs(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    const yyjson_val *wanted = chat->params[CHAT_LOGPROBS_PARAM];
    const yyjson_val *top = chat->params[CHAT_TOP_LOGPROBS_PARAM];

    /* A number of alternatives asks for them too. */
    if (wanted || top)
        json_member_bool(writer, "responseLogprobs", true);
    if (top)
        json_member_value(writer, "logprobs", top);
}

/* --- the answer's format --- */

static int write_format(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    const struct chat_format *format = &chat->format;

    if (gemini_is_own(chat)) {
        if (chat->params[CHAT_RESPONSE_MIME_TYPE_PARAM])
            json_member_value(writer, "responseMimeType",
                              chat->params[CHAT_RESPONSE_MIME_TYPE_PARAM]);
        if (chat->params[CHAT_RESPONSE_SCHEMA_PARAM])
            json_member_value(writer, "responseSchema", chat->params[CHAT_RESPONSE_SCHEMA_PARAM]);
        if (chat->params[CHAT_RESPONSE_JSON_SCHEMA_PARAM])
            json_member_value(writer, "responseJsonSchema",
                              chat->params[CHAT_RESPONSE_JSON_SCHEMA_PARAM]);
        return 0;
    }
    if (format->kind == CHAT_FORMAT_TEXT)
        return 0;
    json_member_text(writer, "responseMimeType",
                     format->kind == CHAT_FORMAT_ENUM ? "text/x.enum" : "application/json");
    if (!format->schema)
        return 0;
    return gemini_write_schema(writing, writer, "responseJsonSchema", "responseSchema",
                               format->schema);
}

/* --- thinking --- */

static enum gemini_level wanted_level(enum chat_effort effort)
{
    switch (effort) {
    case CHAT_EFFORT_NONE:
    case CHAT_EFFORT_MINIMAL:
        return GEMINI_MINIMAL;
    case CHAT_EFFORT_LOW:
        return GEMINI_LOW;
    case CHAT_EFFORT_MEDIUM:
        return GEMINI_MEDIUM;
    case CHAT_EFFORT_NOT_SAID:
    case CHAT_EFFORT_HIGH:
    case CHAT_EFFORT_XHIGH:
    case CHAT_EFFORT_MAX:
        break;
    }
    return GEMINI_HIGH;
}

/* The word that comes next where the model lacks the one that was meant: upwards, for these models
 * cannot be switched off, and less thought than asked for would be another answer. */
static const char *level_text(const struct gemini_model *model, enum chat_effort effort)
{
    static const char *const texts[] = {"MINIMAL", "LOW", "MEDIUM", "HIGH"};
    unsigned at = 0;

    while (1u << at != (unsigned)wanted_level(effort))
        at++;
    while (at < 3 && !(model->levels >> at & 1))
        at++;
    return texts[at];
}

static int64_t budget_of(const struct gemini_model *model, const struct chat_thinking *thinking)
{
    int64_t budget = thinking->budget;

    if (thinking->effort == CHAT_EFFORT_NONE)
        return model->can_rest ? 0 : model->least;
    if (budget == 0) {
        switch (thinking->effort) {
        case CHAT_EFFORT_NOT_SAID:
            return -1;
        case CHAT_EFFORT_NONE:
        case CHAT_EFFORT_MINIMAL:
        case CHAT_EFFORT_LOW:
            budget = 1024;
            break;
        case CHAT_EFFORT_MEDIUM:
            budget = 8192;
            break;
        case CHAT_EFFORT_HIGH:
            budget = 24576;
            break;
        case CHAT_EFFORT_XHIGH:
        case CHAT_EFFORT_MAX:
            budget = model->most;
            break;
        }
    }
    if (budget < model->least)
        return model->least;
    return budget > model->most ? model->most : budget;
}

/* A model that does not think is told nothing, and the client that this was left out. */
static void drop_thinking(struct chat_writing *writing)
{
    static const enum chat_parameter names[] = {CHAT_REASONING_EFFORT_PARAM, CHAT_REASONING_PARAM,
                                                CHAT_THINKING_PARAM, CHAT_OUTPUT_CONFIG_PARAM,
                                                CHAT_THINKING_CONFIG_PARAM};
    const struct chat_thinking *thinking = &writing->chat->thinking;

    if (thinking->effort != CHAT_EFFORT_NONE)
        chat_drop(writing->drops,
                  given_name(writing->chat, names, sizeof(names) / sizeof(names[0])));
}

static void write_thinking(struct chat_writing *writing, struct json_writer *writer)
{
    const struct gemini_model *model = gemini_model_find(writing->target->model);
    const struct chat_thinking *thinking = &writing->chat->thinking;
    bool has_effort = thinking->effort != CHAT_EFFORT_NOT_SAID || thinking->budget;

    if (gemini_is_own(writing->chat)) {
        if (writing->chat->params[CHAT_THINKING_CONFIG_PARAM])
            json_member_value(writer, "thinkingConfig",
                              writing->chat->params[CHAT_THINKING_CONFIG_PARAM]);
        return;
    }
    if (!has_effort && !thinking->is_adaptive && thinking->show != CHAT_YES)
        return;
    if (model->thought == GEMINI_THOUGHT_NONE) {
        drop_thinking(writing);
        return;
    }
    json_name(writer, "thinkingConfig");
    json_begin_object(writer);
    if (model->thought == GEMINI_THOUGHT_BUDGET && (has_effort || thinking->is_adaptive))
        json_member_int(writer, "thinkingBudget", budget_of(model, thinking));
    else if (has_effort)
        json_member_text(writer, "thinkingLevel",
                         level_text(model, thinking->effort
                                               ? thinking->effort
                                               : chat_effort_of_budget(thinking->budget)));
    if (thinking->show == CHAT_YES)
        json_member_bool(writer, "includeThoughts", true);
    json_end_object(writer);
}

/* --- all of it --- */

int gemini_write_config(struct chat_writing *writing, struct json_writer *writer)
{
    const struct chat *chat = writing->chat;
    struct json_writer before;
    size_t start, open;
    int err;

    write_plain(writing, writer, false);
    if (gemini_is_own(chat) && chat->params[CHAT_SERVICE_TIER_PARAM])
        json_member_value(writer, "serviceTier", chat->params[CHAT_SERVICE_TIER_PARAM]);
    before = *writer;
    start = writer->buf->len;
    json_name(writer, "generationConfig");
    json_begin_object(writer);
    open = writer->buf->len;
    if (chat->max_tokens)
        json_member_int(writer, "maxOutputTokens",
                        chat->max_tokens < INT32_MAX ? chat->max_tokens : INT32_MAX);
    err = write_stops(writing, writer);
    write_plain(writing, writer, true);
    write_seed(writing, writer);
    write_logprobs(writing, writer);
    if (!err)
        err = write_format(writing, writer);
    write_thinking(writing, writer);
    if (writer->buf->len == open) {
        writer->buf->len = start;
        *writer = before;
        return err;
    }
    json_end_object(writer);
    return err;
}
