#include "dialect/quota_day.h"

#include "base/clock.h"

enum {
    HOUR_S = 3600,
    DAY_S = 24 * HOUR_S,
    WINTER_S = -8 * HOUR_S, /* from UTC */
    SUMMER_S = -7 * HOUR_S,
    NOVEMBER_FROM_MARCH = 245, /* days */
    YEARS_400 = 146097,        /* the days of so many years, always the same */
    DAYS_TO_1970 = 719468,     /* from the first of March of the year 0 */
};

/* The last first of March up to that day, both in days since 1970. Years that are counted from
 * March on have their leap day at their end, so that no month comes into it. */
static int64_t march_before(int64_t day)
{
    int64_t since = day + DAYS_TO_1970, in_400 = since % YEARS_400;
    int64_t year = (in_400 - in_400 / 1460 + in_400 / 36524 - in_400 / (YEARS_400 - 1)) / 365;

    return day - in_400 + 365 * year + year / 4 - year / 100;
}

/* The first Sunday from that day on; the 1st of January 1970 was a Thursday. */
static int64_t sunday_from(int64_t day)
{
    return day + (7 - (day + 4) % 7) % 7;
}

/* Summer time begins on the second Sunday of March at 2:00 and ends on the first of November at
 * 2:00, both by the clock that stands until then. */
static int64_t offset_at(int64_t utc_s)
{
    int64_t march = march_before(utc_s / DAY_S);
    int64_t begin_s = (sunday_from(march) + 7) * DAY_S + 2 * HOUR_S - WINTER_S;
    int64_t end_s = sunday_from(march + NOVEMBER_FROM_MARCH) * DAY_S + 2 * HOUR_S - SUMMER_S;

    return utc_s >= begin_s && utc_s < end_s ? SUMMER_S : WINTER_S;
}

uint64_t quota_day_left(uint64_t wall_us)
{
    int64_t now_s = (int64_t)(wall_us / US_PER_SEC), offset_s = offset_at(now_s);
    /* By the clock there; the next midnight also where 1970 has not yet begun. */
    int64_t end_s = (now_s + offset_s + DAY_S) / DAY_S * DAY_S;

    /* The clock may be changed between now and then. */
    end_s -= offset_at(end_s - offset_s);
    return (uint64_t)(end_s - now_s) * US_PER_SEC - wall_us % US_PER_SEC;
}
