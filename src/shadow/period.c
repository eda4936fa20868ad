#include "shadow/period.h"

#define HOUR_US UINT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)

/* Days from 1970 to the first of March of that year of the Gregorian calendar: it is counted from
 * March, so that the leap day is a year's last. */
static int64_t days_to_march(int64_t year)
{
    return year * 365 + year / 4 - year / 100 + year / 400 - 719468;
}

/* Days from a year's first of March to the first of its month-th month. */
static int64_t days_to_month(int64_t month)
{
    return (153 * month + 2) / 5;
}

static uint64_t month_end_us(uint64_t wall_us)
{
    int64_t day = (int64_t)(wall_us / DAY_US), month = 0;
    int64_t year = (day + 719468) * 400 / 146097;

    while (days_to_march(year + 1) <= day)
        year++;
    while (days_to_march(year) > day)
        year--;
    while (month < 12 && days_to_march(year) + days_to_month(month) <= day)
        month++;
    /* After February comes the next year's March, be it leap or not. */
    day = month < 12 ? days_to_march(year) + days_to_month(month) : days_to_march(year + 1);
    return (uint64_t)day * DAY_US;
}

uint64_t period_end_us(enum period period, uint64_t wall_us)
{
    switch (period) {
    case PERIOD_HOUR:
        return (wall_us / HOUR_US + 1) * HOUR_US;
    case PERIOD_DAY:
        return (wall_us / DAY_US + 1) * DAY_US;
    case PERIOD_MONTH:
        break;
    }
    return month_end_us(wall_us);
}
