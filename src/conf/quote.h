/*
 * What of the file's text a complaint may show. A key pasted into the wrong place must not end up
 * in a log, so whatever may be one is not quoted; the line and column stand beside it anyway. Pure;
 * any thread.
 */
#ifndef CONF_QUOTE_H
#define CONF_QUOTE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

enum { QUOTE_MAX_BYTES = 64 };

/* False for text that looks like a secret (a provider's usual look, or a long mix of letters and
 * digits without a break), is long, or holds control characters. */
bool quote_is_safe(struct span text);

/* Appends "'text'", or `instead` where it is not safe. */
void quote_append(struct buf *out, struct span text, const char *instead);

#endif
