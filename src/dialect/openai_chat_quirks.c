/* Which members of a body a provider's quirks touch, and how: the table, and what of it takes more
 * than a name. */
#include "dialect/openai_chat.h"
#include "dialect/openai_chat_inner.h"

/* --- what a value says --- */

static bool always(const yyjson_val *root, const yyjson_val *value)
{
    return true;
}

/* Asks for nothing: false, {}, 0, or one choice. */
static bool is_idle(const yyjson_val *root, const yyjson_val *value)
{
    yyjson_val *plain = json_tree_plain(value);
    int64_t number;

    if (json_tree_int(value, &number))
        return number == 0;
    return yyjson_is_false(plain) || (yyjson_is_ctn(plain) && yyjson_get_len(plain) == 0);
}

static bool is_busy(const yyjson_val *root, const yyjson_val *value)
{
    return !is_idle(root, value);
}

static bool is_above_one(const yyjson_val *root, const yyjson_val *value)
{
    int64_t number;

    return json_tree_int(value, &number) && number > 1;
}

static bool is_text(const yyjson_val *root, const yyjson_val *value)
{
    return yyjson_is_str(json_tree_plain(value));
}

static bool is_flag(const yyjson_val *root, const yyjson_val *value)
{
    return yyjson_is_bool(json_tree_plain(value));
}

static bool is_schema(const yyjson_val *root, const yyjson_val *value)
{
    return openai_is_word(json_tree_member(value, "type"), "json_schema");
}

/* Both names of one thing stand there: the newer one counts. */
static bool has_newer_limit(const yyjson_val *root, const yyjson_val *value)
{
    return json_tree_member(root, "max_completion_tokens") != NULL;
}

static bool is_required(const yyjson_val *root, const yyjson_val *value)
{
    return openai_is_word(value, "required");
}

static bool is_not_auto(const yyjson_val *root, const yyjson_val *value)
{
    return !openai_is_word(value, "auto");
}

bool openai_is_subset(const yyjson_val *choice)
{
    return openai_is_word(json_tree_member(choice, "type"), "allowed_tools");
}

static bool is_subset(const yyjson_val *root, const yyjson_val *value)
{
    return openai_is_subset(value);
}

/* Tools that go away, or cannot be told. */
static bool is_more_than_functions(const yyjson_val *root, const yyjson_val *value)
{
    yyjson_val *tool;
    size_t at, max;

    if (openai_is_subset(json_tree_member(root, "tool_choice")))
        return true;
    if (!yyjson_is_arr(json_tree_plain(value)))
        return false;
    yyjson_arr_foreach(json_tree_plain(value), at, max, tool)
    {
        if (openai_is_word(json_tree_member(tool, "type"), "custom"))
            return true;
    }
    return false;
}

bool openai_is_forced(const yyjson_val *root)
{
    const yyjson_val *choice = json_tree_member(root, "tool_choice");

    if (openai_is_subset(choice)) {
        const yyjson_val *inner = json_tree_member(choice, "allowed_tools");

        return openai_is_word(json_tree_member(inner ? inner : choice, "mode"), "required");
    }
    return choice && !openai_is_word(choice, "auto") && !openai_is_word(choice, "none");
}

static bool is_thinking_off(const yyjson_val *root)
{
    return openai_is_word(json_tree_member(json_tree_member(root, "thinking"), "type"), "disabled");
}

/* Thinks, asked or unasked, although a call is forced. */
static bool is_torn(const yyjson_val *root, const yyjson_val *value)
{
    return openai_is_forced(root) && !is_thinking_off(root);
}

