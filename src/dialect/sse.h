/*
 * Server-sent events (WHATWG HTML 9.2) cut out of a stream that arrives in any pieces. The relay
 * keeps the unread bytes contiguous and asks for the next whole event at their front; nothing is
 * copied, and bytes looked at once are not looked at again. LF, CRLF and CR end lines. Owned by
 * one attempt; one thread. Pure.
 *
 *     while (sse_next(&sse, rest, &event)) { ...; rest = span_skip(rest, event.raw.len); }
 *
 * What then remains in `rest` is the beginning of an event: kept at the front of the buffer for the
 * next call, or, if it has grown too large, sent on unparsed and told by sse_flow.
 */
#ifndef DIALECT_SSE_H
#define DIALECT_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { SSE_EVENT_MAX = 65536 }; /* a longer unfinished event flows on unparsed */

enum sse_kind {
    SSE_PING, /* no data: comments, blank lines, or a lone name */
    SSE_DATA, /* an event with data */
    SSE_TAIL, /* the end of an event whose beginning flowed on unparsed */
};

struct sse_event {
    enum sse_kind kind;
    struct span raw;  /* all bytes of it, with the blank line that ends it */
    struct span data; /* SSE_DATA: the data where it is one line; else the first line's */
    struct span name; /* of its `event:` line; empty without one */
    unsigned data_lines;
    unsigned lead; /* bytes of raw before its first line: a byte order mark, a late LF */
    bool is_open;  /* the stream ended before its blank line */
};

struct sse {
    uint32_t lead;       /* bytes before the event's first line */
    uint32_t scanned;    /* bytes of the unfinished event already looked at */
    uint32_t line_start; /* where in it the line at hand begins */
    uint32_t data_at;    /* first data line's value: place and length */
    uint32_t data_len;
    uint32_t name_at; /* likewise of the event's name */
    uint32_t name_len;
    uint32_t data_lines;
    bool has_begun;   /* the first bytes of the stream (a byte order mark?) are behind us */
    bool is_after_cr; /* a LF now would belong to the CR before it */
    bool is_cr_last;  /* the last byte at hand ends a line, unless a LF follows */
    bool is_mid_line; /* the line at hand began in bytes that flowed on */
    bool is_flowing;  /* part of this event was sent on */
};

void sse_init(struct sse *sse);

/* The next whole event at the front of rest, which begins where the last event ended and holds at
 * least what it held at the last call: true and *ret_event, borrowing from rest, or false where it
 * is not whole yet. */
bool sse_next(struct sse *sse, struct span rest, struct sse_event *ret_event);

/* The unfinished event's bytes so far, all of the last `rest`, were sent on and are gone from the
 * buffer: the rest of the event will be SSE_TAIL. */
void sse_flow(struct sse *sse);

/* The stream has ended and rest is what remains: true where it holds an event that lacks only its
 * blank line, which SDKs read all the same. Its raw then ends without one. */
bool sse_finish(struct sse *sse, struct span rest, struct sse_event *ret_event);

/* Walks the data lines of an event: start with *at = 0; false at the end. */
bool sse_next_line(const struct sse_event *event, size_t *at, struct span *ret_line);

/* Appends the event's data with its lines joined by LF, for data_lines above 1: 0, ERR_FULL or
 * ERR_NOMEM. */
int sse_join(const struct sse_event *event, struct buf *buf);

#endif
