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

/* As json_kinds_pass, of any length. */
const unsigned char *kinds_pass_by_16(struct json_kinds *kinds, const unsigned char *text,
                                      const unsigned char *end);

/* The same where the processor has AVX2, for no less than KINDS_PASS_MIN bytes. */
const unsigned char *kinds_pass_by_32(struct json_kinds *kinds, const unsigned char *text,
                                      const unsigned char *end);

enum { KINDS_PASS_MIN = 64 };

bool kinds_has_32(void);

#endif
#endif
