#include "route/catalogue.h"

#include "ledger/price.h"

struct able_row {
    enum provider_kind kind;
    struct span pattern;
    struct conf_abilities facts;
};

struct name_row {
    enum provider_kind kind;
    struct span name, other, date;
};

#define ABLE(...)
#define ALIAS(...)
#define ENDS(...)
#define RULES(...)

#undef ABLE
#define ABLE(kind, pattern, context, max_input, max_output, tools, vision, structured, audio,      \
             reasoning, embeddings)                                                                \
    {PROVIDER_##kind,                                                                              \
     SPAN_INIT(pattern),                                                                           \
     {context,                                                                                     \
      max_input,                                                                                   \
      max_output,                                                                                  \
      {CONF_ABLE_##tools, CONF_ABLE_##vision, CONF_ABLE_##structured, CONF_ABLE_##audio,           \
       CONF_ABLE_##reasoning, CONF_ABLE_##embeddings}}},
static const struct able_row able_rows[] = {
#include "tables/abilities.def"
};
#undef ABLE
#define ABLE(...)

#undef ALIAS
#define ALIAS(kind, pattern, model)                                                                \
    {PROVIDER_##kind, SPAN_INIT(pattern), SPAN_INIT(model), {NULL, 0}},
static const struct name_row aliases[] = {
#include "tables/abilities.def"
};
#undef ALIAS
#define ALIAS(...)

#undef ENDS
#define ENDS(kind, model, date, from, successor)                                                   \
    {PROVIDER_##kind, SPAN_INIT(model), SPAN_INIT(successor), SPAN_INIT(date)},
static const struct name_row ends[] = {
#include "tables/abilities.def"
};
#undef ENDS
#define ENDS(...)

#undef RULES
#define RULES(kind, cache, batch, hours)                                                           \
    {PROVIDER_##kind, SPAN_INIT(cache), batch, SPAN_INIT(hours)},
static const struct catalogue_rules rules[] = {
#include "tables/abilities.def"
};
#undef RULES

#define RETIRED(kind, pattern, successor)                                                          \
    {PROVIDER_##kind, SPAN_INIT(pattern), SPAN_INIT(successor), {NULL, 0}},
static const struct name_row retired[] = {
#include "tables/retired.def"
};
#undef RETIRED

#define PRICE(kind, model, input, cached, write, write_long, output, date)                         \
    {PROVIDER_##kind, SPAN_INIT(model), {NULL, 0}, SPAN_INIT(date)},
#define PRICE_LONG(...)
#define PRICE_PEAK(...)
#define PRICE_LATER(...)
#define PRICE_PRIORITY(...)
static const struct name_row dates[] = {
#include "tables/prices.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct span catalogue_ability_name(enum conf_ability ability)
{
    static const struct span names[CONF_ABILITIES] = {
        [CONF_TOOLS] = SPAN_INIT("tools"),           [CONF_VISION] = SPAN_INIT("vision"),
        [CONF_STRUCTURED] = SPAN_INIT("structured"), [CONF_AUDIO] = SPAN_INIT("audio"),
        [CONF_REASONING] = SPAN_INIT("reasoning"),   [CONF_EMBEDDINGS] = SPAN_INIT("embeddings"),
    };

    return names[ability];
}

static void fill_number(uint64_t *fact, uint64_t told)
{
    if (*fact == 0)
        *fact = told;
}

/* What is not known yet is as the others tell it. */
static void fill(struct conf_abilities *facts, const struct conf_abilities *told)
{
    fill_number(&facts->context, told->context);
    fill_number(&facts->max_input, told->max_input);
    fill_number(&facts->max_output, told->max_output);
    for (int i = 0; i < CONF_ABILITIES; i++) {
        if (facts->able[i] == CONF_ABLE_UNKNOWN)
            facts->able[i] = told->able[i];
    }
}

/* ---- what is built in ---- */

void catalogue_builtin(enum provider_kind kind, struct span model, struct conf_abilities *ret_facts)
{
    struct span name, bare;

    kind = price_kind(kind);
    name = price_usual_name(kind, model);
    bare = price_usual_name(kind, price_bare_name(model));
    *ret_facts = (struct conf_abilities){0};
    for (size_t i = 0; i < COUNT(able_rows); i++) {
        const struct able_row *row = &able_rows[i];

        if (row->kind == kind &&
            (span_matches(name, row->pattern) || span_matches(bare, row->pattern)))
            fill(ret_facts, &row->facts);
    }
}

static const struct name_row *find_row(const struct name_row *rows, size_t count,
                                       enum provider_kind kind, struct span model)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].kind == price_kind(kind) && price_is_name_of(kind, rows[i].name, model))
            return &rows[i];
    }
    return NULL;
}

struct span catalogue_price_date(enum provider_kind kind, struct span model)
{
    const struct name_row *row = find_row(dates, COUNT(dates), kind, model);

    return row ? row->date : span_of(NULL, 0);
}

struct span catalogue_end(enum provider_kind kind, struct span model, struct span *ret_successor)
{
    const struct name_row *row = find_row(ends, COUNT(ends), kind, model);

    *ret_successor = row ? row->other : span_of(NULL, 0);
    return row ? row->date : span_of(NULL, 0);
}

bool catalogue_alias_next(enum provider_kind kind, struct span model, size_t *at,
                          struct span *ret_alias)
{
    while (*at < COUNT(aliases)) {
        const struct name_row *row = &aliases[(*at)++];

        if (row->kind != price_kind(kind) || !span_is_equal(row->other, model))
            continue;
        *ret_alias = row->name;
        return true;
    }
    return false;
}

bool catalogue_retired_next(size_t *at, enum provider_kind *ret_kind, struct span *ret_pattern,
                            struct span *ret_successor)
{
    if (*at >= COUNT(retired))
        return false;
    *ret_kind = retired[*at].kind;
    *ret_pattern = retired[*at].name;
    *ret_successor = retired[(*at)++].other;
    return true;
}

bool catalogue_rules_next(size_t *at, struct catalogue_rules *ret_rules)
{
    if (*at >= COUNT(rules))
        return false;
    *ret_rules = rules[(*at)++];
    return true;
}

/* ---- with a configuration ---- */

enum { IS_VERY_NAME = 1, IS_OF_PROVIDER = 2, NEAREST = 1 + IS_VERY_NAME + IS_OF_PROVIDER };

static bool is_in_reach(const struct conf_catalogue *row, const struct conf_provider *provider)
{
    return !row->provider || row->provider == provider;
}

static unsigned nearness(const struct conf_catalogue *row, bool is_very_name)
{
    return 1 + (is_very_name ? IS_VERY_NAME : 0) + (row->provider ? IS_OF_PROVIDER : 0);
}

unsigned catalogue_nearness(const struct conf_catalogue *row, const struct conf_provider *provider,
                            struct span model)
{
    if (!is_in_reach(row, provider) || !price_is_name_of(provider->kind, row->model, model))
        return 0;
    return nearness(row, span_is_equal(row->model, model));
}

/* The same by the aliases of a row in reach; bare: the model without its date. */
static unsigned alias_nearness(const struct conf_catalogue *row, struct span model,
                               struct span bare)
{
    unsigned best = 0;

    for (size_t i = 0; i < row->aliases.count; i++) {
        struct span alias = row->aliases.items[i];

        if (span_is_equal(alias, model))
            return nearness(row, true);
        if (span_is_equal(alias, bare))
            best = nearness(row, false);
    }
    return best;
}

static bool has_row(const struct config *config, const struct conf_provider *provider,
                    struct span model)
{
    for (size_t i = 0; i < config->catalogue.count; i++) {
        const struct conf_catalogue *row = &config->catalogue.items[i];

        if (is_in_reach(row, provider) && span_is_equal(row->model, model))
            return true;
    }
    return false;
}

struct span catalogue_meant(const struct config *config, const struct conf_provider *provider,
                            struct span model)
{
    const struct conf_catalogue *nearest = NULL;
    struct span bare = price_bare_name(model);
    unsigned best = 0;

    for (size_t i = 0; i < config->catalogue.count && best < NEAREST; i++) {
        const struct conf_catalogue *row = &config->catalogue.items[i];
        unsigned near =
            row->aliases.count && is_in_reach(row, provider) ? alias_nearness(row, model, bare) : 0;

        if (near <= best)
            continue;
        nearest = row;
        best = near;
    }
    /* An alias has no row of its own (conf/types_catalogue.c), but with a date behind it it may. */
    return nearest && !has_row(config, provider, model) ? nearest->model : model;
}

/* What is said of one provider goes before what is said of any. */
static bool alias_holds(const struct config *config, const struct conf_provider *provider,
                        const struct conf_catalogue *row, struct span alias)
{
    return span_is_equal(catalogue_meant(config, provider, alias), row->model);
}

bool catalogue_own_alias_next(const struct config *config, const struct conf_provider *provider,
                              struct span model, size_t *at, struct span *ret_alias)
{
    size_t passed = 0;

    for (size_t i = 0; i < config->catalogue.count; i++) {
        const struct conf_catalogue *row = &config->catalogue.items[i];

        if (!row->aliases.count || !catalogue_nearness(row, provider, model))
            continue;
        while (*at < passed + row->aliases.count) {
            *ret_alias = row->aliases.items[(*at)++ - passed];
            if (alias_holds(config, provider, row, *ret_alias))
                return true;
        }
        passed += row->aliases.count;
    }
    return false;
}

bool catalogue_is_overridden(const struct config *config, const struct conf_provider *provider,
                             struct span model)
{
    model = catalogue_meant(config, provider, model);
    for (size_t i = 0; i < config->catalogue.count; i++) {
        if (catalogue_nearness(&config->catalogue.items[i], provider, model))
            return true;
    }
    return false;
}

struct span catalogue_own_successor(const struct config *config,
                                    const struct conf_provider *provider, struct span model)
{
    struct span successor = {NULL, 0};
    unsigned best = 0;

    model = catalogue_meant(config, provider, model);
    for (size_t i = 0; i < config->catalogue.count; i++) {
        const struct conf_catalogue *row = &config->catalogue.items[i];
        unsigned near = row->successor.len ? catalogue_nearness(row, provider, model) : 0;

        if (near <= best)
            continue;
        successor = row->successor;
        best = near;
    }
    return successor;
}

void catalogue_find(const struct config *config, const struct conf_provider *provider,
                    struct span model, struct conf_abilities *ret_facts)
{
    struct conf_abilities builtin;

    model = catalogue_meant(config, provider, model);
    *ret_facts = (struct conf_abilities){0};
    for (unsigned near = NEAREST; near > 0; near--) {
        for (size_t i = 0; i < config->catalogue.count; i++) {
            if (catalogue_nearness(&config->catalogue.items[i], provider, model) == near)
                fill(ret_facts, &config->catalogue.items[i].facts);
        }
    }
    catalogue_builtin(provider->kind, model, &builtin);
    fill(ret_facts, &builtin);
}
