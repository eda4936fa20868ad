#include "obs/log_line.h"

#include "base/datetime.h"
#include "obs/line.h"

/* Kept for the end of a line: the closing bytes, and a number or truth with its punctuation. */
enum { TAIL_BYTES = 64 };

const char *log_level_text(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}

/* As much of text as surely fits before `end` once it is escaped. */
static struct span cut(struct span text, const char *out, const char *end)
{
    size_t room = (size_t)(end - out) - TAIL_BYTES;
    size_t most = room / LINE_BYTES_PER_BYTE;

    return span_of(text.ptr, text.len < most ? text.len : most);
}

static char *put_text(char *out, struct span text)
{
    return line_put(out, text.ptr, text.len);
}

static char *put_string(char *out, enum log_format format, struct span text)
{
    if (format == LOG_FORMAT_TEXT)
        return line_put_value(out, text);
    *out++ = '"';
    out = line_put_json(out, text);
    *out++ = '"';
    return out;
}

static char *put_field(char *out, const char *end, enum log_format format,
                       const struct log_field *field)
{
    struct span name = span_from_text(field->name);

    if ((size_t)(end - out) < name.len + 2 * TAIL_BYTES)
        return out;
    if (format == LOG_FORMAT_JSON) {
        out = LINE_PUT(out, ",\"");
        out = put_text(out, name);
        out = LINE_PUT(out, "\":");
    } else {
        *out++ = ' ';
        out = put_text(out, name);
        *out++ = '=';
    }
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        return put_string(out, format, cut(field->value.text, out, end));
    case LOG_FIELD_INT:
        return line_put_int(out, field->value.i);
    case LOG_FIELD_UINT:
        return line_put_uint(out, field->value.u);
    case LOG_FIELD_BOOL:
        return field->value.b ? LINE_PUT(out, "true") : LINE_PUT(out, "false");
    }
    return out;
}

static char *put_start(char *out, const char *end, enum log_format format,
                       const struct log_line *line)
{
    struct span message = span_from_text(line->message);

    if (format == LOG_FORMAT_JSON)
        out = LINE_PUT(out, "{\"time\":\"");
    out = line_put(out, line->time, RFC3339_BYTES);
    if (format == LOG_FORMAT_TEXT) {
        *out++ = ' ';
        out = put_text(out, span_from_text(log_level_text(line->level)));
        *out++ = ' ';
        return line_put_json(out, cut(message, out, end));
    }
    out = LINE_PUT(out, "\",\"level\":\"");
    out = put_text(out, span_from_text(log_level_text(line->level)));
    out = LINE_PUT(out, "\",\"message\":\"");
    out = line_put_json(out, cut(message, out, end));
    *out++ = '"';
    return out;
}

char *log_line_put(char *out, enum log_format format, const struct log_line *line)
{
    const char *end = out + LOG_LINE_BYTES;

    out = put_start(out, end, format, line);
    for (size_t i = 0; i < line->field_count; i++)
        out = put_field(out, end, format, line->fields[i]);
    if (format == LOG_FORMAT_JSON)
        *out++ = '}';
    *out++ = '\n';
    return out;
}
