#include "exchange/inbound.h"

#include "access/clients.h"
#include "base/percent.h"
#include "json/skip.h"

/* A literal path of the table, its '*' taken off. */
#define PATH_IS_PREFIX(path) ((path)[sizeof(path) - 2] == '*')
#define PATH_SPAN(path)                                                                            \
    {                                                                                              \
        (path), sizeof(path) - 1 - PATH_IS_PREFIX(path)                                            \
    }

static const struct inbound_row rows[INBOUND_COUNT] = {
#define INBOUND(kind, method, path, access, form, meaning)                                         \
    {INBOUND_##kind, method, PATH_SPAN(path), PATH_IS_PREFIX(path), access, FORM_##form},
#include "tables/inbound.def"
#undef INBOUND
};

static bool covers(const struct inbound_row *row, struct span path)
{
    if (row->is_prefix)
        return path.len > row->path.len && span_has_prefix(path, row->path);
    return span_is_equal(path, row->path);
}

enum inbound_verdict inbound_find(enum http_method method, struct span path,
                                  const struct inbound_row **ret_row)
{
    enum inbound_verdict verdict = INBOUND_NO_PATH;

    if (method == METHOD_HEAD)
        method = METHOD_GET;
    for (size_t i = 0; i < INBOUND_COUNT; i++) {
        if (!covers(&rows[i], path))
            continue;
        /* A path may stand there for each of two methods. */
        if (rows[i].method == method || verdict == INBOUND_NO_PATH)
            *ret_row = &rows[i];
        if (rows[i].method == method)
            return INBOUND_FOUND;
        verdict = INBOUND_NO_METHOD;
    }
    return verdict;
}

/* --- what a path says --- */

/* Clients escape a '/' in a model's name. What is no escape stands for itself. */
static struct span unescape(struct span from, struct arena *arena)
{
    char *to;

    if (span_find_byte(from, '%') == SIZE_MAX)
        return from;
    to = arena_alloc(arena, from.len);
    if (!to)
        return from;
    return span_of(to, percent_read(from, to));
}

/* Text that may stand in a header field, a log and JSON: UTF-8 without control characters. */
static bool is_text(struct span text)
{
    const unsigned char *at = (const unsigned char *)text.ptr, *end = at + text.len;

    while (at < end) {
        size_t len = *at < 0x80 ? *at >= ' ' && *at != 0x7F : utf8_length(at, end);

        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

/* The value of a query's parameter, as it stands there; empty where there is none. */
static struct span parameter(struct span query, struct span name)
{
    struct span one;

    while (span_next_token(&query, '&', &one)) {
        if (one.len > name.len && span_has_prefix(one, name) && one.ptr[name.len] == '=')
            return span_skip(one, name.len + 1);
    }
    return span_of(NULL, 0);
}

struct action {
    struct span name;
    enum form form;
    bool is_streaming;
};

static const struct action actions[] = {
    {SPAN_INIT("generateContent"), FORM_GENERATE, false},
    {SPAN_INIT("streamGenerateContent"), FORM_GENERATE, true},
    {SPAN_INIT("countTokens"), FORM_MEASURE, false},
    {SPAN_INIT("embedContent"), FORM_EMBED, false},
    {SPAN_INIT("batchEmbedContents"), FORM_EMBED_BATCH, false},
};

/* "MODEL:ACTION": the last colon, for names of models have some of their own. */
static bool read_action(struct span rest, struct span query, struct inbound_facts *facts)
{
    size_t colon = rest.len;

    while (colon > 0 && rest.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (!span_is_equal(actions[i].name, span_skip(rest, colon)))
            continue;
        facts->form = actions[i].form;
        facts->is_streaming = actions[i].is_streaming;
        facts->is_array =
            facts->is_streaming && !span_is_equal(parameter(query, SPAN("alt")), SPAN("sse"));
        facts->model = span_of(rest.ptr, colon - 1);
        return true;
    }
    return false;
}

bool inbound_read(const struct inbound_row *row, struct span path, struct span query,
                  struct arena *arena, struct inbound_facts *ret_facts)
{
    struct span rest = row->is_prefix ? span_skip(path, row->path.len) : span_of(NULL, 0);

    *ret_facts = (struct inbound_facts){.form = row->form};
    if (row->is_prefix && row->access == ACCESS_GENERATE && !read_action(rest, query, ret_facts))
        return false;
    if (row->is_prefix && row->access == ACCESS_LIST)
        ret_facts->model = rest;
    ret_facts->model = unescape(ret_facts->model, arena);
    return is_text(ret_facts->model);
}

enum dialect_id inbound_dialect(const struct http_head *head, struct span path)
{
    if (span_has_prefix(path, SPAN("/v1beta/")))
        return DIALECT_GEMINI;
    if (span_has_prefix(path, SPAN("/v1/messages")))
        return DIALECT_ANTHROPIC;
    if (!span_has_prefix(path, SPAN("/v1/models")))
        return DIALECT_OPENAI;
    if (head->method == METHOD_POST && span_has_prefix(path, SPAN("/v1/models/")))
        return DIALECT_GEMINI;
    /* Google's newer clients ask there by default. */
    if (head->first[FIELD_X_GOOG_API_KEY])
        return DIALECT_GEMINI;
    return head->first[FIELD_ANTHROPIC_VERSION] ? DIALECT_ANTHROPIC : DIALECT_OPENAI;
}

/* --- who asks --- */

struct span inbound_key(const struct http_head *head, enum dialect_id dialect, struct span query,
                        char room[INBOUND_KEY_BYTES])
{
    static const enum field_id own[DIALECT_COUNT] = {
        [DIALECT_OPENAI] = FIELD_AUTHORIZATION,
        [DIALECT_ANTHROPIC] = FIELD_X_API_KEY,
        [DIALECT_GEMINI] = FIELD_X_GOOG_API_KEY,
    };
    const enum field_id order[] = {own[dialect], FIELD_AUTHORIZATION, FIELD_X_API_KEY,
                                   FIELD_API_KEY, FIELD_X_GOOG_API_KEY};

    struct span value;

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        value = http_head_get(head, order[i]);
        if (order[i] == FIELD_AUTHORIZATION)
            value = clients_bearer(value);
        if (value.len)
            return value;
    }
    value = parameter(query, SPAN("key"));
    if (value.len > INBOUND_KEY_BYTES || span_find_byte(value, '%') == SIZE_MAX)
        return value;
    return span_of(room, percent_read(value, room));
}
