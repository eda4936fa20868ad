/* What models cost, where the file says so. */
#include "conf/types.h"

#include <stdio.h>

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/units.h"

/* A millionth of a dollar for a million tokens is a picodollar a token. */
enum { DECIMALS = 6, MAX_DIGITS = 14 };

/* Dollars with up to six decimals, as millionths, exactly. */
static int parse_price(const struct conf_row *row, struct span text, void *field)
{
    uint64_t millionths = 0;
    size_t digits = 0, decimals = 0;
    bool has_point = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '.' && !has_point && digits > 0) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > MAX_DIGITS || (has_point && ++decimals > DECIMALS))
            return ERR_SYNTAX;
        millionths = millionths * 10 + (uint64_t)(c - '0');
    }
    if (digits == 0 || (has_point && decimals == 0))
        return ERR_SYNTAX;
    for (; decimals < DECIMALS; decimals++)
        millionths *= 10;
    if (millionths < row->min || millionths > row->max)
        return ERR_RANGE;
    *(uint64_t *)field = millionths;
    return 0;
}

static void write_price(uint64_t millionths, char out[UNITS_TEXT_BYTES])
{
    int len =
        snprintf(out, UNITS_TEXT_BYTES, "%llu.%06llu", (unsigned long long)(millionths / 1000000),
                 (unsigned long long)(millionths % 1000000));

    while (out[len - 1] == '0')
        len--;
    out[out[len - 1] == '.' ? len - 1 : len] = '\0';
}

static void print_price(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[UNITS_TEXT_BYTES];

    write_price(*(const uint64_t *)field, text);
    print_line(printing, row->name, span_from_text(text));
}

static void tell_price(const struct conf_row *row, struct buf *out)
{
    char least[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    write_price(row->min, least);
    write_price(row->max, most);
    buf_printf(out, "an amount of USD from %s to %s, such as 0.28, with up to 6 decimals", least,
               most);
}

const struct conf_type conf_type_price = {.name = "USD",
                                          .read = conf_read_parsed,
                                          .parse = parse_price,
                                          .otherwise = "is no such amount",
                                          .print = print_price,
                                          .tell = tell_price};

/* ---- prices by name ---- */

/* The model's own name may have slashes too. */
void conf_name_split(struct loading *loading, struct span name, struct conf_mark mark,
                     struct span *ret_name, const struct conf_provider **ret_provider,
                     struct span *ret_model)
{
    size_t slash = span_find_byte(name, '/');

    if (!conf_model_is_valid(name))
        loading_error(loading, mark, "this is no name of a model; allowed: " CONF_MODEL_ALLOWED);
    *ret_name = loading_keep(loading, name);
    *ret_model = *ret_name;
    if (slash == SIZE_MAX || slash + 1 >= ret_name->len)
        return;
    *ret_provider = config_find_provider(loading->config, span_of(name.ptr, slash));
    if (*ret_provider)
        *ret_model = span_skip(*ret_name, slash + 1);
}

void hook_price_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                        void *object)
{
    struct conf_price *price = object;

    conf_name_split(loading, name, mark, &price->name, &price->provider, &price->model);
}

struct span hook_price_name(const void *object)
{
    return ((const struct conf_price *)object)->name;
}

static void need(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                 const char *name)
{
    if (!yaml_find(node, span_from_text(name)))
        loading_error(loading, mark, "%s is missing; allowed: USD per million tokens", name);
}

/* What is not said of parts of a prompt is what all of it costs. */
static void fill(const struct yaml_node *node, struct conf_price_rates *rates)
{
    if (!yaml_find(node, SPAN("cached_input")))
        rates->cached_input = rates->input;
    if (!yaml_find(node, SPAN("cache_write")))
        rates->cache_write = rates->input;
    if (!yaml_find(node, SPAN("cache_write_long")))
        rates->cache_write_long = rates->cache_write;
}

static void finish_rates(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, struct conf_price_rates *rates)
{
    need(loading, node, mark, "input");
    need(loading, node, mark, "output");
    fill(node, rates);
}

/* The members of a list, or the one that stands without it. */
static const struct yaml_item *first_of(const struct yaml_node *node, struct span name)
{
    const struct yaml_item *item = yaml_find(node, name);

    return item && item->value->kind == YAML_LIST ? item->value->first : NULL;
}

static void check_longs(struct loading *loading, const struct yaml_node *node,
                        const struct conf_price_longs *longs)
{
    const struct yaml_item *item = first_of(node, SPAN("long"));
    size_t outer = loading_enter(loading, SPAN("long"));

    for (size_t i = 0; item && i < longs->count; i++, item = item->next) {
        size_t before;

        if (i == 0 || longs->items[i].above > longs->items[i - 1].above)
            continue;
        before = loading_enter_index(loading, i);
        loading_error(loading, item->mark,
                      "above is %llu, and the one before has %llu; allowed: rising bounds",
                      (unsigned long long)longs->items[i].above,
                      (unsigned long long)longs->items[i - 1].above);
        loading_leave(loading, before);
    }
    loading_leave(loading, outer);
}

