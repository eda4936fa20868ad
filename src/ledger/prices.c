#include "ledger/prices.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

/* A price under the hash of a provider and a name: as with models' other numbers, two names of one
 * hash of 64 bits are not to be expected. */
struct place {
    uint64_t hash;
    const struct price *price;              /* NULL: free */
    enum { BY_PRICE, BY_ROW, BY_ALIAS } by; /* of the file's catalogue, where it has aliases */
};

/* What prices of the file point to; each with all the room that it needs. */
struct parts {
    struct price_long *longs;
    struct price_peak *peaks;
    struct price *laters;
    size_t long_count, peak_count, later_count;
};

struct prices {
    const struct config *config;
    bool has_aliases;    /* the file's catalogue */
    struct price *items; /* the file's, then those of each provider's kind */
    size_t count;
    struct parts parts;
    struct place *places;
    size_t place_count; /* a power of two, at least twice what stands there */
};

static uint64_t mix(uint64_t model_hash, uint32_t provider_index)
{
    return model_hash ^ ((uint64_t)provider_index + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct place *place_of(const struct prices *prices, uint64_t hash)
{
    size_t at = hash & (prices->place_count - 1);

    while (prices->places[at].price && prices->places[at].hash != hash)
        at = (at + 1) & (prices->place_count - 1);
    return &prices->places[at];
}

static struct place *place_named(const struct prices *prices, uint32_t provider_index,
                                 struct span model)
{
    return place_of(prices, mix(map_hash(model), provider_index));
}

/* The first one stays. */
static void add(struct prices *prices, uint32_t provider_index, struct span model,
                const struct price *price)
{
    struct place *place = place_of(prices, mix(map_hash(model), provider_index));

    if (!place->price)
        *place = (struct place){mix(map_hash(model), provider_index), price, BY_PRICE};
}

static struct price_rates rates_of(const struct conf_price_rates *conf)
{
    return (struct price_rates){.input = conf->input,
                                .cached_input = conf->cached_input,
                                .cache_write = conf->cache_write,
                                .cache_write_long = conf->cache_write_long,
                                .output = conf->output};
}

/* Those with a provider go before those for any: is_for_all says which are added. */
static void add_file(struct prices *prices, const struct config *config, bool is_for_all)
{
    for (size_t i = 0; i < config->prices.count; i++) {
        const struct conf_price *conf = &config->prices.items[i];

        if (is_for_all != (conf->provider == NULL))
            continue;
        for (uint32_t p = 0; p < config->providers.count; p++) {
            if (is_for_all || conf->provider == &config->providers.items[p])
                add(prices, p, conf->model, &prices->items[i]);
        }
    }
}

static void add_builtin(struct prices *prices, const struct config *config, struct span model,
                        enum provider_kind kind, const struct price *price)
{
    for (uint32_t p = 0; p < config->providers.count; p++) {
        if (price_kind(config->providers.items[p].kind) == kind)
            add(prices, p, model, price);
    }
}

/* ---- aliases ---- */

/* Of a model that nobody has told the price of, by another name: which may be that of one with a
 * price, and is not that one. */
static const struct price unknown;

static bool is_of_file(const struct prices *prices, const struct price *price)
{
    return price != &unknown && price < prices->items + prices->config->prices.count;
}

/* By that name or another one that means it; no alias of the file is asked, so that the order of
 * the rows does not matter. */
static bool has_price(const struct prices *prices, uint32_t provider_index, struct span name)
{
    enum provider_kind kind = prices->config->providers.items[provider_index].kind;
    struct span bare = price_bare_name(name);
    const struct span names[] = {name, price_usual_name(kind, name), bare,
                                 price_usual_name(kind, bare)};
    struct price builtin;

    if (price_builtin(kind, name, &builtin))
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct place *place = place_named(prices, provider_index, names[i]);

        if (place->price && place->by != BY_ALIAS && place->price != &unknown)
            return true;
    }
    return false;
}

/* A price that the file has for this very name goes before. So does any price of the name, where
 * the row is of any provider and its model has none there: it is hardly there, but the name is. */
static void add_alias(struct prices *prices, uint32_t provider_index,
                      const struct conf_catalogue *row, struct span alias)
{
    struct place *place = place_named(prices, provider_index, alias);
    const struct price *price =
        prices_find(prices, provider_index, row->model, map_hash(row->model));

    if (place->price && (place->by == BY_ALIAS || is_of_file(prices, place->price)))
        return;
    if (!price && !row->provider && has_price(prices, provider_index, alias))
        return;
    *place =
        (struct place){mix(map_hash(alias), provider_index), price ? price : &unknown, BY_ALIAS};
}

static void add_aliases(struct prices *prices, const struct conf_catalogue *row)
{
    for (uint32_t p = 0; p < prices->config->providers.count; p++) {
        if (row->provider && row->provider != &prices->config->providers.items[p])
            continue;
        for (size_t i = 0; i < row->aliases.count; i++)
            add_alias(prices, p, row, row->aliases.items[i]);
    }
}

/* Those of a provider go before those of any. */
static void add_all_aliases(struct prices *prices, const struct conf_catalogue_rows *rows)
{
    for (int is_of_any = 0; is_of_any < 2; is_of_any++) {
        for (size_t i = 0; i < rows->count; i++) {
            if (rows->items[i].aliases.count && (rows->items[i].provider == NULL) == is_of_any)
                add_aliases(prices, &rows->items[i]);
        }
    }
}

/* A row's own name is no alias, nor what its name without a date is an alias of: it costs what it
 * did before there were any. */
static void add_row(struct prices *prices, const struct conf_catalogue *row)
{
    for (uint32_t p = 0; p < prices->config->providers.count; p++) {
        uint64_t hash = map_hash(row->model);
        const struct price *price;

        if (row->provider && row->provider != &prices->config->providers.items[p])
            continue;
        price = prices_find(prices, p, row->model, hash);
        *place_of(prices, mix(hash, p)) =
            (struct place){mix(hash, p), price ? price : &unknown, BY_ROW};
    }
}

static void add_catalogue(struct prices *prices, const struct conf_catalogue_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        add_row(prices, &rows->items[i]);
    add_all_aliases(prices, rows);
}

static size_t count_aliases(const struct conf_catalogue_rows *rows)
{
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++)
        count += rows->items[i].aliases.count;
    return count;
}

