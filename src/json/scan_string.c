#include "json/scan_inner.h"

#include "json/skip.h"

/* A run is either of ASCII or of what lies beyond. */
static void count_kinds(struct json_kinds *kinds, const byte *bytes, size_t len)
{
    if (*bytes < 0x80)
        json_kinds_plain(kinds, bytes, len);
    else
        json_kinds_wide(kinds, bytes, len);
}

/* Bytes of the string at hand, decoded; by kinds they were counted. */
static inline void note(struct json_scan *scan, const void *bytes, size_t len, size_t chars)
{
    if (scan->is_counted) {
        scan->text_bytes += len;
        scan->text_chars += chars;
    }
    if (scan->sink == SINK_CAPTURE) {
        scan_capture(scan, scan->row, bytes, len);
    } else if (scan->sink == SINK_NAME && scan->name_len <= JSON_NAME_MAX) {
        if (len <= (size_t)JSON_NAME_MAX - scan->name_len) {
            memcpy(scan->name + scan->name_len, bytes, len);
            scan->name_len += (uint8_t)len;
        } else {
            scan->name_len = JSON_NAME_MAX + 1;
        }
    }
}

/* Passes over plain bytes. */
static inline const byte *skip(struct json_scan *scan, const byte *p, const byte *end)
{
    return scan->is_counted && scan->kinds ? json_kinds_pass(scan->kinds, p, end)
                                           : json_skip_plain(p, end);
}

/* The same of bytes that are not yet counted. */
static void take(struct json_scan *scan, const void *bytes, size_t len, size_t chars)
{
    if (scan->is_counted && scan->kinds && len)
        count_kinds(scan->kinds, bytes, len);
    note(scan, bytes, len, chars);
}

static void take_code(struct json_scan *scan, uint32_t code)
{
    char text[4];

    take(scan, text, utf8_put(code, text), 1);
}

/* A surrogate whose other half did not come. */
static inline void flush_surrogate(struct json_scan *scan)
{
    if (!scan->high_surrogate)
        return;
    scan->high_surrogate = 0;
    take_code(scan, 0xFFFD);
}

static void string_ended(struct json_scan *scan, const byte *p)
{
    if (scan->is_name) {
        struct span name = span_of(scan->name, scan->name_len);

        if (scan->sink == SINK_NAME && scan->name_len && scan->name_len <= JSON_NAME_MAX &&
            (scan->marks & scan_mark(name)))
            scan_name_ended(scan, name, p);
        scan->state = STATE_COLON;
        return;
    }
    if (scan->row >= 0) {
        struct json_seen *seen = &scan->seen[scan->row];

        scan_value_ended(scan, p + 1);
        seen->is_empty = seen->end - seen->start == 2;
    }
    scan->state = STATE_AFTER;
}

/* What is left of a sequence that the last piece cut. */
static const byte *finish_utf8(struct json_scan *scan, const byte *p, const byte *end)
{
    const byte *run = p;

    while (p < end && scan->utf8_need) {
        if (*p < scan->utf8_low || *p > scan->utf8_high) {
            scan_fail(scan, JSON_FAULT_UTF8, p);
            return p;
        }
        scan->utf8_low = 0x80;
        scan->utf8_high = 0xBF;
        scan->utf8_need--;
        p++;
    }
    take(scan, run, (size_t)(p - run), 0);
    return p;
}

/* A run of sequences from p on, whose first byte is 0x80 or above. */
static const byte *read_utf8(struct json_scan *scan, const byte *p, const byte *end)
{
    const byte *run = p;
    size_t chars = 0, len;
    struct utf8_rest rest;

    while (p < end && *p >= 0x80 && (len = utf8_length(p, end)) != 0) {
        p += len;
        chars++;
    }
    take(scan, run, (size_t)(p - run), chars);
    if (p == end || *p < 0x80)
        return p;
    rest = utf8_rest_of(*p);
    if (rest.need == 0 || end - p > rest.need) {
        /* Not cut by the piece, so it is invalid: the first byte of it at fault is not sought. */
        scan_fail(scan, JSON_FAULT_UTF8, p);
        return p;
    }
    scan->utf8_need = rest.need;
    scan->utf8_low = rest.low;
    scan->utf8_high = rest.high;
    take(scan, p, 1, 1);
    return finish_utf8(scan, p + 1, end);
}

