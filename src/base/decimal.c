#include "base/decimal.h"

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

/* Two digits to the places before `at`. */
static inline char *put_pair(char *at, unsigned pair)
{
    memcpy(at - 2, digit_pairs + pair * 2, 2);
    return at - 2;
}

struct span decimal_text(uint64_t number, char buffer[DECIMAL_BYTES])
{
    char *end = buffer + DECIMAL_BYTES, *at = end;
    uint32_t rest;

    for (; number > UINT32_MAX; number /= 100)
        at = put_pair(at, (unsigned)(number % 100));
    /* Nearly every number is so small, and a division of that size half the work. */
    for (rest = (uint32_t)number; rest >= 100; rest /= 100)
        at = put_pair(at, rest % 100);
    if (rest >= 10)
        at = put_pair(at, rest);
    else
        *--at = (char)('0' + rest);
    return span_of(at, (size_t)(end - at));
}

int decimal_append(struct buf *buf, uint64_t number)
{
    char digits[DECIMAL_BYTES];

    return buf_append_span(buf, decimal_text(number, digits));
}

struct span decimal_nano_text(uint64_t billionths, char buffer[DECIMAL_NANO_BYTES])
{
    const uint64_t one = 1000000000;
    uint64_t fraction = billionths % one;
    char whole[DECIMAL_BYTES];
    struct span digits = decimal_text(billionths / one, whole);
    size_t len = digits.len;

    memcpy(buffer, digits.ptr, digits.len);
    if (fraction)
        buffer[len++] = '.';
    for (uint64_t place = one / 10; fraction; place /= 10) {
        buffer[len++] = (char)('0' + fraction / place);
        fraction %= place;
    }
    return span_of(buffer, len);
}
