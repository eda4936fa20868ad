#include "ledger/price.h"

#include "base/clock.h"
#include "base/decimal.h"

enum { DATE_DIGITS = 8, DAY_SECONDS = 86400, HOUR_SECONDS = 3600 };

/* ---- what is built in ---- */

#define PICO(usd_a_million) ((uint64_t)((usd_a_million)*1000000.0 + 0.5))
#define RATES(input, cached, write, write_long, output)                                            \
    {                                                                                              \
        PICO(input), PICO(cached), PICO(write), PICO(write_long), PICO(output)                     \
    }

struct row {
    enum provider_kind kind;
    struct span model;
    struct price_rates rates;
    uint64_t bound; /* tokens, or seconds */
};

#define PRICE(kind, model, input, cached, write, write_long, output, date)                         \
    {PROVIDER_##kind, SPAN_INIT(model), RATES(input, cached, write, write_long, output), 0},
#define PRICE_LONG(...)
#define PRICE_PEAK(...)
#define PRICE_LATER(...)
#define PRICE_PRIORITY(...)
static const struct row rows[] = {
#include "tables/prices.def"
};
#undef PRICE
#undef PRICE_LONG

#define PRICE(...)
#define PRICE_LONG(kind, model, above, input, cached, write, write_long, output)                   \
    {PROVIDER_##kind, SPAN_INIT(model), RATES(input, cached, write, write_long, output), above},
static const struct row long_rows[] = {
#include "tables/prices.def"
};
#undef PRICE_LONG
#undef PRICE_PEAK

#define PRICE_LONG(...)
#define PRICE_PEAK(kind, model, input, cached, write, write_long, output)                          \
    {PROVIDER_##kind, SPAN_INIT(model), RATES(input, cached, write, write_long, output), 0},
static const struct row peak_rows[] = {
#include "tables/prices.def"
};
#undef PRICE_PEAK
#undef PRICE_LATER

#define PRICE_PEAK(...)
#define PRICE_LATER(kind, model, from, input, cached, write, write_long, output)                   \
    {PROVIDER_##kind, SPAN_INIT(model), RATES(input, cached, write, write_long, output), from},
static const struct row later_rows[] = {
#include "tables/prices.def"
};
#undef PRICE_LATER
#define PRICE_LATER(kind, model, from, input, cached, write, write_long, output)                   \
    {.rates = RATES(input, cached, write, write_long, output)},
static const struct price later_prices[] = {
#include "tables/prices.def"
};
#undef PRICE_LATER
#undef PRICE_PRIORITY

#define PRICE_LATER(...)
#define PRICE_PRIORITY(kind, model, percent) {PROVIDER_##kind, SPAN_INIT(model), percent},
static const struct {
    enum provider_kind kind;
    struct span model;
    uint32_t percent;
} priority_rows[] = {
#include "tables/prices.def"
};
#undef PRICE
#undef PRICE_LONG
#undef PRICE_PEAK
#undef PRICE_LATER
#undef PRICE_PRIORITY

#define ABLE(...)
#define ENDS(...)
#define RULES(...)
#define ALIAS(kind, pattern, model) {PROVIDER_##kind, SPAN_INIT(pattern), SPAN_INIT(model)},
static const struct {
    enum provider_kind kind;
    struct span pattern, model;
} alias_rows[] = {
#include "tables/abilities.def"
};
#undef ABLE
#undef ENDS
#undef RULES
#undef ALIAS

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct row *find(const struct row *from, size_t count, enum provider_kind kind,
                              struct span model)
{
    for (size_t i = 0; i < count; i++) {
        if (from[i].kind == kind && span_is_equal(from[i].model, model))
            return &from[i];
    }
    return NULL;
}

static struct price whole_of(const struct row *row)
{
    const struct row *more;
    struct price price = {.rates = row->rates, .has_tiers = true};

    more = find(long_rows, COUNT(long_rows), row->kind, row->model);
    if (more) {
        price.long_above = more->bound;
        price.long_rates = more->rates;
    }
    more = find(peak_rows, COUNT(peak_rows), row->kind, row->model);
    if (more) {
        price.has_peak = true;
        price.peak_rates = more->rates;
    }
    for (size_t i = 0; i < COUNT(priority_rows); i++) {
        if (priority_rows[i].kind == row->kind && span_is_equal(priority_rows[i].model, row->model))
            price.priority_percent = priority_rows[i].percent;
    }
    more = find(later_rows, COUNT(later_rows), row->kind, row->model);
    if (more) {
        price.later = &later_prices[more - later_rows];
        price.later_wall_us = more->bound * US_PER_SEC;
    }
    return price;
}

enum provider_kind price_kind(enum provider_kind kind)
{
    return kind == PROVIDER_AZURE ? PROVIDER_OPENAI : kind;
}

/* By that name or by the one that it is an alias of. */
static const struct row *find_named(enum provider_kind kind, struct span model)
{
    const struct row *row = find(rows, COUNT(rows), price_kind(kind), model);

    return row ? row : find(rows, COUNT(rows), price_kind(kind), price_usual_name(kind, model));
}

bool price_builtin(enum provider_kind kind, struct span model, struct price *ret_price)
{
    const struct row *row = find_named(kind, model);

    if (!row)
        row = find_named(kind, price_bare_name(model));
    if (row)
        *ret_price = whole_of(row);
    return row != NULL;
}

bool price_builtin_next(size_t *at, enum provider_kind *ret_kind, struct span *ret_model,
                        struct price *ret_price)
{
    if (*at >= COUNT(rows))
        return false;
    *ret_kind = rows[*at].kind;
    *ret_model = rows[*at].model;
    *ret_price = whole_of(&rows[(*at)++]);
    return true;
}

/* ---- names ---- */

static bool are_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

/* The last bytes of a text, from the end of the text on. */
static struct span last(struct span text, size_t len)
{
    return span_of(text.ptr + text.len - len, len);
}

static bool is_iso_date(struct span text)
{
    return text.ptr[4] == '-' && text.ptr[7] == '-' && are_digits(span_of(text.ptr, 4)) &&
           are_digits(span_of(text.ptr + 5, 2)) && are_digits(span_of(text.ptr + 8, 2));
}

struct span price_bare_name(struct span model)
{
    const size_t iso = DATE_DIGITS + 2, latest = sizeof("-latest") - 1;

    if (model.len > latest && span_is_equal(last(model, latest), SPAN("-latest")))
        return span_of(model.ptr, model.len - latest);
    if (model.len > iso + 1 && is_iso_date(last(model, iso)) &&
        model.ptr[model.len - iso - 1] == '-')
        return span_of(model.ptr, model.len - iso - 1);
    if (model.len > DATE_DIGITS + 1 && are_digits(last(model, DATE_DIGITS)) &&
        (model.ptr[model.len - DATE_DIGITS - 1] == '-' ||
         model.ptr[model.len - DATE_DIGITS - 1] == '@'))
        return span_of(model.ptr, model.len - DATE_DIGITS - 1);
    return model;
}

/* An alias of "*" ends in a star too, and means what stands there. */
struct span price_usual_name(enum provider_kind kind, struct span model)
{
    kind = price_kind(kind);
    for (size_t i = 0; i < COUNT(alias_rows); i++) {
        struct span pattern = alias_rows[i].pattern;

        if (alias_rows[i].kind != kind || !span_matches(model, pattern))
            continue;
        return span_is_equal(alias_rows[i].model, SPAN("*")) ? span_skip(model, pattern.len - 1)
                                                             : alias_rows[i].model;
    }
    return model;
}

bool price_is_name_of(enum provider_kind kind, struct span row, struct span model)
{
    struct span bare = price_bare_name(model);

    return span_is_equal(row, model) || span_is_equal(row, bare) ||
           span_is_equal(row, price_usual_name(kind, model)) ||
           span_is_equal(row, price_usual_name(kind, bare));
}

/* ---- what it comes to ---- */

/* Day 0 of the Unix epoch was a Thursday. */
static bool is_peak(uint64_t wall_us)
{
    uint64_t seconds = wall_us / US_PER_SEC;
    uint64_t weekday = (seconds / DAY_SECONDS + 3) % 7; /* 0: Monday */
    uint64_t hour = seconds % DAY_SECONDS / HOUR_SECONDS;

    return weekday < 5 && ((hour >= 1 && hour < 4) || (hour >= 6 && hour < 10));
}

static const struct price_rates *rates_at(const struct price *price, uint64_t prompt_tokens,
                                          uint64_t wall_us)
{
    if (price->later && wall_us >= price->later_wall_us)
        price = price->later;
    if (price->long_above && prompt_tokens > price->long_above)
        return &price->long_rates;
    return price->has_peak && is_peak(wall_us) ? &price->peak_rates : &price->rates;
}

static void add(uint64_t *sum, uint64_t tokens, uint64_t rate)
{
    uint64_t cost;

    if (__builtin_mul_overflow(tokens, rate, &cost) || __builtin_add_overflow(*sum, cost, sum))
        *sum = UINT64_MAX;
}

static uint64_t at_most(uint64_t number, uint64_t bound)
{
    return number < bound ? number : bound;
}

/* What of a standard price that tier costs; false: not known. */
static bool scale(const struct price *price, enum dialect_tier tier, uint64_t *sum)
{
    uint64_t scaled = 0;

    if (!price->has_tiers)
        return true;
    switch (tier) {
    case DIALECT_TIER_STANDARD:
        break;
    case DIALECT_TIER_HALF:
        *sum = *sum / 2 + *sum % 2;
        break;
    case DIALECT_TIER_PRIORITY:
        if (!price->priority_percent)
            return false;
        add(&scaled, *sum / 100, price->priority_percent);
        add(&scaled, 1, (*sum % 100 * price->priority_percent + 99) / 100);
        *sum = scaled;
        break;
    }
    return true;
}

bool price_of(const struct price *price, const struct dialect_usage *usage, uint64_t wall_us,
              uint64_t *ret_picousd)
{
    const struct price_rates *rates;
    uint64_t cached, written, written_long, sum = 0;

    if (!price || !usage->is_known)
        return false;
    /* A provider may tell parts that are more than the whole. */
    cached = at_most(usage->cached_tokens, usage->prompt_tokens);
    written = at_most(usage->cache_write_tokens, usage->prompt_tokens - cached);
    written_long = at_most(usage->cache_write_long_tokens, written);
    rates = rates_at(price, usage->prompt_tokens, wall_us);
    add(&sum, usage->prompt_tokens - cached - written, rates->input);
    add(&sum, cached, rates->cached_input);
    add(&sum, written - written_long, rates->cache_write);
    add(&sum, written_long, rates->cache_write_long);
    add(&sum, usage->completion_tokens, rates->output);
    if (!scale(price, usage->tier, &sum))
        return false;
    *ret_picousd = sum;
    return true;
}

uint64_t price_nano(uint64_t picousd)
{
    return picousd / 1000 + (picousd % 1000 != 0);
}

uint64_t price_in_currency(uint64_t nanousd, uint64_t rate_millionths)
{
    const uint64_t million = 1000000;
    uint64_t most, rest;

    /* In two parts, so that nothing is rounded but the end. The rest is below a million, and no
     * rate of a file above a million millions: that product fits. */
    if (__builtin_mul_overflow(nanousd / million, rate_millionths, &most) ||
        __builtin_mul_overflow(nanousd % million, rate_millionths, &rest) ||
        __builtin_add_overflow(most, rest / million, &most))
        return UINT64_MAX;
    return most;
}

void price_write_usd(struct buf *out, uint64_t picousd)
{
    char buffer[DECIMAL_NANO_BYTES];

    (void)buf_append_span(out, decimal_nano_text(price_nano(picousd), buffer));
}