const byte *scan_string(struct json_scan *scan, const byte *p, const byte *end)
{
    if (scan->utf8_need)
        p = finish_utf8(scan, p, end);
    while (p < end && !scan->fault) {
        const byte *run = p;

        /* What came before it counts before it. */
        if (p[0] != '\\')
            flush_surrogate(scan);
        /* Of one escape behind the other there is nothing to pass over. */
        if (json_is_plain(*p)) {
            p = skip(scan, p, end);
            note(scan, run, (size_t)(p - run), (size_t)(p - run));
        }
        if (p == end)
            break;
        if (*p == '"') {
            string_ended(scan, p);
            return p + 1;
        }
        if (*p == '\\') {
            scan->state = STATE_ESCAPE;
            return p + 1;
        }
        if (*p < 0x20)
            scan_fail(scan, JSON_FAULT_SYNTAX, p);
        else
            p = read_utf8(scan, p, end);
    }
    return p;
}

const byte *scan_text(struct json_scan *scan, const byte *p, const byte *end)
{
    const byte *run = p + 1;

    scan->is_counted = true;
    if (scan->kinds)
        json_kinds_begin(scan->kinds);
    p = skip(scan, run, end);
    scan->text_bytes += (uint64_t)(p - run);
    scan->text_chars += (uint64_t)(p - run);
    if (p < end && *p == '"')
        return p + 1;
    scan->is_name = false;
    scan->sink = SINK_NONE;
    scan->state = STATE_STRING;
    return scan_string(scan, p, end);
}

const byte *scan_escape(struct json_scan *scan, const byte *p)
{
    static const char meanings[0x80] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    const char *meaning = *p < 0x80 && meanings[*p] ? &meanings[*p] : NULL;

    if (scan->is_name)
        scan->is_name_escaped = true;
    else if (scan->row >= 0)
        scan->seen[scan->row].is_escaped = true;
    if (*p == 'u') {
        scan->unit = 0;
        scan->digits = 0;
        scan->state = STATE_UNICODE;
    } else if (meaning) {
        flush_surrogate(scan);
        take(scan, meaning, 1, 1);
        scan->state = STATE_STRING;
    } else {
        scan_fail(scan, JSON_FAULT_SYNTAX, p);
    }
    return p + 1;
}

/* A whole \uXXXX: surrogates (RFC 8259, section 7) are put together. */
static void take_unit(struct json_scan *scan, uint16_t unit)
{
    if (unit >= 0xDC00 && unit <= 0xDFFF && scan->high_surrogate) {
        uint32_t high = scan->high_surrogate;

        scan->high_surrogate = 0;
        take_code(scan, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00u));
        return;
    }
    flush_surrogate(scan);
    if (unit >= 0xD800 && unit <= 0xDBFF)
        scan->high_surrogate = unit;
    else
        take_code(scan, unit >= 0xDC00 && unit <= 0xDFFF ? 0xFFFD : unit);
}

static int hex_value(byte c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const byte *scan_unicode(struct json_scan *scan, const byte *p, const byte *end)
{
    for (; p < end && scan->digits < 4; p++) {
        int value = hex_value(*p);

        if (value < 0) {
            scan_fail(scan, JSON_FAULT_SYNTAX, p);
            return p;
        }
        scan->unit = (uint16_t)(scan->unit << 4 | value);
        scan->digits++;
    }
    if (scan->digits == 4) {
        take_unit(scan, scan->unit);
        scan->state = STATE_STRING;
    }
    return p;
}
