#include "dialect/parameters.h"

#include <stdio.h>

#include "base/bug.h"
#include "json/scan.h"

/* A row of the table is one initializer; clang-format takes it for blocks. */
/* clang-format off */
#define NAMES(chat, completions, responses, messages, generate)                                    \
    {                                                                                              \
        [FORM_CHAT] = SPAN_INIT(chat), [FORM_COMPLETIONS] = SPAN_INIT(completions),                \
        [FORM_RESPONSES] = SPAN_INIT(responses), [FORM_MESSAGES] = SPAN_INIT(messages),            \
        [FORM_COUNT_TOKENS] = SPAN_INIT(messages), [FORM_GENERATE] = SPAN_INIT(generate),          \
        [FORM_MEASURE] = SPAN_INIT(generate),                                                      \
    }

static const struct parameter_row rows[CHAT_PARAMS] = {
#define PARAMETER(id, types, chat, completions, responses, messages, generate, idle, to_openai,    \
                  to_anthropic, to_gemini)                                                         \
    [CHAT_##id##_PARAM] = {types, NAMES(chat, completions, responses, messages, generate),         \
                           SPAN_INIT(idle),                                                        \
                           {[DIALECT_OPENAI] = PARAMETER_##to_openai,                              \
                            [DIALECT_ANTHROPIC] = PARAMETER_##to_anthropic,                        \
                            [DIALECT_GEMINI] = PARAMETER_##to_gemini}},
#include "tables/parameters.def"
#undef PARAMETER
};
/* clang-format on */

const struct parameter_row *parameter_row(enum chat_parameter parameter)
{
    bug_fatal_unless((unsigned)parameter < CHAT_PARAMS);
    return &rows[parameter];
}

struct span parameter_name(const struct chat *chat, enum chat_parameter parameter)
{
    return parameter_row(parameter)->names[chat->form];
}

/* --- reading --- */

static enum json_type type_of(const yyjson_val *value)
{
    yyjson_val *plain = json_tree_plain(value);

    if (yyjson_is_str(plain))
        return JSON_STRING;
    if (yyjson_is_num(plain) || yyjson_is_raw(plain))
        return JSON_NUMBER;
    if (yyjson_is_bool(plain))
        return JSON_BOOL;
    if (yyjson_is_obj(plain))
        return JSON_OBJECT;
    return yyjson_is_arr(plain) ? JSON_ARRAY : JSON_NULL;
}

/* Compares without writing what is usual: numbers, words and flags. */
static bool is_told_as(const yyjson_val *value, struct span told)
{
    struct span text = json_tree_text(value), number = json_tree_number(value);
    struct buf written;
    bool is_equal;

    if (number.ptr)
        return span_is_equal(number, told);
    if (text.ptr)
        return told.len == text.len + 2 && told.ptr[0] == '"' &&
               memcmp(told.ptr + 1, text.ptr, text.len) == 0;
    buf_init(&written, told.len);
    is_equal = json_tree_write(&written, value) == 0 && span_is_equal(buf_span(&written), told);
    buf_fini(&written);
    return is_equal;
}

static bool is_idle(const struct parameter_row *row, const yyjson_val *value)
{
    struct span list = row->idle, one;

    while (list.len && span_next_token(&list, '|', &one)) {
        if (is_told_as(value, one))
            return true;
    }
    return false;
}

static const struct parameter_row *find(enum form form, struct span prefix, struct span name)
{
    for (size_t i = 0; i < CHAT_PARAMS; i++) {
        struct span known = rows[i].names[form];

        if (known.len != prefix.len + name.len || known.len == 0)
            continue;
        if (span_has_prefix(known, prefix) && span_is_equal(span_skip(known, prefix.len), name))
            return &rows[i];
    }
    return NULL;
}

static int refuse_type(struct chat_reading *reading, const struct parameter_row *row,
                       struct span full, enum json_type type)
{
    char param[64];
    const char *wanted = "a value of another type";

    for (int bit = JSON_BOOL; bit <= JSON_ARRAY; bit <<= 1) {
        if (row->types == bit)
            wanted = json_type_text((enum json_type)bit);
    }
    snprintf(param, sizeof(param), "%.*s", SPAN_ARG(full));
    return chat_refuse(reading->refusal, FAILURE_FIELD_TYPE, param,
                       "Invalid type for '%s': expected %s, but got %s instead.", param, wanted,
                       json_type_text(type));
}

bool parameter_take(struct chat_reading *reading, struct span prefix, struct span name,
                    const yyjson_val *value, int *ret_err)
{
    const struct parameter_row *row = find(reading->chat->form, prefix, name);
    enum json_type type = type_of(value);

    *ret_err = 0;
    if (!row)
        return false;
    if (type == JSON_NULL)
        return true;
    if (!(row->types & type))
        *ret_err = refuse_type(reading, row, row->names[reading->chat->form], type);
    else if (!is_idle(row, value))
        reading->chat->params[row - rows] = value;
    return true;
}

void parameter_note_unknown(struct chat_reading *reading, struct span prefix, struct span name,
                            const yyjson_val *value)
{
    struct chat *chat = reading->chat;
    struct chat_unknown *list;

    /* A list of doubling size: at 1, 2, 4, … it has no room for the next. */
    if ((chat->unknown_count & (chat->unknown_count - 1)) == 0) {
        size_t room = chat->unknown_count ? 2 * chat->unknown_count : 1;

        list = arena_alloc(reading->arena, room * sizeof(*list));
        if (!list)
            return;
        if (chat->unknown_count)
            memcpy(list, chat->unknown, chat->unknown_count * sizeof(*list));
        chat->unknown = list;
    }
    if (prefix.len)
        name = arena_printf(reading->arena, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(name));
    if (name.ptr)
        chat->unknown[chat->unknown_count++] = (struct chat_unknown){name, value};
}

/* --- what was left out --- */

/* The name may be a client's: nothing but what is safe in a header field. */
static bool is_header_safe(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == ',')
            return false;
    }
    return name.len > 0 && name.len <= 64;
}

