/* Names of members and of functions, and small JSON. */
#include <stdio.h>

#include "dialect/gemini_inner.h"

/* --- members --- */

static bool has_capital(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z')
            return true;
    }
    return false;
}

static const yyjson_val *snake_member(const yyjson_val *value, struct span camel)
{
    char snake[2 * GEMINI_FIELD_MAX];
    size_t len = 0;

    for (size_t i = 0; i < camel.len && len + 3 < sizeof(snake); i++) {
        char c = camel.ptr[i];
        bool is_capital = c >= 'A' && c <= 'Z';

        if (is_capital)
            snake[len++] = '_';
        snake[len++] = (char)(is_capital ? c - 'A' + 'a' : c);
    }
    snake[len] = 0;
    return json_tree_member(value, snake);
}

const yyjson_val *gemini_member(const yyjson_val *value, const char *camel_name)
{
    struct span name = span_from_text(camel_name);
    const yyjson_val *found = json_tree_member(value, camel_name);

    return found || !has_capital(name) ? found : snake_member(value, name);
}

struct span gemini_string(const yyjson_val *value, const char *camel_name)
{
    return json_tree_text(gemini_member(value, camel_name));
}

bool gemini_int(const yyjson_val *value, int64_t *ret_number)
{
    struct span text = json_tree_text(value), digits;
    uint64_t number;

    if (!text.ptr)
        return json_tree_int(value, ret_number);
    digits = text.len && text.ptr[0] == '-' ? span_skip(text, 1) : text;
    if (span_to_u64(digits, &number) || number > INT64_MAX)
        return false;
    *ret_number = digits.len < text.len ? -(int64_t)number : (int64_t)number;
    return true;
}

struct span gemini_camel(struct span name, char buffer[GEMINI_FIELD_MAX])
{
    size_t len = 0;

    if (name.len > GEMINI_FIELD_MAX || span_find_byte(name, '_') == SIZE_MAX)
        return name;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (c == '_' && i + 1 < name.len && name.ptr[i + 1] >= 'a' && name.ptr[i + 1] <= 'z')
            c = (char)(name.ptr[++i] - 'a' + 'A');
        buffer[len++] = c;
    }
    return span_of(buffer, len);
}

/* --- writing --- */

bool gemini_is_object(struct span text)
{
    static const struct json_watchlist nothing = {.rows = NULL};
    struct json_scan scan;

    json_scan_init(&scan, &nothing, JSON_DEPTH_MAX);
    return json_scan_feed(&scan, text) == 0 && json_scan_finish(&scan) == 0;
}

/* Line ends stand between the tokens of JSON alone; in an event of a stream they would end it. */
static void append_in_a_line(struct buf *buf, struct span json)
{
    size_t start = buf->len;

    if (buf_append_span(buf, json))
        return;
    for (size_t i = start; i < buf->len; i++) {
        if (buf->data[i] == '\n' || buf->data[i] == '\r')
            buf->data[i] = ' ';
    }
}

void gemini_write_args(struct buf *buf, struct span args, bool is_custom)
{
    args = is_custom ? args : span_trim(args);
    if (!is_custom && args.len == 0) {
        (void)buf_append_span(buf, SPAN("{}"));
        return;
    }
    if (!is_custom && gemini_is_object(args)) {
        append_in_a_line(buf, args);
        return;
    }
    (void)buf_append_span(buf, is_custom ? SPAN("{\"input\":") : SPAN("{\"_raw\":"));
    (void)json_write_string(buf, args);
    (void)buf_append_byte(buf, '}');
}

const yyjson_val *gemini_arena_json(struct arena *arena, struct span text)
{
    size_t size = yyjson_read_max_memory_usage(text.len, YYJSON_READ_NUMBER_AS_RAW);
    void *memory = arena_alloc(arena, size);
    yyjson_alc alc;
    yyjson_doc *doc;

    if (!memory || !yyjson_alc_pool_init(&alc, memory, size))
        return NULL;
    /* Without YYJSON_READ_INSITU the text is only read, whatever the type says. */
    doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_NUMBER_AS_RAW, &alc,
                           NULL);
    return yyjson_doc_get_root(doc);
}

/* --- functions --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_byte(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-';
}

static bool is_fit(struct span name)
{
    if (name.len == 0 || name.len > GEMINI_NAME_MAX || !is_letter(name.ptr[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte(name.ptr[i]))
            return false;
    }
    return true;
}

struct span gemini_fit_name(struct span name, char made[GEMINI_NAME_MAX])
{
    char tail[16];
    uint32_t hash = 2166136261u;
    size_t len = 0, tail_len;

    if (is_fit(name))
        return name;
    /* FNV-1a: two names that differ only in what is replaced stay two. */
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619u;
    tail_len = (size_t)snprintf(tail, sizeof(tail), "_%08x", hash);
    if (name.len == 0 || !is_letter(name.ptr[0]))
        made[len++] = '_';
    for (size_t i = 0; i < name.len && len + tail_len < GEMINI_NAME_MAX; i++)
        made[len++] = is_name_byte(name.ptr[i]) ? name.ptr[i] : '_';
    memcpy(made + len, tail, tail_len);
    return span_of(made, len + tail_len);
}

const struct chat_tool *gemini_tool_named(const struct chat *chat, struct span name)
{
    const struct chat_tool *tool = chat ? chat_find_tool(chat, name) : NULL;
    char made[GEMINI_NAME_MAX];

    if (tool || !chat)
        return tool;
    for (size_t i = 0; i < chat->tool_count; i++) {
        tool = &chat->tools[i];
        if (tool->kind != CHAT_TOOL_OWN && !is_fit(tool->name) &&
            span_is_equal(gemini_fit_name(tool->name, made), name))
            return tool;
    }
    return NULL;
}
