#include "ledger/budget.h"

#include "base/clock.h"

static const uint64_t hour_us = 3600 * US_PER_SEC, day_us = 86400 * US_PER_SEC;

/* Days before this one in its month; and how many that month has. */
static uint64_t day_of_month(uint64_t wall_us, uint64_t *ret_length)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t days = wall_us / day_us;
    unsigned year = 1970, month = 0;

    for (;; year++) {
        bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        uint64_t length = is_leap ? 366 : 365;

        if (days >= length) {
            days -= length;
            continue;
        }
        for (;; month++) {
            *ret_length = lengths[month] + (month == 1 && is_leap);
            if (days < *ret_length)
                return days;
            days -= *ret_length;
        }
    }
}

const char *budget_period_word(enum budget_period period)
{
    switch (period) {
    case BUDGET_HOUR:
        return "hour";
    case BUDGET_DAY:
        break;
    case BUDGET_WEEK:
        return "week";
    case BUDGET_MONTH:
        return "month";
    }
    return "day";
}

uint64_t budget_period_start(enum budget_period period, uint64_t wall_us)
{
    uint64_t days = wall_us / day_us, length;

    switch (period) {
    case BUDGET_HOUR:
        return wall_us - wall_us % hour_us;
    case BUDGET_DAY:
        break;
    case BUDGET_WEEK:
        /* Day 0 was a Thursday; the week of 1970 began before all time. */
        return days < 4 ? 0 : (days - (days + 3) % 7) * day_us;
    case BUDGET_MONTH:
        return (days - day_of_month(wall_us, &length)) * day_us;
    }
    return days * day_us;
}

uint64_t budget_period_end(enum budget_period period, uint64_t wall_us)
{
    uint64_t start_us = budget_period_start(period, wall_us), length;

    switch (period) {
    case BUDGET_HOUR:
        return start_us + hour_us;
    case BUDGET_DAY:
        break;
    case BUDGET_WEEK:
        return start_us ? start_us + 7 * day_us : 4 * day_us;
    case BUDGET_MONTH:
        (void)day_of_month(wall_us, &length);
        return start_us + length * day_us;
    }
    return start_us + day_us;
}

bool budget_look(struct budget *budget, enum budget_period period, uint64_t limit, uint64_t sum,
                 uint64_t wall_us, uint64_t *ret_until_wall_us)
{
    uint64_t start_us = budget_period_start(period, wall_us);

    if (!budget->start_wall_us) {
        budget->start_wall_us = start_us;
        budget->spent_before = sum;
    } else if (start_us > budget->start_wall_us) {
        budget->start_wall_us = start_us;
        budget->spent_before += budget->spent;
    }
    budget->spent = sum - budget->spent_before;
    *ret_until_wall_us = budget_period_end(
        period, wall_us > budget->start_wall_us ? wall_us : budget->start_wall_us);
    return limit && budget->spent >= limit;
}

bool budget_is_near(const struct budget *budget, uint64_t limit)
{
    return limit && budget->spent >= limit - limit / 5;
}

void budget_add_earlier(struct budget *budget, uint64_t start_wall_us, uint64_t spent)
{
    if (start_wall_us != budget->start_wall_us)
        return;
    /* Below zero it comes round, as the difference to the sum does. */
    budget->spent_before -= spent;
    budget->spent += spent;
}
