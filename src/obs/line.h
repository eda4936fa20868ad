/*
 * The pieces that log lines are written with: each puts its bytes at `out`, which must have room
 * for the worst case, and returns the place behind them. No NULs, no printf. Any thread.
 */
#ifndef OBS_LINE_H
#define OBS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/datetime.h"
#include "base/span.h"

enum {
    LINE_NUMBER_BYTES = 20,  /* the longest number: of 64 bits, with its sign */
    LINE_BYTES_PER_BYTE = 6, /* what a byte of text may become: \u001f */
};

/* The bytes of a string literal. */
#define LINE_PUT(out, literal) line_put((out), (literal), sizeof(literal) - 1)

static inline char *line_put(char *out, const char *bytes, size_t len)
{
    return mempcpy(out, bytes, len);
}

char *line_put_uint(char *out, uint64_t number);
char *line_put_int(char *out, int64_t number);

/* What stands between the quotes of a JSON string: at most LINE_BYTES_PER_BYTE for each byte of
 * text. What is not UTF-8 becomes U+FFFD. */
char *line_put_json(char *out, struct span text);

/* A value of key=value text: as it is where it is plain, else in quotes and escaped as in JSON: two
 * bytes more than line_put_json at most. */
char *line_put_value(char *out, struct span text);

/* RFC 3339 with milliseconds; a second's text is made once. Owned by one thread. */
struct line_clock {
    uint64_t second;
    char
        text[RFC3339_BYTES]; /* empty at first: second is then 0, and so is the text's first byte */
};

/* wall_us as text, RFC3339_BYTES long, valid until the next call. */
const char *line_clock_text(struct line_clock *clock, uint64_t wall_us);

#endif
