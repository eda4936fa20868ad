/*
 * Base64 (RFC 4648 4), for bytes that travel in JSON. Pure; any thread.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

/* Characters that len bytes take, with padding. */
static inline size_t base64_length(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Appends the bytes in the usual alphabet, padded: 0, ERR_FULL or ERR_NOMEM. */
int base64_write(struct buf *out, struct span bytes);

/* Decodes text of the usual or the URL-safe alphabet (RFC 4648 5), padded or not, into `out`, which
 * has room for 3/4 of its length: true and *ret_len, or false where it is no Base64. */
bool base64_read(struct span text, char *out, size_t *ret_len);

/* The same bytes in the usual alphabet, padded: the text itself where it is so already, else a copy
 * in the arena; ptr NULL: no memory. What is no Base64 stays none. */
struct span base64_to_usual(struct span text, struct arena *arena);

#endif