static void check_laters(struct loading *loading, const struct yaml_node *node,
                         const struct conf_price_laters *laters)
{
    const struct yaml_item *item = first_of(node, SPAN("later"));
    size_t outer = loading_enter(loading, SPAN("later"));

    for (size_t i = 0; item && i < laters->count; i++, item = item->next) {
        size_t before;

        if (i == 0 || laters->items[i].from_us > laters->items[i - 1].from_us)
            continue;
        before = loading_enter_index(loading, i);
        loading_error(loading, item->mark,
                      "from is not after that of the one before; allowed: rising times");
        loading_leave(loading, before);
    }
    loading_leave(loading, outer);
}

/* What was complained of already says nothing of its order. */
static void finish_terms(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, struct conf_price_terms *terms)
{
    bool is_sound = loading->is_sound;

    finish_rates(loading, node, mark, &terms->rates);
    if (!is_sound)
        return;
    check_longs(loading, node, &terms->longs);
    conf_peaks_check(loading, node, &terms->peaks);
}

/* ---- what parts leave out ---- */

static const struct {
    struct span name;
    const char *otherwise; /* it costs what that does */
} of_caches[] = {
    {SPAN_INIT("cached_input"), "input"},
    {SPAN_INIT("cache_write"), "input"},
    {SPAN_INIT("cache_write_long"), "cache_write"},
};

enum { OF_CACHES = sizeof(of_caches) / sizeof(of_caches[0]) };

/* A bit for each. */
static uint32_t told_of_caches(const struct yaml_node *node)
{
    uint32_t told = 0;

    for (size_t i = 0; i < OF_CACHES; i++)
        told |= yaml_find(node, of_caches[i].name) ? 1u << i : 0;
    return told;
}

static void warn_of_missing(struct loading *loading, const struct yaml_node *part, uint32_t told)
{
    uint32_t missing = told & ~told_of_caches(part);

    for (size_t i = 0; i < OF_CACHES; i++) {
        if (missing >> i & 1)
            loading_warning(loading, part->mark,
                            "%.*s is missing, and the price has one: here it is that of %s; "
                            "allowed: USD per million tokens",
                            SPAN_ARG(of_caches[i].name), of_caches[i].otherwise);
    }
}

static void warn_of_parts(struct loading *loading, const struct yaml_node *node, uint32_t told);

/* One, or a list of them; told: what all that it is a part of have. */
static void warn_of_part(struct loading *loading, const struct yaml_node *part, uint32_t told)
{
    size_t i = 0;

    if (part->kind == YAML_MAP) {
        warn_of_missing(loading, part, told);
        warn_of_parts(loading, part, told);
        return;
    }
    for (const struct yaml_item *item = part->first; item; item = item->next) {
        size_t outer = loading_enter_index(loading, i++);

        warn_of_missing(loading, item->value, told);
        warn_of_parts(loading, item->value, told);
        loading_leave(loading, outer);
    }
}

/* Nothing of a price goes on in its parts: what was read from a cache would cost all that input
 * does there, and nobody said so. */
static void warn_of_parts(struct loading *loading, const struct yaml_node *node, uint32_t told)
{
    static const struct span names[] = {SPAN_INIT("long"), SPAN_INIT("peak"), SPAN_INIT("later")};

    told |= told_of_caches(node);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && told; i++) {
        const struct yaml_item *part = yaml_find(node, names[i]);
        size_t outer = loading_enter(loading, names[i]);

        if (part)
            warn_of_part(loading, part->value, told);
        loading_leave(loading, outer);
    }
}

void hook_price_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object)
{
    struct conf_price *price = object;

    finish_terms(loading, node, mark, &price->terms);
    if (!loading->is_sound)
        return;
    check_laters(loading, node, &price->laters);
    warn_of_parts(loading, node, 0);
}

void hook_price_later_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object)
{
    if (!yaml_find(node, SPAN("from")))
        loading_error(loading, mark, "from is missing; allowed: a date such as 2027-01-01");
    finish_terms(loading, node, mark, &((struct conf_price_later *)object)->terms);
}

void hook_price_long_finish(struct loading *loading, const struct yaml_node *node,
                            struct conf_mark mark, void *object)
{
    if (!yaml_find(node, SPAN("above")))
        loading_error(loading, mark, "above is missing; allowed: a number of tokens");
    finish_rates(loading, node, mark, &((struct conf_price_long *)object)->rates);
}

void hook_price_peak_finish(struct loading *loading, const struct yaml_node *node,
                            struct conf_mark mark, void *object)
{
    struct conf_price_peak *peak = object;
    bool is_sound = loading->is_sound;

    finish_rates(loading, node, mark, &peak->rates);
    if (!is_sound)
        return;
    check_longs(loading, node, &peak->longs);
    conf_peak_settle(loading, node, mark, peak);
}

void hook_currency_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object)
{
    (void)object;
    if (!yaml_find(node, SPAN("second")) || !yaml_find(node, SPAN("rate")))
        loading_error(loading, mark, "second and rate belong together; allowed: both");
}

void hook_budget_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    (void)object;
    if (!yaml_find(node, SPAN("usd")))
        loading_error(loading, mark, "usd is missing; allowed: an amount of USD such as 100");
}