static size_t count_builtin(void)
{
    enum provider_kind kind;
    struct price price;
    struct span model;
    size_t at = 0;

    while (price_builtin_next(&at, &kind, &model, &price)) {
    }
    return at;
}

/* ---- what the file says ---- */

static void count_terms(const struct conf_price_terms *terms, struct parts *parts)
{
    parts->long_count += terms->longs.count;
    parts->peak_count += terms->peaks.count;
    for (size_t i = 0; i < terms->peaks.count; i++)
        parts->long_count += terms->peaks.items[i].longs.count;
}

/* Room for all of them; the counts are then those of what is there so far. */
static int make_room(const struct conf_prices *conf, struct parts *parts)
{
    for (size_t i = 0; i < conf->count; i++) {
        const struct conf_price_laters *laters = &conf->items[i].laters;

        count_terms(&conf->items[i].terms, parts);
        parts->later_count += laters->count;
        for (size_t k = 0; k < laters->count; k++)
            count_terms(&laters->items[k].terms, parts);
    }
    parts->longs = mem_zalloc(parts->long_count + 1, sizeof(*parts->longs));
    parts->peaks = mem_zalloc(parts->peak_count + 1, sizeof(*parts->peaks));
    parts->laters = mem_zalloc(parts->later_count + 1, sizeof(*parts->laters));
    parts->long_count = parts->peak_count = parts->later_count = 0;
    return parts->longs && parts->peaks && parts->laters ? 0 : ERR_NOMEM;
}

static const struct price_long *take_longs(const struct conf_price_longs *conf, struct parts *parts)
{
    struct price_long *longs = &parts->longs[parts->long_count];

    for (size_t i = 0; i < conf->count; i++)
        longs[i] = (struct price_long){conf->items[i].above, rates_of(&conf->items[i].rates)};
    parts->long_count += conf->count;
    return longs;
}

static const struct price_peak *take_peaks(const struct conf_price_peaks *conf, struct parts *parts)
{
    struct price_peak *peaks = &parts->peaks[parts->peak_count];

    for (size_t i = 0; i < conf->count; i++) {
        const struct conf_price_peak *from = &conf->items[i];

        peaks[i] = (struct price_peak){.hours = from->list,
                                       .days = from->days,
                                       .rates = rates_of(&from->rates),
                                       .longs = take_longs(&from->longs, parts),
                                       .long_count = from->longs.count};
    }
    parts->peak_count += conf->count;
    return peaks;
}

static struct price price_from(const struct conf_price_terms *terms, struct parts *parts)
{
    const struct conf_price_tiers *tiers = terms->tiers;
    struct price price = {.rates = rates_of(&terms->rates),
                          .longs = take_longs(&terms->longs, parts),
                          .long_count = terms->longs.count,
                          .peaks = take_peaks(&terms->peaks, parts),
                          .peak_count = terms->peaks.count,
                          .has_tiers = tiers != NULL};

