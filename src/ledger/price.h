/*
 * What tokens cost. Money is whole picodollars (1e-12 USD): a price of 1 USD per million tokens is
 * 1,000,000 of them a token, and the cheapest price there is has none to round away. What is not
 * known is not free: a price that nobody told is unknown, and so is what it would come to. Pure;
 * any thread.
 */
#ifndef LEDGER_PRICE_H
#define LEDGER_PRICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "conf/hours.h"
#include "conf/provider_kind.h"
#include "dialect/dialect.h"

#define PICOUSD_PER_USD UINT64_C(1000000000000)

/* Of one token, in picodollars. Reasoning is billed as output. */
struct price_rates {
    uint64_t input;
    uint64_t cached_input;     /* in the place of input, for what was read from a cache */
    uint64_t cache_write;      /* in the place of input, for what was written to one */
    uint64_t cache_write_long; /* the same, where it is kept for an hour */
    uint64_t output;
};

/* All of a request with more tokens in its prompt costs these. */
struct price_long {
    uint64_t above;
    struct price_rates rates;
};

/* At those hours of those days (conf/hours.h) it costs these. Holidays are not known here and count
 * as other days. Without long prices of its own those of the price hold then, too. */
struct price_peak {
    struct hours_list hours;
    uint32_t days;
    struct price_rates rates;
    const struct price_long *longs;
    size_t long_count;
};

/* What one model costs at one provider. */
struct price {
    struct price_rates rates;
    const struct price_long *longs; /* by rising bounds */
    size_t long_count;
    const struct price_peak *peaks; /* no two at the same time */
    size_t peak_count;
    /* So many thousandths of it for what was served in another way than the usual one; 0: not
     * known. Without tiers it costs the same in all of them; a later price goes on with those
     * before it. */
    bool has_tiers;
    uint32_t tier_permille[DIALECT_TIERS];
    /* From that moment on it costs this; NULL: nothing else is announced. */
    const struct price *later;
    uint64_t later_wall_us;
};

/* What that usage costs at that moment: true and *ret_picousd (UINT64_MAX where it would be more),
 * or false where price is NULL, or the usage or what priority
 * costs is not known. A few multiplications. */
bool price_of(const struct price *price, const struct dialect_usage *usage, uint64_t wall_us,
              uint64_t *ret_picousd);

/* What is known of a model that providers of that kind call so, as of the dates in
 * tables/prices.def; also by a name with its date ("-2025-04-14", "-20250929", "@20250929") or
 * "-latest" behind it, and by its aliases (tables/abilities.def). False: unknown. */
bool price_builtin(enum provider_kind kind, struct span model, struct price *ret_price);

/* The next of all that is built in: begins with *at 0; false at the end. Another kind than the one
 * told may have them too: price_kind. */
bool price_builtin_next(size_t *at, enum provider_kind *ret_kind, struct span *ret_model,
                        struct price *ret_price);

/* Whose prices providers of that kind have: Azure's are OpenAI's. */
enum provider_kind price_kind(enum provider_kind kind);

/* The name without what price_builtin passes over; itself where there is nothing of the kind. */
struct span price_bare_name(struct span model);

/* The name that tables have for it, where providers of that kind take this one as an alias; else
 * itself. */
struct span price_usual_name(enum provider_kind kind, struct span model);

/* Whether a row of that name is about the model: it is its name, or its name without a date, or one
 * of these is an alias of it. */
bool price_is_name_of(enum provider_kind kind, struct span row, struct span model);

/* The same in billionths, rounded up, so that what costs something is not shown as nothing: what
 * is told, logged and summed up of an exchange. */
uint64_t price_nano(uint64_t picousd);

/* Thousand-millionths of a dollar in a currency of which one dollar buys so many millionths,
 * rounded down; UINT64_MAX where it would be more. */
uint64_t price_in_currency(uint64_t nanousd, uint64_t rate_millionths);

/* That in dollars as decimal text without zeros at the end ("0.000123"), appended. */
void price_write_usd(struct buf *out, uint64_t picousd);

#endif
