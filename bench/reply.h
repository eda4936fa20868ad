/*
 * One HTTP/1.1 answer as it comes in, piece by piece: where it ends, and how many server-sent
 * events it brought.
 *
 * The load generator keeps one per connection. It understands what the programs under test send
 * (Content-Length or chunked, no trailers of interest) and refuses the rest, so that a broken
 * answer is counted and never read past. RFC 9112 sections 4, 6 and 7.
 */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include "hist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_HEAD_MAX 2048
#define REPLY_TAIL     14

/* Each 16th event's delay is taken from the stamp that the mock upstream wrote into it. */
#define REPLY_SAMPLE 16

enum reply_state {
    REPLY_HEAD,
    REPLY_LENGTH,
    REPLY_CHUNK_SIZE,
    REPLY_CHUNK_DATA,
    REPLY_CHUNK_END,
    REPLY_TRAILER,
    REPLY_DONE,
};

/* What all answers of a run add up to. now_ns is when the bytes at hand were read. */
struct reply_tally {
    uint64_t events;
    uint64_t body_bytes;
    uint64_t now_ns;
    struct hist delay;
};

struct reply {
    enum reply_state state;
    int status;
    bool is_chunked;
    bool is_stream;
    bool closes;
    bool last_was_newline;
    uint64_t left;
    uint64_t events;
    size_t head_bytes;
    size_t tail_bytes;
    char tail[REPLY_TAIL];
    char head[REPLY_HEAD_MAX];
};

/* Makes it ready for the next answer on its connection. */
void reply_reset(struct reply *reply);

/*
 * Reads `size` bytes; adds events and body bytes to the tally. Returns how many bytes belonged to
 * this answer (the state is REPLY_DONE when that was its end), or -1 when they are no HTTP answer.
 */
ptrdiff_t reply_feed(struct reply *reply, const char *bytes, size_t size,
                     struct reply_tally *tally);

/* Whether the finished answer was a 200 and, if a stream, ended with its terminal event. */
bool reply_is_good(const struct reply *reply);

#endif
