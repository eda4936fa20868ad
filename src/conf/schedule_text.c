/* A schedule as it is written. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "conf/units.h"
#include "conf/calendar.h"
#include "conf/schedule.h"

enum {
    WORDS_MAX = 8, /* more are too many, whatever they say */
    FIELDS = 5,
    QUOTE_BYTES = 40, /* of what was written, in a complaint */
    MINUTES_OF_DAY = 24 * 60,
};

#define INTERVAL_MIN_US US_PER_SEC
#define MINUTE_US       (60 * US_PER_SEC)
#define DAYS_LOOKED_AT  (8 * 366) /* by then every combination of dates but 29 February has come */

/* Where to say what is wrong. */
struct complainer {
    char *why;
};

__attribute__((format(printf, 2, 3))) static int complain(struct complainer *complainer,
                                                          const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(complainer->why, SCHEDULE_WHY_BYTES, format, args);
    va_end(args);
    return ERR_SYNTAX;
}

/* What was written, cut, and without anything that a terminal would follow. */
struct quote {
    char text[QUOTE_BYTES + 1];
};

static struct quote quote(struct span text)
{
    struct quote quote = {{0}};
    size_t len = text.len < QUOTE_BYTES ? text.len : QUOTE_BYTES;

    for (size_t i = 0; i < len; i++)
        quote.text[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';
    return quote;
}

/* ---- words ---- */

struct words {
    struct span items[WORDS_MAX];
    size_t count;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void cut_words(struct span text, struct words *words)
{
    size_t i = 0;

    words->count = 0;
    while (words->count < WORDS_MAX) {
        size_t begin;

        while (i < text.len && is_blank(text.ptr[i]))
            i++;
        if (i == text.len)
            break;
        begin = i;
        while (i < text.len && !is_blank(text.ptr[i]))
            i++;
        words->items[words->count++] = span_of(text.ptr + begin, i - begin);
    }
}

static void drop_first(struct words *words)
{
    words->count--;
    memmove(&words->items[0], &words->items[1], words->count * sizeof(words->items[0]));
}

/* ---- fields ---- */

struct field {
    const char *name;
    int min, max;
    const char *allowed;
    const char (*names)[4]; /* the first one stands for first_name; NULL: none */
    int first_name, name_count;
};

static const char months[12][4] = {"jan", "feb", "mar", "apr", "may", "jun",
                                   "jul", "aug", "sep", "oct", "nov", "dec"};
static const char weekdays[7][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, "0 to 59", NULL, 0, 0},
    [HOUR] = {"hour", 0, 23, "0 to 23", NULL, 0, 0},
    [DAY] = {"day of month", 1, 31, "1 to 31", NULL, 0, 0},
    [MONTH] = {"month", 1, 12, "1 to 12, or jan to dec", months, 1, 12},
    [WEEKDAY] = {"day of week", 0, 7, "0 to 7, of which both are Sunday, or sun to sat", weekdays,
                 0, 7},
};

static int complain_of(struct complainer *complainer, const struct field *field, struct span text,
                       const char *what)
{
    return complain(complainer,
                    "%s: \"%s\" %s; allowed are %s, ranges as 1-5, steps as */2 or 1-9/2, and "
                    "lists of these with commas",
                    field->name, quote(text).text, what, field->allowed);
}

static bool read_value(const struct field *field, struct span text, int *ret_value)
{
    uint64_t number;

    for (int i = 0; i < field->name_count; i++) {
        if (span_is_equal_nocase(text, span_of(field->names[i], 3))) {
            *ret_value = field->first_name + i;
            return true;
        }
    }
    if (span_to_u64(text, &number) || number < (uint64_t)field->min ||
        number > (uint64_t)field->max)
        return false;
    *ret_value = (int)number;
    return true;
}

/* What stands before and behind the first byte c; false where there is none. */
static bool cut_at(struct span text, char c, struct span *ret_before, struct span *ret_behind)
{
    size_t at = span_find_byte(text, c);

    if (at == SIZE_MAX)
        return false;
    *ret_before = span_of(text.ptr, at);
    *ret_behind = span_skip(text, at + 1);
    return true;
}

/* "*", "a-b" or, where it stands alone, "a". */
static int read_range(struct complainer *complainer, const struct field *field, struct span item,
                      int *ret_from, int *ret_to)
{
    struct span before, behind;
    int from, to;

    if (span_is_equal(item, SPAN("*"))) {
        *ret_from = field->min;
        *ret_to = field->max;
        return 0;
    }
    if (!cut_at(item, '-', &before, &behind))
        before = behind = item;
    if (!read_value(field, before, &from) || !read_value(field, behind, &to))
        return complain_of(complainer, field, item, "is not known");
    /* "fri-sun" */
    if (field == &fields[WEEKDAY] && to == 0 && from > 0)
        to = 7;
    if (from > to)
        return complain_of(complainer, field, item, "runs backwards");
    *ret_from = from;
    *ret_to = to;
    return 0;
}

static int read_item(struct complainer *complainer, const struct field *field, struct span item,
                     uint64_t *bits)
{
    struct span range = item, step_text;
    uint64_t step = 1;
    int from = 0, to = 0, err;

    if (cut_at(item, '/', &range, &step_text)) {
        if (span_to_u64(step_text, &step) || step == 0 || step > (uint64_t)field->max)
            return complain(complainer, "%s: the step of \"%s\" is not from 1 to %d", field->name,
                            quote(item).text, field->max);
        if (!span_is_equal(range, SPAN("*")) && span_find_byte(range, '-') == SIZE_MAX)
            return complain_of(complainer, field, item, "has a step and no range");
    }
    err = read_range(complainer, field, range, &from, &to);
    if (err)
        return err;
    for (int value = from; value <= to; value += (int)step)
        *bits |= UINT64_C(1) << value;
    return 0;
}

static int read_field(struct complainer *complainer, const struct field *field, struct span text,
                      uint64_t *ret_bits)
{
    uint64_t bits = 0;

    for (;;) {
        struct span item = text, rest = {0};
        bool has_more = cut_at(text, ',', &item, &rest);
        int err = read_item(complainer, field, item, &bits);

        if (err)
            return err;
        if (!has_more)
            break;
        text = rest;
    }
    *ret_bits = bits;
    return 0;
}

/* 30 February. */
static bool is_possible(const struct schedule *schedule)
{
    static const int longest[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (!schedule->has_star_day && !schedule->has_star_weekday)
        return true;
    for (int month = 1; month <= 12; month++) {
        if ((schedule->months >> month & 1) &&
            (schedule->days & ((UINT64_C(2) << longest[month]) - 1)))
            return true;
    }
    return false;
}

static int read_fields(struct complainer *complainer, const struct span *items,
                       struct schedule *schedule)
{
    uint64_t bits[FIELDS];

    for (size_t i = 0; i < FIELDS; i++) {
        int err = read_field(complainer, &fields[i], items[i], &bits[i]);

        if (err)
            return err;
    }
    schedule->minutes = bits[MINUTE];
    schedule->hours = (uint32_t)bits[HOUR];
    schedule->days = (uint32_t)bits[DAY];
    schedule->months = (uint16_t)bits[MONTH];
    schedule->weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f);
    schedule->has_star_day = items[DAY].ptr[0] == '*';
    schedule->has_star_weekday = items[WEEKDAY].ptr[0] == '*';
    if (!is_possible(schedule))
        return complain(complainer, "day of month: \"%s\" does not come in the months of \"%s\"",
                        quote(items[DAY]).text, quote(items[MONTH]).text);
    return 0;
}

/* ---- the shortest time between two ---- */

/* True where some day of the schedule's follows upon another. */
static bool has_days_in_a_row(const struct schedule *schedule)
{
    struct schedule midnights = *schedule;
    uint64_t end_us = DAYS_LOOKED_AT * (DAY_S * US_PER_SEC), before_us, us;

    midnights.minutes = midnights.hours = 1;
    for (us = schedule_next(&midnights, 0); us < end_us;) {
        before_us = us;
        us = schedule_next(&midnights, before_us);
        if (us - before_us == DAY_S * US_PER_SEC)
            return true;
    }
    return false;
}

static uint64_t shortest_us(const struct schedule *schedule)
{
    int first = -1, last = -1, shortest = MINUTES_OF_DAY;

    for (int minute = 0; minute < MINUTES_OF_DAY; minute++) {
        if (!(schedule->hours >> (minute / 60) & 1) || !(schedule->minutes >> (minute % 60) & 1))
            continue;
        if (first < 0)
            first = minute;
        else if (minute - last < shortest)
            shortest = minute - last;
        last = minute;
    }
    if (MINUTES_OF_DAY - last + first < shortest && has_days_in_a_row(schedule))
        shortest = MINUTES_OF_DAY - last + first;
    return (uint64_t)shortest * MINUTE_US;
}

/* ---- the whole ---- */

static int set_zone(struct complainer *complainer, struct span name, struct schedule *schedule)
{
    if (schedule->zone_name[0])
        return complain(complainer, "zone: \"%s\" is the second one; one zone is allowed",
                        quote(name).text);
    if (!zone_name_is_good(name))
        return complain(complainer,
                        "zone: \"%s\" is no name of a zone; allowed are names as Europe/Berlin or "
                        "UTC",
                        quote(name).text);
    memcpy(schedule->zone_name, name.ptr, name.len);
    schedule->zone_name[name.len] = '\0';
    return 0;
}

static int read_interval(struct complainer *complainer, const struct words *words,
                         struct schedule *schedule)
{
    if (schedule->zone_name[0] || words->count > 2)
        return complain(complainer, "every: an interval stands alone, as in \"every 30d\", and "
                                    "needs no zone");
    if (words->count < 2 || units_read_duration(words->items[1], &schedule->interval_us) ||
        schedule->interval_us < INTERVAL_MIN_US)
        return complain(complainer,
                        "every: \"%s\" is no interval; allowed are durations from 1s to 10000d, "
                        "as 12h or 30d",
                        words->count < 2 ? "" : quote(words->items[1]).text);
    schedule->shortest_us = schedule->interval_us;
    return 0;
}

struct shorthand {
    struct span name;
    struct span fields[FIELDS];
};

static const struct shorthand shorthands[] = {
#define SHORTHAND(name, minute, hour, day, month, weekday)                                         \
    {                                                                                              \
        SPAN_INIT(name),                                                                           \
        {                                                                                          \
            SPAN_INIT(minute), SPAN_INIT(hour), SPAN_INIT(day), SPAN_INIT(month),                  \
                SPAN_INIT(weekday)                                                                 \
        }                                                                                          \
    }
    SHORTHAND("@hourly", "0", "*", "*", "*", "*"),   SHORTHAND("@daily", "0", "0", "*", "*", "*"),
    SHORTHAND("@midnight", "0", "0", "*", "*", "*"), SHORTHAND("@weekly", "0", "0", "*", "*", "0"),
    SHORTHAND("@monthly", "0", "0", "1", "*", "*"),  SHORTHAND("@yearly", "0", "0", "1", "1", "*"),
    SHORTHAND("@annually", "0", "0", "1", "1", "*"),
#undef SHORTHAND
};

static int find_shorthand(struct complainer *complainer, struct span name,
                          const struct span **ret_fields)
{
    for (size_t i = 0; i < sizeof(shorthands) / sizeof(shorthands[0]); i++) {
        if (span_is_equal_nocase(shorthands[i].name, name)) {
            *ret_fields = shorthands[i].fields;
            return 0;
        }
    }
    return complain(complainer,
                    "\"%s\" is not known; allowed are @hourly, @daily, @weekly, @monthly and "
                    "@yearly",
                    quote(name).text);
}

/* What is no zone, as the sixth word of six: a field too many. */
static bool looks_like_field(struct span word)
{
    return word.ptr[0] == '*' || word.ptr[0] == '?' || (word.ptr[0] >= '0' && word.ptr[0] <= '9');
}

static int read_cron(struct complainer *complainer, const struct words *words,
                     struct schedule *schedule)
{
    bool is_short = words->count && words->items[0].ptr[0] == '@';
    size_t count = is_short ? 1 : FIELDS;
    const struct span *items = words->items;
    int err = 0;

