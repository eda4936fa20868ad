/*
 * The inner loops that JSON reading and writing share: runs of plain bytes, and UTF-8. For json/
 * and the readers above it that look at JSON without parsing it. Pure; any thread.
 */
#ifndef JSON_SKIP_H
#define JSON_SKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A byte that may stand in a string as it is: printable ASCII but for the quote and the backslash.
 */
static inline bool json_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
static inline const unsigned char *json_skip_blocks(const unsigned char *p,
                                                    const unsigned char *end)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);

    while (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* As signed numbers the bytes from 0x80 are negative, so that one comparison finds them and
         * the control characters. */
        __m128i odd = _mm_or_si128(
            _mm_cmplt_epi8(bytes, space),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(odd);

        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
    return p;
}
#else
/* Eight bytes at once in a plain register: a zero byte in x is found by (x - 1) & ~x & 0x80, exact
 * enough to say whether there is any. */
static inline const unsigned char *json_skip_blocks(const unsigned char *p,
                                                    const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    while (end - p >= 8) {
        uint64_t bytes, quote, backslash, odd;

        memcpy(&bytes, p, sizeof(bytes));
        quote = bytes ^ (ones * '"');
        backslash = bytes ^ (ones * '\\');
        odd = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
              ((bytes - ones * 0x20) & ~bytes) | bytes;
        if (odd & tops)
            return p;
        p += 8;
    }
    return p;
}
#endif

/* The first byte from p on that is not plain, or end. */
static inline const unsigned char *json_skip_plain(const unsigned char *p, const unsigned char *end)
{
    p = json_skip_blocks(p, end);
    while (p < end && json_is_plain(*p))
        p++;
    return p;
}

/* How a UTF-8 sequence goes on behind its first byte (RFC 3629, section 4). */
struct utf8_rest {
    uint8_t need;      /* bytes that follow; 0: no sequence begins so */
    uint8_t low, high; /* bounds of the first of them; further ones lie in 0x80 to 0xBF */
};

/* lead is 0x80 or above. */
static inline struct utf8_rest utf8_rest_of(unsigned char lead)
{
    if (lead < 0xC2 || lead > 0xF4)
        return (struct utf8_rest){0, 0, 0};
    if (lead < 0xE0)
        return (struct utf8_rest){1, 0x80, 0xBF};
    if (lead < 0xF0)
        return (struct utf8_rest){2, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF};
    return (struct utf8_rest){3, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF};
}

/* Length of the whole, valid sequence that begins with the byte at p, which is 0x80 or above; 0
 * where it is cut or invalid. */
static inline size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    struct utf8_rest rest = utf8_rest_of(*p);

    if (rest.need == 0 || end - p <= rest.need || p[1] < rest.low || p[1] > rest.high)
        return 0;
    for (size_t i = 2; i <= rest.need; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return (size_t)rest.need + 1;
}

/* Puts a code point (below 0x110000, no surrogate) as UTF-8 to out, 4 bytes of room: its length. */
static inline size_t utf8_put(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* The length of data without a sequence that its end cuts short. */
static inline size_t utf8_whole(const char *data, size_t len)
{
    size_t back = 0;

    while (back < 3 && back < len) {
        unsigned char c = (unsigned char)data[len - 1 - back];

        back++;
        if (c < 0x80)
            return len;
        if (c >= 0xC0)
            return utf8_rest_of(c).need >= back ? len - back : len;
    }
    return len;
}

#endif
