/*
 * A span borrows bytes that somebody else owns; it is passed by value and never frees. The bytes
 * need no NUL behind them. Any thread.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN(literal)  ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_ARG(span) (int)(span).len, (span).ptr /* for "%.*s" */

/* In a static initializer; clang-format takes it for a block. */
/* clang-format off */
#define SPAN_INIT(literal) {(literal), sizeof(literal) - 1}
/* clang-format on */

static inline struct span span_of(const char *ptr, size_t len)
{
    return (struct span){ptr, len};
}

/* A NULL text gives the empty span. */
static inline struct span span_from_text(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_is_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_has_prefix(struct span text, struct span prefix)
{
    return text.len >= prefix.len && (prefix.len == 0 || !memcmp(text.ptr, prefix.ptr, prefix.len));
}

static inline bool span_has_suffix(struct span text, struct span suffix)
{
    return text.len >= suffix.len &&
           (suffix.len == 0 || !memcmp(text.ptr + text.len - suffix.len, suffix.ptr, suffix.len));
}

/* The rest behind the first n bytes; n must not exceed the length. */
static inline struct span span_skip(struct span text, size_t n)
{
    return (struct span){text.ptr + n, text.len - n};
}

/* True where it is one of the `count` texts. */
static inline bool span_is_in(struct span text, const struct span *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(texts[i], text))
            return true;
    }
    return false;
}

/* ASCII letters compared without case (RFC 9110 5.1: field names). */
bool span_is_equal_nocase(struct span a, struct span b);

/* Without the spaces and tabs at both ends. */
struct span span_trim(struct span text);

/* Where byte c stands first, or SIZE_MAX. */
size_t span_find_byte(struct span text, char c);

/* Where the text stands first, or SIZE_MAX. An empty needle stands at 0. */
size_t span_find(struct span text, struct span needle);

/* Cuts *rest at the next separator: returns what stood before it, trimmed, and moves *rest behind
 * it. False, with nothing written, once *rest is used up (its ptr is then NULL). */
bool span_next_token(struct span *rest, char separator, struct span *ret_token);

/* A decimal number of digits only, at least one, that fits: 0, ERR_SYNTAX or ERR_RANGE. */
int span_to_u64(struct span text, uint64_t *ret_value);

/* True where pattern, in which '*' stands for any run of bytes (also none), covers all of text.
 * Time grows with the product of the lengths at worst, never exponentially. */
bool span_matches(struct span text, struct span pattern);

#endif
