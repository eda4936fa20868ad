#include "json/scan.h"

#include "base/bug.h"
#include "base/err.h"
#include "json/scan_inner.h"
#include "json/skip.h"

static const struct span literals[] = {SPAN_INIT("true"), SPAN_INIT("false"), SPAN_INIT("null")};

enum { LITERAL_TRUE, LITERAL_FALSE, LITERAL_NULL };

void json_scan_init(struct json_scan *scan, const struct json_watchlist *list, unsigned max_depth)
{
    bug_fatal_unless(list->count <= JSON_WATCH_MAX && max_depth >= 1 &&
                     max_depth <= JSON_DEPTH_MAX);
    memset(scan->seen, 0, list->count * sizeof(scan->seen[0]));
    memset((char *)scan + offsetof(struct json_scan, on_item), 0,
           sizeof(*scan) - offsetof(struct json_scan, on_item));
    scan->list = list;
    scan->max_depth = (uint16_t)max_depth;
    scan->state = STATE_ROOT;
    scan->row = -1;
    scan->capture_row = -1;
    scan->fault_row = -1;
    scan->scope[0] = SCOPE_NONE;
}

void json_scan_capture(struct json_scan *scan, int row, char *data, size_t cap)
{
    bug_fatal_unless(row >= 0 && (size_t)row < scan->list->count && cap <= UINT32_MAX);
    scan->captures[row] = (struct json_capture){data, (uint32_t)cap};
    scan->captured |= UINT32_C(1) << row;
}

void json_scan_count_kinds(struct json_scan *scan, struct json_kinds *kinds)
{
    scan->kinds = kinds;
}

/* A name was read; where its colon follows at once, as it mostly does, a value must come next. */
static const byte *name_ended(struct json_scan *scan, const byte *p, const byte *end)
{
    if (p < end && *p == ':') {
        scan->state = STATE_VALUE;
        return p + 1;
    }
    scan->state = STATE_COLON;
    return p;
}

/* p is at the quote. A name that is whole and plain is looked up where it stands. */
static const byte *begin_name(struct json_scan *scan, const byte *p, const byte *end)
{
    const byte *close = json_skip_plain(p + 1, end);

    scan->name_is_text = false;
    scan->is_name_escaped = false;
    if (close < end && *close == '"') {
        struct span name = span_of((const char *)p + 1, (size_t)(close - p - 1));

        if (name.len && (scan->marks & scan_mark(name)))
            scan_name_ended(scan, name, close);
        return name_ended(scan, close + 1, end);
    }
    scan->is_name = true;
    scan->is_counted = false;
    scan->sink = scan->marks ? SINK_NAME : SINK_NONE;
    scan->name_len = 0;
    scan->state = STATE_STRING;
    return p + 1;
}

/* p is at the quote. */
static const byte *begin_string(struct json_scan *scan, const byte *p, const byte *end)
{
    int row = scan->row;

    if (scan->text_depth)
        scan->is_counted = scan->name_is_text || scan_is_array(scan, scan->depth);
    else
        scan->is_counted = row >= 0 && (scan->list->rows[row].flags & JSON_COUNTED);
    if (scan->is_counted && scan->kinds)
        json_kinds_begin(scan->kinds);
    scan->is_name = false;
    scan->sink = row >= 0 && scan_is_captured(scan, row) ? SINK_CAPTURE : SINK_NONE;
    scan->state = STATE_STRING;
    return scan_string(scan, p + 1, end);
}

static void begin_number(struct json_scan *scan, byte c)
{
    scan->is_negative = c == '-';
    scan->state = c == '-' ? STATE_MINUS : c == '0' ? STATE_ZERO : STATE_WHOLE;
    if (scan->row >= 0) {
        scan->seen[scan->row].is_integer = true;
        scan->seen[scan->row].number = c == '-' ? 0 : c - '0';
    } else if (scan->text_depth && scan_is_array(scan, scan->depth)) {
        scan->text_numbers++;
    }
}

static void open_container(struct json_scan *scan, const byte *p, bool is_array)
{
    unsigned depth = scan->depth + 1u;
    byte bit;

    if (depth > scan->max_depth) {
        scan_fail(scan, JSON_FAULT_DEPTH, p);
        return;
    }
    scan->depth = (uint16_t)depth;
    bit = (byte)(1u << depth % 8);
    if (is_array)
        scan->is_array[depth / 8] |= bit;
    else
        scan->is_array[depth / 8] &= (byte)~bit;
    scan_opened(scan);
    scan->state = is_array ? STATE_FIRST_ITEM : STATE_FIRST_NAME;
}

