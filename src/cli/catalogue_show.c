/* The catalogue as text and as JSON. */
#include "cli/catalogue.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "json/write.h"

enum { DATE_CHARS = 10, TIME_BYTES = 64 };

#define DAY_US (UINT64_C(86400) * US_PER_SEC)

/* Picodollars a token are millionths of a dollar for a million. */
static struct span amount(uint64_t rate, char text[DECIMAL_NANO_BYTES])
{
    return decimal_nano_text(rate * 1000, text);
}

static void put_cell(struct buf *out, uint64_t rate, bool is_known)
{
    char text[DECIMAL_NANO_BYTES];
    struct span cell = is_known ? amount(rate, text) : SPAN("-");

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
               SPAN_ARG(amount(rates->input, in)), SPAN_ARG(amount(rates->cached_input, cached)),
               SPAN_ARG(amount(rates->cache_write, write)),
               SPAN_ARG(amount(rates->output, answer)));
}

/* A day, or where it is not its beginning, the moment. */
static struct span moment_of(uint64_t wall_us, char text[TIME_BYTES])
{
    datetime_write_rfc3339(wall_us, text);
    return span_of(text, wall_us % DAY_US ? RFC3339_BYTES : DATE_CHARS);
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

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static void put_hours(struct buf *out, const struct price_peak *peak)
{
    const char *before = "; ";

    for (size_t i = 0; i < peak->hours.count; i++) {
        buf_printf(out, "%s%.*s", before, SPAN_ARG(peak->hours.texts[i]));
        before = ", ";
    }
    before = " on ";
    for (size_t i = 0; i < 7 && peak->days != HOURS_EVERY_DAY; i++) {
        if (!(peak->days >> i & 1))
            continue;
        buf_printf(out, "%s%s", before, day_names[i]);
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

static struct span times(uint32_t permille, char text[DECIMAL_NANO_BYTES])
{
    return decimal_nano_text((uint64_t)permille * 1000000, text);
}

/* Of what is built in without priority there is only what its kind's batches cost, told below. */
static void put_tiers(struct buf *out, const struct price *price, const char *before)
{
    char flex[DECIMAL_NANO_BYTES], batch[DECIMAL_NANO_BYTES], priority[DECIMAL_NANO_BYTES];

    if (!price->has_tiers || !price->tier_permille[DIALECT_TIER_PRIORITY])
        return;
    buf_printf(out, "%sflex %.*s times, batch %.*s times, priority %.*s times the price\n", before,
               SPAN_ARG(times(price->tier_permille[DIALECT_TIER_FLEX], flex)),
               SPAN_ARG(times(price->tier_permille[DIALECT_TIER_BATCH], batch)),
               SPAN_ARG(times(price->tier_permille[DIALECT_TIER_PRIORITY], priority)));
}

static void put_further_prices(struct buf *out, const struct price *price)
{
    const char *before = "    ";
    char text[TIME_BYTES];

    for (;; price = price->later, before = "        ") {
        put_longs(out, price->longs, price->long_count, before);
        put_peaks(out, price, before);
        put_tiers(out, price, before);
        if (!price->later)
            return;
        buf_printf(out, "    from %.*s on: ", SPAN_ARG(moment_of(price->later_wall_us, text)));
        put_rates(out, &price->later->rates);
        buf_printf(out, "\n");
    }
}

static bool next_own_alias(const struct catalogue_entry *entry, size_t *at, struct span *ret_alias)
{
    return entry->config &&
           catalogue_own_alias_next(entry->config, entry->of, entry->model, at, ret_alias);
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
    for (at = 0; next_own_alias(entry, &at, &alias); has_own = true)
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

static bool has_kind(const struct catalogue_entries *entries, enum provider_kind kind)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (price_kind(entries->items[i].kind) == kind)
            return true;
    }
    return false;
}

static void put_rules(struct buf *out, const struct catalogue_entries *entries)
{
    struct catalogue_rules rules;
    size_t at = 0;

    while (catalogue_rules_next(&at, &rules)) {
        if (!has_kind(entries, rules.kind))
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

/* ---- JSON ---- */

static void write_amount(struct json_writer *writer, const char *name, uint64_t rate)
{
    char text[DECIMAL_NANO_BYTES];

    json_name(writer, name);
    json_raw(writer, amount(rate, text));
}

static void write_rates(struct json_writer *writer, const struct price_rates *rates)
{
    write_amount(writer, "input", rates->input);
    write_amount(writer, "cached_input", rates->cached_input);
    write_amount(writer, "cache_write", rates->cache_write);
    write_amount(writer, "cache_write_long", rates->cache_write_long);
    write_amount(writer, "output", rates->output);
}

static void write_longs(struct json_writer *writer, const struct price_long *longs, size_t count)
{
    if (!count)
        return;
    json_name(writer, "long");
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(writer);
        json_member_uint(writer, "above", longs[i].above);
        write_rates(writer, &longs[i].rates);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_hours(struct json_writer *writer, const struct price_peak *peak)
{
    json_name(writer, "hours");
    json_begin_array(writer);
    for (size_t i = 0; i < peak->hours.count; i++)
        json_string(writer, peak->hours.texts[i]);
    json_end_array(writer);
    json_name(writer, "days");
    json_begin_array(writer);
    for (size_t i = 0; i < 7; i++) {
        if (peak->days >> i & 1)
            json_string(writer, span_from_text(day_names[i]));
    }
    json_end_array(writer);
}

static void write_peaks(struct json_writer *writer, const struct price *price)
{
    if (!price->peak_count)
        return;
    json_name(writer, "peak");
    json_begin_array(writer);
    for (size_t i = 0; i < price->peak_count; i++) {
        const struct price_peak *peak = &price->peaks[i];

        json_begin_object(writer);
        write_hours(writer, peak);
        write_rates(writer, &peak->rates);
        write_longs(writer, peak->longs, peak->long_count);
        json_end_object(writer);
    }
    json_end_array(writer);
}

/* What is not known is left out. */
static void write_tiers(struct json_writer *writer, const struct price *price)
{
    static const char *const names[DIALECT_TIERS] = {[DIALECT_TIER_FLEX] = "flex",
                                                     [DIALECT_TIER_BATCH] = "batch",
                                                     [DIALECT_TIER_PRIORITY] = "priority"};
    char text[DECIMAL_NANO_BYTES];

    if (!price->has_tiers)
        return;
    json_name(writer, "service_tiers");
    json_begin_object(writer);
    for (int i = 0; i < DIALECT_TIERS; i++) {
        if (!names[i] || !price->tier_permille[i])
            continue;
        json_name(writer, names[i]);
        json_raw(writer, times(price->tier_permille[i], text));
    }
    json_end_object(writer);
}

/* As the file would say it. */
static void write_terms(struct json_writer *writer, const struct price *price)
{
    write_rates(writer, &price->rates);
    write_longs(writer, price->longs, price->long_count);
    write_peaks(writer, price);
    write_tiers(writer, price);
}

static void write_laters(struct json_writer *writer, const struct price *price)
{
    char text[TIME_BYTES];

    if (!price->later)
        return;
    json_name(writer, "later");
    json_begin_array(writer);
    for (; price->later; price = price->later) {
        json_begin_object(writer);
        json_member_string(writer, "from", moment_of(price->later_wall_us, text));
        write_terms(writer, price->later);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_price(struct json_writer *writer, const struct catalogue_entry *entry)
{
    json_name(writer, "price");
    json_begin_object(writer);
    write_terms(writer, &entry->price);
    write_laters(writer, &entry->price);
    json_end_object(writer);
    json_member_text(writer, "price_from", entry->is_price_own ? "file" : "built in");
    if (entry->price_date.len)
        json_member_string(writer, "price_seen", entry->price_date);
}

static void write_facts(struct json_writer *writer, const struct conf_abilities *facts)
{
    if (facts->context)
        json_member_uint(writer, "context", facts->context);
    if (facts->max_input)
        json_member_uint(writer, "max_input", facts->max_input);
    if (facts->max_output)
        json_member_uint(writer, "max_output", facts->max_output);
    for (int i = 0; i < CONF_ABILITIES; i++) {
        if (facts->able[i] == CONF_ABLE_UNKNOWN)
            continue;
        json_name_span(writer, catalogue_ability_name((enum conf_ability)i));
        json_bool(writer, facts->able[i] == CONF_ABLE_YES);
    }
}

static void write_entry(struct json_writer *writer, const struct catalogue_entry *entry)
{
    struct span alias;
    size_t at = 0;

    json_begin_object(writer);
    json_member_string(writer, "provider", entry->provider);
    json_member_string(writer, "kind", provider_row(entry->kind)->name);
    json_member_string(writer, "model", entry->model);
    json_member_bool(writer, "retired", entry->is_retired);
    if (entry->has_price)
        write_price(writer, entry);
    write_facts(writer, &entry->facts);
    if (!entry->is_retired)
        json_member_text(writer, "abilities_from", entry->is_facts_own ? "file" : "built in");
    json_name(writer, "aliases");
    json_begin_array(writer);
    while (!entry->is_retired && catalogue_alias_next(entry->kind, entry->model, &at, &alias))
        json_string(writer, alias);
    for (at = 0; next_own_alias(entry, &at, &alias);)
        json_string(writer, alias);
    json_end_array(writer);
    if (entry->ends.len)
        json_member_string(writer, "ends", entry->ends);
    if (entry->successor.len)
        json_member_string(writer, "successor", entry->successor);
    json_end_object(writer);
}

static void write_rules(struct json_writer *writer, const struct catalogue_entries *entries)
{
    struct catalogue_rules rules;
    size_t at = 0;

    json_name(writer, "rules");
    json_begin_array(writer);
    while (catalogue_rules_next(&at, &rules)) {
        if (!has_kind(entries, rules.kind))
            continue;
        json_begin_object(writer);
        json_member_string(writer, "kind", provider_row(rules.kind)->name);
        json_member_string(writer, "cache", rules.cache);
        if (rules.batch_percent)
            json_member_uint(writer, "batch_percent", rules.batch_percent);
        if (rules.hours.len)
            json_member_string(writer, "hours", rules.hours);
        json_end_object(writer);
    }
    json_end_array(writer);
}

void catalogue_show_json(const struct catalogue_entries *entries, struct buf *out)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_name(&writer, "models");
    json_begin_array(&writer);
    for (size_t i = 0; i < entries->count; i++)
        write_entry(&writer, &entries->items[i]);
    json_end_array(&writer);
    write_rules(&writer, entries);
    json_end_object(&writer);
    buf_printf(out, "\n");
}
