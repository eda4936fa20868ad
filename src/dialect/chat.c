#include "dialect/chat.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/fnv.h"

int chat_refuse(struct chat_refusal *refusal, enum failure failure, const char *param,
                const char *format, ...)
{
    va_list args;

    if (refusal->message[0])
        return ERR_SYNTAX;
    refusal->failure = failure;
    snprintf(refusal->param, sizeof(refusal->param), "%s", param ? param : "");
    va_start(args, format);
    vsnprintf(refusal->message, sizeof(refusal->message), format, args);
    va_end(args);
    return ERR_SYNTAX;
}

/* --- for readers --- */

static bool is_room(struct chat_reading *reading, size_t count)
{
    if (count <= CHAT_PARTS_MAX - reading->part_count) {
        reading->part_count += count;
        return true;
    }
    chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, NULL,
                "The request has more than %d messages and parts.", CHAT_PARTS_MAX);
    return false;
}

struct chat_part *chat_parts_new(struct chat_reading *reading, size_t count)
{
    if (!is_room(reading, count))
        return NULL;
    return arena_zalloc(reading->arena, count * sizeof(struct chat_part));
}

struct chat_message *chat_messages_new(struct chat_reading *reading, size_t count)
{
    if (!is_room(reading, count))
        return NULL;
    return arena_zalloc(reading->arena, count * sizeof(struct chat_message));
}

int chat_choice_names_new(struct chat_reading *reading, size_t count)
{
    struct chat *chat = reading->chat;

    if (count > CHAT_TOOLS_MAX)
        return chat_refuse(reading->refusal, FAILURE_FIELD_VALUE, NULL,
                           "The request names more than %d tools to choose from.", CHAT_TOOLS_MAX);
    chat->choice_names = arena_zalloc(reading->arena, (count + 1) * sizeof(*chat->choice_names));
    chat->choice_name_count = 0;
    return chat->choice_names ? 0 : ERR_NOMEM;
}

int chat_choose_one(struct chat_reading *reading, struct span name)
{
    int err = chat_choice_names_new(reading, 1);

    if (err)
        return err;
    reading->chat->choice_names[0] = name;
    reading->chat->choice_name_count = 1;
    reading->chat->choice = CHAT_CHOICE_ONE;
    return 0;
}

int chat_read_stops(struct chat_reading *reading, const yyjson_val *value)
{
    yyjson_val *list = json_tree_plain(value), *item;
    struct chat *chat = reading->chat;
    size_t at, max;

    if (yyjson_arr_size(list) > CHAT_STOPS_MAX)
        return ERR_RANGE;
    chat->stops = arena_zalloc(reading->arena, (yyjson_arr_size(list) + 1) * sizeof(*chat->stops));
    if (!chat->stops)
        return ERR_NOMEM;
    if (yyjson_is_str(list))
        chat->stops[chat->stop_count++] = json_tree_text(list);
    yyjson_arr_foreach(list, at, max, item)
    {
        if (!yyjson_is_str(item))
            return ERR_SYNTAX;
        chat->stops[chat->stop_count++] = json_tree_text(item);
    }
    return 0;
}

struct span chat_json_text(struct arena *arena, const yyjson_val *value)
{
    struct span text = span_of(NULL, 0);
    struct buf written;

    if (yyjson_is_obj(json_tree_plain(value)) && yyjson_obj_size(json_tree_plain(value)) == 0)
        return SPAN("{}");
    buf_init(&written, arena->max);
    if (json_tree_write(&written, value) == 0)
        text = arena_copy(arena, buf_span(&written));
    buf_fini(&written);
    return text;
}

/* --- thinking --- */

static const struct span effort_words[] = {
    [CHAT_EFFORT_NOT_SAID] = SPAN_INIT(""),       [CHAT_EFFORT_NONE] = SPAN_INIT("none"),
    [CHAT_EFFORT_MINIMAL] = SPAN_INIT("minimal"), [CHAT_EFFORT_LOW] = SPAN_INIT("low"),
    [CHAT_EFFORT_MEDIUM] = SPAN_INIT("medium"),   [CHAT_EFFORT_HIGH] = SPAN_INIT("high"),
    [CHAT_EFFORT_XHIGH] = SPAN_INIT("xhigh"),     [CHAT_EFFORT_MAX] = SPAN_INIT("max"),
};

enum chat_effort chat_effort_of(struct span word)
{
    for (int i = CHAT_EFFORT_NONE; i <= CHAT_EFFORT_MAX; i++) {
        if (span_is_equal(word, effort_words[i]))
            return (enum chat_effort)i;
    }
    return CHAT_EFFORT_NOT_SAID;
}

struct span chat_effort_word(enum chat_effort effort)
{
    return effort_words[effort];
}

