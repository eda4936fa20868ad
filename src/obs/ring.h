/*
 * A ring of bytes between two threads: one writes whole lines into it in place, one takes them out
 * in long runs. Neither ever waits for the other: where there is no room the writer is told so. A
 * line always stands in one piece; what does not fit before the end of the memory starts again at
 * its beginning. So does the first line after all was taken, where the beginning has room enough:
 * as long as the reader keeps up, the same few pages serve, and stay in the cache. Owned by whoever
 * made it; ring_reserve and ring_commit are the writer's, ring_peek and ring_consume the reader's,
 * the rest anybody's.
 */
#ifndef OBS_RING_H
#define OBS_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { RING_CACHE_LINE = 64, RING_REWIND_BYTES = 65536 };

/* Positions count bytes since the start and never wrap; masked, they are places in `bytes`. The
 * writer alone stores `head` and `skip`, the reader alone `tail`: each stores with release what the
 * other loads with acquire, so that bytes are seen before the position that covers them, and are
 * used again only after they were taken. `skip` is stored before the `head` that passes it, and is
 * stored again only in the next lap, for which the tail must have passed it. The two sides stand a
 * cache line apart, so that neither slows the other. */
struct ring {
    char *bytes;
    size_t size;     /* a power of two */
    uint64_t start;  /* the writer's: where the reserved place stands */
    size_t reserved; /* the writer's: bytes asked for; 0: none */
    struct {
        char apart[RING_CACHE_LINE];
        atomic_uint_fast64_t head; /* behind the last committed byte */
        atomic_uint_fast64_t skip; /* nothing stands from here to the end of this lap */
        char apart_too[RING_CACHE_LINE];
        atomic_uint_fast64_t tail; /* behind the last byte taken */
    } shared;
};

/* size is a power of two, at least one page. 0 or ERR_NOMEM. */
int ring_init(struct ring *ring, size_t size);
void ring_fini(struct ring *ring);

/* A place for up to max_len bytes (at least 1), valid until ring_commit; NULL where there is no
 * room now, or never for so many (half the size). */
char *ring_reserve(struct ring *ring, size_t max_len);

/* Hands the first len bytes of the reserved place to the reader; len may be 0. */
void ring_commit(struct ring *ring, size_t len);

/* The longest run of whole lines to take, in the order they were written; empty: nothing now. */
struct span ring_peek(struct ring *ring);

/* Gives the first len bytes of the peeked run back to the writer. */
void ring_consume(struct ring *ring, size_t len);

/* Bytes between writer and reader, gaps but the reader's next included; either may have moved on
 * meanwhile. */
size_t ring_fill(const struct ring *ring);

#endif
