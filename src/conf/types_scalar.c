#include "conf/types.h"

#include <stdio.h>

#include "base/datetime.h"
#include "base/err.h"
#include "conf/config.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "conf/units.h"

enum { AFTER_LEAST_PERCENT = 50, AFTER_MOST_PERCENT = 99 };

static int parse_boolean(const struct conf_row *row, struct span text, void *field)
{
    bool is_true = span_is_equal(text, SPAN("true"));

    (void)row;
    if (!is_true && !span_is_equal(text, SPAN("false")))
        return ERR_SYNTAX;
    *(bool *)field = is_true;
    return 0;
}

static void print_boolean(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_line(printing, row->name, *(const bool *)field ? SPAN("true") : SPAN("false"));
}

static void tell_boolean(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "true or false");
}

const struct conf_type conf_type_boolean = {.name = "boolean",
                                            .read = conf_read_parsed,
                                            .parse = parse_boolean,
                                            .otherwise = "is neither true nor false",
                                            .print = print_boolean,
                                            .tell = tell_boolean};

static int parse_never(const struct conf_row *row, struct span text, void *field)
{
    bool value;
    int err = parse_boolean(row, text, &value);

    if (err || value)
        return err ? err : ERR_UNSUPPORTED;
    *(bool *)field = false;
    return 0;
}

static void tell_never(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "false");
}

const struct conf_type conf_type_never = {.name = "boolean",
                                          .read = conf_read_parsed,
                                          .parse = parse_never,
                                          .otherwise = "is neither true nor false",
                                          .print = print_boolean,
                                          .tell = tell_never};

static int within(const struct conf_row *row, uint64_t value)
{
    return value < row->min || value > row->max ? ERR_RANGE : 0;
}

static int parse_large(const struct conf_row *row, struct span text, void *field)
{
    uint64_t value;
    int err = span_to_u64(text, &value);

    if (!err)
        err = within(row, value);
    if (!err)
        *(uint64_t *)field = value;
    return err;
}

static void print_u64(struct printing *printing, const struct conf_row *row, uint64_t value)
{
    char text[UNITS_TEXT_BYTES];

    /* 0 where 0 is not allowed: the setting is absent. */
    if (value == 0 && row->min > 0)
        return;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    print_line(printing, row->name, span_from_text(text));
}

static void print_large(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_u64(printing, row, *(const uint64_t *)field);
}

static void tell_number(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a whole number from %llu to %llu", (unsigned long long)row->min,
               (unsigned long long)row->max);
}

const struct conf_type conf_type_large = {.name = "number",
                                          .read = conf_read_parsed,
                                          .parse = parse_large,
                                          .otherwise = "is no whole number",
                                          .print = print_large,
                                          .tell = tell_number};

static int parse_number(const struct conf_row *row, struct span text, void *field)
{
    uint64_t value;
    int err = parse_large(row, text, &value);

    if (!err)
        *(uint32_t *)field = (uint32_t)value;
    return err;
}

static void print_number(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_u64(printing, row, *(const uint32_t *)field);
}

const struct conf_type conf_type_number = {.name = "number",
                                           .read = conf_read_parsed,
                                           .parse = parse_number,
                                           .otherwise = "is no whole number",
                                           .print = print_number,
                                           .tell = tell_number};

static int parse_signed(const struct conf_row *row, struct span text, void *field)
{
    bool is_negative = span_has_prefix(text, SPAN("-"));
    uint64_t value;
    int err = parse_large(row, span_skip(text, is_negative), &value);

    if (!err)
        *(int32_t *)field = is_negative ? -(int32_t)value : (int32_t)value;
    return err;
}

static void print_signed(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    snprintf(text, sizeof(text), "%d", *(const int32_t *)field);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_signed(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a whole number from -%llu to %llu", (unsigned long long)row->max,
               (unsigned long long)row->max);
}

const struct conf_type conf_type_signed = {.name = "number",
                                           .read = conf_read_parsed,
                                           .parse = parse_signed,
                                           .otherwise = "is no whole number",
                                           .print = print_signed,
                                           .tell = tell_signed};

static int parse_workers(const struct conf_row *row, struct span text, void *field)
{
    if (!span_is_equal(text, SPAN("auto")))
        return parse_number(row, text, field);
    *(uint32_t *)field = 0;
    return 0;
}

static void print_workers(struct printing *printing, const struct conf_row *row, const void *field)
{
    if (*(const uint32_t *)field == 0)
        print_line(printing, row->name, SPAN("auto"));
    else
        print_number(printing, row, field);
}

static void tell_workers(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "auto, or ");
    tell_number(row, out);
}

const struct conf_type conf_type_workers = {.name = "number or auto",
                                            .read = conf_read_parsed,
                                            .parse = parse_workers,
                                            .otherwise = "is no whole number",
                                            .print = print_workers,
                                            .tell = tell_workers};