enum chat_effort chat_effort_of_budget(int64_t budget)
{
    if (budget <= 1024)
        return CHAT_EFFORT_LOW;
    return budget <= 8192 ? CHAT_EFFORT_MEDIUM : CHAT_EFFORT_HIGH;
}

/* --- URLs --- */

static bool has_prefix_nocase(struct span text, struct span prefix)
{
    return text.len >= prefix.len && span_is_equal_nocase(span_of(text.ptr, prefix.len), prefix);
}

bool chat_read_data_url(struct span url, struct chat_media *ret_media)
{
    const struct span scheme = SPAN("data:"), coding = SPAN(";base64");
    struct span head, type;
    size_t comma;

    if (!has_prefix_nocase(url, scheme))
        return false;
    url = span_skip(url, scheme.len);
    comma = span_find_byte(url, ',');
    if (comma == SIZE_MAX)
        return false;
    head = span_of(url.ptr, comma);
    if (head.len <= coding.len ||
        !span_is_equal_nocase(span_skip(head, head.len - coding.len), coding))
        return false;
    head.len -= coding.len;
    if (!span_next_token(&head, ';', &type) || type.len == 0)
        return false;
    *ret_media = (struct chat_media){
        .source = CHAT_SOURCE_DATA, .type = type, .data = span_skip(url, comma + 1)};
    return true;
}

bool chat_is_web_url(struct span url)
{
    return has_prefix_nocase(url, SPAN("https://")) || has_prefix_nocase(url, SPAN("http://"));
}

/* --- for writers --- */

const struct chat_part *chat_find_call(const struct chat *chat, size_t until, struct span id)
{
    for (size_t m = until; m-- > 0;) {
        const struct chat_message *message = &chat->messages[m];

        for (size_t p = message->part_count; p-- > 0;) {
            const struct chat_part *part = &message->parts[p];

            if (part->kind == CHAT_PART_CALL && span_is_equal(part->id, id))
                return part;
        }
    }
    return NULL;
}

const struct chat_tool *chat_find_tool(const struct chat *chat, struct span name)
{
    for (size_t i = 0; i < chat->tool_count; i++) {
        if (span_is_equal(chat->tools[i].name, name))
            return &chat->tools[i];
    }
    return NULL;
}

bool chat_has_kind(const struct chat_part *parts, size_t count, enum chat_part_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        if (parts[i].kind == kind)
            return true;
    }
    return false;
}

struct span chat_text_of(const struct chat_part *parts, size_t count, unsigned kinds,
                         struct arena *arena)
{
    struct span only = SPAN("");
    size_t texts = 0, len = 0, at = 0;
    char *joined;

    for (size_t i = 0; i < count; i++) {
        if (!(kinds >> parts[i].kind & 1) || parts[i].text.len == 0)
            continue;
        only = parts[i].text;
        len += only.len;
        texts++;
    }
    if (texts < 2)
        return only;
    joined = arena_alloc(arena, len);
    for (size_t i = 0; i < count && joined; i++) {
        if (!(kinds >> parts[i].kind & 1) || parts[i].text.len == 0)
            continue;
        memcpy(joined + at, parts[i].text.ptr, parts[i].text.len);
        at += parts[i].text.len;
    }
    return span_of(joined, joined ? len : 0);
}

struct span chat_plain_text(const struct chat_part *parts, size_t count, struct arena *arena)
{
    return chat_text_of(parts, count, 1u << CHAT_PART_TEXT | 1u << CHAT_PART_REFUSAL, arena);
}

static bool is_id_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static bool is_fit(struct span id, size_t max)
{
    if (id.len == 0 || id.len > max)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        if (!is_id_byte(id.ptr[i]))
            return false;
    }
    return true;
}

struct span chat_fit_id(struct span id, size_t max, struct arena *arena)
{
    struct span made;

    if (is_fit(id, max))
        return id;
    made = arena_printf(arena, "call_%016llx", (unsigned long long)fnv_span(FNV_START, id));
    if (made.len > max)
        made.len = max;
    return made;
}

struct span chat_rename_id(struct span id, struct span prefix, struct arena *arena)
{
    static const struct span known[] = {SPAN_INIT("chatcmpl-"), SPAN_INIT("cmpl-"),
                                        SPAN_INIT("msg_"), SPAN_INIT("resp_")};
    char *made;

    if (span_has_prefix(id, prefix) && prefix.len)
        return id;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (id.len > known[i].len && span_has_prefix(id, known[i])) {
            id = span_skip(id, known[i].len);
            break;
        }
    }
    made = arena_alloc(arena, prefix.len + id.len + 1);
    if (!made)
        return span_of(NULL, 0);
    if (prefix.len)
        memcpy(made, prefix.ptr, prefix.len);
    if (id.len)
        memcpy(made + prefix.len, id.ptr, id.len);
    return span_of(made, prefix.len + id.len);
}
