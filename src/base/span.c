#include "base/span.h"

#include "base/err.h"

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool span_is_equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    /* Mostly both are spelled alike. */
    if (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0)
        return true;
    for (size_t i = 0; i < a.len; i++) {
        if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span text)
{
    while (text.len && is_blank(text.ptr[0]))
        text = span_skip(text, 1);
    while (text.len && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

size_t span_find_byte(struct span text, char c)
{
    const char *at = text.len ? memchr(text.ptr, c, text.len) : NULL;

    return at ? (size_t)(at - text.ptr) : SIZE_MAX;
}

size_t span_find(struct span text, struct span needle)
{
    const char *at;

    if (needle.len == 0)
        return 0;
    if (text.len < needle.len)
        return SIZE_MAX;
    at = memmem(text.ptr, text.len, needle.ptr, needle.len);
    return at ? (size_t)(at - text.ptr) : SIZE_MAX;
}

bool span_next_token(struct span *rest, char separator, struct span *ret_token)
{
    size_t at;

    if (!rest->ptr)
        return false;
    at = span_find_byte(*rest, separator);
    if (at == SIZE_MAX) {
        *ret_token = span_trim(*rest);
        *rest = (struct span){NULL, 0};
    } else {
        *ret_token = span_trim(span_of(rest->ptr, at));
        *rest = span_skip(*rest, at + 1);
    }
    return true;
}

int span_to_u64(struct span text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.len == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)((unsigned char)text.ptr[i] - '0');

        if (digit > 9)
            return ERR_SYNTAX;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return ERR_RANGE;
    }
    *ret_value = value;
    return 0;
}

bool span_matches(struct span text, struct span pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, mark = 0;

    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}