    if (words->count < count || words->count > count + 1 ||
        (words->count > count && looks_like_field(words->items[count])))
        return is_short ? complain(complainer, "\"%s\" may have a zone behind it, and no more",
                                   quote(words->items[0]).text)
                        : complain(complainer,
                                   "there are %zu fields; allowed are five (minute, hour, day of "
                                   "month, month, day of week) and a zone, or \"every 30d\"",
                                   words->count);
    if (is_short)
        err = find_shorthand(complainer, items[0], &items);
    if (err == 0)
        err = read_fields(complainer, items, schedule);
    if (err == 0 && words->count > count)
        err = set_zone(complainer, words->items[count], schedule);
    if (err == 0)
        schedule->shortest_us = shortest_us(schedule);
    return err;
}

int schedule_read(struct span text, struct schedule *ret_schedule, char why[SCHEDULE_WHY_BYTES])
{
    struct complainer complainer = {why};
    struct schedule schedule = {0};
    struct words words;
    int err = 0;

    cut_words(text, &words);
    if (words.count && span_has_prefix(words.items[0], SPAN("CRON_TZ="))) {
        err = set_zone(&complainer, span_skip(words.items[0], 8), &schedule);
        drop_first(&words);
    }
    if (err == 0) {
        if (words.count && span_is_equal_nocase(words.items[0], SPAN("every")))
            err = read_interval(&complainer, &words, &schedule);
        else
            err = read_cron(&complainer, &words, &schedule);
    }
    if (err == 0)
        *ret_schedule = schedule;
    return err;
}

int schedule_find_zone(struct schedule *schedule, char why[SCHEDULE_WHY_BYTES])
{
    int err;

    if (!schedule->zone_name[0] || schedule->zone)
        return 0;
    err = zone_load(span_from_text(schedule->zone_name), &schedule->zone);
    if (err == ERR_NOTFOUND)
        snprintf(why, SCHEDULE_WHY_BYTES,
                 "zone: \"%s\" is not among the system's zones (are its time zone files "
                 "installed?)",
                 schedule->zone_name);
    else if (err)
        snprintf(why, SCHEDULE_WHY_BYTES, "zone: the file of \"%s\" cannot be used: %s",
                 schedule->zone_name, err_text(err));
    return err;
}

void schedule_fini(struct schedule *schedule)
{
    zone_free(&schedule->zone);
}