enum chat_effort openai_effort_for(enum chat_effort effort, uint32_t quirks)
{
    switch (effort) {
    case CHAT_EFFORT_MINIMAL:
        return quirks & (QUIRK_DEEPSEEK_EFFORT | QUIRK_PLAIN_EFFORT) ? CHAT_EFFORT_LOW : effort;
    case CHAT_EFFORT_MEDIUM:
        return quirks & QUIRK_DEEPSEEK_EFFORT ? CHAT_EFFORT_HIGH : effort;
    case CHAT_EFFORT_XHIGH:
        return quirks & (QUIRK_DEEPSEEK_EFFORT | QUIRK_PLAIN_EFFORT) ? CHAT_EFFORT_HIGH : effort;
    case CHAT_EFFORT_MAX:
        return quirks & QUIRK_PLAIN_EFFORT ? CHAT_EFFORT_HIGH : effort;
    case CHAT_EFFORT_NOT_SAID:
    case CHAT_EFFORT_NONE:
    case CHAT_EFFORT_LOW:
    case CHAT_EFFORT_HIGH:
        break;
    }
    return effort;
}

static bool is_effort_of(const yyjson_val *value, enum quirk quirk)
{
    enum chat_effort effort = chat_effort_of(json_tree_text(value));

    return openai_effort_for(effort, (uint32_t)quirk) != effort;
}

static bool is_no_deepseek_effort(const yyjson_val *root, const yyjson_val *value)
{
    return is_effort_of(value, QUIRK_DEEPSEEK_EFFORT);
}

static bool is_no_plain_effort(const yyjson_val *root, const yyjson_val *value)
{
    return is_effort_of(value, QUIRK_PLAIN_EFFORT);
}

/* --- the table --- */

struct rule {
    struct span name;
    enum quirk quirk;
    bool (*applies)(const yyjson_val *root, const yyjson_val *value);
    enum openai_touch touch;
    struct span to; /* RENAME */
};

#define RULE(name, quirk, applies, touch)                                                          \
    {                                                                                              \
        SPAN_INIT(name), QUIRK_##quirk, applies, OPENAI_##touch, SPAN_INIT("")                     \
    }
#define RENAME(name, quirk, to)                                                                    \
    {                                                                                              \
        SPAN_INIT(name), QUIRK_##quirk, always, OPENAI_RENAME, SPAN_INIT(to)                       \
    }

/* The first that applies counts. */
static const struct rule rules[] = {
    RENAME("max_completion_tokens", MAX_TOKENS, "max_tokens"),
    RULE("max_tokens", MAX_TOKENS, has_newer_limit, LEAVE_OUT),
    RENAME("seed", RANDOM_SEED, "random_seed"),
    RENAME("user", USER_ID, "user_id"),
    RULE("user", NO_CHOICES, always, DROP),
    RULE("n", NO_LOGPROBS, is_above_one, REFUSE),
    RULE("n", NO_CHOICES, is_above_one, DROP),
    RULE("logit_bias", NO_LOGPROBS, is_busy, REFUSE),
    RULE("logit_bias", NO_LOGPROBS, is_idle, LEAVE_OUT),
    RULE("logit_bias", NO_CHOICES, is_busy, DROP),
    RULE("logprobs", NO_LOGPROBS, is_busy, REFUSE),
    RULE("logprobs", NO_LOGPROBS, is_idle, LEAVE_OUT),
    RULE("logprobs", NO_CHOICES, is_busy, DROP),
    RULE("logprobs", INT_LOGPROBS, is_flag, EDIT),
    RULE("top_logprobs", NO_LOGPROBS, is_busy, REFUSE),
    RULE("top_logprobs", NO_LOGPROBS, is_idle, LEAVE_OUT),
    RULE("top_logprobs", NO_CHOICES, is_busy, DROP),
    RULE("top_logprobs", INT_LOGPROBS, always, LEAVE_OUT),
    RULE("stop", STOP_ARRAY, is_text, EDIT),
    RULE("response_format", NO_JSON_SCHEMA, is_schema, EDIT),
    RULE("reasoning_effort", DEEPSEEK_THINKING, is_torn, DROP),
    RULE("thinking", DEEPSEEK_THINKING, is_torn, DROP),
    RULE("reasoning_effort", DEEPSEEK_EFFORT, is_no_deepseek_effort, EDIT),
    RULE("reasoning_effort", PLAIN_EFFORT, is_no_plain_effort, EDIT),
    RULE("tool_choice", NO_CHOICES, is_not_auto, DROP),
    RULE("tool_choice", DEEPSEEK_THINKING, is_torn, EDIT),
    RULE("tool_choice", FUNCTIONS_ONLY, is_subset, EDIT),
    RULE("tool_choice", ANY_FOR_REQUIRED, is_required, EDIT),
    RULE("tools", FUNCTIONS_ONLY, is_more_than_functions, EDIT),
    RULE("stream_options", STRICT_FIELDS, always, LEAVE_OUT),
};

