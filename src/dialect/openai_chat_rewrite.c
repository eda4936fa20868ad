/* A body for chat completions told again as a provider with quirks takes it. What no quirk touches
 * stays as it stands, known or not. */
#include <stdio.h>

#include "dialect/openai_chat_inner.h"

/* What the client calls the parameter that OpenAI calls `name`. */
static struct span told_name(const struct chat *chat, struct span name)
{
    for (int i = 0; i < CHAT_PARAMS; i++) {
        const struct parameter_row *row = parameter_row((enum chat_parameter)i);

        if (span_is_equal(row->names[FORM_CHAT], name) && row->names[chat->form].len)
            return row->names[chat->form];
    }
    return name;
}

static int refuse(struct openai_rewriting *rewriting, struct span name)
{
    struct span told = told_name(rewriting->writing->chat, name);
    char param[64];

    snprintf(param, sizeof(param), "%.*s", SPAN_ARG(told));
    return chat_refuse(rewriting->writing->refusal, FAILURE_UNSUPPORTED, param,
                       "Unsupported parameter: '%s' is not supported by the provider of this "
                       "model.",
                       param);
}

/* --- tools --- */

static struct span tool_name(const yyjson_val *tool)
{
    return json_tree_string(json_tree_member(tool, "function"), "name");
}

static bool is_allowed(const yyjson_val *choice, struct span name)
{
    const yyjson_val *inner = json_tree_member(choice, "allowed_tools");
    yyjson_val *list = json_tree_plain(json_tree_member(inner ? inner : choice, "tools")), *tool;
    size_t at, max;

    if (!yyjson_is_arr(list))
        return true;
    yyjson_arr_foreach(list, at, max, tool)
    {
        if (span_is_equal(tool_name(tool), name))
            return true;
    }
    return false;
}

/* The tools that may be used, where the provider cannot be told that others may not. */
static int write_tools(struct openai_rewriting *rewriting, const yyjson_val *tools)
{
    const yyjson_val *choice = json_tree_member(rewriting->root, "tool_choice");
    bool is_subset = openai_is_subset(choice);
    yyjson_val *tool;
    size_t at, max;

    json_name(&rewriting->json, "tools");
    json_begin_array(&rewriting->json);
    yyjson_arr_foreach(json_tree_plain(tools), at, max, tool)
    {
        if (is_subset && !is_allowed(choice, tool_name(tool)))
            continue;
        if (openai_is_word(json_tree_member(tool, "type"), "custom")) {
            char place[32];

            snprintf(place, sizeof(place), "tools[%zu].type", at);
            return chat_refuse(rewriting->writing->refusal, FAILURE_UNSUPPORTED, place,
                               "The provider of this model knows tools of type 'function' only.");
        }
        json_value(&rewriting->json, tool);
    }
    json_end_array(&rewriting->json);
    return 0;
}

static void write_choice(struct openai_rewriting *rewriting, const yyjson_val *choice)
{
    bool is_any = openai_is_word(choice, "required") ||
                  (openai_is_subset(choice) && openai_is_forced(rewriting->root));

    if (openai_is_subset(choice) && (rewriting->quirks & QUIRK_FUNCTIONS_ONLY) && !is_any)
        json_member_text(&rewriting->json, "tool_choice", "auto");
    else if (is_any)
        json_member_text(&rewriting->json, "tool_choice",
                         rewriting->quirks & QUIRK_ANY_FOR_REQUIRED ? "any" : "required");
    else
        openai_copy_member(rewriting, SPAN("tool_choice"), choice);
    /* A forced call and thinking exclude each other there, and thinking is on unless told off. */
    if ((rewriting->quirks & QUIRK_DEEPSEEK_THINKING) && openai_is_forced(rewriting->root)) {
        json_name(&rewriting->json, "thinking");
        json_raw(&rewriting->json, SPAN("{\"type\":\"disabled\"}"));
    }
}

/* --- parameters --- */

