/*
 * What the parts of the scanner share: scan.c reads the grammar, scan_string.c the inside of
 * strings, scan_number.c that of numbers, scan_plain.c passes over whole plain values, scan_watch.c
 * keeps account of watched members. Private to json/.
 */
#ifndef JSON_SCAN_INNER_H
#define JSON_SCAN_INNER_H

#include "json/scan.h"

typedef unsigned char byte;

enum state {
    STATE_ROOT,       /* before the root object */
    STATE_VALUE,      /* a value must come */
    STATE_FIRST_ITEM, /* a value, or the end of an empty array */
    STATE_FIRST_NAME, /* a name, or the end of an empty object */
    STATE_NAME,       /* a name must come */
    STATE_COLON,
    STATE_AFTER, /* behind a value: a comma or the end of the container */
    STATE_END,   /* behind the root object; up to here tokens, from here on parts of one */
    STATE_STRING,
    STATE_ESCAPE,  /* behind a backslash */
    STATE_UNICODE, /* in the four digits behind it */
    STATE_MINUS,   /* from here on: what was read last of a number */
    STATE_ZERO,    /* a leading zero, which no digit follows */
    STATE_WHOLE,   /* digits before the point */
    STATE_POINT,
    STATE_FRACTION,
    STATE_EXPONENT, /* the letter */
    STATE_SIGN,     /* the exponent's sign */
    STATE_POWER,    /* the exponent's digits */
    STATE_LITERAL,
};

/* Whose members stand at a depth, where it is no row. */
enum scope {
    SCOPE_ROOT = -1,
    SCOPE_NONE = -2,
};

enum sink {
    SINK_NONE,
    SINK_NAME,    /* scan->name */
    SINK_CAPTURE, /* the capture of scan->row */
};

static inline uint64_t scan_offset(const struct json_scan *scan, const byte *p)
{
    return scan->base + (uint64_t)(p - scan->origin);
}

static inline void scan_fail(struct json_scan *scan, enum json_fault fault, const byte *p)
{
    scan->fault = fault;
    scan->fault_at = scan_offset(scan, p);
}

static inline bool scan_is_array(const struct json_scan *scan, unsigned depth)
{
    return scan->is_array[depth / 8] >> depth % 8 & 1;
}

static inline int scan_scope(const struct json_scan *scan, unsigned depth)
{
    return depth < JSON_SCOPE_MAX ? scan->scope[depth] : SCOPE_NONE;
}

/* JSON_MARK of a name that is not empty. */
static inline uint64_t scan_mark(struct span name)
{
    return UINT64_C(1) << (((unsigned char)name.ptr[0] ^ name.len << 2) & 63);
}

static inline bool scan_is_captured(const struct json_scan *scan, int row)
{
    return scan->captured >> row & 1;
}

static inline const byte *scan_space(const byte *p, const byte *end)
{
    /* Most of what is looked at is no space, which one comparison says. */
    while (p < end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Where a plain value stands, as far as the counting of text goes. */
enum plain_place {
    PLAIN_NO_TEXT,
    PLAIN_MEMBER, /* its string counts */
    PLAIN_ITEM,   /* its string counts, and so does a number */
};

/* A value that no row watches: where it stands whole between p, its first byte, and end, is no
 * container and is spelled plainly, the byte behind it; else p, and nothing was noted. Text that
 * counts is read on from there as far as it is there, and leaves its state: STATE_AFTER stands
 * before. */
const byte *scan_pass_plain(struct json_scan *scan, const byte *p, const byte *end,
                            enum plain_place place);

/* A member's name is known, and its mark is one that matters: finds its row and whether its text
 * counts. p is behind the name. */
void scan_name_ended(struct json_scan *scan, struct span name, const byte *p);

/* The value of scan->row begins at p: notes it, or finds that its type is not allowed. */
void scan_value_began(struct json_scan *scan, enum json_type type, const byte *p);

/* The value of scan->row, no container, ended before p. */
void scan_value_ended(struct json_scan *scan, const byte *p);

/* Depth has just grown by the container whose row scan->row is. */
void scan_opened(struct json_scan *scan);

/* Depth has changed: other names matter. */
void scan_look_out(struct json_scan *scan);

/* The container of scan->depth ends with the byte at p. */
void scan_closing(struct json_scan *scan, const byte *p, bool is_empty);

/* Bytes of the captured text of a row; whole characters are kept. */
void scan_capture(struct json_scan *scan, int row, const void *bytes, size_t len);

/* Moves what has come of a value captured as spelled, up to p. */
void scan_capture_upto(struct json_scan *scan, const byte *p);

/* Inside a string: reads on from p to the first byte that another state must see. */
const byte *scan_string(struct json_scan *scan, const byte *p, const byte *end);

/* A string at whose quote p is, which no row watches and which counts as text: reads it as far as
 * it is there. */
const byte *scan_text(struct json_scan *scan, const byte *p, const byte *end);

/* The byte behind a backslash; p is before end. */
const byte *scan_escape(struct json_scan *scan, const byte *p);

/* Inside a number: reads on from p to the byte behind it. */
const byte *scan_number(struct json_scan *scan, const byte *p, const byte *end);

/* The four digits of an escaped code unit. */
const byte *scan_unicode(struct json_scan *scan, const byte *p, const byte *end);

#endif
