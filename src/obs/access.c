#include "obs/access.h"

#include "base/datetime.h"
#include "base/decimal.h"
#include "obs/line.h"
#include "obs/log.h"

static struct span cut(struct span text)
{
    return span_of(text.ptr, text.len < ACCESS_TEXT_BYTES ? text.len : ACCESS_TEXT_BYTES);
}

/* What a line has besides its texts: names, numbers, punctuation. Either format is shorter. */
#define BYTES_TEXT   4
#define BYTES_NUMBER LINE_NUMBER_BYTES
#define BYTES_IF_SET LINE_NUMBER_BYTES
#define BYTES_USAGE  LINE_NUMBER_BYTES
#define BYTES_FLAG   4
#define BYTES_USD    DECIMAL_NANO_BYTES
enum {
    FIXED_BYTES = sizeof("{\"time\":\"\",\"kind\":\"access\"}\n") + RFC3339_BYTES
#define ACCESS(kind, member, text) +sizeof(",\"" #member "\":") + BYTES_##kind
#include "tables/access.def"
#undef ACCESS
};

#define LEN_TEXT(value)   cut(value).len
#define LEN_NUMBER(value) 0
#define LEN_IF_SET(value) 0
#define LEN_USAGE(value)  0
#define LEN_FLAG(value)   0
#define LEN_USD(value)    0

size_t access_line_bound(const struct access_record *record)
{
    size_t text_bytes = 0;

#define ACCESS(kind, member, text) text_bytes += LEN_##kind(record->member);
#include "tables/access.def"
#undef ACCESS
    return FIXED_BYTES + text_bytes * LINE_BYTES_PER_BYTE;
}

/* Each kind of member, in both formats: whether it is there, and how its value is put. */
#define HAS_TEXT(record, value)   ((value).len != 0)
#define HAS_NUMBER(record, value) true
#define HAS_IF_SET(record, value) ((value) != 0)
#define HAS_USAGE(record, value)  ((record)->has_usage)
#define HAS_FLAG(record, value)   (value)
#define HAS_USD(record, value)    ((record)->has_cost)

static char *put_json_text(char *out, struct span text)
{
    *out++ = '"';
    out = line_put_json(out, cut(text));
    *out++ = '"';
    return out;
}

static char *put_usd(char *out, uint64_t billionths)
{
    char buffer[DECIMAL_NANO_BYTES];
    struct span text = decimal_nano_text(billionths, buffer);

    return line_put(out, text.ptr, text.len);
}

#define JSON_TEXT(out, value)   put_json_text(out, value)
#define JSON_NUMBER(out, value) line_put_uint(out, value)
#define JSON_IF_SET(out, value) line_put_uint(out, value)
#define JSON_USAGE(out, value)  line_put_uint(out, value)
#define JSON_FLAG(out, value)   LINE_PUT(out, "true")
#define JSON_USD(out, value)    put_usd(out, value)

char *access_put_json(char *out, const struct access_record *record, const char *time)
{
    out = LINE_PUT(out, "{\"time\":\"");
    out = line_put(out, time, RFC3339_BYTES);
    out = LINE_PUT(out, "\",\"kind\":\"access\"");
#define ACCESS(kind, member, text)                                                                 \
    if (HAS_##kind(record, record->member)) {                                                      \
        out = LINE_PUT(out, ",\"" #member "\":");                                                  \
        out = JSON_##kind(out, record->member);                                                    \
    }
#include "tables/access.def"
#undef ACCESS
    return LINE_PUT(out, "}\n");
}

#define PLAIN_TEXT(out, value)   line_put_value(out, cut(value))
#define PLAIN_NUMBER(out, value) line_put_uint(out, value)
#define PLAIN_IF_SET(out, value) line_put_uint(out, value)
#define PLAIN_USAGE(out, value)  line_put_uint(out, value)
#define PLAIN_FLAG(out, value)   LINE_PUT(out, "true")
#define PLAIN_USD(out, value)    put_usd(out, value)

char *access_put_text(char *out, const struct access_record *record, const char *time)
{
    out = line_put(out, time, RFC3339_BYTES);
    out = LINE_PUT(out, " access");
#define ACCESS(kind, member, text)                                                                 \
    if (HAS_##kind(record, record->member)) {                                                      \
        out = LINE_PUT(out, " " #member "=");                                                      \
        out = PLAIN_##kind(out, record->member);                                                   \
    }
#include "tables/access.def"
#undef ACCESS
    return LINE_PUT(out, "\n");
}

void access_write(struct log_ring *ring, const struct access_record *record)
{
    const char *time;
    char *out, *end;

    if (!ring || !log_ring_has_access(ring))
        return;
    out = log_ring_reserve(ring, access_line_bound(record));
    if (!out)
        return;
    time = log_ring_time(ring, record->wall_us);
    end = log_ring_format(ring) == LOG_FORMAT_JSON ? access_put_json(out, record, time)
                                                   : access_put_text(out, record, time);
    log_ring_commit(ring, (size_t)(end - out));
}
