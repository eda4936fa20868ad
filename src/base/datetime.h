/*
 * Points and lengths of time as text, both ways. Pure: the time of day is an argument or a result.
 * Any thread.
 */
#ifndef BASE_DATETIME_H
#define BASE_DATETIME_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { HTTP_DATE_BYTES = 29, RFC3339_BYTES = 24 };

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7) without a NUL; out has HTTP_DATE_BYTES bytes. */
void datetime_write_http(uint64_t wall_us, char *out);

/* The three forms of RFC 9110 5.6.7: 0 or ERR_SYNTAX. */
int datetime_read_http(struct span text, uint64_t *ret_wall_us);

/* "2026-11-20T10:15:00.123Z", without a NUL; out has RFC3339_BYTES bytes. */
void datetime_write_rfc3339(uint64_t wall_us, char *out);

/* RFC 3339, with any zone offset and fraction; also a date alone, which means its midnight in UTC:
 * 0 or ERR_SYNTAX. */
int datetime_read_rfc3339(struct span text, uint64_t *ret_wall_us);

#endif
