/*
 * Numbers with units, as the file writes them, both ways. Pure; any thread.
 */
#ifndef CONF_UNITS_H
#define CONF_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { UNITS_TEXT_BYTES = 32 };

/* "250ms", "30s", "1.5s", "5m", "2h", "30d" or "0" in microseconds, up to 10000d: 0, ERR_SYNTAX
 * (also a bare number: its unit is unknown) or ERR_RANGE. */
int units_read_duration(struct span text, uint64_t *ret_us);

/* "64KiB", "32MiB", "1GiB", "2TiB", "512B" or plain bytes: 0, ERR_SYNTAX or ERR_RANGE. */
int units_read_size(struct span text, uint64_t *ret_bytes);

/* "5%" or "12.5%", 0% to 100%, in parts per million: 0, ERR_SYNTAX or ERR_RANGE. */
int units_read_share(struct span text, uint32_t *ret_ppm);

/* The shortest exact form that reads back to the value, with a NUL. */
void units_write_duration(uint64_t us, char out[UNITS_TEXT_BYTES]);
void units_write_size(uint64_t bytes, char out[UNITS_TEXT_BYTES]);
void units_write_share(uint32_t ppm, char out[UNITS_TEXT_BYTES]);

#endif
