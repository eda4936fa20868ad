#include "json/write.h"

#include <math.h>
#include <stdio.h>

#include "base/bug.h"
#include "base/decimal.h"
#include "base/err.h"
#include "json/skip.h"

enum { ESCAPE_BYTES = 6, BLOCK_BYTES = 16 };

/* What stands behind the backslash: 0 for a byte that is not escaped so. */
static const char letters[0x60] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

/* The escape of a byte below 0x20, a quote or a backslash, to out: its length. */
static inline size_t escape(unsigned char c, char *out)
{
    static const char hex[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = letters[c];
    if (out[1])
        return 2;
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return ESCAPE_BYTES;
}

/* The next run of text that is written in one go: *ret_run, and how many bytes of text it stands
 * for. spare has ESCAPE_BYTES. */
static inline size_t next_run(struct span text, char *spare, struct span *ret_run)
{
    const unsigned char *start = (const unsigned char *)text.ptr, *end = start + text.len;
    const unsigned char *p = start;
    size_t len;

    for (;;) {
        p = json_skip_plain(p, end);
        len = p < end && *p >= 0x80 ? utf8_length(p, end) : 0;
        if (len == 0)
            break;
        p += len;
    }
    if (p > start) {
        *ret_run = span_of(text.ptr, (size_t)(p - start));
        return ret_run->len;
    }
    *ret_run = *p >= 0x80 ? SPAN("\xEF\xBF\xBD") : span_of(spare, escape(*p, spare));
    return 1;
}

/* Writes one character that is not plain, at most ESCAPE_BYTES: how many bytes it took. */
static inline size_t write_odd(const unsigned char *p, const unsigned char *end, char **out)
{
    size_t len;

    if (*p < 0x80) {
        *out += escape(*p, *out);
        return 1;
    }
    len = utf8_length(p, end);
    memcpy(*out, len ? (const char *)p : "\xEF\xBF\xBD", len ? len : 3);
    *out += len ? len : 3;
    return len ? len : 1;
}

/* Writes as much as fits into the room at hand, copying and looking at a block at a time: how much
 * of the text that was. What is left is short of a block, or of room. */
static size_t write_blocks(struct buf *buf, struct span text)
{
    const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;
    char *out = buf->data + buf->len, *full;
    size_t plain;

    if (buf->cap < BLOCK_BYTES + ESCAPE_BYTES)
        return 0;
    full = buf->data + buf->cap - BLOCK_BYTES - ESCAPE_BYTES;
    while (end - p >= BLOCK_BYTES && out <= full) {
        memcpy(out, p, BLOCK_BYTES);
        plain = (size_t)(json_skip_plain(p, p + BLOCK_BYTES) - p);
        p += plain;
        out += plain;
        if (plain < BLOCK_BYTES)
            p += write_odd(p, end, &out);
        while (p < end && *p >= 0x80 && out <= full)
            p += write_odd(p, end, &out);
    }
    buf->len = (size_t)(out - buf->data);
    return (size_t)(p - (const unsigned char *)text.ptr);
}

int json_write_string(struct buf *buf, struct span text)
{
    char spare[ESCAPE_BYTES];
    struct span run;
    int err;

    /* Most texts need no escape, and grow by their quotes alone. */
    err = buf_reserve(buf, text.len + 2);
    if (err)
        return err;
    buf->data[buf->len++] = '"';
    while (!err && text.len) {
        if (text.len >= BLOCK_BYTES)
            text = span_skip(text, write_blocks(buf, text));
        if (text.len == 0)
            break;
        text = span_skip(text, next_run(text, spare, &run));
        err = buf_append_span(buf, run);
    }
    return err ? err : buf_append_byte(buf, '"');
}

int json_write_string_to(char *out, size_t cap, struct span text, size_t *ret_len)
{
    char spare[ESCAPE_BYTES];
    struct span run;
    size_t len = 1;

    if (cap < 2)
        return ERR_FULL;
    out[0] = '"';
    while (text.len) {
        text = span_skip(text, next_run(text, spare, &run));
        if (run.len > cap - 1 - len)
            return ERR_FULL;
        memcpy(out + len, run.ptr, run.len);
        len += run.len;
    }
    out[len++] = '"';
    *ret_len = len;
    return 0;
}

void json_writer_init(struct json_writer *writer, struct buf *buf)
{
    *writer = (struct json_writer){.buf = buf};
}

/* What must stand before the next value or name. The buffer remembers a failed append. */
static void begin_item(struct json_writer *writer)
{
    uint64_t bit = UINT64_C(1) << writer->depth;

    if (writer->is_member) {
        writer->is_member = false;
        return;
    }
    if (writer->depth && (writer->has_items & bit))
        (void)buf_append_byte(writer->buf, ',');
    writer->has_items |= bit;
}

static void begin_container(struct json_writer *writer, char brace)
{
    begin_item(writer);
    bug_fatal_unless(writer->depth < JSON_WRITE_DEPTH_MAX);
    writer->depth++;
    writer->has_items &= ~(UINT64_C(1) << writer->depth);
    (void)buf_append_byte(writer->buf, brace);
}

static void end_container(struct json_writer *writer, char brace)
{
    bug_fatal_unless(writer->depth > 0);
    writer->depth--;
    (void)buf_append_byte(writer->buf, brace);
}

void json_begin_object(struct json_writer *writer)
{
    begin_container(writer, '{');
}

void json_end_object(struct json_writer *writer)
{
    end_container(writer, '}');
}

void json_begin_array(struct json_writer *writer)
{
    begin_container(writer, '[');
}

void json_end_array(struct json_writer *writer)
{
    end_container(writer, ']');
}

void json_name_span(struct json_writer *writer, struct span name)
{
    begin_item(writer);
    (void)json_write_string(writer->buf, name);
    (void)buf_append_byte(writer->buf, ':');
    writer->is_member = true;
}

void json_name_word(struct json_writer *writer, struct span word)
{
    struct buf *buf = writer->buf;

    begin_item(writer);
    writer->is_member = true;
    if (buf_reserve(buf, word.len + 3) != 0)
        return;
    buf->data[buf->len++] = '"';
    memcpy(buf->data + buf->len, word.ptr, word.len);
    buf->len += word.len;
    buf->data[buf->len++] = '"';
    buf->data[buf->len++] = ':';
}

void json_raw(struct json_writer *writer, struct span json)
{
    begin_item(writer);
    (void)buf_append_span(writer->buf, json);
}

void json_string(struct json_writer *writer, struct span text)
{
    begin_item(writer);
    (void)json_write_string(writer->buf, text);
}

void json_text(struct json_writer *writer, const char *text)
{
    if (text)
        json_string(writer, span_from_text(text));
    else
        json_null(writer);
}

void json_int(struct json_writer *writer, int64_t value)
{
    begin_item(writer);
    if (value < 0)
        (void)buf_append_byte(writer->buf, '-');
    (void)decimal_append(writer->buf, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_uint(struct json_writer *writer, uint64_t value)
{
    begin_item(writer);
    (void)decimal_append(writer->buf, value);
}

void json_double(struct json_writer *writer, double value)
{
    char text[32];

    if (isfinite(value))
        json_raw(writer, span_of(text, (size_t)snprintf(text, sizeof(text), "%.15g", value)));
    else
        json_null(writer);
}

void json_bool(struct json_writer *writer, bool value)
{
    json_raw(writer, value ? SPAN("true") : SPAN("false"));
}

void json_null(struct json_writer *writer)
{
    json_raw(writer, SPAN("null"));
}
