/* The catalogue as text. */
#include "cli/catalogue.h"

#include <stdio.h>

#include "base/decimal.h"

static void put_cell(struct buf *out, uint64_t rate, bool is_known)
{
    char text[DECIMAL_NANO_BYTES];
    struct span cell = is_known ? catalogue_amount(rate, text) : SPAN("-");

    buf_printf(out, " %8.*s", SPAN_ARG(cell));
}

static void put_tokens(struct buf *out, uint64_t tokens)
{
    char text[DECIMAL_BYTES];
    struct span cell = tokens ? decimal_text(tokens, text) : SPAN("-");

    buf_printf(out, " %9.*s", SPAN_ARG(cell));
}

/* Those that it has, then those that it is known not to have. */
static void put_abilities(struct buf *out, const struct conf_abilities *facts)
{
    static const struct {
        enum conf_able able;
        const char *first, *further;
    } kinds[] = {{CONF_ABLE_YES, "  ", ", "}, {CONF_ABLE_NO, "  not ", ", "}};

    for (size_t k = 0; k < 2; k++) {
        const char *before = kinds[k].first;

        for (int i = 0; i < CONF_ABILITIES; i++) {
            if (facts->able[i] != kinds[k].able)
                continue;
            buf_printf(out, "%s%.*s", before,
                       SPAN_ARG(catalogue_ability_name((enum conf_ability)i)));
            before = kinds[k].further;
        }
    }
}

static void put_rates(struct buf *out, const struct price_rates *rates)
{
    char in[DECIMAL_NANO_BYTES], cached[DECIMAL_NANO_BYTES], write[DECIMAL_NANO_BYTES],
        answer[DECIMAL_NANO_BYTES];

    buf_printf(out, "in %.*s, cached %.*s, write %.*s, out %.*s",
               SPAN_ARG(catalogue_amount(rates->input, in)),
               SPAN_ARG(catalogue_amount(rates->cached_input, cached)),
               SPAN_ARG(catalogue_amount(rates->cache_write, write)),
               SPAN_ARG(catalogue_amount(rates->output, answer)));
}

static void put_longs(struct buf *out, const struct price_long *longs, size_t count,
                      const char *before)
{
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%sprompt above %llu tokens: ", before, (unsigned long long)longs[i].above);
        put_rates(out, &longs[i].rates);
        buf_printf(out, "\n");
    }
}

static void put_hours(struct buf *out, const struct price_peak *peak)
{
    const char *before = "; ";

    for (size_t i = 0; i < peak->hours.count; i++) {
        buf_printf(out, "%s%.*s", before, SPAN_ARG(peak->hours.texts[i]));
        before = ", ";
    }
    before = " on ";
    for (size_t i = 0; i < CATALOGUE_DAYS && peak->days != HOURS_EVERY_DAY; i++) {
        if (!(peak->days >> i & 1))
            continue;
        buf_printf(out, "%s%s", before, catalogue_day_names[i]);
        before = ", ";
    }
    buf_printf(out, "\n");
}

static void put_peaks(struct buf *out, const struct price *price, const char *before)
{
    for (size_t i = 0; i < price->peak_count; i++) {
        const struct price_peak *peak = &price->peaks[i];
        const char *name = peak->rates.output < price->rates.output ? "off peak" : "in peak hours";

        buf_printf(out, "%s%s: ", before, name);
        put_rates(out, &peak->rates);
        put_hours(out, peak);
        put_longs(out, peak->longs, peak->long_count, "        then, ");
    }
}

/* Of what is built in without priority there is only what its kind's batches cost, told below. */
static void put_tiers(struct buf *out, const struct price *price, const char *before)
{
    char flex[DECIMAL_NANO_BYTES], batch[DECIMAL_NANO_BYTES], priority[DECIMAL_NANO_BYTES];

    if (!price->has_tiers || !price->tier_permille[DIALECT_TIER_PRIORITY])
        return;
    buf_printf(out, "%sflex %.*s times, batch %.*s times, priority %.*s times the price\n", before,
               SPAN_ARG(catalogue_times(price->tier_permille[DIALECT_TIER_FLEX], flex)),
               SPAN_ARG(catalogue_times(price->tier_permille[DIALECT_TIER_BATCH], batch)),
               SPAN_ARG(catalogue_times(price->tier_permille[DIALECT_TIER_PRIORITY], priority)));
}