void chat_drop(struct chat_drops *drops, struct span name)
{
    struct span list = span_of(drops->text, drops->len), one;

    if (!is_header_safe(name))
        return;
    while (span_next_token(&list, ',', &one)) {
        if (span_is_equal(one, name))
            return;
    }
    if (drops->len + 2 + name.len > sizeof(drops->text))
        return;
    if (drops->len) {
        memcpy(drops->text + drops->len, ", ", 2);
        drops->len += 2;
    }
    memcpy(drops->text + drops->len, name.ptr, name.len);
    drops->len += name.len;
}

int parameters_fit(const struct chat *chat, enum dialect_id dialect, struct chat_drops *drops,
                   struct chat_refusal *refusal)
{
    static const char *const names[DIALECT_COUNT] = {"OpenAI", "Anthropic", "Gemini"};

    for (size_t i = 0; i < CHAT_PARAMS; i++) {
        char param[64];

        if (!chat->params[i])
            continue;
        if (rows[i].fates[dialect] == PARAMETER_DROP)
            chat_drop(drops, rows[i].names[chat->form]);
        if (rows[i].fates[dialect] != PARAMETER_REFUSE)
            continue;
        snprintf(param, sizeof(param), "%.*s", SPAN_ARG(rows[i].names[chat->form]));
        return chat_refuse(refusal, i == CHAT_THREAD_PARAM ? FAILURE_THREAD : FAILURE_UNSUPPORTED,
                           param,
                           "Unsupported parameter: '%s' has no counterpart in the %s API, which "
                           "serves this model.",
                           param, names[dialect]);
    }
    for (size_t i = 0; i < chat->unknown_count; i++)
        chat_drop(drops, chat->unknown[i].name);
    return 0;
}
