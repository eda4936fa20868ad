#include "conf/zone_rule.h"

#include "base/err.h"
#include "conf/calendar.h"

enum {
    HOUR_S = 3600,
    HOURS_MAX = 24,       /* of an offset, and of a moment's time */
    LONG_HOURS_MAX = 167, /* RFC 8536 3.3.1 */
    NAME_LETTERS_MIN = 3, /* of an abbreviation */
};

/* ---- reading ---- */

static bool take(struct span *rest, char c)
{
    if (!rest->len || rest->ptr[0] != c)
        return false;
    *rest = span_skip(*rest, 1);
    return true;
}

/* At most three digits. */
static int take_number(struct span *rest, int min, int max, int *ret_value)
{
    size_t len = 0;
    int value = 0;

    while (len < rest->len && len < 3 && rest->ptr[len] >= '0' && rest->ptr[len] <= '9')
        value = value * 10 + (rest->ptr[len++] - '0');
    if (!len || value < min || value > max)
        return ERR_SYNTAX;
    *rest = span_skip(*rest, len);
    *ret_value = value;
    return 0;
}

/* "[+-]hh[:mm[:ss]]". */
static int take_time(struct span *rest, int max_hours, int32_t *ret_seconds)
{
    bool is_negative = take(rest, '-');
    int hours, minutes = 0, seconds = 0;
    int32_t sum;

    if (!is_negative)
        (void)take(rest, '+');
    if (take_number(rest, 0, max_hours, &hours))
        return ERR_SYNTAX;
    if (take(rest, ':')) {
        if (take_number(rest, 0, 59, &minutes))
            return ERR_SYNTAX;
        if (take(rest, ':') && take_number(rest, 0, 59, &seconds))
            return ERR_SYNTAX;
    }
    sum = hours * HOUR_S + minutes * 60 + seconds;
    *ret_seconds = is_negative ? -sum : sum;
    return 0;
}

