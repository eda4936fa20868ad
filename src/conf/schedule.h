/*
 * When a rotation comes round: a cron expression on the clocks of a zone, or a fixed interval.
 *
 *   "0 2 * * *"  "30 4 1,15 * mon-fri Europe/Berlin"  "CRON_TZ=Asia/Kolkata @daily"  "every 30d"
 *
 * The five fields are those of cron (POSIX.1-2017 crontab) with Vixie's steps, names, and 7 for
 * Sunday. Where both fields of days are limited, one of them is enough; a field that begins with
 * '*' limits nothing in this sense. Without a zone the clocks are those of UTC.
 *
 * Each time comes once: one that the clocks leave out at the end of the gap (with others of that
 * gap: once), one that they show twice the first time. So an hourly schedule has two hours between
 * two of its times once a year.
 *
 * Plain values; owned by who reads it. Pure but for schedule_find_zone; any thread.
 */
#ifndef CONF_SCHEDULE_H
#define CONF_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "conf/zone.h"

enum { SCHEDULE_WHY_BYTES = 256 };

struct schedule {
    uint64_t interval_us; /* "every ...": from one time to the next; 0: the fields count */
    uint64_t minutes;     /* bit n: minute n */
    uint32_t hours;
    uint32_t days; /* from 1 */
    uint16_t months;
    uint8_t weekdays;      /* from Sunday, 0 to 6 */
    bool has_star_day;     /* the field begins with '*' */
    bool has_star_weekday; /* likewise */
    uint64_t shortest_us;  /* no two of its times are closer, but where clocks are changed */
    char zone_name[ZONE_NAME_BYTES]; /* empty: UTC */
    struct zone *zone;               /* owned; NULL: UTC, and where the zone was not found yet */
};

/* Reads the text alone: its zone has its name, and no clocks yet. 0 or ERR_SYNTAX, with `why`:
 * which field is wrong and what is allowed there. */
int schedule_read(struct span text, struct schedule *ret_schedule, char why[SCHEDULE_WHY_BYTES]);

/* Finds the zone by its name (zone_load, which reads a file): to be called before the first
 * question. 0, or what zone_load gives, with `why`. */
int schedule_find_zone(struct schedule *schedule, char why[SCHEDULE_WHY_BYTES]);

void schedule_fini(struct schedule *schedule);

/* Its first time after the given one, both in microseconds since 1970. Of an interval: the end of
 * the one that begins then. UINT64_MAX beyond the year 30000. */
uint64_t schedule_next(const struct schedule *schedule, uint64_t wall_us);

/* How much later than it says a schedule comes round for one of many instances and providers, which
 * the seed stands for, so that they do not all begin at once: the same for the same seed, evenly
 * spread from 0 to a twentieth of the shortest time between two of its times, and to an hour at
 * most. */
uint64_t schedule_jitter_us(const struct schedule *schedule, uint64_t seed);

/* When it comes round after it was last followed (or first seen) at last_wall_us. It is to be
 * followed once the clock shows that or more; then the clock's time is the last one. So a clock
 * that jumps over many times has it followed once, and one that jumps back not again. */
uint64_t schedule_due_us(const struct schedule *schedule, uint64_t seed, uint64_t last_wall_us);

#endif
