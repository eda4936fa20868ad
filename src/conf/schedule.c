#include "conf/schedule.h"

#include "base/clock.h"
#include "base/rand.h"
#include "conf/calendar.h"

enum { MINUTE_S = 60, HOUR_S = 3600 };

#define JITTER_MAX_US (HOUR_S * US_PER_SEC)
#define JITTER_PART   20
#define WALL_MAX_S    INT64_C(884541340800) /* the year 30000 */
#define DAYS_AHEAD    (41 * 366)            /* 29 February on a Sunday may be 40 years away */

/* ---- matching ---- */

static bool has_day(const struct schedule *schedule, struct calendar_date date, int64_t day)
{
    bool is_day = schedule->days >> date.day & 1;
    bool is_weekday = schedule->weekdays >> calendar_weekday(day) & 1;

    if (schedule->has_star_day || schedule->has_star_weekday)
        return is_day && is_weekday;
    return is_day || is_weekday;
}

/* The first minute of a day, at that second or later, that is one of the schedule's; -1. */
static int find_minute(const struct schedule *schedule, int from_s)
{
    int minute = (from_s + MINUTE_S - 1) / MINUTE_S;

    while (minute < 24 * 60) {
        if (!(schedule->hours >> (minute / 60) & 1))
            minute = (minute / 60 + 1) * 60;
        else if (!(schedule->minutes >> (minute % 60) & 1))
            minute++;
        else
            return minute;
    }
    return -1;
}

/* The first of the schedule's times, as the clocks show it, that is not before local_s; -1: none
 * for many years. */
static int64_t find_local(const struct schedule *schedule, int64_t local_s)
{
    int64_t day = calendar_day_of(local_s), last = day + DAYS_AHEAD;
    int from_s = (int)(local_s - day * DAY_S);

    while (day <= last) {
        struct calendar_date date = calendar_date(day);

        if (!(schedule->months >> date.month & 1)) {
            /* The first of the next month. */
            day += 32 - date.day;
            day -= calendar_date(day).day - 1;
        } else {
            int minute = has_day(schedule, date, day) ? find_minute(schedule, from_s) : -1;

            if (minute >= 0)
                return day * DAY_S + minute * MINUTE_S;
            day++;
        }
        from_s = 0;
    }
    return -1;
}

uint64_t schedule_next(const struct schedule *schedule, uint64_t wall_us)
{
    int64_t wall_s = (int64_t)(wall_us / US_PER_SEC), local_s, utc_s;

    if (wall_s >= WALL_MAX_S)
        return UINT64_MAX;
    if (schedule->interval_us)
        return wall_us + schedule->interval_us;
    local_s = wall_s + zone_offset_s(schedule->zone, wall_s);
    do {
        local_s = find_local(schedule, local_s + 1);
        if (local_s < 0)
            return UINT64_MAX;
        utc_s = zone_first_s(schedule->zone, local_s);
        /* Of an hour that comes twice its times were there the first time. */
    } while (utc_s <= wall_s);
    return (uint64_t)utc_s * US_PER_SEC;
}

/* ---- jitter ---- */

uint64_t schedule_jitter_us(const struct schedule *schedule, uint64_t seed)
{
    uint64_t most = schedule->shortest_us / JITTER_PART;
    struct rand rand;

    rand_init(&rand, seed);
    return rand_below(&rand, (most < JITTER_MAX_US ? most : JITTER_MAX_US) + 1);
}

uint64_t schedule_due_us(const struct schedule *schedule, uint64_t seed, uint64_t last_wall_us)
{
    uint64_t next_us = schedule_next(schedule, last_wall_us);

    return next_us == UINT64_MAX ? next_us : next_us + schedule_jitter_us(schedule, seed);
}
