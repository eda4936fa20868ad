#include "reply.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TERMINAL "data: [DONE]\n\n"

void reply_reset(struct reply *reply)
{
    /* The head's 2 KB are left as they are: head_bytes says how much of it holds. */
    memset(reply, 0, offsetof(struct reply, tail));
}

static void read_field(struct reply *reply, const char *line, size_t size)
{
    static const char length[] = "content-length:", coding[] = "transfer-encoding: chunked";
    static const char type[] = "content-type: text/event-stream", close[] = "connection: close";

    /* Nearly every line is done with after one comparison. */
    if ((line[0] | 0x20) != 'c' && (line[0] | 0x20) != 't')
        return;
    if (size >= sizeof(length) && strncasecmp(line, length, sizeof(length) - 1) == 0)
        reply->left = strtoull(line + sizeof(length) - 1, NULL, 10);
    else if (size >= sizeof(coding) - 1 && strncasecmp(line, coding, sizeof(coding) - 1) == 0)
        reply->is_chunked = true;
    else if (size >= sizeof(type) - 1 && strncasecmp(line, type, sizeof(type) - 1) == 0)
        reply->is_stream = true;
    else if (size >= sizeof(close) - 1 && strncasecmp(line, close, sizeof(close) - 1) == 0)
        reply->closes = true;
}

/* `head` ends behind its blank line. False when it has no status line. */
static bool read_head(struct reply *reply, const char *head, size_t size)
{
    if (size < 16 || memcmp(head, "HTTP/1.", 7) != 0)
        return false;
    reply->status = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
    const char *end = head + size;
    for (const char *line = head; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (next == NULL)
            break;
        read_field(reply, line, (size_t)(next - line));
        line = next + 1;
    }
    if (reply->is_chunked)
        reply->state = REPLY_CHUNK_SIZE;
    else
        reply->state = reply->left > 0 ? REPLY_LENGTH : REPLY_DONE;
    if (reply->is_chunked)
        reply->left = 0;
    return true;
}

static ptrdiff_t feed_head(struct reply *reply, const char *bytes, size_t size)
{
    const char *end = reply->head_bytes == 0 ? memmem(bytes, size, "\r\n\r\n", 4) : NULL;
    if (end != NULL)
        return read_head(reply, bytes, (size_t)(end + 4 - bytes)) ? end + 4 - bytes : -1;
    /* The head came in parts: gathered byte by byte, which is rare. */
    for (size_t i = 0; i < size; i++) {
        if (reply->head_bytes == REPLY_HEAD_MAX)
            return -1;
        reply->head[reply->head_bytes++] = bytes[i];
        if (reply->head_bytes >= 4 &&
            memcmp(reply->head + reply->head_bytes - 4, "\r\n\r\n", 4) == 0)
            return read_head(reply, reply->head, reply->head_bytes) ? (ptrdiff_t)i + 1 : -1;
    }
    return (ptrdiff_t)size;
}

/*
 * The mock stamps a paced event with "fp_" and 19 digits: when it was written, by the clock that
 * all processes share. Other events have zeros there.
 */
static void sample_delay(struct reply_tally *tally, const char *event, size_t size)
{
    const char *stamp = memmem(event, size, "\"fp_", 4);
    if (stamp == NULL || stamp + 24 > event + size)
        return;
    uint64_t sent_ns = strtoull(stamp + 4, NULL, 10);
    if (sent_ns > 0 && sent_ns < tally->now_ns)
        hist_add(&tally->delay, tally->now_ns - sent_ns);
}

static void keep_tail(struct reply *reply, const char *bytes, size_t size)
{
    if (size >= REPLY_TAIL) {
        memcpy(reply->tail, bytes + size - REPLY_TAIL, REPLY_TAIL);
        reply->tail_bytes = REPLY_TAIL;
        return;
    }
    size_t kept = reply->tail_bytes + size > REPLY_TAIL ? REPLY_TAIL - size : reply->tail_bytes;
    memmove(reply->tail, reply->tail + reply->tail_bytes - kept, kept);
    memcpy(reply->tail + kept, bytes, size);
    reply->tail_bytes = kept + size;
}

