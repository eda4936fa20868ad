/*
 * Percent-encoding (RFC 3986 2.1), as paths, queries and forms have it. Pure; any thread.
 */
#ifndef BASE_PERCENT_H
#define BASE_PERCENT_H

#include "base/buf.h"
#include "base/span.h"

/* Appends the text; as they are stand only the unreserved bytes (RFC 3986 2.3: letters, digits and
 * -._~) and those of `plain`, which may be "". 0, ERR_FULL or ERR_NOMEM; then out may hold a part
 * of it. */
int percent_write(struct buf *out, struct span text, const char *plain);

/* Decodes into `out`, which has room for all of the text (and may be the text's own place), and
 * returns the length. What is no code stands for itself. */
size_t percent_read(struct span text, char *out);

#endif
