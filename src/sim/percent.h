/*
 * Percent-encoding in paths (RFC 3986 2.1). Pure; any thread.
 */
#ifndef SIM_PERCENT_H
#define SIM_PERCENT_H

#include <stddef.h>

#include "base/span.h"

/* Decodes into out, which has text.len bytes, and returns the length; what is no code stays. */
size_t sim_percent_decode(struct span text, char *out);

#endif