/* Counts the events that end in this piece of the body: each ends with two line ends. */
static void count_events(struct reply *reply, const char *bytes, size_t size,
                         struct reply_tally *tally)
{
    const char *end = bytes + size;
    const char *event = bytes;
    for (const char *p = bytes; p < end;) {
        if (*p == '\n' && reply->last_was_newline) {
            p++;
            reply->last_was_newline = false;
            tally->events++;
            if (++reply->events % REPLY_SAMPLE == 0)
                sample_delay(tally, event, (size_t)(p - event));
            event = p;
            continue;
        }
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        reply->last_was_newline = newline != NULL;
        p = newline != NULL ? newline + 1 : end;
    }
}

static size_t feed_body(struct reply *reply, const char *bytes, size_t size,
                        struct reply_tally *tally)
{
    size_t taken = size < reply->left ? size : reply->left;
    reply->left -= taken;
    tally->body_bytes += taken;
    if (reply->is_stream) {
        count_events(reply, bytes, taken, tally);
        keep_tail(reply, bytes, taken);
    }
    return taken;
}

/* One byte of a chunk's size line; extensions are not understood. */
static bool feed_size(struct reply *reply, char byte)
{
    if (byte == '\r')
        return true;
    if (byte == '\n') {
        reply->state = reply->left > 0 ? REPLY_CHUNK_DATA : REPLY_TRAILER;
        /* In the trailer `left` counts the bytes of the line at hand. */
        return true;
    }
    if (!isxdigit((unsigned char)byte) || reply->left >> 32 != 0)
        return false;
    reply->left =
        reply->left * 16 + (unsigned)(byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
    return true;
}

static void feed_trailer(struct reply *reply, char byte)
{
    if (byte == '\n' && reply->left == 0)
        reply->state = REPLY_DONE;
    else if (byte == '\n')
        reply->left = 0;
    else if (byte != '\r')
        reply->left++;
}

/* One step of a chunked body; 0 taken means a malformed one. */
static size_t feed_chunked(struct reply *reply, const char *bytes, size_t size,
                           struct reply_tally *tally)
{
    size_t taken = 1;
    switch (reply->state) {
    case REPLY_CHUNK_SIZE:
        return feed_size(reply, bytes[0]) ? 1 : 0;
    case REPLY_CHUNK_DATA:
        taken = feed_body(reply, bytes, size, tally);
        if (reply->left == 0)
            reply->state = REPLY_CHUNK_END;
        return taken;
    case REPLY_CHUNK_END:
        if (bytes[0] == '\n')
            reply->state = REPLY_CHUNK_SIZE;
        return bytes[0] == '\n' || bytes[0] == '\r' ? 1 : 0;
    case REPLY_TRAILER:
        feed_trailer(reply, bytes[0]);
        return 1;
    case REPLY_HEAD:
    case REPLY_LENGTH:
    case REPLY_DONE:
        break;
    }
    return 0;
}

ptrdiff_t reply_feed(struct reply *reply, const char *bytes, size_t size, struct reply_tally *tally)
{
    size_t at = 0;
    if (reply->state == REPLY_HEAD) {
        ptrdiff_t taken = feed_head(reply, bytes, size);
        if (taken < 0)
            return -1;
        at = (size_t)taken;
    }
    while (at < size && reply->state != REPLY_DONE) {
        size_t taken = 0;
        if (reply->state == REPLY_LENGTH) {
            taken = feed_body(reply, bytes + at, size - at, tally);
            if (reply->left == 0)
                reply->state = REPLY_DONE;
        } else if (reply->state != REPLY_HEAD) {
            taken = feed_chunked(reply, bytes + at, size - at, tally);
        }
        if (taken == 0)
            return -1;
        at += taken;
    }
    return (ptrdiff_t)at;
}

bool reply_is_good(const struct reply *reply)
{
    if (reply->status != 200)
        return false;
    return !reply->is_stream ||
           (reply->tail_bytes == REPLY_TAIL && memcmp(reply->tail, TERMINAL, REPLY_TAIL) == 0);
}
