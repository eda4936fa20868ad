#include "json/skip.h"

#include "json/kinds_inner.h"
#include "json/skip_inner.h"

static const unsigned char *skip_bytes(const unsigned char *p, const unsigned char *end)
{
    while (p < end && json_is_plain(*p))
        p++;
    return p;
}

#ifdef __SSE2__
const unsigned char *skip_by_16(const unsigned char *p, const unsigned char *end)
{
    for (; end - p >= JSON_SKIP_BLOCK; p += JSON_SKIP_BLOCK) {
        unsigned odd = json_odd_places(p);

        if (odd)
            return p + __builtin_ctz(odd);
    }
    return skip_bytes(p, end);
}

const unsigned char *json_skip_long(const unsigned char *p, const unsigned char *end)
{
    if (end - p >= SKIP_BY_32_MIN && kinds_has_32())
        return skip_by_32(p, end);
    return skip_by_16(p, end);
}
#else
/* Eight bytes at once in a plain register: a zero byte in x is found by (x - 1) & ~x & 0x80, exact
 * enough to say whether there is any. */
const unsigned char *json_skip_long(const unsigned char *p, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    for (; end - p >= 8; p += 8) {
        uint64_t bytes, quote, backslash, odd;

        memcpy(&bytes, p, sizeof(bytes));
        quote = bytes ^ (ones * '"');
        backslash = bytes ^ (ones * '\\');
        odd = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
              ((bytes - ones * 0x20) & ~bytes) | bytes;
        if (odd & tops)
            break;
    }
    return skip_bytes(p, end);
}
#endif