static int parse_duration(const struct conf_row *row, struct span text, void *field)
{
    uint64_t us;
    int err = units_read_duration(text, &us);

    if (!err)
        err = within(row, us);
    if (!err)
        *(uint64_t *)field = us;
    return err;
}

static void print_duration(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    units_write_duration(*(const uint64_t *)field, text);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_duration(const struct conf_row *row, struct buf *out)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    units_write_duration(row->min, least);
    units_write_duration(row->max, most);
    buf_printf(out, "a duration such as 250ms, 30s, 5m, 2h or 30d, from %s to %s", least, most);
}

const struct conf_type conf_type_duration = {.name = "duration",
                                             .read = conf_read_parsed,
                                             .parse = parse_duration,
                                             .otherwise = "is no duration",
                                             .print = print_duration,
                                             .tell = tell_duration};

/* "p95" and the like, or a duration. */
static int parse_after(const struct conf_row *row, struct span text, void *field)
{
    struct conf_after *after = field;
    uint64_t value;
    int err;

    if (!span_has_prefix(text, SPAN("p"))) {
        err = parse_duration(row, text, &value);
        if (!err)
            *after = (struct conf_after){.us = value};
        return err;
    }
    err = span_to_u64(span_skip(text, 1), &value);
    if (err)
        return err;
    if (value < AFTER_LEAST_PERCENT || value > AFTER_MOST_PERCENT)
        return ERR_RANGE;
    *after = (struct conf_after){.percent = (uint32_t)value};
    return 0;
}

static void print_after(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_after *after = field;
    char text[UNITS_TEXT_BYTES];

    if (!after->percent) {
        print_duration(printing, row, &after->us);
        return;
    }
    snprintf(text, sizeof(text), "p%u", (unsigned)after->percent);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_after(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a quantile from p%d to p%d, or ", AFTER_LEAST_PERCENT, AFTER_MOST_PERCENT);
    tell_duration(row, out);
}

const struct conf_type conf_type_after = {.name = "quantile or duration",
                                          .read = conf_read_parsed,
                                          .parse = parse_after,
                                          .otherwise = "is neither a quantile nor a duration",
                                          .print = print_after,
                                          .tell = tell_after};

static int parse_size(const struct conf_row *row, struct span text, void *field)
{
    uint64_t bytes;
    int err = units_read_size(text, &bytes);

    if (!err)
        err = within(row, bytes);
    if (!err)
        *(uint64_t *)field = bytes;
    return err;
}

static void print_size(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    units_write_size(*(const uint64_t *)field, text);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_size(const struct conf_row *row, struct buf *out)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    units_write_size(row->min, least);
    units_write_size(row->max, most);
    buf_printf(out, "a size such as 64KiB, 32MiB or 1GiB, from %s to %s", least, most);
}

const struct conf_type conf_type_size = {.name = "size",
                                         .read = conf_read_parsed,
                                         .parse = parse_size,
                                         .otherwise = "is no size",
                                         .print = print_size,
                                         .tell = tell_size};

static int parse_share(const struct conf_row *row, struct span text, void *field)
{
    uint32_t ppm;
    int err = units_read_share(text, &ppm);

    if (!err)
        err = within(row, ppm);
    if (!err)
        *(uint32_t *)field = ppm;
    return err;
}

static void print_share(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    units_write_share(*(const uint32_t *)field, text);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_share(const struct conf_row *row, struct buf *out)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    units_write_share((uint32_t)row->min, least);
    units_write_share((uint32_t)row->max, most);
    buf_printf(out, "a share such as 5%%, from %s to %s", least, most);
}

const struct conf_type conf_type_share = {.name = "share",
                                          .read = conf_read_parsed,
                                          .parse = parse_share,
                                          .otherwise = "is no share",
                                          .print = print_share,
                                          .tell = tell_share};

static int parse_time(const struct conf_row *row, struct span text, void *field)
{
    uint64_t wall_us;

    (void)row;
    /* 0 says "never" in the tree, and nobody means 1970. */
    if (datetime_read_rfc3339(text, &wall_us) || wall_us == 0)
        return ERR_SYNTAX;
    *(uint64_t *)field = wall_us;
    return 0;
}

static void print_time(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[RFC3339_BYTES];

    if (*(const uint64_t *)field == 0)
        return;
    datetime_write_rfc3339(*(const uint64_t *)field, text);
    print_line(printing, row->name, span_of(text, sizeof(text)));
}

static void tell_time(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a date such as 2027-01-01, or a time such as 2027-01-01T12:00:00Z");
}

const struct conf_type conf_type_time = {.name = "time",
                                         .read = conf_read_parsed,
                                         .parse = parse_time,
                                         .otherwise = "is no point in time",
                                         .print = print_time,
                                         .tell = tell_time};
