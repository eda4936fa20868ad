/*
 * A ring of bytes between two threads: one writes whole lines into it in place, one takes them out
 * in long runs. Neither ever waits for the other: where there is no room the writer is told so. A
 * line always stands in one piece; what does not fit before the end of the memory starts again at
 * its beginning. Owned by whoever made it; ring_reserve and ring_commit are the writer's,
 * ring_peek and ring_consume the reader's, the rest anybody's.
 */
#ifndef OBS_RING_H
#define OBS_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { RING_CACHE_LINE = 64 };

/* Positions count bytes since the start and never wrap; masked, they are places in `bytes`. The
 * writer alone stores `head` and `skip`, the reader alone `tail`: each stores with release what the
 * other loads with acquire, so that bytes are seen before the position that covers them, and reused
 * only after they were taken. `skip` is written before the `head` that passes it. At most one skip
 * lies between tail and head, since two are more than one lap apart. */
struct ring {
    _Alignas(RING_CACHE_LINE) struct {
        atomic_uint_fast64_t head; /* behind the last committed byte */
        atomic_uint_fast64_t skip; /* nothing stands from here to the end of this lap */
    } shared_writer;
    _Alignas(RING_CACHE_LINE) struct {
        atomic_uint_fast64_t tail; /* behind the last byte taken */
    } shared_reader;
    _Alignas(RING_CACHE_LINE) char *bytes;
    size_t size;     /* a power of two */
    size_t mask;     /* size - 1 */
    uint64_t at;     /* the writer's: where the reserved piece stands */
    size_t reserved; /* the writer's: bytes asked for; 0: none */
};

/* size is a power of two, at least 4096. 0 or ERR_NOMEM. */
int ring_init(struct ring *ring, size_t size);
void ring_fini(struct ring *ring);

/* A place for up to max_len bytes (at least 1), valid until ring_commit; NULL where there is no
 * room now, or never for so many. */
char *ring_reserve(struct ring *ring, size_t max_len);

/* Hands the first len bytes of the reserved place to the reader; len may be 0. */
void ring_commit(struct ring *ring, size_t len);

/* The longest run of bytes to take, in the order they were written; empty: nothing now. */
struct span ring_peek(struct ring *ring);

/* Gives the first len bytes of the peeked run back to the writer. */
void ring_consume(struct ring *ring, size_t len);

/* Bytes between writer and reader, gaps included; another thread may have moved on meanwhile. */
size_t ring_fill(const struct ring *ring);

#endif
