#include "base/percent.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int percent_write(struct buf *out, struct span text, const char *plain)
{
    static const char digits[] = "0123456789ABCDEF";
    int err = 0;

    for (size_t i = 0; i < text.len && !err; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        char coded[3] = {'%', digits[byte >> 4], digits[byte & 15]};

        if (is_unreserved(text.ptr[i]) || (byte && strchr(plain, byte)))
            err = buf_append_byte(out, text.ptr[i]);
        else
            err = buf_append(out, coded, sizeof(coded));
    }
    return err;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t percent_read(struct span text, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool is_code = text.ptr[i] == '%' && text.len - i > 2;
        int high = is_code ? digit_of(text.ptr[i + 1]) : -1;
        int low = is_code ? digit_of(text.ptr[i + 2]) : -1;

        if (high >= 0 && low >= 0) {
            out[len++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[len++] = text.ptr[i];
        }
    }
    return len;
}
