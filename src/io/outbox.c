#include "io/outbox.h"

#include <string.h>

#include "io/conn.h"

unsigned outbox_put(struct outbox *outbox, struct conn *conn, const struct iovec *iov, int count)
{
    unsigned place = outbox->count;
    size_t len = 0;
    char *to = outbox->bytes + outbox->len;

    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    if (len > OUTBOX_LARGE || len > sizeof(outbox->bytes) - outbox->len || place == OUTBOX_PLACES)
        return 0;
    for (int i = 0; i < count; i++)
        to = mempcpy(to, iov[i].iov_base, iov[i].iov_len);
    outbox->places[place].conn = conn;
    outbox->places[place].at = outbox->len;
    outbox->places[place].len = len;
    outbox->len += len;
    return ++outbox->count;
}

struct span outbox_take(struct outbox *outbox, unsigned number)
{
    unsigned place = number - 1;

    outbox->places[place].conn = NULL;
    return span_of(outbox->bytes + outbox->places[place].at, outbox->places[place].len);
}

void outbox_flush(struct outbox *outbox)
{
    /* Whoever is told may write anew: that leaves with this batch. */
    for (unsigned i = 0; i < outbox->count; i++) {
        if (outbox->places[i].conn)
            conn_flush(outbox->places[i].conn);
    }
    outbox->count = 0;
    outbox->len = 0;
}
