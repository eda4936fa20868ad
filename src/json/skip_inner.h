/*
 * Long runs of plain bytes passed over in blocks, by what the processor has: json/skip.c picks, and
 * tests hold all against each other.
 */
#ifndef JSON_SKIP_INNER_H
#define JSON_SKIP_INNER_H

#include "json/skip.h"

#ifdef __SSE2__

/* The first byte from p on that is not plain, or end. */
const unsigned char *skip_by_16(const unsigned char *p, const unsigned char *end);

/* The same, where the processor has what kinds_has_32 asks for. */
const unsigned char *skip_by_32(const unsigned char *p, const unsigned char *end);

enum { SKIP_BY_32_MIN = 64 };

#endif
#endif
