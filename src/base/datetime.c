#include "base/datetime.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void split(uint64_t wall_us, struct tm *ret_tm)
{
    time_t seconds = (time_t)(wall_us / US_PER_SEC);

    gmtime_r(&seconds, ret_tm);
}

void datetime_write_http(uint64_t wall_us, char *out)
{
    struct tm tm;
    char text[80];

    split(wall_us, &tm);
    snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
             tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, HTTP_DATE_BYTES);
}

void datetime_write_rfc3339(uint64_t wall_us, char *out)
{
    struct tm tm;
    char text[80];

    split(wall_us, &tm);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (unsigned)(wall_us / US_PER_MS % 1000));
    memcpy(out, text, RFC3339_BYTES);
}

/* Exactly `digits` digits at the front of *rest. */
static int take_number(struct span *rest, size_t digits, int *ret_value)
{
    uint64_t value;

    if (rest->len < digits || span_to_u64(span_of(rest->ptr, digits), &value))
        return ERR_SYNTAX;
    *rest = span_skip(*rest, digits);
    *ret_value = (int)value;
    return 0;
}

static int take_byte(struct span *rest, char c)
{
    if (!rest->len || rest->ptr[0] != c)
        return ERR_SYNTAX;
    *rest = span_skip(*rest, 1);
    return 0;
}

static int take_month(struct span *rest, int *ret_month)
{
    for (int i = 0; i < 12; i++) {
        if (span_has_prefix(*rest, span_of(months[i], 3))) {
            *rest = span_skip(*rest, 3);
            *ret_month = i;
            return 0;
        }
    }
    return ERR_SYNTAX;
}

static int take_clock(struct span *rest, struct tm *tm)
{
    int err = take_number(rest, 2, &tm->tm_hour) || take_byte(rest, ':') ||
              take_number(rest, 2, &tm->tm_min) || take_byte(rest, ':') ||
              take_number(rest, 2, &tm->tm_sec);

    /* 60 is a leap second. */
    return err || tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60 ? ERR_SYNTAX : 0;
}

static bool is_day(int year, int month, int day)
{
    static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month >= 0 && month <= 11 && day >= 1 && day <= lengths[month] + (month == 1 && is_leap);
}

static int join(struct tm *tm, int64_t offset_s, uint64_t fraction_us, uint64_t *ret_wall_us)
{
    int64_t seconds;

    /* timegm would make 1 May of 31 April. */
    if (!is_day(tm->tm_year + 1900, tm->tm_mon, tm->tm_mday))
        return ERR_SYNTAX;
    seconds = (int64_t)timegm(tm) - offset_s;
    if (seconds < 0)
        return ERR_SYNTAX;
    *ret_wall_us = (uint64_t)seconds * US_PER_SEC + fraction_us;
    return 0;
}

/* "06 Nov 1994 08:49:37 GMT", what follows "Sun, ". */
static int read_imf(struct span rest, struct tm *tm)
{
    int year = 0;
    int err = take_number(&rest, 2, &tm->tm_mday) || take_byte(&rest, ' ') ||
              take_month(&rest, &tm->tm_mon) || take_byte(&rest, ' ') ||
              take_number(&rest, 4, &year) || take_byte(&rest, ' ') || take_clock(&rest, tm);

    tm->tm_year = year - 1900;
    return err || !span_is_equal(rest, SPAN(" GMT")) ? ERR_SYNTAX : 0;
}

/* "06-Nov-94 08:49:37 GMT", what follows "Sunday, " (RFC 850). */
static int read_rfc850(struct span rest, struct tm *tm)
{
    int year = 0;
    int err = take_number(&rest, 2, &tm->tm_mday) || take_byte(&rest, '-') ||
              take_month(&rest, &tm->tm_mon) || take_byte(&rest, '-') ||
              take_number(&rest, 2, &year) || take_byte(&rest, ' ') || take_clock(&rest, tm);

    tm->tm_year = year < 70 ? year + 100 : year;
    return err || !span_is_equal(rest, SPAN(" GMT")) ? ERR_SYNTAX : 0;
}

