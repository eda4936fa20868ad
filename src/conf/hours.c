#include "conf/hours.h"

#include "base/clock.h"
#include "base/err.h"

enum {
    MINUTE_S = 60,
    DAY_MIN = 24 * 60,
    WEEK_DAYS = 7,
    WEEK_MIN = WEEK_DAYS * DAY_MIN,
    DAY_LENGTH_S = DAY_MIN * MINUTE_S,
    TIME_LENGTH = 5
};

/* "HH:MM", up to 24:00. */
static bool read_time(struct span text, uint16_t *ret_min)
{
    static const char form[] = "00:00";
    unsigned hour, minute;

    for (size_t i = 0; i < TIME_LENGTH; i++) {
        if (form[i] == ':' ? text.ptr[i] != ':' : text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    hour = (unsigned)(text.ptr[0] - '0') * 10 + (unsigned)(text.ptr[1] - '0');
    minute = (unsigned)(text.ptr[3] - '0') * 10 + (unsigned)(text.ptr[4] - '0');
    if (minute > 59 || hour * 60 + minute > DAY_MIN)
        return false;
    *ret_min = (uint16_t)(hour * 60 + minute);
    return true;
}

int hours_read(struct span text, struct hours *ret_hours)
{
    const size_t dash = TIME_LENGTH, end = 2 * TIME_LENGTH + 1;
    struct hours hours = {.zone = NULL};

    if (text.len < end || text.ptr[dash] != '-' || !read_time(text, &hours.from_min) ||
        !read_time(span_skip(text, dash + 1), &hours.to_min) || hours.from_min == hours.to_min ||
        hours.from_min == DAY_MIN)
        return ERR_SYNTAX;
    if (text.len > end) {
        int err =
            text.ptr[end] == ' ' ? zone_load(span_skip(text, end + 1), &hours.zone) : ERR_SYNTAX;

        if (err)
            return err;
    }
    *ret_hours = hours;
    return 0;
}

void hours_fini(struct hours *hours)
{
    zone_free(&hours->zone);
}

bool hours_are_good(struct span text)
{
    struct hours hours;

    if (hours_read(text, &hours))
        return false;
    hours_fini(&hours);
    return true;
}

static bool is_within(const struct hours *hours, int64_t local_s)
{
    int64_t minute = local_s % DAY_LENGTH_S / MINUTE_S;

    if (hours->from_min < hours->to_min)
        return minute >= hours->from_min && minute < hours->to_min;
    return minute >= hours->from_min || minute < hours->to_min;
}

/* The first time after that one at which the clocks show the local time, or the end of the gap in
 * which it lies; INT64_MAX: none. */
static int64_t comes_s(const struct zone *zone, int64_t local_s, int64_t after_s)
{
    int64_t times[2];
    size_t count = zone_times(zone, local_s, times);

    if (count == 0) {
        count = 1;
        times[0] = zone_first_s(zone, local_s);
    }
    for (size_t i = 0; i < count && i < 2; i++) {
        if (times[i] > after_s)
            return times[i];
    }
    return INT64_MAX;
}

static bool is_within_at(const struct hours *hours, int64_t utc_s)
{
    return is_within(hours, utc_s + zone_offset_s(hours->zone, utc_s));
}

/* Day 0 of the Unix epoch was a Thursday; 0: Monday. */
static unsigned weekday_of(int64_t local_s)
{
    return (unsigned)((local_s / DAY_LENGTH_S + 3) % WEEK_DAYS);
}

bool hours_are_now(const struct hours_list *list, uint32_t days, uint64_t wall_us)
{
    int64_t now_s = (int64_t)(wall_us / US_PER_SEC);

    for (size_t i = 0; i < list->count; i++) {
        const struct hours *hours = &list->items[i];
        int64_t local_s = now_s + zone_offset_s(hours->zone, now_s);
        bool is_from_yesterday = hours->from_min > hours->to_min &&
                                 local_s % DAY_LENGTH_S < (int64_t)hours->to_min * MINUTE_S;

        if (is_within(hours, local_s) &&
            (days >> weekday_of(local_s - (is_from_yesterday ? DAY_LENGTH_S : 0)) & 1))
            return true;
    }
    return false;
}

static unsigned length_of(const struct hours *hours)
{
    return hours->from_min < hours->to_min ? (unsigned)(hours->to_min - hours->from_min)
                                           : (unsigned)(DAY_MIN - hours->from_min + hours->to_min);
}

/* On the circle of a week one of two arcs begins within the other, or they have nothing in common.
 */
static bool do_meet(const struct hours *a, unsigned a_day, const struct hours *b, unsigned b_day)
{
    unsigned a_min = a_day * DAY_MIN + a->from_min, b_min = b_day * DAY_MIN + b->from_min;

    return (b_min + WEEK_MIN - a_min) % WEEK_MIN < length_of(a) ||
           (a_min + WEEK_MIN - b_min) % WEEK_MIN < length_of(b);
}

bool hours_overlap(const struct hours *a, uint32_t a_days, const struct hours *b, uint32_t b_days)
{
    for (unsigned i = 0; i < WEEK_DAYS * WEEK_DAYS; i++) {
        unsigned a_day = i / WEEK_DAYS, b_day = i % WEEK_DAYS;

        if ((a_days >> a_day & 1) && (b_days >> b_day & 1) && do_meet(a, a_day, b, b_day))
            return true;
    }
    return false;
}

/* When the clocks show that minute of a day next. Clocks that are put back may show yesterday's
 * date again. */
static int64_t next_s(const struct hours *hours, uint16_t minute, int64_t now_s)
{
    int64_t local_s = now_s + zone_offset_s(hours->zone, now_s);
    int64_t today_s = local_s - local_s % DAY_LENGTH_S, first_s = INT64_MAX;

    for (int64_t day_s = today_s - DAY_LENGTH_S; day_s <= today_s + 2 * DAY_LENGTH_S;
         day_s += DAY_LENGTH_S) {
        int64_t time_s = comes_s(hours->zone, day_s + minute * MINUTE_S, now_s);

        if (time_s < first_s)
            first_s = time_s;
    }
    return first_s;
}

uint64_t hours_begin_us(const struct hours *hours, size_t count, uint64_t wall_us)
{
    int64_t now_s = (int64_t)(wall_us / US_PER_SEC), first_s = INT64_MAX;

    for (size_t i = 0; i < count; i++) {
        int64_t begins;

        if (is_within_at(&hours[i], now_s))
            return 0;
        begins = next_s(&hours[i], hours[i].from_min, now_s);
        if (begins < first_s)
            first_s = begins;
    }
    return first_s == INT64_MAX ? 0 : (uint64_t)first_s * US_PER_SEC;
}

/* Where one ends, another one may go on. */
uint64_t hours_end_us(const struct hours *hours, size_t count, uint64_t wall_us)
{
    int64_t now_s = (int64_t)(wall_us / US_PER_SEC), end_s = now_s;
    size_t outside = 0;

    for (size_t i = 0; outside < count; i = (i + 1) % count) {
        if (!is_within_at(&hours[i], end_s)) {
            outside++;
            continue;
        }
        end_s = next_s(&hours[i], hours[i].to_min, end_s);
        if (end_s - now_s > 2 * DAY_LENGTH_S)
            return UINT64_MAX;
        outside = 0;
    }
    return end_s == now_s ? 0 : (uint64_t)end_s * US_PER_SEC;
}
