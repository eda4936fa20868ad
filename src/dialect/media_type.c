#include "dialect/media_type.h"

#include <stdbool.h>

/* Bytes at the beginning, and where there are some, further ones behind them. */
struct magic {
    struct span first, then;
    unsigned first_at, then_at;
    const char *type;
    bool is_container; /* of sound or pictures: its Content-Type tells which */
};

static const struct magic magics[] = {
    {SPAN_INIT("\xff\xd8\xff"), {0}, 0, 0, "image/jpeg", false},
    {SPAN_INIT("\x89PNG\r\n\x1a\n"), {0}, 0, 0, "image/png", false},
    {SPAN_INIT("GIF87a"), {0}, 0, 0, "image/gif", false},
    {SPAN_INIT("GIF89a"), {0}, 0, 0, "image/gif", false},
    {SPAN_INIT("RIFF"), SPAN_INIT("WEBP"), 0, 8, "image/webp", false},
    {SPAN_INIT("BM"), SPAN_INIT("\0\0\0\0"), 0, 6, "image/bmp", false},
    {SPAN_INIT("II*\0"), {0}, 0, 0, "image/tiff", false},
    {SPAN_INIT("MM\0*"), {0}, 0, 0, "image/tiff", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("hei"), 4, 8, "image/heic", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("hev"), 4, 8, "image/heic", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("mif1"), 4, 8, "image/heif", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("msf1"), 4, 8, "image/heif", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("avi"), 4, 8, "image/avif", false},
    {SPAN_INIT("%PDF-"), {0}, 0, 0, "application/pdf", false},
    {SPAN_INIT("RIFF"), SPAN_INIT("WAVE"), 0, 8, "audio/wav", false},
    {SPAN_INIT("ID3"), {0}, 0, 0, "audio/mpeg", false},
    {SPAN_INIT("\xff\xfb"), {0}, 0, 0, "audio/mpeg", false},
    {SPAN_INIT("\xff\xfa"), {0}, 0, 0, "audio/mpeg", false},
    {SPAN_INIT("\xff\xf3"), {0}, 0, 0, "audio/mpeg", false},
    {SPAN_INIT("\xff\xf2"), {0}, 0, 0, "audio/mpeg", false},
    {SPAN_INIT("\xff\xf1"), {0}, 0, 0, "audio/aac", false},
    {SPAN_INIT("\xff\xf9"), {0}, 0, 0, "audio/aac", false},
    {SPAN_INIT("fLaC"), {0}, 0, 0, "audio/flac", false},
    {SPAN_INIT("FORM"), SPAN_INIT("AIF"), 0, 8, "audio/aiff", false},
    {SPAN_INIT("OggS"), {0}, 0, 0, "audio/ogg", true},
    {SPAN_INIT("ftyp"), SPAN_INIT("M4A"), 4, 8, "audio/mp4", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("qt  "), 4, 8, "video/quicktime", false},
    {SPAN_INIT("ftyp"), SPAN_INIT("3g"), 4, 8, "video/3gpp", true},
    {SPAN_INIT("ftyp"), {0}, 4, 0, "video/mp4", true},
    {SPAN_INIT("\x1a\x45\xdf\xa3"), {0}, 0, 0, "video/webm", true},
    {SPAN_INIT("RIFF"), SPAN_INIT("AVI "), 0, 8, "video/x-msvideo", false},
    {SPAN_INIT("\0\0\x01\xba"), {0}, 0, 0, "video/mpeg", false},
    {SPAN_INIT("\0\0\x01\xb3"), {0}, 0, 0, "video/mpeg", false},
};

static bool stands_at(struct span head, unsigned at, struct span what)
{
    return head.len >= at + what.len && span_has_prefix(span_skip(head, at), what);
}

static const struct magic *find_magic(struct span head)
{
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (stands_at(head, magics[i].first_at, magics[i].first) &&
            stands_at(head, magics[i].then_at, magics[i].then))
            return &magics[i];
    }
    return NULL;
}

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '+' ||
           c == '_';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* type/subtype in lower case; false where it is none, or none that tells anything. */
static bool read_type(struct span value, char ret_type[MEDIA_TYPE_BYTES])
{
    struct span type = span_trim(span_of(value.ptr, value.len));
    size_t end = span_find_byte(type, ';'), slashes = 0;

    if (end != SIZE_MAX)
        type = span_trim(span_of(type.ptr, end));
    if (type.len < 3 || type.len >= MEDIA_TYPE_BYTES)
        return false;
    for (size_t i = 0; i < type.len; i++) {
        ret_type[i] = lower(type.ptr[i]);
        slashes += ret_type[i] == '/' && i > 0 && i + 1 < type.len;
        if (ret_type[i] != '/' && !is_token_byte(ret_type[i]))
            return false;
    }
    ret_type[type.len] = '\0';
    return slashes == 1 && !span_has_suffix(span_from_text(ret_type), SPAN("/octet-stream")) &&
           !span_has_prefix(span_from_text(ret_type), SPAN("multipart/"));
}

static bool is_of(struct span type, struct span kind)
{
    return span_has_prefix(type, kind);
}

/* Of these the bytes would have told. Not of SVG, which is text. */
static bool needs_magic(struct span type)
{
    if (span_is_equal(type, SPAN("image/svg+xml")))
        return false;
    return is_of(type, SPAN("image/")) || is_of(type, SPAN("audio/")) ||
           is_of(type, SPAN("video/")) || span_is_equal(type, SPAN("application/pdf"));
}

void media_type_find(struct span head, struct span content_type, char ret_type[MEDIA_TYPE_BYTES])
{
    const struct magic *magic = find_magic(head);
    bool is_told = read_type(content_type, ret_type);
    struct span told = span_from_text(is_told ? ret_type : "");

    if (magic && magic->is_container &&
        (is_of(told, SPAN("audio/")) || is_of(told, SPAN("video/"))))
        return;
    if (magic)
        memcpy(ret_type, magic->type, strlen(magic->type) + 1);
    else if (!is_told || needs_magic(told))
        ret_type[0] = '\0';
}
