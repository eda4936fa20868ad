#include "json/scan_inner.h"
#include "json/skip.h"

static inline bool is_digit(byte c)
{
    return (unsigned)c - '0' < 10;
}

static const byte *pass_digits(const byte *p, const byte *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* RFC 8259, section 6: the byte behind the number, or NULL where it does not end before `end` or is
 * none. */
static const byte *pass_number(const byte *p, const byte *end)
{
    const byte *digits = *p == '-' ? p + 1 : p;

    p = pass_digits(digits, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    if (p < end && *p == '.') {
        digits = p + 1;
        p = pass_digits(digits, end);
        if (p == digits)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        digits = p + 1;
        if (digits < end && (*digits == '+' || *digits == '-'))
            digits++;
        p = pass_digits(digits, end);
        if (p == digits)
            return NULL;
    }
    return p < end ? p : NULL;
}

static inline const byte *pass_literal(const byte *p, const byte *end, const char *text, int len)
{
    return end - p >= len && memcmp(p, text, (size_t)len) == 0 ? p + len : p;
}

/* p is at the quote. One that is cut or has escapes is read again from its start. */
static inline const byte *pass_string(const byte *p, const byte *end)
{
    const byte *close = json_skip_plain(p + 1, end);

    return close < end && *close == '"' ? close + 1 : p;
}

const byte *scan_pass_plain(struct json_scan *scan, const byte *p, const byte *end,
                            enum plain_place place)
{
    const byte *behind;

    switch (*p) {
    case '"':
        return place == PLAIN_NO_TEXT ? pass_string(p, end) : scan_text(scan, p, end);
    case 't':
        return pass_literal(p, end, "true", 4);
    case 'f':
        return pass_literal(p, end, "false", 5);
    case 'n':
        return pass_literal(p, end, "null", 4);
    case '{':
    case '[':
        return p;
    }
    behind = pass_number(p, end);
    if (behind && place == PLAIN_ITEM)
        scan->text_numbers++;
    return behind ? behind : p;
}
