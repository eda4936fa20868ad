/*
 * Hours of the day: "22:00-06:00 UTC", "00:30-08:30 Asia/Shanghai"; without a zone the clocks are
 * those of UTC. The end is not within; behind midnight it is the next day's. 00:00-24:00 is all
 * day.
 *
 * Plain values; owned by who reads them. Pure but for hours_read, which finds the zone; any thread.
 */
#ifndef CONF_HOURS_H
#define CONF_HOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "conf/zone.h"

struct hours {
    uint16_t from_min, to_min; /* of the day: below 1440, and at most that */
    struct zone *zone;         /* owned; NULL: UTC */
};

/* Some hours together, each with the text that it was read from; borrowed. */
struct hours_list {
    const struct hours *items;
    const struct span *texts;
    size_t count;
};

enum { HOURS_WORKING_DAYS = 0x1f, HOURS_EVERY_DAY = 0x7f };

/* 0, ERR_SYNTAX, or what zone_load says of the zone, whose file is read. */
int hours_read(struct span text, struct hours *ret_hours);
void hours_fini(struct hours *hours);

/* Whether such a text can be read, here and now. */
bool hours_are_good(struct span text);

/* Whether it is within one of them, on a day whose bit is set (the lowest is Monday's): hours over
 * midnight are those of the day on which they begin. */
bool hours_are_now(const struct hours_list *list, uint32_t days, uint64_t wall_us);

/* Whether there is a minute of the week, as their zone's clocks show it, that is within both. The
 * zones are not looked at: they must be the same. */
bool hours_overlap(const struct hours *a, uint32_t a_days, const struct hours *b, uint32_t b_days);

/* When the first of them begins, in microseconds since 1970: 0 where it is within one of them now,
 * and where there are none. */
uint64_t hours_begin_us(const struct hours *hours, size_t count, uint64_t wall_us);

/* When it is within none of them any more: 0 where it is within none now, UINT64_MAX where that is
 * more than two days off. */
uint64_t hours_end_us(const struct hours *hours, size_t count, uint64_t wall_us);

#endif
