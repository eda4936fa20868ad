#include "obs/ring.h"

#include <stdbool.h>

#include "base/bug.h"
#include "base/err.h"
#include "obs/pages.h"

static const uint64_t NO_SKIP = UINT64_MAX;

int ring_init(struct ring *ring, size_t size)
{
    *ring = (struct ring){.size = size};
    ring->bytes = pages_new(size);
    if (!ring->bytes)
        return ERR_NOMEM;
    atomic_init(&ring->shared.skip, NO_SKIP);
    return 0;
}

void ring_fini(struct ring *ring)
{
    pages_free(ring->bytes, ring->size);
    ring->bytes = NULL;
}

static size_t place_of(const struct ring *ring, uint64_t position)
{
    return position & (ring->size - 1);
}

static uint64_t lap_end(const struct ring *ring, uint64_t position)
{
    return position - place_of(ring, position) + ring->size;
}

/* Where the reader's next byte stands, once it has gone over a gap that it has come to. */
static uint64_t behind_gap(const struct ring *ring, uint64_t tail)
{
    uint64_t skip = atomic_load_explicit(&ring->shared.skip, memory_order_relaxed);

    return skip == tail ? lap_end(ring, tail) : tail;
}

/* The reader has taken everything, and what it has left behind is worth using again. */
static bool is_to_rewind(const struct ring *ring, uint64_t start, uint64_t tail, size_t max_len)
{
    size_t place = place_of(ring, start);

    return start == tail && place >= RING_REWIND_BYTES && place >= max_len;
}

char *ring_reserve(struct ring *ring, size_t max_len)
{
    uint64_t head = atomic_load_explicit(&ring->shared.head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->shared.tail, memory_order_acquire);
    uint64_t start = head;

    if (max_len > ring->size / 2)
        return NULL;
    if (start + max_len > lap_end(ring, start) || is_to_rewind(ring, start, tail, max_len))
        start = lap_end(ring, start);
    if (start + max_len > behind_gap(ring, tail) + ring->size)
        return NULL;
    ring->start = start;
    ring->reserved = max_len;
    return ring->bytes + place_of(ring, start);
}

void ring_commit(struct ring *ring, size_t len)
{
    uint64_t head = atomic_load_explicit(&ring->shared.head, memory_order_relaxed);

    bug_fatal_unless(len <= ring->reserved);
    ring->reserved = 0;
    if (!len)
        return;
    if (ring->start != head)
        atomic_store_explicit(&ring->shared.skip, head, memory_order_relaxed);
    atomic_store_explicit(&ring->shared.head, ring->start + len, memory_order_release);
}

struct span ring_peek(struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->shared.head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->shared.tail, memory_order_relaxed);
    uint64_t end = lap_end(ring, tail);

    if (head > end) {
        /* The writer is a lap ahead. A skip of an earlier lap lies before the tail. */
        uint64_t skip = atomic_load_explicit(&ring->shared.skip, memory_order_relaxed);

        if (skip == tail) {
            tail = end;
            atomic_store_explicit(&ring->shared.tail, tail, memory_order_release);
            end = head;
        } else if (skip > tail && skip < end) {
            end = skip;
        }
    } else {
        end = head;
    }
    return span_of(ring->bytes + place_of(ring, tail), end - tail);
}

void ring_consume(struct ring *ring, size_t len)
{
    uint64_t tail = atomic_load_explicit(&ring->shared.tail, memory_order_relaxed);

    atomic_store_explicit(&ring->shared.tail, tail + len, memory_order_release);
}

size_t ring_fill(const struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->shared.tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->shared.head, memory_order_acquire);

    if (head > tail)
        tail = behind_gap(ring, tail);
    return head > tail ? head - tail : 0;
}