static const byte *close_container(struct json_scan *scan, const byte *p, bool is_empty)
{
    scan_closing(scan, p, is_empty);
    scan->depth--;
    scan_look_out(scan);
    scan->state = scan->depth ? STATE_AFTER : STATE_END;
    if (scan->depth == 0)
        scan->root_is_empty = is_empty;
    /* Names belong to the container that ended. */
    scan->name_is_text = false;
    return p + 1;
}

/* The type of the value that begins with that byte; 0 where none does. */
static inline enum json_type type_of(byte c)
{
    static const uint8_t types[256] = {
        ['"'] = JSON_STRING, ['{'] = JSON_OBJECT, ['['] = JSON_ARRAY,  ['t'] = JSON_BOOL,
        ['f'] = JSON_BOOL,   ['n'] = JSON_NULL,   ['-'] = JSON_NUMBER, ['0'] = JSON_NUMBER,
        ['1'] = JSON_NUMBER, ['2'] = JSON_NUMBER, ['3'] = JSON_NUMBER, ['4'] = JSON_NUMBER,
        ['5'] = JSON_NUMBER, ['6'] = JSON_NUMBER, ['7'] = JSON_NUMBER, ['8'] = JSON_NUMBER,
        ['9'] = JSON_NUMBER,
    };

    return (enum json_type)types[c];
}

/* p is at a value's first byte. */
static const byte *begin_value(struct json_scan *scan, const byte *p, const byte *end)
{
    enum json_type type = type_of(*p);

    if (!type) {
        scan_fail(scan, JSON_FAULT_SYNTAX, p);
        return p;
    }
    if (scan->row >= 0) {
        scan_value_began(scan, type, p);
        if (scan->fault)
            return p;
    }
    if (type == JSON_STRING)
        return begin_string(scan, p, end);
    if (type & (JSON_OBJECT | JSON_ARRAY)) {
        open_container(scan, p, type == JSON_ARRAY);
    } else if (type == JSON_NUMBER) {
        begin_number(scan, *p);
    } else {
        scan->literal = *p == 't' ? LITERAL_TRUE : *p == 'f' ? LITERAL_FALSE : LITERAL_NULL;
        scan->literal_at = 1;
        scan->state = STATE_LITERAL;
    }
    return p + 1;
}

static const byte *read_literal(struct json_scan *scan, const byte *p, const byte *end)
{
    struct span text = literals[scan->literal];

    for (; p < end && scan->literal_at < text.len; p++) {
        if (*p != (byte)text.ptr[scan->literal_at]) {
            scan_fail(scan, JSON_FAULT_SYNTAX, p);
            return p;
        }
        scan->literal_at++;
    }
    if (scan->literal_at == text.len) {
        if (scan->row >= 0) {
            scan->seen[scan->row].is_true = scan->literal == LITERAL_TRUE;
            scan_value_ended(scan, p);
        }
        scan->state = STATE_AFTER;
    }
    return p;
}

/* Behind a value: a comma, or the end of its container. */
static const byte *read_after(struct json_scan *scan, const byte *p)
{
    bool is_array = scan_is_array(scan, scan->depth);

    if (*p == ',') {
        scan->state = is_array ? STATE_VALUE : STATE_NAME;
        return p + 1;
    }
    if (*p == (is_array ? ']' : '}'))
        return close_container(scan, p, false);
    scan_fail(scan, JSON_FAULT_SYNTAX, p);
    return p;
}

/* p is at the first byte of a value that a row watches, or that cannot be passed over at once. One
 * that is no container is read as far as it is there. */
static const byte *read_value(struct json_scan *scan, const byte *p, const byte *end)
{
    p = begin_value(scan, p, end);
    if (scan->fault || scan->state <= STATE_END)
        return p;
    if (scan->state == STATE_LITERAL)
        return read_literal(scan, p, end);
    return scan->state >= STATE_MINUS ? scan_number(scan, p, end) : p;
}

/* Members whose values are no containers, one after the other: the grammar's plain way without a
 * turn of the loop for each token. p is at a name's quote. */
static const byte *read_members(struct json_scan *scan, const byte *p, const byte *end)
{
    for (;;) {
        const byte *value;

        p = begin_name(scan, p, end);
        if (scan->state != STATE_VALUE || scan->fault)
            return p;
        p = scan_space(p, end);
        if (p == end)
            return p;
        value = p;
        scan->state = STATE_AFTER;
        if (scan->row < 0)
            p = scan_pass_plain(scan, p, end, scan->name_is_text ? PLAIN_MEMBER : PLAIN_NO_TEXT);
        if (p == value)
            p = read_value(scan, p, end);
        if (scan->state != STATE_AFTER || scan->fault)
            return p;
        p = scan_space(p, end);
        if (p == end || *p != ',')
            return p;
        scan->state = STATE_NAME;
        p = scan_space(p + 1, end);
        if (p == end || *p != '"')
            return p;
    }
}

