/* Writes a request for the Messages API: the body and what of its parameters is told as it stands.
 * Messages, tools, thinking and output have files of their own. */
#include "dialect/anthropic_inner.h"

#include "dialect/claude.h"

/* --- sampling --- */

/* Notes that a parameter is not told, by the name that the client gave it. */
static void drop(struct anthropic_writing *writing, enum chat_parameter parameter)
{
    chat_drop(writing->of->drops, parameter_name(writing->of->chat, parameter));
}

/* True where the parameter is given and the model takes it; dropped where only it does not. */
static bool is_taken(struct anthropic_writing *writing, enum chat_parameter parameter,
                     bool is_refused)
{
    if (!writing->of->chat->params[parameter])
        return false;
    if (is_refused)
        drop(writing, parameter);
    return !is_refused;
}

/* Others know temperatures up to 2. */
static void write_temperature(struct anthropic_writing *writing)
{
    const yyjson_val *value = writing->of->chat->params[CHAT_TEMPERATURE_PARAM];
    double number;

    if (json_tree_double(value, &number) && number > 1)
        json_member_int(&writing->json, "temperature", 1);
    else
        json_member_value(&writing->json, "temperature", value);
}

static void write_sampling(struct anthropic_writing *writing)
{
    const struct claude *claude = writing->claude;
    /* While it thinks the model allows none of them. */
    bool is_refused = claude->sampling == CLAUDE_SAMPLING_REFUSED || writing->thinks;
    bool has_temperature = is_taken(writing, CHAT_TEMPERATURE_PARAM, is_refused);
    bool is_either = claude->sampling == CLAUDE_SAMPLING_EITHER && has_temperature;

    if (has_temperature)
        write_temperature(writing);
    if (is_taken(writing, CHAT_TOP_P_PARAM, is_refused || is_either))
        json_member_value(&writing->json, "top_p", writing->of->chat->params[CHAT_TOP_P_PARAM]);
    if (is_taken(writing, CHAT_TOP_K_PARAM, is_refused))
        json_member_value(&writing->json, "top_k", writing->of->chat->params[CHAT_TOP_K_PARAM]);
}

/* --- what is told as it stands, or nearly so --- */

static void write_stops(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;
    bool has_any = false;

    for (size_t i = 0; i < chat->stop_count; i++) {
        if (anthropic_is_blank(chat->stops[i])) {
            drop(writing, CHAT_STOP_PARAM);
            continue;
        }
        if (!has_any) {
            json_name(&writing->json, "stop_sequences");
            json_begin_array(&writing->json);
        }
        has_any = true;
        json_string(&writing->json, chat->stops[i]);
    }
    if (has_any)
        json_end_array(&writing->json);
}

static void write_metadata(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    if (chat->params[CHAT_METADATA_PARAM]) {
        if (writing->is_own) {
            json_member_value(&writing->json, "metadata", chat->params[CHAT_METADATA_PARAM]);
            return;
        }
        drop(writing, CHAT_METADATA_PARAM);
    }
    if (chat->user.len == 0)
        return;
    json_name(&writing->json, "metadata");
    json_begin_object(&writing->json);
    json_member_string(&writing->json, "user_id", chat->user);
    json_end_object(&writing->json);
}

/* Where a client may ask for a tier by words of its own, "default" is the plain one. */
static void write_service_tier(struct anthropic_writing *writing)
{
    const yyjson_val *value = writing->of->chat->params[CHAT_SERVICE_TIER_PARAM];

    if (!value)
        return;
    if (writing->is_own)
        json_member_value(&writing->json, "service_tier", value);
    else if (span_is_equal(json_tree_text(value), SPAN("default")))
        json_member_text(&writing->json, "service_tier", "standard_only");
    else
        drop(writing, CHAT_SERVICE_TIER_PARAM);
}

/* What the table of parameters says is told under its name here, as it stands; of a request of this
 * dialect, all that no code sees to. */
static void write_plain_parameters(struct anthropic_writing *writing)
{
    for (unsigned i = 0; i < CHAT_PARAMS; i++) {
        const struct parameter_row *row = parameter_row((enum chat_parameter)i);
        const yyjson_val *value = writing->of->chat->params[i];
        unsigned fate = row->fates[DIALECT_ANTHROPIC];

        if (!value || (writing->is_own ? fate == PARAMETER_CODE : fate != PARAMETER_WRITE))
            continue;
        json_name_span(&writing->json, row->names[FORM_MESSAGES]);
        json_value(&writing->json, value);
    }
}

/* Members of a body of this dialect that are newer than the table of parameters. */
static void write_unknown(struct anthropic_writing *writing)
{
    const struct chat *chat = writing->of->chat;

    for (size_t i = 0; writing->is_own && i < chat->unknown_count; i++) {
        const struct chat_unknown *unknown = &chat->unknown[i];

        if (!unknown->value) {
            chat_drop(writing->of->drops, unknown->name);
            continue;
        }
        json_name_span(&writing->json, unknown->name);
        json_value(&writing->json, unknown->value);
    }
}

/* --- the body --- */

static int write_body(struct anthropic_writing *writing)
{
    struct json_writer *json = &writing->json;
    int err;

    json_begin_object(json);
    json_member_string(json, "model", writing->of->target->model);
    if (!writing->is_count)
        json_member_int(json, "max_tokens", writing->max_tokens);
    err = anthropic_write_messages(writing);
    if (!err)
        err = anthropic_write_tools(writing);
    if (!err)
        err = anthropic_write_output(writing);
    if (err)
        return err;
    if (!writing->is_count) {
        write_sampling(writing);
        write_stops(writing);
        write_metadata(writing);
        write_service_tier(writing);
        write_plain_parameters(writing);
        write_unknown(writing);
        if (writing->of->chat->is_streaming)
            json_member_bool(json, "stream", true);
    }
    json_end_object(json);
    return writing->of->out->err;
}

int anthropic_write_request(struct chat_writing *of)
{
    const struct chat *chat = of->chat;
    struct anthropic_writing writing = {
        .of = of,
        .claude = claude_find(of->target->model),
        .is_own = form_row(chat->form)->dialect == DIALECT_ANTHROPIC,
        .is_count = form_row(chat->form)->purpose == PURPOSE_MEASURE,
    };

    json_writer_init(&writing.json, of->out);
    writing.has_json_tool = anthropic_needs_json_tool(&writing);
    anthropic_settle_thinking(&writing);
    return write_body(&writing);
}
