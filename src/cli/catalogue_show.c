/* The catalogue as text and as JSON. */
#include "cli/catalogue.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "json/write.h"

enum { CELL_BYTES = 32, DATE_CHARS = 10, TIME_BYTES = 64 };

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

    buf_printf(out, "in %.*s, cached %.*s, write %.*s, out %.*s\n",
               SPAN_ARG(amount(rates->input, in)), SPAN_ARG(amount(rates->cached_input, cached)),
               SPAN_ARG(amount(rates->cache_write, write)),
               SPAN_ARG(amount(rates->output, answer)));
}

static struct span day_of(uint64_t wall_us, char text[TIME_BYTES])
{
    datetime_write_rfc3339(wall_us, text);
    return span_of(text, DATE_CHARS);
}

static void put_further_prices(struct buf *out, const struct price *price)
{
    char text[TIME_BYTES];

    if (price->long_above) {
        buf_printf(out, "    prompt above %llu tokens: ", (unsigned long long)price->long_above);
        put_rates(out, &price->long_rates);
    }
    if (price->has_peak) {
        buf_printf(out, "    in peak hours: ");
        put_rates(out, &price->peak_rates);
    }
    if (price->later) {
        buf_printf(out, "    from %.*s on: ", SPAN_ARG(day_of(price->later_wall_us, text)));
        put_rates(out, &price->later->rates);
    }
}

static void put_notes(struct buf *out, const struct catalogue_entry *entry)
{
    struct span alias;
    size_t at = 0;

    if (entry->facts.max_input)
        buf_printf(out, "    prompt of %llu tokens at most\n",
                   (unsigned long long)entry->facts.max_input);
    while (catalogue_alias_next(entry->kind, entry->model, &at, &alias))
        buf_printf(out, "    also called %.*s\n", SPAN_ARG(alias));
    if (entry->ends.len)
        buf_printf(out, "    ends %.*s%s%.*s\n", SPAN_ARG(entry->ends),
                   entry->successor.len ? ", then " : "", SPAN_ARG(entry->successor));
    if (entry->own_successor.len && !entry->successor.len)
        buf_printf(out, "    lives on\n");
    else if (entry->own_successor.len)
        buf_printf(out, "    asked for as %.*s\n", SPAN_ARG(entry->successor));
    if (entry->is_price_own || entry->is_facts_own || entry->own_successor.len)
        buf_printf(out, "    the file says:%s%s%s\n", entry->is_price_own ? " its price" : "",
                   entry->is_facts_own ? " what it can do" : "",
                   entry->own_successor.len ? " its successor" : "");
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

static void write_rates(struct json_writer *writer, const char *name,
                        const struct price_rates *rates)
{
    json_name(writer, name);
    json_begin_object(writer);
    write_amount(writer, "input", rates->input);
    write_amount(writer, "cached_input", rates->cached_input);
    write_amount(writer, "cache_write", rates->cache_write);
    write_amount(writer, "cache_write_long", rates->cache_write_long);
    write_amount(writer, "output", rates->output);
    json_end_object(writer);
}

static void write_price(struct json_writer *writer, const struct catalogue_entry *entry)
{
    const struct price *price = &entry->price;
    char text[TIME_BYTES];

    write_rates(writer, "price", &price->rates);
    if (price->long_above) {
        json_member_uint(writer, "long_above", price->long_above);
        write_rates(writer, "long_price", &price->long_rates);
    }
    if (price->has_peak)
        write_rates(writer, "peak_price", &price->peak_rates);
    if (price->later) {
        json_member_string(writer, "later_from", day_of(price->later_wall_us, text));
        write_rates(writer, "later_price", &price->later->rates);
    }
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
