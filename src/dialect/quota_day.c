#include "dialect/quota_day.h"

#include <time.h>

#include "base/clock.h"

enum {
    HOUR_S = 3600,
    DAY_S = 24 * HOUR_S,
    WINTER_S = -8 * HOUR_S, /* from UTC */
    SUMMER_S = -7 * HOUR_S,
    NOVEMBER_FROM_MARCH = 245, /* days */
};

/* The first of March, in days since 1970. */
static int64_t march_of(int64_t year)
{
    return 365 * year + year / 4 - year / 100 + year / 400 - 719468;
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
    time_t seconds = (time_t)utc_s;
    int64_t march, begin_s, end_s;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    march = march_of(tm.tm_year + 1900);
    begin_s = (sunday_from(march) + 7) * DAY_S + 2 * HOUR_S - WINTER_S;
    end_s = sunday_from(march + NOVEMBER_FROM_MARCH) * DAY_S + 2 * HOUR_S - SUMMER_S;
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
