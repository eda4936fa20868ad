/*
 * A time zone: what its clocks show at a time of UTC, and the other way. Read from a TZif file (RFC
 * 8536, versions 1 to 4), the rule behind the last change included. Times are seconds since 1970,
 * of UTC or as a zone's clocks show them; what lies more than a million million seconds away is
 * taken to be that far. A struct zone never changes, and may be asked by any thread; NULL in its
 * place is UTC.
 */
#ifndef CONF_ZONE_H
#define CONF_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    ZONE_FILE_MAX_BYTES = 64 << 10,
    ZONE_CHANGES_MAX = 4096, /* real zones have a few hundred */
    ZONE_NAME_BYTES = 64,    /* with a NUL */
};

struct zone;

/* 0; ERR_SYNTAX where the file breaks a rule of the format; ERR_UNSUPPORTED of a later version, and
 * of a file that counts leap seconds ("right/..."), of which Unix time knows nothing; ERR_FULL of
 * more bytes or changes than allowed; ERR_NOMEM. */
int zone_read(struct span bytes, struct zone **ret_zone);

/* The zone of that name ("Europe/Berlin") from the system's files: below TZDIR, as for libc, or
 * /usr/share/zoneinfo. Reads a file, and so blocks for a moment. "UTC" needs no file, and gives
 * NULL. 0; ERR_RANGE where it is no name; ERR_NOTFOUND; what zone_read says of the file; ERR_IO,
 * ERR_DENIED, ERR_NOMEM. */
int zone_load(struct span name, struct zone **ret_zone);

/* Accepts a pointer to NULL. */
void zone_free(struct zone **place);

/* Parts of letters, digits, '_', '+' and '-', with a '/' between them. */
bool zone_name_is_good(struct span name);

/* What is to be added to UTC. */
int32_t zone_offset_s(const struct zone *zone, int64_t utc_s);

/* When the clocks show a time: how often (0 in a gap, 2 where they are put back, else once), and
 * the first two of these times, in order. */
size_t zone_times(const struct zone *zone, int64_t local_s, int64_t ret_utc_s[2]);

/* The first time at which the clocks show that time or a later one: of a time in a gap the end of
 * the gap, of one that comes twice the first. Never falls as local_s grows. */
int64_t zone_first_s(const struct zone *zone, int64_t local_s);

#endif