/* "Nov  6 08:49:37 1994", what follows "Sun " (asctime). */
static int read_asctime(struct span rest, struct tm *tm)
{
    int year = 0;
    int err = take_month(&rest, &tm->tm_mon) || take_byte(&rest, ' ');

    if (!err && take_byte(&rest, ' ') == 0)
        err = take_number(&rest, 1, &tm->tm_mday);
    else if (!err)
        err = take_number(&rest, 2, &tm->tm_mday);
    err = err || take_byte(&rest, ' ') || take_clock(&rest, tm) || take_byte(&rest, ' ') ||
          take_number(&rest, 4, &year);
    tm->tm_year = year - 1900;
    return err || rest.len ? ERR_SYNTAX : 0;
}

int datetime_read_http(struct span text, uint64_t *ret_wall_us)
{
    struct tm tm = {0};
    size_t comma;
    int err;

    text = span_trim(text);
    comma = span_find_byte(text, ',');
    if (comma == SIZE_MAX && text.len > 4)
        err = read_asctime(span_skip(text, 4), &tm);
    else if (comma == 3 && text.len > 5)
        err = read_imf(span_skip(text, 5), &tm);
    else if (comma != SIZE_MAX && text.len > comma + 2)
        err = read_rfc850(span_skip(text, comma + 2), &tm);
    else
        err = ERR_SYNTAX;
    return err ? err : join(&tm, 0, 0, ret_wall_us);
}

static int take_fraction(struct span *rest, uint64_t *ret_us)
{
    uint64_t us = 0, unit = 100000;
    size_t digits = 0;

    if (take_byte(rest, '.'))
        return 0;
    while (rest->len && rest->ptr[0] >= '0' && rest->ptr[0] <= '9') {
        us += (uint64_t)(rest->ptr[0] - '0') * unit;
        unit /= 10;
        digits++;
        *rest = span_skip(*rest, 1);
    }
    *ret_us = us;
    return digits ? 0 : ERR_SYNTAX;
}

static int take_offset(struct span *rest, int64_t *ret_offset_s)
{
    int hours = 0, minutes = 0, sign;

    if (!rest->len)
        return ERR_SYNTAX;
    if (rest->ptr[0] == 'Z' || rest->ptr[0] == 'z') {
        *rest = span_skip(*rest, 1);
        return 0;
    }
    if (rest->ptr[0] != '+' && rest->ptr[0] != '-')
        return ERR_SYNTAX;
    sign = rest->ptr[0] == '-' ? -1 : 1;
    *rest = span_skip(*rest, 1);
    if (take_number(rest, 2, &hours) || take_byte(rest, ':') || take_number(rest, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return ERR_SYNTAX;
    *ret_offset_s = sign * (hours * 3600 + minutes * 60);
    return 0;
}

int datetime_read_rfc3339(struct span text, uint64_t *ret_wall_us)
{
    struct tm tm = {0};
    uint64_t fraction_us = 0;
    int64_t offset_s = 0;
    int year = 0, month = 0;

    text = span_trim(text);
    if (take_number(&text, 4, &year) || take_byte(&text, '-') || take_number(&text, 2, &month) ||
        take_byte(&text, '-') || take_number(&text, 2, &tm.tm_mday))
        return ERR_SYNTAX;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    if (text.len) {
        if (text.ptr[0] != 'T' && text.ptr[0] != 't' && text.ptr[0] != ' ')
            return ERR_SYNTAX;
        text = span_skip(text, 1);
        if (take_clock(&text, &tm) || take_fraction(&text, &fraction_us) ||
            take_offset(&text, &offset_s) || text.len)
            return ERR_SYNTAX;
    }
    return join(&tm, offset_s, fraction_us, ret_wall_us);
}
