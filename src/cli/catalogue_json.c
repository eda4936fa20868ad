/* The catalogue as JSON. */
#include "cli/catalogue.h"

#include "base/decimal.h"
#include "json/write.h"

static void write_amount(struct json_writer *writer, const char *name, uint64_t rate)
{
    char text[DECIMAL_NANO_BYTES];

    json_name(writer, name);
    json_raw(writer, catalogue_amount(rate, text));
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
    for (size_t i = 0; i < CATALOGUE_DAYS; i++) {
        if (peak->days >> i & 1)
            json_string(writer, span_from_text(catalogue_day_names[i]));
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
        json_raw(writer, catalogue_times(price->tier_permille[i], text));
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
    char text[CATALOGUE_TIME_BYTES];

    if (!price->later)
        return;
    json_name(writer, "later");
    json_begin_array(writer);
    for (; price->later; price = price->later) {
        json_begin_object(writer);
        json_member_string(writer, "from", catalogue_moment(price->later_wall_us, text));
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
    for (at = 0; catalogue_entry_alias_next(entry, &at, &alias);)
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
        if (!catalogue_has_kind(entries, rules.kind))
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
