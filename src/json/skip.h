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

/* The same for runs of any length, by what the processor has (json/skip.c). */
const unsigned char *json_skip_long(const unsigned char *p, const unsigned char *end);

#ifdef __SSE2__
enum { JSON_SKIP_BLOCK = 16 };

/* A bit for each of a block's bytes that is not plain. */
static inline unsigned json_odd_places(const unsigned char *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* As signed numbers the bytes from 0x80 are negative, so that one comparison finds them and
     * the control characters. */
    __m128i odd = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
                               _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));

    return (unsigned)_mm_movemask_epi8(odd);
}

/* The first byte from p on that is not plain, or end. Names and most values end within two blocks.
 */
static inline const unsigned char *json_skip_plain(const unsigned char *p, const unsigned char *end)
{
    for (int i = 0; i < 2 && end - p >= JSON_SKIP_BLOCK; i++) {
        unsigned odd = json_odd_places(p);

        if (odd)
            return p + __builtin_ctz(odd);
        p += JSON_SKIP_BLOCK;
    }
    return p == end ? p : json_skip_long(p, end);
}
#else
static inline const unsigned char *json_skip_plain(const unsigned char *p, const unsigned char *end)
{
    return json_skip_long(p, end);
}
#endif

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
