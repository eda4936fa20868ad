/*
 * The access log: one line for each exchange, from plain values, through the worker's log ring. The
 * members of a line, their order and their meaning are src/tables/access.def. There is no field
 * for a secret, a header or a body. Called by the worker that owns the ring.
 */
#ifndef OBS_ACCESS_H
#define OBS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct log_ring;

/* A longer text is cut: no client decides how long our lines are. */
enum { ACCESS_TEXT_BYTES = 512 };

#define ACCESS_TYPE_TEXT   struct span
#define ACCESS_TYPE_NUMBER uint64_t
#define ACCESS_TYPE_IF_SET uint64_t
#define ACCESS_TYPE_USAGE  uint64_t
#define ACCESS_TYPE_FLAG   bool
#define ACCESS_TYPE_USD    uint64_t /* billionths */

/* Filled by the exchange, which owns the texts. All zero is a valid record. */
struct access_record {
    uint64_t wall_us; /* when the request's first byte was read */
    bool has_usage;   /* the three token counts are known, or estimated */
    bool has_cost;    /* and so is what they cost */
#define ACCESS(kind, member, text) ACCESS_TYPE_##kind member;
#include "tables/access.def"
#undef ACCESS
};

/* Writes the line; where the ring is full it is dropped and counted. Does nothing where the
 * configuration wants no access lines, or without a ring. */
void access_write(struct log_ring *ring, const struct access_record *record);

/* An upper bound of the line's bytes in either format, its newline included. */
size_t access_line_bound(const struct access_record *record);

/* The line, its newline included, at `out`, which has access_line_bound() bytes; `time` is wall_us
 * as text (RFC3339_BYTES). Returns its end. */
char *access_put_json(char *out, const struct access_record *record, const char *time);
char *access_put_text(char *out, const struct access_record *record, const char *time);

#endif