/* How far west the clocks are: what is kept is how far east. */
static int take_offset(struct span *rest, int32_t *ret_east_s)
{
    int32_t west_s;
    int err = take_time(rest, HOURS_MAX, &west_s);

    if (!err)
        *ret_east_s = -west_s;
    return err;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_quoted(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-';
}

/* "CET" or "<+0330>". */
static int take_name(struct span *rest)
{
    bool has_quotes = take(rest, '<');
    size_t len = 0;

    while (len < rest->len && (has_quotes ? is_quoted(rest->ptr[len]) : is_letter(rest->ptr[len])))
        len++;
    *rest = span_skip(*rest, len);
    if (len < NAME_LETTERS_MIN || (has_quotes && !take(rest, '>')))
        return ERR_SYNTAX;
    return 0;
}

static int take_day(struct span *rest, struct zone_moment *moment)
{
    int month = 0, week = 0, day = 0, err;

    if (take(rest, 'M')) {
        moment->kind = ZONE_DAY_OF_WEEK;
        err = take_number(rest, 1, 12, &month) || !take(rest, '.') ||
              take_number(rest, 1, 5, &week) || !take(rest, '.') || take_number(rest, 0, 6, &day);
    } else if (take(rest, 'J')) {
        moment->kind = ZONE_DAY_JULIAN;
        err = take_number(rest, 1, 365, &day);
    } else {
        moment->kind = ZONE_DAY_OF_YEAR;
        err = take_number(rest, 0, 365, &day);
    }
    moment->month = (int8_t)month;
    moment->week = (int8_t)week;
    moment->day = (int16_t)day;
    return err ? ERR_SYNTAX : 0;
}

/* ",M3.5.0/2": without a time it is two o'clock. */
static int take_moment(struct span *rest, bool has_long_times, struct zone_moment *moment)
{
    if (!take(rest, ',') || take_day(rest, moment))
        return ERR_SYNTAX;
    moment->time_s = 2 * HOUR_S;
    if (!take(rest, '/'))
        return 0;
    if (take_time(rest, has_long_times ? LONG_HOURS_MAX : HOURS_MAX, &moment->time_s))
        return ERR_SYNTAX;
    return moment->time_s < 0 && !has_long_times ? ERR_SYNTAX : 0;
}

int zone_rule_read(struct span text, bool has_long_times, struct zone_rule *ret_rule)
{
    struct zone_rule rule = {0};

    if (take_name(&text) || take_offset(&text, &rule.standard_s))
        return ERR_SYNTAX;
    if (text.len) {
        rule.has_summer = true;
        rule.summer_s = rule.standard_s + HOUR_S;
        if (take_name(&text))
            return ERR_SYNTAX;
        if (text.len && text.ptr[0] != ',' && take_offset(&text, &rule.summer_s))
            return ERR_SYNTAX;
        if (take_moment(&text, has_long_times, &rule.begin) ||
            take_moment(&text, has_long_times, &rule.end) || text.len)
            return ERR_SYNTAX;
    }
    *ret_rule = rule;
    return 0;
}

/* ---- asking ---- */

static int64_t day_in(const struct zone_moment *moment, int64_t year)
{
    int64_t first = calendar_day((struct calendar_date){year, 1, 1}), last;
    int past;

    switch (moment->kind) {
    case ZONE_DAY_JULIAN:
        return first + moment->day - 1 + (calendar_is_leap(year) && moment->day >= 60);
    case ZONE_DAY_OF_YEAR:
        return first + moment->day;
    case ZONE_DAY_OF_WEEK:
        break;
    }
    if (moment->week < 5) {
        first = calendar_day((struct calendar_date){year, moment->month, 1});
        past = (moment->day - calendar_weekday(first) + 7) % 7;
        return first + past + 7 * (moment->week - 1);
    }
    last = moment->month == 12
               ? calendar_day((struct calendar_date){year + 1, 1, 1}) - 1
               : calendar_day((struct calendar_date){year, moment->month + 1, 1}) - 1;
    return last - (calendar_weekday(last) - moment->day + 7) % 7;
}

static int64_t moment_in(const struct zone_moment *moment, int64_t year, int32_t offset_s)
{
    return day_in(moment, year) * DAY_S + moment->time_s - offset_s;
}

/* Years around the one that is asked for: a moment may lie a week outside its own. */
enum { YEARS_AROUND = 2, CHANGES_MAX = 2 * (2 * YEARS_AROUND + 1) };

struct change {
    int64_t at_s;
    int32_t offset_s;
};

/* In order. Where summer time ends as the next one begins, it never ends (RFC 8536 3.3.1): of two
 * at one time the end comes first. */
static void list_changes(const struct zone_rule *rule, int64_t year, struct change *changes)
{
    size_t count = 0;

    for (int64_t y = year - YEARS_AROUND; y <= year + YEARS_AROUND; y++) {
        struct change both[2] = {
            {moment_in(&rule->end, y, rule->summer_s), rule->standard_s},
            {moment_in(&rule->begin, y, rule->standard_s), rule->summer_s},
        };

        for (size_t i = 0; i < 2; i++) {
            size_t place = count++;

            for (; place > 0 && changes[place - 1].at_s > both[i].at_s; place--)
                changes[place] = changes[place - 1];
            changes[place] = both[i];
        }
    }
}

struct zone_stretch zone_rule_at(const struct zone_rule *rule, int64_t utc_s)
{
    struct zone_stretch stretch = {rule->standard_s, INT64_MAX};
    struct change changes[CHANGES_MAX] = {{0}};

    if (!rule->has_summer)
        return stretch;
    list_changes(rule, calendar_date(calendar_day_of(utc_s)).year, changes);
    for (size_t i = 0; i < CHANGES_MAX; i++) {
        if (changes[i].at_s > utc_s) {
            stretch.until_s = changes[i].at_s;
            break;
        }
        stretch.offset_s = changes[i].offset_s;
    }
    return stretch;
}
