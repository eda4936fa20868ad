/*
 * Runs of ASCII counted in blocks, by what the processor has: json/kinds.c picks, and tests hold
 * all against each other. No control characters: where a run of them comes, it comes from an
 * escape, alone.
 */
#ifndef JSON_KINDS_INNER_H
#define JSON_KINDS_INNER_H

#include "json/kinds.h"

#ifdef __SSE2__

/* What is left behind the last whole block counts too. */
void kinds_by_16(struct json_kinds *kinds, const unsigned char *text, size_t len);

/* Where the processor has AVX2, for no less than 32 bytes. */
void kinds_by_32(struct json_kinds *kinds, const unsigned char *text, size_t len);

bool kinds_has_32(void);

#endif
#endif
