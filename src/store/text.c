#include "store/text.h"

#include <string.h>

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

bool text_is_word_or_none(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] < 'a' || text.ptr[i] > 'z') && text.ptr[i] != '_')
            return false;
    return text.len <= TEXT_WORD_BYTES;
}

bool text_is_word(struct span text)
{
    return text.len > 0 && text_is_word_or_none(text);
}

/* Up to max bytes, none of them a control character. */
static bool is_plain(struct span text, size_t max)
{
    if (text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (is_control(text.ptr[i]))
            return false;
    return true;
}

bool text_is_name_or_none(struct span text)
{
    return is_plain(text, TEXT_NAME_BYTES);
}

bool text_is_id_or_none(struct span text)
{
    return is_plain(text, TEXT_ID_BYTES);
}

bool text_is_name(struct span text)
{
    return text.len > 0 && text_is_name_or_none(text);
}

bool text_is_value(struct span text)
{
    return is_plain(text, TEXT_REASON_BYTES);
}

bool text_is_note(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && !memchr("_=:;,./ -", c, 9))
            return false;
    }
    return text.len <= TEXT_NOTE_BYTES;
}

/* A byte of the form 10xxxxxx goes on with the character before it (RFC 3629). */
static bool goes_on(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t text_cut_bytes(struct span text, size_t max)
{
    size_t len = max;

    if (text.len <= len)
        return text.len;
    while (len > 0 && goes_on(text.ptr[len]))
        len--;
    return len ? len : max;
}

void text_clean(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (is_control(text[i]))
            text[i] = ' ';
}
