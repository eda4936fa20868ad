/*
 * Whole numbers as decimal text. Pure; any thread.
 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { DECIMAL_BYTES = 20 }; /* digits of the largest number, of 64 bits */

/* The number's digits, without leading zeros; they stand in `buffer`, at its end. */
struct span decimal_text(uint64_t number, char buffer[DECIMAL_BYTES]);

/* Appends them: 0, ERR_FULL or ERR_NOMEM. */
int decimal_append(struct buf *buf, uint64_t number);

/* Billionths as whole ones with their decimals, without zeros at the end: 1500000 is "0.0015". */
enum { DECIMAL_NANO_BYTES = DECIMAL_BYTES + 1 };
struct span decimal_nano_text(uint64_t billionths, char buffer[DECIMAL_NANO_BYTES]);

#endif
