/*
 * Days of the Gregorian calendar as numbers, both ways, for any year (also before its adoption, as
 * POSIX counts). Day 0 is 1 January 1970, a Thursday. Pure; any thread.
 */
#ifndef CONF_CALENDAR_H
#define CONF_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

enum { DAY_S = 86400 };

struct calendar_date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* Rounds down, also below 0. */
static inline int64_t calendar_day_of(int64_t seconds)
{
    return seconds / DAY_S - (seconds % DAY_S < 0);
}

/* 0: Sunday. */
static inline int calendar_weekday(int64_t day)
{
    return (int)(((day + 4) % 7 + 7) % 7);
}

static inline bool calendar_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Years are taken to begin in March, so that the leap day is their last one. */
static inline int64_t calendar_day(struct calendar_date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static inline struct calendar_date calendar_date(int64_t day)
{
    int64_t shifted = day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (int)((5 * day_of_year + 2) / 153);
    struct calendar_date date = {.year = year_of_era + era * 400 + (month >= 10),
                                 .month = month < 10 ? month + 3 : month - 9,
                                 .day = (int)(day_of_year - (153 * month + 2) / 5 + 1)};

    return date;
}

#endif
