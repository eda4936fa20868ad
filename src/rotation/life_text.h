/*
 * A life as it is written down: a JSON object, one for each provider, the `state` entry of its keys
 * in the secret store. No secret stands in it. What is read is trusted in nothing: lengths, numbers
 * and steps are checked. Pure; any thread.
 */
#ifndef ROTATION_LIFE_TEXT_H
#define ROTATION_LIFE_TEXT_H

#include "base/buf.h"
#include "rotation/life.h"

enum { LIFE_TEXT_VERSION = 2, LIFE_TEXT_MAX_BYTES = 128 << 10 };

/* Appends it; the buffer remembers what failed. */
void life_write(const struct life *life, struct buf *out);

/* Reads what life_write wrote, in any version so far: 0; ERR_SYNTAX where it is no such object, or
 * tells of what cannot be; ERR_UNSUPPORTED of a newer version; ERR_NOMEM. *ret_life is only good
 * with 0. */
int life_read(struct span text, struct life *ret_life);

#endif
