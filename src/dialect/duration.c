#include "dialect/duration.h"

#include "base/clock.h"
#include "base/err.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with an optional fraction from the front of *rest, times unit_us, rounded down: 0,
 * ERR_SYNTAX where there is no digit, ERR_RANGE. */
static int take_number(struct span *rest, uint64_t *ret_whole, uint64_t *ret_millionths)
{
    uint64_t whole = 0, millionths = 0, place = 100000;
    size_t i = 0, digits = 0;

    for (; i < rest->len && is_digit(rest->ptr[i]); i++, digits++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(rest->ptr[i] - '0'), &whole))
            return ERR_RANGE;
    }
    if (i + 1 < rest->len && rest->ptr[i] == '.' && is_digit(rest->ptr[i + 1])) {
        for (i++; i < rest->len && is_digit(rest->ptr[i]); i++, digits++) {
            millionths += (uint64_t)(rest->ptr[i] - '0') * place;
            place /= 10;
        }
    }
    if (!digits)
        return ERR_SYNTAX;
    *rest = span_skip(*rest, i);
    *ret_whole = whole;
    *ret_millionths = millionths;
    return 0;
}

static int scale(uint64_t whole, uint64_t millionths, uint64_t unit_us, uint64_t *ret_us)
{
    uint64_t us;

    if (__builtin_mul_overflow(whole, unit_us, &us) ||
        __builtin_add_overflow(us, millionths * unit_us / 1000000, &us))
        return ERR_RANGE;
    *ret_us = us;
    return 0;
}

/* The longer names stand before those that they begin with. */
static const struct unit {
    struct span name;
    uint64_t us; /* 0: nanoseconds */
} units[] = {
    {SPAN_INIT("ns"), 0},
    {SPAN_INIT("us"), 1},
    {SPAN_INIT("\xC2\xB5s"), 1}, /* micro sign */
    {SPAN_INIT("\xCE\xBCs"), 1}, /* Greek mu */
    {SPAN_INIT("milliseconds"), 1000},
    {SPAN_INIT("millisecond"), 1000},
    {SPAN_INIT("ms"), 1000},
    {SPAN_INIT("minutes"), 60 * US_PER_SEC},
    {SPAN_INIT("minute"), 60 * US_PER_SEC},
    {SPAN_INIT("mins"), 60 * US_PER_SEC},
    {SPAN_INIT("min"), 60 * US_PER_SEC},
    {SPAN_INIT("m"), 60 * US_PER_SEC},
    {SPAN_INIT("seconds"), US_PER_SEC},
    {SPAN_INIT("second"), US_PER_SEC},
    {SPAN_INIT("secs"), US_PER_SEC},
    {SPAN_INIT("sec"), US_PER_SEC},
    {SPAN_INIT("s"), US_PER_SEC},
    {SPAN_INIT("hours"), 3600 * US_PER_SEC},
    {SPAN_INIT("hour"), 3600 * US_PER_SEC},
    {SPAN_INIT("h"), 3600 * US_PER_SEC},
    {SPAN_INIT("days"), 86400 * US_PER_SEC},
    {SPAN_INIT("day"), 86400 * US_PER_SEC},
    {SPAN_INIT("d"), 86400 * US_PER_SEC},
};

static const struct unit *take_unit(struct span *rest)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (span_has_prefix(*rest, units[i].name)) {
            *rest = span_skip(*rest, units[i].name.len);
            return &units[i];
        }
    }
    return NULL;
}

/* One number with its unit. With is_prose a space may part them. */
static int take_term(struct span *rest, bool is_prose, uint64_t *ret_us)
{
    struct span try = *rest;
    uint64_t whole, millionths;
    const struct unit *unit;
    int err = take_number(&try, &whole, &millionths);

    if (err)
        return err;
    if (is_prose && try.len && try.ptr[0] == ' ')
        try = span_skip(try, 1);
    unit = take_unit(&try);
    if (!unit)
        return ERR_SYNTAX;
    err = scale(whole, millionths, unit->us ? unit->us : 1, ret_us);
    if (!err && !unit->us)
        *ret_us /= 1000;
    if (!err)
        *rest = try;
    return err;
}

int duration_take(struct span *rest, bool is_prose, uint64_t *ret_us)
{
    uint64_t sum = 0, us;
    int err = take_term(rest, is_prose, &us);

    while (!err) {
        if (__builtin_add_overflow(sum, us, &sum))
            return ERR_RANGE;
        if (is_prose && rest->len > 1 && rest->ptr[0] == ' ' && is_digit(rest->ptr[1]))
            *rest = span_skip(*rest, 1);
        if (!rest->len || !is_digit(rest->ptr[0]))
            break;
        err = take_term(rest, is_prose, &us);
    }
    if (!err)
        *ret_us = sum;
    return err;
}

int duration_read(struct span text, uint64_t *ret_us)
{
    uint64_t us;
    int err;

    text = span_trim(text);
    err = duration_take(&text, false, &us);
    if (err)
        return err;
    if (text.len)
        return ERR_SYNTAX;
    *ret_us = us;
    return 0;
}

int duration_read_number(struct span text, uint64_t unit_us, uint64_t *ret_us)
{
    uint64_t whole, millionths;
    int err;

    text = span_trim(text);
    err = take_number(&text, &whole, &millionths);
    if (err)
        return err;
    return text.len ? ERR_SYNTAX : scale(whole, millionths, unit_us, ret_us);
}
