#include "base/base64.h"

#include <stdint.h>
#include <string.h>

int base64_write(struct buf *out, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    int err = buf_reserve(out, base64_length(bytes.len));
    char *to;

    if (err || bytes.len == 0)
        return err;
    to = out->data + out->len;
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t b = i + 1 < bytes.len ? p[i + 1] : 0, c = i + 2 < bytes.len ? p[i + 2] : 0;
        uint32_t bits = (uint32_t)p[i] << 16 | b << 8 | c;

        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = i + 1 < bytes.len ? digits[bits >> 6 & 63] : '=';
        *to++ = i + 2 < bytes.len ? digits[bits & 63] : '=';
    }
    out->len += base64_length(bytes.len);
    return 0;
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool base64_read(struct span text, char *out, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;

    for (unsigned padding = 0; padding < 2 && text.len && text.ptr[text.len - 1] == '='; padding++)
        text.len--;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i]);

        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[len++] = (char)(bits >> held & 0xff);
        }
    }
    *ret_len = len;
    return true;
}

static bool is_usual(struct span text)
{
    return text.len % 4 == 0 && span_find_byte(text, '-') == SIZE_MAX &&
           span_find_byte(text, '_') == SIZE_MAX;
}

struct span base64_to_usual(struct span text, struct arena *arena)
{
    size_t padding = (4 - text.len % 4) % 4;
    char *copy;

    if (is_usual(text))
        return text;
    copy = arena_alloc(arena, text.len + padding);
    if (!copy)
        return (struct span){0};
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.ptr[i] == '-' ? '+' : text.ptr[i] == '_' ? '/' : text.ptr[i];
    memset(copy + text.len, '=', padding);
    return span_of(copy, text.len + padding);
}
