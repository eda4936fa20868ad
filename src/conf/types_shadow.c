/* Shadows: what is mirrored, and how much it may cost. */
#include "conf/types.h"

#include <stdio.h>

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "conf/units.h"

enum { DECIMALS = 6, MICRO = 1000000, DEFAULT_TOKENS = 1000000 };

/* ---- money ---- */

/* "12.50": at most six decimals. */
static int parse_usd(const struct conf_row *row, struct span text, void *field)
{
    size_t point = span_find_byte(text, '.');
    size_t digits = point == SIZE_MAX ? 0 : text.len - point - 1;
    struct span decimals = span_skip(text, text.len - digits);
    uint64_t whole, part = 0;
    int err = span_to_u64(span_of(text.ptr, point == SIZE_MAX ? text.len : point), &whole);

    if (!err && point != SIZE_MAX)
        err = digits >= 1 && digits <= DECIMALS ? span_to_u64(decimals, &part) : ERR_SYNTAX;
    if (err)
        return err;
    for (; digits < DECIMALS; digits++)
        part *= 10;
    if (whole > row->max / MICRO || whole * MICRO + part < row->min ||
        whole * MICRO + part > row->max)
        return ERR_RANGE;
    *(uint64_t *)field = whole * MICRO + part;
    return 0;
}

static void write_usd(uint64_t micro, char out[UNITS_TEXT_BYTES])
{
    int len = snprintf(out, UNITS_TEXT_BYTES, "%llu.%06llu", (unsigned long long)(micro / MICRO),
                       (unsigned long long)(micro % MICRO));

    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    out[len] = '\0';
}

static void print_usd(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    if (*(const uint64_t *)field == 0)
        return;
    write_usd(*(const uint64_t *)field, text);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_usd(const struct conf_row *row, struct buf *out)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    write_usd(row->min, least);
    write_usd(row->max, most);
    buf_printf(out, "an amount in US dollars such as 12.50, from %s to %s", least, most);
}

const struct conf_type conf_type_money = {.name = "amount in US dollars",
                                          .read = conf_read_parsed,
                                          .parse = parse_usd,
                                          .otherwise = "is no amount of money",
                                          .print = print_usd,
                                          .tell = tell_usd};

/* ---- the shadow ---- */

/* Nobody finds out by a bill that a share was mirrored: without a budget there is one. */
void hook_shadow_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    struct conf_shadow *shadow = object;
    struct conf_shadow_budget *budget = &shadow->budget;

    if (!yaml_find(node, SPAN("to")))
        loading_error(loading, mark, "the shadow's target is missing; allowed: to: PROVIDER/MODEL");
    if (!budget->micro_usd && !budget->requests && !budget->tokens && loading->is_sound)
        budget->tokens = DEFAULT_TOKENS;
}
