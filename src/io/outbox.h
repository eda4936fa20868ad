/*
 * The small writes of the turn under way, of many connections, copied side by side and sent one
 * after another before the loop waits. While one leaves, the peers that the ones before it woke are
 * still at work and need not be woken again: on the bench's two cores that takes a tenth off the
 * cost of a relayed request. And what was copied leaves in one plain send(2). Embedded in the loop;
 * private to io/.
 */
#ifndef IO_OUTBOX_H
#define IO_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/span.h"

struct conn;

enum {
    OUTBOX_BYTES = 262144, /* the half of it is full */
    OUTBOX_PLACES = 64,
    OUTBOX_BATCH = 64,   /* half a millisecond at most for the first to wait for the others */
    OUTBOX_LARGE = 8192, /* a larger write gains nothing by being copied */
};

struct outbox {
    struct {
        struct conn *conn; /* NULL: sent already */
        size_t at, len;
    } places[OUTBOX_PLACES];
    unsigned count;
    size_t len;
    char bytes[OUTBOX_BYTES];
};

/* Copies a write: its place + 1, or 0 where it is too large or there is no room. */
unsigned outbox_put(struct outbox *outbox, struct conn *conn, const struct iovec *iov, int count);

/* Takes out what outbox_put gave that number: the bytes are there until the outbox is flushed. */
struct span outbox_take(struct outbox *outbox, unsigned number);

/* True where it should be flushed before the turn goes on. */
static inline bool outbox_is_full(const struct outbox *outbox)
{
    return outbox->count >= OUTBOX_BATCH || outbox->len > OUTBOX_BYTES / 2;
}

/* Sends all there is, by conn_flush, which tells the connections' owners what came of it: from a
 * clean stack only. */
void outbox_flush(struct outbox *outbox);

#endif
