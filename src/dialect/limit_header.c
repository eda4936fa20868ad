#include "dialect/limit_header.h"

#include "base/clock.h"
#include "dialect/reset.h"

static bool is_word(struct span word, const char *a, const char *b)
{
    return span_is_equal_nocase(word, span_from_text(a)) ||
           span_is_equal_nocase(word, span_from_text(b));
}

static void note_word(struct limit_header *limit, struct span word, size_t at)
{
    char what = 0;

    if (is_word(word, "limit", "limit"))
        what = 'l';
    else if (is_word(word, "remaining", "remaining"))
        what = 'r';
    else if (is_word(word, "reset", "reset"))
        what = 't';
    else if (is_word(word, "requests", "request"))
        limit->kind = 'r';
    else if (is_word(word, "tokens", "token"))
        limit->kind = 't';
    else if (is_word(word, "input", "input"))
        limit->side = 'i';
    else if (is_word(word, "output", "output"))
        limit->side = 'o';
    else if (is_word(word, "priority", "priority"))
        limit->is_apart = true;
    if (what) {
        limit->what = what;
        limit->what_at = at;
        limit->what_len = word.len;
    }
}

/* What stands behind the name of a family of limits; ptr NULL: it is of none. */
static struct span skip_family(struct span name)
{
    static const struct span families[] = {
        SPAN_INIT("x-ratelimit-"),
        SPAN_INIT("x-rate-limit-"),
        SPAN_INIT("anthropic-ratelimit-"),
        SPAN_INIT("ratelimit-"),
    };

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        size_t len = families[i].len;

        if (name.len > len && span_is_equal_nocase(span_of(name.ptr, len), families[i]))
            return span_skip(name, len);
    }
    return span_of(NULL, 0);
}

static bool is_organisation(struct span name)
{
    return span_is_equal_nocase(name, SPAN("openai-organization")) ||
           span_is_equal_nocase(name, SPAN("anthropic-organization-id"));
}

/* By its first letters, for most headers are none of these. */
bool limit_header_matters(struct span name)
{
    switch (name.len > 10 ? name.ptr[0] | 0x20 : 0) {
    case 'x':
        return (name.ptr[2] | 0x20) == 'r' && skip_family(name).ptr;
    case 'r':
        return skip_family(name).ptr != NULL;
    case 'a':
        return skip_family(name).ptr || is_organisation(name);
    case 'o':
        return is_organisation(name);
    }
    return false;
}

struct limit_header limit_header_read(struct span name)
{
    struct limit_header limit = {0};
    struct span rest = skip_family(name), word;

    while (span_next_token(&rest, '-', &word))
        note_word(&limit, word, (size_t)(word.ptr - name.ptr));
    return limit;
}

bool limit_header_count(struct span text, uint64_t *ret_count)
{
    uint64_t count = 0;
    size_t digits = 0;

    text = span_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ',' && digits)
            continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(count, 10, &count) ||
            __builtin_add_overflow(count, (uint64_t)(text.ptr[i] - '0'), &count))
            return false;
        digits++;
    }
    *ret_count = count;
    return digits != 0;
}

/* ---- the limits of an answer ---- */

enum { NAME_MAX_BYTES = 64 };

static int kind_of(const struct limit_header *limit)
{
    if (limit->is_apart)
        return -1;
    if (limit->kind == 'r')
        return LIMITS_REQUESTS;
    if (limit->kind != 't')
        return -1;
    if (limit->side == 'i')
        return LIMITS_INPUT;
    return limit->side == 'o' ? LIMITS_OUTPUT : LIMITS_TOKENS;
}

/* The value of the header that says `word` where this one says "limit"; ptr NULL: there is none. */
static struct span find_partner(const struct dialect_header *headers, size_t count,
                                const struct dialect_header *header,
                                const struct limit_header *limit, struct span word)
{
    char name[NAME_MAX_BYTES];
    struct span tail = span_skip(header->name, limit->what_at + limit->what_len);
    size_t len = limit->what_at;

    if (len + word.len + tail.len > sizeof(name))
        return span_of(NULL, 0);
    memcpy(name, header->name.ptr, len);
    memcpy(name + len, word.ptr, word.len);
    if (tail.len)
        memcpy(name + len + word.len, tail.ptr, tail.len);
    return dialect_header_find(headers, count, span_of(name, len + word.len + tail.len));
}

static void read_account(const struct dialect_header *header, struct limits_told *told)
{
    if (is_organisation(header->name))
        told->account = span_trim(header->value);
}

bool limits_told_read(const struct dialect_header *headers, size_t count, uint64_t wall_us,
                      struct limits_told *ret_told)
{
    bool is_told = false;

    memset(ret_told, 0, sizeof(*ret_told));
    for (size_t i = 0; i < count; i++) {
        struct limit_header limit = limit_header_read(headers[i].name);
        int kind = kind_of(&limit);
        uint64_t most, remaining, reset_us = 0;
        struct span text;

        read_account(&headers[i], ret_told);
        if (limit.what != 'l' || kind < 0 || !limit_header_count(headers[i].value, &most) || !most)
            continue;
        text = find_partner(headers, count, &headers[i], &limit, SPAN("remaining"));
        if (!text.ptr || !limit_header_count(text, &remaining) ||
            (ret_told->items[kind].limit && ret_told->items[kind].remaining <= remaining))
            continue;
        text = find_partner(headers, count, &headers[i], &limit, SPAN("reset"));
        if (!text.ptr || reset_read(text, wall_us, &reset_us) != 0)
            reset_us = 0;
        ret_told->items[kind].limit = most;
        ret_told->items[kind].remaining = remaining;
        ret_told->items[kind].reset_us = reset_us;
        ret_told->items[kind].is_whole = text.ptr && reset_is_whole(text);
        is_told = true;
    }
    return is_told;
}

bool limits_told_by_error(const struct dialect_error *error, struct limits_told *ret_told)
{
    const struct {
        enum limits_kind kind;
        uint64_t limit;
    } quotas[] = {{LIMITS_REQUESTS, error->minute_requests},
                  {LIMITS_TOKENS, error->minute_tokens},
                  {LIMITS_INPUT, error->minute_input}};
    bool is_told = false;

    memset(ret_told, 0, sizeof(*ret_told));
    if (!error->retry_after_ms || error->has_day_quota)
        return false;
    for (size_t i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++) {
        if (!quotas[i].limit)
            continue;
        ret_told->items[quotas[i].kind].limit = quotas[i].limit;
        ret_told->items[quotas[i].kind].reset_us = error->retry_after_ms * US_PER_MS;
        ret_told->items[quotas[i].kind].window_us = 60 * US_PER_SEC;
        is_told = true;
    }
    ret_told->is_refused = is_told;
    return is_told;
}