static void put_further_prices(struct buf *out, const struct price *price)
{
    const char *before = "    ";
    char text[CATALOGUE_TIME_BYTES];

    for (;; price = price->later, before = "        ") {
        put_longs(out, price->longs, price->long_count, before);
        put_peaks(out, price, before);
        put_tiers(out, price, before);
        if (!price->later)
            return;
        buf_printf(out,
                   "    from %.*s on: ", SPAN_ARG(catalogue_moment(price->later_wall_us, text)));
        put_rates(out, &price->later->rates);
        buf_printf(out, "\n");
    }
}

static void put_notes(struct buf *out, const struct catalogue_entry *entry)
{
    struct span alias;
    bool has_own = false;
    size_t at = 0;

    if (entry->facts.max_input)
        buf_printf(out, "    prompt of %llu tokens at most\n",
                   (unsigned long long)entry->facts.max_input);
    while (catalogue_alias_next(entry->kind, entry->model, &at, &alias))
        buf_printf(out, "    also called %.*s\n", SPAN_ARG(alias));
    for (at = 0; catalogue_entry_alias_next(entry, &at, &alias); has_own = true)
        buf_printf(out, "    also called %.*s\n", SPAN_ARG(alias));
    if (entry->ends.len)
        buf_printf(out, "    ends %.*s%s%.*s\n", SPAN_ARG(entry->ends),
                   entry->successor.len ? ", then " : "", SPAN_ARG(entry->successor));
    if (entry->own_successor.len && !entry->successor.len)
        buf_printf(out, "    lives on\n");
    else if (entry->own_successor.len)
        buf_printf(out, "    asked for as %.*s\n", SPAN_ARG(entry->successor));
    if (entry->is_price_own || entry->is_facts_own || entry->own_successor.len)
        buf_printf(out, "    the file says:%s%s%s%s\n", entry->is_price_own ? " its price" : "",
                   entry->is_facts_own ? " what it can do" : "",
                   entry->own_successor.len ? " its successor" : "",
                   has_own ? " its other names" : "");
}

static void put_entry(struct buf *out, const struct catalogue_entry *entry)
{
    char name[640];
    const struct price_rates *rates = &entry->price.rates;

    snprintf(name, sizeof(name), "%.*s/%.*s", SPAN_ARG(entry->provider), SPAN_ARG(entry->model));
    buf_printf(out, "%-34s", name);
    put_cell(out, rates->input, entry->has_price);
    put_cell(out, rates->cached_input, entry->has_price);
    put_cell(out, rates->cache_write, entry->has_price);
    put_cell(out, rates->output, entry->has_price);
    buf_printf(out, "  %-10.*s",
               SPAN_ARG(entry->is_price_own     ? SPAN("file")
                        : entry->price_date.len ? entry->price_date
                                                : SPAN("-")));
    put_tokens(out, entry->facts.context);
    put_tokens(out, entry->facts.max_output);
    put_abilities(out, &entry->facts);
    buf_printf(out, "\n");
    if (entry->has_price)
        put_further_prices(out, &entry->price);
    put_notes(out, entry);
}

static void put_rules(struct buf *out, const struct catalogue_entries *entries)
{
    struct catalogue_rules rules;
    size_t at = 0;

    while (catalogue_rules_next(&at, &rules)) {
        if (!catalogue_has_kind(entries, rules.kind))
            continue;
        buf_printf(out, "\n%.*s: prompts are cached %.*s", SPAN_ARG(provider_row(rules.kind)->name),
                   SPAN_ARG(rules.cache));
        if (rules.batch_percent)
            buf_printf(out, "; its batches cost %u%%", rules.batch_percent);
        if (rules.hours.len)
            buf_printf(out, "; %.*s", SPAN_ARG(rules.hours));
    }
    buf_printf(out, "\n");
}

void catalogue_show_text(const struct catalogue_entries *entries, struct buf *out)
{
    bool is_first = true;

    buf_printf(out, "%-34s %8s %8s %8s %8s  %-10s %9s %9s  %s\n", "MODEL", "IN", "CACHED", "WRITE",
               "OUT", "SEEN", "CONTEXT", "ANSWER", "CAN");
    for (size_t i = 0; i < entries->count; i++) {
        if (!entries->items[i].is_retired)
            put_entry(out, &entries->items[i]);
    }
    for (size_t i = 0; i < entries->count; i++) {
        const struct catalogue_entry *entry = &entries->items[i];

        if (!entry->is_retired)
            continue;
        buf_printf(out, "%s%.*s/%.*s -> %.*s\n", is_first ? "\nretired:\n" : "",
                   SPAN_ARG(entry->provider), SPAN_ARG(entry->model), SPAN_ARG(entry->successor));
        is_first = false;
    }
    put_rules(out, entries);
}