/* What a provider that refuses unknown fields knows: Mistral. */
static const struct span strict_names[] = {
    SPAN_INIT("model"),
    SPAN_INIT("messages"),
    SPAN_INIT("temperature"),
    SPAN_INIT("top_p"),
    SPAN_INIT("max_tokens"),
    SPAN_INIT("min_tokens"),
    SPAN_INIT("stream"),
    SPAN_INIT("stop"),
    SPAN_INIT("random_seed"),
    SPAN_INIT("metadata"),
    SPAN_INIT("response_format"),
    SPAN_INIT("tools"),
    SPAN_INIT("tool_choice"),
    SPAN_INIT("presence_penalty"),
    SPAN_INIT("frequency_penalty"),
    SPAN_INIT("n"),
    SPAN_INIT("prediction"),
    SPAN_INIT("parallel_tool_calls"),
    SPAN_INIT("safe_prompt"),
    SPAN_INIT("prompt_mode"),
    SPAN_INIT("reasoning_effort"),
    SPAN_INIT("guardrails"),
};

/* Whether an answer without it would be another one: what cannot be told to other dialects without
 * a refusal either. */
static bool is_essential(struct span name)
{
    for (int i = 0; i < CHAT_PARAMS; i++) {
        const struct parameter_row *row = parameter_row((enum chat_parameter)i);

        if (span_is_equal(row->names[FORM_CHAT], name))
            return row->fates[DIALECT_ANTHROPIC] == PARAMETER_REFUSE;
    }
    return false;
}

struct openai_touched openai_touch(const yyjson_val *root, struct span name,
                                   const yyjson_val *value, uint32_t quirks)
{
    struct openai_touched touched = {OPENAI_KEEP, name};
    bool is_null = yyjson_is_null(json_tree_plain(value));

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && touched.touch == OPENAI_KEEP; i++) {
        if ((quirks & (uint32_t)rules[i].quirk) && span_is_equal(rules[i].name, name) && !is_null &&
            rules[i].applies(root, value)) {
            touched.touch = rules[i].touch;
            if (rules[i].touch == OPENAI_RENAME)
                touched.name = rules[i].to;
        }
    }
    if ((quirks & QUIRK_STRICT_FIELDS) &&
        (touched.touch == OPENAI_KEEP || touched.touch == OPENAI_RENAME) &&
        !span_is_in(touched.name, strict_names, sizeof(strict_names) / sizeof(strict_names[0])))
        touched.touch = is_null || is_idle(root, value) ? OPENAI_LEAVE_OUT
                        : is_essential(name)            ? OPENAI_REFUSE
                                                        : OPENAI_DROP;
    return touched;
}

bool openai_has_rewrites(uint32_t quirks)
{
    return (quirks & ~(uint32_t)(QUIRK_RESPONSES | QUIRK_TOP_K | QUIRK_OPENROUTER_REASONING)) != 0;
}

bool openai_chat_needs_rewrite(const yyjson_val *root, uint32_t quirks)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(root));
    yyjson_val *key;

    if (!openai_has_rewrites(quirks) || !yyjson_is_obj(json_tree_plain(root)))
        return false;
    while ((key = yyjson_obj_iter_next(&iter))) {
        const yyjson_val *value = yyjson_obj_iter_get_val(key);

        if (openai_touch(root, json_tree_text(key), value, quirks).touch != OPENAI_KEEP)
            return true;
    }
    return openai_touches_messages(json_tree_member(root, "messages"), quirks);
}
