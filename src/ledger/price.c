#include "ledger/price.h"

#include "base/clock.h"
#include "base/decimal.h"

enum { DATE_DIGITS = 8, PERMILLE = 1000 };

/* ---- what is built in ---- */

#define PICO(usd_a_million) ((uint64_t)((usd_a_million)*1000000.0 + 0.5))
#define RATES(input, cached, write, write_long, output)                                            \
    {                                                                                              \
        PICO(input), PICO(cached), PICO(write), PICO(write_long), PICO(output)                     \
    }

struct row {
    enum provider_kind kind;
    struct span model;
    struct price_long told; /* above: tokens, or seconds */
};

#define ROW(kind, model, bound, ...)                                                               \
    {PROVIDER_##kind, SPAN_INIT(model), {bound, RATES(__VA_ARGS__)}},

#define PRICE(kind, model, input, cached, write, write_long, output, date)                         \
    ROW(kind, model, 0, input, cached, write, write_long, output)
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
    ROW(kind, model, above, input, cached, write, write_long, output)
static const struct row long_rows[] = {
#include "tables/prices.def"
};
#undef PRICE_LONG
#undef PRICE_PEAK

#define PRICE_LONG(...)
#define PRICE_PEAK(kind, model, input, cached, write, write_long, output)                          \
    ROW(kind, model, 0, input, cached, write, write_long, output)
static const struct row peak_rows[] = {
#include "tables/prices.def"
};
#undef PRICE_PEAK

/* DeepSeek's. */
static const struct hours peak_hours[] = {{60, 240, NULL}, {360, 600, NULL}};
static const struct span peak_texts[] = {SPAN_INIT("01:00-04:00 UTC"),
                                         SPAN_INIT("06:00-10:00 UTC")};

#define PRICE_PEAK(kind, model, input, cached, write, write_long, output)                          \
    {{peak_hours, peak_texts, sizeof(peak_hours) / sizeof(peak_hours[0])},                         \
     HOURS_WORKING_DAYS,                                                                           \
     RATES(input, cached, write, write_long, output),                                              \
     NULL,                                                                                         \
     0},
static const struct price_peak peak_prices[] = {
#include "tables/prices.def"
};
#undef PRICE_PEAK
#undef PRICE_LATER

#define PRICE_PEAK(...)
#define PRICE_LATER(kind, model, from, input, cached, write, write_long, output)                   \
    ROW(kind, model, from, input, cached, write, write_long, output)
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
#undef ROW

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

/* Batches and flexible service are half of it everywhere. */
static void add_tiers(const struct row *row, struct price *price)
{
    price->has_tiers = true;
    price->tier_permille[DIALECT_TIER_STANDARD] = PERMILLE;
    price->tier_permille[DIALECT_TIER_FLEX] = PERMILLE / 2;
    price->tier_permille[DIALECT_TIER_BATCH] = PERMILLE / 2;
    for (size_t i = 0; i < COUNT(priority_rows); i++) {
        if (priority_rows[i].kind == row->kind && span_is_equal(priority_rows[i].model, row->model))
            price->tier_permille[DIALECT_TIER_PRIORITY] = priority_rows[i].percent * 10;
    }
}

static struct price whole_of(const struct row *row)
{
    const struct row *more;
    struct price price = {.rates = row->told.rates};

    add_tiers(row, &price);
    more = find(long_rows, COUNT(long_rows), row->kind, row->model);
    if (more) {
        price.longs = &more->told;
        price.long_count = 1;
    }
    more = find(peak_rows, COUNT(peak_rows), row->kind, row->model);
    if (more) {
        price.peaks = &peak_prices[more - peak_rows];
        price.peak_count = 1;
    }
    more = find(later_rows, COUNT(later_rows), row->kind, row->model);
    if (more) {
        price.later = &later_prices[more - later_rows];
        price.later_wall_us = more->told.above * US_PER_SEC;
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

/* By the highest bound that the prompt is above, else the usual ones. */
static const struct price_rates *rates_by_length(const struct price_rates *usual,
                                                 const struct price_long *longs, size_t count,
                                                 uint64_t prompt_tokens)
{
    while (count > 0 && prompt_tokens <= longs[count - 1].above)
        count--;
    return count ? &longs[count - 1].rates : usual;
}

static const struct price_peak *peak_at(const struct price *price, uint64_t wall_us)
{
    for (size_t i = 0; i < price->peak_count; i++) {
        if (hours_are_now(&price->peaks[i].hours, price->peaks[i].days, wall_us))
            return &price->peaks[i];
    }
    return NULL;
}

static const struct price_rates *rates_at(const struct price *price, uint64_t prompt_tokens,
                                          uint64_t wall_us)
{
    const struct price_peak *peak = peak_at(price, wall_us);

    if (peak && peak->long_count)
        return rates_by_length(&peak->rates, peak->longs, peak->long_count, prompt_tokens);
    return rates_by_length(peak ? &peak->rates : &price->rates, price->longs, price->long_count,
                           prompt_tokens);
}

/* What holds at that moment, and whose tiers are its own. */
static const struct price *price_at(const struct price *price, uint64_t wall_us,
                                    const struct price **ret_tiers)
{
    const struct price *tiers = price;

    while (price->later && wall_us >= price->later_wall_us) {
        price = price->later;
        if (price->has_tiers)
            tiers = price;
    }
    *ret_tiers = tiers;
    return price;
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

/* What of a standard price that tier costs, rounded up; false: not known. */
static bool scale(const struct price *price, enum dialect_tier tier, uint64_t *sum)
{
    uint64_t scaled = 0, permille = price->tier_permille[tier];

    if (!price->has_tiers || tier == DIALECT_TIER_STANDARD)
        return true;
    if (!permille)
        return false;
    add(&scaled, *sum / PERMILLE, permille);
    add(&scaled, 1, (*sum % PERMILLE * permille + PERMILLE - 1) / PERMILLE);
    *sum = scaled;
    return true;
}

bool price_of(const struct price *price, const struct dialect_usage *usage, uint64_t wall_us,
              uint64_t *ret_picousd)
{
    const struct price_rates *rates;
    const struct price *tiers;
    uint64_t cached, written, written_long, sum = 0;

    if (!price || !usage->is_known)
        return false;
    /* A provider may tell parts that are more than the whole. */
    cached = at_most(usage->cached_tokens, usage->prompt_tokens);
    written = at_most(usage->cache_write_tokens, usage->prompt_tokens - cached);
    written_long = at_most(usage->cache_write_long_tokens, written);
    price = price_at(price, wall_us, &tiers);
    rates = rates_at(price, usage->prompt_tokens, wall_us);
    add(&sum, usage->prompt_tokens - cached - written, rates->input);
    add(&sum, cached, rates->cached_input);
    add(&sum, written - written_long, rates->cache_write);
    add(&sum, written_long, rates->cache_write_long);
    add(&sum, usage->completion_tokens, rates->output);
    if (!scale(tiers, usage->tier, &sum))
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
