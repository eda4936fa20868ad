/*
 * Bytes read a word at a time, from wherever they stand. Names are short, and looked up so often
 * that a call of memcmp would cost more than the comparison. Pure; any thread.
 */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include "base/span.h"

static inline uint64_t word_8(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint32_t word_4(const char *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* As span_is_equal. The last word overlaps the one before it. */
static inline bool word_is_equal(struct span a, struct span b)
{
    size_t len = a.len;

    if (len != b.len)
        return false;
    if (len >= 8) {
        for (size_t i = 0; i < len - 8; i += 8) {
            if (word_8(a.ptr + i) != word_8(b.ptr + i))
                return false;
        }
        return word_8(a.ptr + len - 8) == word_8(b.ptr + len - 8);
    }
    if (len >= 4)
        return word_4(a.ptr) == word_4(b.ptr) && word_4(a.ptr + len - 4) == word_4(b.ptr + len - 4);
    for (size_t i = 0; i < len; i++) {
        if (a.ptr[i] != b.ptr[i])
            return false;
    }
    return true;
}

#endif
