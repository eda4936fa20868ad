/* The life of a provider's keys. */
#include "conf/types.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/schedule.h"
#include "conf/units.h"

/* ---- names of new keys ---- */

/* With the time in it (issuer_write_time) it is to be a name. */
static bool is_key_name(struct span text)
{
    static const char time[] = "20261120-101500";
    const struct span mark = SPAN("{time}");
    size_t at = span_find(text, mark);
    char name[128];
    int len;

    if (text.len > sizeof(name) - sizeof(time))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ':' || text.ptr[i] == '@')
            return false;
    }
    if (at == SIZE_MAX)
        return conf_name_is_valid(text);
    len = snprintf(name, sizeof(name), "%.*s%s%.*s", (int)at, text.ptr, time,
                   SPAN_ARG(span_skip(text, at + mark.len)));
    return conf_name_is_valid(span_of(name, (size_t)len));
}

static void read_key_name(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, is_key_name);
}

static void tell_key_name(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "1 to 64 letters, digits or any of . _ - and {time} once, which becomes 15 of "
                    "them");
}

const struct conf_type conf_type_key_name = {.name = "name with {time}",
                                             .read = read_key_name,
                                             .otherwise = "is no name of a new key",
                                             .print = print_text_row,
                                             .tell = tell_key_name};

/* ---- schedules ---- */

static bool is_schedule(struct span text, char why[SCHEDULE_WHY_BYTES])
{
    struct schedule schedule = {.zone = NULL};
    bool is_good = schedule_read(text, &schedule, why) == 0;

    is_good = is_good && schedule_find_zone(&schedule, why) == 0;
    schedule_fini(&schedule);
    return is_good;
}

static void read_schedule(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    char why[SCHEDULE_WHY_BYTES];
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (is_schedule(text, why))
        *(struct span *)field = loading_keep(loading, text);
    else if (loading_has_reference(node->text))
        loading_refuse(loading, row, node, "is no schedule");
    else
        loading_error(loading, node->mark, "%s", why);
    loading_end_text(loading);
}

static void tell_schedule(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "five fields as of cron, and a zone such as Europe/Berlin; @daily and its kin; "
                    "or \"every 30d\"");
}

const struct conf_type conf_type_schedule = {
    .name = "schedule", .read = read_schedule, .print = print_text_row, .tell = tell_schedule};

/* ---- ratios ---- */

/* "1.5": at most three decimals. */
static int parse_ratio(const struct conf_row *row, struct span text, void *field)
{
    size_t point = span_find_byte(text, '.');
    size_t digits = point == SIZE_MAX ? 0 : text.len - point - 1;
    struct span decimals = span_skip(text, text.len - digits);
    uint64_t whole, part = 0;
    int err = span_to_u64(span_of(text.ptr, point == SIZE_MAX ? text.len : point), &whole);

    if (!err && point != SIZE_MAX)
        err = digits >= 1 && digits <= 3 ? span_to_u64(decimals, &part) : ERR_SYNTAX;
    if (err)
        return err;
    for (; digits < 3; digits++)
        part *= 10;
    if (whole > row->max / 1000 || whole * 1000 + part < row->min || whole * 1000 + part > row->max)
        return ERR_RANGE;
    *(uint32_t *)field = (uint32_t)(whole * 1000 + part);
    return 0;
}

static void write_ratio(uint64_t milli, char out[UNITS_TEXT_BYTES])
{
    int len = snprintf(out, UNITS_TEXT_BYTES, "%llu.%03llu", (unsigned long long)(milli / 1000),
                       (unsigned long long)(milli % 1000));

    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    out[len] = '\0';
}

static void print_ratio(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    write_ratio(*(const uint32_t *)field, text);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_ratio(const struct conf_row *row, struct buf *out)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    write_ratio(row->min, least);
    write_ratio(row->max, most);
    buf_printf(out, "a ratio such as 1.5, from %s to %s", least, most);
}

const struct conf_type conf_type_ratio = {.name = "ratio",
                                          .read = conf_read_parsed,
                                          .parse = parse_ratio,
                                          .otherwise = "is no ratio",
                                          .print = print_ratio,
                                          .tell = tell_ratio};

/* ---- amounts ---- */

/* "12", "0.5": as JSON has it, without a sign. */
static bool is_usd(struct span text)
{
    size_t dots = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool is_dot = text.ptr[i] == '.' && i > 0 && i + 1 < text.len;

        if (!is_dot && (text.ptr[i] < '0' || text.ptr[i] > '9'))
            return false;
        dots += is_dot;
    }
    return text.len > 0 && text.len <= 16 && dots <= 1 &&
           (text.len == 1 || text.ptr[0] != '0' || text.ptr[1] == '.');
}

static void read_usd(struct loading *loading, const struct conf_row *row,
                     const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, is_usd);
}

static void tell_usd(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "an amount of USD such as 25 or 2.50");
}

const struct conf_type conf_type_usd = {.name = "amount",
                                        .read = read_usd,
                                        .otherwise = "is no amount",
                                        .print = print_text_row,
                                        .tell = tell_usd};

/* ---- rotation ---- */

void hook_canary_short(struct loading *loading, const struct yaml_node *node, void *object)
{
    struct conf_canary *canary = object;

    if (span_is_equal(node->text, SPAN("off")))
        canary->steps = 0;
    else
        loading_error(loading, node->mark,
                      "a single value stands where a map should; allowed: off, or a map of "
                      "initial, steps, every, min_requests, max_error_rate, max_latency_ratio");
}

void hook_rotation_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object)
{
    struct conf_rotation *rotation = object;

    if (!yaml_find(node, SPAN("issuer")))
        loading_error(loading, mark, "the issuer is missing; allowed: issuer, a map with its kind");
    /* Without a schedule that would come round, an age that was asked for means just that, and one
     * that was not means nothing. */
    if (rotation->schedule.len || (rotation->on & CONF_ROTATION_AGE))
        return;
    if (!yaml_find(node, SPAN("max_age")))
        rotation->max_age_us = 0;
    else if (rotation->max_age_us)
        rotation->on |= CONF_ROTATION_AGE;
}