/* Items of an array that are no containers, in the same way. p is at the first byte of one. */
static const byte *read_items(struct json_scan *scan, const byte *p, const byte *end)
{
    enum plain_place place = scan->text_depth ? PLAIN_ITEM : PLAIN_NO_TEXT;

    for (;;) {
        const byte *value = p;

        scan->state = STATE_AFTER;
        p = scan_pass_plain(scan, p, end, place);
        if (p == value)
            return read_value(scan, p, end);
        if (scan->state != STATE_AFTER || scan->fault)
            return p;
        p = scan_space(p, end);
        if (p == end || *p != ',')
            return p;
        scan->state = STATE_VALUE;
        p = scan_space(p + 1, end);
        if (p == end)
            return p;
    }
}

static const byte *read_root(struct json_scan *scan, const byte *p)
{
    if (*p == '{') {
        scan->root_start = scan_offset(scan, p) + 1;
        open_container(scan, p, false);
        return p + 1;
    }
    scan_fail(scan, type_of(*p) ? JSON_FAULT_NOT_OBJECT : JSON_FAULT_SYNTAX, p);
    return p;
}

/* One token between strings, numbers and literals; p is at its first byte. */
static const byte *read_token(struct json_scan *scan, const byte *p, const byte *end)
{
    /* Of the states only those that wait for a token come here. */
    switch (scan->state) {
    case STATE_ROOT:
        return read_root(scan, p);
    case STATE_FIRST_ITEM:
        if (*p == ']')
            return close_container(scan, p, true);
        return read_items(scan, p, end);
    case STATE_VALUE:
        /* Of a member behind a colon that stood apart from its name, or an item. */
        return scan_is_array(scan, scan->depth) ? read_items(scan, p, end)
                                                : begin_value(scan, p, end);
    case STATE_FIRST_NAME:
        if (*p == '}')
            return close_container(scan, p, true);
        __attribute__((fallthrough));
    case STATE_NAME:
        if (*p == '"')
            return read_members(scan, p, end);
        break;
    case STATE_COLON:
        if (*p == ':') {
            scan->state = STATE_VALUE;
            return p + 1;
        }
        break;
    case STATE_AFTER:
        return read_after(scan, p);
    case STATE_END:
        scan_fail(scan, JSON_FAULT_TRAILING, p);
        return p;
    }
    scan_fail(scan, JSON_FAULT_SYNTAX, p);
    return p;
}

static const byte *read_part(struct json_scan *scan, const byte *p, const byte *end)
{
    enum state state = (enum state)scan->state;

    if (state == STATE_STRING)
        return scan_string(scan, p, end);
    if (state == STATE_ESCAPE)
        return scan_escape(scan, p);
    if (state == STATE_UNICODE)
        return scan_unicode(scan, p, end);
    if (state == STATE_LITERAL)
        return read_literal(scan, p, end);
    return scan_number(scan, p, end);
}

static inline const byte *read_some(struct json_scan *scan, const byte *p, const byte *end)
{
    if (scan->state > STATE_END)
        return read_part(scan, p, end);
    p = scan_space(p, end);
    return p < end ? read_token(scan, p, end) : p;
}

int json_scan_feed(struct json_scan *scan, struct span piece)
{
    const byte *p = (const byte *)piece.ptr, *end = p + piece.len;

    if (scan->fault)
        return ERR_SYNTAX;
    if (piece.len == 0)
        return 0;
    scan->origin = p;
    scan->capture_from = p;
    while (p < end && !scan->fault)
        p = read_some(scan, p, end);
    if (scan->fault)
        return ERR_SYNTAX;
    if (scan->capture_row >= 0)
        scan_capture_upto(scan, end);
    scan->base += piece.len;
    return 0;
}

int json_scan_finish(struct json_scan *scan)
{
    if (scan->fault)
        return ERR_SYNTAX;
    if (scan->state == STATE_END)
        return 0;
    scan->fault = scan->state == STATE_ROOT ? JSON_FAULT_EMPTY : JSON_FAULT_CUT;
    scan->fault_at = scan->base;
    return ERR_SYNTAX;
}

const char *json_type_text(enum json_type type)
{
    switch (type) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "a boolean";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_ANY:
        return "any value";
    }
    return "a value";
}