    if (tiers) {
        price.tier_permille[DIALECT_TIER_FLEX] = tiers->flex_permille;
        price.tier_permille[DIALECT_TIER_BATCH] = tiers->batch_permille;
        price.tier_permille[DIALECT_TIER_PRIORITY] = tiers->priority_permille;
    }
    return price;
}

static void take_price(const struct conf_price *conf, struct parts *parts, struct price *price)
{
    *price = price_from(&conf->terms, parts);
    for (size_t i = 0; i < conf->laters.count; i++) {
        const struct conf_price_later *from = &conf->laters.items[i];
        struct price *later = &parts->laters[parts->later_count++];

        *later = price_from(&from->terms, parts);
        price->later = later;
        price->later_wall_us = from->from_us;
        price = later;
    }
}

static void fill(struct prices *prices, const struct config *config)
{
    enum provider_kind kind;
    struct span model;
    size_t at = 0;

    for (size_t i = 0; i < config->prices.count; i++)
        take_price(&config->prices.items[i], &prices->parts, &prices->items[prices->count++]);
    add_file(prices, config, false);
    add_file(prices, config, true);
    while (price_builtin_next(&at, &kind, &model, &prices->items[prices->count]))
        add_builtin(prices, config, model, kind, &prices->items[prices->count++]);
    if (prices->has_aliases)
        add_catalogue(prices, &config->catalogue);
}

int prices_new(const struct config *config, struct prices **ret_prices)
{
    size_t items = config->prices.count + count_builtin();
    size_t aliases = count_aliases(&config->catalogue);
    size_t names = items + (aliases ? aliases + config->catalogue.count : 0);
    struct prices *prices = mem_zalloc(1, sizeof(*prices));

    if (!prices)
        return ERR_NOMEM;
    prices->config = config;
    prices->has_aliases = aliases > 0;
    prices->place_count = 4;
    while (prices->place_count < 2 * names * config->providers.count)
        prices->place_count *= 2;
    prices->items = mem_zalloc(items + 1, sizeof(*prices->items));
    prices->places = mem_zalloc(prices->place_count, sizeof(*prices->places));
    if (!prices->items || !prices->places || make_room(&config->prices, &prices->parts)) {
        prices_free(&prices);
        return ERR_NOMEM;
    }
    fill(prices, config);
    *ret_prices = prices;
    return 0;
}

void prices_free(struct prices **place)
{
    struct prices *prices = *place;

    *place = NULL;
    if (!prices)
        return;
    mem_free(prices->items);
    mem_free(prices->parts.longs);
    mem_free(prices->parts.peaks);
    mem_free(prices->parts.laters);
    mem_free(prices->places);
    mem_free(prices);
}

/* ---- finding ---- */

/* Which of two holds: the file's for that provider, the file's for any, what an alias of the file
 * means, what is built in. */
static unsigned rank_of(const struct prices *prices, const struct place *place)
{
    if (!is_of_file(prices, place->price))
        return place->by == BY_ALIAS ? 2 : 3;
    return prices->config->prices.items[place->price - prices->items].provider ? 0 : 1;
}

/* A row and an alias say what the very name means: no price of another name holds for it, were it
 * the file's own. Where the file says nothing, the first that is found holds. */
static bool is_settled(const struct prices *prices, const struct place *place)
{
    if (!place->price)
        return false;
    if (place->by != BY_PRICE || rank_of(prices, place) == 0)
        return true;
    return !prices->has_aliases && prices->config->prices.count == 0;
}

static const struct place *nearer(const struct prices *prices, const struct place *place,
                                  const struct place *looser)
{
    if (!place->price || !looser->price)
        return place->price ? place : looser;
    return rank_of(prices, looser) < rank_of(prices, place) ? looser : place;
}

/* By that name or by the one that it is an alias of. */
static const struct place *find_named(const struct prices *prices, uint32_t provider_index,
                                      struct span model, uint64_t model_hash)
{
    const struct place *place = place_of(prices, mix(model_hash, provider_index));
    struct span usual;

    if (is_settled(prices, place))
        return place;
    usual = price_usual_name(prices->config->providers.items[provider_index].kind, model);
    if (span_is_equal(usual, model))
        return place;
    return nearer(prices, place, place_named(prices, provider_index, usual));
}

const struct price *prices_find(const struct prices *prices, uint32_t provider_index,
                                struct span model, uint64_t model_hash)
{
    const struct place *place = find_named(prices, provider_index, model, model_hash);
    struct span bare = model;

    if (!is_settled(prices, place))
        bare = price_bare_name(model);
    if (bare.len < model.len)
        place = nearer(prices, place, find_named(prices, provider_index, bare, map_hash(bare)));
    return place->price == &unknown ? NULL : place->price;
}
