#include "dialect/mask.h"

#include <stdbool.h>

#include "json/skip.h"

/* An id is its prefix and at least so many bytes. */
struct prefix {
    struct span text;
    size_t least;
};

static const struct prefix prefixes[] = {
    {SPAN_INIT("sk-"), 6},
    {SPAN_INIT("org-"), 4},
    {SPAN_INIT("proj_"), 4},
    {SPAN_INIT("gsk_"), 8},
    {SPAN_INIT("xai-"), 8},
    {SPAN_INIT("AIza"), 8},
    {SPAN_INIT("AQ."), 8},
    {SPAN_INIT("wrkspc_"), 4},
    {SPAN_INIT("apikey_"), 4},
    /* Google's projects, by number */
    {SPAN_INIT("project_number:"), 6},
    {SPAN_INIT("projects/"), 6},
    {SPAN_INIT("project="), 6},
    {SPAN_INIT("project "), 6},
};

static const struct span stars = SPAN_INIT("***");

/* A random word is so long, or has a digit or a gap in it. */
enum { RANDOM_LEAST = 20 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '*';
}

static size_t word_length(struct span text)
{
    size_t len = 0;

    while (len < text.len && is_word(text.ptr[len]))
        len++;
    return len;
}

/* As a word, with the dots by which a key is shortened, but for those that end a sentence. */
static size_t id_length(struct span text)
{
    static const struct span ellipsis = SPAN_INIT("\xE2\x80\xA6");
    size_t len = 0, end = 0;

    while (len < text.len) {
        if (span_has_prefix(span_skip(text, len), ellipsis))
            len += ellipsis.len;
        else if (is_word(text.ptr[len]))
            end = ++len;
        else if (text.ptr[len] == '.')
            len++;
        else
            break;
    }
    return end;
}

static bool is_random(struct span id)
{
    if (id.len >= RANDOM_LEAST)
        return true;
    for (size_t i = 0; i < id.len; i++) {
        if (is_digit(id.ptr[i]) || !is_word(id.ptr[i]) || id.ptr[i] == '*')
            return true;
    }
    return false;
}

static bool is_shortened(struct span word)
{
    bool has_letter = false;

    for (size_t i = 0; i < word.len; i++)
        has_letter = has_letter || is_alnum(word.ptr[i]);
    return has_letter && span_find(word, stars) != SIZE_MAX;
}

/* What is to be hidden at the front of text, where a word begins: its length, or 0; of that the
 * first *ret_shown bytes stay. */
static size_t hidden_length(struct span text, size_t *ret_shown)
{
    size_t len;

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        struct span rest;

        if (!span_has_prefix(text, prefixes[i].text))
            continue;
        rest = span_skip(text, prefixes[i].text.len);
        rest.len = id_length(rest);
        if (rest.len < prefixes[i].least || !is_random(rest))
            continue;
        *ret_shown = prefixes[i].text.len;
        return prefixes[i].text.len + rest.len;
    }
    *ret_shown = 0;
    len = word_length(text);
    return is_shortened(span_of(text.ptr, len)) ? len : 0;
}

/* Where the first thing to hide stands from `at` on, where a word may begin; text.len for none. */
static size_t find_hidden(struct span text, size_t at, size_t *ret_shown, size_t *ret_len)
{
    while (at < text.len) {
        struct span rest = span_skip(text, at);

        *ret_len = hidden_length(rest, ret_shown);
        if (*ret_len)
            return at;
        at += word_length(rest);
        while (at < text.len && !is_word(text.ptr[at]))
            at++;
    }
    return text.len;
}

/* A copy that is filled as far as it goes. */
struct copy {
    char *out;
    size_t cap, len;
};

static void put(struct copy *copy, struct span text)
{
    size_t room = copy->cap - copy->len, len = text.len < room ? text.len : room;

    if (len)
        memcpy(copy->out + copy->len, text.ptr, len);
    copy->len += len;
}

struct span mask_ids(struct span text, char *out, size_t cap)
{
    struct copy copy = {out, cap, 0};
    size_t shown = 0, len = 0, done = 0, at = find_hidden(text, 0, &shown, &len);

    if (at == text.len)
        return text;
    while (at < text.len) {
        put(&copy, span_of(text.ptr + done, at - done + shown));
        put(&copy, stars);
        done = at + len;
        at = find_hidden(text, done, &shown, &len);
    }
    put(&copy, span_skip(text, done));
    return span_of(out, copy.len < cap ? copy.len : utf8_whole(out, copy.len));
}