static void write_logprobs(struct openai_rewriting *rewriting, const yyjson_val *value)
{
    int64_t top = 0;

    if (!yyjson_is_true(json_tree_plain(value)))
        return;
    (void)json_tree_int(json_tree_member(rewriting->root, "top_logprobs"), &top);
    json_member_int(&rewriting->json, "logprobs", top > 0 ? top : 1);
}

static int edit(struct openai_rewriting *rewriting, struct span name, const yyjson_val *value)
{
    struct json_writer *json = &rewriting->json;

    if (span_is_equal(name, SPAN("tools")))
        return write_tools(rewriting, value);
    if (span_is_equal(name, SPAN("tool_choice"))) {
        write_choice(rewriting, value);
    } else if (span_is_equal(name, SPAN("logprobs"))) {
        write_logprobs(rewriting, value);
    } else if (span_is_equal(name, SPAN("stop"))) {
        json_name(json, "stop");
        json_begin_array(json);
        json_string(json, json_tree_text(value));
        json_end_array(json);
    } else if (span_is_equal(name, SPAN("response_format"))) {
        json_name(json, "response_format");
        json_raw(json, SPAN("{\"type\":\"json_object\"}"));
        chat_drop(rewriting->writing->drops, SPAN("response_format.json_schema"));
    } else if (span_is_equal(name, SPAN("reasoning_effort"))) {
        enum chat_effort effort = chat_effort_of(json_tree_text(value));

        json_name(json, "reasoning_effort");
        json_string(json, chat_effort_word(openai_effort_for(effort, rewriting->quirks)));
    }
    return 0;
}

static int write_touched(struct openai_rewriting *rewriting, struct span name,
                         const yyjson_val *value)
{
    struct openai_touched touched = openai_touch(rewriting->root, name, value, rewriting->quirks);

    switch (touched.touch) {
    case OPENAI_KEEP:
    case OPENAI_RENAME:
        openai_copy_member(rewriting, touched.name, value);
        break;
    case OPENAI_DROP:
        chat_drop(rewriting->writing->drops, told_name(rewriting->writing->chat, name));
        break;
    case OPENAI_LEAVE_OUT:
        break;
    case OPENAI_REFUSE:
        return refuse(rewriting, name);
    case OPENAI_EDIT:
        return edit(rewriting, name, value);
    }
    return 0;
}

/* The client's own, with the question for usage. */
static void write_stream_options(struct openai_rewriting *rewriting)
{
    const yyjson_val *options = json_tree_member(rewriting->root, "stream_options");
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(options));
    yyjson_val *key;

    json_name(&rewriting->json, "stream_options");
    json_begin_object(&rewriting->json);
    while ((key = yyjson_obj_iter_next(&iter))) {
        if (!span_is_equal(json_tree_text(key), SPAN("include_usage")))
            openai_copy_member(rewriting, json_tree_text(key), yyjson_obj_iter_get_val(key));
    }
    json_member_bool(&rewriting->json, "include_usage", true);
    json_end_object(&rewriting->json);
}

int openai_rewrite(struct chat_writing *writing, const yyjson_val *root)
{
    struct openai_rewriting rewriting = {writing, root, writing->target->quirks, {0}};
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(root));
    bool is_asked = writing->target->is_usage_asked && writing->chat->is_streaming;
    yyjson_val *key;
    int err = 0;

    json_writer_init(&rewriting.json, writing->out);
    json_begin_object(&rewriting.json);
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        struct span name = json_tree_text(key);
        const yyjson_val *value = yyjson_obj_iter_get_val(key);

        if (span_is_equal(name, SPAN("model")))
            json_member_string(&rewriting.json, "model", writing->target->model);
        else if (span_is_equal(name, SPAN("messages")))
            err = openai_rewrite_messages(&rewriting, value);
        else if (!is_asked || !span_is_equal(name, SPAN("stream_options")))
            err = write_touched(&rewriting, name, value);
    }
    if (is_asked)
        write_stream_options(&rewriting);
    json_end_object(&rewriting.json);
    return err ? err : writing->out->err;
}
