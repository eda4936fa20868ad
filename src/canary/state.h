/*
 * A canary as text, for the store: one line of "name=number" behind a version, a few hundred bytes.
 * Whole numbers only (fractions in thousandths or millionths), so that it reads the same
 * everywhere. What stands in a store may have been changed by anybody: what is read is checked in
 * full. Of the evidence only the few requests that are just being compared are left out. Pure; any
 * thread.
 */
#ifndef CANARY_STATE_H
#define CANARY_STATE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "canary/canary.h"

enum { CANARY_STATE_BYTES = 2048 }; /* more than any canary takes */

/* Appends it: 0, ERR_FULL or ERR_NOMEM. */
int canary_write(const struct canary *canary, struct buf *buf);

/* Reads what canary_write wrote; its step's time goes on from now_us. 0; ERR_UNSUPPORTED (another
 * version), ERR_SYNTAX, ERR_RANGE (a number that no canary can have). */
int canary_read(struct span text, uint64_t now_us, struct canary *ret_canary);

#endif
