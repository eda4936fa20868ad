#include "ledger/prices.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

/* A price under the hash of a provider and a name: as with models' other numbers, two names of one
 * hash of 64 bits are not to be expected. */
struct place {
    uint64_t hash;
    const struct price *price; /* NULL: free */
};

struct prices {
    const struct config *config;
    struct price *items; /* the file's, then those of each provider's kind */
    size_t count;
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

/* The first one stays. */
static void add(struct prices *prices, uint32_t provider_index, struct span model,
                const struct price *price)
{
    struct place *place = place_of(prices, mix(map_hash(model), provider_index));

    if (!place->price)
        *place = (struct place){mix(map_hash(model), provider_index), price};
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

static void fill(struct prices *prices, const struct config *config)
{
    enum provider_kind kind;
    struct span model;
    size_t at = 0;

    for (size_t i = 0; i < config->prices.count; i++) {
        const struct conf_price *conf = &config->prices.items[i];
        struct price *price = &prices->items[prices->count++];

        price->rates = rates_of(&conf->rates);
        if (!conf->long_prompt)
            continue;
        price->long_above = conf->long_prompt->above;
        price->long_rates = rates_of(&conf->long_prompt->rates);
    }
    add_file(prices, config, false);
    add_file(prices, config, true);
    while (price_builtin_next(&at, &kind, &model, &prices->items[prices->count]))
        add_builtin(prices, config, model, kind, &prices->items[prices->count++]);
}

int prices_new(const struct config *config, struct prices **ret_prices)
{
    size_t names = config->prices.count + count_builtin();
    struct prices *prices = mem_zalloc(1, sizeof(*prices));

    if (!prices)
        return ERR_NOMEM;
    prices->config = config;
    prices->place_count = 4;
    while (prices->place_count < 2 * names * config->providers.count)
        prices->place_count *= 2;
    prices->items = mem_zalloc(names + 1, sizeof(*prices->items));
    prices->places = mem_zalloc(prices->place_count, sizeof(*prices->places));
    if (!prices->items || !prices->places) {
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
    mem_free(prices->places);
    mem_free(prices);
}

/* By that name or by the one that it is an alias of. */
static const struct price *find_named(const struct prices *prices, uint32_t provider_index,
                                      struct span model, uint64_t model_hash)
{
    const struct price *price = place_of(prices, mix(model_hash, provider_index))->price;
    struct span usual;

    if (price)
        return price;
    usual = price_usual_name(prices->config->providers.items[provider_index].kind, model);
    return span_is_equal(usual, model)
               ? NULL
               : place_of(prices, mix(map_hash(usual), provider_index))->price;
}

const struct price *prices_find(const struct prices *prices, uint32_t provider_index,
                                struct span model, uint64_t model_hash)
{
    const struct price *price = find_named(prices, provider_index, model, model_hash);
    struct span bare;

    if (price)
        return price;
    bare = price_bare_name(model);
    return bare.len == model.len ? NULL : find_named(prices, provider_index, bare, map_hash(bare));
}
