/*
 * A zone's rule for all years, as POSIX writes it in TZ ("CET-1CEST,M3.5.0,M10.5.0/3"; POSIX.1-2017
 * 8.3, and RFC 8536 3.3 and 3.3.1 for what a TZif file's footer may say beyond that). Pure; any
 * thread.
 */
#ifndef CONF_ZONE_RULE_H
#define CONF_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum zone_day_kind {
    ZONE_DAY_JULIAN,  /* Jn: 1 to 365, without 29 February */
    ZONE_DAY_OF_YEAR, /* n: 0 to 365 */
    ZONE_DAY_OF_WEEK, /* Mm.w.d: week 5 is the last one */
};

/* A moment of each year, on the clocks before it. */
struct zone_moment {
    enum zone_day_kind kind;
    int16_t day; /* of the year, or of the week from Sunday */
    int8_t month, week;
    int32_t time_s; /* after that day's midnight; below 0, and beyond a day, too */
};

struct zone_rule {
    int32_t standard_s; /* to be added to UTC */
    int32_t summer_s;
    bool has_summer;
    struct zone_moment begin, end; /* of summer time */
};

/* A time over which the clocks keep their distance from UTC. */
struct zone_stretch {
    int32_t offset_s;
    int64_t until_s; /* UTC, at least until then; INT64_MAX: for ever */
};

/* Version 3 and later allow times of a moment from -167 to 167 hours, others from 0 to 24. Rules
 * that leave open when summer time is are refused. 0 or ERR_SYNTAX. */
int zone_rule_read(struct span text, bool has_long_times, struct zone_rule *ret_rule);

/* What holds at a time of UTC, which is within a million million seconds of 1970. */
struct zone_stretch zone_rule_at(const struct zone_rule *rule, int64_t utc_s);

#endif
