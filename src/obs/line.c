#include "obs/line.h"

#include "base/clock.h"
#include "base/decimal.h"

char *line_put_uint(char *out, uint64_t number)
{
    char digits[DECIMAL_BYTES];
    struct span text = decimal_text(number, digits);

    return line_put(out, text.ptr, text.len);
}

char *line_put_int(char *out, int64_t number)
{
    if (number >= 0)
        return line_put_uint(out, (uint64_t)number);
    *out++ = '-';
    return line_put_uint(out, -(uint64_t)number);
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Whether one of eight bytes is a control character, a quote, a backslash or not ASCII. A borrow
 * may reach the byte above, but only from one that counts itself. */
static bool is_special_word(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    uint64_t special =
        word | (word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1));

    return (special & EACH_BYTE(0x80)) != 0;
}

static uint64_t load_word(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* One to seven bytes as a word, some of them twice. */
static uint64_t load_short(struct span text)
{
    uint32_t low, high;

    if (text.len < 4)
        return EACH_BYTE('.') << 24 | (uint64_t)(unsigned char)text.ptr[0] << 16 |
               (uint64_t)(unsigned char)text.ptr[text.len / 2] << 8 |
               (unsigned char)text.ptr[text.len - 1];
    memcpy(&low, text.ptr, sizeof(low));
    memcpy(&high, text.ptr + text.len - sizeof(high), sizeof(high));
    return (uint64_t)high << 32 | low;
}

/* Whether text, which is not empty, may stand in a JSON string as it is. */
static bool is_plain(struct span text)
{
    if (text.len < sizeof(uint64_t))
        return !is_special_word(load_short(text));
    for (size_t at = 0; at + sizeof(uint64_t) < text.len; at += sizeof(uint64_t))
        if (is_special_word(load_word(text.ptr + at)))
            return false;
    return !is_special_word(load_word(text.ptr + text.len - sizeof(uint64_t)));
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 sequence at the front (RFC 3629 section 4), 0 where there is none. The
 * second byte tells overlong forms, surrogates and what lies past U+10FFFF. */
static size_t sequence_len(struct span text)
{
    unsigned char lead = (unsigned char)text.ptr[0], second;
    size_t len = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

    if (!len || text.len < len)
        return 0;
    second = (unsigned char)text.ptr[1];
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
        return 0;
    for (size_t i = 1; i < len; i++)
        if (!is_continuation((unsigned char)text.ptr[i]))
            return 0;
    return len;
}

static char *put_control(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    switch (c) {
    case '\n':
        return LINE_PUT(out, "\\n");
    case '\r':
        return LINE_PUT(out, "\\r");
    case '\t':
        return LINE_PUT(out, "\\t");
    default:
        out = LINE_PUT(out, "\\u00");
        *out++ = hex[c >> 4];
        *out++ = hex[c & 15];
        return out;
    }
}

static char *put_escaped(char *out, struct span text)
{
    while (text.len) {
        unsigned char c = (unsigned char)text.ptr[0];
        size_t len = 1;

        if (c >= 0x80) {
            len = sequence_len(text);
            out = len ? line_put(out, text.ptr, len) : LINE_PUT(out, "\xef\xbf\xbd");
            len += !len;
        } else if (c < 0x20) {
            out = put_control(out, c);
        } else {
            if (c == '"' || c == '\\')
                *out++ = '\\';
            *out++ = (char)c;
        }
        text = span_skip(text, len);
    }
    return out;
}

char *line_put_json(char *out, struct span text)
{
    if (!text.len)
        return out;
    return is_plain(text) ? line_put(out, text.ptr, text.len) : put_escaped(out, text);
}

char *line_put_value(char *out, struct span text)
{
    bool is_bare = text.len && is_plain(text) && span_find_byte(text, ' ') == SIZE_MAX &&
                   span_find_byte(text, '=') == SIZE_MAX;

    if (is_bare)
        return line_put(out, text.ptr, text.len);
    *out++ = '"';
    out = put_escaped(out, text);
    *out++ = '"';
    return out;
}

const char *line_clock_text(struct line_clock *clock, uint64_t wall_us)
{
    enum { MS_AT = 20 }; /* behind "2026-11-20T10:15:00." */
    uint64_t second = wall_us / US_PER_SEC;
    unsigned ms = (unsigned)(wall_us % US_PER_SEC / US_PER_MS);

    if (second != clock->second || !clock->text[0]) {
        datetime_write_rfc3339(wall_us, clock->text);
        clock->second = second;
    }
    clock->text[MS_AT] = (char)('0' + ms / 100);
    clock->text[MS_AT + 1] = (char)('0' + ms / 10 % 10);
    clock->text[MS_AT + 2] = (char)('0' + ms % 10);
    return clock->text;
}
