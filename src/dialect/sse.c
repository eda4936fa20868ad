#include "dialect/sse.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void sse_init(struct sse *sse)
{
    *sse = (struct sse){0};
}

/* The first CR or LF from p on, or end. */
static const char *find_line_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');

    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, lf), _mm_cmpeq_epi8(bytes, cr)));

        if (mask)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

/* The value of a line of that field: true where it is one ("data", "data:x", "data: x"). */
static bool field_value(struct span line, struct span field, struct span *ret_value)
{
    if (!span_has_prefix(line, field))
        return false;
    line = span_skip(line, field.len);
    if (line.len == 0) {
        *ret_value = line;
        return true;
    }
    if (line.ptr[0] != ':')
        return false;
    line = span_skip(line, 1);
    if (line.len && line.ptr[0] == ' ')
        line = span_skip(line, 1);
    *ret_value = line;
    return true;
}

static void take_line(struct sse *sse, const char *base, struct span line)
{
    struct span value;

    if (sse->is_flowing)
        return;
    if (field_value(line, SPAN("data"), &value)) {
        if (sse->data_lines++ == 0) {
            sse->data_at = (uint32_t)(value.ptr - base);
            sse->data_len = (uint32_t)value.len;
        }
    } else if (field_value(line, SPAN("event"), &value)) {
        sse->name_at = (uint32_t)(value.ptr - base);
        sse->name_len = (uint32_t)value.len;
    }
}

/* The event that takes the first `len` bytes of rest; the next one begins anew. */
static void finish_event(struct sse *sse, struct span rest, size_t len, bool is_after_cr,
                         struct sse_event *ret_event)
{
    *ret_event = (struct sse_event){
        .kind = sse->is_flowing   ? SSE_TAIL
                : sse->data_lines ? SSE_DATA
                                  : SSE_PING,
        .raw = span_of(rest.ptr, len),
        .data = span_of(rest.ptr + sse->data_at, sse->data_len),
        .name = span_of(rest.ptr + sse->name_at, sse->name_len),
        .data_lines = sse->data_lines,
        .lead = sse->lead,
    };
    *sse = (struct sse){.has_begun = true, .is_after_cr = is_after_cr};
}

/* Steps over what may stand before an event's first line: the LF of a CR that ended the event
 * before, or the stream's byte order mark. False where more bytes must tell. */
static bool skip_lead(struct sse *sse, struct span rest)
{
    const struct span mark = SPAN("\xEF\xBB\xBF");

    if (sse->is_after_cr) {
        sse->is_after_cr = false;
        if (rest.ptr[0] == '\n')
            sse->lead = sse->line_start = sse->scanned = 1;
        return true;
    }
    if (sse->has_begun)
        return true;
    if (rest.len < mark.len && memcmp(rest.ptr, mark.ptr, rest.len) == 0)
        return false;
    if (span_has_prefix(rest, mark))
        sse->lead = sse->line_start = sse->scanned = (uint32_t)mark.len;
    sse->has_begun = true;
    return true;
}

bool sse_next(struct sse *sse, struct span rest, struct sse_event *ret_event)
{
    const char *base = rest.ptr, *end = base + rest.len, *p;

    if (rest.len == 0 || (sse->scanned == 0 && !skip_lead(sse, rest)))
        return false;
    sse->is_cr_last = false;
    while ((p = find_line_end(base + sse->scanned, end)) < end) {
        struct span line = span_of(base + sse->line_start, (size_t)(p - base) - sse->line_start);
        bool is_blank = line.len == 0 && !sse->is_mid_line;
        size_t next = (size_t)(p - base) + 1;

        if (*p == '\r' && next == rest.len && !is_blank) {
            sse->scanned = (uint32_t)(p - base);
            sse->is_cr_last = true;
            return false;
        }
        if (*p == '\r' && next < rest.len && base[next] == '\n')
            next++;
        if (is_blank) {
            finish_event(sse, rest, next, *p == '\r' && p + 1 == end, ret_event);
            return true;
        }
        take_line(sse, base, line);
        sse->is_mid_line = false;
        sse->line_start = sse->scanned = (uint32_t)next;
    }
    sse->scanned = (uint32_t)rest.len;
    return false;
}

void sse_flow(struct sse *sse)
{
    bool is_mid_line = sse->is_mid_line || sse->scanned > sse->line_start;

    *sse = (struct sse){
        .has_begun = true,
        .is_flowing = true,
        .is_after_cr = sse->is_cr_last,
        .is_mid_line = is_mid_line && !sse->is_cr_last,
    };
}

bool sse_finish(struct sse *sse, struct span rest, struct sse_event *ret_event)
{
    struct span line;

    if (rest.len == 0)
        return false;
    if (sse->line_start < rest.len) {
        line = span_skip(rest, sse->line_start);
        if (line.ptr[line.len - 1] == '\r')
            line.len--;
        take_line(sse, rest.ptr, line);
    }
    finish_event(sse, rest, rest.len, false, ret_event);
    ret_event->is_open = true;
    return true;
}

bool sse_next_line(const struct sse_event *event, size_t *at, struct span *ret_line)
{
    const char *end = event->raw.ptr + event->raw.len;

    if (*at < event->lead)
        *at = event->lead;
    while (*at < event->raw.len) {
        const char *start = event->raw.ptr + *at, *stop = find_line_end(start, end);

        *at = (size_t)(stop - event->raw.ptr) + 1;
        if (field_value(span_of(start, (size_t)(stop - start)), SPAN("data"), ret_line))
            return true;
    }
    return false;
}

int sse_join(const struct sse_event *event, struct buf *buf)
{
    struct span line;
    size_t at = 0;
    bool is_first = true;
    int err = 0;

    while (!err && sse_next_line(event, &at, &line)) {
        if (!is_first)
            err = buf_append_byte(buf, '\n');
        if (!err)
            err = buf_append_span(buf, line);
        is_first = false;
    }
    return err;
}
